//! Which users could change a file that the gateway obeys (threat 67): `mcp.json` names commands,
//! other files hold secrets and rules. Only root and the gateway's own user may be able to: by
//! writing the file, or by putting another in its place, for which write access to one folder on
//! its path is enough. Owners and permissions are read by `config::access` of the gateway; here is
//! what they mean.

use std::fmt;

const WRITE_BY_GROUP: u32 = 0o020;
const WRITE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A file, or a folder or link on the way to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    pub kind: FileKind,
    pub owner: u32,
    pub group: u32,
    /// Permissions, as `chmod` takes them.
    pub mode: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Folder,
    Link,
}

/// Another user, or other users, that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    Owner(u32),
    Group(u32),
    Everyone,
}

/// Where an entry is mounted from, as far as it matters who may write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Nothing special.
    Local,
    /// A read-only mount lets no user write, whatever the permissions say.
    ReadOnly,
    /// Mounted into this container from outside of it: owners and groups are numbers of another
    /// machine. `is_root`: the mount point itself, whose permissions were chosen where it was
    /// mounted.
    FromOutside { is_root: bool },
}

impl FileEntry {
    /// A folder in which every user may make entries and change only their own, such as `/tmp`.
    pub const fn is_shared(&self) -> bool {
        matches!(self.kind, FileKind::Folder)
            && self.mode & STICKY != 0
            && self.mode & (WRITE_BY_GROUP | WRITE_BY_ALL) != 0
    }

    /// The user or users, beside root and the user `me`, that could change this entry.
    /// `is_in_shared`: the entry is in a folder that
    /// [is shared](Self::is_shared), where it could belong to any user. `is_private`: is this group
    /// that of one user alone?
    pub fn stranger(
        &self,
        me: u32,
        is_in_shared: bool,
        is_private: impl Fn(u32) -> bool,
    ) -> Option<Writer> {
        let is_foreign = self.owner != 0 && self.owner != me;
        if self.kind == FileKind::Link {
            // A link has no permissions of its own: those of its folder say who may replace it,
            // unless the folder is shared.
            return (is_foreign && is_in_shared).then_some(Writer::Owner(self.owner));
        }
        if is_foreign {
            return Some(Writer::Owner(self.owner));
        }
        if self.is_shared() {
            return None;
        }
        if self.mode & WRITE_BY_ALL != 0 {
            return Some(Writer::Everyone);
        }
        (self.mode & WRITE_BY_GROUP != 0 && !is_private(self.group))
            .then_some(Writer::Group(self.group))
    }
}

impl Mount {
    /// Is it fine all the same that `writer` may write an entry of this kind here?
    pub const fn excuses(self, writer: Writer, kind: FileKind) -> bool {
        match (self, writer) {
            (Self::Local, _) => false,
            (Self::ReadOnly, _)
            | (Self::FromOutside { .. }, Writer::Owner(_) | Writer::Group(_)) => true,
            (Self::FromOutside { is_root }, Writer::Everyone) => {
                is_root && matches!(kind, FileKind::Folder)
            }
        }
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(user) => write!(f, "its owner, user {user}"),
            Self::Group(group) => write!(f, "its group, {group}"),
            Self::Everyone => f.write_str("every user of this machine"),
        }
    }
}

impl Writer {
    /// The command that ends it, without the path.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Owner(_) => "chown root",
            Self::Group(_) => "chmod g-w",
            Self::Everyone => "chmod go-w",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;
    const MY_GROUP: u32 = 1000;
    const STAFF: u32 = 50;

    fn entry(kind: FileKind, (owner, group): (u32, u32), mode: u32) -> FileEntry {
        FileEntry { kind, owner, group, mode }
    }

    #[test]
    fn t67_who_else_could_change_a_file() {
        use FileKind::{File, Folder, Link};
        use Writer::{Everyone, Group, Owner};
        let (mine, roots, bobs) = ((ME, MY_GROUP), (0, 0), (1001, 1001));
        let cases = [
            (File, mine, 0o600, None),
            (File, mine, 0o644, None),
            (File, roots, 0o644, None),
            (File, roots, 0o440, None),
            // One's own group, and root's.
            (File, mine, 0o664, None),
            (File, roots, 0o664, None),
            (Folder, mine, 0o775, None),
            (Folder, (0, 0), 0o2775, None),
            // Writable by every user.
            (File, mine, 0o666, Some(Everyone)),
            (File, mine, 0o602, Some(Everyone)),
            (File, roots, 0o646, Some(Everyone)),
            (File, mine, 0o1666, Some(Everyone)),
            (File, (ME, STAFF), 0o664, Some(Group(STAFF))),
            (File, (0, STAFF), 0o620, Some(Group(STAFF))),
            (File, (ME, STAFF), 0o644, None),
            (File, bobs, 0o400, Some(Owner(1001))),
            (File, bobs, 0o644, Some(Owner(1001))),
            (File, (1001, MY_GROUP), 0o640, Some(Owner(1001))),
            (Folder, mine, 0o777, Some(Everyone)),
            (Folder, mine, 0o2777, Some(Everyone)),
            (Folder, mine, 0o703, Some(Everyone)),
            (Folder, (0, STAFF), 0o775, Some(Group(STAFF))),
            (Folder, bobs, 0o755, Some(Owner(1001))),
            // Sticky folders belong to all, what is in them does not.
            (Folder, roots, 0o1777, None),
            (Folder, (0, STAFF), 0o1775, None),
            (Folder, bobs, 0o1777, Some(Owner(1001))),
            (Link, bobs, 0o777, None),
            (Link, mine, 0o777, None),
        ];
        for (kind, owner, mode, expected) in cases {
            let found = entry(kind, owner, mode)
                .stranger(ME, false, |group| [0, MY_GROUP].contains(&group));
            assert_eq!(found, expected, "{kind:?} {owner:?} {mode:o}");
        }
    }

    #[test]
    fn t67_in_a_shared_folder_what_is_a_strangers_is_a_strangers() {
        let shared = [
            (0o1777, true),
            (0o1775, true),
            (0o1757, true),
            (0o1755, false),
            (0o777, false),
            (0o755, false),
        ];
        for (mode, expected) in shared {
            assert_eq!(entry(FileKind::Folder, (0, 0), mode).is_shared(), expected, "{mode:o}");
        }
        assert!(!entry(FileKind::File, (0, 0), 0o1777).is_shared());
        let link =
            |owner| entry(FileKind::Link, (owner, owner), 0o777).stranger(ME, true, |_| true);
        assert_eq!((link(ME), link(0), link(1001)), (None, None, Some(Writer::Owner(1001))));
    }

    #[test]
    fn t67_root_believes_root_alone() {
        assert_eq!(
            entry(FileKind::File, (ME, ME), 0o600).stranger(0, false, |_| true),
            Some(Writer::Owner(ME))
        );
        assert_eq!(entry(FileKind::File, (0, 0), 0o600).stranger(0, false, |_| true), None);
    }

    #[test]
    fn t67_what_is_mounted_from_outside_has_owners_of_elsewhere() {
        use FileKind::{File, Folder};
        let outside = |is_root| Mount::FromOutside { is_root };
        let cases = [
            (Mount::Local, Writer::Owner(1), File, false),
            (Mount::Local, Writer::Everyone, Folder, false),
            (Mount::ReadOnly, Writer::Everyone, File, true),
            (Mount::ReadOnly, Writer::Owner(1), Folder, true),
            (outside(false), Writer::Owner(1), File, true),
            (outside(false), Writer::Group(1), Folder, true),
            (outside(false), Writer::Everyone, File, false),
            (outside(false), Writer::Everyone, Folder, false),
            (outside(true), Writer::Everyone, Folder, true),
            (outside(true), Writer::Everyone, File, false),
        ];
        for (mount, writer, kind, expected) in cases {
            assert_eq!(mount.excuses(writer, kind), expected, "{mount:?} {writer} {kind:?}");
        }
    }
}

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
mod tests;

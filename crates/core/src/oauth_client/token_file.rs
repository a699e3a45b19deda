//! Which file may hold tokens (threat 93): one that this user alone owns and reads. What must not
//! be writable by others is in [`crate::file_access`], next door.

use thiserror::Error;

use crate::file_access::{FileEntry, FileKind};

const OTHERS: u32 = 0o077;

/// Why a file, or the folder it is in, is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadTokenFile {
    #[error("is a link: remove it")]
    Link,
    #[error("belongs to the user with the number {0}, not to you: move it away")]
    Owner(u32),
    #[error(
        "can be read or changed by others (mode {0:03o}): run chmod go= on it, and sign out of what was in it"
    )]
    Mode(u32),
}

/// May this file, or folder, of the user `me` hold tokens?
pub const fn check(entry: &FileEntry, me: u32) -> Result<(), BadTokenFile> {
    if matches!(entry.kind, FileKind::Link) {
        return Err(BadTokenFile::Link);
    }
    if entry.owner != me {
        return Err(BadTokenFile::Owner(entry.owner));
    }
    if entry.mode & OTHERS != 0 {
        return Err(BadTokenFile::Mode(entry.mode & 0o777));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t93_tokens_are_in_files_of_this_user_alone() {
        use FileKind::{File, Folder, Link};
        for (kind, owner, mode, expected) in [
            (File, 1000, 0o600, Ok(())),
            (File, 1000, 0o400, Ok(())),
            (Folder, 1000, 0o700, Ok(())),
            (File, 0, 0o600, Err(BadTokenFile::Owner(0))),
            (File, 1001, 0o600, Err(BadTokenFile::Owner(1001))),
            (File, 1000, 0o640, Err(BadTokenFile::Mode(0o640))),
            (File, 1000, 0o604, Err(BadTokenFile::Mode(0o604))),
            (File, 1000, 0o620, Err(BadTokenFile::Mode(0o620))),
            (Folder, 1000, 0o710, Err(BadTokenFile::Mode(0o710))),
            (Folder, 1000, 0o1777, Err(BadTokenFile::Mode(0o777))),
            (Link, 1000, 0o777, Err(BadTokenFile::Link)),
        ] {
            let entry = FileEntry { kind, owner, group: 1000, mode };
            assert_eq!(check(&entry, 1000), expected, "{entry:?}");
        }
    }
}

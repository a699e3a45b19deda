//! Which files a configuration was read from, and what each of them looked like: how the gateway
//! sees that one has changed.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    access::{self, ReadFile},
    machine::Machine,
    sources::Files,
};

/// Files, and how each looked when it was read. Those that were looked for in vain are among them:
/// they may come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchedFiles(BTreeMap<PathBuf, Look>);

/// What tells one state of a file from another without reading it. A file behind a link is looked
/// at itself, for that is how mounted secrets are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Absent,
    There {
        device: u64,
        inode: u64,
        length: u64,
        changed: (i64, i64),
        modified: (i64, i64),
        folders: u64,
    },
}

impl Look {
    fn at(path: &Path) -> Self {
        // Whatever keeps us from looking is as good as no file: reading it says why.
        fs::metadata(path).map_or(Self::Absent, |file| Self::There {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            changed: (file.ctime(), file.ctime_nsec()),
            modified: (file.mtime(), file.mtime_nsec()),
            // Whether the file may be used depends on them.
            folders: access::folders(path),
        })
    }
}

impl WatchedFiles {
    /// The same files, as they look now.
    #[must_use]
    pub fn look_again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), Look::at(path))).collect())
    }
}

/// Reads files, and keeps note of which.
pub(super) struct Noting<'a> {
    files: &'a dyn Files,
    noted: Mutex<WatchedFiles>,
}

impl<'a> Noting<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self { files, noted: Mutex::default() }
    }

    /// The files that were asked for so far.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).0.keys().cloned().collect()
    }

    pub(super) fn watched_files(self) -> WatchedFiles {
        self.noted.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Noting<'_> {
    fn read(&self, path: &Path) -> io::Result<ReadFile> {
        // Before it is read: what changes meanwhile must not go unnoticed.
        let look = Look::at(path);
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).0.insert(path.to_owned(), look);
        self.files.read(path)
    }

    fn machine(&self) -> &dyn Machine {
        self.files.machine()
    }
}

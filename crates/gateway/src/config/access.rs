//! Reads files, and finds out who else could change what was read (threat 67): permissions and
//! owners of the file that is open, of each folder and each link on the way to it. What they mean
//! is `portunus_core::file_access`; what is done about it, [`super::inputs`] says.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use portunus_core::file_access::{FileEntry, FileKind, Mount, Writer};

use super::mounts::{self, is_private_group};

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    pub bytes: Vec<u8>,
    /// The first thing on the way to it that others could change.
    pub writable: Option<Writable>,
    /// Every user of this machine can read it.
    pub is_public: bool,
}

/// What others could change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    pub path: PathBuf,
    pub kind: FileKind,
    pub mode: u32,
    pub by: Writer,
}

impl ReadFile {
    /// With nothing to say against it.
    pub fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes, writable: None, is_public: false }
    }
}

/// Reads the file at this absolute path.
pub(super) fn read(path: &Path) -> io::Result<ReadFile> {
    let mut file = File::open(path)?;
    let opened = file.metadata()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // A pipe or a terminal belongs to what started the process.
    if !opened.is_file() {
        return Ok(ReadFile::plain(bytes));
    }
    let steps = walk(path)?;
    // What is judged is what was read. Another file in between is a renewal that is under way, or
    // the work of a user who may change files here.
    let is_same = steps
        .last()
        .is_some_and(|last| (last.look.dev(), last.look.ino()) == (opened.dev(), opened.ino()));
    if !is_same {
        return Err(io::Error::new(
            io::ErrorKind::Interrupted,
            "it was exchanged while it was read",
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    let writable = steps.iter().find_map(|step| step.writable(me));
    let is_public = opened.mode() & 0o004 != 0
        && steps.iter().all(|step| !step.look.is_dir() || step.look.mode() & 0o001 != 0)
        && mounts::of(path) == Mount::Local;
    Ok(ReadFile { bytes, writable, is_public })
}

/// One thing on the way to a file, or the file.
struct Step {
    path: PathBuf,
    look: Metadata,
    is_in_shared: bool,
}

impl Step {
    fn entry(&self) -> FileEntry {
        let kind = match self.look.file_type() {
            kind if kind.is_symlink() => FileKind::Link,
            kind if kind.is_dir() => FileKind::Folder,
            _ => FileKind::File,
        };
        FileEntry {
            kind,
            owner: self.look.uid(),
            group: self.look.gid(),
            mode: self.look.mode() & 0o7777,
        }
    }

    fn writable(&self, me: u32) -> Option<Writable> {
        let entry = self.entry();
        let by = entry.stranger(me, self.is_in_shared, |group| is_private_group(group, me))?;
        let FileEntry { kind, mode, .. } = entry;
        (!mounts::of(&self.path).excuses(by, kind)).then(|| Writable {
            path: self.path.clone(),
            kind,
            mode,
            by,
        })
    }
}

/// Every folder and link that leads to the file, from the root on, and the file itself.
fn walk(path: &Path) -> io::Result<Vec<Step>> {
    let mut steps = vec![Step {
        path: PathBuf::from("/"),
        look: fs::symlink_metadata("/")?,
        is_in_shared: false,
    }];
    let mut ahead: VecDeque<OsString> = names(path);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        // Its folder was looked at before: each name is below the one that is looked at now.
        let is_in_shared = steps
            .iter()
            .rev()
            .find(|step| step.path == at)
            .is_some_and(|folder| folder.entry().is_shared());
        let next = at.join(&name);
        let look = fs::symlink_metadata(&next)?;
        let is_link = look.file_type().is_symlink();
        steps.push(Step { path: next.clone(), look, is_in_shared });
        if is_link {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many links"));
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut through = names(&target);
            through.append(&mut ahead);
            ahead = through;
        } else {
            at = next;
        }
    }
    Ok(steps)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let names = path
        .components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir));
    names.map(|component| component.as_os_str().to_owned()).collect()
}

/// Owner and permissions of all folders on the way to a file: what makes it another case though the
/// file stays the same.
pub(super) fn folders(path: &Path) -> u64 {
    let steps = walk(path).unwrap_or_default();
    let folders = steps.iter().filter(|step| step.look.is_dir());
    folders.fold(0_u64, |sum, Step { look, .. }| {
        let facts =
            u64::from(look.mode()) ^ (u64::from(look.uid()) << 16) ^ (u64::from(look.gid()) << 32);
        sum.rotate_left(7) ^ facts
    })
}

#[cfg(test)]
mod tests;

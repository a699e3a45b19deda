//! Records as lines of JSON beside the store: in a file, or on standard output. They are written
//! after the store has them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use portunus_core::audit::ChainedRecord;

use crate::config::{AuditConfig, SinkTarget};

/// Files that were put aside and are kept: `{file}.1` is the newest.
const ASIDE: u32 = 10;

/// Where lines go.
pub(super) struct Sink {
    target: SinkTarget,
    rotate_bytes: u64,
    open: Option<(File, u64)>,
    is_failing: bool,
}

impl Sink {
    pub(super) fn new(config: &AuditConfig) -> Option<Self> {
        let target = config.file.clone()?;
        let rotate_bytes = config.rotate_bytes as u64;
        Some(Self { target, rotate_bytes, open: None, is_failing: false })
    }

    /// A line that cannot be written is in the store all the same.
    pub(super) fn write(&mut self, records: &[ChainedRecord]) {
        let mut text = String::new();
        for record in records {
            text.push_str(&record.line());
            text.push('\n');
        }
        let written = match self.target.clone() {
            SinkTarget::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            SinkTarget::File(path) => self.write_to_file(&path, text.as_bytes()),
        };
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.open = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "audit records cannot be written to audit.file; the store has them");
                }
            }
        }
    }

    fn write_to_file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => opened(path)?,
        };
        if size > 0 && size + bytes.len() as u64 > self.rotate_bytes {
            drop(file);
            put_aside(path)?;
            (file, _) = opened(path)?;
        }
        file.write_all(bytes)?;
        let size = file.metadata()?.len();
        self.open = Some((file, size));
        Ok(())
    }
}

fn opened(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn put_aside(path: &Path) -> io::Result<()> {
    for number in (1..ASIDE).rev() {
        let (from, to) = (aside(path, number), aside(path, number + 1));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, aside(path, 1))
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

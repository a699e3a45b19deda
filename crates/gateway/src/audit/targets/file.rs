//! Records as lines of JSON in a file, or on standard output. A thread of its own writes, so that a
//! disk that stands still holds up nothing but the lines. Commands append to the file of a gateway
//! that runs: a line is written in one piece, at the end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use portunus_core::audit::{ChainId, ChainedRecord};
use tokio::sync::oneshot;

use super::target::{NotTaken, Taken, Target};
use crate::config::SinkTarget;

/// Files that were put aside and are kept: `{file}.1` is the newest.
const ASIDE: u32 = 10;
/// Where the end of a file is looked for the last line of a chain.
const TAIL: u64 = 256 * 1024;
/// A write that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(10);

enum Job {
    Write(Vec<u8>, oneshot::Sender<io::Result<()>>),
    FindLast(ChainId, oneshot::Sender<Option<u64>>),
}

/// The end of the thread that writes.
pub(super) struct Lines(Option<mpsc::SyncSender<Job>>);

impl Lines {
    /// Of a gateway: the file is made if there is none, and put aside when it is large.
    pub(super) fn new(target: SinkTarget, rotate_bytes: u64) -> Self {
        Self::start(Writer { target, rotate_bytes: Some(rotate_bytes), open: None })
    }

    /// Of a command, to the file of a gateway.
    pub(super) fn beside(target: SinkTarget) -> Self {
        Self::start(Writer { target, rotate_bytes: None, open: None })
    }

    fn start(mut writer: Writer) -> Self {
        let (jobs, queue) = mpsc::sync_channel(1);
        // Not a thread of the runtime: that would wait for it when it ends.
        let started = thread::Builder::new().name("audit-file".to_owned()).spawn(move || {
            for job in queue {
                writer.run(job);
            }
        });
        Self(started.is_ok().then_some(jobs))
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Option<T> {
        let (answer, is_done) = oneshot::channel();
        // There is room: the one who asks waits for each answer.
        self.0.as_ref()?.try_send(job(answer)).ok()?;
        let mut is_done = std::pin::pin!(is_done);
        if let Ok(done) = tokio::time::timeout(SLOW, &mut is_done).await {
            return done.ok();
        }
        tracing::error!("audit.file does not take lines: they wait in the store");
        is_done.await.ok()
    }
}

#[async_trait]
impl Target for Lines {
    async fn send(&mut self, records: &[ChainedRecord]) -> Result<Taken, NotTaken> {
        let mut text = String::new();
        for record in records {
            text.push_str(&record.line());
            text.push('\n');
        }
        match self.ask(|answer| Job::Write(text.into_bytes(), answer)).await {
            Some(Ok(())) => Ok(Taken::default()),
            Some(Err(error)) => Err(NotTaken::because(error.to_string())),
            None => Err(NotTaken::because("the thread that writes it has ended")),
        }
    }

    async fn find_last(&mut self, chain: &ChainId) -> Option<u64> {
        self.ask(|answer| Job::FindLast(chain.clone(), answer)).await.flatten()
    }
}

struct Writer {
    target: SinkTarget,
    /// `None`: beside a gateway, whose file it is.
    rotate_bytes: Option<u64>,
    open: Option<File>,
}

impl Writer {
    fn run(&mut self, job: Job) {
        match job {
            Job::Write(bytes, answer) => {
                let written = self.write(&bytes);
                if written.is_err() {
                    self.open = None;
                }
                // The one who asked is gone when the gateway ends.
                let _ = answer.send(written);
            }
            Job::FindLast(chain, answer) => {
                let last = match &self.target {
                    SinkTarget::File(path) => last_line_of(path, &chain).unwrap_or_default(),
                    SinkTarget::Stdout => None,
                };
                let _ = answer.send(last);
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &self.target {
            SinkTarget::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            SinkTarget::File(path) => {
                let path = path.clone();
                self.write_to_file(&path, bytes)
            }
        }
    }

    fn write_to_file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(rotate_bytes) = self.rotate_bytes else {
            let mut file = OpenOptions::new().append(true).open(path)?;
            return file.write_all(bytes);
        };
        let mut file = match self.open.take() {
            Some(open) => open,
            None => opened(path)?,
        };
        // Each time: commands append to it too.
        let mut size = file.metadata()?.len();
        if size > 0 && size + bytes.len() as u64 > rotate_bytes {
            drop(file);
            put_aside(path)?;
            file = opened(path)?;
            size = 0;
        }
        if let Err(error) = file.write_all(bytes) {
            // Half a line, as on a full disk, is taken back: all of it is written again.
            if file.metadata()?.len() < size + bytes.len() as u64 {
                file.set_len(size)?;
            }
            return Err(error);
        }
        self.open = Some(file);
        Ok(())
    }
}

/// The number of the chain's last line in the file, if it is near its end.
fn last_line_of(path: &Path, chain: &ChainId) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let lines = tail.split(|byte| *byte == b'\n').rev();
    let mut records = lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter_map(ChainedRecord::from_line);
    Ok(records.find(|record| record.chain == *chain).map(|record| record.seq))
}

fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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

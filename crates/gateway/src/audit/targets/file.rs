//! Records as lines of JSON in a file, or on standard output. A thread of its own writes, so that a
//! disk that stands still holds up nothing but the lines. Commands append to the file of a gateway
//! that runs: a line is written in one piece, at the end.
//!
//! A crash or a full disk leaves half a line. Nothing is ever cut off: what was there may be a
//! command's. The next line begins with a line feed then, and of records that were given before
//! those are left out that the file has whole. `portunus audit verify` takes half a line for what
//! it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
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
pub(super) struct Lines {
    jobs: Option<mpsc::SyncSender<Job>>,
    /// The last write failed: some of its lines may be there.
    has_failed: bool,
}

impl Lines {
    /// Of a gateway: the file is made if there is none, and put aside when it is large.
    pub(super) fn new(target: SinkTarget, rotate_bytes: u64) -> Self {
        Self::start(Writer::of(target, Some(rotate_bytes)))
    }

    /// Of a command, to the file of a gateway.
    pub(super) fn beside(target: SinkTarget) -> Self {
        Self::start(Writer::of(target, None))
    }

    fn start(mut writer: Writer) -> Self {
        let (jobs, queue) = mpsc::sync_channel(1);
        // Not a thread of the runtime: that would wait for it when it ends.
        let started = thread::Builder::new().name("audit-file".to_owned()).spawn(move || {
            for job in queue {
                writer.run(job);
            }
        });
        Self { jobs: started.is_ok().then_some(jobs), has_failed: false }
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Option<T> {
        let (answer, is_done) = oneshot::channel();
        // There is room: the one who asks waits for each answer.
        self.jobs.as_ref()?.try_send(job(answer)).ok()?;
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
        let there = self.already_there(records).await;
        let mut text = String::new();
        for record in records.get(there..).unwrap_or_default() {
            text.push_str(&record.line());
            text.push('\n');
        }
        let written = self.ask(|answer| Job::Write(text.into_bytes(), answer)).await;
        self.has_failed = !matches!(written, Some(Ok(())));
        match written {
            Some(Ok(())) => Ok(Taken::all(records)),
            Some(Err(error)) => Err(NotTaken::because(&error.to_string())),
            None => Err(NotTaken::because("the thread that writes it has ended")),
        }
    }

    async fn find_last(&mut self, chain: &ChainId) -> Option<u64> {
        self.ask(|answer| Job::FindLast(chain.clone(), answer)).await.flatten()
    }
}

impl Lines {
    /// How many of them a write has left that failed behind them. All are of one chain.
    async fn already_there(&mut self, records: &[ChainedRecord]) -> usize {
        let Some(first) = records.first().filter(|_| self.has_failed) else { return 0 };
        let last = self.find_last(&first.chain).await.unwrap_or_default();
        records.iter().take_while(|record| record.seq <= last).count()
    }
}

struct Writer {
    target: SinkTarget,
    /// `None`: beside a gateway, whose file it is.
    rotate_bytes: Option<u64>,
    open: Option<Open>,
    /// Standard output may end in half a line.
    is_broken_off: bool,
}

/// A file that is appended to.
struct Open {
    file: File,
    /// The same, to look at its end; `None` if it has none, as a pipe, or may not be read.
    end: Option<File>,
}

impl Writer {
    const fn of(target: SinkTarget, rotate_bytes: Option<u64>) -> Self {
        Self { target, rotate_bytes, open: None, is_broken_off: false }
    }

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
                let feed: &[u8] = if self.is_broken_off { b"\n" } else { b"" };
                let written = out.write_all(feed).and_then(|()| out.write_all(bytes));
                let written = written.and_then(|()| out.flush());
                self.is_broken_off = written.is_err();
                written
            }
            SinkTarget::File(path) => {
                let path = path.clone();
                self.write_to_file(&path, bytes)
            }
        }
    }

    fn write_to_file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(rotate_bytes) = self.rotate_bytes else {
            return Open::at(path, false)?.append(bytes);
        };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(path, true)?,
        };
        // Each time: commands append to it too.
        let size = open.file.metadata()?.len();
        if size > 0 && size + bytes.len() as u64 > rotate_bytes {
            drop(open);
            put_aside(path)?;
            open = Open::at(path, true)?;
        }
        open.append(bytes)?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path, is_made: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(is_made);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        // A pipe is not opened for reading: it would be its own reader.
        let end = if file.metadata()?.is_file() { File::open(path).ok() } else { None };
        Ok(Self { file, end })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In one piece: others append too.
        if self.ends_in_half_a_line()? {
            return self.file.write_all(&[b"\n", bytes].concat());
        }
        self.file.write_all(bytes)
    }

    fn ends_in_half_a_line(&mut self) -> io::Result<bool> {
        let Some(end) = &mut self.end else { return Ok(false) };
        let mut last = [0];
        match end.seek(SeekFrom::End(-1)).and_then(|_| end.read_exact(&mut last)) {
            Ok(()) => Ok(last != *b"\n"),
            // It is empty.
            Err(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::UnexpectedEof) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
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

fn put_aside(path: &Path) -> io::Result<()> {
    for number in (1..ASIDE).rev() {
        let (from, to) = (aside(path, number), aside(path, number + 1));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
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

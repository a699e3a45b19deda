//! The stdio transport (MCP, transports, stdio): a child process that reads and writes
//! newline-delimited JSON on its standard streams.
//!
//! It is started from the configured argv alone (threat 43), with a short environment (threat 44),
//! and never outlives its link. Starting and ending the process is in [`process`].

mod environment;
mod lines;
mod process;

use std::{collections::BTreeMap, path::Path, process::ExitStatus, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use portunus_core::secret::SecretText;
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    process::ChildStdin,
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::lines::{Line, Lines};
use self::process::{Child, Program, Started};
use super::{
    connect_options::ConnectOptions,
    error::UpstreamError,
    inbox::{BOM, Inbox},
    link::{Link, Outgoing},
    server_log::ServerLog,
};
use crate::{child::launch, sandbox::Sandbox};

/// How many messages may wait for a child that does not read.
const QUEUE: usize = 64;
/// The longest line of standard error that is logged.
const STDERR_LINE: usize = 8 * 1024;
/// How long the output of a child that has ended is still read: a grandchild may hold the pipe
/// open.
const LAST_OUTPUT: Duration = Duration::from_millis(300);
/// How long the system may take to end a killed process.
const AFTER_KILL: Duration = Duration::from_secs(2);

pub(super) struct StdioLink {
    queue: mpsc::Sender<Bytes>,
    /// Cancelled, or dropped: either way the supervisor ends the child.
    closing: CancellationToken,
    _on_drop: DropGuard,
    ended: CancellationToken,
}

impl StdioLink {
    pub(super) fn spawn(
        command: &str,
        args: &[String],
        env: &BTreeMap<String, SecretText>,
        cwd: Option<&Path>,
        sandbox: &Sandbox,
        inbox: &Arc<Inbox>,
        options: &ConnectOptions,
    ) -> Result<Arc<dyn Link>, UpstreamError> {
        let program = Program { server: &inbox.key.server, command, args, env, cwd, sandbox };
        let started = program.start(options.launcher.get());
        let Started { child, stdin, stdout, stderr, first } = started
            .map_err(|error| UpstreamError::Spawn { detail: format!("{command}: {error}") })?;
        tracing::debug!(server = %inbox.key.server, pid = child.id(), "started a child process");
        let server_log = inbox.open_log(env.values());
        let (queue, queued) = mpsc::channel(QUEUE);
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor {
            child,
            inbox: Arc::clone(inbox),
            server_log: Arc::clone(&server_log),
            writer: tokio::spawn(write(stdin, first, queued, Arc::clone(inbox))),
            reader: tokio::spawn(read(
                stdout,
                options.max_message,
                Arc::clone(inbox),
                Arc::clone(&server_log),
            )),
            listener: tokio::spawn(listen(stderr, server_log)),
            closing: closing.clone(),
            grace: options.close_grace,
            kill_now: options.kill_now.clone(),
        };
        let done = ended.clone().drop_guard();
        options.tasks.spawn(async move {
            supervisor.run().await;
            drop(done);
        });
        Ok(Arc::new(Self {
            queue,
            closing: closing.clone(),
            _on_drop: closing.drop_guard(),
            ended,
        }))
    }
}

#[async_trait]
impl Link for StdioLink {
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError> {
        let line = one_line(outgoing.message);
        self.queue.send(line).await.map_err(|_| UpstreamError::closed("the child reads no more"))
    }

    fn answers_inline(&self) -> bool {
        false
    }

    fn complete_handshake(&self, _: &str) {}

    async fn close(&self) {
        self.closing.cancel();
        self.ended.cancelled().await;
    }
}

/// Replaces line ends by spaces. In a JSON text they stand only between tokens, where both mean the
/// same.
fn one_line(message: Bytes) -> Bytes {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !message.iter().any(breaks) {
        return message;
    }
    message.iter().map(|byte| if breaks(byte) { b' ' } else { *byte }).collect()
}

async fn write(
    mut stdin: ChildStdin,
    first: Vec<u8>,
    mut queued: mpsc::Receiver<Bytes>,
    inbox: Arc<Inbox>,
) {
    if stdin.write_all(&first).await.is_err() {
        return;
    }
    drop(first);
    while let Some(line) = queued.recv().await {
        let written = async {
            stdin.write_all(&line).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(server = %inbox.key.server, %error, "the child does not take input");
            return;
        }
    }
}

async fn read(
    stdout: impl AsyncRead + Unpin,
    max: usize,
    inbox: Arc<Inbox>,
    server_log: Arc<ServerLog>,
) {
    let mut lines = Lines::new(stdout, max);
    let mut is_first = true;
    loop {
        let line = lines.next().await;
        if let (true, Ok(Some(Line::Whole(line)))) = (std::mem::take(&mut is_first), &line)
            && let Some(detail) = launch::read_failure(line)
        {
            return inbox.close(&UpstreamError::Spawn { detail });
        }
        match line {
            Ok(Some(Line::Whole(line))) => match first_of(&line) {
                Some(b'{' | b'[') => inbox.deliver(&text(line), None),
                Some(_) => server_log.line("stdout", &line),
                None => {}
            },
            Ok(Some(Line::TooLong { id })) => {
                tracing::warn!(server = %inbox.key.server, max, "skipped a message that is too large");
                if let Some(id) = id {
                    inbox.fail(id, UpstreamError::TooLarge);
                }
            }
            Ok(None) | Err(_) => return,
        }
    }
}

/// The first byte of a line after a byte order mark and white space.
fn first_of(line: &[u8]) -> Option<u8> {
    line.strip_prefix(BOM).unwrap_or(line).iter().find(|byte| !byte.is_ascii_whitespace()).copied()
}

/// The line as text. Bytes that are not UTF-8 are replaced: they may be a letter of a tool's answer
/// (FB32).
fn text(line: Vec<u8>) -> Bytes {
    match String::from_utf8(line) {
        Ok(text) => Bytes::from(text),
        Err(error) => Bytes::from(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

async fn listen(stderr: impl AsyncRead + Unpin, server_log: Arc<ServerLog>) {
    let mut lines = Lines::new(stderr, STDERR_LINE);
    while let Ok(Some(line)) = lines.next().await {
        match line {
            Line::Whole(line) => server_log.line("stderr", &line),
            Line::TooLong { .. } => server_log.line("stderr", b"[a line that is too long]"),
        }
    }
}

/// Watches one child until its end.
struct Supervisor {
    child: Child,
    inbox: Arc<Inbox>,
    server_log: Arc<ServerLog>,
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    listener: JoinHandle<()>,
    closing: CancellationToken,
    grace: Duration,
    kill_now: CancellationToken,
}

impl Supervisor {
    async fn run(mut self) {
        tokio::select! {
            status = self.child.wait() => self.report_end(&status).await,
            _ = &mut self.reader => {
                // Usually the first sign of the child's end: the exit status follows shortly.
                match timeout(LAST_OUTPUT, self.child.wait()).await {
                    Ok(status) => self.report_end(&status).await,
                    Err(_) => self.inbox.close(&UpstreamError::closed("the child closed its output")),
                }
            }
            () = self.closing.cancelled() => {}
            () = self.inbox.closed().cancelled() => {}
        }
        self.end().await;
    }

    async fn report_end(&mut self, status: &std::io::Result<ExitStatus>) {
        // Answers that the child wrote before it ended still count.
        if !self.reader.is_finished() {
            let _ = timeout(LAST_OUTPUT, &mut self.reader).await;
        }
        if !self.listener.is_finished() {
            let _ = timeout(LAST_OUTPUT, &mut self.listener).await;
        }
        if status.as_ref().is_ok_and(ExitStatus::success) {
            self.inbox.note_good_end();
        }
        let status = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        self.inbox.close(&UpstreamError::closed(format!(
            "the child ended: {status}; its last lines: {}",
            self.server_log.last_lines()
        )));
    }

    /// Ends the child: closes its input, then SIGTERM, then SIGKILL. All processes that came of the
    /// program end in any case.
    async fn end(mut self) {
        self.writer.abort();
        let _ = (&mut self.writer).await;
        if !self.wait_for_grace().await {
            self.child.terminate();
            self.wait_for_grace().await;
        }
        if !self.child.kill(AFTER_KILL).await {
            tracing::warn!(server = %self.inbox.key.server, pid = self.child.id(), "a killed child has not ended yet");
        }
        self.inbox.close(&UpstreamError::closed("closed"));
        self.reader.abort();
        self.listener.abort();
    }

    async fn wait_for_grace(&mut self) -> bool {
        tokio::select! {
            _ = self.child.wait() => true,
            () = tokio::time::sleep(self.grace) => false,
            () = self.kill_now.cancelled() => false,
        }
    }
}

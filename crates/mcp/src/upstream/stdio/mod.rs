//! A child process that speaks newline-delimited JSON on its standard streams (MCP, transports, stdio). It is started from the
//! configuration's argv and nothing else (threat 43), in a process group of its own with a short environment (threat 44), and
//! never outlives its link.

mod chatter;
mod environment;
mod lines;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use portunus_core::secret::SecretText;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    process::{ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    chatter::Chatter,
    lines::{Line, Lines},
};
use super::{
    Hello, UpstreamError,
    inbox::Inbox,
    link::{Link, Outgoing},
};

/// How many messages may wait for a child that does not read.
const QUEUE: usize = 64;
/// The longest line of standard error that is looked at.
const STDERR_LINE: usize = 8 * 1024;
/// How long the output of a child that has ended may still be read: a grandchild may hold the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(300);
/// How long the system may take to end what was killed.
const AFTER_KILL: Duration = Duration::from_secs(2);
const SIGTERM: i32 = 15;

pub(super) struct StdioLink {
    queue: mpsc::Sender<Bytes>,
    /// Told to end, or dropped: either way the supervisor ends the child.
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
        inbox: &Arc<Inbox>,
        hello: &Hello,
    ) -> Result<Arc<dyn Link>, UpstreamError> {
        let failed = |what: &str| UpstreamError::Spawn { detail: format!("{command}: {what}") };
        let mut child = start(command, args, env, cwd).map_err(|error| failed(&error.to_string()))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.0.stdin().take(), child.0.stdout().take(), child.0.stderr().take())
        else {
            return Err(failed("no pipes"));
        };
        tracing::debug!(server = %inbox.key.server, pid = child.0.id(), "started a child process");
        let chatter = Arc::new(Chatter::new(inbox.key.server.clone(), env));
        let (queue, queued) = mpsc::channel(QUEUE);
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor {
            child,
            inbox: Arc::clone(inbox),
            chatter: Arc::clone(&chatter),
            writer: tokio::spawn(write(stdin, queued, Arc::clone(inbox))),
            reader: tokio::spawn(read(stdout, hello.max_message, Arc::clone(inbox), Arc::clone(&chatter))),
            listener: tokio::spawn(listen(stderr, chatter)),
            closing: closing.clone(),
            grace: hello.close_grace,
            hurry: hello.hurry.clone(),
        };
        let done = ended.clone().drop_guard();
        hello.tasks.spawn(async move {
            supervisor.run().await;
            drop(done);
        });
        Ok(Arc::new(Self { queue, closing: closing.clone(), _on_drop: closing.drop_guard(), ended }))
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

    fn initialized(&self, _: &str) {}

    async fn close(&self) {
        self.closing.cancel();
        self.ended.cancelled().await;
    }
}

/// Line ends stand only between the tokens of a JSON text, where a space means the same.
fn one_line(message: Bytes) -> Bytes {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !message.iter().any(breaks) {
        return message;
    }
    message.iter().map(|byte| if breaks(byte) { b' ' } else { *byte }).collect()
}

fn start(command: &str, args: &[String], env: &BTreeMap<String, SecretText>, cwd: Option<&Path>) -> std::io::Result<Child> {
    let mut command = Command::new(command);
    command.args(args).env_clear().envs(environment::allowed(std::env::vars_os()));
    command.envs(env.iter().map(|(name, value)| (name, value.expose())));
    if let Some(cwd) = cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wrap = CommandWrap::from(command);
    wrap.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    wrap.spawn().map(Child)
}

/// A child and its process group, which are gone when this is dropped.
struct Child(Box<dyn ChildWrapper>);

impl Child {
    /// Waits for the child itself, whatever its own children do.
    async fn exited(&mut self) -> std::io::Result<ExitStatus> {
        self.0.inner_mut().wait().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The group may be gone already.
        let _ = self.0.start_kill();
    }
}

async fn write(mut stdin: ChildStdin, mut queued: mpsc::Receiver<Bytes>, inbox: Arc<Inbox>) {
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

async fn read(stdout: impl AsyncRead + Unpin, max: usize, inbox: Arc<Inbox>, chatter: Arc<Chatter>) {
    let mut lines = Lines::new(stdout, max);
    loop {
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => match line.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{' | b'[') => inbox.deliver(&Bytes::from(line), None),
                Some(_) => chatter.line("stdout", &line),
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

async fn listen(stderr: impl AsyncRead + Unpin, chatter: Arc<Chatter>) {
    let mut lines = Lines::new(stderr, STDERR_LINE);
    while let Ok(Some(line)) = lines.next().await {
        match line {
            Line::Whole(line) => chatter.line("stderr", &line),
            Line::TooLong { .. } => chatter.line("stderr", b"[a line that is too long]"),
        }
    }
}

/// Watches one child from its start to its end.
struct Supervisor {
    child: Child,
    inbox: Arc<Inbox>,
    chatter: Arc<Chatter>,
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    listener: JoinHandle<()>,
    closing: CancellationToken,
    grace: Duration,
    hurry: CancellationToken,
}

impl Supervisor {
    async fn run(mut self) {
        tokio::select! {
            status = self.child.exited() => self.ended_by_itself(&status).await,
            _ = &mut self.reader => {
                // Usually the first sign of its end: give the exit status a moment.
                match timeout(LAST_OUTPUT, self.child.exited()).await {
                    Ok(status) => self.ended_by_itself(&status).await,
                    Err(_) => self.inbox.close(&UpstreamError::closed("the child closed its output")),
                }
            }
            () = self.closing.cancelled() => {}
            () = self.inbox.closed().cancelled() => {}
        }
        self.end().await;
    }

    async fn ended_by_itself(&mut self, status: &std::io::Result<ExitStatus>) {
        // Answers it wrote before it ended still count.
        if !self.reader.is_finished() {
            let _ = timeout(LAST_OUTPUT, &mut self.reader).await;
        }
        if !self.listener.is_finished() {
            let _ = timeout(LAST_OUTPUT, &mut self.listener).await;
        }
        let status = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        self.inbox.close(&UpstreamError::closed(format!("the child ended: {status}; last words: {}", self.chatter.last_words())));
    }

    /// Closed input first, then SIGTERM, then SIGKILL; the whole group goes in any case.
    async fn end(mut self) {
        self.writer.abort();
        let _ = (&mut self.writer).await;
        if !self.ends_in_grace().await {
            let _ = self.child.0.signal(SIGTERM);
            self.ends_in_grace().await;
        }
        let _ = self.child.0.start_kill();
        if timeout(AFTER_KILL, self.child.0.wait()).await.is_err() {
            tracing::warn!(server = %self.inbox.key.server, pid = self.child.0.id(), "a killed child has not ended yet");
        }
        self.inbox.close(&UpstreamError::closed("closed"));
        self.reader.abort();
        self.listener.abort();
    }

    async fn ends_in_grace(&mut self) -> bool {
        tokio::select! {
            _ = self.child.exited() => true,
            () = tokio::time::sleep(self.grace) => false,
            () = self.hurry.cancelled() => false,
        }
    }
}

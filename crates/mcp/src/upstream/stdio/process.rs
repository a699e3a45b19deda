//! The process of a stdio server: below a supervisor ([`crate::child`]) if the gateway's program is
//! known, else in a process group of its own. In both cases it ends when its [`Child`] is dropped.
//! Its input and output are next door, in [`super`].

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use portunus_core::{ids::ServerName, secret::SecretText};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{self, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::environment;
use crate::{
    child::{self, Children, Launcher, Registration, launch::Launch},
    sandbox::Sandbox,
};

/// The program to start.
pub(super) struct Program<'a> {
    pub(super) server: &'a ServerName,
    pub(super) command: &'a str,
    pub(super) args: &'a [String],
    pub(super) env: &'a BTreeMap<String, SecretText>,
    pub(super) cwd: Option<&'a Path>,
    pub(super) sandbox: &'a Sandbox,
}

/// A program that runs, or will run once it has read `first`.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    /// The bytes to write before anything else.
    pub(super) first: Vec<u8>,
}

pub(super) struct Child {
    process: process::Child,
    /// The id of the process and of its group, as long as it has not been waited for.
    pid: Option<Pid>,
    /// Set if the process is a supervisor, which ends all processes of its program. Those that it
    /// could not end are found here.
    supervised: Option<Arc<Children>>,
    /// The registration of the supervisor, until it has been waited for.
    registration: Option<Registration>,
}

impl Program<'_> {
    pub(super) fn start(&self, launcher: Option<&Launcher>) -> io::Result<Started> {
        match launcher {
            Some(launcher) => self.start_supervised(launcher),
            None if *self.sandbox == Sandbox::default() => self.start_alone(),
            None => Err(io::Error::other(
                "`run_as` and `confine` need Linux, and the gateway's own program",
            )),
        }
    }

    fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let inherited = environment::allowed(std::env::vars_os(), self.sandbox.run_as.as_ref());
        inherited.chain(self.env.iter().map(|(name, value)| (name.into(), value.expose().into())))
    }

    fn start_alone(&self) -> io::Result<Started> {
        let mut command = Command::new(self.command);
        command.args(self.args).env_clear().envs(self.environment());
        if let Some(cwd) = self.cwd {
            command.current_dir(cwd);
        }
        with_pipes(&mut command);
        let child = command.spawn()?;
        started(child, None, None, Vec::new())
    }

    fn start_supervised(&self, launcher: &Launcher) -> io::Result<Started> {
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| io::Error::other("`cwd` is not UTF-8"))
        };
        let launch = Launch {
            command: self.command.to_owned(),
            args: self.args.to_vec(),
            env: self.environment().collect::<BTreeMap<_, _>>().into_iter().collect(),
            cwd: self.cwd.map(text).transpose()?,
            sandbox: self.sandbox.clone(),
        };
        let first = launch.encode()?;
        let mut command = Command::new(&launcher.program);
        // Without the server's variables: they could make the supervisor load another library, with
        // the gateway's rights.
        command
            .arg0("portunus")
            .arg(child::SUPERVISOR)
            .arg(std::process::id().to_string())
            .arg(self.server.as_str())
            .env_clear();
        with_pipes(&mut command);
        let spawn = || {
            command
                .spawn()
                .map(|child| (child.id().unwrap_or_default(), child))
                .map(|(pid, child)| (child, pid))
        };
        let (child, registration) = launcher.children.register(spawn)?;
        started(child, Some(Arc::clone(&launcher.children)), Some(registration), first)
    }
}

fn with_pipes(command: &mut Command) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
}

fn started(
    mut process: process::Child,
    supervised: Option<Arc<Children>>,
    registration: Option<Registration>,
    first: Vec<u8>,
) -> io::Result<Started> {
    let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let child = Child { process, pid, supervised, registration };
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("no pipes"));
    };
    Ok(Started { child, stdin, stdout, stderr, first })
}

impl Child {
    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for the program, and for all processes that came of it if it is supervised.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait().await?;
        if let Some(mut registration) = self.registration.take() {
            // A supervisor that was killed may have ended no process.
            registration.has_ended_well = status.code().is_some();
        }
        Ok(status)
    }

    /// Asks the program and its process group to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills the program and the processes that came of it, within `patience`. `false`: they have
    /// not ended yet.
    pub(super) async fn kill(&mut self, patience: Duration) -> bool {
        if self.supervised.is_some() {
            self.signal(Signal::QUIT);
            if timeout(patience, self.wait()).await.is_ok() {
                return true;
            }
        } else {
            self.signal(Signal::KILL);
        }
        let _ = self.process.start_kill();
        let has_ended = timeout(patience, self.wait()).await.is_ok();
        if let Some(children) = self.supervised.as_ref().filter(|_| has_ended) {
            children.settle(patience).await;
        }
        has_ended
    }

    /// Sends a signal. The process is waited for here alone, so until then its id cannot be
    /// another's. A process group outlives its leader.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        // The process may be gone already.
        let _ = match self.process.id() {
            Some(_) if self.supervised.is_some() => kill_process(pid, signal),
            None if self.supervised.is_some() => Ok(()),
            _ => kill_process_group(pid, signal),
        };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.supervised.is_none() {
            self.signal(Signal::KILL);
        }
        // A supervisor is killed when `process` is dropped; then its program gets a signal of its
        // own, and the rest is found by `adopted`.
    }
}

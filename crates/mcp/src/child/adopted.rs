//! Processes that became the gateway's children without being started by it. What loses its parent
//! below a supervisor goes to that supervisor; it comes here only when a supervisor was killed, or
//! when the gateway is the first process of a container.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::JoinHandle,
};

use super::processes;
use crate::sync::locked;

/// While something that was killed has not ended, or one of ours has ended and was not fetched.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The children that the gateway started, and those it did not. Bounded by the number of processes
/// there can be.
#[derive(Debug, Default)]
pub struct Children {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Started here: each is fetched through its handle.
    own: HashSet<Pid>,
    /// Not started here, and nothing to do with servers: they were there before the gateway, or are
    /// orphans of a container.
    unrelated: HashSet<Pid>,
    /// A supervisor was killed: what comes now was its own.
    ends_orphans: bool,
    /// This process adopts, and may fetch what it adopted.
    is_watching: bool,
}

/// One child that was started here, until it is fetched.
#[derive(Debug)]
pub struct Registration {
    children: Arc<Children>,
    pid: Pid,
    /// It ended by itself, after all that came of it.
    pub(crate) has_ended_well: bool,
}

impl Children {
    /// Starts a child, which is known before anything can be seen of it.
    pub(crate) fn register<T>(
        self: &Arc<Self>,
        spawn: impl FnOnce() -> io::Result<(T, u32)>,
    ) -> io::Result<(T, Registration)> {
        let mut state = locked(&self.state);
        let (child, pid) = spawn()?;
        let pid =
            i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        state.own.insert(pid);
        Ok((child, Registration { children: Arc::clone(self), pid, has_ended_well: false }))
    }

    /// Looks after adopted processes from now on. For the one process that is a subreaper, and has
    /// no other way of fetching its children than the handles of those registered here.
    pub fn watch(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let mut ended = signal(SignalKind::child())?;
        {
            let mut state = locked(&self.state);
            state.is_watching = true;
            state.unrelated =
                processes::children().into_iter().filter(|pid| !state.own.contains(pid)).collect();
        }
        let children = Arc::clone(self);
        Ok(tokio::spawn(async move {
            let mut look_again = false;
            loop {
                tokio::select! {
                    _ = ended.recv() => {}
                    () = children.changed.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN), if look_again => {}
                }
                look_again = children.look();
            }
        }))
    }

    /// Returns when nothing is left of supervisors that were killed, or when `patience` is over:
    /// before the process ends, which would let go of it.
    pub(crate) async fn settle(&self, patience: Duration) {
        let settling = async {
            while locked(&self.state).is_watching && self.look() && locked(&self.state).ends_orphans
            {
                tokio::time::sleep(LOOK_AGAIN / 10).await;
            }
        };
        let _ = tokio::time::timeout(patience, settling).await;
    }

    /// Fetches what has ended and ends what a supervisor left behind. Is there more to come?
    fn look(&self) -> bool {
        let mut state = locked(&self.state);
        // One that has ended may have been killed just now.
        let is_one_gone = state.own.iter().any(|pid| has_ended(*pid));
        let ends_orphans = state.ends_orphans || is_one_gone;
        loop {
            let listed: HashSet<Pid> = processes::children().into_iter().collect();
            state.unrelated.retain(|pid| listed.contains(pid));
            let mut has_fetched = false;
            let mut killed = 0;
            for pid in
                listed.iter().filter(|pid| !state.own.contains(pid)).copied().collect::<Vec<_>>()
            {
                // Only this fetches it, so the number is its own until then.
                if let Ok(Some(_)) = waitpid(Some(pid), WaitOptions::NOHANG) {
                    has_fetched = true;
                    state.unrelated.remove(&pid);
                } else if ends_orphans && !state.unrelated.contains(&pid) {
                    killed += 1;
                    tracing::debug!(
                        pid = pid.as_raw_nonzero().get(),
                        "ending what a child process left behind"
                    );
                    let _ = kill_process(pid, Signal::KILL);
                } else {
                    state.unrelated.insert(pid);
                }
            }
            // The children of what was fetched are ours now.
            if !has_fetched {
                state.ends_orphans = ends_orphans && killed > 0;
                return killed > 0 || is_one_gone;
            }
        }
    }
}

/// Does not fetch it.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = locked(&self.children.state);
        state.own.remove(&self.pid);
        state.ends_orphans |= !self.has_ended_well;
        drop(state);
        self.children.changed.notify_one();
    }
}

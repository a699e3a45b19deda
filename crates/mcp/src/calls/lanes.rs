//! A modern client's calls side by side, at a server whose questions do not name their call: each
//! has a connection of its own while it runs, so that a question is about the one call there is
//! (threat 49). Calls one after the other share the first, and so what the server remembers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{hash::FastMap, sync::locked, upstream::ConnectionKey};

/// How many connections one client may have to one server: each can be a child process.
const MOST: usize = 16;
/// How long a call waits for one of them to be free. Calls that wait for their client's answer hold
/// theirs for minutes: the call then goes on beside another one, and what the server asks meanwhile
/// is refused, for it could be about either.
const LONGEST: Duration = Duration::from_secs(1);
/// Most calls are over sooner: waiting for one costs less than a process.
const PATIENCE: Duration = Duration::from_millis(100);
/// After so many clients those without a call are forgotten.
const PURGE_AT: usize = 1024;

/// By the client's first connection.
pub(crate) struct Lanes {
    clients: Mutex<FastMap<ConnectionKey, Arc<ClientLanes>>>,
    patience: Duration,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { clients: Mutex::default(), patience: PATIENCE }
    }
}

#[derive(Default)]
struct ClientLanes {
    state: Mutex<[State; MOST]>,
    freed: Notify,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Never used: there is no connection yet.
    #[default]
    Closed,
    Free,
    Taken,
}

/// The right to be the only call on a connection.
pub(crate) struct Lane {
    of: Arc<ClientLanes>,
    number: usize,
}

impl Drop for Lane {
    fn drop(&mut self) {
        locked(&self.of.state)[self.number] = State::Free;
        self.of.freed.notify_waiters();
    }
}

impl Lane {
    pub(super) fn number(&self) -> u8 {
        u8::try_from(self.number).unwrap_or_default()
    }
}

impl Lanes {
    /// `None`: all are taken, and stay so.
    pub(super) async fn take(&self, first: &ConnectionKey) -> Option<Lane> {
        let of = {
            let mut clients = locked(&self.clients);
            if clients.len() >= PURGE_AT {
                clients.retain(|_, lanes| Arc::strong_count(lanes) > 1);
            }
            Arc::clone(clients.entry(first.clone()).or_default())
        };
        let opens_at = Instant::now() + self.patience;
        let gives_up_at = opens_at + LONGEST;
        loop {
            let freed = of.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let is_patient = Instant::now() < opens_at;
            let found = {
                let mut state = locked(&of.state);
                let is_usable = |(number, state): (usize, &State)| match state {
                    State::Free => true,
                    State::Closed => number == 0 || !is_patient,
                    State::Taken => false,
                };
                let found = (0..MOST).find(|number| is_usable((*number, &state[*number])));
                if let Some(number) = found {
                    state[number] = State::Taken;
                }
                found
            };
            if let Some(number) = found {
                return Some(Lane { of: Arc::clone(&of), number });
            }
            tokio::select! {
                () = freed => {}
                () = tokio::time::sleep_until(opens_at), if is_patient => {}
                () = tokio::time::sleep_until(gives_up_at) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::ids::{ClientId, ServerName, UserId};

    use super::*;
    use crate::{client_capabilities::ClientCapabilities, era::Era, upstream::Owner};

    fn key(client: &str) -> ConnectionKey {
        let owner = Owner::Client(UserId::from_text("alice"), ClientId::from_text(client));
        ConnectionKey {
            server: ServerName::parse("dice").unwrap(),
            owner,
            client_capabilities: ClientCapabilities::default(),
            lane: 0,
            era: Era::Modern,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t49_no_two_calls_share_a_lane() {
        let lanes = Lanes { patience: Duration::ZERO, ..Lanes::default() };
        let mut taken = Vec::new();
        for n in 0..MOST {
            let lane = lanes.take(&key("one")).await.unwrap();
            assert_eq!(lane.number, n, "the lowest that is free");
            taken.push(lane);
        }
        let one = key("one");
        let other = lanes.take(&key("other")).await.unwrap();
        assert_eq!(other.number, 0, "each client has its own");
        assert!(
            lanes.take(&one).await.is_none(),
            "there are no more, and a call does not wait for ever"
        );
        drop(taken.remove(2));
        assert_eq!(lanes.take(&key("one")).await.unwrap().number, 2);
    }

    #[tokio::test]
    async fn calls_one_after_the_other_and_quick_ones_open_no_lane() {
        let lanes = Arc::new(Lanes { patience: Duration::from_secs(3600), ..Lanes::default() });
        for _ in 0..10 {
            assert_eq!(lanes.take(&key("one")).await.unwrap().number, 0);
        }
        let first = lanes.take(&key("one")).await.unwrap();
        let (theirs, next) = (Arc::clone(&lanes), key("one"));
        let second = tokio::spawn(async move { theirs.take(&next).await });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(second.await.unwrap().unwrap().number, 0);
    }
}

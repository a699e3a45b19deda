//! Is there a way to where clients' metadata documents stand? A gateway without one must not
//! advertise them: its clients would come with nothing else (FB17). What tells is whether documents
//! that there are can be fetched; the fetching is [`super::guarded`]'s. Nothing is asked for this
//! alone, but for the one document that could not be had last, now and then, while that is so.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use portunus_core::{Timestamp, outside_url::OutsideUrl};

/// How often what could not be fetched is tried again.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Reach(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    There,
    /// This machine has no route to anywhere.
    NoRoute,
    Lost {
        url: OutsideUrl,
        tried: Timestamp,
    },
}

impl Reach {
    /// As far as the machine itself can tell, without a packet sent: to send one to an address that
    /// no host has (RFC 5737, RFC 3849), it would need a route.
    pub fn of_this_machine() -> Self {
        Self(Mutex::new(if has_route() { State::There } else { State::NoRoute }))
    }

    pub fn is_there(&self) -> bool {
        let mut state = self.state();
        if matches!(*state, State::NoRoute) && has_route() {
            *state = State::There;
        }
        matches!(*state, State::There)
    }

    /// A document was fetched.
    pub fn found(&self) {
        let mut state = self.state();
        if !matches!(*state, State::There) {
            tracing::info!("client metadata documents can be fetched again, and are advertised");
        }
        *state = State::There;
    }

    /// A document that there is, as far as we know, could not be reached. `true`: that is
    /// invalidation_log.
    pub fn lost(&self, url: &OutsideUrl, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_news = matches!(*state, State::There);
        *state = State::Lost { url: url.clone(), tried: now };
        is_news
    }

    /// What to try again now, if anything; the caller does it.
    pub fn due(&self, now: Timestamp) -> Option<OutsideUrl> {
        match &mut *self.state() {
            State::Lost { url, tried } if now >= *tried + AGAIN => {
                *tried = now;
                Some(url.clone())
            }
            _ => None,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_route() -> bool {
    let routed = |local: IpAddr, nobody: IpAddr| {
        UdpSocket::bind((local, 0)).and_then(|socket| socket.connect((nobody, 443))).is_ok()
    };
    routed(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
        || routed(
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb17_what_could_not_be_had_is_tried_once_a_minute() {
        let at = |second: i64| Timestamp::from_secs(1_800_000_000 + second);
        let url = OutsideUrl::parse("https://app.example/client.json").unwrap();
        let reach = Reach::default();
        assert!(reach.is_there() && reach.due(at(0)).is_none());
        assert!(reach.lost(&url, at(0)), "news");
        assert!(!reach.lost(&url, at(1)), "no news");
        assert!(!reach.is_there());
        assert_eq!(reach.due(at(60)), None);
        assert_eq!(reach.due(at(61)), Some(url.clone()));
        assert_eq!(reach.due(at(62)), None, "somebody does it already");
        assert_eq!(reach.due(at(121)), Some(url));
        reach.found();
        assert!(reach.is_there() && reach.due(at(1000)).is_none());
    }
}

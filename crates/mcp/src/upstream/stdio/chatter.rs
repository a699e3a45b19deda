//! What a child writes that is no message: its standard error, and stray lines among its output. It is logged at `debug`, so many
//! lines a second and no more, with the values of the child's own variables taken out; the last lines are kept for when it fails.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use portunus_core::{ids::ServerName, secret::SecretText};
use tokio::time::Instant;

const LINES_PER_SECOND: u32 = 50;
const LONGEST: usize = 1000;
const KEPT: usize = 5;
/// A shorter value is more likely a word than a secret.
const SHORTEST_SECRET: usize = 6;

pub(super) struct Chatter {
    server: ServerName,
    secrets: Vec<SecretText>,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    lines: u32,
    last: VecDeque<String>,
}

impl Chatter {
    pub(super) fn new(server: ServerName, env: &BTreeMap<String, SecretText>) -> Self {
        let secrets = env.values().filter(|value| value.expose().len() >= SHORTEST_SECRET).cloned().collect();
        Self { server, secrets, state: Mutex::new(State { since: Instant::now(), lines: 0, last: VecDeque::new() }) }
    }

    pub(super) fn line(&self, stream: &'static str, line: &[u8]) {
        self.line_at(Instant::now(), stream, line);
    }

    fn line_at(&self, now: Instant, stream: &'static str, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(state.since) >= Duration::from_secs(1) {
            if state.lines > LINES_PER_SECOND {
                let dropped = state.lines - LINES_PER_SECOND;
                tracing::debug!(server = %self.server, dropped, "the server writes more than is logged");
            }
            (state.since, state.lines) = (now, 0);
        }
        state.lines = state.lines.saturating_add(1);
        if state.lines > LINES_PER_SECOND {
            return;
        }
        let text = self.cleaned(line);
        tracing::debug!(server = %self.server, stream, "{text}");
        if state.last.len() == KEPT {
            state.last.pop_front();
        }
        state.last.push_back(text);
    }

    /// The last lines, for the log.
    pub(super) fn last_words(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    fn cleaned(&self, line: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(line).into_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "[redacted]");
            }
        }
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t48_own_secrets_are_taken_out() {
        let env = BTreeMap::from([("KEY".to_owned(), SecretText::new("hunter22")), ("MODE".to_owned(), SecretText::new("a"))]);
        let chatter = Chatter::new(ServerName::parse("s").unwrap(), &env);
        chatter.line("stderr", b"a key hunter22\x1b[1m");
        assert_eq!(chatter.last_words(), "a key [redacted] [1m");
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let chatter = Chatter::new(ServerName::parse("s").unwrap(), &BTreeMap::new());
        let start = Instant::now();
        for n in 0..1000 {
            chatter.line_at(start, "stderr", n.to_string().as_bytes());
        }
        assert_eq!(chatter.last_words(), "45 | 46 | 47 | 48 | 49");
        chatter.line_at(start + Duration::from_secs(2), "stderr", b"later");
        assert!(chatter.last_words().ends_with("later"));
    }
}

//! The log of what a server writes that reaches no client: a child's standard error, stray lines of
//! its output, and messages that name no call.
//!
//! Lines a second are limited and the server's own secrets are taken out. A child's last lines are
//! kept, to be logged when it fails.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use portunus_core::{ids::ServerName, secret::SecretText};
use tokio::time::Instant;

use crate::{sync::locked, wire::Payload};

const LINES_PER_SECOND: u32 = 50;
const LONGEST: usize = 1000;
const KEPT: usize = 5;
/// The longest excerpt of a refusal that a caller gets, in characters.
const WORDS: usize = 300;
/// Shorter values are not redacted: they are more likely words than secrets.
const SHORTEST_SECRET: usize = 6;

pub(super) struct ServerLog {
    server: ServerName,
    secrets: Vec<SecretText>,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    lines: u32,
    last: VecDeque<String>,
}

impl ServerLog {
    /// `secrets` are the values of the server's variables and headers. The last word of each counts
    /// too, as in `Bearer …`.
    pub(super) fn new<'a>(
        server: ServerName,
        secrets: impl Iterator<Item = &'a SecretText>,
    ) -> Self {
        let words = secrets.flat_map(|secret| {
            let last = secret.expose().rsplit(' ').next().map(SecretText::new);
            [Some(secret.clone()), last].into_iter().flatten()
        });
        let secrets = words.filter(|value| value.expose().len() >= SHORTEST_SECRET).collect();
        Self {
            server,
            secrets,
            state: Mutex::new(State { since: Instant::now(), lines: 0, last: VecDeque::new() }),
        }
    }

    pub(super) fn line(&self, stream: &'static str, line: &[u8]) {
        let mut state = locked(&self.state);
        self.line_at(&mut state, Instant::now(), stream, line);
    }

    /// Logs a message that cannot be attributed to one client.
    pub(super) fn unnamed(&self, method: &str, params: Option<&Payload>) {
        let mut state = locked(&self.state);
        if self.count_line(&mut state, Instant::now()) {
            let text = self.cleaned(params.map(Payload::as_str).unwrap_or_default().as_bytes());
            tracing::info!(server = %self.server, method, "a message that names no call was delivered to no client: {text}");
        }
    }

    /// Counts one line. `false`: there were too many in this second, and it is not logged.
    fn count_line(&self, state: &mut State, now: Instant) -> bool {
        if now.saturating_duration_since(state.since) >= Duration::from_secs(1) {
            if state.lines > LINES_PER_SECOND {
                let dropped = state.lines - LINES_PER_SECOND;
                tracing::debug!(server = %self.server, dropped, "the server writes more than is logged");
            }
            (state.since, state.lines) = (now, 0);
        }
        state.lines = state.lines.saturating_add(1);
        state.lines <= LINES_PER_SECOND
    }

    fn line_at(&self, state: &mut State, now: Instant, stream: &'static str, line: &[u8]) {
        if !self.count_line(state, now) {
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
    pub(super) fn last_lines(&self) -> String {
        let state = locked(&self.state);
        state.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// The text that a server sent in place of an answer, shortened and without its secrets; empty
    /// for an HTML page.
    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        let text = self.cleaned(body);
        let text = text.trim();
        if text.starts_with('<') { String::new() } else { text.chars().take(WORDS).collect() }
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
        let secrets =
            [SecretText::new("hunter22"), SecretText::new("a"), SecretText::new("Bearer hunter33")];
        let server_log = ServerLog::new(ServerName::parse("s").unwrap(), secrets.iter());
        server_log.line("stderr", b"a key hunter22\x1b[1m");
        server_log.line("stderr", b"another hunter33");
        assert_eq!(server_log.last_lines(), "a key [redacted] [1m | another [redacted]");
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let server_log = ServerLog::new(ServerName::parse("s").unwrap(), std::iter::empty());
        let start = Instant::now();
        let line = |at, text: &str| {
            server_log.line_at(
                &mut server_log.state.lock().unwrap(),
                at,
                "stderr",
                text.as_bytes(),
            );
        };
        for n in 0..1000 {
            line(start, &n.to_string());
        }
        assert_eq!(server_log.last_lines(), "45 | 46 | 47 | 48 | 49");
        line(start + Duration::from_secs(2), "later");
        assert!(server_log.last_lines().ends_with("later"));
    }
}

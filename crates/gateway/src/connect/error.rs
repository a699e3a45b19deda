//! What can go wrong between a client and its server. The texts are for the person at the client:
//! they say what to change, and hold no secret. They quote servers, so that each is a [`Sentence`].

use std::{error::Error, fmt};

use portunus_core::text::{Sentence, visible};

/// The most characters of one thing that a server said.
const MAX_QUOTED: usize = 200;

#[derive(Clone, Debug)]
pub enum ConnectError {
    /// What, and why.
    Unreachable(String, String),
    /// The request may have arrived.
    Broken,
    Metadata(String),
    /// The token endpoint, or the registration endpoint, said no, with this code.
    Refused {
        code: String,
        description: Option<String>,
    },
    /// The authorization server did not do its work.
    Trouble(String),
    SignIn(String),
    Store(String),
    Server(String),
}

impl Error for ConnectError {}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Unreachable(what, why) => format!("{what} cannot be reached: {why}"),
            Self::Broken => {
                "the connection to the server ended before it answered: the request may or may not have run".to_owned()
            }
            Self::Refused { code, description: None } => {
                format!("the authorization server refused: {code}")
            }
            Self::Refused { code, description: Some(description) } => {
                format!("the authorization server refused: {code} ({description})")
            }
            Self::Trouble(what) => {
                format!("the authorization server did not do its work: {what}")
            }
            Self::SignIn(what) => format!("sign-in: {what}"),
            Self::Metadata(what) | Self::Store(what) | Self::Server(what) => what.clone(),
        };
        Sentence::new(&text).fmt(f)
    }
}

/// What a server said, fit to stand in a text.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = visible(text).chars().take(MAX_QUOTED).collect();
    if shown.len() < visible(text).len() {
        shown.push('…');
    }
    shown
}

/// The innermost cause, which alone says something; without URLs, in which secrets may stand.
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(cause, error) {
        "the request failed".to_owned()
    } else {
        quoted(&cause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::text::is_invisible;

    use super::*;

    #[test]
    fn what_a_server_says_neither_steers_a_terminal_nor_fills_it() {
        let hostile =
            format!("a\u{1b}[2Jb\u{202e}c\u{9b}d\u{200b}\r\nportunus: e{}", "x".repeat(9000));
        let all = || hostile.clone();
        for error in [
            ConnectError::Unreachable(all(), all()),
            ConnectError::Metadata(all()),
            ConnectError::Refused { code: all(), description: Some(all()) },
            ConnectError::Refused { code: all(), description: None },
            ConnectError::Trouble(all()),
            ConnectError::SignIn(all()),
            ConnectError::Store(all()),
            ConnectError::Server(all()),
            ConnectError::Server(quoted(&hostile)),
        ] {
            let text = error.to_string();
            assert!(!text.contains(|c: char| c.is_control() || is_invisible(c)), "{text:?}");
            assert!(text.chars().count() <= 1001 && text.ends_with('…'), "{text}");
        }
        assert_eq!(quoted("Zürich"), "Zürich");
        assert_eq!(quoted(&hostile).chars().count(), MAX_QUOTED + 1);
    }
}

//! Text that strangers chose, made fit to show (threats 13, 64): [`Label`] and [`Sentence`] of the
//! core, and [`UrlText`] for addresses and ids. Pages take nothing else. Templates escape all of
//! them.

use std::fmt;

pub use portunus_core::text::{Label, Sentence};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What of ASCII is not visible; the rest of Unicode is encoded anyway.
const INVISIBLE: &AsciiSet = &CONTROLS.add(b' ');

/// An address, whole: what is not visible ASCII is percent-encoded, so that nothing in it can look
/// like something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlText(String);

impl UrlText {
    pub fn new(text: &str) -> Self {
        Self(utf8_percent_encode(text, INVISIBLE).to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UrlText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for UrlText {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&String> for UrlText {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t64_addresses_are_ascii() {
        assert_eq!(
            UrlText::new("https://a.example/cb?x=1&y=%20").as_str(),
            "https://a.example/cb?x=1&y=%20"
        );
        assert_eq!(UrlText::new("https://a/\u{202E}x é").as_str(), "https://a/%E2%80%AEx%20%C3%A9");
    }
}

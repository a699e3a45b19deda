//! Cursors of merged lists: a position in one server's list, opaque to clients. They hold no secret
//! and grant nothing: what a page shows is decided anew at each request.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::ids::ServerName;

use crate::registry::kind::Kind;

/// The next page begins with item `index` of `server`'s list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) server: ServerName,
    pub(crate) index: usize,
}

impl Cursor {
    pub(crate) fn write(&self, kind: Kind) -> String {
        URL_SAFE_NO_PAD.encode(format!("1{}:{}:{}", kind.letter(), self.index, self.server))
    }

    /// `None` unless it is one of ours, for this kind of list.
    pub(crate) fn parse(kind: Kind, text: &str) -> Option<Self> {
        if text.len() > 256 {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let rest = text.strip_prefix('1')?.strip_prefix(kind.letter())?.strip_prefix(':')?;
        let (index, server) = rest.split_once(':')?;
        Some(Self { server: ServerName::parse(server).ok()?, index: index.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let cursor = Cursor { server: ServerName::parse("a_b.c").unwrap(), index: 500 };
        let text = cursor.write(Kind::Tools);
        assert_eq!(Cursor::parse(Kind::Tools, &text), Some(cursor));
        assert_eq!(Cursor::parse(Kind::Prompts, &text), None, "of another list");
        for bad in ["", "x", "MXQ6MTph!", &"A".repeat(300)] {
            assert_eq!(Cursor::parse(Kind::Tools, bad), None, "{bad}");
        }
    }
}

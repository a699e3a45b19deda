//! What is pinned: the kinds of things that servers describe, and which one of a server's it is, as
//! stores write it down. The rule about them is next door, in [`super`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What servers describe in words that a model or a client acts on.
///
/// Resources are none of it: a list of them is data, which comes and goes with each file or ticket.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PinKind {
    #[default]
    Tool,
    Prompt,
    /// A resource template.
    Template,
    /// What the server says of itself to the model (`instructions` of `initialize` and
    /// `server/discover`).
    Instructions,
}

impl PinKind {
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Template, Self::Instructions];

    /// As it is stored, typed and recorded.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Template => "template",
            Self::Instructions => "instructions",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The member of the object that tells it from others of its kind.
    pub(super) const fn id(self) -> Option<&'static str> {
        match self {
            Self::Tool | Self::Prompt => Some("name"),
            Self::Template => Some("uriTemplate"),
            Self::Instructions => None,
        }
    }

    /// Says what a fingerprint is over, so that no two kinds ever have one in common.
    pub(super) const fn label(self) -> &'static [u8] {
        match self {
            Self::Tool => b"portunus/tool/1\n",
            Self::Prompt => b"portunus/prompt/1\n",
            Self::Template => b"portunus/template/1\n",
            Self::Instructions => b"portunus/instructions/1\n",
        }
    }

    pub(super) const fn label_of_meaning(self) -> &'static [u8] {
        match self {
            Self::Tool => b"portunus/tool/meaning/1\n",
            Self::Prompt => b"portunus/prompt/meaning/1\n",
            Self::Template => b"portunus/template/meaning/1\n",
            Self::Instructions => b"portunus/instructions/meaning/1\n",
        }
    }
}

/// One thing of a server's that is pinned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct PinSubject {
    pub kind: PinKind,
    /// The server's own name of it: of a template its text, of instructions nothing.
    pub name: String,
}

/// Before and behind the kind of what is no tool. Earlier gateways wrote tools alone, by their
/// names, and read the others as tools whose names no client can type.
const MARK: char = '\u{1f}';

impl PinSubject {
    pub fn new(kind: PinKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    pub fn tool(name: impl Into<String>) -> Self {
        Self::new(PinKind::Tool, name)
    }

    /// As stores write it: a tool by its name, all else with its kind before it.
    pub fn to_stored(&self) -> Cow<'_, str> {
        if self.kind == PinKind::Tool && !self.name.starts_with(MARK) {
            return Cow::Borrowed(&self.name);
        }
        Cow::Owned(format!("{MARK}{}{MARK}{}", self.kind.word(), self.name))
    }

    pub fn from_stored(text: &str) -> Self {
        let marked = text.strip_prefix(MARK).and_then(|text| text.split_once(MARK));
        let read = marked.and_then(|(kind, name)| Some(Self::new(PinKind::parse(kind)?, name)));
        read.unwrap_or_else(|| Self::tool(text))
    }
}

impl From<PinSubject> for String {
    fn from(subject: PinSubject) -> Self {
        subject.to_stored().into_owned()
    }
}

impl From<String> for PinSubject {
    fn from(text: String) -> Self {
        Self::from_stored(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_written_as_they_always_were_and_nothing_is_mistaken_for_another() {
        for (kind, name, stored) in [
            (PinKind::Tool, "roll", "roll"),
            (PinKind::Tool, "", ""),
            (PinKind::Tool, "prompt", "prompt"),
            (PinKind::Tool, "\u{1f}prompt\u{1f}greet", "\u{1f}tool\u{1f}\u{1f}prompt\u{1f}greet"),
            (PinKind::Prompt, "greet", "\u{1f}prompt\u{1f}greet"),
            (PinKind::Prompt, "a\u{1f}b", "\u{1f}prompt\u{1f}a\u{1f}b"),
            (PinKind::Template, "file:///{path}", "\u{1f}template\u{1f}file:///{path}"),
            (PinKind::Instructions, "", "\u{1f}instructions\u{1f}"),
        ] {
            let subject = PinSubject::new(kind, name);
            assert_eq!(subject.to_stored(), stored);
            assert_eq!(PinSubject::from_stored(stored), subject);
        }
        for odd in ["\u{1f}", "\u{1f}roll", "\u{1f}gadget\u{1f}roll"] {
            assert_eq!(PinSubject::from_stored(odd), PinSubject::tool(odd), "an old tool's");
        }
    }
}

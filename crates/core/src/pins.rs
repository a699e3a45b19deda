//! Pins (threat 45): what is remembered of the tools, prompts, templates and instructions that
//! servers describe, and the rule that tells what is as it was from what changed. Which things are
//! pinned is in [`subject`], what one comes to as text in [`canonical`], how two differ in
//! [`difference`]; where pins are kept is [`crate::store::PinStore`].

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::settings::{Choice, choice};

mod canonical;
pub mod difference;
mod subject;
#[cfg(test)]
mod tests;

pub use subject::{PinKind, PinSubject};

/// How closely what a server describes is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pinning {
    /// Not at all.
    Off,
    /// What changed is told of in the log, and passed on.
    Warn,
    /// What changed is held back until an administrator approves it.
    #[default]
    Enforce,
}

/// How [`Pinning`] is written.
pub const PINNING: Choice<Pinning> =
    choice(&["off", "warn", "enforce"], &[Pinning::Off, Pinning::Warn, Pinning::Enforce]);

/// SHA-256 over everything a server says of one thing: equal for equal ones, however they are
/// spelt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a fingerprint as it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a fingerprint is 64 hexadecimal digits"))
    }
}

/// In hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", &self.to_string()[..12])
    }
}

/// The beginning of a fingerprint, as a person types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintPrefix(String);

impl FingerprintPrefix {
    /// With fewer digits an attacker could make another tool whose fingerprint begins the same.
    pub const SHORTEST: usize = 16;

    pub fn parse(text: &str) -> Option<Self> {
        let fits = (Self::SHORTEST..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    pub fn fits(&self, fingerprint: &Fingerprint) -> bool {
        fingerprint.to_string().starts_with(&self.0)
    }
}

/// What a server says of one thing, for people who decide about it: canonical JSON, or the first
/// [`Definition::LONGEST`] bytes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Definition(String);

impl Definition {
    pub const LONGEST: usize = 16 * 1024;

    fn of(canonical: &str) -> Self {
        let mut end = canonical.len().min(Self::LONGEST);
        while !canonical.is_char_boundary(end) {
            end -= 1;
        }
        Self(canonical[..end].to_owned())
    }

    /// As a store kept it.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a thing of this definition means ([`SeenItem::meaning`]); `None` if not all of it is
    /// kept.
    pub fn meaning(&self, kind: PinKind) -> Option<Fingerprint> {
        let whole = canonical::read(self.0.as_bytes()).filter(|_| self.is_whole());
        whole.map(|item| meaning(kind, item))
    }

    /// Is this all that the server says? A cut may have left out as much as a character.
    fn is_whole(&self) -> bool {
        self.0.len() < Self::LONGEST - 3
    }
}

/// Over the item with its sets in one order.
fn meaning(kind: PinKind, item: canonical::Json) -> Fingerprint {
    fingerprint(kind.label_of_meaning(), &item.with_sorted_sets().to_string())
}

/// The label says which form of the text it is.
fn fingerprint(label: &[u8], text: &str) -> Fingerprint {
    let mut hasher = Sha256::new();
    hasher.update(label);
    hasher.update(text.as_bytes());
    Fingerprint(hasher.finalize().into())
}

/// A tool, a prompt, a template or instructions as a server described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenItem {
    pub subject: PinSubject,
    pub fingerprint: Fingerprint,
    /// Equal for things that differ in nothing but the order of what has none: a schema's
    /// `required`.
    pub meaning: Fingerprint,
    pub definition: Definition,
}

/// What means different things to different readers, or nothing: it cannot be pinned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnreadableItem {
    #[error("it is no JSON object, or one with a key twice or with a number beyond all bounds")]
    Malformed,
    #[error("it has no name, or one that is too long to be remembered")]
    Nameless,
}

/// Of tools, the specification asks for 128 characters at most.
const LONGEST_NAME: usize = 1024;

impl SeenItem {
    /// Reads an object as it arrived. Every member counts, `_meta` and unknown ones too: what a
    /// client shows its model is the client's choice, so what a fingerprint leaves out is where a
    /// description could be swapped.
    pub fn read(kind: PinKind, json: &[u8]) -> Result<Self, UnreadableItem> {
        let item = canonical::read(json).ok_or(UnreadableItem::Malformed)?;
        let name = match kind.id() {
            Some(id) => item
                .member(id)
                .and_then(canonical::Json::text)
                .filter(|name| name.len() <= LONGEST_NAME)
                .ok_or(UnreadableItem::Nameless)?,
            None => "",
        };
        let subject = PinSubject::new(kind, name);
        let text = item.to_string();
        let fingerprint = fingerprint(kind.label(), &text);
        let meaning = meaning(kind, item);
        Ok(Self { subject, fingerprint, meaning, definition: Definition::of(&text) })
    }
}

/// What is remembered of one thing of one server. A server may show different people different
/// ones of a name, so it may have several approved fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub subject: PinSubject,
    /// The first one that was seen, and those that an administrator approved.
    pub approved: Vec<Fingerprint>,
    /// Those that wait for an administrator.
    pub quarantined: Vec<Fingerprint>,
}

/// What a pin says of what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Never seen before: it is pinned as it is.
    New,
    /// As it was pinned or approved.
    Same,
    /// Neither: it goes into quarantine.
    Changed,
}

/// Trust on first use, and nothing after it without approval.
pub fn judge(pin: Option<&Pin>, seen: &Fingerprint) -> Judgement {
    match pin {
        // Of what was never approved there is nothing to be the same as.
        None => Judgement::New,
        Some(pin) if pin.approved.contains(seen) => Judgement::Same,
        Some(_) => Judgement::Changed,
    }
}

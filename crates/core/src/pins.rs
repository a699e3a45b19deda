//! Pinned tools (threat 45): what is remembered of the tools that servers describe, and the rule
//! that tells a tool which is as it was from one that changed. What a tool comes to as text is
//! [`canonical`]'s; where pins are kept is [`crate::store::PinStore`].

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::settings::{Choice, choice};

mod canonical;
#[cfg(test)]
mod tests;

/// How closely the tools of a server are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pinning {
    /// Not at all.
    Off,
    /// A tool that changed is told of in the log, and passed on.
    Warn,
    /// A tool that changed is held back until an administrator approves it.
    #[default]
    Enforce,
}

/// How [`Pinning`] is written.
pub const PINNING: Choice<Pinning> =
    choice(&["off", "warn", "enforce"], &[Pinning::Off, Pinning::Warn, Pinning::Enforce]);

/// SHA-256 over everything a server says of a tool: equal for equal tools, however they are spelt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolFingerprint([u8; 32]);

impl ToolFingerprint {
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

impl Serialize for ToolFingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ToolFingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a fingerprint is 64 hexadecimal digits"))
    }
}

/// In hexadecimal digits.
impl fmt::Display for ToolFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ToolFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolFingerprint({})", &self.to_string()[..12])
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

    pub fn fits(&self, fingerprint: &ToolFingerprint) -> bool {
        fingerprint.to_string().starts_with(&self.0)
    }
}

/// What a server says of a tool, for people who decide about it: canonical JSON, or the first
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

    /// What a tool of this definition means ([`SeenTool::meaning`]); `None` if not all of it is
    /// kept.
    pub fn meaning(&self) -> Option<ToolFingerprint> {
        let is_whole = self.0.len() < Self::LONGEST - 3;
        canonical::read(self.0.as_bytes()).filter(|_| is_whole).map(meaning)
    }
}

/// Over the tool with its sets in one order.
fn meaning(tool: canonical::Json) -> ToolFingerprint {
    fingerprint(b"portunus/tool/meaning/1\n", &tool.with_sorted_sets().to_string())
}

/// The label says which form of the text it is.
fn fingerprint(label: &[u8], text: &str) -> ToolFingerprint {
    let mut hasher = Sha256::new();
    hasher.update(label);
    hasher.update(text.as_bytes());
    ToolFingerprint(hasher.finalize().into())
}

/// A tool as a server listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTool {
    /// The server's own name of it.
    pub name: String,
    pub fingerprint: ToolFingerprint,
    /// Equal for tools that differ in nothing but the order of what has none: a schema's
    /// `required`.
    pub meaning: ToolFingerprint,
    pub definition: Definition,
}

/// A tool that means different things to different readers, or nothing: it cannot be pinned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnreadableTool {
    #[error("it is no JSON object, or one with a key twice or with a number beyond all bounds")]
    Malformed,
    #[error("it has no name, or one that is too long to be remembered")]
    Nameless,
}

/// The specification asks for 128 characters at most.
const LONGEST_NAME: usize = 1024;

impl SeenTool {
    /// Reads a tool object as it arrived. Every member counts, `_meta` and unknown ones too: what a
    /// client shows its model is the client's choice, so what a fingerprint leaves out is where a
    /// description could be swapped.
    pub fn read(json: &[u8]) -> Result<Self, UnreadableTool> {
        let tool = canonical::read(json).ok_or(UnreadableTool::Malformed)?;
        let name = tool
            .member("name")
            .and_then(canonical::Json::text)
            .filter(|name| name.len() <= LONGEST_NAME);
        let name = name.ok_or(UnreadableTool::Nameless)?.to_owned();
        let text = tool.to_string();
        let fingerprint = fingerprint(b"portunus/tool/1\n", &text);
        Ok(Self { name, fingerprint, meaning: meaning(tool), definition: Definition::of(&text) })
    }
}

/// What is remembered of one tool of one server. A server may show different people different
/// tools, so a tool may have several approved fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub tool: String,
    /// The first one that was seen, and those that an administrator approved.
    pub approved: Vec<ToolFingerprint>,
    /// Those that wait for an administrator.
    pub quarantined: Vec<ToolFingerprint>,
}

/// What a pin says of a tool.
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
pub fn judge(pin: Option<&Pin>, seen: &ToolFingerprint) -> Judgement {
    match pin {
        // Of what was never approved there is nothing to be the same as.
        None => Judgement::New,
        Some(pin) if pin.approved.contains(seen) => Judgement::Same,
        Some(_) => Judgement::Changed,
    }
}

//! What changes in a family of refresh tokens, in constant space: the current generation, when
//! which generations became current, from which address the latest one was asked for, and which
//! access tokens belong to the current pair.
//!
//! Of the times of use the latest [`MARKS`] are remembered exactly. When there are more, two that
//! are close to each other, measured by how long ago they are, become one: the later of them counts
//! for both. So how long ago a use was is known to within a third of it, however many there were.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Times that are remembered. A client that refreshes every hour has a day of exact ones.
pub(super) const MARKS: usize = 32;
/// Access tokens of the current pair, one for each resource and set of scopes; the oldest is
/// forgotten first, and lives on.
const ACCESS: usize = 16;

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + 8 + 16 + 8;
const MARK: usize = 4 + 8;
const ISSUED: usize = 16 + 8 + 8 + 8;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyState {
    /// Of the current token.
    pub generation: u32,
    pub began_at: Timestamp,
    pub(super) address: Option<[u8; 16]>,
    /// What the last access token was for.
    pub(super) resource: [u8; 8],
    /// The oldest first.
    marks: Vec<Mark>,
    pub(super) access: Vec<IssuedAccess>,
}

/// Every generation after the one of the mark before, up to this one, became current at this time,
/// or shortly before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    generation: u32,
    at: Timestamp,
}

/// An access token of the current pair: what it is made from again, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IssuedAccess {
    pub(super) nonce: [u8; 16],
    pub(super) resource: [u8; 8],
    pub(super) scopes: [u8; 8],
    pub(super) expires_at: Timestamp,
}

impl FamilyState {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            generation: 0,
            began_at: now,
            address: None,
            resource: [0; 8],
            marks: Vec::new(),
            access: Vec::new(),
        }
    }

    /// The next generation becomes the current one. What is longer ago than `horizon` need not be
    /// told apart.
    pub(super) fn advance(&mut self, now: Timestamp, horizon: Duration) -> Option<()> {
        self.generation = self.generation.checked_add(1)?;
        self.access.clear();
        self.marks.push(Mark { generation: self.generation, at: now });
        let over = self.marks.iter().take_while(|mark| now.since(mark.at) > horizon).count();
        self.marks.drain(..over.saturating_sub(1));
        while self.marks.len() > MARKS {
            self.merge(now);
        }
        Some(())
    }

    /// Makes one of the two neighbours whose uses differ least then, by how long ago the first of
    /// them is. A mark stands for all uses since the mark before it, so that is where the
    /// difference begins.
    fn merge(&mut self, now: Timestamp) {
        let difference = |n: usize, next: &Mark| {
            let before = n.checked_sub(1).and_then(|n| self.marks.get(n));
            let start = before.map_or(self.began_at, |mark| mark.at);
            next.at.since(start).as_millis() * 1000 / (now.since(start).as_millis() + 1000)
        };
        let least =
            self.marks.iter().skip(1).enumerate().min_by_key(|(n, next)| difference(*n, next));
        if let Some((n, _)) = least {
            self.marks.remove(n);
        }
    }

    /// When a token of this generation was exchanged: the next one became current.
    pub(super) fn used_at(&self, generation: u32) -> Option<Timestamp> {
        self.marks.iter().find(|mark| mark.generation > generation).map(|mark| mark.at)
    }

    pub(super) fn note(&mut self, issued: IssuedAccess) {
        self.resource = issued.resource;
        self.access
            .retain(|other| (other.resource, other.scopes) != (issued.resource, issued.scopes));
        if self.access.len() >= ACCESS {
            self.access.remove(0);
        }
        self.access.push(issued);
    }

    /// As stores keep it: of the same length however many generations there were.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + MARKS * MARK + self.access.len() * ISSUED);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.began_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(&self.address.unwrap_or_default());
        bytes.extend_from_slice(&self.resource);
        for mark in &self.marks {
            bytes.extend_from_slice(&mark.generation.to_be_bytes());
            bytes.extend_from_slice(&mark.at.as_millis().to_be_bytes());
        }
        bytes.resize(HEAD + MARKS * MARK, 0);
        for IssuedAccess { nonce, resource, scopes, expires_at } in &self.access {
            bytes.extend_from_slice(nonce);
            bytes.extend_from_slice(resource);
            bytes.extend_from_slice(scopes);
            bytes.extend_from_slice(&expires_at.as_millis().to_be_bytes());
        }
        bytes
    }

    /// `None` if these are not the bytes of one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        let generation = u32::from_be_bytes(take(&mut rest)?);
        let began_at = time(&mut rest)?;
        let address = Some(take(&mut rest)?).filter(|address| *address != [0; 16]);
        let resource = take(&mut rest)?;
        let mut marks = Vec::new();
        for _ in 0..MARKS {
            let mark =
                Mark { generation: u32::from_be_bytes(take(&mut rest)?), at: time(&mut rest)? };
            // Generation 0 never became current: it began.
            marks.extend((mark.generation > 0).then_some(mark));
        }
        let mut access = Vec::new();
        while !rest.is_empty() {
            let (nonce, resource, scopes) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            access.push(IssuedAccess { nonce, resource, scopes, expires_at: time(&mut rest)? });
        }
        let is_sound = version == VERSION
            && access.len() <= ACCESS
            && marks.is_sorted_by(|one, next| one.generation < next.generation);
        is_sound.then_some(Self { generation, began_at, address, resource, marks, access })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn time(rest: &mut &[u8]) -> Option<Timestamp> {
    take(rest).map(i64::from_be_bytes).map(Timestamp::from_millis)
}

impl Serialize for FamilyState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for FamilyState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let state = STANDARD.decode(text).ok().and_then(|bytes| Self::from_bytes(&bytes));
        state.ok_or_else(|| serde::de::Error::custom("not the state of a family"))
    }
}

#[cfg(test)]
mod tests;

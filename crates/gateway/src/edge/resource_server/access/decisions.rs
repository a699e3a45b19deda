//! What was decided for one caller, as much as has room. What is decided is [`super`]'s.

use std::{collections::HashMap, hash::BuildHasher as _, sync::Arc};

use foldhash::quality::RandomState;

use portunus_core::access::{Judgement, Thing, ToolHints};

/// Bytes of decisions of one caller: those of a catalogue of some 1,300 tools.
pub(super) const BYTES_PER_CALLER: usize = 192 * 1024;
/// A longer name is refused while there are rules. In bytes.
pub(super) const LONGEST_NAME: usize = BYTES_PER_CALLER / 16 - 1024;
/// What a decision takes beside its names.
const ENTRY: usize = 144;

/// Decisions by kind of thing, server and name.
///
/// When there is no room, a decision takes the place of another, which its own hash chooses. So a
/// caller who goes through more things than there is room for, again and again, still finds most of
/// those that have room: what is oldest, or was not wanted for longest, would be what comes next.
#[derive(Default)]
pub(super) struct Decisions {
    hasher: RandomState,
    /// Where a decision is, by the hash of its thing.
    index: HashMap<u64, usize, RandomState>,
    kept: Vec<Kept>,
    pub(super) bytes: usize,
}

struct Kept {
    hash: u64,
    kind: Kind,
    server: Box<str>,
    name: Box<str>,
    judgement: Arc<Judgement>,
}

/// What is done with a thing; of a tool, also what its server says of it.
type Kind = (&'static str, ToolHints);

impl Decisions {
    pub(super) fn find(&self, thing: &Thing<'_>) -> Option<Arc<Judgement>> {
        let kept = self.kept.get(*self.index.get(&self.hash(thing))?)?;
        kept.is_of(thing).then(|| Arc::clone(&kept.judgement))
    }

    pub(super) fn remember(&mut self, thing: &Thing<'_>, judgement: Arc<Judgement>) {
        let hash = self.hash(thing);
        self.forget(self.index.get(&hash).copied());
        let kept = Kept {
            hash,
            kind: kind(thing),
            server: thing.server().into(),
            name: thing.name().into(),
            judgement,
        };
        let bytes = kept.bytes();
        if bytes > BYTES_PER_CALLER / 16 {
            return;
        }
        while self.bytes + bytes > BYTES_PER_CALLER && !self.kept.is_empty() {
            let most = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
            self.forget(usize::try_from(hash % most).ok());
        }
        self.bytes += bytes;
        self.index.insert(hash, self.kept.len());
        self.kept.push(kept);
    }

    /// The last one moves to its place.
    fn forget(&mut self, at: Option<usize>) {
        let Some(at) = at.filter(|at| *at < self.kept.len()) else { return };
        let gone = self.kept.swap_remove(at);
        self.bytes -= gone.bytes();
        self.index.remove(&gone.hash);
        if let Some(moved) = self.kept.get(at) {
            self.index.insert(moved.hash, at);
        }
    }

    fn hash(&self, thing: &Thing<'_>) -> u64 {
        self.hasher.hash_one((kind(thing), thing.server(), thing.name()))
    }
}

impl Kept {
    fn is_of(&self, thing: &Thing<'_>) -> bool {
        self.kind == kind(thing) && *self.server == *thing.server() && *self.name == *thing.name()
    }

    fn bytes(&self) -> usize {
        ENTRY + self.server.len() + self.name.len() + self.judgement.size()
    }
}

fn kind(thing: &Thing<'_>) -> Kind {
    let hints = match thing {
        Thing::Tool { hints, .. } => *hints,
        _ => ToolHints::default(),
    };
    (thing.action(), hints)
}

//! Chance that can be had again: everything random in these tests follows from one number, which is
//! printed.

use portunus_core::{Entropy as _, entropy::SeededEntropy};

pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// Below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % end
    }

    /// An index into something of this length.
    pub(crate) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.below(u64::MAX)
    }
}

/// The number that `PORTUNUS_SEED` names, or another one each time.
#[expect(clippy::print_stderr, reason = "whoever wants to see the same again needs it")]
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("PORTUNUS_SEED").ok().map_or_else(any, |text| text.parse().unwrap());
    eprintln!("PORTUNUS_SEED={seed}");
    seed
}

pub(crate) fn any() -> u64 {
    let mut bytes = [0; 4];
    portunus::os::OsEntropy.fill(&mut bytes);
    u64::from(u32::from_be_bytes(bytes))
}

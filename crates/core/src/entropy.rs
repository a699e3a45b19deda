//! Chance as an argument: [`Entropy`]. The operating system's source lives in the gateway; a seeded
//! one for tests is here.

use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// A source of random bytes fit for secrets.
pub trait Entropy: Send + Sync {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// Thirty-two random bytes: every secret and identifier here has 256 bits.
pub fn random_bytes(entropy: &dyn Entropy) -> [u8; 32] {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    bytes
}

/// A reproducible source for tests: SHA-256 of a seed and a counter. Never use it for real secrets.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<(u64, u64)>,
}

impl SeededEntropy {
    pub const fn new(seed: u64) -> Self {
        Self { state: Mutex::new((seed, 0)) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in out.chunks_mut(32) {
            let mut hasher = Sha256::new();
            hasher.update(state.0.to_be_bytes());
            hasher.update(state.1.to_be_bytes());
            state.1 += 1;
            chunk.copy_from_slice(&hasher.finalize()[..chunk.len()]);
        }
    }
}

//! The operating system's source of chance. The trait, and a seeded one for tests, live in `portunus_core::entropy`.

use portunus_core::Entropy;

/// Random bytes from the operating system, fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// Ends the process when the operating system has no random bytes to give: to go on without them would mint guessable
    /// secrets. Linux answers once its pool is filled, early in boot, and never fails after that.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for random bytes")]
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            tracing::error!(%error, "the operating system gives no random bytes: stopping");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::entropy::random_bytes;

    use super::*;

    #[test]
    fn no_two_draws_are_the_same() {
        assert_ne!(random_bytes(&OsEntropy), random_bytes(&OsEntropy));
    }
}

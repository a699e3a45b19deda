//! What the operating system gives: chance ([`OsEntropy`], whose trait and a seeded one for tests
//! live in `portunus_core::entropy`), and file descriptors.

use portunus_core::Entropy;

/// Random bytes from the operating system, fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// Ends the process when the operating system has no random bytes to give: to go on without
    /// them would mint guessable secrets. Linux answers once its pool is filled, early in boot, and
    /// never fails after that.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the operating system for random bytes"
    )]
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            tracing::error!(%error, "the operating system gives no random bytes: stopping");
            std::process::abort();
        }
    }
}

/// How many descriptors the process may have open (`ulimit -n`), where the system says so.
pub fn descriptors() -> Option<usize> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// proc(5): `Max open files`, then the soft limit, the hard one, and the unit.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use portunus_core::entropy::random_bytes;

    use super::*;

    #[test]
    fn the_limit_of_descriptors_is_read() {
        let line = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(line), Some(1024));
        assert_eq!(
            soft_limit("Max open files            unlimited            unlimited            files"),
            None
        );
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn no_two_draws_are_the_same() {
        assert_ne!(random_bytes(&OsEntropy), random_bytes(&OsEntropy));
    }
}

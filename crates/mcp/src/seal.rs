//! What leaves the gateway for a client and comes back is sealed: the state of a request that waits
//! for its client's input. The hub says to what it is bound; how it is sealed is its owner's
//! affair.

/// Seals small things, for a short time.
pub trait Seal: Send + Sync {
    /// `None` when it cannot be sealed.
    fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>>;

    /// `None` when it was not sealed here, or not for the same thing, or was altered.
    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>>;
}

//! Waiting with an end: for what happens by itself ([`eventually`]), and for something that might
//! hang ([`in_time`]). `tests/lint/loops.py` sends every test that would wait without a bound here.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Longer than anything here takes on the busiest machine, and far shorter than for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(5);

/// Looks again and again until it is so.
///
/// # Panics
/// If it does not become so in [`PATIENCE`], with `what` it was.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    // By the machine's clock: the runtime's may stand still.
    let began = Instant::now();
    while !in_time(what, is_so()).await {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// What comes of it.
///
/// # Panics
/// If nothing does in [`PATIENCE`], with `what` it was.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("it hangs: {what}"))
}

//! The signals that end the gateway, and how, and the one that has it read its configuration anew.
//! What happens then is [`crate::gateway`]'s affair.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// How the gateway was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM: the gateway is replaced or moved, and balancers have to notice first.
    Terminate,
    /// SIGINT: a person at a terminal, who does not want to wait.
    Interrupt,
}

/// What comes in, in its order, from now on.
pub fn stop_signals() -> anyhow::Result<mpsc::Receiver<StopSignal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (tell, told) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => StopSignal::Terminate,
                _ = interrupt.recv() => StopSignal::Interrupt,
            };
            if tell.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// SIGHUP, from now on: the configuration is to be read anew.
pub fn hangups() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::hangup())?)
}

/// Waits until connections need not be accepted any more: not at all, unless it is SIGTERM; then
/// for `delay`, or for a second signal.
pub(crate) async fn linger(
    first: Option<StopSignal>,
    delay: Duration,
    signals: &mut mpsc::Receiver<StopSignal>,
) {
    match first {
        Some(StopSignal::Interrupt) => tracing::info!("SIGINT: stopping"),
        Some(StopSignal::Terminate) if !delay.is_zero() => {
            tracing::info!(
                ?delay,
                "SIGTERM: stopping; connections are accepted for a while, so that balancers can notice"
            );
            if tokio::time::timeout(delay, signals.recv()).await.is_ok() {
                tracing::info!("a second signal: no more connections are accepted");
            }
        }
        Some(StopSignal::Terminate) => tracing::info!("SIGTERM: stopping"),
        // The task that tells of signals is gone.
        None => {}
    }
}

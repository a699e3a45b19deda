//! Clients that were taken out of the configuration: what they were given ends, without a command.
//! At a reload, and at start for those that went while no gateway ran. The store remembers which
//! there were.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portunus_core::{
    client::Client,
    ids::ClientId,
    store::{GrantsOf, StoreError},
};

use crate::edge::app_state::AppState;

/// After a failure.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Longer than a request for a token takes: one that began with the configuration before may keep
/// its grant after the first round.
const SECOND_ROUND: Duration = Duration::from_secs(60);

/// Ends the grants of clients that were configured and are not any more. `before`: those of the
/// configuration until now; `current`: the gateway as it is configured then, `None` when it is
/// gone. What fails is tried again until it is done, or the gateway is gone.
pub(super) async fn end_their_grants(
    current: impl Fn() -> Option<Arc<AppState>> + Send + Sync + 'static,
    before: &[Client],
) {
    let known: BTreeSet<_> = before.iter().map(|client| client.id.clone()).collect();
    let Some(app) = current() else { return };
    let is_any_removed = known.difference(&configured(&app)).next().is_some();
    let first = end(&app, &known).await;
    if let Err(error) = &first {
        tracing::warn!(%error, "grants of clients that were taken out of the configuration could not be ended: tried again");
    }
    if first.is_err() || is_any_removed {
        tokio::spawn(later(current, known, first.is_err()));
    }
}

async fn later(
    current: impl Fn() -> Option<Arc<AppState>> + Send + Sync,
    known: BTreeSet<ClientId>,
    mut has_failed: bool,
) {
    while has_failed {
        tokio::time::sleep(RETRY_EVERY).await;
        let Some(app) = current() else { return };
        has_failed = end(&app, &known).await.is_err();
    }
    tokio::time::sleep(SECOND_ROUND).await;
    let Some(app) = current() else { return };
    if let Err(error) = end(&app, &known).await {
        tracing::warn!(%error, "grants of clients that were taken out of the configuration could not be looked for a second time");
    }
}

/// The store forgets which clients there were only when their grants have ended: what breaks off in
/// between is done again.
async fn end(app: &AppState, known: &BTreeSet<ClientId>) -> Result<(), StoreError> {
    let (stores, present) = (&app.process.stores, configured(app));
    let remembered = stores.clients.configured_clients().await?;
    for id in remembered.union(known).filter(|id| !present.contains(id)) {
        let of = GrantsOf::Client(id.clone());
        let revoked = stores.grants.revoke_grants(&of, app.process.clock.now()).await?;
        tracing::info!(client_id = %id, revoked, "a client was taken out of the configuration: what it was given is revoked");
    }
    if remembered != present {
        stores.clients.remember_configured(&present).await?;
    }
    Ok(())
}

fn configured(app: &AppState) -> BTreeSet<ClientId> {
    app.configured_clients.iter().map(|client| client.id.clone()).collect()
}

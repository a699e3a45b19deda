//! What ends at this node when something is disabled: sessions, streams, calls and connections to
//! servers. Requests ask the set themselves; streams that an HTTP answer carries end with
//! `edge::resource_server::watch`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portunus_core::disabled::Disableable;
use portunus_mcp::hub::Hub;

use super::Disabled;

/// After this time what is disabled is ended once more: a request that had passed the check just
/// before has begun by then whatever it begins.
const SECOND_ROUND: Duration = Duration::from_secs(2);

/// For as long as the gateway runs.
pub async fn follow(disabled: Disabled, hub: Arc<Hub>) {
    let mut changes = disabled.changes();
    loop {
        let (new, has_shown) = disabled.take_pending();
        for what in &new {
            if let Disableable::Server(server) = what {
                hub.forget_subscriptions(server);
            }
        }
        if has_shown || new.iter().any(Disableable::is_listed) {
            hub.permissions_changed();
        }
        if !new.is_empty() {
            tokio::spawn(end_twice(new, disabled.clone(), Arc::clone(&hub)));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn end_twice(mut all: BTreeSet<Disableable>, disabled: Disabled, hub: Arc<Hub>) {
    for what in &all {
        tracing::info!(%what, "disabled: what it has here ends");
    }
    end(&all, &hub).await;
    tokio::time::sleep(SECOND_ROUND).await;
    all.retain(|what| disabled.now().contains(what));
    end(&all, &hub).await;
}

async fn end(all: &BTreeSet<Disableable>, hub: &Arc<Hub>) {
    let ending = all.iter().map(|what| async move {
        match what {
            Disableable::Person(user) => hub.end_user(user).await,
            Disableable::Client(client) => hub.end_client(client).await,
            Disableable::Server(server) => hub.end_server(server).await,
            // A call of a tool that is under way goes to its end; a proxied request ends by itself.
            Disableable::Tool { .. } | Disableable::Proxy(_) => {}
        }
    });
    futures::future::join_all(ending).await;
}

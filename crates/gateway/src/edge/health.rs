//! `/health`, `/healthz` (parity A9, B1): the process is up. `/ready`: it can do its work, so send
//! it traffic. Part by part: the store answers, the other nodes can tell that this one is alive,
//! and the process was not told to stop ([`Stopping`]).

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderValue, StatusCode, Version, header};
use portunus_core::store::Upkeep;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;

/// How long the store may take: one that hangs is as good as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the process was told to stop. Once it was, there is no way back.
#[derive(Clone, Debug, Default)]
pub struct Stopping(CancellationToken);

impl Stopping {
    pub fn begin(&self) {
        self.0.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[derive(Clone)]
pub struct HealthState {
    pub upkeep: Arc<dyn Upkeep>,
    pub cluster: Cluster,
    pub stopping: Stopping,
}

pub fn routes(state: HealthState) -> Router {
    Router::new()
        .route("/health", routing::get(health))
        .route("/healthz", routing::get(health))
        .route("/ready", routing::get(ready))
        .with_state(state)
}

async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// A process that stops says so at once, whatever else may be wrong with it.
async fn ready(State(state): State<HealthState>) -> Response {
    if state.stopping.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"})))
            .into_response();
    }
    let store = match tokio::time::timeout(PATIENCE, state.upkeep.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer");
            false
        }
    };
    let (status, body) = verdict(store, state.cluster.is_alive());
    (status, Json(body)).into_response()
}

/// `node` is whether the others can tell that this one is alive; `None` if there are no others.
fn verdict(store: bool, node: Option<bool>) -> (StatusCode, Value) {
    let word = |fine| if fine { "ok" } else { "unavailable" };
    let fine = store && node.unwrap_or(true);
    let mut body = json!({"status": word(fine), "store": word(store)});
    if let Some(node) = node {
        body["node"] = word(node).into();
    }
    (if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
}

/// While the process stops, each answer over HTTP/1.1 is its connection's last: a balancer that
/// keeps connections then has none left when they close, and no request is on its way into one.
pub fn last_answer(stopping: &Stopping, version: Version, response: &mut Response) {
    if version < Version::HTTP_2 && stopping.has_begun() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_fails_is_named_and_takes_the_whole_with_it() {
        let ok = StatusCode::OK;
        let down = StatusCode::SERVICE_UNAVAILABLE;
        let cases = [
            (true, None, ok, json!({"status": "ok", "store": "ok"})),
            (true, Some(true), ok, json!({"status": "ok", "store": "ok", "node": "ok"})),
            (false, None, down, json!({"status": "unavailable", "store": "unavailable"})),
            (
                false,
                Some(true),
                down,
                json!({"status": "unavailable", "store": "unavailable", "node": "ok"}),
            ),
            (
                true,
                Some(false),
                down,
                json!({"status": "unavailable", "store": "ok", "node": "unavailable"}),
            ),
        ];
        for (store, node, status, body) in cases {
            assert_eq!(verdict(store, node), (status, body), "store {store}, node {node:?}");
        }
    }
}

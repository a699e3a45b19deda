//! `/health`, `/healthz` (parity A9, B1): the process is up. `/ready`: it can do its work, so send it traffic.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::StatusCode;
use portunus_core::store::Upkeep;
use serde_json::json;

#[derive(Clone)]
pub struct HealthRoom {
    pub upkeep: Arc<dyn Upkeep>,
}

pub fn routes(room: HealthRoom) -> Router {
    Router::new()
        .route("/health", routing::get(health))
        .route("/healthz", routing::get(health))
        .route("/ready", routing::get(ready))
        .with_state(room)
}

async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn ready(State(room): State<HealthRoom>) -> Response {
    match room.upkeep.ping().await {
        Ok(()) => Json(json!({"status": "ok", "store": "ok"})).into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unavailable", "store": "unavailable"}))).into_response()
        }
    }
}

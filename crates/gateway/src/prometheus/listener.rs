//! Answers `GET /metrics`, on an address of its own: what is counted is for those who run the
//! gateway, and is not asked for with a token. There is nothing else at that address.

use std::{future::Future, io};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::net::TcpListener;

use super::{page, sources::Sources};
use crate::{edge::server, metrics::Metrics};

/// Connections of one address.
const CONNECTIONS_PER_ADDRESS: usize = 64;

/// Serves until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    sources: Sources,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = Router::new().route("/metrics", routing::get(get)).with_state((metrics, sources));
    server::run_apart(listener, CONNECTIONS_PER_ADDRESS, router, stop).await
}

async fn get(State((metrics, sources)): State<(Metrics, Sources)>) -> Response {
    // Thousands of series take a moment, which is none of the runtime's.
    let written = tokio::task::spawn_blocking(move || page::write(&metrics, sources)).await;
    match written {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &impl std::fmt::Display) -> Response {
    tracing::error!(%error, "the metrics cannot be written");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

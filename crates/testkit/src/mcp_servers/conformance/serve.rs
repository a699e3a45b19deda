//! Running a [`Conformance`] server: over HTTP in this process, or on standard input and output.
//! The program around it is `conformance-server`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, middleware};
use rmcp::{
    ServiceExt,
    service::ServerInitializeError,
    transport::{
        async_rw::AsyncRwTransport,
        streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService},
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    era::{Era, OneEra, refuse_modern},
    server::{Conformance, Shared},
};

/// Serves over HTTP until dropped.
pub struct ConformanceServer {
    url: String,
    stop: CancellationToken,
}

impl ConformanceServer {
    /// Port 0 is any.
    pub async fn start(era: Era, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let stop = CancellationToken::new();
        // An origin of this machine may call; without a list rmcp would let any web page.
        let config = StreamableHttpServerConfig::default()
            .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
            .with_legacy_session_mode(era != Era::Modern)
            .with_stateless_protocol_metadata_required(era == Era::Modern)
            .with_cancellation_token(stop.clone());
        let shared = Arc::new(Shared::default());
        let sessions = Arc::clone(&shared.sessions);
        let factory = move || Ok(Conformance::new(era, Arc::clone(&shared)));
        let service = StreamableHttpService::new(factory, sessions, config);
        let mut router = Router::new().nest_service("/mcp", service);
        if era == Era::Legacy {
            router = router.layer(middleware::from_fn(refuse_modern));
        }
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled_owned() => {}
                result = async { axum::serve(listener, router).await } => {
                    if let Err(error) = result {
                        tracing::error!(%error, "the conformance server failed");
                    }
                }
            }
        });
        Ok(Self { url, stop })
    }

    /// Where clients connect.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for ConformanceServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves on standard input and output until the client closes them.
pub async fn serve_stdio(era: Era) -> Result<(), ServerInitializeError> {
    let server = Conformance::new(era, Arc::default());
    let (input, output) = rmcp::transport::stdio();
    let connection = OneEra::new(era, AsyncRwTransport::new_server(input, output));
    match server.serve(connection).await {
        Ok(running) => {
            if let Err(error) = running.waiting().await {
                tracing::error!(%error, "the conformance server failed");
            }
            Ok(())
        }
        // A client that connects and leaves without a message is no failure.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

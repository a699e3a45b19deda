//! A fixture server over Streamable HTTP in this process, which notes what reaches it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::Request, middleware};
use http::{HeaderMap, Method};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::fixture::{Fixture, Wording};

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    pub name: String,
    pub page_size: usize,
    /// Sessions as usual; otherwise each request stands alone.
    pub sessions: bool,
    /// Without sessions: answers in JSON rather than on event streams.
    pub json: bool,
    /// 0 for any.
    pub port: u16,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { name: "fixture".to_owned(), page_size: 0, sessions: true, json: false, port: 0 }
    }
}

/// A request as it reached the server.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    pub method: Method,
    pub headers: HeaderMap,
}

/// Runs until dropped.
pub struct FixtureServer {
    url: Url,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    sessions: Arc<LocalSessionManager>,
    /// What it says of its tools and prompts, and of itself.
    pub wording: Wording,
    stop: CancellationToken,
}

impl FixtureServer {
    pub async fn start() -> Self {
        Self::start_with(HttpOptions::default()).await
    }

    /// # Panics
    /// When the port is taken.
    pub async fn start_with(options: HttpOptions) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], options.port))).await;
        let listener = listener
            .unwrap_or_else(|error| panic!("cannot listen on port {}: {error}", options.port));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let url = Url::parse(&format!("http://{address}/mcp"))
            .unwrap_or_else(|error| panic!("no URL: {error}"));
        let stop = CancellationToken::new();
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = options.sessions;
        config.json_response = options.json;
        config.cancellation_token = stop.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let (name, page_size) = (options.name, options.page_size);
        let wording = Wording::default();
        let shared = wording.clone();
        let fixture =
            move || Ok(Fixture::new(name.clone(), page_size).with_wording(shared.clone()));
        let service = StreamableHttpService::new(fixture, Arc::clone(&sessions), config);
        let seen: Arc<Mutex<Vec<SeenRequest>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let note = middleware::from_fn(move |request: Request, next: middleware::Next| {
            let entry = SeenRequest {
                method: request.method().clone(),
                headers: request.headers().clone(),
            };
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
            next.run(request)
        });
        let router = Router::new().nest_service("/mcp", service).layer(note);
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled_owned() => {}
                result = async { axum::serve(listener, router).await } => {
                    if let Err(error) = result {
                        tracing::error!(%error, "the fixture server failed");
                    }
                }
            }
        });
        Self { url, seen, sessions, wording, stop }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What reached the server so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many sessions there are.
    pub async fn session_count(&self) -> usize {
        self.sessions.sessions.read().await.len()
    }

    /// Forgets every session, as a restarted server does.
    pub async fn forget_sessions(&self) {
        self.sessions.sessions.write().await.clear();
    }
}

impl Drop for FixtureServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

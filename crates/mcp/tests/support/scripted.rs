//! An HTTP server that does what a closure says, request by request.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use portunus_mcp::{
    upstream::Upstreams,
    wire::{self, Message, RequestId},
};
use tokio::net::TcpListener;
use url::Url;

use super::{http, pool};

/// What an HTTP server says of a request; `None`: it drops the connection.
pub(crate) type Says = Arc<dyn Fn(&str, &str, &RequestId) -> Option<Response> + Send + Sync>;

pub(crate) struct HttpServer {
    pub(crate) pool: Arc<Upstreams>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpServer {
    pub(crate) async fn start(says: Says) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let handler = move |method: Method, body: Bytes| {
            let (says, seen) = (Arc::clone(&says), Arc::clone(&seen));
            async move {
                if method != Method::POST {
                    return StatusCode::METHOD_NOT_ALLOWED.into_response();
                }
                let Message::Request(request) = wire::parse(&body).unwrap() else {
                    return StatusCode::ACCEPTED.into_response();
                };
                seen.lock().unwrap().push(request.method.clone());
                let params = request.params.as_ref().map_or("{}", |params| params.as_str());
                says(&request.method, params, &request.id).unwrap_or_else(|| {
                    // The connection's task ends, and with it the connection.
                    std::panic::resume_unwind(Box::new("this server drops the connection"))
                })
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().route("/mcp", any(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { pool: pool(http(&url)), asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn answer(id: &RequestId, outcome: &str) -> Response {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, id.raw());
    ([("content-type", "application/json")], body).into_response()
}

//! Between HTTP and the hub: reads the body within its bounds, hands it over, and makes HTTP of the hub's answer.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use portunus_core::{principal::Principal, resource::Resources};
use portunus_mcp::{
    answer::{self, Answer},
    hub::{Caller, Hub, View},
};
use serde_json::json;

use super::{
    layers::BODY_TIMEOUT,
    protect::scope::{self, ScopeAllow},
};

#[derive(Clone)]
pub struct McpRoom {
    pub hub: Arc<Hub>,
    pub resources: Arc<Resources>,
    /// The most bytes of a message (threat 47).
    pub body_limit: usize,
}

impl McpRoom {
    /// A request on an MCP endpoint, its token already checked.
    pub async fn serve(&self, principal: Arc<Principal>, view: View, request: Request) -> Response {
        let allow = Arc::new(ScopeAllow::new(&principal, &self.resources));
        let caller = Caller { principal: Arc::clone(&principal), view, allow };
        let (parts, body) = request.into_parts();
        let answer = match parts.method {
            Method::POST => match self.read(body).await {
                Ok(bytes) => self.hub.post(caller, &parts.headers, bytes).await,
                Err(response) => return *response,
            },
            Method::GET => self.hub.get(caller, &parts.headers).await,
            Method::DELETE => self.hub.delete(caller, &parts.headers).await,
            _ => {
                let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
                return response;
            }
        };
        let refused = answer.refused.clone();
        let mut response = respond(answer);
        if let Some(refused) = refused {
            scope::challenge(&mut response, &principal, &self.resources, &scope::operation(&refused));
        }
        response
    }

    async fn read(&self, body: Body) -> Result<Bytes, Box<Response>> {
        let refuse = |status: StatusCode, why: &str| Box::new((status, Json(json!({"error": why}))).into_response());
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, self.body_limit).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the message is larger than this gateway accepts (limits.body in config.yaml)",
            )),
            Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "the body could not be read")),
            Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
        }
    }
}

fn respond(answer: Answer) -> Response {
    let body = match answer.body {
        answer::Body::Empty => Body::empty(),
        answer::Body::Json(bytes) => Body::from(bytes),
        answer::Body::Events(events) => Body::from_stream(events.map(Ok::<_, Infallible>)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

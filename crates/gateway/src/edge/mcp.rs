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
use portunus_core::{ids::UserId, oauth::scopes::EffectiveScopes, principal::Principal, resource::Resources};
use portunus_mcp::{
    answer::{self, Answer},
    hub::{Caller, Hub, View},
};
use serde_json::json;

use super::{
    body::{self, ByteBudget},
    keyed_limit::{KeyedLimit, Permit},
    protect::scope::{self, ScopeAllow},
    tools,
};
use crate::cluster::{Cluster, ForwardedKind, ForwardedRequest};

#[derive(Clone)]
pub struct McpState {
    pub hub: Arc<Hub>,
    pub resources: Arc<Resources>,
    /// The most bytes of a message (threat 47).
    pub body_limit: usize,
    pub shares: Shares,
    pub cluster: Cluster,
}

/// What each person has of the gateway at once: requests under way, messages from the first byte of the body to the head of the answer,
/// proxied ones to the last byte of it; and bytes of bodies, as long as they are kept (threats 47, 56, 62).
#[derive(Clone)]
pub struct Shares {
    pub requests: KeyedLimit<UserId>,
    pub bytes: KeyedLimit<UserId>,
    pub requests_per_user: usize,
    pub bytes_per_user: usize,
}

impl Shares {
    /// `Err` is the answer when the person has as many requests under way as allowed.
    pub fn request(&self, user: &UserId) -> Result<Permit<UserId>, Box<Response>> {
        self.requests.acquire(user, 1, self.requests_per_user).ok_or_else(|| Box::new(too_many()))
    }

    pub const fn budget<'a>(&'a self, user: &'a UserId) -> ByteBudget<'a, UserId> {
        ByteBudget { held: &self.bytes, whose: user, most: self.bytes_per_user }
    }
}

impl McpState {
    /// A request on an MCP endpoint, its token already checked.
    pub async fn serve(&self, principal: Arc<Principal>, scopes: EffectiveScopes, view: View, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        // Taken before the body is read: what it holds counts too. Given back with the head of the answer.
        let mut permit = None;
        let body = match parts.method {
            Method::POST => {
                match self.shares.request(&principal.user) {
                    Ok(taken) => permit = Some(taken),
                    Err(response) => return *response,
                }
                match body::read_within(body, self.body_limit, &self.shares.budget(&principal.user)).await {
                    Ok(bytes) => bytes,
                    Err(response) => return *response,
                }
            }
            Method::GET | Method::DELETE => Bytes::new(),
            _ => {
                let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
                return response;
            }
        };
        let response = self
            .run(ForwardedRequest {
                what: ForwardedKind::Mcp(parts.method),
                principal,
                scopes,
                view,
                headers: parts.headers,
                body,
            })
            .await;
        drop(permit);
        response
    }

    /// Has the forwarded request run where its user is at home.
    pub async fn run(&self, forwarded: ForwardedRequest) -> Response {
        self.cluster.run(forwarded, |forwarded| self.here(forwarded)).await
    }

    /// Runs the forwarded request on this node.
    pub async fn here(&self, forwarded: ForwardedRequest) -> Response {
        let ForwardedRequest { what, principal, scopes, view, headers, body } = forwarded;
        let allow = Arc::new(ScopeAllow::new(scopes));
        // Set by the edge of whichever node took the request.
        let request_id = headers.get("x-request-id").cloned();
        let caller = Caller { principal: Arc::clone(&principal), view, allow, request_id };
        let answer = match what {
            ForwardedKind::Tools => return tools::answer(&self.hub.tools(caller).await),
            ForwardedKind::Mcp(Method::POST) => self.hub.post(caller, &headers, body).await,
            ForwardedKind::Mcp(Method::DELETE) => self.hub.delete(caller, &headers).await,
            ForwardedKind::Mcp(_) => self.hub.get(caller, &headers).await,
        };
        let refused = answer.refused.clone();
        let mut response = respond(answer);
        if let Some(refused) = refused {
            scope::challenge(&mut response, &principal, &self.resources, &scope::operation(&refused));
        }
        response
    }
}

fn too_many() -> Response {
    let body = json!({"error": "too_many_requests", "error_description": "too many requests of yours are under way: wait for some to end"});
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], Json(body)).into_response()
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

//! MCP endpoints over HTTP: reads the body within its bounds, and hands the request over to the
//! node that owns the person's sessions. What a node does with one of its own is
//! [`super::local`]'s; which path leads here is `edge::resource_server`'s.

use std::sync::Arc;

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use portunus_core::{oauth::scopes::EffectiveScopes, principal::Principal};
use portunus_mcp::hub::View;

use super::local::LocalMcp;
use crate::{
    audit::RequestAudit,
    cluster::{Cluster, ForwardedKind, ForwardedRequest},
    edge::{body, resource_server::access::Remembered},
};

#[derive(Clone)]
pub struct McpState {
    pub local: LocalMcp,
    pub cluster: Cluster,
}

impl McpState {
    /// A request on an MCP endpoint, its token already checked.
    pub async fn serve(
        &self,
        (principal, remembered): (Arc<Principal>, Remembered),
        scopes: EffectiveScopes,
        view: View,
        audit: RequestAudit,
        request: Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        // Taken before the body is read: what it holds counts too. Given back with the head of the
        // answer.
        let mut permit = None;
        let body = match parts.method {
            Method::POST => {
                match self.local.shares.request(&principal.user) {
                    Ok(taken) => permit = Some(taken),
                    Err(response) => return *response,
                }
                match body::read_within(
                    body,
                    self.local.body_limit,
                    &self.local.shares.budget(&principal.user),
                )
                .await
                {
                    Ok(bytes) => bytes,
                    Err(response) => return *response,
                }
            }
            Method::GET | Method::DELETE => Bytes::new(),
            _ => {
                let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
                response
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
                return response;
            }
        };
        let response = self
            .run(ForwardedRequest {
                what: ForwardedKind::Mcp(parts.method),
                principal,
                remembered,
                scopes,
                view,
                headers: parts.headers,
                body,
                audit,
            })
            .await;
        drop(permit);
        response
    }

    /// Has the request run at the owner node of its user.
    pub async fn run(&self, forwarded: ForwardedRequest) -> Response {
        self.cluster.run(forwarded, |forwarded| self.local.run(forwarded)).await
    }
}

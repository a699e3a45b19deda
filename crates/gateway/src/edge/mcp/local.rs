//! Requests that run on this node: hands them over to the hub, and makes HTTP of its answer. They
//! come from [`super::endpoint`], or from another node.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, response::Response};
use futures::StreamExt as _;
use http::Method;
use portunus_core::resource::Resources;
use portunus_mcp::{
    answer::{self, Answer},
    hub::{Caller, Hub},
};

use super::{shares::Shares, tool_list};
use crate::{
    cluster::forwarded::{ForwardedKind, ForwardedRequest},
    edge::resource_server::{
        access::{Access, RequestAllow},
        scope::{self, ScopeAllow},
    },
};

#[derive(Clone)]
pub struct LocalMcp {
    pub hub: Arc<Hub>,
    pub resources: Arc<Resources>,
    /// Rules of this node: they decide about requests of others too.
    pub access: Access,
    /// The most bytes of a message (threat 47).
    pub body_limit: usize,
    pub shares: Shares,
}

impl LocalMcp {
    /// Runs the forwarded request on this node.
    pub async fn run(&self, forwarded: ForwardedRequest) -> Response {
        let ForwardedRequest { what, principal, scopes, view, headers, body } = forwarded;
        let allow = Arc::new(RequestAllow {
            scopes: ScopeAllow::new(scopes),
            access: self.access.of(Arc::clone(&principal)),
        });
        // Set by the edge of whichever node took the request.
        let request_id = headers.get("x-request-id").cloned();
        let caller = Caller { principal: Arc::clone(&principal), view, allow, request_id };
        let answer = match what {
            ForwardedKind::Tools => return tool_list::answer(&self.hub.tools(caller).await),
            ForwardedKind::Mcp(Method::POST) => self.hub.post(caller, &headers, body).await,
            ForwardedKind::Mcp(Method::DELETE) => self.hub.delete(caller, &headers).await,
            ForwardedKind::Mcp(_) => self.hub.get(caller, &headers).await,
        };
        let refused = answer.refused.clone();
        let mut response = respond(answer);
        if let Some(refused) = refused {
            scope::challenge(
                &mut response,
                &principal,
                &self.resources,
                &scope::operation(&refused),
            );
        }
        response
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

//! Requests that run on this node: hands them over to the hub, and makes HTTP of its answer. They
//! come from [`super::endpoint`], or from another node.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, response::Response};
use futures::StreamExt as _;
use http::Method;
use portunus_core::{audit::RefusalReason, call_limits::Target, resource::Resources};
use portunus_mcp::{
    answer::{self, Answer},
    hub::{Caller, Hub},
};

use super::{
    shares::{self, Shares},
    tool_list,
};
use crate::{
    audit::{AuditLog, CallWatch},
    cluster::forwarded::{ForwardedKind, ForwardedRequest},
    edge::{
        call_limits::{CallLimits, CountedRequest, metered},
        oauth::support::answers,
        resource_server::{
            access::{Access, RequestAllow},
            scope::{self, ScopeAllow},
        },
    },
};

#[derive(Clone)]
pub struct LocalMcp {
    pub hub: Arc<Hub>,
    pub resources: Arc<Resources>,
    /// Rules of this node: they decide about requests of others too.
    pub access: Access,
    /// Limits of this node, the same way.
    pub limits: CallLimits,
    /// The most bytes of a message (threat 47).
    pub body_limit: usize,
    pub shares: Shares,
    pub audit: AuditLog,
}

impl LocalMcp {
    /// Runs the forwarded request on this node.
    pub async fn run(&self, forwarded: ForwardedRequest) -> Response {
        let ForwardedRequest { what, principal, remembered, scopes, view, headers, body, audit } =
            forwarded;
        // Of another node it knows only now whether there is room.
        if self.audit.admit().await.is_err() {
            return answers::audit_full();
        }
        let allow = Arc::new(RequestAllow {
            scopes: ScopeAllow::new(scopes),
            access: self.access.of_remembered(Arc::clone(&principal), remembered),
        });
        // Set by the edge of whichever node took the request.
        let request_id = headers.get("x-request-id").cloned();
        let watch = Arc::new(CallWatch::new(
            audit.clone(),
            Arc::clone(&principal),
            Arc::clone(&allow),
            Arc::clone(&self.resources),
            (&view, self.hub.names()),
        ));
        let observer = self.audit.is_on().then(|| Arc::clone(&watch) as _);
        let counted = self.limits.of(&principal);
        let limits = counted.clone().map(|counted| counted as _);
        let caller =
            Caller { principal: Arc::clone(&principal), view, allow, request_id, observer, limits };
        let answer = match what {
            ForwardedKind::Tools => return self.tools(caller, counted).await,
            ForwardedKind::Mcp(Method::POST) => self.hub.post(caller, &headers, body).await,
            ForwardedKind::Mcp(Method::DELETE) => self.hub.delete(caller, &headers).await,
            ForwardedKind::Mcp(_) => self.hub.get(caller, &headers).await,
        };
        let refused = answer.refused.clone();
        let mut response = respond(answer);
        if let Some(refused) = refused {
            if !watch.has_told() {
                let about = refused.server.as_str();
                audit.refused((&*principal).into(), RefusalReason::InsufficientScope, about);
            }
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

impl LocalMcp {
    /// The list of tools counts as a request of its person.
    async fn tools(&self, caller: Caller, counted: Option<Arc<CountedRequest>>) -> Response {
        let Some(counted) = counted else {
            return tool_list::answer(&self.hub.tools(caller).await);
        };
        let begun = counted.begin(None, 0).and_then(|()| counted.enter(Target::default()));
        if let Err(limited) = begun {
            return shares::limited(&limited);
        }
        let answer = tool_list::answer(&self.hub.tools(caller).await);
        answer.map(|body| metered(body, counted))
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

//! The one way to everything that needs an access token: path -> resource -> token -> access
//! rules -> scope -> hub or proxy.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use portunus_core::{
    access::Thing,
    audit::{Call, CallKind, CallOutcome, RefusalReason},
    call_limits,
    ids::UserId,
    oauth::{params::Params, scopes::Operation},
    principal::Principal,
    request::PlainPath,
    resource::{Resources, Target},
};
use portunus_mcp::hub::View;
use serde_json::json;

use super::{
    access::{CallerAccess, Shown, StreamAccess},
    bearer::{Admitted, Bearer},
    scope, watch,
};
use crate::{
    audit::RequestAudit,
    edge::{
        call_limits::{CountedRequest, metered},
        connections::Connection,
        cut_body,
        extensions::{AddressPermit, FromAnotherServer, Peer, RequestId},
        held_body::until_sent,
        mcp::{endpoint::McpState, shares},
        proxy::{self, ProxyRoutes},
    },
};

pub struct ResourceServerState {
    pub bearer: Bearer,
    pub resources: Arc<Resources>,
    pub mcp: McpState,
    pub proxy: ProxyRoutes,
}

/// Every path that no other endpoint took.
pub async fn any(
    State(state): State<Arc<ResourceServerState>>,
    Extension(id): Extension<RequestId>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(audit): Extension<RequestAudit>,
    request: Request,
) -> Response {
    // What is matched is what is forwarded. The edge has refused every path that could mean two
    // things (`layers`).
    let path = PlainPath::parse(request.uri().path()).ok();
    let found = path.and_then(|path| {
        state.resources.guarding(path).zip(state.resources.address(path, request.uri().query()))
    });
    let Some(((resource, target), address)) = found else {
        return nothing_here();
    };
    let Admitted { principal, look_up } =
        match state.bearer.admit(request.headers(), request.uri().query(), &resource).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                return state.bearer.refusal(&refused, &resource, &address, &audit);
            }
        };
    // Of one request it is told once.
    let _ = audit.names().principal.set(Arc::clone(&principal));
    count_for(&principal.user, &request);
    // What rules do not allow the caller is not there, before anything is said of scopes.
    let remembered = look_up.remembered.clone();
    let access = state.mcp.local.access.of_remembered(Arc::clone(&principal), remembered.clone());
    if let Some(why) = why_absent(target, &access) {
        audit.refused((&*principal).into(), why, principal.resource.as_str());
        return nothing_here();
    }
    let scopes = state.resources.catalogue().effective(&principal.scopes);
    let view = match target {
        Target::Proxy { pattern } if scopes.allows(&Operation::Everything) => {
            let permit = match state.mcp.local.shares.request(&principal.user) {
                Ok(permit) => permit,
                Err(response) => return *response,
            };
            let caller = proxy::Caller { peer, principal: &principal, request_id: id.as_str() };
            let mut begun =
                ProxiedCall::begin(pattern, &request, audit.clone(), Arc::clone(&principal));
            begun.would_refuse = access.would_refuse(&Thing::Proxy(pattern));
            let (begun, counted) = match begun.within_limits(&state, pattern) {
                Ok(within) => within,
                Err(response) => return *response,
            };
            let request = request.map(|body| counted_body(body, counted.as_ref()));
            let rules = state.mcp.local.access.stream(&principal, Shown::Proxy(pattern.to_owned()));
            let Some(response) = forward(&state, pattern, request, caller, &rules).await else {
                audit.refused((&*principal).into(), RefusalReason::Disabled, resource.as_str());
                return nothing_here();
            };
            begun.ended(&response);
            let counted = response.map(|body| counted_body(body, counted.as_ref()));
            let response = until_sent(counted, permit);
            return watch::while_valid(&state.bearer, look_up, &resource, rules, response);
        }
        Target::Proxy { .. } => return insufficient_scope(&state, &principal, &audit),
        // The configuration no longer has any of the token's scopes.
        Target::All | Target::Server(_) if scopes.is_empty() => {
            return insufficient_scope(&state, &principal, &audit);
        }
        Target::Server(name) => View::One(name.clone()),
        Target::All => match named_server(&state.resources, request.uri().query(), &access, &audit)
        {
            Ok(view) => view,
            Err(response) => return *response,
        },
    };
    let rules = state.mcp.local.access.stream(&principal, Shown::of(&view));
    let mut response = state.mcp.serve((principal, remembered), scopes, view, audit, request).await;
    scope::readdress(&mut response, &resource, &address, &state.resources);
    watch::while_valid(&state.bearer, look_up, &resource, rules, response)
}

/// A proven request counts for its person, no longer for its address.
fn count_for(user: &UserId, request: &Request) {
    if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
        connection.proven(user);
    }
    if let Some(permit) = request.extensions().get::<AddressPermit>() {
        permit.release();
    }
}

/// The same body, its bytes counted.
fn counted_body(body: Body, counted: Option<&Arc<CountedRequest>>) -> Body {
    match counted {
        Some(counted) => metered(body, Arc::clone(counted)),
        None => body,
    }
}

/// Why what the path leads to is not there for this caller, if it is not.
fn why_absent(target: &Target, access: &CallerAccess) -> Option<RefusalReason> {
    let wanted = match target {
        Target::Proxy { pattern } => Thing::Proxy(pattern),
        Target::Server(name) => Thing::Server(name),
        Target::All => return None,
    };
    (!access.may(&wanted)).then(|| access.why_refused(&wanted))
}

/// The answer to a proxied request. Its body breaks off when its person, its client or the path is
/// disabled; `None` if that happens before it has begun.
async fn forward(
    state: &ResourceServerState,
    pattern: &str,
    request: Request,
    caller: proxy::Caller<'_>,
    rules: &StreamAccess,
) -> Option<Response> {
    let response = tokio::select! {
        response = Box::pin(state.proxy.forward(pattern, request, caller)) => response,
        () = rules.until_disabled() => return None,
    };
    let rules = rules.clone();
    Some(cut_body::until(response, async move { rules.until_disabled().await }))
}

/// `/mcp?server_name=` picks one server (parity A8).
fn named_server(
    resources: &Resources,
    query: Option<&str>,
    access: &CallerAccess,
    audit: &RequestAudit,
) -> Result<View, Box<Response>> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let params = params.map_err(|bad| {
        Box::new(problem(StatusCode::BAD_REQUEST, "invalid_request", &bad.to_string()))
    })?;
    let Some(name) = params.find("server_name") else { return Ok(View::All) };
    if let Some(server) = resources.servers().find(|server| server.as_str() == name) {
        if access.may_enter(server) {
            return Ok(View::One(server.clone()));
        }
        let person = access.principal().into();
        audit.refused(person, access.why_refused(&Thing::Server(server)), server.as_str());
    }
    Err(Box::new(problem(
        StatusCode::NOT_FOUND,
        "not_found",
        "server_name names no server of this gateway",
    )))
}

/// The token is good but does not reach that far (RFC 6750 section 3.1). What it lacks of an MCP
/// server, the hub finds out.
fn insufficient_scope(
    state: &ResourceServerState,
    principal: &Principal,
    audit: &RequestAudit,
) -> Response {
    let about = principal.resource.as_str();
    audit.refused(principal.into(), RefusalReason::InsufficientScope, about);
    let mut response =
        problem(StatusCode::FORBIDDEN, "insufficient_scope", "the token does not cover this");
    scope::challenge(&mut response, principal, &state.resources, &Operation::Everything);
    response
}

fn nothing_here() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

/// A request on a proxied route, as the audit log is told of it. One that is dropped before its
/// answer has begun was cancelled: its client has gone.
struct ProxiedCall {
    audit: RequestAudit,
    principal: Arc<Principal>,
    pattern: String,
    method: String,
    bytes: u64,
    began: Instant,
    /// By what access rules in shadow would refuse it.
    would_refuse: Option<String>,
    is_told: bool,
    times: Option<u32>,
}

impl ProxiedCall {
    fn begin(
        pattern: &str,
        request: &Request,
        audit: RequestAudit,
        principal: Arc<Principal>,
    ) -> Self {
        Self {
            audit,
            principal,
            pattern: pattern.to_owned(),
            method: request.method().as_str().to_owned(),
            bytes: length(request.headers()),
            began: Instant::now(),
            would_refuse: None,
            is_told: false,
            times: None,
        }
    }

    /// Its answer has begun.
    fn ended(mut self, response: &Response) {
        let status = response.status();
        let is_ours = response.extensions().get::<FromAnotherServer>().is_none();
        let outcome = match status {
            status if !status.is_client_error() && !status.is_server_error() => CallOutcome::Ok,
            _ if is_ours => CallOutcome::Unavailable,
            _ => CallOutcome::ServerError,
        };
        self.tell(outcome, Some(i64::from(status.as_u16())), length(response.headers()));
    }

    /// The call, and what counts it if any limit of calls is about it: it is at work to the last
    /// byte of its answer. `Err` is the answer when a limit is met, which is told of now and then.
    fn within_limits(
        mut self,
        state: &ResourceServerState,
        pattern: &str,
    ) -> Result<(Self, Option<Arc<CountedRequest>>), Box<Response>> {
        let Some(counted) = state.mcp.local.limits.of(&self.principal) else {
            return Ok((self, None));
        };
        let target = call_limits::Target { server: Some(pattern), tool: None };
        let met = counted.begin(Some(pattern), 0).and_then(|()| counted.enter(target));
        let Err(limited) = met else { return Ok((self, Some(counted))) };
        self.is_told = true;
        if let Some(times) = limited.told {
            self.times = Some(times.get());
            self.tell(CallOutcome::Limited, Some(StatusCode::TOO_MANY_REQUESTS.as_u16().into()), 0);
        }
        Err(Box::new(shares::limited(&limited)))
    }

    fn tell(&mut self, outcome: CallOutcome, code: Option<i64>, answer_bytes: u64) {
        self.is_told = true;
        let call = Call {
            kind: CallKind::Proxy,
            server: Some(std::mem::take(&mut self.pattern)),
            name: std::mem::take(&mut self.method),
            outcome,
            code,
            ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_bytes: self.bytes,
            answer_bytes,
            times: self.times,
            would_refuse: self.would_refuse.take().filter(|_| outcome.has_passed()),
        };
        self.audit.called(&self.principal, call);
    }
}

impl Drop for ProxiedCall {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(CallOutcome::Cancelled, None, 0);
        }
    }
}

/// As it is announced: a stream has none.
fn length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

fn problem(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({"error": error, "error_description": description}))).into_response()
}

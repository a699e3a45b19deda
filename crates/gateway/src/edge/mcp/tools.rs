//! `GET /tools`: the tools I may use, as JSON, with a token or a login (parity A9).

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::Response,
    routing,
};
use bytes::Bytes;
use http::{HeaderMap, header};
use portunus_core::{
    ids::{ClientId, GrantId},
    oauth::metadata::Challenge,
    principal::{Principal, User},
    resource::Resources,
    scope::{self, ScopeSet},
};
use portunus_mcp::hub::View;

use super::endpoint::McpState;
use crate::{
    audit::RequestAudit,
    cluster::{ForwardedKind, ForwardedRequest},
    edge::{
        browser::PageContext,
        oauth::support::answers,
        resource_server::{
            access::Remembered,
            bearer::{Bearer, Refused},
        },
    },
};

#[derive(Clone)]
pub struct ToolsState {
    pub page_context: PageContext,
    pub bearer: Bearer,
    pub resources: Arc<Resources>,
    pub mcp: McpState,
}

pub fn routes(state: ToolsState) -> Router {
    Router::new().route("/tools", routing::get(get)).with_state(state)
}

async fn get(
    State(state): State<ToolsState>,
    Extension(audit): Extension<RequestAudit>,
    request: Request,
) -> Response {
    let resource = state.resources.root();
    let principal = if request.headers().contains_key(header::AUTHORIZATION) {
        match state.bearer.admit(request.headers(), request.uri().query(), &resource).await {
            Ok(admitted) => admitted.principal,
            Err(refused) => {
                return state.bearer.refusal(
                    &refused,
                    &resource,
                    &state.resources.address_of(&resource),
                    &audit,
                );
            }
        }
    } else {
        match state.page_context.login(request.headers()).await {
            Ok(Some((_, user))) => Arc::new(at_browser(&user, &state.resources)),
            Ok(None) => {
                let refused = Refused::Challenge(Challenge::NoToken);
                return state.bearer.refusal(
                    &refused,
                    &resource,
                    &state.resources.address_of(&resource),
                    &audit,
                );
            }
            Err(error) => return answers::store_down(&error),
        }
    };
    let scopes = state.resources.catalogue().effective(&principal.scopes);
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    state
        .mcp
        .run(ForwardedRequest {
            what: ForwardedKind::Tools,
            principal,
            remembered: Remembered::default(),
            scopes,
            view: View::All,
            headers,
            body,
            audit,
        })
        .await
}

/// The person at their own browser may use what access rules allow them, as a client `browser` with
/// the scope `mcp` may.
pub fn at_browser(user: &User, resources: &Resources) -> Principal {
    Principal {
        user: user.id.clone(),
        subject: user.subject.clone(),
        provider: Some(user.provider.clone()),
        client: ClientId::from_text("browser"),
        application: None,
        grant: GrantId::from_text("browser"),
        resource: resources.root(),
        scopes: ScopeSet::parse(scope::MCP).unwrap_or_default(),
        groups: user.groups.clone(),
        email: user.verified_email().map(str::to_owned),
        name: user.name.clone(),
        signed_in_at: Some(user.signed_in_at),
    }
}

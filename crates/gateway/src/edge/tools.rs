//! `GET /tools`: the tools I may use, as JSON, with a token or a login (parity A9).

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use portunus_core::{
    ids::{ClientId, GrantId},
    principal::{Principal, User},
    resource::Resources,
    scope::{self, ScopeSet},
};
use portunus_mcp::hub::{ServerTool, View};

use super::{browser::PageContext, mcp::McpState, oauth_answers, protect::bearer::Bearer};
use crate::cluster::{ForwardedKind, ForwardedRequest};

#[derive(Clone)]
pub struct ToolsState {
    pub page_context: PageContext,
    pub bearer: Bearer,
    pub resources: Arc<Resources>,
    pub mcp: McpState,
}

pub fn routes(room: ToolsState) -> Router {
    Router::new().route("/tools", routing::get(get)).with_state(room)
}

async fn get(State(room): State<ToolsState>, request: Request) -> Response {
    let resource = room.resources.root();
    let principal = if request.headers().contains_key(header::AUTHORIZATION) {
        match room.bearer.admit(request.headers(), request.uri().query(), &resource).await {
            Ok(admitted) => admitted.principal,
            Err(refused) => return room.bearer.refusal(&refused, &resource, &room.resources.address_of(&resource)),
        }
    } else {
        match room.page_context.login(request.headers()).await {
            Ok(Some((_, user))) => Arc::new(principal_of(&user, &room.resources)),
            Ok(None) => {
                let refused = super::protect::bearer::Refused::Challenge(portunus_core::oauth::metadata::Challenge::NoToken);
                return room.bearer.refusal(&refused, &resource, &room.resources.address_of(&resource));
            }
            Err(error) => return oauth_answers::store_down(&error),
        }
    };
    let scopes = room.resources.catalogue().effective(&principal.scopes);
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    room.mcp.run(ForwardedRequest { what: ForwardedKind::Tools, principal, scopes, view: View::All, headers, body }).await
}

/// The list, as the hub of the user's home has it.
pub(super) fn answer(tools: &[ServerTool]) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, list(tools)).into_response()
}

/// The person at their own browser may use what policy allows them, as a client with the scope `mcp` may.
fn principal_of(user: &User, resources: &Resources) -> Principal {
    Principal {
        user: user.id.clone(),
        subject: user.subject.clone(),
        client: ClientId::from_text("browser"),
        application: None,
        grant: GrantId::from_text("browser"),
        resource: resources.root(),
        scopes: ScopeSet::parse(scope::MCP).unwrap_or_default(),
        groups: user.groups.clone(),
        email: user.verified_email().map(str::to_owned),
        name: user.name.clone(),
    }
}

/// `{"tools":[{"server":…, …the tool as its server wrote it}]}`: tool objects are spliced in raw.
fn list(tools: &[ServerTool]) -> Vec<u8> {
    let mut json = br#"{"tools":["#.to_vec();
    for (n, tool) in tools.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        json.extend_from_slice(format!(r#"{{"server":"{}","#, tool.server).as_bytes());
        json.extend_from_slice(tool.tool.trim_ascii_start().strip_prefix(b"{").unwrap_or(b"}"));
    }
    json.extend_from_slice(b"]}");
    json
}

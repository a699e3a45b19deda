//! `GET /`: the front page: my servers, my applications, my keys, how to connect.

use std::sync::Arc;

use axum::{Extension, Router, extract::State, response::Response, routing};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    access::Thing,
    agent_key,
    ids::ServerName,
    principal::User,
    resource::Resources,
    store::{GrantStore, GrantsOf, StoreError},
};

use super::{
    browser::PageContext,
    extensions::RequestId,
    mcp::tools::at_browser,
    oauth::{disconnect, support::client_directory::ClientDirectory},
    pages::{
        ConnectHelp, FrontPage, FrontPageGrant, FrontPageKey, FrontPageServer, FrontPageUser,
        Label, UrlText, when,
    },
    resource_server::access::Access,
};

/// Grants and keys shown at most; of keys a person can have so many.
const GRANTS: u32 = 100 + agent_key::MOST_PER_OWNER;

#[derive(Clone)]
pub struct FrontPageState {
    pub page_context: PageContext,
    pub directory: ClientDirectory,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub access: Access,
    pub server_kinds: Arc<[(ServerName, &'static str)]>,
    pub proxy_patterns: Arc<[String]>,
}

pub fn routes(state: FrontPageState) -> Router {
    Router::new().route("/", routing::get(get)).with_state(state)
}

async fn get(
    State(state): State<FrontPageState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let user = state.page_context.login(&headers).await?.map(|(_, user)| user);
        let browser = state.page_context.browser(&headers);
        let page = page(&state, user.as_ref(), state.page_context.csrf(&browser)).await?;
        Ok::<_, StoreError>(browser.accompany(state.page_context.respond(StatusCode::OK, &page)))
    };
    outcome.await.unwrap_or_else(|error| state.page_context.store_down(&id, &error))
}

async fn page(
    state: &FrontPageState,
    user: Option<&User>,
    csrf: String,
) -> Result<FrontPage, StoreError> {
    let (grants, keys) = match user {
        Some(user) => grants(state, user).await?,
        None => (Vec::new(), Vec::new()),
    };
    Ok(FrontPage {
        frame: state.page_context.frame(user),
        user: user.map(|user| FrontPageUser {
            name: Label::from(user.display_name()),
            email: user.email.as_deref().map(Label::from),
            groups: user.groups.iter().map(Label::from).collect(),
        }),
        servers: user.map(|user| servers(state, user)).unwrap_or_default(),
        grants,
        keys,
        connect: ConnectHelp::for_url(state.resources.root().as_str()),
        sign_in_href: "/auth/signin".into(),
        csrf: csrf.into(),
        disconnect_action: Some(disconnect::PATH),
    })
}

/// Those that the person may use, whatever the client.
fn servers(state: &FrontPageState, user: &User) -> Vec<FrontPageServer> {
    let access = state.access.of(Arc::new(at_browser(user, &state.resources)));
    let own = state.server_kinds.iter().filter(|(name, _)| access.may_enter(name));
    let own = own.map(|(name, kind)| FrontPageServer {
        name: Label::from(name.as_str()),
        url: UrlText::from(state.resources.of_server(name).as_str()),
        kind,
    });
    let proxied = state.proxy_patterns.iter().filter(|pattern| access.may(&Thing::Proxy(pattern)));
    let proxied = proxied.map(|pattern| FrontPageServer {
        name: Label::from(pattern),
        url: UrlText::from(state.resources.public_url().at(pattern)),
        kind: "proxy",
    });
    own.chain(proxied).collect()
}

/// What the person allowed applications, and the keys that were made for them.
async fn grants(
    state: &FrontPageState,
    user: &User,
) -> Result<(Vec<FrontPageGrant>, Vec<FrontPageKey>), StoreError> {
    let now = state.page_context.clock.now();
    let (mut shown, mut keys) = (Vec::new(), Vec::new());
    for grant in state.grants.list_grants(&GrantsOf::User(user.id.clone()), GRANTS).await? {
        if let Some(key) = &grant.key {
            if grant.is_live(now) {
                keys.push(FrontPageKey {
                    name: Label::from(&key.name),
                    shown: Label::from(&key.shown),
                    resource: UrlText::from(grant.resources.to_string()),
                    since: when::day(grant.created_at, now).into(),
                    until: when::day(grant.expires_at.unwrap_or(now), now).into(),
                    id: grant.id.as_str().into(),
                });
            }
            continue;
        }
        shown.push(FrontPageGrant {
            client: Label::from(state.directory.name(&grant.client).await?),
            resource: UrlText::from(grant.resources.to_string()),
            since: when::day(grant.created_at, now).into(),
            id: grant.id.as_str().into(),
        });
    }
    Ok((shown, keys))
}

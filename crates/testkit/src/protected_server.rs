//! A fake MCP server that wants tokens, and the authorization server that issues them, for what
//! tests `portunus connect` as their client. It does everything right until a test changes its
//! [`Behaviour`], and remembers what it was asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use portunus_core::{pkce::CodeChallenge, secret::SecretText};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinHandle};
use url::form_urlencoded;

/// What it does otherwise.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// `issuer` of the authorization server's metadata.
    pub metadata_issuer: Option<String>,
    /// `resource` of the server's metadata.
    pub resource: Option<String>,
    /// `authorization_servers` of the server's metadata.
    pub authorization_server: Option<String>,
    /// `iss` of answers; an empty one is left out.
    pub iss: Option<String>,
    /// What the token endpoint answers refreshes with: a status, and `error`.
    pub refresh: Option<(u16, &'static str)>,
    /// The token endpoint does its work, and answers once there is a permit.
    pub holds_tokens: Option<Arc<Semaphore>>,
    /// The scope that `tools/call` needs; a token never has it when `grants_nothing`.
    pub needs: Option<&'static str>,
    pub grants_nothing: bool,
    /// Where requests to the MCP server are sent.
    pub redirect: Option<String>,
    /// `tools/call` wants the header of a parameter, which `tools/list` tells of.
    pub wants_header: bool,
    /// `tools/call` ends its connection without an answer.
    pub breaks_calls: bool,
}

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub registrations: usize,
    pub authorizations: Vec<HashMap<String, String>>,
    /// Fields of each token request, with the client that sent it under `client_id`.
    pub tokens: Vec<HashMap<String, String>>,
    pub refreshes: usize,
    /// Bodies of messages, as they came; and the token that came with each.
    pub messages: Vec<(String, Option<String>)>,
    pub sessions: usize,
}

#[derive(Default)]
struct Inner {
    base: String,
    behaviour: Behaviour,
    seen: Seen,
    codes: HashMap<String, (CodeChallenge, String)>,
    /// Tokens that are good, with their scopes.
    access: HashMap<String, String>,
    refresh: HashMap<String, String>,
    sessions: HashSet<String>,
    count: usize,
}

type Shared = Arc<Mutex<Inner>>;
type Parameters = HashMap<String, String>;

/// A running server; it ends when dropped.
pub struct ProtectedServer {
    pub base: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl ProtectedServer {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Shared::new(Mutex::new(Inner { base: base.clone(), ..Inner::default() }));
        let app = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource_metadata))
            .route("/.well-known/oauth-authorization-server", get(server_metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/mcp", post(mcp))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serving");
        });
        Self { base, shared, task }
    }

    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.base)
    }

    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared).behaviour);
    }

    pub fn seen(&self) -> Seen {
        lock(&self.shared).seen.clone()
    }

    /// Takes all access tokens back.
    pub fn revoke_access(&self) {
        lock(&self.shared).access.clear();
    }

    /// Knows no session any more.
    pub fn forget_sessions(&self) {
        lock(&self.shared).sessions.clear();
    }
}

impl Drop for ProtectedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn resource_metadata(State(shared): State<Shared>) -> Json<Value> {
    let inner = lock(&shared);
    let own = format!("{}/mcp", inner.base);
    Json(json!({
        "resource": inner.behaviour.resource.clone().unwrap_or(own),
        "authorization_servers": [inner.behaviour.authorization_server.as_ref().unwrap_or(&inner.base)],
        "scopes_supported": ["basic"],
    }))
}

async fn server_metadata(State(shared): State<Shared>) -> Json<Value> {
    let inner = lock(&shared);
    let base = &inner.base;
    Json(json!({
        "issuer": inner.behaviour.metadata_issuer.as_ref().unwrap_or(base),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn register(State(shared): State<Shared>, Json(asked): Json<Value>) -> Response {
    let mut inner = lock(&shared);
    inner.seen.registrations += 1;
    assert_eq!(asked["application_type"], "native");
    let id = format!("client-{}-of-{}", inner.seen.registrations, inner.base);
    let secret = format!("secret-of-{}", inner.base);
    let answer =
        json!({"client_id": id, "client_secret": secret, "redirect_uris": asked["redirect_uris"]});
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn authorize(State(shared): State<Shared>, Query(asked): Query<Parameters>) -> Response {
    let mut inner = lock(&shared);
    inner.count += 1;
    let code = format!("code-{}", inner.count);
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let challenge =
        CodeChallenge::parse(Some(&of("code_challenge")), Some(&of("code_challenge_method")));
    inner.codes.insert(code.clone(), (challenge.expect("a challenge"), of("scope")));
    let iss = inner.behaviour.iss.clone().unwrap_or_else(|| inner.base.clone());
    let mut answer = form_urlencoded::Serializer::new(String::new());
    answer.append_pair("code", &code).append_pair("state", &of("state"));
    if !iss.is_empty() {
        answer.append_pair("iss", &iss);
    }
    let location = format!("{}?{}", of("redirect_uri"), answer.finish());
    inner.seen.authorizations.push(asked);
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

async fn token(State(shared): State<Shared>, body: Bytes) -> Response {
    let answer = issued(&shared, &body);
    let gate = lock(&shared).behaviour.holds_tokens.clone();
    if let Some(gate) = gate {
        gate.acquire().await.expect("a gate that stays").forget();
    }
    answer
}

fn issued(shared: &Shared, body: &[u8]) -> Response {
    let asked: Parameters = form_urlencoded::parse(body).into_owned().collect();
    let mut inner = lock(shared);
    inner.seen.tokens.push(asked.clone());
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let refused = |status: u16, error: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        (status, Json(json!({"error": error}))).into_response()
    };
    let scope = if of("grant_type") == "refresh_token" {
        inner.seen.refreshes += 1;
        if let Some((status, error)) = inner.behaviour.refresh {
            return refused(status, error);
        }
        let Some(scope) = inner.refresh.remove(&of("refresh_token")) else {
            return refused(400, "invalid_grant");
        };
        scope
    } else {
        let Some((challenge, scope)) = inner.codes.remove(&of("code")) else {
            return refused(400, "invalid_grant");
        };
        assert!(challenge.admits(SecretText::new(of("code_verifier")).expose()));
        scope
    };
    inner.count += 1;
    let named = |kind: &str| format!("{kind}-{}-of-{}", inner.count, inner.base);
    let (access, refresh) = (named("access"), named("refresh"));
    inner.access.insert(access.clone(), scope.clone());
    inner.refresh.insert(refresh.clone(), scope);
    Json(json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh})).into_response()
}

async fn mcp(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .map(str::to_owned);
    let mut inner = lock(&shared);
    inner.seen.messages.push((text.clone(), bearer.clone()));
    if let Some(target) = &inner.behaviour.redirect {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target.clone())])
            .into_response();
    }
    let scopes = bearer.and_then(|token| inner.access.get(&token).cloned());
    let Some(scopes) = scopes else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = asked["method"].as_str().unwrap_or_default();
    if let Some(needed) = inner.behaviour.needs.filter(|_| method == "tools/call") {
        let has = !inner.behaviour.grants_nothing && scopes.split(' ').any(|one| one == needed);
        if !has {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
            return (StatusCode::FORBIDDEN, [(header::WWW_AUTHENTICATE, challenge)])
                .into_response();
        }
    }
    if inner.behaviour.wants_header
        && method == "tools/call"
        && !headers.contains_key("mcp-param-region")
    {
        let error = json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32020, "message": "no header"}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    if inner.behaviour.wants_header && method == "tools/list" {
        let region = json!({"type": "string", "x-mcp-header": "Region"});
        let tool = json!({"name": "own", "inputSchema": {"type": "object", "properties": {"region": region}}});
        return Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": [tool]}}))
            .into_response();
    }
    let session = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
    if session.is_some_and(|id| !inner.sessions.contains(id)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(id) = asked.get("id") else { return StatusCode::ACCEPTED.into_response() };
    if method == "tools/call" && inner.behaviour.breaks_calls {
        let nothing = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut off"))]);
        return Response::new(axum::body::Body::from_stream(nothing));
    }
    // With white space and a member that no client knows.
    let answer = format!(
        "{{ \"jsonrpc\": \"2.0\",\n \"id\": {id}, \"result\": {{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"x-own\": 1.50}} }}"
    );
    let kind = (header::CONTENT_TYPE, "application/json");
    if method == "initialize" {
        inner.seen.sessions += 1;
        let session = format!("session-{}", inner.seen.sessions);
        inner.sessions.insert(session.clone());
        return ([kind], [("mcp-session-id", session)], answer).into_response();
    }
    ([kind], answer).into_response()
}

//! A fake GitHub Enterprise Server on loopback: its sign-in, and the parts of its API that say
//! whose account it is. [`FakeGithub`] is the handle.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use portunus_core::pkce::CodeChallenge;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

/// An account there.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub id: u64,
    pub login: String,
    /// Addresses, each with whether it is the primary one and whether it is verified.
    pub emails: Vec<(String, bool, bool)>,
    pub organisations: Vec<String>,
    /// Organisations whose invitations are not accepted yet, told as `pending`.
    pub invited: Vec<String>,
    /// An organisation and the slug of a team.
    pub teams: Vec<(String, String)>,
}

#[derive(Default)]
struct Inner {
    current: Account,
    /// Codes with their challenges and redirect URIs.
    codes: HashMap<String, (CodeChallenge, String)>,
    /// Paths of the API, and the status that they answer with.
    failing: HashMap<String, u16>,
    asked: Vec<String>,
    authorizations: Vec<HashMap<String, String>>,
    count: usize,
}

type Shared = Arc<Mutex<Inner>>;
type Parameters = HashMap<String, String>;

/// A running fake GitHub; it ends when dropped.
pub struct FakeGithub {
    base: String,
    shared: Shared,
    task: JoinHandle<()>,
}

pub const CLIENT_ID: &str = "Iv1.fake";
pub const CLIENT_SECRET: &str = "fake-github-client-secret-0123456789";
const TOKEN: &str = "gho_fake_access_token_of_the_current_account";

impl FakeGithub {
    /// Starts one on a free port of loopback.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn start(account: Account) -> Self {
        let listener =
            tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let base =
            format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let shared: Shared = Arc::default();
        let router = Router::new()
            .route("/login/oauth/authorize", get(authorize))
            .route("/login/oauth/access_token", post(token))
            .route("/api/v3/user", get(user))
            .route("/api/v3/user/{list}", get(list))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the fake GitHub serves until it is dropped");
        });
        let github = Self { base, shared, task };
        github.sign_in_as(account);
        github
    }

    /// What stands before `/login/oauth`.
    pub fn issuer(&self) -> &str {
        &self.base
    }

    /// From now on every browser that comes along is this account's.
    pub fn sign_in_as(&self, account: Account) {
        lock(&self.shared).current = account;
    }

    /// Has a list of the API answer with this status: `orgs`, `teams`, `emails`. 200 heals it.
    pub fn fail(&self, list: &str, status: u16) {
        lock(&self.shared).failing.insert(list.to_owned(), status);
    }

    /// The lists that were asked for, with their pages.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared).asked.clone()
    }

    /// The parameters of the last authorization request.
    pub fn last_authorization(&self) -> HashMap<String, String> {
        lock(&self.shared).authorizations.last().cloned().unwrap_or_default()
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn authorize(State(shared): State<Shared>, Query(parameters): Query<Parameters>) -> Response {
    let find = |name: &str| parameters.get(name).map(String::as_str);
    let challenge = CodeChallenge::parse(find("code_challenge"), find("code_challenge_method"));
    let url = find("redirect_uri").and_then(|uri| Url::parse(uri).ok());
    let (Some(mut url), Ok(challenge), Some(CLIENT_ID)) = (url, challenge, find("client_id"))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut inner = lock(&shared);
    inner.count += 1;
    let code = format!("fake-github-code-{}", inner.count);
    inner.codes.insert(code.clone(), (challenge, url.to_string()));
    inner.authorizations.push(parameters.clone());
    url.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", find("state").unwrap_or_default());
    (StatusCode::FOUND, [(header::LOCATION, url.to_string())]).into_response()
}

async fn token(State(shared): State<Shared>, body: Bytes) -> Response {
    let form: Parameters = form_urlencoded::parse(&body).into_owned().collect();
    let find = |name: &str| form.get(name).map_or("", String::as_str);
    let error =
        |error: &str| Json(json!({"error": error, "error_description": "No."})).into_response();
    if (find("client_id"), find("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
        return error("incorrect_client_credentials");
    }
    let code = lock(&shared).codes.remove(find("code"));
    match code {
        Some((challenge, redirect)) if challenge.admits(find("code_verifier")) && redirect == find("redirect_uri") => {
            Json(json!({"access_token": TOKEN, "token_type": "bearer", "scope": "read:org,user:email"})).into_response()
        }
        _ => error("bad_verification_code"),
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| value == &format!("Bearer {TOKEN}"))
}

async fn user(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if !is_ours(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let account = lock(&shared).current.clone();
    Json(json!({"id": account.id, "login": account.login, "name": null, "email": "public@profile.example"})).into_response()
}

/// A page of one of the lists.
async fn list(
    State(shared): State<Shared>,
    Path(list): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    if !is_ours(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let number = |name: &str, otherwise: usize| {
        query.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (page, size) = (number("page", 1).max(1), number("per_page", 30).clamp(1, 100));
    let mut inner = lock(&shared);
    inner.asked.push(format!("{list} {page}"));
    if let Some(status) = inner.failing.get(&list).copied().filter(|status| *status != 200) {
        return StatusCode::from_u16(status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
    }
    let account = &inner.current;
    let items: Vec<Value> = match list.as_str() {
        "emails" => {
            let email = |(email, primary, verified): &(String, bool, bool)| json!({"email": email, "primary": primary, "verified": verified});
            account.emails.iter().map(email).collect()
        }
        "orgs" => {
            let members = account.organisations.iter().map(|login| json!({"login": login}));
            members
                .chain(
                    account.invited.iter().map(|login| json!({"login": login, "state": "pending"})),
                )
                .collect()
        }
        "teams" => {
            let team = |(org, slug): &(String, String)| json!({"slug": slug, "name": slug, "organization": {"login": org}});
            account.teams.iter().map(team).collect()
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let items: Vec<Value> = items.into_iter().skip((page - 1) * size).take(size).collect();
    Json(items).into_response()
}

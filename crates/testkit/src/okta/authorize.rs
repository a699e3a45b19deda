//! The authorization endpoints, and the page to sign in at.

use std::{collections::HashMap, time::Duration};

use axum::{
    Extension,
    extract::{Form, Query},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use portunus_core::pkce::CodeChallenge;
use serde::Deserialize;
use url::Url;

use super::{
    mint::groups_in_id_token,
    setup::{GroupsClaim, Person},
    state::{Code, Endpoint, Extract, Okta, Server, State, error_page},
};

const COOKIE: &str = "fake_okta";

type Parameters = HashMap<String, String>;

/// An error that may be sent back to the client.
struct Refusal(&'static str, &'static str);

/// `GET /oauth2/v1/authorize` and `/oauth2/default/v1/authorize`.
pub(super) async fn get(
    Extract(state): Okta,
    Extension(server): Extension<Server>,
    headers: HeaderMap,
    query: Query<Vec<(String, String)>>,
) -> Response {
    if let Some(answer) = state.enter(Endpoint::Authorize).await {
        return answer;
    }
    let pairs = query.0;
    let parameters: Parameters = pairs.iter().cloned().collect();
    let find = |name: &str| parameters.get(name).map_or("", String::as_str);
    if parameters.len() != pairs.len() {
        return error_page("Bad request", "A parameter was sent more than once.");
    }
    if find("client_id") != state.options.client_id {
        return error_page("Error", "The requested client was not found: invalid_client.");
    }
    let redirect_uri = find("redirect_uri").to_owned();
    if !state.with(|inner| inner.redirect_uris.contains(&redirect_uri)) {
        return error_page(
            "Error",
            "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings: /app/oidc_client/instance",
        );
    }
    if let Some((error, description)) = state.with(|inner| inner.refusals.pop_front()) {
        return back(
            &state,
            server,
            &redirect_uri,
            &parameters,
            &[("error", &error), ("error_description", &description)],
        );
    }
    match check(&state, server, &parameters) {
        Err(Refusal(error, description)) => back(
            &state,
            server,
            &redirect_uri,
            &parameters,
            &[("error", error), ("error_description", description)],
        ),
        Ok(challenge) => {
            sign_in(&state, server, &headers, &parameters, &redirect_uri, challenge, &pairs)
        }
    }
}

fn check(state: &State, server: Server, parameters: &Parameters) -> Result<CodeChallenge, Refusal> {
    let find =
        |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if find("response_type") != Some("code") {
        return Err(Refusal(
            "unsupported_response_type",
            "The response type is not supported by the authorization server.",
        ));
    }
    if find("state").is_none() {
        return Err(Refusal(
            "invalid_request",
            "The authentication request has an invalid 'state' parameter.",
        ));
    }
    if find("nonce").is_none() {
        return Err(Refusal(
            "invalid_request",
            "The authentication request has an invalid 'nonce' parameter.",
        ));
    }
    let known = scopes(state, server);
    let asked = find("scope").unwrap_or_default();
    if !asked.split(' ').any(|scope| scope == "openid") {
        return Err(Refusal(
            "invalid_scope",
            "The authentication request must contain the 'openid' scope.",
        ));
    }
    if asked.split(' ').any(|scope| !known.contains(&scope)) {
        return Err(Refusal(
            "invalid_scope",
            "One or more scopes are not configured for the authorization server resource.",
        ));
    }
    if !state.options.refresh_grant && asked.split(' ').any(|scope| scope == "offline_access") {
        return Err(Refusal(
            "invalid_scope",
            "The client application is not allowed to use the 'offline_access' scope.",
        ));
    }
    CodeChallenge::parse(find("code_challenge"), find("code_challenge_method")).map_err(|_| {
        Refusal(
            "invalid_request",
            "PKCE code challenge is required: code_challenge_method must be S256.",
        )
    })
}

/// The scopes that the server knows.
pub(super) fn scopes(state: &State, server: Server) -> Vec<&'static str> {
    let mut scopes = vec!["openid", "email", "profile", "address", "phone", "offline_access"];
    if server == Server::Org || state.options.custom_groups == GroupsClaim::WithScope {
        scopes.push("groups");
    }
    scopes
}

fn sign_in(
    state: &State,
    server: Server,
    headers: &HeaderMap,
    parameters: &Parameters,
    redirect_uri: &str,
    challenge: CodeChallenge,
    pairs: &[(String, String)],
) -> Response {
    let refuse = |error: &str, description: &str| {
        back(
            state,
            server,
            redirect_uri,
            parameters,
            &[("error", error), ("error_description", description)],
        )
    };
    let find = |name: &str| parameters.get(name).map(String::as_str);
    let Some(person) = who(state, headers, find("login_hint"), find("prompt") == Some("login"))
    else {
        if find("prompt") == Some("none") {
            return refuse(
                "login_required",
                "The client specified not to prompt, but the user is not signed in.",
            );
        }
        return page(server, pairs);
    };
    if !person.assigned {
        return refuse("access_denied", "User is not assigned to the client application.");
    }
    let asked: Vec<String> =
        find("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
    let wants_groups =
        groups_in_id_token(state, server, asked.iter().any(|scope| scope == "groups"));
    if wants_groups && person.groups.len() > 100 {
        return refuse("server_error", "The 'groups' user claim could not be evaluated.");
    }
    let code = state.random("");
    let issued = Code {
        server,
        person,
        redirect_uri: redirect_uri.to_owned(),
        scopes: asked,
        nonce: find("nonce").unwrap_or_default().to_owned(),
        challenge,
        expires_at: state.now() + Duration::from_secs(300),
    };
    state.with(|inner| inner.codes.insert(code.clone(), issued));
    back(state, server, redirect_uri, parameters, &[("code", &code)])
}

/// The person whose browser this is, by the cookie of the sign-in page, a hint, or the test.
fn who(state: &State, headers: &HeaderMap, hint: Option<&str>, afresh: bool) -> Option<Person> {
    let cookies =
        headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = |name: &str| {
        cookies
            .split("; ")
            .find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    };
    // The page to sign in at sets a second cookie, which shows that the person has just signed in.
    let cookie = named(COOKIE).filter(|_| !afresh || named("fake_okta_fresh").is_some());
    state.with(|inner| {
        let current = inner.current.clone().filter(|_| !state.options.form);
        let hint = hint.filter(|_| !state.options.form).map(str::to_owned);
        let username = cookie.or(hint).or(current)?;
        inner
            .people
            .iter()
            .find(|person| person.username == username || person.email == username)
            .cloned()
    })
}

/// Back to the client, whatever the answer.
fn back(
    state: &State,
    server: Server,
    redirect_uri: &str,
    parameters: &Parameters,
    answer: &[(&str, &str)],
) -> Response {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return error_page("Error", "The registered redirect URI is no URL.");
    };
    url.query_pairs_mut().extend_pairs(answer);
    if let Some(value) = parameters.get("state") {
        url.query_pairs_mut().append_pair("state", value);
    }
    if state.options.sends_iss {
        url.query_pairs_mut().append_pair("iss", &server.issuer(&state.base));
    }
    found(url.as_str(), &[])
}

pub(super) fn found(location: &str, cookies: &[String]) -> Response {
    let mut answer = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    for cookie in cookies {
        if let Ok(value) = cookie.parse() {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    answer
}

fn page(server: Server, pairs: &[(String, String)]) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let from =
        format!("{}?{query}", Server::endpoints(server, "") + "/authorize").replace('&', "&amp;");
    Html(format!(
        "<!doctype html><title>Fake Okta - Sign In</title><h1>Sign In</h1><form method=\"post\" action=\"/signin\">\
         <input type=\"hidden\" name=\"from\" value=\"{from}\"><label>Username <input name=\"username\" autofocus></label>\
         <button type=\"submit\">Sign in</button></form>"
    ))
    .into_response()
}

/// What the page to sign in at sends.
#[derive(Deserialize)]
pub(super) struct SignIn {
    username: String,
    from: String,
}

/// `POST /signin`: any known user name will do.
pub(super) async fn post(Extract(state): Okta, form: Form<SignIn>) -> Response {
    let SignIn { username, from } = form.0;
    let is_known =
        state.with(|inner| inner.people.iter().any(|person| person.username == username));
    if !is_known || !from.starts_with("/oauth2/") {
        return error_page("Error", "Unable to sign in.");
    }
    let cookies = [
        format!("{COOKIE}={username}; Path=/; HttpOnly; SameSite=Lax"),
        "fake_okta_fresh=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax".to_owned(),
    ];
    found(&from, &cookies)
}

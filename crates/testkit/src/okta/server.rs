//! The fake Okta's router, and its smaller endpoints: metadata, keys, userinfo, sign-out.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, json};
use url::Url;

use super::{
    authorize, mint,
    setup::GroupsClaim,
    state::{Endpoint, Extract, Okta, Server, State, api_error, error_page},
    token,
};

/// Every endpoint twice: for the org server, and for custom servers, of which only `default`
/// exists.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(org_metadata))
        .route("/oauth2/{server}/.well-known/openid-configuration", get(custom_metadata))
        .nest("/oauth2/v1", endpoints(Server::Org))
        .nest("/oauth2/default/v1", endpoints(Server::Custom))
        .route("/signin", post(authorize::post))
        .route("/v1.0/me/getMemberGroups", post(groups).get(groups))
        .fallback(async || not_found("Resource not found"))
        .with_state(state)
}

fn endpoints(server: Server) -> Router<Arc<State>> {
    Router::new()
        .route("/keys", get(keys))
        .route("/authorize", get(authorize::get))
        .route("/token", post(token::post))
        .route("/userinfo", get(userinfo))
        .route("/logout", get(logout))
        .layer(Extension(server))
}

/// Where Microsoft has the groups that did not fit into a token: pages of two, for the person whose
/// access token it is.
async fn groups(
    Extract(state): Okta,
    headers: HeaderMap,
    query: Query<HashMap<String, String>>,
) -> Response {
    if let Some(answer) = state.enter(Endpoint::Groups).await {
        return answer;
    }
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let person = state.with(|inner| inner.access_tokens.get(token).map(|of| of.person.clone()));
    let Some(person) = person else { return StatusCode::UNAUTHORIZED.into_response() };
    let from: usize = query.get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let mut page = json!({"value": person.groups.iter().skip(from).take(2).collect::<Vec<_>>()});
    if from + 2 < person.groups.len() {
        let next = format!("{}/v1.0/me/getMemberGroups?skip={}", state.base, from + 2);
        page["@odata.nextLink"] = json!(next);
    }
    Json(page).into_response()
}

async fn org_metadata(okta: Okta) -> Response {
    metadata(&okta, Server::Org).await
}

async fn custom_metadata(okta: Okta, id: Path<String>) -> Response {
    if id.0 == "default" {
        metadata(&okta, Server::Custom).await
    } else {
        not_found("Resource not found: AuthorizationServer")
    }
}

fn not_found(summary: &str) -> Response {
    api_error(StatusCode::NOT_FOUND, "E0000007", summary)
}

async fn metadata(state: &State, server: Server) -> Response {
    if let Some(answer) = state.enter(Endpoint::Discovery).await {
        return answer;
    }
    let endpoints = server.endpoints(&state.base);
    let methods: &[&str] = if state.options.secret_in_body_only {
        &["client_secret_post", "private_key_jwt"]
    } else {
        &[
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "none",
        ]
    };
    let mut document = json!({
        "issuer": server.issuer(&state.base),
        "authorization_endpoint": format!("{endpoints}/authorize"),
        "token_endpoint": format!("{endpoints}/token"),
        "userinfo_endpoint": format!("{endpoints}/userinfo"),
        "registration_endpoint": format!("{}/oauth2/v1/clients", state.base),
        "jwks_uri": format!("{endpoints}/keys"),
        "response_types_supported": ["code", "id_token", "code id_token"],
        "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [if state.options.elliptic { "ES256" } else { "RS256" }],
        "scopes_supported": authorize::scopes(state, server),
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "end_session_endpoint": format!("{endpoints}/logout"),
    });
    if state.options.sends_iss {
        document["authorization_response_iss_parameter_supported"] = json!(true);
    }
    for (member, value) in state.with(|inner| inner.metadata.clone()) {
        document[member] = value;
    }
    ([(header::CACHE_CONTROL, "max-age=86400, must-revalidate")], Json(document)).into_response()
}

async fn keys(Extract(state): Okta) -> Response {
    if let Some(answer) = state.enter(Endpoint::Keys).await {
        return answer;
    }
    let document = state.with(|inner| inner.ring.document());
    ([(header::CACHE_CONTROL, "max-age=5184000, must-revalidate")], Json(document)).into_response()
}

async fn userinfo(
    Extract(state): Okta,
    Extension(server): Extension<Server>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = state.enter(Endpoint::Userinfo).await {
        return answer;
    }
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let access =
        bearer.and_then(|token| state.with(|inner| inner.access_tokens.get(token).cloned()));
    let Some(access) = access.filter(|access| access.server == server) else {
        let challenge = r#"Bearer authorization_uri="", error="invalid_token", error_description="The access token is invalid""#;
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    let has = |scope: &str| access.scopes.iter().any(|asked| asked == scope);
    let subject = state
        .with(|inner| inner.userinfo_subject.clone())
        .unwrap_or_else(|| access.person.subject.clone());
    let mut claims = Map::new();
    let mut put = |name: &str, value| claims.insert(name.to_owned(), value);
    put("sub", json!(subject));
    if has("profile") {
        put("name", json!(access.person.name));
        put("preferred_username", json!(access.person.email));
        put("locale", json!("en-US"));
    }
    if has("email") {
        put("email", json!(access.person.email));
        put("email_verified", json!(access.person.email_verified));
    }
    if server == Server::Custom && state.options.custom_groups == GroupsClaim::Userinfo {
        put("groups", json!(access.person.groups));
    }
    if state.with(|inner| inner.signs_userinfo) {
        claims.insert("iss".to_owned(), json!(server.issuer(&state.base)));
        claims.insert("aud".to_owned(), json!(state.options.client_id));
        return ([(header::CONTENT_TYPE, "application/jwt")], mint::signed(&state, &claims.into()))
            .into_response();
    }
    Json(claims).into_response()
}

/// RP-initiated sign-out: back to a registered URI, else Okta's own page.
async fn logout(Extract(state): Okta, query: Query<HashMap<String, String>>) -> Response {
    if let Some(answer) = state.enter(Endpoint::Logout).await {
        return answer;
    }
    let find = |name: &str| query.get(name).map_or("", String::as_str);
    if find("id_token_hint").is_empty() {
        return error_page("Error", "The 'id_token_hint' parameter is required.");
    }
    let return_to = find("post_logout_redirect_uri");
    if !state.with(|inner| inner.sign_out_uris.iter().any(|uri| uri == return_to)) {
        return error_page(
            "Error",
            "The 'post_logout_redirect_uri' parameter must be a Logout redirect URI in the client app settings.",
        );
    }
    let Ok(mut url) = Url::parse(return_to) else {
        return error_page("Error", "The registered sign-out URI is no URL.");
    };
    if let Some(value) = query.get("state") {
        url.query_pairs_mut().append_pair("state", value);
    }
    state.with(|inner| inner.current = None);
    authorize::found(url.as_str(), &["fake_okta=; Path=/; Max-Age=0".to_owned()])
}

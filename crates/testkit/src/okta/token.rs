//! The token endpoints: codes are good for once, and only with their verifier.

use axum::{
    Extension, Json,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use url::form_urlencoded;

use super::{
    mint,
    refresh::{self, Parameters, Refusal},
    setup::GroupsClaim,
    state::{Access, Code, Endpoint, Extract, Okta, Refresh, Server, State},
};

const BAD_CODE: Refusal = Refusal(
    StatusCode::BAD_REQUEST,
    "invalid_grant",
    "The authorization code is invalid or has expired.",
);

/// `POST /oauth2/v1/token` and `/oauth2/default/v1/token`.
pub(super) async fn post(
    Extract(state): Okta,
    Extension(server): Extension<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(answer) = state.enter(Endpoint::Token).await {
        return answer;
    }
    let parameters: Parameters = form_urlencoded::parse(&body).into_owned().collect();
    let is_refresh = parameters.get("grant_type").is_some_and(|kind| kind == "refresh_token");
    if is_refresh && let Some(answer) = state.enter(Endpoint::Refresh).await {
        return answer;
    }
    let redeemed = authenticate(&state, &headers, &parameters).and_then(|()| {
        if is_refresh {
            refresh::redeem(&state, server, &parameters)
        } else {
            redeem(&state, server, &parameters).map(|code| (code, None))
        }
    });
    match redeemed {
        Ok((code, earlier)) => grant(&state, &code, earlier),
        Err(Refusal(status, error, description)) => {
            (status, Json(json!({"error": error, "error_description": description})))
                .into_response()
        }
    }
}

/// The secret in the header or in the body, never in both (RFC 6749 section 2.3).
fn authenticate(
    state: &State,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<(), Refusal> {
    let refusal = |why| Refusal(StatusCode::UNAUTHORIZED, "invalid_client", why);
    let in_body = parameters
        .get("client_id")
        .zip(parameters.get("client_secret"))
        .map(|(id, secret)| (id.clone(), secret.clone()));
    let in_header =
        headers.get(header::AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
    let (id, secret) = match (in_header, in_body) {
        (Some(_), Some(_)) => {
            return Err(Refusal(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header or \
                 credentials in the post body.",
            ));
        }
        (Some(_), None) if state.options.secret_in_body_only => {
            return Err(refusal(
                "Client authentication failed. The client is not allowed to use client_secret_basic.",
            ));
        }
        (Some(pair), None) | (None, Some(pair)) => pair,
        (None, None) => return Err(refusal("No client credentials found.")),
    };
    if id != state.options.client_id {
        return Err(refusal("Invalid value for 'client_id' parameter."));
    }
    let is_right = state.with(|inner| inner.takes_any_secret || secret == inner.client_secret);
    if !is_right {
        return Err(refusal("The client secret supplied for a confidential client is invalid."));
    }
    Ok(())
}

/// Both parts are form-encoded inside the Base64 (RFC 6749 section 2.3.1).
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        form_urlencoded::parse(format!("x={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

fn redeem(state: &State, server: Server, parameters: &Parameters) -> Result<Code, Refusal> {
    let find = |name: &str| parameters.get(name).map_or("", String::as_str);
    if find("grant_type") != "authorization_code" {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        ));
    }
    let code = state.with(|inner| inner.codes.remove(find("code"))).ok_or(BAD_CODE)?;
    if code.server != server
        || code.redirect_uri != find("redirect_uri")
        || code.expires_at <= state.now()
    {
        return Err(BAD_CODE);
    }
    if !code.challenge.admits(find("code_verifier")) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "invalid_grant", "PKCE verification failed."));
    }
    Ok(code)
}

/// `earlier` is the refresh token that was exchanged for it.
fn grant(state: &State, code: &Code, earlier: Option<Refresh>) -> Response {
    let tamper = state.with(|inner| inner.tampers.pop_front());
    let id_token = mint::id_token(state, code, tamper);
    let has_groups =
        code.server == Server::Custom && state.options.custom_groups == GroupsClaim::AccessToken;
    let access_token = if has_groups {
        mint::access_token(state, code)
    } else {
        state.random("fake-okta-access-")
    };
    let access =
        Access { server: code.server, person: code.person.clone(), scopes: code.scopes.clone() };
    state.with(|inner| inner.access_tokens.insert(access_token.clone(), access));
    let refresh_token = refresh::next(state, code, earlier);
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": 3600,
        "access_token": access_token,
        "scope": code.scopes.join(" "),
        "id_token": id_token,
    });
    if let Some(refresh_token) = refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    ([(header::CACHE_CONTROL, "no-cache, no-store")], Json(body)).into_response()
}

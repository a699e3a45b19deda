//! Refresh tokens as Okta has them: each use rotates, the token before is taken for a grace, and
//! its use after that ends the whole family. The endpoint is [`super::token`].

use std::{collections::HashMap, time::Duration};

use axum::http::StatusCode;
use portunus_core::{pkce::CodeChallenge, secret::SecretText};

use super::state::{Code, Refresh, Server, State};

/// What is asked at the token endpoint.
pub(super) type Parameters = HashMap<String, String>;

/// Its answer to what it does not grant.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) &'static str, pub(super) &'static str);

/// Without use. A rotated token ends with the first of its family.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const BAD_TOKEN: Refusal =
    Refusal(StatusCode::BAD_REQUEST, "invalid_grant", "The refresh token is invalid or expired.");

/// Whom the presented token is about, as a code would say it.
pub(super) fn redeem(
    state: &State,
    server: Server,
    parameters: &Parameters,
) -> Result<(Code, Option<Refresh>), Refusal> {
    if !state.options.refresh_grant {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code].",
        ));
    }
    let presented = parameters.get("refresh_token").map_or("", String::as_str);
    let now = state.now();
    state.with(|inner| {
        let found = inner.refresh_tokens.get(presented).cloned().ok_or(BAD_TOKEN)?;
        if found.server != server || found.expires_at <= now {
            return Err(BAD_TOKEN);
        }
        if found.used_at.is_some_and(|used_at| now > used_at + state.options.refresh_grace) {
            inner.refresh_tokens.retain(|_, other| other.family != found.family);
            return Err(BAD_TOKEN);
        }
        let person = inner.people.iter().find(|person| person.username == found.username);
        let person = person.filter(|person| person.assigned).cloned().ok_or(BAD_TOKEN)?;
        if let Some(kept) = inner.refresh_tokens.get_mut(presented) {
            kept.used_at.get_or_insert(now);
        }
        let code = Code {
            server,
            person,
            redirect_uri: String::new(),
            scopes: found.scopes.clone(),
            nonce: String::new(),
            challenge: CodeChallenge::of(&SecretText::default()),
            expires_at: now,
        };
        Ok((code, Some(found)))
    })
}

/// The refresh token to hand out, if one was asked for.
pub(super) fn next(state: &State, code: &Code, earlier: Option<Refresh>) -> Option<String> {
    if !code.scopes.iter().any(|scope| scope == "offline_access") {
        return None;
    }
    let token = state.random("fake-okta-refresh-");
    let first = || Refresh {
        family: state.random("family-"),
        server: code.server,
        username: code.person.username.clone(),
        scopes: code.scopes.clone(),
        used_at: None,
        expires_at: state.now() + LIFETIME,
    };
    let kept = Refresh { used_at: None, ..earlier.unwrap_or_else(first) };
    state.with(|inner| inner.refresh_tokens.insert(token.clone(), kept));
    Some(token)
}

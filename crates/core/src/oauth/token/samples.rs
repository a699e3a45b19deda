//! Samples that the tests of the grants next door share.

use std::time::Duration;

use super::AuthenticatedClient;
use crate::{
    client::Client,
    clock::Timestamp,
    ids::UserId,
    oauth::{authorize::tests::request, params::Params},
    secret::TokenHash,
    token::{AuthorizationCode, FoundCode},
};

pub(in crate::oauth) const NOW: Timestamp = Timestamp::from_secs(1_000);
pub(in crate::oauth) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub(in crate::oauth) fn form(text: &str) -> Params {
    Params::parse(text.as_bytes()).unwrap()
}

pub(in crate::oauth) fn found_code() -> FoundCode {
    let request = request("mcp");
    let code = AuthorizationCode {
        hash: TokenHash::of("code"),
        client: request.client,
        user: UserId::of("https://idp", "alice"),
        redirect_uri: request.redirect_uri,
        code_challenge: request.code_challenge,
        resource: request.resource,
        scopes: request.scopes,
        login: None,
        expires_at: NOW + Duration::from_secs(60),
    };
    FoundCode { code, redeemed: None }
}

pub(in crate::oauth) fn proven(client: &Client) -> AuthenticatedClient {
    AuthenticatedClient::assumed(client.clone())
}

//! Samples that the tests of the grants next door share.

use std::time::Duration;

use super::{AuthenticatedClient, CheckedCode, Redemption, check_code, redeem};
use crate::{
    client::Client,
    clock::Timestamp,
    entropy::SeededEntropy,
    ids::{ProviderName, UserId},
    lifetimes::Lifetimes,
    oauth::{
        authorize::tests::{client, request, resources},
        params::Params,
    },
    principal::User,
    secret::TokenHash,
    token::{AuthorizationCode, FoundAccess, FoundCode, FoundRefresh},
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
        resources: request.resources,
        scopes: request.scopes,
        login: None,
        expires_at: NOW + Duration::from_secs(60),
    };
    FoundCode { code, redeemed: None }
}

pub(in crate::oauth) fn proven(client: &Client) -> AuthenticatedClient {
    AuthenticatedClient::assumed(client.clone())
}

pub(in crate::oauth) fn user() -> User {
    User {
        id: found_code().code.user,
        provider: ProviderName::from_text("okta"),
        issuer: "https://idp".to_owned(),
        subject: "alice".to_owned(),
        name: Some("Alice".to_owned()),
        email: None,
        email_verified: false,
        groups: Vec::new(),
        hosted_domain: None,
        signed_in_at: NOW,
    }
}

/// The code as it is when its own client redeems it.
pub(in crate::oauth) fn checked(client: &Client, found: FoundCode) -> CheckedCode {
    let form = form(&format!("code_verifier={VERIFIER}"));
    check_code(&proven(client), &form, Some(found), &resources()).unwrap()
}

fn redemption() -> Redemption {
    redeem(&proven(&client()), &checked(&client(), found_code()), NOW, &Lifetimes::default(), &SeededEntropy::new(9))
}

pub(in crate::oauth) fn found_access() -> FoundAccess {
    let Redemption { access, grant, .. } = redemption();
    FoundAccess { token: access, grant, user: user() }
}

pub(in crate::oauth) fn found_refresh(used_at: Option<Timestamp>) -> FoundRefresh {
    let Redemption { refresh, grant, .. } = redemption();
    FoundRefresh { token: refresh.unwrap(), grant, used_at }
}

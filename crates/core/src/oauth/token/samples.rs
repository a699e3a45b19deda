//! Samples that the tests of the grants next door share.

use std::{net::IpAddr, time::Duration};

use super::{
    AuthenticatedClient, CheckedCode, Issuing, Redemption, TokenResponse, check_code, redeem,
};
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
    refresh::{FoundRefresh, PresentedRefresh, RefreshFamily},
    secret::{SecretText, TokenHash},
    token::{AuthorizationCode, FoundAccess, FoundCode},
};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_000);
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub(crate) fn form(text: &str) -> Params {
    Params::parse(text.as_bytes()).unwrap()
}

pub(crate) fn found_code() -> FoundCode {
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

pub(crate) fn proven(client: &Client) -> AuthenticatedClient {
    AuthenticatedClient::assumed(client.clone())
}

pub(crate) fn user() -> User {
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
        no_groups: None,
        signed_in_at: NOW,
        read_at: None,
    }
}

/// The code as it is when its own client redeems it.
pub(crate) fn checked(client: &Client, found: FoundCode) -> CheckedCode {
    let form = form(&format!("code_verifier={VERIFIER}"));
    check_code(&proven(client), &form, Some(found), &resources()).unwrap()
}

/// The address of the client of the samples.
#[expect(clippy::unnecessary_wraps, reason = "what a request is passed as")]
pub(crate) fn client_address() -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, 1]))
}

pub(crate) fn redemption_of(client: &Client, checked: &CheckedCode) -> Redemption {
    let (lifetimes, entropy) = (Lifetimes::default(), SeededEntropy::new(9));
    redeem(
        &proven(client),
        checked,
        client_address(),
        &Issuing { now: NOW, lifetimes: &lifetimes, entropy: &entropy },
    )
}

fn redemption() -> Redemption {
    redemption_of(&client(), &checked(&client(), found_code()))
}

pub(crate) fn found_access() -> FoundAccess {
    let Redemption { access, grant, .. } = redemption();
    FoundAccess { token: access, grant, user: user() }
}

pub(crate) fn family() -> RefreshFamily {
    redemption().refresh.unwrap()
}

/// A grant with its first refresh token.
pub(crate) fn found_refresh() -> FoundRefresh {
    let Redemption { refresh, grant, .. } = redemption();
    FoundRefresh { grant, family: refresh, earlier: None }
}

/// The family's current token, as its client sends it.
pub(crate) fn current(found: &FoundRefresh) -> PresentedRefresh {
    PresentedRefresh::parse(found.family.as_ref().unwrap().token().expose()).unwrap()
}

/// A made-up token of the same family: everything is right but the proof.
pub(crate) fn forged(found: &FoundRefresh) -> PresentedRefresh {
    let family =
        RefreshFamily { secret: SecretText::new("guessed"), ..found.family.clone().unwrap() };
    PresentedRefresh::parse(family.token().expose()).unwrap()
}

/// What the token endpoint answers, with names in place of the tokens.
pub(crate) fn shown(answer: &TokenResponse) -> String {
    let document = serde_json::to_value(answer).unwrap();
    let mut text = document.to_string();
    for name in ["access_token", "refresh_token"] {
        if let Some(token) = document.get(name) {
            text = text.replace(token.as_str().unwrap(), &format!("{{{name}}}"));
        }
    }
    text
}

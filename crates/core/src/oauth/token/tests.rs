//! Cases for the token endpoint's rules.

use std::time::Duration;

use super::*;
use crate::{
    entropy::SeededEntropy,
    ids::{ClientId, UserId},
    oauth::authorize::tests::{client, request, resources},
    secret::TokenHash,
};

const NOW: Timestamp = Timestamp::from_secs(1_000);
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn form(text: &str) -> Params {
    Params::parse(text.as_bytes()).unwrap()
}

fn confidential(method: ClientAuthMethod) -> Client {
    Client { auth_method: method, secret: Some(TokenHash::of("hunter2")), ..client() }
}

#[test]
fn a_client_proves_itself_as_it_registered() {
    let basic = |secret: &str| Some(("c1".to_owned(), SecretText::new(secret)));
    let in_form = form("client_id=c1&client_secret=hunter2");
    let bare = form("client_id=c1");
    let none = client();
    let by_basic = confidential(ClientAuthMethod::ClientSecretBasic);
    let by_post = confidential(ClientAuthMethod::ClientSecretPost);
    let empty = Params::default();
    let cases = [
        (&none, None, &bare, true),
        (&none, None, &in_form, false),
        (&none, basic(""), &empty, false),
        (&by_basic, basic("hunter2"), &empty, true),
        (&by_basic, basic("hunter2"), &bare, true),
        (&by_basic, basic("hunter3"), &empty, false),
        (&by_basic, basic(""), &empty, false),
        (&by_basic, None, &in_form, false),
        (&by_basic, None, &bare, false),
        (&by_post, None, &in_form, true),
        (&by_post, basic("hunter2"), &empty, false),
        (&by_post, None, &bare, false),
    ];
    for (n, (client, basic, form, proven)) in cases.into_iter().enumerate() {
        let presented = credentials(basic, form).unwrap();
        assert_eq!(authenticate(Some(client), &presented).is_ok(), proven, "case {n}");
        assert_eq!(authenticate(None, &presented).unwrap_err().code, ErrorCode::InvalidClient, "case {n}");
    }
    assert_eq!(credentials(basic("x"), &in_form).unwrap_err().code, ErrorCode::InvalidRequest, "both ways at once");
    assert_eq!(credentials(basic("x"), &form("client_id=c2")).unwrap_err().code, ErrorCode::InvalidRequest);
    assert_eq!(credentials(None, &empty).unwrap_err().code, ErrorCode::InvalidClient);
}

fn found_code() -> FoundCode {
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

fn proven(client: &Client) -> AuthenticatedClient<'_> {
    AuthenticatedClient(client)
}

#[test]
fn t15_t16_a_code_is_its_clients_alone() {
    let verifier = format!("&code_verifier={VERIFIER}");
    let wrong = format!("&code_verifier={}", VERIFIER.replace('d', "e"));
    let cases = [
        (format!("redirect_uri=https://app.example/cb{verifier}"), None),
        (verifier.clone(), None),
        (format!("resource=https://gw.example/mcp{verifier}"), None),
        (format!("redirect_uri=https://app.example/cb2{verifier}"), Some(ErrorCode::InvalidGrant)),
        (format!("redirect_uri=https://app.example/cb{wrong}"), Some(ErrorCode::InvalidGrant)),
        ("redirect_uri=https://app.example/cb".to_owned(), Some(ErrorCode::InvalidRequest)),
        (format!("resource=https://gw.example/mcp/dice{verifier}"), Some(ErrorCode::InvalidTarget)),
        (format!("resource=https://evil.example/mcp{verifier}"), Some(ErrorCode::InvalidTarget)),
        (
            format!("resource=https://gw.example/mcp&resource=https://gw.example/mcp/dice{verifier}"),
            Some(ErrorCode::InvalidTarget),
        ),
    ];
    for (text, expected) in cases {
        let outcome = check_code(&proven(&client()), &form(&text), Some(found_code()), &resources());
        assert_eq!(outcome.err().map(|error| error.code), expected, "{text}");
    }
    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let stolen = check_code(&proven(&thief), &form(&verifier), Some(found_code()), &resources());
    assert_eq!(stolen.unwrap_err().code, ErrorCode::InvalidGrant);
    let unknown = check_code(&proven(&client()), &form(&verifier), None, &resources());
    assert_eq!(unknown.unwrap_err().code, ErrorCode::InvalidGrant);
}

#[test]
fn a_redeemed_code_becomes_a_grant_with_tokens() {
    let entropy = SeededEntropy::new(1);
    let lifetimes = Lifetimes::default();
    let redemption = redeem(&proven(&client()), &found_code().code, NOW, &lifetimes, &entropy);
    assert_eq!(redemption.access.expires_at, NOW + lifetimes.access_token);
    assert_eq!(redemption.refresh.as_ref().unwrap().grant, redemption.grant.id);
    let answer = serde_json::to_value(&redemption.answer).unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["scope"], "mcp");
    assert_eq!(TokenHash::of(answer["access_token"].as_str().unwrap()), redemption.access.hash);
    assert!(!format!("{:?}", redemption.answer).contains("ptn_"), "no token in debug output");

    let no_refresh = Client { grant_types: vec![GrantType::AuthorizationCode], ..client() };
    let redemption = redeem(&proven(&no_refresh), &found_code().code, NOW, &lifetimes, &entropy);
    assert!(redemption.refresh.is_none());
    assert!(serde_json::to_value(&redemption.answer).unwrap().get("refresh_token").is_none());
}

fn found_refresh(used_at: Option<Timestamp>) -> FoundRefresh {
    let entropy = SeededEntropy::new(9);
    let redemption = redeem(&proven(&client()), &found_code().code, NOW, &Lifetimes::default(), &entropy);
    FoundRefresh { token: redemption.refresh.unwrap(), grant: redemption.grant, used_at }
}

fn try_refresh(client: &Client, text: &str, found: Option<FoundRefresh>, now: Timestamp) -> Result<Exchange, RefreshRefused> {
    refresh(&proven(client), &form(text), found, &resources(), now, &Lifetimes::default(), &SeededEntropy::new(4))
}

fn code_of(refused: RefreshRefused) -> Option<ErrorCode> {
    match refused {
        RefreshRefused::Error(error) => Some(error.code),
        RefreshRefused::Reuse(_) => None,
    }
}

#[test]
fn t16_t17_refresh_tokens() {
    let fresh = || Some(found_refresh(None));
    let later = NOW + Duration::from_secs(60);
    assert!(try_refresh(&client(), "", fresh(), later).is_ok());
    assert!(try_refresh(&client(), "scope=mcp", fresh(), later).is_ok());
    assert!(try_refresh(&client(), "resource=https://gw.example/mcp", fresh(), later).is_ok());

    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let revoked = || {
        let mut found = found_refresh(None);
        found.grant.revoked_at = Some(NOW);
        Some(found)
    };
    let no_refresh = Client { grant_types: vec![GrantType::AuthorizationCode], ..client() };
    let cases = [
        (client(), "", None, ErrorCode::InvalidGrant),
        (thief, "", fresh(), ErrorCode::InvalidGrant),
        (client(), "", revoked(), ErrorCode::InvalidGrant),
        (no_refresh, "", fresh(), ErrorCode::UnauthorizedClient),
        (client(), "scope=mcp+dice", fresh(), ErrorCode::InvalidScope),
        (client(), "resource=https://gw.example/mcp/dice", fresh(), ErrorCode::InvalidTarget),
    ];
    for (client, text, found, expected) in cases {
        let refused = try_refresh(&client, text, found, later).unwrap_err();
        assert_eq!(code_of(refused), Some(expected), "{text}");
    }

    let used = Some(found_refresh(Some(NOW)));
    assert!(try_refresh(&client(), "", used.clone(), NOW + Duration::from_secs(30)).is_ok(), "within the grace window");
    let reuse = try_refresh(&client(), "", used.clone(), NOW + Duration::from_secs(31)).unwrap_err();
    assert_eq!(reuse, RefreshRefused::Reuse(used.clone().unwrap().grant.id));
    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let by_thief = try_refresh(&thief, "", used, NOW + Duration::from_secs(31)).unwrap_err();
    assert_eq!(code_of(by_thief), Some(ErrorCode::InvalidGrant), "another client's replay revokes nothing");
}

//! Cases for the refresh token grant.

use std::time::Duration;

use super::*;
use crate::{
    client::{Client, GrantType},
    entropy::SeededEntropy,
    ids::{ClientId, ServerName},
    oauth::{
        authorize::tests::{client, resources},
        token::samples::{NOW, form, found_refresh, proven},
    },
};

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
    assert!(try_refresh(&client(), "", used.clone(), NOW + Duration::from_millis(29_999)).is_ok(), "within the grace window");
    let reuse = try_refresh(&client(), "", used.clone(), NOW + Duration::from_secs(30)).unwrap_err();
    assert_eq!(reuse, RefreshRefused::Reuse(used.clone().unwrap().grant.id));
    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let by_thief = try_refresh(&thief, "", used, NOW + Duration::from_secs(31)).unwrap_err();
    assert_eq!(code_of(by_thief), Some(ErrorCode::InvalidGrant), "another client's replay revokes nothing");
}

#[test]
fn no_token_outlives_its_grant() {
    let lifetimes = Lifetimes::default();
    let end = NOW + lifetimes.grant;
    let refreshed_at = |now: Timestamp| try_refresh(&client(), "", Some(found_refresh(None)), now);
    let early = refreshed_at(NOW + Duration::from_secs(60)).unwrap().rotation;
    assert_eq!(early.successor.expires_at, early.now + lifetimes.refresh_token);
    let late = refreshed_at(end - Duration::from_secs(60)).unwrap().rotation;
    assert_eq!((late.successor.expires_at, late.access.expires_at), (end, end));
    assert_eq!(code_of(refreshed_at(end).unwrap_err()), Some(ErrorCode::InvalidGrant));
}

#[test]
fn t30_each_refresh_of_a_grant_for_several_resources_picks_one() {
    let for_two = || {
        let mut found = found_refresh(None);
        let resources = resources();
        let [dice, uuid] = ["dice", "uuid"].map(|name| resources.of_server(&ServerName::parse(name).unwrap()));
        found.grant.resources = dice.into();
        found.grant.resources.insert(uuid);
        found.grant.scopes = ScopeSet::parse("dice uuid").unwrap();
        Some(found)
    };
    let cases = [
        ("resource=https://gw.example/mcp/dice", Ok(("/mcp/dice", "dice"))),
        ("resource=https://gw.example/mcp/uuid&scope=uuid", Ok(("/mcp/uuid", "uuid"))),
        ("resource=https://gw.example/mcp/uuid&scope=dice", Err(Some(ErrorCode::InvalidScope))),
        ("resource=https://gw.example/mcp", Err(Some(ErrorCode::InvalidTarget))),
        ("", Err(Some(ErrorCode::InvalidTarget))),
    ];
    for (text, expected) in cases {
        let access = try_refresh(&client(), text, for_two(), NOW).map_err(code_of).map(|exchange| exchange.rotation.access);
        let access = access.map(|access| (access.resource.to_string(), access.scopes.to_string()));
        let expected = expected.map(|(path, scopes)| (format!("https://gw.example{path}"), scopes.to_owned()));
        assert_eq!(access, expected, "{text}");
    }
}

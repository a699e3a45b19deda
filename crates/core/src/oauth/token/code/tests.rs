//! Cases for the authorization code grant.

use insta::assert_snapshot;

use super::*;
use crate::{
    client::{Client, GrantType},
    ids::{ClientId, ServerName},
    lifetimes::Lifetimes,
    oauth::{
        authorize::tests::{client, resources},
        token::samples::{NOW, VERIFIER, checked, form, found_code, proven, redemption_of, shown},
    },
    scope::ScopeSet,
    secret::TokenHash,
};

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
            format!(
                "resource=https://gw.example/mcp&resource=https://gw.example/mcp/dice{verifier}"
            ),
            Some(ErrorCode::InvalidTarget),
        ),
    ];
    for (text, expected) in cases {
        let outcome =
            check_code(&proven(&client()), &form(&text), Some(found_code()), &resources());
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
    let lifetimes = Lifetimes::default();
    let redemption = redemption_of(&client(), &checked(&client(), found_code()));
    assert_eq!(redemption.access.expires_at, NOW + lifetimes.access_token);
    assert_eq!(redemption.refresh.as_ref().unwrap().grant, redemption.grant.id);
    let answer = serde_json::to_value(&redemption.answer).unwrap();
    assert_eq!(TokenHash::of(answer["access_token"].as_str().unwrap()), redemption.access.hash);
    assert_snapshot!(shown(&redemption.answer), @r#"{"access_token":"{access_token}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh_token}","scope":"mcp"}"#);
    assert!(!format!("{:?}", redemption.answer).contains("ptn_"), "no token in debug output");

    let no_refresh = Client { grant_types: vec![GrantType::AuthorizationCode], ..client() };
    let redemption = redemption_of(&no_refresh, &checked(&no_refresh, found_code()));
    assert!(redemption.refresh.is_none());
    assert_snapshot!(shown(&redemption.answer), @r#"{"access_token":"{access_token}","token_type":"Bearer","expires_in":3600,"scope":"mcp"}"#);
}

/// A code for `/mcp/dice` and `/mcp/uuid`.
fn for_two(scopes: &str) -> FoundCode {
    let mut found = found_code();
    let resources = resources();
    let [dice, uuid] =
        ["dice", "uuid"].map(|name| resources.of_server(&ServerName::parse(name).unwrap()));
    found.code.resources = dice.into();
    found.code.resources.insert(uuid);
    found.code.scopes = ScopeSet::parse(scopes).unwrap();
    found
}

#[test]
fn t30_of_several_resources_a_token_is_for_one() {
    let dice = "&resource=https://gw.example/mcp/dice";
    let uuid = "&resource=https://gw.example/mcp/uuid";
    let cases = [
        ("mcp", dice.to_owned(), Ok(("/mcp/dice", "mcp"))),
        ("dice uuid offline_access", uuid.to_owned(), Ok(("/mcp/uuid", "offline_access uuid"))),
        ("dice uuid", format!("{dice}{dice}"), Ok(("/mcp/dice", "dice"))),
        ("mcp", String::new(), Err(ErrorCode::InvalidTarget)),
        ("mcp", format!("{dice}{uuid}"), Err(ErrorCode::InvalidTarget)),
        ("mcp", "&resource=https://gw.example/mcp".to_owned(), Err(ErrorCode::InvalidTarget)),
        ("mcp", format!("{dice}&resource=https://evil.example"), Err(ErrorCode::InvalidTarget)),
        ("dice", uuid.to_owned(), Err(ErrorCode::InvalidScope)),
    ];
    for (scopes, text, expected) in cases {
        let form = form(&format!("code_verifier={VERIFIER}{text}"));
        let checked = check_code(&proven(&client()), &form, Some(for_two(scopes)), &resources());
        let token = checked.map_err(|error| error.code).map(|checked| {
            let redemption = redemption_of(&client(), &checked);
            assert_eq!(
                (redemption.grant.resources, redemption.grant.scopes),
                (for_two(scopes).code.resources, for_two(scopes).code.scopes)
            );
            (redemption.access.resource.to_string(), redemption.access.scopes.to_string())
        });
        let expected =
            expected.map(|(path, scopes)| (format!("https://gw.example{path}"), scopes.to_owned()));
        assert_eq!(token, expected, "{scopes} {text}");
    }
}

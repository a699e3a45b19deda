//! Cases for the introspection endpoint's rule.

use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::{
    client::{Client, ClientAuthMethod},
    ids::ClientId,
    lifetimes::Lifetimes,
    oauth::{
        authorize::tests::{client, resources},
        snapshots::members,
        token::samples::{NOW, current, forged, found_access, found_refresh, proven, user},
    },
    secret::TokenHash,
};

fn confidential() -> Client {
    Client {
        auth_method: ClientAuthMethod::ClientSecretBasic,
        secret: Some(TokenHash::of("hunter2")),
        ..client()
    }
}

fn shown(introspection: &Introspection) -> serde_json::Value {
    serde_json::to_value(introspection).unwrap()
}

#[test]
fn only_clients_with_a_secret_may_ask() {
    assert!(check_client(&proven(&confidential())).is_ok());
    assert_eq!(check_client(&proven(&client())).unwrap_err().code, ErrorCode::InvalidClient);
}

#[test]
fn owners_and_the_trusted_are_told() {
    let resources = resources();
    let stranger = Client { id: ClientId::from_text("stranger"), ..confidential() };
    let trusted = Client { trusted: true, ..stranger.clone() };
    let ask = |client: &Client| {
        of_access(&proven(client), Some(found_access()), NOW, resources.public_url())
    };
    let told = shown(&ask(&confidential()));
    assert_snapshot!(members(&told), @r#"
    active: true
    scope: "mcp"
    client_id: "c1"
    username: "Alice"
    token_type: "Bearer"
    exp: 4600
    sub: "ptn_user_0u3bgsE9qaNkoe0at-LPv0wu4GrXf7oF"
    aud: "https://gw.example/mcp"
    iss: "https://gw.example"
    "#);
    assert_eq!(shown(&ask(&trusted)), told);
    assert_eq!(shown(&ask(&stranger)), json!({"active": false}));

    let ask = |client: &Client| {
        let found = found_refresh();
        of_refresh(
            &proven(client),
            (&current(&found), Some(found)),
            Some(&user()),
            NOW,
            resources.public_url(),
        )
    };
    assert_snapshot!(members(&ask(&confidential())), @r#"
    active: true
    scope: "mcp"
    client_id: "c1"
    username: "Alice"
    exp: 2593000
    sub: "ptn_user_0u3bgsE9qaNkoe0at-LPv0wu4GrXf7oF"
    aud: "https://gw.example/mcp"
    iss: "https://gw.example"
    "#);
    assert_eq!(shown(&ask(&stranger)), json!({"active": false}));
}

#[test]
fn what_is_of_no_use_is_inactive_and_nothing_says_why() {
    let (resources, owner) = (resources(), proven(&confidential()));
    let url = resources.public_url();
    let end = found_access().token.expires_at;
    let mut revoked = found_access();
    revoked.grant.revoked_at = Some(NOW);
    let (found, sent) = (found_refresh(), current(&found_refresh()));
    let mut revoked_refresh = found.clone();
    revoked_refresh.grant.revoked_at = Some(NOW);
    let mut used = found.clone();
    used.family = used
        .family
        .and_then(|family| family.rotated(&found.grant, None, NOW, &Lifetimes::default()));
    let refresh_end = found.expires_at();
    let cases = [
        of_access(&owner, None, NOW, url),
        of_access(&owner, Some(revoked), NOW, url),
        of_access(&owner, Some(found_access()), end, url),
        of_refresh(&owner, (&sent, None), None, NOW, url),
        of_refresh(&owner, (&sent, Some(revoked_refresh)), Some(&user()), NOW, url),
        of_refresh(&owner, (&sent, Some(used)), Some(&user()), NOW, url),
        of_refresh(&owner, (&forged(&found), Some(found.clone())), Some(&user()), NOW, url),
        of_refresh(&owner, (&sent, Some(found)), Some(&user()), refresh_end, url),
    ];
    for (n, introspection) in cases.iter().enumerate() {
        assert_eq!(shown(introspection), json!({"active": false}), "case {n}");
    }
}

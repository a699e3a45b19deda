//! When a person is asked for consent again, as a table.

use super::*;
use crate::oauth::authorize::tests::{client, request, resources};

#[test]
fn the_root_resource_reaches_every_server() {
    let question = question(&request("mcp"), &client(), None, &resources());
    assert_eq!(
        question.targets.servers.iter().map(ServerName::as_str).collect::<Vec<_>>(),
        ["dice", "uuid"]
    );
    assert!(!question.is_local);
}

#[test]
fn a_server_scope_reaches_that_server_alone() {
    let question = question(&request("dice"), &client(), None, &resources());
    assert_eq!(
        question.targets.servers.iter().map(ServerName::as_str).collect::<Vec<_>>(),
        ["dice"]
    );
}

#[test]
fn t05_a_client_with_local_redirects_alone_is_marked() {
    let mut client = client();
    client.redirect_uris = vec![RedirectUri::parse("http://localhost:1/cb").unwrap()];
    assert!(question(&request("mcp"), &client, None, &resources()).is_local);
    client.redirect_uris.push(RedirectUri::parse("https://app.example/cb").unwrap());
    assert!(!question(&request("mcp"), &client, None, &resources()).is_local);
}

fn scopes(lines: &[ScopeWords]) -> Vec<(&str, bool)> {
    lines.iter().map(|line| (line.scope.as_str(), line.is_new)).collect()
}

#[test]
fn what_is_new_is_marked_and_what_was_allowed_is_told() {
    let alice = UserId::of("https://idp", "alice");
    let earlier = |scope: &str| remember(&request(scope), &alice, None, Timestamp::from_secs(1));
    let cases = [
        ("dice:write", None, vec![("dice:write", false)], vec![]),
        ("dice:write", Some("dice:read"), vec![("dice:write", true)], vec![]),
        ("dice:write", Some("uuid:make"), vec![("dice:write", true)], vec![("uuid:make", false)]),
        (
            "dice:read+uuid",
            Some("dice"),
            vec![("dice:read", false), ("uuid", true)],
            vec![("dice", false)],
        ),
        (
            "mcp+dice+offline_access",
            Some("mcp"),
            vec![("mcp", false), ("offline_access", true)],
            vec![],
        ),
    ];
    for (asked, allowed, expected, kept) in cases {
        let earlier = allowed.map(earlier);
        let question = question(&request(asked), &client(), earlier.as_ref(), &resources());
        assert_eq!(
            (scopes(&question.scopes), scopes(&question.kept)),
            (expected, kept),
            "{asked} after {allowed:?}"
        );
        assert!(!question.has_changed);
    }
    assert_eq!(
        question(&request("dice:read"), &client(), None, &resources()).scopes[0].words,
        "Words for dice:read"
    );
}

#[test]
fn t28_redirect_uris_and_keys_make_the_client() {
    let unchanged = [
        Client {
            name: Some("Other".to_owned()),
            last_used_at: Some(Timestamp::from_secs(1)),
            ..client()
        },
        Client { redirect_uris: client().redirect_uris.into_iter().rev().collect(), ..client() },
    ];
    let changed = [
        Client {
            redirect_uris: vec![RedirectUri::parse("https://app.example/cb").unwrap()],
            ..client()
        },
        Client {
            keys: Some(ClientKeys::Remote("https://app.example/jwks".to_owned())),
            ..client()
        },
        Client { keys: Some(ClientKeys::Inline(serde_json::json!({"keys": []}))), ..client() },
        Client { auth_method: crate::client::ClientAuthMethod::ClientSecretPost, ..client() },
    ];
    assert!(unchanged.iter().all(|other| fingerprint(other) == fingerprint(&client())));
    let mut seen = vec![fingerprint(&client())];
    for other in &changed {
        assert!(!seen.contains(&fingerprint(other)), "{other:?}");
        seen.push(fingerprint(other));
    }
}

#[test]
fn t28_what_a_client_was_allowed_goes_when_it_changes() {
    let alice = UserId::of("https://idp", "alice");
    let (now, request) = (Timestamp::from_secs(1), request("dice:write"));
    let earlier = remember(&super::super::authorize::tests::request("uuid"), &alice, None, now);
    assert_eq!(
        remember(&request, &alice, Some(&earlier), now).scopes.to_string(),
        "dice:write uuid"
    );
    let changed = Consent { fingerprint: TokenHash::of("before"), ..earlier.clone() };
    assert_eq!(remember(&request, &alice, Some(&changed), now).scopes.to_string(), "dice:write");
    assert!(question(&request, &client(), Some(&changed), &resources()).has_changed);
    let bob = UserId::of("https://idp", "bob");
    assert_eq!(remember(&request, &bob, Some(&earlier), now).scopes.to_string(), "dice:write");
}

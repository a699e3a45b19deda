//! Claims in the forms that providers write them in.

use serde_json::json;

use super::*;

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn t42_an_email_has_exactly_one_at() {
    for good in ["a@b", "alice@acme.example"] {
        assert_eq!(email(good).as_deref(), Some(good));
    }
    for bad in [
        "",
        "alice",
        "@acme",
        "alice@",
        "a@b@c",
        "a @b",
        "a@b\n",
        "alice@evil.example@acme.example",
    ] {
        assert_eq!(email(bad), None, "{bad:?}");
    }
}

#[test]
fn fb22_groups_of_every_shape_each_once_and_not_too_many() {
    let cases = [
        (json!(["a", "b", "a"]), vec!["a", "b"]),
        (json!("a"), vec!["a"]),
        (json!(["a", 1, null, {"b": 1}, "", "x\n"]), vec!["a"]),
        (json!({"a": 1, "b": {"0815": "acme.com"}, "c": false, "d": null}), vec!["a", "b"]),
        (json!([{"name": "a", "id": 1}, {"displayName": "b"}]), vec!["a", "b"]),
        (json!(7), vec![]),
    ];
    for (value, expected) in cases {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(groups(Some(&value)), (expected, true), "{value}");
    }
    let many: Vec<_> = (0..2000).map(|n| n.to_string()).collect();
    let (kept, is_whole) = groups(Some(&json!(many)));
    assert_eq!((kept.len(), is_whole), (MAX_GROUPS, false));
    assert!(groups(Some(&json!(["x".repeat(300)]))).0.is_empty());
}

#[test]
fn fb22_the_id_token_goes_before_userinfo_and_paths_reach_inside() {
    let id_token = map(
        &json!({"name": "Alice", "email": "bad", "realm_access": {"roles": ["r"]}, "https://a.b/groups": ["g"]}),
    );
    let userinfo =
        map(&json!({"name": "Eve", "email": "eve@x", "email_verified": true, "groups": ["u"]}));
    let claims = Claims { id_token: &id_token, userinfo: Some(&userinfo) };
    assert_eq!(claims.name().as_deref(), Some("Alice"));
    assert_eq!(claims.email(), (None, false), "another source does not stand in for a bad address");
    assert_eq!(claims.groups("groups").0, ["u"]);
    assert_eq!(claims.groups("realm_access.roles").0, ["r"]);
    assert_eq!(claims.groups("https://a.b/groups").0, ["g"]);
    assert!(claims.groups("nobody.knows").0.is_empty());
    let dotted = map(
        &json!({"resource_access": {"mcp.acme.com": {"roles": ["r"]}, "mcp": {"acme": 1}}, "a.b": {"c.d": {"e": ["x"]}}}),
    );
    let claims = Claims { id_token: &dotted, userinfo: None };
    assert_eq!(claims.groups("resource_access.mcp.acme.com.roles").0, ["r"]);
    assert_eq!(claims.groups("a.b.c.d.e").0, ["x"]);
}

#[test]
fn t53_a_hosted_domain_comes_from_the_id_token_alone() {
    let userinfo = map(&json!({"hd": "acme.com", "email": "a@acme.com", "xms_edov": true}));
    for (id_token, expected) in [
        (json!({"hd": "acme.com"}), Some("acme.com")),
        (json!({}), None),
        (json!({"hd": ""}), None),
        (json!({"hd": ["acme.com"]}), None),
        (json!({"hd": true}), None),
        (json!({"hd": "a".repeat(300)}), None),
    ] {
        let id_token = map(&id_token);
        let claims = Claims { id_token: &id_token, userinfo: Some(&userinfo) };
        assert_eq!(claims.hosted_domain().as_deref(), expected, "{id_token:?}");
        assert!(!claims.is_email_of_verified_domain());
    }
}

#[test]
fn t53_microsoft_vouches_for_an_address_by_a_claim_of_its_own() {
    for (id_token, expected) in [
        (json!({"email": "a@acme.com", "xms_edov": true}), true),
        (json!({"email": "a@acme.com", "xms_edov": "1"}), true),
        (json!({"email": "a@acme.com", "xms_edov": 1}), true),
        (json!({"email": "a@acme.com", "xms_edov": false}), false),
        (json!({"email": "a@acme.com", "xms_edov": "0"}), false),
        (json!({"email": "a@acme.com"}), false),
        (json!({"email": "a@b@acme.com", "xms_edov": true}), false),
        (json!({"xms_edov": true}), false),
    ] {
        let id_token = map(&id_token);
        let claims = Claims { id_token: &id_token, userinfo: None };
        assert_eq!(claims.is_email_of_verified_domain(), expected, "{id_token:?}");
    }
}

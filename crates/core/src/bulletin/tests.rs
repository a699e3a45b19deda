//! What a bulletin concerns, and what is made of one that cannot be read.

use super::*;
use crate::{
    clock::Timestamp,
    grant::Grant,
    ids::{ClientId, ProviderName, UserId},
    principal::User,
    resource::{Resource, ResourceSet},
    scope::ScopeSet,
    token::AccessToken,
};

fn found() -> FoundAccess {
    let (now, resource) = (Timestamp::from_secs(1_790_000_000), Resource::from_stored("https://gw.example/mcp".to_owned()));
    let scopes = ScopeSet::parse("mcp").unwrap();
    let user = User {
        id: UserId::from_text("user"),
        provider: ProviderName::from_text("okta"),
        issuer: "https://acme.example".to_owned(),
        subject: "00u1".to_owned(),
        name: None,
        email: None,
        email_verified: false,
        groups: Vec::new(),
        hosted_domain: None,
        no_groups: None,
        signed_in_at: now,
    };
    let grant = Grant {
        id: GrantId::from_text("grant"),
        user: user.id.clone(),
        client: ClientId::from_text("client"),
        application: None,
        resources: ResourceSet::from(resource.clone()),
        scopes: scopes.clone(),
        login: Some(TokenHash::of("login")),
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    let token = AccessToken { hash: TokenHash::of("token"), grant: grant.id.clone(), resource, scopes, expires_at: now };
    FoundAccess { token, grant, user }
}

fn all() -> Vec<(Bulletin, bool)> {
    let grants = |of| Bulletin::Grants(of);
    vec![
        (Bulletin::Access(TokenHash::of("token")), true),
        (Bulletin::Access(TokenHash::of("another")), false),
        (Bulletin::Grant(GrantId::from_text("grant")), true),
        (Bulletin::Grant(GrantId::from_text("another")), false),
        (grants(GrantsOf::User(UserId::from_text("user"))), true),
        (grants(GrantsOf::User(UserId::from_text("client"))), false),
        (grants(GrantsOf::Client(ClientId::from_text("client"))), true),
        (grants(GrantsOf::Client(ClientId::from_text("user"))), false),
        (grants(GrantsOf::Login(TokenHash::of("login"))), true),
        (grants(GrantsOf::Login(TokenHash::of("token"))), false),
        (grants(GrantsOf::Everyone), true),
        (Bulletin::Everything, true),
        (Bulletin::Configuration(Generation { node: NodeId::from_text("node"), fingerprint: "abc".to_owned() }), false),
    ]
}

#[test]
fn what_a_bulletin_concerns() {
    for (bulletin, expected) in all() {
        assert_eq!(bulletin.concerns(&found()), expected, "{bulletin:?}");
    }
}

#[test]
fn a_token_of_no_login_is_of_no_ones_login() {
    let mut found = found();
    found.grant.login = None;
    assert!(!Bulletin::Grants(GrantsOf::Login(TokenHash::of("login"))).concerns(&found));
}

#[test]
fn bulletins_are_read_as_they_were_written() {
    for (bulletin, _) in all() {
        assert_eq!(Bulletin::parse(&bulletin.to_text()), bulletin);
    }
}

#[test]
fn what_cannot_be_understood_concerns_everything() {
    let long = "x".repeat(LONGEST);
    for text in ["", "nonsense", r#"{"of_a_newer_version":1}"#, r#"{"grant":1}"#, &format!(r#"{{"grant":"{long}"}}"#)] {
        assert_eq!(Bulletin::parse(text), Bulletin::Everything, "{text}");
    }
    assert_eq!(Bulletin::parse(&Bulletin::Grant(GrantId::from_text(long)).to_text()), Bulletin::Everything);
}

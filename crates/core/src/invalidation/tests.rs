//! What a invalidation concerns, and what is made of one that cannot be read.

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

fn all() -> Vec<(Invalidation, bool)> {
    let grants = |of| Invalidation::Grants(of);
    vec![
        (Invalidation::Access(TokenHash::of("token")), true),
        (Invalidation::Access(TokenHash::of("another")), false),
        (Invalidation::Grant(GrantId::from_text("grant")), true),
        (Invalidation::Grant(GrantId::from_text("another")), false),
        (grants(GrantsOf::User(UserId::from_text("user"))), true),
        (grants(GrantsOf::User(UserId::from_text("client"))), false),
        (grants(GrantsOf::Client(ClientId::from_text("client"))), true),
        (grants(GrantsOf::Client(ClientId::from_text("user"))), false),
        (grants(GrantsOf::Login(TokenHash::of("login"))), true),
        (grants(GrantsOf::Login(TokenHash::of("token"))), false),
        (grants(GrantsOf::Everyone), true),
        (Invalidation::Everything, true),
        (Invalidation::Configuration(Generation { node: NodeId::from_text("node"), fingerprint: "abc".to_owned() }), false),
    ]
}

#[test]
fn what_a_invalidation_concerns() {
    for (invalidation, expected) in all() {
        assert_eq!(invalidation.concerns(&found()), expected, "{invalidation:?}");
    }
}

#[test]
fn a_token_of_no_login_is_of_no_ones_login() {
    let mut found = found();
    found.grant.login = None;
    assert!(!Invalidation::Grants(GrantsOf::Login(TokenHash::of("login"))).concerns(&found));
}

#[test]
fn invalidations_are_read_as_they_were_written() {
    for (invalidation, _) in all() {
        assert_eq!(Invalidation::parse(&invalidation.to_text()), invalidation);
    }
}

#[test]
fn what_cannot_be_understood_concerns_everything() {
    let long = "x".repeat(LONGEST);
    for text in ["", "nonsense", r#"{"of_a_newer_version":1}"#, r#"{"grant":1}"#, &format!(r#"{{"grant":"{long}"}}"#)] {
        assert_eq!(Invalidation::parse(text), Invalidation::Everything, "{text}");
    }
    assert_eq!(Invalidation::parse(&Invalidation::Grant(GrantId::from_text(long)).to_text()), Invalidation::Everything);
}

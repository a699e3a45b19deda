//! What an invalidation concerns, and what is made of one that cannot be read.

use super::*;
use crate::{
    grant::Grant,
    ids::{ClientId, UserId},
    oauth::token::samples::found_access,
    principal::User,
    token::AccessToken,
};

/// Each of its ids is a word of its own, so that a table of cases can mix them up.
fn found() -> FoundAccess {
    let FoundAccess { token, grant, user } = found_access();
    let grant = Grant {
        id: GrantId::from_text("grant"),
        user: UserId::from_text("user"),
        client: ClientId::from_text("client"),
        login: Some(TokenHash::of("login")),
        ..grant
    };
    let token = AccessToken { hash: TokenHash::of("token"), grant: grant.id.clone(), ..token };
    FoundAccess { user: User { id: grant.user.clone(), ..user }, token, grant }
}

fn all() -> Vec<(Invalidation, bool)> {
    let grants = |of| Invalidation::Grants(of);
    let disabled = |what| Invalidation::Disabled(what);
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
        (disabled(Disableable::Person(UserId::from_text("user"))), true),
        (disabled(Disableable::Person(UserId::from_text("client"))), false),
        (disabled(Disableable::Client(ClientId::from_text("client"))), true),
        (disabled(Disableable::Client(ClientId::from_text("user"))), false),
        (disabled(Disableable::Proxy("user".to_owned())), false),
        (Invalidation::Enabled(Disableable::Person(UserId::from_text("user"))), false),
        (Invalidation::Everything, true),
        (
            Invalidation::Configuration(Generation {
                node: NodeId::from_text("node"),
                fingerprint: "abc".to_owned(),
            }),
            false,
        ),
    ]
}

#[test]
fn what_an_invalidation_concerns() {
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
    for text in [
        "",
        "nonsense",
        r#"{"of_a_newer_version":1}"#,
        r#"{"grant":1}"#,
        &format!(r#"{{"grant":"{long}"}}"#),
    ] {
        assert_eq!(Invalidation::parse(text), Invalidation::Everything, "{text}");
    }
    assert_eq!(
        Invalidation::parse(&Invalidation::Grant(GrantId::from_text(long)).to_text()),
        Invalidation::Everything
    );
}

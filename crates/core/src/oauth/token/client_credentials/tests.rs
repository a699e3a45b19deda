//! Cases for the client credentials grant.

use insta::assert_snapshot;

use super::*;
use crate::{
    entropy::SeededEntropy,
    oauth::{
        authorize::tests::{client, resources},
        token::samples::{NOW, form, proven, shown},
    },
    secret::TokenHash,
};

fn service() -> Client {
    Client {
        source: ClientSource::Configured,
        auth_method: ClientAuthMethod::ClientSecretBasic,
        secret: Some(TokenHash::of("hunter2")),
        grant_types: vec![GrantType::ClientCredentials],
        scopes: Some(ScopeSet::parse("dice offline_access").unwrap()),
        groups: vec!["robots".to_owned()],
        name: Some("Nightly job".to_owned()),
        ..client()
    }
}

fn ask(client: &Client, text: &str) -> Result<ServiceGrant, OAuthError> {
    let entropy = SeededEntropy::new(3);
    client_credentials(
        &proven(client),
        &form(text),
        &resources(),
        NOW,
        &Lifetimes::default(),
        &entropy,
    )
}

#[test]
fn t24_a_client_acts_for_itself_only_if_the_configuration_says_so() {
    assert!(ask(&service(), "").is_ok());
    let others = [
        Client { source: ClientSource::Registered, ..service() },
        Client { source: ClientSource::MetadataDocument, ..service() },
        Client { auth_method: ClientAuthMethod::None, ..service() },
        Client {
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            ..service()
        },
    ];
    for (n, other) in others.iter().enumerate() {
        assert_eq!(ask(other, "").unwrap_err().code, ErrorCode::UnauthorizedClient, "case {n}");
    }
}

#[test]
fn fb81_t24_resource_and_scope_are_checked_as_for_a_person() {
    let limited = service();
    let several = Client { scopes: Some(ScopeSet::parse("dice uuid").unwrap()), ..service() };
    let unlimited = Client { scopes: None, ..service() };
    let everything = Client { scopes: Some(ScopeSet::parse("mcp").unwrap()), ..service() };
    let cases = [
        (&limited, "", Ok(("/mcp/dice", "dice"))),
        (&limited, "scope=dice", Ok(("/mcp/dice", "dice"))),
        (&limited, "scope=dice+uuid+mcp", Ok(("/mcp/dice", "dice"))),
        (&limited, "resource=https://gw.example/mcp", Ok(("/mcp", "dice"))),
        (&several, "", Ok(("/mcp", "dice uuid"))),
        (&limited, "scope=dice+offline_access", Ok(("/mcp/dice", "dice"))),
        (&limited, "resource=https://gw.example/mcp/dice", Ok(("/mcp/dice", "dice"))),
        (&limited, "scope=mcp", Ok(("/mcp/dice", "dice"))),
        (&limited, "scope=offline_access", Err(ErrorCode::InvalidScope)),
        (&limited, "resource=https://gw.example/mcp/uuid", Err(ErrorCode::InvalidScope)),
        (&unlimited, "", Ok(("/mcp", "mcp"))),
        (&unlimited, "scope=uuid", Ok(("/mcp", "uuid"))),
        (&everything, "scope=uuid", Ok(("/mcp", "uuid"))),
        (&limited, "scope=dice:read", Ok(("/mcp/dice", "dice:read"))),
        (&limited, "scope=uuid:make", Err(ErrorCode::InvalidScope)),
        (&unlimited, "scope=nothing", Err(ErrorCode::InvalidScope)),
        (&unlimited, "resource=https://evil.example/mcp", Err(ErrorCode::InvalidTarget)),
        (&unlimited, "resource=https://gw.example/mcp/nobody", Err(ErrorCode::InvalidTarget)),
        (
            &unlimited,
            "resource=https://gw.example/mcp&resource=https://gw.example/mcp/dice",
            Err(ErrorCode::InvalidTarget),
        ),
    ];
    for (client, text, expected) in cases {
        let granted = ask(client, text).map_err(|problem| problem.code);
        let granted = granted.map(|granted| {
            (granted.access.resource.to_string(), granted.access.scopes.to_string())
        });
        let expected =
            expected.map(|(path, scopes)| (format!("https://gw.example{path}"), scopes.to_owned()));
        assert_eq!(granted, expected, "{text}");
    }
}

#[test]
fn the_token_is_a_service_users_and_comes_alone() {
    let granted = ask(&service(), "").unwrap();
    assert_eq!(granted.user.id, UserId::of("https://gw.example/clients", service().id.as_str()));
    assert_eq!((granted.user.groups, granted.user.name), (service().groups, service().name));
    assert_eq!((granted.grant.user, granted.grant.client), (granted.user.id, service().id));
    assert_eq!(granted.access.expires_at, NOW + Lifetimes::default().access_token);
    // Without a refresh token (RFC 6749 section 4.4.3).
    assert_snapshot!(shown(&granted.answer), @r#"{"access_token":"{access_token}","token_type":"Bearer","expires_in":3600,"scope":"dice"}"#);
}

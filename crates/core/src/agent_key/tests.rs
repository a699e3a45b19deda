//! Cases for agent keys: what may be asked for, what one is for, how long its owner vouches.

use super::*;
use crate::{
    access::Facts,
    entropy::SeededEntropy,
    ids::{AGENT_KEY, ClientId},
    oauth::{
        authorize::tests::resources,
        token::samples::{NOW, found_access, user},
    },
    token::FoundAccess,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Servers, scopes, and the scopes of the key or a part of why there is none.
type Wish<'a> = (&'a [&'a str], &'a [&'a str], Result<&'a str, &'a str>);

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn request<'a>(owner: &'a User, targets: KeyTargets<'a>, scopes: &'a [String]) -> KeyRequest<'a> {
    KeyRequest { owner, name: "nightly job", targets, scopes, lifetime: 90 * DAY, existing: 0 }
}

fn make(request: &KeyRequest<'_>) -> Result<NewKey, BadKey> {
    issue(request, &resources(), NOW, &Lifetimes::default(), &SeededEntropy::new(7))
}

#[test]
fn a_key_is_a_grant_of_its_owner_with_one_token() {
    let owner = user();
    let servers = texts(&["uuid", "dice", "/mcp/legacy/"]);
    let made = make(&request(&owner, KeyTargets::Named(&servers), &[])).unwrap();
    let (text, grant, access) = (made.secret.expose(), made.grant, made.access);
    assert!(TokenSecret::parse(TokenKind::AgentKey, text).is_some());
    assert!(TokenSecret::parse(TokenKind::Access, text).is_none(), "no other kind");
    for at in [8, 20, text.len() - 1] {
        let mistyped = format!("{}{}", &text[..at], &text[at + 1..]);
        assert!(TokenSecret::parse(TokenKind::AgentKey, &mistyped).is_none(), "{at}");
    }
    assert_eq!(text.len(), "ptn_ak_".len() + 49);
    assert_eq!((&grant.user, grant.client.as_str(), grant.login), (&owner.id, AGENT_KEY, None));
    assert_eq!(grant.scopes.to_string(), "mcp");
    assert_eq!(
        grant.resources.to_string(),
        "https://gw.example/mcp/dice https://gw.example/mcp/legacy https://gw.example/mcp/uuid"
    );
    assert_eq!(grant.expires_at, Some(NOW + 90 * DAY));
    assert_eq!((access.expires_at, access.hash), (NOW + 90 * DAY, made.secret.hash()));
    let label = grant.key.unwrap();
    assert_eq!((label.name.as_str(), label.shown.as_str()), ("nightly job", &text[..15]));
}

#[test]
fn a_key_is_no_wider_than_what_there_is() {
    let owner = user();
    let cases: [Wish; 15] = [
        (&["dice"], &[], Ok("mcp")),
        (&["dice"], &["dice"], Ok("dice")),
        (&["dice"], &["dice mcp"], Ok("dice mcp")),
        (&["dice", "uuid"], &["dice", "uuid"], Ok("dice uuid")),
        (&["dice", "dice"], &["dice"], Ok("dice")),
        (&["/mcp/legacy/"], &["mcp"], Ok("mcp")),
        (&["dice"], &["uuid"], Err("\"uuid\" means nothing there")),
        (&["dice"], &["offline_access"], Err("\"offline_access\" means nothing there")),
        (&["dice"], &["d\"ice"], Err("means nothing there")),
        (&["dice", "uuid"], &["dice"], Err("means anything on https://gw.example/mcp/uuid")),
        (&["/mcp/legacy/", "dice"], &["dice"], Err("on https://gw.example/mcp/legacy")),
        (&["absent"], &[], Err("there are: /mcp/legacy/, dice, uuid")),
        (&["/mcp"], &[], Err("no enabled server")),
        (&["/mcp/legacy"], &[], Err("no enabled server")),
        (&[], &[], Err("servers by name, or all of them")),
    ];
    for (servers, scopes, expected) in cases {
        let (servers, scopes) = (texts(servers), texts(scopes));
        let made = make(&request(&owner, KeyTargets::Named(&servers), &scopes));
        match (made, expected) {
            (Ok(made), Ok(scopes)) => assert_eq!(made.grant.scopes.to_string(), scopes),
            (Err(bad), Err(part)) => assert!(bad.to_string().contains(part), "{bad}"),
            (made, expected) => panic!("{servers:?} {scopes:?}: {made:?}, not {expected:?}"),
        }
    }
    let all = make(&request(&owner, KeyTargets::All, &texts(&["dice"]))).unwrap();
    assert_eq!(all.grant.resources, resources().root().into());
    let many: Vec<_> = (0..=MOST_RESOURCES).map(|n| format!("s{n}")).collect();
    let names: Vec<_> =
        many.iter().map(|name| crate::ids::ServerName::parse(name).unwrap()).collect();
    let wide = Resources::new(resources().public_url().clone(), &names, &[]);
    let ask = |servers: &[String]| {
        let request = request(&owner, KeyTargets::Named(servers), &[]);
        issue(&request, &wide, NOW, &Lifetimes::default(), &SeededEntropy::new(7)).map(drop)
    };
    assert_eq!(ask(&many), Err(BadKey::TooManyServers));
    assert_eq!(ask(&many[1..]), Ok(()));
}

#[test]
fn a_key_has_a_name_an_end_and_an_owner_who_is_a_person() {
    let owner = user();
    let sound = request(&owner, KeyTargets::All, &[]);
    let (most, long) = (Lifetimes::default().agent_key, "x".repeat(81));
    let service = User { issuer: service_issuer(resources().public_url()), ..user() };
    let cases = [
        (sound, None),
        (KeyRequest { name: &long[..80], ..sound }, None),
        (KeyRequest { name: &long, ..sound }, Some(BadKey::Name)),
        (KeyRequest { name: " \u{202e}\u{200b} ", ..sound }, Some(BadKey::Name)),
        (KeyRequest { lifetime: most, ..sound }, None),
        (
            KeyRequest { lifetime: most + Duration::from_secs(1), ..sound },
            Some(BadKey::Lifetime { most }),
        ),
        (
            KeyRequest { lifetime: Duration::from_secs(59), ..sound },
            Some(BadKey::Lifetime { most }),
        ),
        (KeyRequest { lifetime: Duration::ZERO, ..sound }, Some(BadKey::Lifetime { most })),
        (KeyRequest { existing: MOST_PER_OWNER - 1, ..sound }, None),
        (KeyRequest { existing: MOST_PER_OWNER, ..sound }, Some(BadKey::TooMany)),
        (KeyRequest { owner: &service, ..sound }, Some(BadKey::NoPerson)),
    ];
    for (n, (request, expected)) in cases.iter().enumerate() {
        assert_eq!(make(request).err(), *expected, "case {n}");
    }
}

#[test]
fn t24_a_key_works_as_long_as_its_owner_may_go_without_signing_in() {
    let lifetimes = Lifetimes { grant: 90 * DAY, ..Lifetimes::default() };
    let owner = User { signed_in_at: NOW, ..user() };
    let second = Duration::from_secs(1);
    let cases = [
        (NOW, Ok(())),
        (NOW + 90 * DAY - second, Ok(())),
        (NOW + 90 * DAY, Err(OwnerMustSignIn)),
        (NOW + 365 * DAY, Err(OwnerMustSignIn)),
    ];
    for (now, expected) in cases {
        assert_eq!(check_owner(&owner, now, &lifetimes), expected, "{now:?}");
    }
}

#[test]
fn t30_a_key_is_for_its_resources_and_a_token_for_one() {
    let owner = user();
    let servers = texts(&["dice", "uuid"]);
    let NewKey { grant, access, .. } =
        make(&request(&owner, KeyTargets::Named(&servers), &[])).unwrap();
    let resources = resources();
    let of = |name: &str| resources.parse(&format!("https://gw.example{name}")).unwrap();
    let key = FoundAccess { token: access, grant, user: owner };
    // The same grant, as if a client had been given it.
    let plain = Grant { key: None, ..key.grant.clone() };
    let token = FoundAccess { grant: plain, ..key.clone() };
    let cases = [
        ("/mcp/dice", true, true),
        ("/mcp/uuid", true, false),
        ("/mcp", false, false),
        ("/mcp/legacy/", false, false),
    ];
    for (path, by_key, by_token) in cases {
        let is_for = (key.is_for(&of(path)), token.is_for(&of(path)));
        assert_eq!(is_for, (by_key, by_token), "{path}");
    }
    assert_eq!(key.audience(), key.grant.resources);
    assert_eq!(token.audience(), of("/mcp/dice").into());
}

#[test]
fn each_key_is_a_client_of_its_own_that_rules_call_agent_key() {
    let own = ClientId::of_key(&GrantId::from_text("ptn_grant_1"));
    assert_eq!((own.key(), own.named()), (Some("ptn_grant_1"), AGENT_KEY));
    let cases = [
        (AGENT_KEY, None, true),
        ("agent-key:x", Some("x"), true),
        ("agent-keys", None, false),
        ("my-agent-key", None, false),
        ("ptn_client_x", None, false),
    ];
    for (text, key, reserved) in cases {
        let client = ClientId::from_text(text);
        assert_eq!((client.key(), client.is_reserved()), (key, reserved), "{text}");
    }
    let found = found_access();
    let principal = crate::principal::Principal {
        user: found.user.id.clone(),
        subject: found.user.subject,
        provider: None,
        client: own,
        application: None,
        grant: found.grant.id,
        resource: found.token.resource,
        scopes: found.token.scopes,
        groups: Vec::new(),
        email: None,
        name: None,
        signed_in_at: None,
    };
    assert_eq!(Facts::of(&principal).client, AGENT_KEY);
    let person = crate::audit::Person::from(&principal);
    assert_eq!(
        (person.client.as_deref(), person.agent_key.as_deref()),
        (Some(AGENT_KEY), Some("ptn_grant_1"))
    );
}

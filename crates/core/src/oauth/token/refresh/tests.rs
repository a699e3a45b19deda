//! Cases for the refresh token grant.

use super::*;
use crate::{
    client::Client,
    entropy::SeededEntropy,
    ids::{ClientId, ServerName},
    oauth::{
        authorize::tests::{client, resources},
        token::samples::{NOW, client_address, current, forged, form, found_refresh, proven},
    },
    refresh::EarlierRefresh,
    secret::{TokenKind, TokenSecret},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A request of the client of the samples, from its usual address, with the first token of the
/// family.
struct Try<'a> {
    client: Client,
    text: &'a str,
    presented: PresentedRefresh,
    found: FoundRefresh,
    address: Option<IpAddr>,
    dead: Vec<TokenHash>,
    lifetimes: Lifetimes,
}

impl Try<'_> {
    fn of(found: FoundRefresh) -> Self {
        let presented = current(&found_refresh());
        let (client, address, lifetimes) = (client(), client_address(), Lifetimes::default());
        Self { client, text: "", presented, found, address, dead: Vec::new(), lifetimes }
    }

    fn at(&self, now: Timestamp) -> Result<Exchange, RefreshRefused> {
        let (client, form) = (proven(&self.client), form(self.text));
        let entropy = SeededEntropy::new(u64::try_from(now.as_millis()).unwrap());
        let request = RefreshRequest {
            client: &client,
            form: &form,
            presented: &self.presented,
            found: Some(&self.found),
            address: self.address,
            dead: &self.dead,
        };
        refresh(
            request,
            &resources(),
            &Issuing { now, lifetimes: &self.lifetimes, entropy: &entropy },
        )
    }
}

/// What a refresh at this time leaves in the store.
fn after(found: &FoundRefresh, now: Timestamp) -> FoundRefresh {
    let exchange = Try { presented: current(found), ..Try::of(found.clone()) }.at(now).unwrap();
    FoundRefresh { family: Some(exchange.change.unwrap().after), ..found.clone() }
}

fn code_of(refused: RefreshRefused) -> Option<ErrorCode> {
    match refused {
        RefreshRefused::Error(error) => Some(error.code),
        RefreshRefused::Reuse(..) => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a request is passed as")]
fn elsewhere() -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, 2]))
}

#[test]
fn t17_fb16_which_use_a_token_is() {
    let lifetimes = Lifetimes::default();
    let off = Lifetimes { refresh_reuse: None, ..lifetimes };
    let week = Lifetimes { refresh_reuse: Some(7 * DAY), ..lifetimes };
    let no_grace = Lifetimes { refresh_grace: Duration::ZERO, ..lifetimes };
    let used = |ago: Duration| RefreshStatus::Used { generations: 3, at: Some(NOW - ago) };
    let generations = 3;
    let second = Duration::from_secs(1);
    let (grace, same) = (Ok(Usage::Grace { generations }), Ok(Usage::SameAddress { generations }));
    let (far, late) = (Err(Reuse::Elsewhere { generations }), Err(Reuse::TooLate { generations }));
    // Status, lifetimes, from the same address, from another one.
    let cases = [
        (used(Duration::ZERO), &lifetimes, grace, grace),
        (used(Duration::from_millis(29_999)), &lifetimes, grace, grace),
        (used(30 * second), &lifetimes, same, far),
        (used(HOUR), &lifetimes, same, far),
        (used(DAY.abs_diff(second)), &lifetimes, same, far),
        (used(DAY), &lifetimes, late, far),
        (used(DAY), &week, same, far),
        (used(7 * DAY), &week, late, far),
        (used(29 * second), &off, grace, grace),
        (used(30 * second), &off, late, far),
        (used(Duration::ZERO), &no_grace, same, far),
        (RefreshStatus::Used { generations, at: None }, &week, late, far),
        // Another gateway's clock is ahead.
        (
            RefreshStatus::Used { generations, at: Some(NOW + 40 * second) },
            &lifetimes,
            grace,
            grace,
        ),
    ];
    for (n, (status, lifetimes, from_same, from_other)) in cases.into_iter().enumerate() {
        assert_eq!(judge(status, true, NOW, lifetimes), Some(from_same), "{n}: {status:?}");
        assert_eq!(judge(status, false, NOW, lifetimes), Some(from_other), "{n}: {status:?}");
    }
    for same_address in [true, false] {
        assert_eq!(
            judge(RefreshStatus::Current, same_address, NOW, &lifetimes),
            Some(Ok(Usage::First))
        );
        assert_eq!(
            judge(RefreshStatus::Unknown, same_address, NOW, &week),
            None,
            "made up: it ends nothing"
        );
    }
}

#[test]
fn t16_t17_refresh_tokens() {
    let later = NOW + Duration::from_secs(60);
    for text in ["", "scope=mcp", "resource=https://gw.example/mcp"] {
        let exchange = Try { text, ..Try::of(found_refresh()) }.at(later).unwrap();
        assert_eq!(exchange.usage, Usage::First);
        let change = exchange.change.unwrap();
        assert_eq!((change.before, change.access), (found_refresh().family, exchange.access));
        assert_eq!(change.after.state.generation, 1);
    }
    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let mut revoked = found_refresh();
    revoked.grant.revoked_at = Some(NOW);
    let no_refresh = Client { grant_types: vec![GrantType::AuthorizationCode], ..client() };
    let of = || Try::of(found_refresh());
    let cases = [
        (Try { client: thief, ..of() }, ErrorCode::InvalidGrant),
        (Try::of(revoked), ErrorCode::InvalidGrant),
        (Try { presented: forged(&found_refresh()), ..of() }, ErrorCode::InvalidGrant),
        (Try { client: no_refresh, ..of() }, ErrorCode::UnauthorizedClient),
        (Try { text: "resource=https://gw.example/mcp/dice", ..of() }, ErrorCode::InvalidTarget),
        (Try { text: "resource=https://evil.example", ..of() }, ErrorCode::InvalidTarget),
    ];
    for (n, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(code_of(request.at(later).unwrap_err()), Some(expected), "{n}");
    }
    let end = found_refresh().expires_at();
    assert_eq!(code_of(of().at(end).unwrap_err()), Some(ErrorCode::InvalidGrant), "expired");
}

#[test]
fn t17_a_used_token_gets_the_current_pair_and_nothing_is_rotated() {
    let (first, lifetimes) = (found_refresh(), Lifetimes::default());
    let found = after(&after(&first, NOW), NOW + HOUR);
    let current_pair = |now| Try { presented: current(&found), ..Try::of(found.clone()) }.at(now);
    let now = NOW + HOUR + Duration::from_secs(60);
    let exchange = Try::of(found.clone()).at(now).unwrap();
    assert_eq!(
        (exchange.usage, exchange.change.is_none()),
        (Usage::SameAddress { generations: 2 }, true)
    );
    let answer = serde_json::to_value(&exchange.answer).unwrap();
    assert_eq!(answer["refresh_token"], found.family.as_ref().unwrap().token().expose());
    assert_eq!(answer["expires_in"], 3540, "what is left of it");
    assert_eq!(TokenHash::of(answer["access_token"].as_str().unwrap()), exchange.access.hash);
    // When the access token has ended, or was revoked, there is a new one; the refresh token stays.
    let dead = vec![exchange.access.hash];
    for (request, at) in [
        (Try { dead, ..Try::of(found.clone()) }, now),
        (Try::of(found.clone()), NOW + 2 * HOUR - lifetimes.least_left()),
        (Try::of(found.clone()), NOW + 20 * HOUR),
    ] {
        let renewed = request.at(at).unwrap();
        let change = renewed.change.unwrap();
        assert_ne!(renewed.access.hash, exchange.access.hash);
        assert_eq!(change.after.state.generation, 2);
        assert_eq!(
            (&change.after.expires_at, &change.before),
            (&found.expires_at(), &found.family)
        );
        assert_eq!(
            serde_json::to_value(&renewed.answer).unwrap()["refresh_token"],
            answer["refresh_token"]
        );
        // And it is handed out again then.
        let next = FoundRefresh { family: Some(change.after), ..found.clone() };
        let again = Try::of(next).at(at).unwrap();
        assert_eq!((again.access, again.change.is_none()), (renewed.access, true));
    }
    assert_eq!(current_pair(now).unwrap().usage, Usage::First);
    // From elsewhere, or too late: the family ends. By another client, nothing does.
    let grant = &found.grant.id;
    let of = |address| Try { address, ..Try::of(found.clone()) };
    for (request, at, reuse) in [
        (of(elsewhere()), now, Reuse::Elsewhere { generations: 2 }),
        (of(None), now, Reuse::Elsewhere { generations: 2 }),
        (of(client_address()), NOW + DAY, Reuse::TooLate { generations: 2 }),
        (
            Try { text: "resource=https://evil.example&scope=%22", ..of(elsewhere()) },
            now,
            Reuse::Elsewhere { generations: 2 },
        ),
    ] {
        assert_eq!(request.at(at).unwrap_err(), RefreshRefused::Reuse(grant.clone(), reuse));
    }
    let thief = Client { id: ClientId::from_text("thief"), ..client() };
    let by_thief = Try { client: thief, ..of(elsewhere()) }.at(now).unwrap_err();
    assert_eq!(
        code_of(by_thief),
        Some(ErrorCode::InvalidGrant),
        "another client's replay revokes nothing"
    );
}

#[test]
fn tokens_of_before_there_were_families_go_on() {
    let secret = TokenSecret::generate(TokenKind::Refresh, &SeededEntropy::new(5));
    let earlier = |used_at| FoundRefresh {
        family: None,
        earlier: Some(EarlierRefresh { expires_at: NOW + 30 * DAY, used_at }),
        ..found_refresh()
    };
    let of = |found| Try {
        presented: PresentedRefresh::parse(secret.expose()).unwrap(),
        ..Try::of(found)
    };
    let first = of(earlier(None)).at(NOW + HOUR).unwrap();
    let change = first.change.unwrap();
    assert_eq!(
        (first.usage, &change.before, change.after.state.generation),
        (Usage::First, &None, 1)
    );
    // Used a moment before the gateway was replaced: what it was exchanged for is not known any
    // more, and makes no difference.
    let raced = of(earlier(Some(NOW))).at(NOW + Duration::from_secs(29)).unwrap();
    assert_eq!(
        (raced.usage, raced.change.unwrap().before),
        (Usage::Grace { generations: 1 }, None)
    );
    let reuse = of(earlier(Some(NOW))).at(NOW + HOUR).unwrap_err();
    assert_eq!(
        reuse,
        RefreshRefused::Reuse(found_refresh().grant.id, Reuse::Elsewhere { generations: 1 })
    );
    // Of a grant that has a family by now.
    let succeeded = FoundRefresh { family: Some(change.after), ..earlier(None) };
    let again = of(succeeded.clone()).at(NOW + 2 * HOUR - Duration::from_secs(300)).unwrap();
    assert_eq!((again.usage, again.access), (Usage::SameAddress { generations: 1 }, first.access));
    assert!(Try { address: elsewhere(), ..of(succeeded) }.at(NOW + 2 * HOUR).is_err());
}

#[test]
fn fb11_scopes_that_were_not_granted_are_left_out() {
    let granted = |granted: &str| {
        let mut found = found_refresh();
        found.grant.scopes = ScopeSet::parse(granted).unwrap();
        found
    };
    let cases = [
        ("dice uuid", "dice", "dice"),
        ("dice uuid", "dice uuid", "dice uuid"),
        ("dice uuid", "uuid nonsense dice", "dice uuid"),
        ("dice uuid", "dice admin", "dice"),
        // Wider than the grant: what lies within it.
        ("dice uuid", "mcp", "dice uuid"),
        ("dice", "mcp uuid", "dice"),
        // Narrower than it.
        ("mcp", "dice", "dice"),
        ("mcp", "mcp dice", "dice mcp"),
        // Nothing is left: as if none was named.
        ("dice uuid", "admin", "dice uuid"),
        ("dice uuid", "", "dice uuid"),
        ("dice uuid", "  ", "dice uuid"),
        ("dice uuid", "openid profile email", "dice uuid"),
        ("dice uuid", "offline_access", "dice uuid"),
        ("dice offline_access", "offline_access", "dice offline_access"),
        ("dice offline_access", "dice offline_access openid", "dice offline_access"),
        ("dice", "DICE", "dice"),
        // Not even words.
        ("dice uuid", "\"", "dice uuid"),
        ("dice uuid", "dice \\ é \t uuid\n", "dice uuid"),
    ];
    for (scopes, asked, expected) in cases {
        let encoded: Vec<_> = asked.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let encoded = encoded.concat();
        let text = format!("scope={encoded}");
        let exchange = Try { text: &text, ..Try::of(granted(scopes)) }.at(NOW).unwrap();
        assert_eq!(exchange.access.scopes.to_string(), expected, "{scopes:?} {asked:?}");
        assert_eq!(
            serde_json::to_value(&exchange.answer).unwrap()["scope"],
            expected,
            "the client is told"
        );
    }
}

#[test]
fn no_token_outlives_its_grant() {
    let lifetimes = Lifetimes::default();
    let end = NOW + lifetimes.grant;
    let forever = || {
        let mut found = found_refresh();
        found.family.as_mut().unwrap().expires_at = end + DAY;
        Try::of(found)
    };
    let early = forever().at(NOW + Duration::from_secs(60)).unwrap().change.unwrap();
    assert_eq!(early.after.expires_at, early.now + lifetimes.refresh_token);
    let late = forever().at(end - Duration::from_secs(60)).unwrap().change.unwrap();
    assert_eq!((late.after.expires_at, late.access.expires_at), (end, end));
    assert_eq!(code_of(forever().at(end).unwrap_err()), Some(ErrorCode::InvalidGrant));
}

#[test]
fn t30_each_refresh_of_a_grant_for_several_resources_picks_one() {
    let resources = resources();
    let [dice, uuid] =
        ["dice", "uuid"].map(|name| resources.of_server(&ServerName::parse(name).unwrap()));
    let mut for_two = found_refresh();
    for_two.grant.resources = dice.into();
    for_two.grant.resources.insert(uuid);
    for_two.grant.scopes = ScopeSet::parse("dice uuid").unwrap();
    let cases = [
        ("resource=https://gw.example/mcp/dice", Ok(("/mcp/dice", "dice"))),
        ("resource=https://gw.example/mcp/uuid&scope=uuid", Ok(("/mcp/uuid", "uuid"))),
        ("resource=https://gw.example/mcp/uuid&scope=dice", Ok(("/mcp/uuid", "uuid"))),
        ("resource=https://gw.example/mcp/uuid&scope=dice+uuid", Ok(("/mcp/uuid", "uuid"))),
        ("resource=https://gw.example/mcp", Err(Some(ErrorCode::InvalidTarget))),
        (
            "resource=https://gw.example/mcp/dice&resource=https://gw.example/mcp/uuid",
            Err(Some(ErrorCode::InvalidTarget)),
        ),
        ("", Ok(("/mcp/dice", "dice"))),
    ];
    for (text, expected) in cases {
        let access = Try { text, ..Try::of(for_two.clone()) }
            .at(NOW)
            .map_err(code_of)
            .map(|exchange| exchange.access);
        let access = access.map(|access| (access.resource.to_string(), access.scopes.to_string()));
        let expected =
            expected.map(|(path, scopes)| (format!("https://gw.example{path}"), scopes.to_owned()));
        assert_eq!(access, expected, "{text}");
    }
    // Without a resource: what the last access token was for. And the pair has one access token for
    // each.
    let text = "resource=https://gw.example/mcp/uuid";
    let change = Try { text, ..Try::of(for_two.clone()) }.at(NOW).unwrap().change.unwrap();
    let found = FoundRefresh { family: Some(change.after), ..for_two };
    let silent = Try { presented: current(&found), ..Try::of(found.clone()) }.at(NOW).unwrap();
    assert_eq!(silent.access.resource.to_string(), "https://gw.example/mcp/uuid");
    let other = Try { text: "resource=https://gw.example/mcp/dice", ..Try::of(found.clone()) }
        .at(NOW)
        .unwrap();
    let change = other.change.unwrap();
    assert_eq!(
        (other.access.scopes.to_string().as_str(), change.after.state.generation),
        ("dice", 1)
    );
    let both = FoundRefresh { family: Some(change.after), ..found };
    for text in ["resource=https://gw.example/mcp/dice", "resource=https://gw.example/mcp/uuid"] {
        assert!(Try { text, ..Try::of(both.clone()) }.at(NOW).unwrap().change.is_none(), "{text}");
    }
}

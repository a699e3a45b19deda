//! Sample records, each told from its like by a number. What is optional is set in even ones and
//! absent in odd ones.

use std::{net::IpAddr, time::Duration};

use portunus_core::{
    Timestamp,
    address_block::{AddressBlock, AddressTag},
    client::{ApplicationType, Client, ClientAuthMethod, ClientKeys, ClientSource, GrantType},
    entropy::SeededEntropy,
    grant::{Consent, Grant},
    ids::{ClientId, GrantId, ProviderName, TransactionId, UserId},
    lifetimes::Lifetimes,
    pkce::CodeChallenge,
    principal::User,
    redirect::RedirectUri,
    refresh::{RefreshFamily, RefreshKey},
    resource::{Resource, ResourceSet},
    scope::ScopeSet,
    secret::{SecretText, TokenHash},
    signin::{
        AuthorizationRequest, Interaction, LocalPath, Login, Prompt, ProviderRequest, Purpose,
        Transaction,
    },
    store::{FamilyChange, Redeemed, Stores},
    token::{AccessToken, AuthorizationCode},
};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);
pub(super) const TICK: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

fn even<T>(n: u32, value: T) -> Option<T> {
    n.is_multiple_of(2).then_some(value)
}

pub(super) fn hash(kind: &str, n: u32) -> TokenHash {
    TokenHash::of(&format!("{kind} {n}"))
}

pub(super) fn resource() -> Resource {
    Resource::from_stored("https://gateway.example/mcp/dice")
}

/// One, or two.
pub(super) fn resources(n: u32) -> ResourceSet {
    let mut resources = ResourceSet::from(resource());
    if let Some(second) = even(n, Resource::from_stored("https://gateway.example/mcp/uuid")) {
        resources.insert(second);
    }
    resources
}

fn redirect_uri(n: u32) -> RedirectUri {
    RedirectUri::parse(&format!("http://127.0.0.1:{}/callback?app=a%20b", 5000 + n)).unwrap()
}

pub(super) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(super) fn client_id(n: u32) -> ClientId {
    ClientId::from_text(format!("client {n}"))
}

pub(super) fn client(n: u32) -> Client {
    Client {
        id: client_id(n),
        source: ClientSource::Registered,
        application_type: even(n, ApplicationType::Native),
        keys: even(n, ClientKeys::Remote("https://app.example/jwks.json".to_owned())),
        registration_token: even(n, hash("registration token", n)),
        groups: vec![],
        trusted: false,
        registered_from: even(n, address(n)),
        name: even(n, "Zwölf \"Boxkämpfer\" <b>\u{1F511}</b>".to_owned()),
        redirect_uris: vec![
            redirect_uri(n),
            RedirectUri::parse("cursor://anysphere.cursor/callback").unwrap(),
        ],
        auth_method: if n.is_multiple_of(2) {
            ClientAuthMethod::ClientSecretBasic
        } else {
            ClientAuthMethod::None
        },
        secret: even(n, hash("client secret", n)),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: even(n, scopes("mcp offline_access")),
        client_uri: even(n, "https://app.example/".to_owned()),
        logo_uri: even(n, "https://app.example/logo.png".to_owned()),
        policy_uri: even(n, "https://app.example/policy".to_owned()),
        tos_uri: even(n, "https://app.example/terms".to_owned()),
        contacts: vec!["ops@app.example".to_owned()],
        software_id: even(n, "app".to_owned()),
        software_version: even(n, "1.2.3".to_owned()),
        created_at: NOW,
        last_used_at: None,
    }
}

/// An address to come from.
pub(super) fn address(n: u32) -> AddressTag {
    AddressBlock::of(IpAddr::from(n.to_be_bytes())).tag()
}

pub(super) fn user_id(n: u32) -> UserId {
    user(n).id
}

pub(super) fn user(n: u32) -> User {
    let (issuer, subject) = ("https://acme.okta.example".to_owned(), format!("00u{n}"));
    User {
        id: UserId::of(&issuer, &subject),
        provider: ProviderName::from_text("okta"),
        issuer,
        subject,
        name: even(n, "Alice O'Hara".to_owned()),
        email: even(n, "alice@acme.example".to_owned()),
        email_verified: n.is_multiple_of(2),
        groups: vec!["engineering".to_owned(), "Größe, \"quoted\"".to_owned()],
        hosted_domain: even(n, "acme.example".to_owned()),
        no_groups: even(n, "the claim did not come".to_owned()),
        signed_in_at: NOW,
        read_at: even(n, NOW),
    }
}

pub(super) fn login(n: u32) -> Login {
    Login {
        id: hash("login", n),
        user: user(n).id,
        provider: ProviderName::from_text("okta"),
        id_token: even(n, SecretText::new(format!("header.claims{n}.signature"))),
        created_at: NOW,
        expires_at: NOW + HOUR,
        last_seen_at: None,
    }
}

pub(super) fn transaction(n: u32) -> Transaction {
    let request = AuthorizationRequest {
        client: client_id(n),
        redirect_uri: redirect_uri(n),
        state: Some("a \"state\" with + and %".to_owned()),
        code_challenge: CodeChallenge::of(&SecretText::new("verifier")),
        resources: resources(n),
        scopes: scopes("mcp"),
        fingerprint: hash("client", n),
        interaction: Interaction {
            prompt: Prompt { consent: true, ..Prompt::default() },
            max_age: Some(u64::from(n)),
            login_hint: even(n, "alice@example.com".to_owned()),
        },
    };
    Transaction {
        id: TransactionId::from_text(format!("transaction {n}")),
        purpose: if n.is_multiple_of(2) {
            Purpose::Authorize(request)
        } else {
            Purpose::SignIn { return_to: LocalPath::parse("/tools?x=1").unwrap() }
        },
        browser: hash("browser", n),
        consented_at: even(n, NOW),
        consented_by: even(n, user(n).id),
        signed_in: even(n, hash("login", n)),
        begun_from: even(n, address(n)),
        departures: n,
        created_at: NOW,
        expires_at: NOW + MINUTE,
    }
}

pub(super) fn provider_request(n: u32) -> ProviderRequest {
    ProviderRequest {
        state: hash("state", n),
        browser: hash("browser", n),
        transaction: transaction(n).id,
        provider: ProviderName::from_text("okta"),
        redirect_uri: format!("https://gateway.example/auth/callback/{n}"),
        nonce: SecretText::new(format!("nonce {n}")),
        code_verifier: SecretText::new(format!("verifier {n}")),
        expires_at: NOW + MINUTE,
    }
}

pub(super) fn consent(n: u32) -> Consent {
    Consent {
        user: user(n).id,
        client: client_id(n),
        resources: resources(n),
        scopes: scopes("mcp"),
        given_at: NOW,
        fingerprint: hash("client", n),
    }
}

pub(super) fn code(n: u32) -> AuthorizationCode {
    AuthorizationCode {
        hash: hash("code", n),
        client: client_id(n),
        user: user(n).id,
        redirect_uri: redirect_uri(n),
        code_challenge: CodeChallenge::of(&SecretText::new("verifier")),
        resources: resources(n),
        scopes: scopes("mcp offline_access"),
        login: even(n, hash("login", n)),
        expires_at: NOW + MINUTE,
    }
}

pub(super) fn grant(n: u32) -> Grant {
    Grant {
        id: GrantId::from_text(format!("grant {n}")),
        user: user(n).id,
        client: client_id(n),
        application: even(n, hash("application", n)),
        resources: resources(n),
        scopes: scopes("mcp offline_access"),
        login: even(n, hash("login", n)),
        created_at: NOW,
        expires_at: even(n, NOW + 48 * HOUR),
        revoked_at: None,
        key: None,
    }
}

/// Access token `n`, of the grant `of`.
pub(super) fn access(n: u32, of: &Grant) -> AccessToken {
    AccessToken {
        hash: hash("access", n),
        grant: of.id.clone(),
        resource: of.resources.iter().next().unwrap().clone(),
        scopes: scopes("mcp"),
        expires_at: NOW + HOUR,
    }
}

/// What refresh tokens live here.
fn lifetimes() -> Lifetimes {
    Lifetimes { refresh_token: 24 * HOUR, ..Lifetimes::default() }
}

/// The refresh tokens `n`, of the grant `of`, before the first exchange.
pub(super) fn family(n: u32, of: &Grant) -> RefreshFamily {
    RefreshFamily::begin(of, None, NOW, &lifetimes(), &SeededEntropy::new(u64::from(n)))
}

/// How the refresh tokens `n` are found.
pub(super) fn refresh_key(n: u32) -> RefreshKey {
    RefreshKey::Family(family(n, &grant(n)).id)
}

/// An exchange of the current token of `before`, if there is one, for the next one and access token
/// `n`.
pub(super) fn change(
    before: Option<&RefreshFamily>,
    n: u32,
    of: &Grant,
    now: Timestamp,
) -> FamilyChange {
    let begun = before.cloned().unwrap_or_else(|| family(n, of));
    let after = begun.rotated(of, None, now, &lifetimes()).unwrap();
    FamilyChange {
        before: before.cloned(),
        after,
        access: AccessToken { expires_at: now + HOUR, ..access(n, of) },
        now,
    }
}

/// Exchanges the current one of the refresh tokens `of`; access token `n` comes with it. `false` if
/// there is none that may be.
pub(super) async fn rotate(stores: &Stores, of: u32, n: u32, now: Timestamp) -> bool {
    let Some(found) = stores.grants.find_refresh(&refresh_key(of), now).await.unwrap() else {
        return false;
    };
    stores.grants.change_family(&change(found.family.as_ref(), n, &found.grant, now)).await.unwrap()
}

/// Everything numbered `n`, up to a grant with its first tokens; the login and the redeemed code
/// are there too.
pub(super) async fn granted(stores: &Stores, n: u32) -> Grant {
    let grant = grant(n);
    grant_as(stores, n, &grant).await;
    grant
}

/// As [`granted`], for a grant that differs from the sample in its times or its user.
pub(super) async fn grant_as(stores: &Stores, n: u32, grant: &Grant) {
    stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
    stores.grants.insert_code(&code(n)).await.unwrap();
    let (access, refresh) = (access(n, grant), family(n, grant));
    let redeemed = stores
        .grants
        .redeem_code(&hash("code", n), grant, &access, Some(&refresh), NOW)
        .await
        .unwrap();
    assert_eq!(redeemed, Redeemed::Fresh);
}

//! One of everything that holds or once held a secret, for the tests of each store beside the
//! suite: what stands in its files, and what opens with which `AUTH_SECRET`. Every secret's text
//! begins with "secret of the".

use portunus_core::{
    Timestamp,
    client::{Client, GrantType},
    entropy::SeededEntropy,
    grant::Grant,
    ids::{ClientId, GrantId, ProviderName, TransactionId, UserId},
    lifetimes::Lifetimes,
    node::SessionRecord,
    pkce::CodeChallenge,
    principal::User,
    provider_token::ProviderToken,
    redirect::RedirectUri,
    refresh::{RefreshFamily, RefreshKey},
    resource::Resource,
    scope::ScopeSet,
    secret::{SecretText, TokenHash},
    signin::{Login, ProviderRequest},
    store::{FamilyChange, Redeemed, Stores},
    token::{AccessToken, AuthorizationCode},
};

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const LATER: Timestamp = Timestamp::from_millis(1_800_000_060_000);

pub fn client(id: &str) -> Client {
    Client {
        name: Some("A client by name".to_owned()),
        redirect_uris: vec![RedirectUri::parse("https://app.example/cb").unwrap()],
        grant_types: vec![GrantType::AuthorizationCode],
        ..Client::new(ClientId::from_text(id), NOW)
    }
}

pub fn user() -> User {
    User {
        id: UserId::of("https://issuer.example", "alice"),
        provider: ProviderName::from_text("okta"),
        issuer: "https://issuer.example".to_owned(),
        subject: "alice".to_owned(),
        name: None,
        email: None,
        email_verified: false,
        groups: vec![],
        hosted_domain: None,
        no_groups: None,
        signed_in_at: NOW,
        read_at: None,
    }
}

pub fn login() -> Login {
    Login {
        id: TokenHash::of("secret of the login"),
        user: user().id,
        provider: ProviderName::from_text("okta"),
        id_token: Some(SecretText::new("secret of the ID token")),
        created_at: NOW,
        expires_at: LATER,
        last_seen_at: None,
    }
}

pub fn provider_request() -> ProviderRequest {
    ProviderRequest {
        state: TokenHash::of("secret of the state"),
        browser: TokenHash::of("secret of the browser"),
        transaction: TransactionId::from_text("transaction"),
        provider: ProviderName::from_text("okta"),
        redirect_uri: "https://gateway.example/auth/callback/okta".to_owned(),
        nonce: SecretText::new("secret of the nonce"),
        code_verifier: SecretText::new("secret of the verifier"),
        expires_at: LATER,
    }
}

pub fn code(secret: &str) -> AuthorizationCode {
    AuthorizationCode {
        hash: TokenHash::of(secret),
        client: ClientId::from_text("client"),
        user: user().id,
        redirect_uri: RedirectUri::parse("https://app.example/cb").unwrap(),
        code_challenge: CodeChallenge::of(&SecretText::new("secret of the challenge")),
        resources: Resource::from_stored("https://gateway.example/mcp").into(),
        scopes: ScopeSet::default(),
        login: None,
        expires_at: LATER,
    }
}

pub fn grant() -> Grant {
    Grant {
        id: GrantId::from_text("grant"),
        user: user().id,
        client: ClientId::from_text("client"),
        application: None,
        resources: Resource::from_stored("https://gateway.example/mcp").into(),
        scopes: ScopeSet::default(),
        login: None,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        key: None,
    }
}

pub fn access(secret: &str) -> AccessToken {
    AccessToken {
        hash: TokenHash::of(secret),
        grant: grant().id,
        resource: Resource::from_stored("https://gateway.example/mcp"),
        scopes: ScopeSet::default(),
        expires_at: LATER,
    }
}

/// The refresh tokens of [`grant`], before the first exchange.
pub fn family() -> RefreshFamily {
    let begun =
        RefreshFamily::begin(&grant(), None, NOW, &Lifetimes::default(), &SeededEntropy::new(1));
    RefreshFamily { secret: SecretText::new("secret of the family of refresh tokens"), ..begun }
}

/// The exchange of their current token, number `n` of such.
pub fn change(before: &RefreshFamily, n: u32) -> FamilyChange {
    let after = before.rotated(&grant(), None, NOW, &Lifetimes::default()).unwrap();
    let access = access(&format!("secret of the next access token {n}"));
    FamilyChange { before: Some(before.clone()), after, access, now: NOW }
}

pub fn session() -> SessionRecord {
    SessionRecord { user: user().id, state: b"secret of the session".to_vec() }
}

pub fn provider_token() -> ProviderToken {
    let (provider, token) = (
        ProviderName::from_text("okta"),
        SecretText::new("secret of the provider's refresh token"),
    );
    let user = user();
    let (lifetimes, entropy) = (Lifetimes::default(), SeededEntropy::new(3));
    ProviderToken::begin(&user.id, (&provider, &user.issuer), token, NOW, &lifetimes, &entropy)
}

/// One of everything that holds or once held a secret: each of their texts begins with "secret of
/// the".
pub async fn fill(stores: &Stores) {
    stores
        .clients
        .insert_client(&Client {
            secret: Some(TokenHash::of("secret of the client")),
            ..client("client")
        })
        .await
        .unwrap();
    stores.logins.insert_login(&user(), &login()).await.unwrap();
    stores.transactions.insert_provider_request(&provider_request()).await.unwrap();
    stores
        .sessions
        .keep_session(&TokenHash::of("secret of the session's name"), &session(), LATER)
        .await
        .unwrap();
    stores.provider_tokens.keep_provider_token(&provider_token()).await.unwrap();
    stores.grants.insert_code(&code("secret of the code")).await.unwrap();
    let (access, refresh) = (access("secret of the access token"), family());
    let hash = TokenHash::of("secret of the code");
    let redeemed =
        stores.grants.redeem_code(&hash, &grant(), &access, Some(&refresh), NOW).await.unwrap();
    assert_eq!(redeemed, Redeemed::Fresh);
    assert!(stores.grants.change_family(&change(&family(), 1)).await.unwrap());
}

/// Everything sealed that [`fill`] left opens.
pub async fn assert_all_opens(stores: &Stores) {
    assert_eq!(stores.logins.find_login(&login().id, NOW).await.unwrap(), Some((login(), user())));
    let found =
        stores.grants.find_refresh(&RefreshKey::Family(family().id), NOW).await.unwrap().unwrap();
    assert_eq!(found.family, Some(change(&family(), 1).after));
    let kept = stores
        .sessions
        .find_session(&TokenHash::of("secret of the session's name"), NOW)
        .await
        .unwrap();
    assert_eq!(kept, Some(session()));
    assert_eq!(
        stores.provider_tokens.find_provider_token(&user().id, NOW).await.unwrap(),
        Some(provider_token())
    );
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request().state, NOW).await.unwrap(),
        Some(provider_request())
    );
}

//! Clients that prove themselves with a key: an assertion is good for one use, and only a sound one
//! for any (threats 20, 21). The signatures alone are tested with more bends beside
//! `edge::oauth::support::assertions`.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use insta::{allow_duplicates, assert_snapshot};
use portunus_core::Clock as _;
use portunus_testkit::{
    agent::{OAuthClient, Page, Tokens},
    figures::Figures,
    hostile_hosts::{Behaviour, HostileHosts},
    signer::{Signer, claims},
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn register(fixture: &GatewayFixture, keys: Value) -> OAuthClient {
    let mut metadata =
        json!({"client_name": "Signer", "token_endpoint_auth_method": "private_key_jwt"});
    for (name, value) in keys.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await
}

fn now(fixture: &GatewayFixture) -> i64 {
    fixture.clock.now().as_secs()
}

/// Sends fields with this assertion.
async fn with(
    client: &OAuthClient,
    endpoint: &str,
    assertion: &str,
    fields: &[(&str, &str)],
) -> Page {
    client.agent.keep_secret(assertion);
    let proof = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    client.send(endpoint, fields.iter().copied().chain(proof)).await
}

/// A code of alice's for this client, redeemed with this assertion.
async fn redeem(fixture: &GatewayFixture, client: &OAuthClient, assertion: &str) -> Page {
    let authorization = client.authorization();
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", &authorization.verifier),
    ];
    with(client, "token_endpoint", assertion, &fields).await
}

async fn connect(fixture: &GatewayFixture, client: &OAuthClient, signer: &Signer) -> Tokens {
    let assertion = signer.assertion(&client.id, &fixture.url, now(fixture));
    client.tokens(redeem(fixture, client, &assertion).await)
}

#[tokio::test]
async fn a_client_with_a_key_does_all_that_a_client_does() {
    let fixture = GatewayFixture::start().await;
    let signer = Signer::new("ES256", "k1");
    let client = register(&fixture, json!({"jwks": signer.jwks()})).await;
    assert_eq!(client.secret, None);
    let server = &client.discovery.server;
    assert_snapshot!(fixture.members(server), @r#"
    issuer: "{gateway}"
    authorization_endpoint: "{gateway}/auth/authorize"
    token_endpoint: "{gateway}/auth/token"
    registration_endpoint: "{gateway}/auth/register"
    client_id_metadata_document_supported: true
    revocation_endpoint: "{gateway}/auth/revoke"
    revocation_endpoint_auth_methods_supported: ["none","client_secret_basic","client_secret_post","private_key_jwt"]
    revocation_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
    introspection_endpoint: "{gateway}/auth/introspect"
    introspection_endpoint_auth_methods_supported: ["client_secret_basic","client_secret_post","private_key_jwt"]
    introspection_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
    scopes_supported: ["dice","mcp","offline_access","uuid"]
    response_types_supported: ["code"]
    response_modes_supported: ["query"]
    grant_types_supported: ["authorization_code","refresh_token"]
    token_endpoint_auth_methods_supported: ["none","client_secret_basic","client_secret_post","private_key_jwt"]
    token_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
    code_challenge_methods_supported: ["S256"]
    prompt_values_supported: ["none","login","consent","select_account"]
    authorization_response_iss_parameter_supported: true
    "#);

    let tokens = connect(&fixture, &client, &signer).await;
    let token_endpoint = server["token_endpoint"].as_str().unwrap().to_owned();
    for audience in [fixture.url.clone(), token_endpoint] {
        let assertion = || signer.assertion(&client.id, &audience, now(&fixture));
        let introspected =
            with(&client, "introspection_endpoint", &assertion(), &[("token", &tokens.access)])
                .await;
        assert_eq!(introspected.expect(200).json()["active"], true);
    }
    // Without client_id, the assertion says who it is (RFC 7521 section 4.2).
    let nameless = OAuthClient { auth_method: "client_secret_basic".to_owned(), ..client.clone() };
    assert_eq!(nameless.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    let assertion = signer.assertion(&client.id, &fixture.url, now(&fixture));
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", &assertion),
    ];
    let endpoint = server["token_endpoint"].as_str().unwrap();
    let request =
        portunus_testkit::agent::Request::form(http::Method::POST, endpoint, fields.to_vec())
            .without_cookies();
    let tokens = client.tokens(client.agent.send(request).await);
    client.agent.keep_secret(&tokens.access);
    client.agent.keep_secret(tokens.refresh());
    let assertion = signer.assertion(&client.id, &fixture.url, now(&fixture));
    with(&client, "revocation_endpoint", &assertion, &[("token", tokens.refresh())])
        .await
        .expect(200);
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn t20_an_assertion_is_good_for_one_use() {
    let mut fixture = GatewayFixture::start().await;
    let signer = Signer::new("RS256", "k1");
    let client = register(&fixture, json!({"jwks": signer.jwks()})).await;
    let tokens = connect(&fixture, &client, &signer).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];

    let assertion = signer.assertion(&client.id, &fixture.url, now(&fixture));
    let racing = (0..10).map(|_| with(&client, "token_endpoint", &assertion, &refresh));
    let answers = join_all(racing).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "of many uses at once, one");
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        allow_duplicates! {
            assert_snapshot!(fixture.shown(lost), @r#"
            401 Unauthorized
            cache-control: no-store
            content-type: application/json

            {"error":"invalid_client","error_description":"client_assertion: it was used before: make a new one each time"}
            "#);
        }
    }
    assert_eq!(fixture.grants("alice").await, 1, "a replay ends nothing");

    fixture.stop().await;
    fixture.restart().await;
    assert_eq!(
        with(&client, "token_endpoint", &assertion, &refresh).await.expect(401).error(),
        "invalid_client"
    );
    for endpoint in ["revocation_endpoint", "introspection_endpoint"] {
        let answer =
            with(&client, endpoint, &assertion, &[("token", &tokens.access)]).await.expect(401);
        assert_eq!(answer.error(), "invalid_client", "{endpoint}");
    }
    fixture.clock.advance(Duration::from_secs(121));
    assert_eq!(
        with(&client, "token_endpoint", &assertion, &refresh).await.expect(401).error(),
        "invalid_client",
        "too old"
    );
    fixture.close().await;
}

#[tokio::test]
async fn f7_a_clients_clock_may_be_a_minute_off_and_not_ten() {
    let fixture = GatewayFixture::start().await;
    let signer = Signer::new("ES256", "k1");
    let client = register(&fixture, json!({"jwks": signer.jwks()})).await;
    let tokens = connect(&fixture, &client, &signer).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
    let mut seen = Vec::new();
    for (ahead, status) in [(55, 200), (-55, 200), (600, 401), (-600, 401)] {
        let assertion = signer.assertion(&client.id, &fixture.url, now(&fixture) + ahead);
        let answer = with(&client, "token_endpoint", &assertion, &refresh).await;
        assert_eq!(answer.status.as_u16(), status, "{ahead} s ahead: {answer:?}");
        seen.push(answer.status.as_u16());
    }
    fixture.close().await;
    let count = |status: u16| seen.iter().filter(|found| **found == status).count();
    let figures = Figures::of(
        "F7",
        "sqlite",
        "a client's clock, in its assertions, +55 s, -55 s, +600 s, -600 s",
    );
    figures.exactly("tolerated", count(200), 2).exactly("refused", count(401), 2).report();
}

#[tokio::test]
async fn t21_a_tampered_assertion_proves_nothing() {
    let fixture = GatewayFixture::start().await;
    let signer = Signer::new("RS256", "k1");
    let stranger = Signer::stranger("k1");
    let client = register(&fixture, json!({"jwks": signer.jwks()})).await;
    let other = register(&fixture, json!({"jwks": stranger.jwks()})).await;
    let tokens = connect(&fixture, &client, &signer).await;
    let sound = || claims(&client.id, &fixture.url, now(&fixture));
    let bent = |name: &str, value: Value| {
        let mut claims = sound();
        claims[name] = value;
        signer.sign(&json!({}), &claims)
    };
    let public = signer.jwk();
    let cases = [
        ("none", signer.unsigned(&sound())),
        ("HS256", signer.forge_hs256(&sound(), public["n"].as_str().unwrap().as_bytes())),
        (
            "HS256 with the key set",
            signer.forge_hs256(&sound(), signer.jwks().to_string().as_bytes()),
        ),
        ("another's key", stranger.sign(&json!({}), &sound())),
        ("another's assertion", stranger.assertion(&other.id, &fixture.url, now(&fixture))),
        ("jwk", stranger.sign(&json!({"jwk": stranger.jwk()}), &sound())),
        ("jku", stranger.sign(&json!({"jku": "https://evil.example/jwks.json"}), &sound())),
        ("exp as text", bent("exp", json!("9999999999"))),
        ("no exp", bent("exp", json!(null))),
        ("expired", bent("exp", json!(now(&fixture) - 3600))),
        ("for ever", bent("exp", json!(9_999_999_999_i64))),
        ("no aud", bent("aud", json!(null))),
        ("for another server", bent("aud", json!("https://as.example"))),
        ("for the resource", bent("aud", json!(fixture.at("/mcp")))),
        ("for several", bent("aud", json!([fixture.url, "https://as.example"]))),
        ("no jti", bent("jti", json!(null))),
        ("from the future", bent("iat", json!(now(&fixture) + 3600))),
        ("nonsense", "a.b.c".to_owned()),
    ];
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
    for (what, assertion) in cases {
        for (endpoint, fields) in [
            ("token_endpoint", &refresh[..]),
            ("revocation_endpoint", &[("token", tokens.refresh())][..]),
        ] {
            let answer = with(&client, endpoint, &assertion, fields).await;
            assert_eq!(
                (answer.status.as_u16(), answer.error()),
                (401, "invalid_client".to_owned()),
                "{what}: {endpoint}"
            );
        }
    }
    // A key proves nothing for a client that registered another way, and the other way round.
    let public_client = fixture.client("/mcp").await;
    let assertion = signer.assertion(&public_client.id, &fixture.url, now(&fixture));
    assert_eq!(
        with(&public_client, "token_endpoint", &assertion, &refresh).await.expect(401).error(),
        "invalid_client"
    );
    assert_eq!(
        client.refresh(tokens.refresh()).await.expect(401).error(),
        "invalid_client",
        "no proof at all"
    );
    assert_eq!(fixture.grants("alice").await, 1);
    let sound = signer.assertion(&client.id, &fixture.url, now(&fixture));
    client.tokens(with(&client, "token_endpoint", &sound, &refresh).await);
    fixture.close().await;
}

#[tokio::test]
async fn t21_keys_at_a_jwks_uri_may_change_and_are_not_asked_for_all_the_time() {
    let hosts = Arc::new(HostileHosts::start().await);
    let fixture =
        GatewayFixture::of(Setup { hostile_hosts: Some(Arc::clone(&hosts)), ..Setup::default() })
            .await;
    let keys = "https://keys.hosts.example/jwks.json";
    let (old, new) = (Signer::new("ES384", "old"), Signer::new("EdDSA", "new"));
    hosts.serve(keys, Behaviour::honest(old.jwks()));
    let client = register(&fixture, json!({"jwks_uri": keys})).await;
    assert!(hosts.requests().is_empty(), "registering asks nobody");
    let tokens = connect(&fixture, &client, &old).await;
    hosts.serve(keys, Behaviour::honest(new.jwks()));
    fixture.clock.advance(Duration::from_secs(10));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
    let assertion = new.assertion(&client.id, &fixture.url, now(&fixture));
    client.tokens(with(&client, "token_endpoint", &assertion, &refresh).await);
    for n in 0..20 {
        let flood = Signer::stranger(&format!("flood-{n}")).assertion(
            &client.id,
            &fixture.url,
            now(&fixture),
        );
        with(&client, "token_endpoint", &flood, &refresh).await.expect(401);
    }
    assert_eq!(hosts.requests().len(), 2);

    let agent = fixture.browser();
    for uri in [
        "http://keys.hosts.example/jwks.json",
        "https://127.0.0.1/jwks.json",
        "https://[::ffff:10.0.0.1]/k",
        "https://db:6379/k",
    ] {
        let metadata = json!({"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": uri});
        let request =
            portunus_testkit::agent::Request::json(&fixture.at("/auth/register"), &metadata);
        assert_eq!(
            agent.send(request).await.expect(400).error(),
            "invalid_client_metadata",
            "{uri}"
        );
    }
    fixture.close().await;
}

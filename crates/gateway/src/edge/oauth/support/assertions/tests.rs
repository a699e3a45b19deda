//! Signatures, keys and reuse (threats 20, 21). What the claims must say is tested in the core;
//! that the endpoints ask for all of it, in `tests/strangers`.

use std::time::Duration;

use portunus_core::{
    Timestamp, client::ClientAuthMethod, clock::FixedClock, ids::ClientId, oauth::ErrorCode,
    secret::TokenHash, store::StoreError,
};
use portunus_testkit::{
    hostile_hosts::{Behaviour, HostileHosts},
    signer::{Signer, claims},
};
use serde_json::json;
use tokio::sync::Mutex;

use super::*;
use crate::net::guarded::tests::{ASKER, HostileInternet};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://gw.example";
const KEYS: &str = "https://keys.hosts.example/jwks.json";

#[derive(Default)]
struct Used(Mutex<HashSet<TokenHash>>);

#[async_trait::async_trait]
impl AssertionStore for Used {
    async fn use_once(
        &self,
        key: &TokenHash,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.0.lock().await.insert(*key))
    }
}

struct Bench {
    hosts: Arc<HostileHosts>,
    clock: Arc<FixedClock>,
    assertions: Assertions,
}

impl Bench {
    async fn new() -> Self {
        let hosts = Arc::new(HostileHosts::start().await);
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(NOW)));
        let as_clock = || Arc::clone(&clock) as Arc<dyn Clock>;
        let fetcher =
            GuardedFetcher::new(Arc::new(HostileInternet(Arc::clone(&hosts))), as_clock()).unwrap();
        let url = PublicUrl::parse(ISSUER).unwrap();
        let assertions =
            Assertions::new(Arc::new(fetcher), Arc::new(Used::default()), as_clock(), &url);
        Self { hosts, clock, assertions }
    }

    async fn verify(&self, keys: ClientKeys, jwt: &str) -> Result<(), OAuthError> {
        let blank = Client::new(ClientId::from_text("c1"), Timestamp::from_secs(NOW));
        let client =
            Client { auth_method: ClientAuthMethod::PrivateKeyJwt, keys: Some(keys), ..blank };
        match self.assertions.verify(&client, ASKER, &SecretText::new(jwt)).await {
            Ok(verified) => {
                assert_eq!(*verified.client(), client.id);
                Ok(())
            }
            Err(Failure::OAuth(error)) => Err(error),
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

fn inline(signer: &Signer) -> ClientKeys {
    ClientKeys::Inline(signer.jwks())
}

fn remote() -> ClientKeys {
    ClientKeys::Remote(KEYS.to_owned())
}

fn sound() -> Value {
    claims("c1", ISSUER, NOW)
}

#[tokio::test]
async fn every_algorithm_we_advertise_is_accepted() {
    let bench = Bench::new().await;
    for alg in assertion::ALGORITHMS {
        let signer = Signer::new(alg, "k1");
        let outcome = bench.verify(inline(&signer), &signer.assertion("c1", ISSUER, NOW)).await;
        assert_eq!(outcome, Ok(()), "{alg}");
    }
    let signer = Signer::new("ES256", "k1");
    for header in [
        json!({"typ": "JWT"}),
        json!({"typ": "client-authentication+jwt"}),
        json!({"typ": "application/client-authentication+jwt"}),
        json!({"kid": null}),
        json!({"x5t": "ignored"}),
    ] {
        let jwt = signer.sign(&header, &sound());
        assert_eq!(bench.verify(inline(&signer), &jwt).await, Ok(()), "{header}");
    }
}

#[tokio::test]
async fn t21_confused_assertions_are_refused() {
    let bench = Bench::new().await;
    let signer = Signer::new("RS256", "k1");
    let stranger = Signer::stranger("k1");
    let elliptic = Signer::new("ES256", "k1");
    let public = signer.jwk();
    let tampered = {
        let jwt = signer.sign(&json!({}), &sound());
        let other = signer.sign(&json!({}), &claims("c1", ISSUER, NOW + 1));
        let (head, signature) = (
            other.rsplit_once('.').unwrap().0.to_owned(),
            jwt.rsplit_once('.').unwrap().1.to_owned(),
        );
        format!("{head}.{signature}")
    };
    let doubled = sound().to_string().replacen('{', r#"{"sub": "c2", "#, 1);
    let with = |name: &str, value: Value| {
        let mut claims = sound();
        claims[name] = value;
        signer.sign(&json!({}), &claims)
    };
    let cases = [
        ("none", signer.unsigned(&sound())),
        ("none, signed", signer.sign(&json!({"alg": "none"}), &sound())),
        ("HS256 with n", signer.forge_hs256(&sound(), public["n"].as_str().unwrap().as_bytes())),
        (
            "HS256 with the key set",
            signer.forge_hs256(&sound(), signer.jwks().to_string().as_bytes()),
        ),
        ("another key", stranger.sign(&json!({}), &sound())),
        ("another kid", stranger.sign(&json!({"kid": "k2"}), &sound())),
        ("no kid, another key", stranger.sign(&json!({"kid": null}), &sound())),
        ("another kind of key", elliptic.sign(&json!({}), &sound())),
        ("an algorithm beside the key's kind", signer.sign(&json!({"alg": "ES256"}), &sound())),
        ("RS384", signer.sign(&json!({"alg": "RS384"}), &sound())),
        ("PS256 named, RS256 made", signer.sign(&json!({"alg": "PS256"}), &sound())),
        ("an unknown algorithm", signer.sign(&json!({"alg": "ES256K"}), &sound())),
        ("a key brought along", stranger.sign(&json!({"jwk": stranger.jwk()}), &sound())),
        ("a key brought along, right key", signer.sign(&json!({"jwk": signer.jwk()}), &sound())),
        (
            "a key pointed to",
            stranger.sign(&json!({"jku": "https://keys.hosts.example/evil.json"}), &sound()),
        ),
        (
            "a certificate pointed to",
            signer.sign(&json!({"x5u": "https://keys.hosts.example/evil.pem"}), &sound()),
        ),
        ("typ of an access token", signer.sign(&json!({"typ": "at+jwt"}), &sound())),
        ("typ of a DPoP proof", signer.sign(&json!({"typ": "dpop+jwt"}), &sound())),
        ("critical", signer.sign(&json!({"crit": ["exp"]}), &sound())),
        ("compressed", signer.sign(&json!({"zip": "DEF"}), &sound())),
        ("tampered", tampered),
        ("a claim twice", signer.sign_text(&json!({}), &doubled)),
        ("not an object", signer.sign_text(&json!({}), "[]")),
        ("not JSON", signer.sign_text(&json!({}), "hello")),
        ("exp as text", with("exp", json!((NOW + 60).to_string()))),
        ("no exp", with("exp", json!(null))),
        ("no aud", with("aud", json!(null))),
        ("another aud", with("aud", json!("https://other.example"))),
        ("another iss", with("iss", json!("c2"))),
        ("another sub", with("sub", json!("c2"))),
        ("expired", with("exp", json!(NOW - 61))),
        ("for a year", with("exp", json!(NOW + 31_536_000))),
        ("two parts", signer.sign(&json!({}), &sound()).rsplit_once('.').unwrap().0.to_owned()),
        ("four parts", format!("{}.x", signer.sign(&json!({}), &sound()))),
        ("nothing", ".".to_owned()),
        ("too long", signer.sign(&json!({}), &json!({"x": "x".repeat(assertion::MAX_LENGTH)}))),
    ];
    for (what, jwt) in cases {
        let outcome = bench.verify(inline(&signer), &jwt).await;
        assert_eq!(outcome.map_err(|error| error.code), Err(ErrorCode::InvalidClient), "{what}");
    }
    assert_eq!(bench.hosts.lookups().len(), 0, "no header makes us ask anybody");
}

#[tokio::test]
async fn t21_keys_that_are_none() {
    let bench = Bench::new().await;
    let signer = Signer::new("RS256", "k1");
    let with = |name: &str, value: Value| {
        let mut key = signer.jwk();
        key[name] = value;
        ClientKeys::Inline(json!({"keys": [key]}))
    };
    for keys in [
        with("use", json!("enc")),
        with("alg", json!("PS256")),
        with("alg", json!("HS256")),
        with("key_ops", json!(["encrypt"])),
        with("d", json!("AQ")),
        with("kty", json!("oct")),
        with("n", json!("AQAB")),
        ClientKeys::Inline(json!({"keys": []})),
        ClientKeys::Inline(json!({"keys": [{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}]})),
        ClientKeys::Inline(json!([])),
        ClientKeys::Remote("http://keys.hosts.example/jwks.json".to_owned()),
        ClientKeys::Remote("https://127.0.0.1/jwks.json".to_owned()),
    ] {
        let outcome = bench.verify(keys.clone(), &signer.assertion("c1", ISSUER, NOW)).await;
        assert_eq!(outcome.map_err(|error| error.code), Err(ErrorCode::InvalidClient), "{keys:?}");
    }
}

#[tokio::test]
async fn t20_an_assertion_is_good_for_one_use() {
    let bench = Bench::new().await;
    let signer = Signer::new("ES256", "k1");
    let jwt = signer.assertion("c1", ISSUER, NOW);
    let forged = Signer::stranger("k1").sign(&json!({}), &sound());
    assert!(bench.verify(inline(&signer), &forged).await.is_err());
    assert_eq!(bench.verify(inline(&signer), &jwt).await, Ok(()));
    let again = bench.verify(inline(&signer), &jwt).await.unwrap_err();
    assert_eq!(
        (again.code, again.description.contains("used before")),
        (ErrorCode::InvalidClient, true),
        "{again}"
    );
}

#[tokio::test]
async fn t20_a_forged_assertion_uses_nothing_up() {
    let bench = Bench::new().await;
    let signer = Signer::new("RS256", "k1");
    let claims = sound();
    assert!(
        bench
            .verify(inline(&signer), &Signer::stranger("k1").sign(&json!({}), &claims))
            .await
            .is_err()
    );
    assert_eq!(bench.verify(inline(&signer), &signer.sign(&json!({}), &claims)).await, Ok(()));
}

#[tokio::test]
async fn t21_an_unknown_kid_is_looked_for_once() {
    let bench = Bench::new().await;
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("RS256", "new"));
    bench.hosts.serve(KEYS, Behaviour::honest(old.jwks()));
    assert_eq!(bench.verify(remote(), &old.assertion("c1", ISSUER, NOW)).await, Ok(()));

    bench.clock.advance(Duration::from_secs(10));
    bench.hosts.serve(KEYS, Behaviour::honest(new.jwks()));
    assert_eq!(
        bench.verify(remote(), &new.assertion("c1", ISSUER, NOW)).await,
        Ok(()),
        "the keys were rotated"
    );
    assert!(
        bench.verify(remote(), &old.assertion("c1", ISSUER, NOW)).await.is_err(),
        "the old one is gone"
    );
    assert_eq!(bench.hosts.requests().len(), 2);

    for n in 0..50 {
        let flood = Signer::stranger(&format!("flood-{n}")).assertion("c1", ISSUER, NOW);
        assert!(bench.verify(remote(), &flood).await.is_err());
    }
    assert_eq!(bench.hosts.requests().len(), 2, "at most one fetch in ten seconds");
    let wrong = Signer::stranger("new").assertion("c1", ISSUER, NOW);
    bench.clock.advance(Duration::from_secs(10));
    assert!(bench.verify(remote(), &wrong).await.is_err());
    assert_eq!(
        bench.hosts.requests().len(),
        2,
        "a wrong signature by a known key is no reason to ask"
    );
}

#[tokio::test]
async fn a_client_whose_keys_are_away_is_not_told_that_it_is_unknown() {
    let bench = Bench::new().await;
    let signer = Signer::new("ES256", "k1");
    let code = |outcome: Result<(), OAuthError>| outcome.unwrap_err().code;
    bench.hosts.serve(KEYS, Behaviour::HangsUp);
    assert_eq!(
        code(bench.verify(remote(), &signer.assertion("c1", ISSUER, NOW)).await),
        ErrorCode::TemporarilyUnavailable
    );
    bench.clock.advance(Duration::from_secs(2));
    bench.hosts.serve(KEYS, Behaviour::redirect(302, "https://127.0.0.1/"));
    assert_eq!(
        code(bench.verify(remote(), &signer.assertion("c1", ISSUER, NOW)).await),
        ErrorCode::InvalidClient
    );
    bench.clock.advance(Duration::from_secs(2));
    bench.hosts.serve(KEYS, Behaviour::honest(signer.jwks()));
    assert_eq!(bench.verify(remote(), &signer.assertion("c1", ISSUER, NOW)).await, Ok(()));
}

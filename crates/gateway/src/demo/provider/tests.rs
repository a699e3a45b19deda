//! The demo's provider, signed in at as a browser does.

use axum::body::Body;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use portunus_core::{clock::FixedClock, entropy::SeededEntropy, pkce};
use tower::ServiceExt as _;

use super::*;

const CALLBACK: &str = "http://127.0.0.1:3000/auth/callback/demo";

struct Visit {
    provider: Arc<DemoProvider>,
    clock: Arc<FixedClock>,
    nonce: SecretText,
    verifier: SecretText,
}

impl Visit {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let verifier = pkce::generate_verifier(&*entropy);
        let public_url = PublicUrl::parse("http://127.0.0.1:3000").unwrap();
        let provider = Arc::new(DemoProvider::new(public_url, clock.clone(), entropy));
        Self { provider, clock, nonce: SecretText::new("the-nonce"), verifier }
    }

    async fn key(&self) -> String {
        let provider_request = Outbound {
            redirect_uri: CALLBACK,
            state: &SecretText::new("the state&more"),
            nonce: &self.nonce,
            code_challenge: &CodeChallenge::of(&self.verifier),
            fresh: false,
            max_age: None,
            login_hint: None,
        };
        let url = self.provider.authorization_url(&provider_request).await.unwrap();
        assert_eq!(url.path(), PATH);
        url.query_pairs().find(|(name, _)| name == "request").unwrap().1.into_owned()
    }

    async fn send(&self, request: axum::extract::Request) -> (StatusCode, HeaderMap, String) {
        let response = routes::<()>(self.provider.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn choose(&self, key: &str, person: &str) -> (StatusCode, HeaderMap, String) {
        let request = axum::extract::Request::post(PATH)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("request={key}&person={person}")))
            .unwrap();
        self.send(request).await
    }

    /// Signs in up to the callback, and gives the code.
    async fn code(&self) -> SecretText {
        let key = self.key().await;
        let (status, headers, _) = self.choose(&key, "alice").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let url = Url::parse(headers["location"].to_str().unwrap()).unwrap();
        SecretText::new(url.query_pairs().find(|(name, _)| name == "code").unwrap().1)
    }

    fn provider_request(&self) -> ProviderRequestSecrets<'_> {
        ProviderRequestSecrets {
            redirect_uri: CALLBACK,
            nonce: &self.nonce,
            code_verifier: &self.verifier,
            signed_in_since: None,
        }
    }

    async fn complete(
        &self,
        code: &SecretText,
        provider_request: &ProviderRequestSecrets<'_>,
    ) -> Result<SignedIn, IdentityError> {
        let answer = Inbound {
            code: Some(code.clone()),
            iss: Some(ISSUER.to_owned()),
            ..Inbound::default()
        };
        self.provider.complete(&answer, provider_request, self.clock.now()).await
    }
}

#[tokio::test]
async fn alice_signs_in() {
    let visit = Visit::new();
    let key = visit.key().await;
    let page =
        axum::extract::Request::get(format!("{PATH}?request={key}")).body(Body::empty()).unwrap();
    let (status, _, html) = visit.send(page).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        html.contains("Alice")
            && html.contains("sales")
            && html.contains(&key)
            && html.contains("This is a demo")
    );

    let (status, headers, _) = visit.choose(&key, "alice").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let url = Url::parse(headers["location"].to_str().unwrap()).unwrap();
    assert!(url.as_str().starts_with(&format!("{CALLBACK}?")));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert!(
        pairs.contains(&("state".into(), "the state&more".into()))
            && pairs.contains(&("iss".into(), ISSUER.into()))
    );

    let code = SecretText::new(&pairs.iter().find(|(name, _)| name == "code").unwrap().1);
    let person = visit.complete(&code, &visit.provider_request()).await.unwrap();
    assert_eq!(
        (person.subject.as_str(), person.groups),
        ("alice", vec!["engineering".to_owned(), "admins".to_owned()])
    );
    assert!(visit.complete(&code, &visit.provider_request()).await.is_err(), "a code works once");
}

#[tokio::test]
async fn a_code_fits_one_provider_request_only() {
    let visit = Visit::new();
    let (other_nonce, other_verifier) = (SecretText::new("other"), SecretText::new("v".repeat(43)));
    let misfits = [
        ProviderRequestSecrets {
            redirect_uri: "http://127.0.0.1:3000/auth/callback",
            ..visit.provider_request()
        },
        ProviderRequestSecrets { nonce: &other_nonce, ..visit.provider_request() },
        ProviderRequestSecrets { code_verifier: &other_verifier, ..visit.provider_request() },
    ];
    for provider_request in misfits {
        let code = visit.code().await;
        assert!(visit.complete(&code, &provider_request).await.is_err(), "{provider_request:?}");
        assert!(
            visit.complete(&code, &visit.provider_request()).await.is_err(),
            "a failed try uses the code up"
        );
    }
    let code = visit.code().await;
    visit.clock.advance(CODE_LIFETIME);
    assert!(visit.complete(&code, &visit.provider_request()).await.is_err(), "expired");
    let answer = Inbound {
        code: Some(visit.code().await),
        iss: Some("https://evil.example".to_owned()),
        ..Inbound::default()
    };
    assert!(
        visit
            .provider
            .complete(&answer, &visit.provider_request(), visit.clock.now())
            .await
            .is_err(),
        "another issuer"
    );
}

#[tokio::test]
async fn a_request_is_used_once_and_expires() {
    let visit = Visit::new();
    let key = visit.key().await;
    assert_eq!(visit.choose(&key, "mallory").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(visit.choose(&key, "bob").await.0, StatusCode::SEE_OTHER);
    assert_eq!(visit.choose(&key, "bob").await.0, StatusCode::BAD_REQUEST, "twice");
    assert_eq!(visit.choose("guess", "bob").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(
        visit.choose(&format!("{key}&request={key}"), "bob").await.0,
        StatusCode::BAD_REQUEST,
        "a duplicate"
    );
    let key = visit.key().await;
    visit.clock.advance(REQUEST_LIFETIME);
    assert_eq!(visit.choose(&key, "bob").await.0, StatusCode::BAD_REQUEST, "late");
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let visit = Visit::new();
    let first = visit.key().await;
    for _ in 0..WAITING {
        visit.key().await;
    }
    assert!(!visit.provider.knows(&first));
    assert_eq!(lock(&visit.provider.requests).0.len(), WAITING);
}

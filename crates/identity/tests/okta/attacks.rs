//! Answers that must not sign a user in (threats 3, 10, 21, 42).

use portunus_core::secret::SecretText;
use portunus_identity::provider::{IdentityError, Inbound, ProviderRequestSecrets};
use portunus_testkit::okta::{Options, Tamper};

use crate::browser::{SignInFixture, now};

/// What the log must say about each.
const TAMPERS: [(Tamper, &str); 36] = [
    (Tamper::AlgNone, "algorithm is not allowed"),
    (Tamper::Hs256WithPublicKey, "it is signed with HS256"),
    (Tamper::Hs256WithClientSecret, "it is signed with HS256"),
    (Tamper::Rs512, "it is signed with RS512"),
    (Tamper::UnknownKid, "a key that the provider does not publish"),
    (Tamper::WrongKey, "signature is wrong"),
    (Tamper::WrongKeyNoKid, "a key that the provider does not publish"),
    (Tamper::EmbeddedKey, "signature is wrong"),
    (Tamper::LinkedKey, "a key that the provider does not publish"),
    (Tamper::ChangedAfterSigning, "signature is wrong"),
    (Tamper::NoSignature, "signature is wrong"),
    (Tamper::WrongType, "type is not JWT"),
    (Tamper::Critical, "extension that we do not know"),
    (Tamper::NotAToken, "cannot be read"),
    (Tamper::DoubledClaim, "missing, doubled"),
    (Tamper::WrongIssuer, "issuer is another one"),
    (Tamper::IssuerWithSlash, "issuer is another one"),
    (Tamper::NoIssuer, "missing, doubled"),
    (Tamper::WrongAudience, "for another client"),
    (Tamper::NoAudience, "missing, doubled"),
    (Tamper::SeveralAudiences, "does not say to whom it was issued"),
    (Tamper::WrongParty, "issued to another client"),
    (Tamper::WrongNonce, "nonce"),
    (Tamper::NoNonce, "nonce"),
    (Tamper::NoSubject, "missing, doubled"),
    (Tamper::EmptySubject, "subject is empty"),
    (Tamper::Expired, "expired"),
    (Tamper::NoExpiry, "missing, doubled"),
    (Tamper::TextExpiry, "wrong type"),
    (Tamper::NoIssuedAt, "missing, doubled"),
    (Tamper::TextIssuedAt, "wrong type"),
    (Tamper::IssuedInTenMinutes, "in the future"),
    (Tamper::IssuedAnHourAgo, "too long ago"),
    (Tamper::NotYetValid, "not valid yet"),
    (Tamper::TextNotBefore, "wrong type"),
    // Once more, now that all the others have been refused: nothing they brought along has stuck.
    (Tamper::LinkedKey, "a key that the provider does not publish"),
];

#[tokio::test]
async fn t21_tampered_id_tokens_are_refused() {
    let fixture = SignInFixture::org(Options::default()).await;
    for (tamper, expected) in TAMPERS {
        fixture.okta.tamper_next(tamper);
        let error =
            fixture.sign_in().await.expect_err(&format!("{tamper:?} must not sign anybody in"));
        // What an administrator may have set at the provider is told as such (FB67), and refused
        // all the same.
        let is_refused = matches!(error, IdentityError::Unverified { .. })
            || (expected.starts_with("it is signed")
                && matches!(error, IdentityError::Misconfigured { .. }));
        assert!(is_refused, "{tamper:?}: {error:?}");
        assert!(error.to_string().contains(expected), "{tamper:?}: {error}");
    }
    assert!(fixture.sign_in().await.is_ok(), "an honest token still signs in");
}

#[tokio::test]
async fn t03_a_code_is_of_no_use_without_its_verifier_or_nonce() {
    let fixture = SignInFixture::org(Options::default()).await;
    let (ours, theirs) = (fixture.provider_request(), fixture.provider_request());
    let answer = fixture.browse(&ours).await.unwrap();
    let provider_request =
        ProviderRequestSecrets { code_verifier: &theirs.verifier, ..ours.provider_request() };
    let error = fixture.provider.complete(&answer, &provider_request, now()).await.unwrap_err();
    assert!(
        matches!(&error, IdentityError::Refused { error, .. } if error == "invalid_grant"),
        "{error:?}"
    );

    let answer = fixture.browse(&ours).await.unwrap();
    let provider_request =
        ProviderRequestSecrets { nonce: &theirs.nonce, ..ours.provider_request() };
    let error = fixture.provider.complete(&answer, &provider_request, now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");
}

#[tokio::test]
async fn t03_a_code_is_good_for_once() {
    let fixture = SignInFixture::org(Options::default()).await;
    let provider_request = fixture.provider_request();
    let answer = fixture.browse(&provider_request).await.unwrap();
    fixture.provider.complete(&answer, &provider_request.provider_request(), now()).await.unwrap();
    let error = fixture
        .provider
        .complete(&answer, &provider_request.provider_request(), now())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, IdentityError::Refused { error, .. } if error == "invalid_grant"),
        "{error:?}"
    );
    assert_eq!(
        error.public_message(),
        "The sign-in took too long or was used twice. Please start again."
    );
}

#[tokio::test]
async fn t10_the_issuer_of_the_answer_is_compared() {
    let silent = SignInFixture::org(Options::default()).await;
    let saying = SignInFixture::org(Options { sends_iss: true, ..Options::default() }).await;
    let cases = [
        (&silent, None, true),
        (&silent, Some(silent.okta.org_issuer()), true),
        (&silent, Some(format!("{}/", silent.okta.org_issuer())), false),
        (&silent, Some("https://evil.example".to_owned()), false),
        (&silent, Some(String::new()), false),
        (&saying, Some(saying.okta.org_issuer()), true),
        (&saying, None, false),
    ];
    for (fixture, iss, fine) in cases {
        let provider_request = fixture.provider_request();
        let answer =
            Inbound { iss: iss.clone(), ..fixture.browse(&provider_request).await.unwrap() };
        let result =
            fixture.provider.complete(&answer, &provider_request.provider_request(), now()).await;
        assert_eq!(result.is_ok(), fine, "{iss:?}: {result:?}");
        if let Err(error) = result {
            assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");
        }
        // An error with a foreign `iss` is not believed either.
        let refusal = Inbound {
            iss: iss.clone(),
            error: Some("access_denied".to_owned()),
            ..Inbound::default()
        };
        let error = fixture
            .provider
            .complete(&refusal, &provider_request.provider_request(), now())
            .await
            .unwrap_err();
        assert_eq!(matches!(error, IdentityError::Refused { .. }), fine, "{iss:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_without_code_and_error_is_refused() {
    let fixture = SignInFixture::org(Options::default()).await;
    let provider_request = fixture.provider_request();
    let error = fixture
        .provider
        .complete(&Inbound::default(), &provider_request.provider_request(), now())
        .await
        .unwrap_err();
    assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");
}

#[tokio::test]
async fn userinfo_about_somebody_else_is_refused() {
    let fixture = SignInFixture::org(Options { thin_id_token: true, ..Options::default() }).await;
    fixture.okta.lie_in_userinfo("00u1bob");
    let error = fixture.sign_in().await.unwrap_err();
    assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");
}

#[tokio::test]
async fn t42_an_email_with_two_ats_is_left_out() {
    let okta = SignInFixture::org(Options::default()).await;
    let mut alice = portunus_testkit::okta::Person::new("alice", &[]);
    alice.email = "alice@evil.example@acme.example".to_owned();
    okta.okta.put_person(alice);
    let alice = okta.sign_in().await.unwrap();
    assert_eq!(alice.email, None);
    assert!(!alice.email_verified);
}

#[tokio::test]
async fn t48_errors_hold_no_secret() {
    let fixture = SignInFixture::org(Options::default()).await;
    let provider_request = fixture.provider_request();
    let code = SecretText::new("a-code-that-nobody-issued");
    let answer = Inbound { code: Some(code.clone()), ..Inbound::default() };
    let error = fixture
        .provider
        .complete(&answer, &provider_request.provider_request(), now())
        .await
        .unwrap_err();
    let text = format!("{error} {error:?}");
    for secret in [
        code.expose(),
        provider_request.verifier.expose(),
        provider_request.nonce.expose(),
        fixture.okta.client_secret(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}

//! Okta down, slow, or talking nonsense (F3): a clean error in time, and no grudge afterwards.

use std::time::{Duration, Instant};

use portunus_identity::{ProviderSettings, provider::IdentityError};
use portunus_testkit::{
    figures::{Figures, Limit},
    okta::{Endpoint, FakeOkta, Fault, GroupsClaim, Options},
    port::ReservedPort,
};

use crate::browser::{SignInFixture, settings};

/// Without these no user signs in. Userinfo is not among them: see `field`.
const ALL: [Endpoint; 3] = [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token];

/// A sign-in that uses every endpoint.
async fn fixture() -> SignInFixture {
    SignInFixture::custom(Options { custom_groups: GroupsClaim::Userinfo, ..Options::default() })
        .await
}

#[tokio::test]
async fn f3_an_overloaded_or_broken_endpoint_is_an_outage() {
    for endpoint in ALL {
        for fault in
            [Fault::Status(500), Fault::Status(502), Fault::Status(503), Fault::RateLimited]
        {
            let fixture = fixture().await;
            fixture.okta.fail_next(endpoint, fault);
            let error = fixture.sign_in().await.unwrap_err();
            assert!(
                matches!(error, IdentityError::Unavailable { .. }),
                "{endpoint:?} {fault:?}: {error:?}"
            );
            if fault == Fault::RateLimited {
                assert!(error.to_string().contains("resets at 1893456000"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn f3_an_endpoint_that_hangs_is_an_outage_within_the_deadline() {
    // One after the other they would take as long as all deadlines together.
    let hanging = ALL.map(|endpoint| {
        tokio::spawn(async move {
            let fixture = fixture().await;
            fixture.okta.fail(endpoint, Fault::Hang);
            let began = Instant::now();
            let error = fixture.sign_in().await.unwrap_err();
            assert!(matches!(error, IdentityError::Unavailable { .. }), "{endpoint:?}: {error:?}");
            began.elapsed()
        })
    });
    let mut took = Duration::ZERO;
    for task in hanging {
        took = took.max(task.await.unwrap());
    }
    let limit = Limit::now(Duration::from_secs(5));
    Figures::of("F3", "-", "each endpoint of the provider hangs")
        .within("a sign-in fails after", &[took], limit)
        .report();
}

#[tokio::test]
async fn a_slow_okta_still_signs_in() {
    let fixture = fixture().await;
    for endpoint in ALL {
        fixture.okta.fail_next(endpoint, Fault::Slow(Duration::from_millis(50)));
    }
    fixture.sign_in().await.unwrap();
}

#[tokio::test]
async fn nonsense_and_floods_of_bytes_are_errors() {
    for endpoint in ALL {
        for fault in [Fault::Garbage, Fault::Huge, Fault::Status(404), Fault::Status(302)] {
            let fixture = fixture().await;
            fixture.okta.fail_next(endpoint, fault);
            let error = fixture.sign_in().await.unwrap_err();
            assert!(
                matches!(error, IdentityError::Misconfigured { .. }),
                "{endpoint:?} {fault:?}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn f3_okta_is_asked_again_soon_after_an_outage_but_not_at_once() {
    let fixture = fixture().await;
    fixture.okta.fail_next(Endpoint::Discovery, Fault::Status(500));
    for _ in 0..5 {
        // Within the second of backoff, or on a very busy machine after it, this may fail or not:
        // the count tells.
        let _ = fixture.authorization_url(&fixture.provider_request()).await;
    }
    assert!(fixture.okta.count(Endpoint::Discovery) <= 2, "the failure is remembered for a moment");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fixture.sign_in().await.unwrap();
}

#[tokio::test]
async fn nobody_listening_is_an_outage() {
    let okta = FakeOkta::start(Options::default()).await;
    let reserved = ReservedPort::any();
    let issuer = format!("http://{}", reserved.address());
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        issuer,
        ..settings(okta, String::new())
    });
    let error = fixture.authorization_url(&fixture.provider_request()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("AUTH_OKTA_ISSUER"), "{error}");
    let error = fixture
        .provider
        .sign_out_url(None, "http://localhost:3000/", "the-state")
        .await
        .unwrap_err();
    assert!(matches!(error, IdentityError::Unavailable { .. }), "{error:?}");
}

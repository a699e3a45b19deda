//! Keys that rotate, and floods of tokens signed with keys that the provider does not publish (F4).

use std::time::Instant;

use portunus_identity::provider::IdentityError;
use portunus_testkit::okta::{Endpoint, Fault, Options, Tamper};

use crate::browser::{SignInFixture, now};

#[tokio::test]
async fn f4_rotation_at_any_pace_fails_no_sign_in() {
    let fixture = SignInFixture::org(Options::default()).await;
    for rotation in 0..12 {
        fixture.sign_in().await.unwrap_or_else(|error| panic!("rotation {rotation}: {error}"));
        fixture.okta.rotate_keys();
    }
    assert_eq!(fixture.okta.count(Endpoint::Keys), 12, "one fetch for each key seen");
}

#[tokio::test]
async fn f4_keys_rotate_between_the_answer_and_its_verification() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.sign_in().await.unwrap();
    let provider_request = fixture.provider_request();
    let answer = fixture.browse(&provider_request).await.unwrap();
    fixture.okta.rotate_keys();
    fixture.provider.complete(&answer, &provider_request.provider_request(), now()).await.unwrap();
}

#[tokio::test]
async fn f4_a_flood_of_unknown_keys_costs_one_fetch() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.sign_in().await.unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        fixture.okta.tamper_next(Tamper::UnknownKid);
        let error = fixture.sign_in().await.unwrap_err();
        assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");
    }
    assert_flood_is_cheap(&fixture, began);
    fixture.sign_in().await.unwrap();
}

#[tokio::test]
async fn f4_a_flood_at_once_costs_one_fetch_too() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.sign_in().await.unwrap();
    let began = Instant::now();
    for _ in 0..30 {
        fixture.okta.tamper_next(Tamper::UnknownKid);
    }
    let sign_ins = (0..30).map(|_| fixture.sign_in());
    let results = join_all(sign_ins).await;
    assert!(
        results.iter().all(|result| matches!(result, Err(IdentityError::Unverified { .. }))),
        "{results:?}"
    );
    assert_flood_is_cheap(&fixture, began);
}

/// The first sign-in's fetch, one for the flood, and on a machine so busy that it lasts, one more
/// for each ten seconds.
fn assert_flood_is_cheap(fixture: &SignInFixture, began: Instant) {
    let windows = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    let fetches = fixture.okta.count(Endpoint::Keys);
    assert!((2..=2 + windows).contains(&fetches), "{fetches} fetches");
}

#[tokio::test]
async fn f4_many_sign_ins_with_one_new_key_share_its_fetch() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.sign_in().await.unwrap();
    fixture.okta.rotate_keys();
    let results = join_all((0..20).map(|_| fixture.sign_in())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(fixture.okta.count(Endpoint::Keys), 2);
}

#[tokio::test]
async fn f4_a_cold_start_that_meets_an_unknown_key_fetches_once_more() {
    let fixture = SignInFixture::org(Options::default()).await;
    let began = Instant::now();
    for _ in 0..3 {
        fixture.okta.tamper_next(Tamper::UnknownKid);
        fixture.sign_in().await.unwrap_err();
    }
    // The first was made before the token was, and so says nothing of its key.
    let windows = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    assert!(
        fixture.okta.count(Endpoint::Keys) <= 2 + windows,
        "{}",
        fixture.okta.count(Endpoint::Keys)
    );
}

#[tokio::test]
async fn known_keys_serve_while_the_key_set_is_away() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.sign_in().await.unwrap();
    fixture.okta.fail(Endpoint::Keys, Fault::Status(503));
    fixture.okta.fail(Endpoint::Discovery, Fault::Status(503));
    fixture.sign_in().await.unwrap();
    fixture.okta.rotate_keys();
    let error = fixture.sign_in().await.unwrap_err();
    assert!(matches!(error, IdentityError::Unavailable { .. }), "{error:?}");
}

/// All at once on this task.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pinned.iter_mut().zip(&mut done).filter(|(_, slot)| slot.is_none()) {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(context) {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

//! People are read anew with the provider's refresh token: what comes of each answer.

use std::{sync::Arc, time::Duration};

use portunus_core::{Clock as _, Timestamp, clock::FixedClock, secret::SecretText};
use portunus_identity::{
    Preset, ProviderSettings,
    provider::{IdentityError, NO_REFRESH_TOKENS, RefreshError, Refreshed, SignedIn},
};
use portunus_testkit::okta::{Endpoint, FakeOkta, Fault, GroupsClaim, Options, Tamper};

use crate::browser::{SignInFixture, settings};

const ALICE: &str = "00u1alice";
const START: i64 = 1_790_000_000;

struct Fixture {
    sign_in: SignInFixture,
    clock: Arc<FixedClock>,
    token: SecretText,
}

impl Fixture {
    /// Alice has signed in, and her token was kept.
    async fn of(options: Options, org: bool) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(START)));
        let okta = FakeOkta::start(Options { clock: clock.clone(), ..options }).await;
        let issuer = if org { okta.org_issuer() } else { okta.custom_issuer("default") };
        let sign_in = SignInFixture::with(okta, |okta| ProviderSettings {
            offline_access: None,
            ..settings(okta, issuer)
        });
        let request = sign_in.provider_request();
        let answer = sign_in.browse(&request).await.unwrap();
        let secrets = request.provider_request();
        let alice = sign_in.provider.complete(&answer, &secrets, clock.now()).await.unwrap();
        let token = alice.refresh_token.expect("Okta is asked for one");
        Self { sign_in, clock, token }
    }

    async fn refresh_with(&self, token: &SecretText) -> Refreshed {
        self.sign_in.provider.refresh(token, ALICE, self.clock.now()).await
    }

    /// The person, and the token is kept.
    async fn read(&mut self) -> SignedIn {
        let Refreshed { rotated, person } = self.refresh_with(&self.token).await;
        self.token = rotated.expect("Okta rotates");
        person.unwrap()
    }
}

#[tokio::test]
async fn groups_are_those_of_now_at_either_server() {
    for org in [true, false] {
        let mut fixture = Fixture::of(Options::default(), org).await;
        let alice = fixture.read().await;
        assert_eq!(alice.groups, ["Everyone", "engineering", "admins"]);
        assert_eq!((alice.subject.as_str(), alice.email_verified), (ALICE, true));
        fixture.sign_in.okta.put_groups("alice", &["Everyone", "sales"]);
        let alice = fixture.read().await;
        assert_eq!(alice.groups, ["Everyone", "sales"], "with the token it rotated to");
        assert_eq!(fixture.sign_in.okta.count(Endpoint::Refresh), 2);
    }
}

#[tokio::test]
async fn groups_of_userinfo_are_read_anew_too() {
    let options = Options { custom_groups: GroupsClaim::Userinfo, ..Options::default() };
    let mut fixture = Fixture::of(options, false).await;
    fixture.sign_in.okta.put_groups("alice", &["sales"]);
    assert_eq!(fixture.read().await.groups, ["sales"]);
    fixture.sign_in.okta.fail(Endpoint::Userinfo, Fault::Status(503));
    let alice = fixture.read().await;
    assert!(alice.unread.groups && alice.groups.is_empty(), "it is said that they are not known");
}

/// A used token is good for the grace; after it, it ends all that came of it.
#[tokio::test]
async fn rotation_has_a_grace_and_no_more() {
    let mut fixture = Fixture::of(Options::default(), true).await;
    let first = fixture.token.clone();
    fixture.read().await;
    fixture.clock.advance(Duration::from_secs(30));
    let again = fixture.refresh_with(&first).await;
    assert!(again.person.is_ok() && again.rotated.is_some(), "an answer may get lost");
    fixture.clock.advance(Duration::from_secs(1));
    for token in [first, fixture.token.clone()] {
        let late = fixture.refresh_with(&token).await;
        assert!(matches!(late.person, Err(RefreshError::Ended(_))), "{late:?}");
    }
}

#[tokio::test]
async fn who_is_deactivated_is_told_from_who_cannot_be_read() {
    let fixture = Fixture::of(Options::default(), true).await;
    let okta = &fixture.sign_in.okta;
    // What goes wrong, and whether it is the provider's.
    let faults = [
        (Fault::Status(500), true),
        (Fault::RateLimited, true),
        (Fault::Garbage, false),
        (Fault::Huge, false),
        (Fault::Says(400, "application/json", r#"{"error":"temporarily_unavailable"}"#), true),
        (Fault::Says(401, "application/json", r#"{"error":"invalid_client"}"#), false),
        (Fault::Says(400, "application/json", r#"{"error":"unauthorized_client"}"#), false),
    ];
    for (fault, passes) in faults {
        okta.fail_next(Endpoint::Refresh, fault);
        let Refreshed { person, .. } = fixture.refresh_with(&fixture.token).await;
        let Err(RefreshError::Failed { error, retry_at }) = person else {
            panic!("{fault:?}: {person:?}")
        };
        assert_eq!(
            matches!(error, IdentityError::Unavailable { .. }),
            passes,
            "{fault:?}: {error}"
        );
        let wish = (fault == Fault::RateLimited).then(|| Timestamp::from_secs(1_893_456_000));
        assert_eq!(retry_at, wish, "{fault:?}");
        assert!(!error.to_string().contains(fixture.token.expose()));
    }
    okta.deactivate("alice");
    let Refreshed { person, .. } = fixture.refresh_with(&fixture.token).await;
    let Err(RefreshError::Ended(why)) = person else { panic!("{person:?}") };
    assert_eq!(why, "The refresh token is invalid or expired.");
}

/// The signature decides, as at a sign-in; there is no nonce to compare. The token that it rotated
/// to is kept whatever the ID token is like.
#[tokio::test]
async fn t21_a_refresh_takes_no_tampered_id_token() {
    let fixture = Fixture::of(Options::default(), true).await;
    let mut token = fixture.token.clone();
    for tamper in [
        Tamper::WrongIssuer,
        Tamper::WrongAudience,
        Tamper::WrongKey,
        Tamper::AlgNone,
        Tamper::Expired,
        Tamper::NoSubject,
        Tamper::ChangedAfterSigning,
    ] {
        fixture.sign_in.okta.tamper_next(tamper);
        let Refreshed { rotated, person } = fixture.refresh_with(&token).await;
        assert!(matches!(person, Err(RefreshError::Failed { .. })), "{tamper:?}: {person:?}");
        token = rotated.expect("a rotated token");
    }
    let other = fixture.sign_in.provider.refresh(&token, "00u1bob", fixture.clock.now()).await;
    assert!(
        matches!(&other.person, Err(RefreshError::Failed { error, .. }) if error.to_string().contains("somebody else")),
        "{other:?}"
    );
}

/// A token that was not asked for may be of the person's session there.
#[tokio::test]
async fn a_refresh_token_is_asked_for_where_that_is_wanted() {
    let cases = [
        (Preset::Okta, None, None, true),
        (Preset::Okta, Some(false), None, false),
        (Preset::Okta, None, Some("openid groups"), false),
        (Preset::Okta, None, Some("openid offline_access"), true),
        (Preset::Okta, Some(true), Some("openid groups"), true),
        (Preset::Oidc, None, None, false),
        (Preset::Oidc, Some(true), None, true),
        (Preset::Keycloak, None, None, false),
        (Preset::MicrosoftEntraId, None, None, false),
        (Preset::Google, None, None, false),
        (Preset::Github, Some(true), None, false),
    ];
    let okta = FakeOkta::start(Options::default()).await;
    for (preset, offline_access, scopes, wanted) in cases {
        let scopes =
            scopes.map(|scopes: &str| scopes.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let settings = ProviderSettings {
            preset,
            offline_access,
            scopes,
            ..settings(&okta, okta.org_issuer())
        };
        assert_eq!(settings.wants_refresh_token(), wanted, "{settings:?}");
    }
}

/// The first sign-in learns it, and begins again; those after do not ask.
#[tokio::test]
async fn an_application_without_the_grant_is_signed_in_without() {
    let okta = FakeOkta::start(Options { refresh_grant: false, ..Options::default() }).await;
    let issuer = okta.org_issuer();
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        offline_access: None,
        ..settings(okta, issuer)
    });
    let refused = fixture.sign_in().await.unwrap_err();
    assert!(
        matches!(&refused, IdentityError::Refused { error, .. } if error == NO_REFRESH_TOKENS),
        "{refused}"
    );
    assert!(!fixture.provider.gives_refresh_tokens());
    let alice = fixture.sign_in().await.unwrap();
    assert!(alice.refresh_token.is_none() && !alice.groups.is_empty());
}

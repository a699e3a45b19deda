//! People in more groups than fit into a token, at a provider that lists them elsewhere
//! (Microsoft).

use portunus_identity::{Preset, ProviderSettings, provider::IdentityError};
use portunus_testkit::okta::{Endpoint, FakeOkta, Fault, GroupsClaim, Options, Person};
use serde_json::json;

use crate::browser::{SignInFixture, settings};

/// Alice is in so many groups, and her ID token says that they are elsewhere.
async fn fixture(groups: usize, preset: Preset) -> SignInFixture {
    let names: Vec<String> = (0..groups).map(|n| format!("group-{n}")).collect();
    let alice = Person {
        groups: names,
        more_claims: vec![
            ("_claim_names".to_owned(), json!({"groups": "src1"})),
            ("_claim_sources".to_owned(), json!({"src1": {"endpoint": "https://evil.example/x"}})),
        ],
        ..Person::new("alice", &[])
    };
    let options =
        Options { people: vec![alice], custom_groups: GroupsClaim::Never, ..Options::default() };
    let okta = FakeOkta::start(options).await;
    let issuer = okta.custom_issuer("default");
    SignInFixture::with(okta, |okta| ProviderSettings { preset, ..settings(okta, issuer) })
}

#[tokio::test]
async fn groups_that_did_not_fit_are_fetched_page_by_page() {
    let fixture = fixture(7, Preset::MicrosoftEntraId).await;
    let alice = fixture.sign_in().await.unwrap();
    assert_eq!(alice.groups.len(), 7);
    assert!(!alice.unread.groups);
    assert_eq!(fixture.okta.count(Endpoint::Groups), 4);
}

#[tokio::test]
async fn a_list_without_an_end_was_not_read_whole() {
    let fixture = fixture(30, Preset::MicrosoftEntraId).await;
    let alice = fixture.sign_in().await.unwrap();
    assert!(alice.unread.groups && alice.groups.len() == 10);
    assert_eq!(fixture.okta.count(Endpoint::Groups), 5);
}

/// What the token says of where they are is never followed, nor is a page at another host.
#[tokio::test]
async fn a_list_that_cannot_be_had_is_explained() {
    let elsewhere = r#"{"value":[],"@odata.nextLink":"https://evil.example/next"}"#;
    let nowhere = r#"{"value":["group-0"],"@odata.nextLink":"next"}"#;
    let cases = [
        (Fault::Says(200, "application/json", nowhere), "leads to no address"),
        (Fault::Status(403), "User.Read"),
        (Fault::Garbage, "User.Read"),
        (Fault::Says(200, "application/json", elsewhere), "leads to another host"),
        (Fault::Status(503), "503"),
    ];
    for (fault, words) in cases {
        let fixture = fixture(7, Preset::MicrosoftEntraId).await;
        fixture.okta.fail(Endpoint::Groups, fault);
        let error = fixture.sign_in().await.unwrap_err();
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    let fixture = fixture(7, Preset::Oidc).await;
    let error = fixture.sign_in().await.unwrap_err();
    assert!(matches!(error, IdentityError::Refused { .. }), "{error}");
    assert_eq!(fixture.okta.count(Endpoint::Groups), 0, "only Microsoft is asked");
}

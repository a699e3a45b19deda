//! Cases for the order of steps.

use super::*;
use crate::{
    client::{ClientAuthMethod, ClientKeys},
    ids::{ClientId, ProviderName, TransactionId, UserId},
    oauth::authorize::tests::{client, request, resources},
    redirect::RedirectUri,
    resource::Resource,
    scope::ScopeSet,
    secret::TokenHash,
    signin::{Interaction, Prompt, Purpose, Transaction},
};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn person(name: &str) -> UserId {
    UserId::of("https://idp", name)
}

fn login(name: &str) -> Login {
    Login {
        id: TokenHash::of(name),
        user: person(name),
        provider: ProviderName::from_text("okta"),
        id_token: None,
        created_at: NOW - Duration::from_secs(100),
        expires_at: NOW + Duration::from_secs(100),
        last_seen_at: None,
    }
}

fn transaction(request: &AuthorizationRequest) -> BrowserTransaction {
    BrowserTransaction::begun(Transaction {
        id: TransactionId::from_text("t"),
        purpose: Purpose::Authorize(request.clone()),
        browser: TokenHash::of("browser"),
        consented_at: None,
        consented_by: None,
        signed_in: None,
        begun_from: None,
        departures: 0,
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
    })
}

fn step(
    request: &AuthorizationRequest,
    transaction: &BrowserTransaction,
    login: Option<&Login>,
    remembered: Option<&Consent>,
) -> Step {
    step_of(&client(), request, transaction, login, remembered)
}

fn step_of(
    client: &Client,
    request: &AuthorizationRequest,
    transaction: &BrowserTransaction,
    login: Option<&Login>,
    remembered: Option<&Consent>,
) -> Step {
    AuthorizationProgress { request, transaction, login, remembered, now: NOW }
        .next_step(client, &resources())
}

fn wishing(prompt: Prompt, max_age: Option<u64>) -> AuthorizationRequest {
    AuthorizationRequest {
        interaction: Interaction { prompt, max_age, login_hint: None },
        ..request("dice")
    }
}

#[test]
fn t01_consent_comes_before_the_provider_and_before_any_code() {
    let request = request("dice");
    let consent = consent::remember(&request, &person("alice"), None, NOW);
    let other_client = Consent { client: ClientId::from_text("c2"), ..consent.clone() };
    let other_user = Consent { user: person("bob"), ..consent.clone() };
    let other_resource = Consent {
        resources: Resource::from_stored("https://gw.example/mcp/uuid").into(),
        ..consent.clone()
    };
    let elsewhere = Consent { scopes: ScopeSet::parse("uuid").unwrap(), ..consent.clone() };
    let narrower = Consent { scopes: ScopeSet::parse("dice:read").unwrap(), ..consent.clone() };
    let broader = Consent { scopes: ScopeSet::parse("mcp").unwrap(), ..consent.clone() };
    let alice = login("alice");
    let fresh = transaction(&request);
    let allowed = fresh.clone().consented(NOW, None);
    let cases = [
        (&fresh, None, None, Step::AskConsent),
        (&fresh, Some(&alice), None, Step::AskConsent),
        (&fresh, None, Some(&consent), Step::AskConsent),
        (&fresh, Some(&alice), Some(&other_client), Step::AskConsent),
        (&fresh, Some(&alice), Some(&other_user), Step::AskConsent),
        (&fresh, Some(&alice), Some(&other_resource), Step::AskConsent),
        (&fresh, Some(&alice), Some(&elsewhere), Step::AskConsent),
        (&fresh, Some(&alice), Some(&narrower), Step::AskConsent),
        (&fresh, Some(&alice), Some(&broader), Step::IssueCode),
        (&fresh, Some(&alice), Some(&consent), Step::IssueCode),
        (&allowed, None, None, Step::SignIn),
        (&allowed, Some(&alice), None, Step::IssueCode),
    ];
    for (n, (transaction, login, remembered, expected)) in cases.into_iter().enumerate() {
        assert_eq!(step(&request, transaction, login, remembered), expected, "case {n}");
    }
}

#[test]
fn consent_belongs_to_the_person_who_gave_it() {
    let request = request("mcp");
    let by = |name: Option<&str>| transaction(&request).consented(NOW, name.map(person));
    let (alice, bob) = (&login("alice"), &login("bob"));
    let cases = [
        (None, Some(alice), Step::IssueCode),
        (Some("alice"), Some(alice), Step::IssueCode),
        (Some("alice"), Some(bob), Step::AskConsent),
        (Some("alice"), None, Step::SignIn),
        (None, None, Step::SignIn),
    ];
    for (given_by, login, expected) in cases {
        assert_eq!(step(&request, &by(given_by), login, None), expected, "{given_by:?}");
    }
}

#[test]
fn t28_a_client_that_changed_is_asked_about_again() {
    let request = request("mcp");
    let consent = consent::remember(&request, &person("alice"), None, NOW);
    let changed = Client {
        redirect_uris: vec![RedirectUri::parse("https://evil.example/cb").unwrap()],
        ..client()
    };
    let changed =
        AuthorizationRequest { fingerprint: consent::fingerprint(&changed), ..request.clone() };
    let alice = login("alice");
    assert_eq!(
        step(&request, &transaction(&request), Some(&alice), Some(&consent)),
        Step::IssueCode
    );
    assert_eq!(
        step(&changed, &transaction(&changed), Some(&alice), Some(&consent)),
        Step::AskConsent
    );
    let from_before = serde_json::to_value(&consent).map(|mut value| {
        value.as_object_mut().unwrap().remove("fingerprint");
        serde_json::from_value::<Consent>(value).unwrap()
    });
    assert_eq!(
        step(&request, &transaction(&request), Some(&alice), Some(&from_before.unwrap())),
        Step::AskConsent
    );
}

#[test]
fn prompts_and_ages() {
    let none = Prompt { none: true, ..Prompt::default() };
    let again = Prompt { login: true, ..Prompt::default() };
    let ask = Prompt { consent: true, ..Prompt::default() };
    let alice = login("alice");
    let (asked, allowed, returned) = (0, 1, 2);
    let login_required = Step::Refuse(ErrorCode::LoginRequired);
    let consent_required = Step::Refuse(ErrorCode::ConsentRequired);
    // Prompt, max_age, is a person signed in, is consent remembered, how far the transaction is.
    let cases = [
        (none, None, true, true, asked, Step::IssueCode),
        (none, None, false, false, asked, login_required),
        (none, None, true, false, asked, consent_required),
        (none, Some(100), true, true, asked, Step::IssueCode),
        (none, Some(99), true, true, asked, login_required),
        (ask, None, true, true, asked, Step::AskConsent),
        (ask, None, true, true, allowed, Step::IssueCode),
        (again, None, true, true, asked, Step::AskConsent),
        (again, None, true, true, allowed, Step::SignIn),
        (again, None, true, true, returned, Step::IssueCode),
        (Prompt::default(), Some(100), true, true, asked, Step::IssueCode),
        (Prompt::default(), Some(99), true, true, asked, Step::AskConsent),
        (Prompt::default(), Some(99), true, false, allowed, Step::SignIn),
        (Prompt::default(), Some(0), true, false, returned, Step::IssueCode),
    ];
    for (n, (prompt, max_age, is_signed_in, is_remembered, progress, expected)) in
        cases.into_iter().enumerate()
    {
        let request = wishing(prompt, max_age);
        let consent = consent::remember(&request, &person("alice"), None, NOW);
        let mut transaction = transaction(&request);
        if progress >= allowed {
            transaction = transaction.consented(NOW, None);
        }
        if progress >= returned {
            transaction = transaction.signed_in(alice.id);
        }
        let found = step(
            &request,
            &transaction,
            is_signed_in.then_some(&alice),
            is_remembered.then_some(&consent),
        );
        assert_eq!(found, expected, "case {n}");
    }
}

#[test]
fn t11_who_may_be_told_without_a_page() {
    let told = |uri: &str, client: &Client, consent: Option<&Consent>| {
        let request = AuthorizationRequest {
            redirect_uri: RedirectUri::parse(uri).unwrap(),
            ..request("mcp")
        };
        let (transaction, alice) = (transaction(&request), login("alice"));
        let progress = AuthorizationProgress {
            request: &request,
            transaction: &transaction,
            login: Some(&alice),
            remembered: consent,
            now: NOW,
        };
        progress.may_be_told(client)
    };
    let configured = Client { source: ClientSource::Configured, ..client() };
    let consent = Consent {
        scopes: ScopeSet::default(),
        ..consent::remember(&request("mcp"), &person("alice"), None, NOW)
    };
    let changed = Consent { fingerprint: TokenHash::of("before"), ..consent.clone() };
    let others = Consent { user: person("bob"), ..consent.clone() };
    let web = "https://app.example/cb";
    assert!(!told(web, &client(), None), "any client can register an address");
    assert!(told(web, &configured, None));
    assert!(told("http://127.0.0.1:4711/cb", &client(), None));
    assert!(!told("com.app:/cb", &client(), None));
    assert!(told(web, &client(), Some(&consent)));
    assert!(!told(web, &client(), Some(&changed)));
    assert!(!told(web, &client(), Some(&others)));
}

#[test]
fn t58_at_an_address_of_this_computer_a_person_answers_each_time() {
    let methods = [
        ClientAuthMethod::None,
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::PrivateKeyJwt,
    ];
    let (open, secret, key) = (Step::AskToContinue, Step::IssueCode, Step::IssueCode);
    let cases = [
        ("https://app.example/cb", [Step::IssueCode; 3]),
        ("https://localhost/cb", [open, secret, key]),
        ("https://127.0.0.1:8443/cb", [open, secret, key]),
        ("http://localhost:1/cb", [open, secret, key]),
        ("http://127.0.0.1:4711/cb", [open, secret, key]),
        ("http://[::1]:1/cb", [open, secret, key]),
        ("cursor://anysphere.cursor-mcp/oauth/callback", [open, secret, key]),
        ("com.example.app:/cb", [open, secret, key]),
        ("com.example.app://app.example/cb", [open, secret, key]),
    ];
    let alice = login("alice");
    for source in
        [ClientSource::Registered, ClientSource::MetadataDocument, ClientSource::Configured]
    {
        for (uri, expected) in &cases {
            for (method, expected) in methods.into_iter().zip(expected) {
                // The client has an address on the web too: what counts is the one of this request.
                let redirect_uris = ["https://app.example/cb", uri]
                    .map(|uri| RedirectUri::parse(uri).unwrap())
                    .to_vec();
                let keys = Some(ClientKeys::Remote("https://app.example/jwks".to_owned()));
                let client =
                    Client { source, auth_method: method, redirect_uris, keys, ..client() };
                let redirect_uri = RedirectUri::parse(uri).unwrap();
                let fingerprint = consent::fingerprint(&client);
                let request = AuthorizationRequest { redirect_uri, fingerprint, ..request("dice") };
                let consent = consent::remember(&request, &person("alice"), None, NOW);
                let (fresh, case) = (transaction(&request), format!("{source:?} {method:?} {uri}"));
                let step = |request: &AuthorizationRequest, transaction: &BrowserTransaction| {
                    step_of(&client, request, transaction, Some(&alice), Some(&consent))
                };
                assert_eq!(step(&request, &fresh), *expected, "{case}");
                assert_eq!(
                    step(&request, &fresh.clone().consented(NOW, Some(person("alice")))),
                    Step::IssueCode,
                    "{case}"
                );
                let unseen = Interaction {
                    prompt: Prompt { none: true, ..Prompt::default() },
                    ..Interaction::default()
                };
                let unseen = AuthorizationRequest { interaction: unseen, ..request.clone() };
                let expected = match expected {
                    Step::AskToContinue => Step::Refuse(ErrorCode::InteractionRequired),
                    other => *other,
                };
                assert_eq!(step(&unseen, &transaction(&unseen)), expected, "{case}");
            }
        }
    }
}

#[test]
fn t58_the_short_question_is_for_what_was_allowed_and_nothing_more() {
    let redirect_uri = RedirectUri::parse("http://127.0.0.1:4711/cb").unwrap();
    let request = AuthorizationRequest { redirect_uri, ..request("dice") };
    let consent = consent::remember(&request, &person("alice"), None, NOW);
    let narrower = Consent { scopes: ScopeSet::parse("dice:read").unwrap(), ..consent.clone() };
    let changed = Consent { fingerprint: TokenHash::of("before"), ..consent.clone() };
    let others = Consent { user: person("bob"), ..consent.clone() };
    let ask = Prompt { consent: true, ..Prompt::default() };
    let asking = AuthorizationRequest {
        interaction: Interaction { prompt: ask, ..Interaction::default() },
        ..request.clone()
    };
    let alice = login("alice");
    let cases = [
        (&request, Some(&alice), Some(&consent), Step::AskToContinue),
        (&request, Some(&alice), Some(&narrower), Step::AskConsent),
        (&request, Some(&alice), Some(&changed), Step::AskConsent),
        (&request, Some(&alice), Some(&others), Step::AskConsent),
        (&request, Some(&alice), None, Step::AskConsent),
        (&request, None, Some(&consent), Step::AskConsent),
        (&asking, Some(&alice), Some(&consent), Step::AskConsent),
    ];
    for (n, (request, login, remembered, expected)) in cases.into_iter().enumerate() {
        assert_eq!(step(request, &transaction(request), login, remembered), expected, "case {n}");
    }
}

#[test]
fn t08_a_transaction_is_of_the_browser_that_began_it_and_of_no_other() {
    let begun = transaction(&request("dice"));
    let of = |browser: &str| Transaction::clone(&begun).of_browser(&TokenHash::of(browser));
    assert_eq!(of("browser"), Some(begun.clone()));
    assert_eq!([of("another"), of("")], [None, None]);
}

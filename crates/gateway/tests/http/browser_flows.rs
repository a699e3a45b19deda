//! What a browser can be made to do on the way: answers at the wrong place, codes without a person,
//! links that open programs, names that hide something.

use portunus_core::{
    Clock as _,
    ids::{ClientId, TransactionId},
    oauth::registration_policy::{Family, RegistrationPolicy},
    secret::TokenHash,
};
use portunus_testkit::{
    agent::{Agent, Cookie, OAuthClient, Page, Request},
    hostile_hosts::{Behaviour, HostileHosts},
    okta::{Endpoint, Options},
};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

use crate::fixture::{GatewayFixture, Setup};

async fn client_at(fixture: &GatewayFixture, redirect_uri: &str) -> OAuthClient {
    let metadata = json!({"client_name": "Acme Editor", "redirect_uris": [redirect_uri]});
    OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await
}

/// Walks to the provider of this label and back, and stops before the callback at `path`.
async fn answer(fixture: &GatewayFixture, browser: &Agent, label: &str, path: &str) -> Url {
    browser.stop_at(&fixture.at(path));
    let client = fixture.client("/mcp").await;
    let consent = client.begin(browser, &client.authorization()).await.page();
    let choice = consent.form("/auth/consent").submit([("decision", "allow")]).await.page();
    choice.click(label).await.returned().url
}

fn with(url: &Url, name: &str, value: Option<&str>) -> String {
    let mut url = url.clone();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(pairs)
        .extend_pairs(value.map(|value| (name, value)));
    url.to_string()
}

fn find(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// Is the request to the provider still in the store?
async fn is_kept(fixture: &GatewayFixture, answer: &Url) -> bool {
    let state = TokenHash::of(&find(answer, "state"));
    fixture
        .stores()
        .transactions
        .find_provider_request(&state, fixture.clock.now())
        .await
        .unwrap()
        .is_some()
}

#[tokio::test]
async fn t54_an_answer_is_taken_at_the_callback_of_its_own_request_alone() {
    let fixture = GatewayFixture::of(Setup { partner: true, ..Setup::default() }).await;
    let (browser, attacker) = (fixture.browser(), fixture.browser());
    let own = answer(&fixture, &browser, "Acme okta", "/auth/callback/okta").await;
    let others = answer(&fixture, &attacker, "Acme partner", "/auth/callback/partner").await;
    let injected = with(&own, "code", Some(&find(&others, "code")));
    for path in [
        "/auth/callback",
        "/auth/callback/partner",
        "/auth/callback/OKTA",
        "/auth/callback/okta%2f",
    ] {
        for url in [own.as_str(), &injected] {
            browser.send(Request::get(&url.replace("/auth/callback/okta", path))).await.expect(400);
        }
    }
    assert!(browser.cookie("_login").is_none());
    assert!(is_kept(&fixture, &own).await, "nothing was used up");
    browser.send(Request::get(own.as_str())).await.expect(303);
    assert!(browser.cookie("_login").is_some());
    assert!(!is_kept(&fixture, &own).await);
    fixture.close().await;
}

#[tokio::test]
async fn t54_two_providers_at_one_callback_say_whose_answer_it_is() {
    let shared = |sends_iss| Setup {
        okta: Options { sends_iss, ..Options::default() },
        partner: true,
        callback: "/auth/callback",
        partner_callback: "/auth/callback",
        ..Setup::default()
    };
    let fixture = GatewayFixture::of(shared(true)).await;
    let browser = fixture.browser();
    let own = answer(&fixture, &browser, "Acme okta", "/auth/callback").await;
    let partner = fixture.okta.org_issuer();
    for iss in [Some(partner.as_str()), Some(""), Some("https://evil.example"), None] {
        browser.send(Request::get(&with(&own, "iss", iss))).await.expect(400);
        assert!(browser.cookie("_login").is_none() && is_kept(&fixture, &own).await, "{iss:?}");
    }
    assert_eq!(fixture.okta.count(Endpoint::Token), 0, "no code was sent to any of them");
    browser.send(Request::get(own.as_str())).await.expect(303);
    assert!(browser.cookie("_login").is_some());
    fixture.close().await;

    let fixture = GatewayFixture::of(shared(false)).await;
    let browser = fixture.browser();
    let own = answer(&fixture, &browser, "Acme okta", "/auth/callback").await;
    browser.send(Request::get(own.as_str())).await.expect(400);
    assert!(browser.cookie("_login").is_none() && is_kept(&fixture, &own).await);
    assert_eq!(fixture.okta.count(Endpoint::Token), 0);
    fixture.close().await;
}

#[tokio::test]
async fn t57_a_scheme_does_not_pass_for_a_host() {
    let family = Family {
        name: "claude".to_owned(),
        redirect_hosts: vec!["claude.ai".to_owned()],
        registration: Some(true),
        ..Family::default()
    };
    let clients = portunus::config::ClientsConfig {
        registration_policy: RegistrationPolicy {
            registration: false,
            families: vec![family],
            ..RegistrationPolicy::default()
        },
        ..portunus::config::ClientsConfig::default()
    };
    let fixture = GatewayFixture::of(Setup { clients, ..Setup::default() }).await;
    let agent = fixture.browser();
    let posing = [
        "com.evil.app://claude.ai/cb",
        "cursor://claude.ai/cb",
        "com.evil.app:/claude.ai",
        "com.evil.app://claude.ai:443/",
    ];
    for uri in posing {
        agent
            .send(Request::json(&fixture.at("/auth/register"), &json!({"redirect_uris": [uri]})))
            .await
            .expect(403);
    }
    agent
        .send(Request::json(
            &fixture.at("/auth/register"),
            &json!({"redirect_uris": ["https://claude.ai/cb"]}),
        ))
        .await
        .expect(201);
    assert_eq!(fixture.stores().clients.count_unused_clients().await.unwrap(), 1);
    fixture.close().await;

    let fixture = GatewayFixture::start().await;
    for uri in posing {
        let client = client_at(&fixture, uri).await;
        let page =
            client.begin(&fixture.browser(), &client.authorization()).await.page().expect(200);
        let scheme = uri.split(':').next().unwrap();
        assert!(page.body.contains(&format!("<strong>{scheme}:</strong>")), "{page:?}");
        assert!(!page.body.contains("<strong>claude.ai"), "{page:?}");
        assert!(page.text().contains("on your own computer"), "{page:?}");
    }
    fixture.close().await;
}

/// The short question.
#[track_caller]
fn asks_to_continue(page: &Page) {
    assert!(
        page.text().contains("Continue with")
            && page.text().contains("You allowed this application"),
        "{page:?}"
    );
    assert!(page.header("location").is_empty() && page.header("refresh").is_empty(), "{page:?}");
}

#[tokio::test]
async fn t58_a_remembered_consent_gives_no_local_program_a_code_by_itself() {
    let fixture = GatewayFixture::start().await;
    for uri in
        ["http://127.0.0.1:7777/callback", "http://localhost:4711/cb", "https://localhost/cb"]
    {
        let (client, browser) = (client_at(&fixture, uri).await, fixture.browser());
        client.connect(&browser).await;
        // Another program opens the browser, on another port: it gets a page, and no code.
        let page = client.begin(&browser, &client.authorization()).await.page().expect(200);
        asks_to_continue(&page);
        assert!(page.text().contains("Alice Example") && page.text().contains(uri), "{page:?}");
        let transaction = TransactionId::from_text(page.form("/auth/consent").value("transaction"));
        let kept = fixture
            .stores()
            .transactions
            .find_transaction(&transaction, fixture.clock.now())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.consented_at, None);

        let silent =
            client.begin(&browser, &client.authorization().with("prompt", "none")).await.returned();
        assert_eq!(
            (silent.find("error").as_deref(), silent.find("code")),
            (Some("interaction_required"), None)
        );

        let denied = page.form("/auth/consent").submit([("decision", "deny")]).await.returned();
        assert_eq!(denied.find("error").as_deref(), Some("access_denied"));
        let more = client.authorization().with("scope", "mcp offline_access");
        let page = client.begin(&browser, &more).await.page();
        assert!(
            page.text().contains("to act as you?"),
            "more than was allowed is the whole question: {page:?}"
        );

        let authorization = client.authorization();
        let page = client.begin(&browser, &authorization).await.page();
        asks_to_continue(&page);
        let code =
            page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
        client.tokens(client.redeem(&authorization, &code).await);
    }
    fixture.close().await;
}

#[tokio::test]
async fn t58_a_scheme_of_a_programs_own_is_a_local_program() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (client_at(&fixture, "com.example.app:/cb").await, fixture.browser());
    let page = browser.open(client.authorization().url().as_str()).await.page();
    page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
    let page = browser.open(client.authorization().url().as_str()).await.page().expect(200);
    asks_to_continue(&page);
    assert!(page.text().contains("com.example.app:"), "{page:?}");
    let silent = browser
        .open(client.authorization().with("prompt", "none").url().as_str())
        .await
        .page()
        .expect(400);
    assert!(silent.links().is_empty() && silent.header("location").is_empty(), "{silent:?}");
    let opened =
        page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
    assert!(opened.header("refresh").starts_with("0;url=com.example.app:/cb?code="), "{opened:?}");
    browser.keep_secret(
        opened.header("refresh").split("code=").nth(1).unwrap().split('&').next().unwrap(),
    );
    fixture.close().await;
}

#[tokio::test]
async fn t58_what_proves_itself_or_is_on_the_web_is_not_asked_about_again() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let cases = [
        json!({"redirect_uris": ["https://app.example/cb", "http://127.0.0.1:7777/callback"]}),
        json!({"redirect_uris": ["http://127.0.0.1:7777/callback"], "token_endpoint_auth_method": "client_secret_basic"}),
    ];
    for metadata in cases {
        let client =
            OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata.clone())
                .await;
        client.connect(&browser).await;
        let again = client.authorization();
        let code = client.begin(&browser, &again).await.returned().code();
        client.tokens(client.redeem(&again, &code).await);
        client
            .begin(&browser, &client.authorization().with("prompt", "none"))
            .await
            .returned()
            .code();
    }
    // The same client at its other address: what counts is the address of the request.
    let metadata =
        json!({"redirect_uris": ["https://app.example/cb", "http://127.0.0.1:7777/callback"]});
    let mut client =
        OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    client.connect(&browser).await;
    client.redirect_uri = "http://127.0.0.1:7777/callback".to_owned();
    asks_to_continue(&client.begin(&browser, &client.authorization()).await.page());
    fixture.close().await;
}

#[tokio::test]
async fn t58_t66_a_client_in_a_document_is_held_to_the_same_rules() {
    let hosts = Arc::new(HostileHosts::start().await);
    let fixture =
        GatewayFixture::of(Setup { hostile_hosts: Some(Arc::clone(&hosts)), ..Setup::default() })
            .await;
    let document = |id: &str, redirect_uri: &str| json!({"client_id": id, "client_name": "Documented", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"});
    let (honest, bad) =
        ("https://app.hosts.example/client.json", "https://app.hosts.example/bad.json");
    hosts.serve(honest, Behaviour::honest(document(honest, "http://127.0.0.1:7777/callback")));
    hosts.serve(bad, Behaviour::honest(document(bad, "https:evil.example")));
    let registered = fixture.client("/mcp").await;
    let documented =
        OAuthClient { id: honest.to_owned(), registration: Value::Null, ..registered.clone() };
    let browser = fixture.browser();
    documented.connect(&browser).await;
    asks_to_continue(&documented.begin(&browser, &documented.authorization()).await.page());
    let refused = OAuthClient { id: bad.to_owned(), ..documented };
    let page = refused
        .begin(&browser, &refused.authorization().with("redirect_uri", "https:evil.example"))
        .await
        .page();
    assert_eq!((page.status.as_u16(), page.links().len()), (400, 0), "{page:?}");
    assert!(page.text().contains("redirect_uris[0]"), "{page:?}");
    fixture.close().await;
}

/// A page that leads nowhere and opens nothing.
#[track_caller]
fn opens_nothing(page: &Page) {
    assert!(page.header("location").is_empty() && page.header("refresh").is_empty(), "{page:?}");
    // Back to the gateway's own pages is the one way there may be.
    assert!(page.links().iter().all(|(_, href)| href.starts_with("/auth/")), "{page:?}");
    let body = page.body.to_lowercase();
    assert!(
        !body.contains("href=\"cursor")
            && !body.contains("href=\"vscode")
            && !body.contains("href=\"com."),
        "{page:?}"
    );
    assert!(
        page.text().contains("Nothing was allowed") && page.text().contains("close this window"),
        "{page:?}"
    );
}

#[tokio::test]
async fn t59_a_no_and_a_mistake_open_no_program() {
    let fixture = GatewayFixture::start().await;
    let links = [
        "cursor://anysphere.cursor-deeplink/mcp/install?name=evil&config=e30",
        "cursor://anysphere.cursor-mcp/oauth/callback?then=x",
        "vscode://file/etc/passwd",
        "vscode-insiders://vscode.git/clone?url=https://evil.example/x.git",
        "windsurf://codeium.windsurf/openChat",
        "com.example.app:/delete-everything",
    ];
    for link in links {
        let (client, browser) = (client_at(&fixture, link).await, fixture.browser());
        let begin = async |request: portunus_testkit::agent::Authorization| {
            browser.open(request.url().as_str()).await.page()
        };
        let page = begin(client.authorization()).await;
        let form = page.form("/auth/consent");
        let denied = form.submit([("decision", "deny")]).await.page().expect(200);
        opens_nothing(&denied);
        assert!(denied.text().contains("Acme Editor"), "{denied:?}");
        let transaction = TransactionId::from_text(form.value("transaction"));
        let kept = fixture
            .stores()
            .transactions
            .find_transaction(&transaction, fixture.clock.now())
            .await
            .unwrap();
        assert!(kept.is_none(), "the question is answered");

        opens_nothing(&begin(client.authorization().with("scope", "a\"b")).await.expect(400));
        let silent = begin(client.authorization().with("prompt", "none")).await.expect(400);
        assert!(silent.links().is_empty() && silent.header("location").is_empty(), "{silent:?}");
        fixture.okta.refuse_next("access_denied", "no");
        let page = begin(client.authorization()).await;
        opens_nothing(
            &page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(403),
        );
    }
    assert_eq!(fixture.grants("alice").await, 0);

    // The callback of a known editor is told, as every address on the web is.
    let client = client_at(&fixture, "cursor://anysphere.cursor-mcp/oauth/callback").await;
    let browser = fixture.browser();
    let authorization = client.authorization();
    let page = client.begin(&browser, &authorization).await.page();
    let told = page.form("/auth/consent").submit([("decision", "deny")]).await.returned();
    authorization.check(&told, &client.discovery);
    assert_eq!(told.find("error").as_deref(), Some("access_denied"));
    fixture.close().await;
}

const HIDDEN: [char; 8] =
    ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{ad}', '\u{e0041}', '\u{feff}', '\u{9b}'];

#[tokio::test]
async fn t64_no_page_shows_what_cannot_be_seen() {
    let fixture = GatewayFixture::start().await;
    let visible: String = HIDDEN.iter().filter(|c| !c.is_control()).collect();
    let metadata = json!({"client_name": format!("Ev{visible}il"), "redirect_uris": ["https://app.example/cb"]});
    let client = OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    let mut person =
        portunus_testkit::okta::Person::new("mallory", &[&format!("Every{visible}one")]);
    person.name = format!("Mal{visible}lory");
    person.email = format!("mal{visible}@acme.example");
    fixture.okta.put_person(person);
    fixture.okta.sign_in_as("mallory");
    let browser = fixture.browser();
    let begin = async |request: portunus_testkit::agent::Authorization| {
        client.begin(&browser, &request).await.page()
    };
    let mut pages = vec![
        begin(client.authorization()).await.expect(200),
        begin(client.authorization().with("scope", "a\"b")).await.expect(400),
        begin(client.authorization().with("prompt", "none")).await.expect(400),
    ];
    let authorization = client.authorization();
    let returned = client.authorize(&browser, &authorization).await;
    client.tokens(client.redeem(&authorization, &returned.code()).await);
    pages.push(begin(client.authorization().with("prompt", "consent")).await.expect(200));
    pages.push(browser.open(&fixture.at("/")).await.page().expect(200));
    for page in &pages {
        assert!(!page.body.contains(HIDDEN), "{page:?}");
    }
    assert!(pages.iter().filter(|page| page.text().contains("Evil")).count() >= 4);
    assert!(pages.last().unwrap().text().contains("Mallory"), "{:?}", pages.last());

    fixture.okta.refuse_next("access_denied", &format!("not{visible}today"));
    let other = fixture.browser();
    let page = client.begin(&other, &client.authorization()).await.page();
    let refused =
        page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(403);
    assert!(!refused.body.contains(HIDDEN), "{refused:?}");
    let log = fixture.log.text();
    assert!(log.contains("nottoday"), "what the provider said, as it can be seen");
    fixture.close().await;
}

#[tokio::test]
async fn t66_what_browsers_read_otherwise_is_not_registered() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    let bad = [
        "https:evil.example",
        "https:/evil.example",
        "https:///",
        "https:///evil.example/cb",
        "https://@",
        "https://@evil.example/cb",
        "https://",
        "https://b\u{fc}cher.example/cb",
        "https://app.example/\u{202e}bc",
        "https:\\\\evil.example",
        "https://app.example\\@evil.example/",
        "https://app.example/a\tb",
        "https://app.example/a\nb",
        " https://app.example/cb",
        "HTTPS://app.example/cb",
        "https://APP.example/cb",
        "https://%61pp.example/cb",
        "https://app.example./cb",
        "https://app.example:/cb",
        "https://app.example:99999/cb",
        "https://app.example/../cb",
        "https://2130706433/cb",
        "http:localhost",
        "http:/localhost/cb",
        "http://localhost.:1/cb",
        "http://user@localhost:1/cb",
        "Com.Example.App:/cb",
        "com.example.app:cb",
    ];
    for uri in bad {
        for uris in [json!([uri]), json!(["https://app.example/cb", uri])] {
            let answer = agent
                .send(Request::json(&fixture.at("/auth/register"), &json!({"redirect_uris": uris})))
                .await
                .expect(400);
            assert_eq!(answer.error(), "invalid_redirect_uri", "{uri}");
        }
    }
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        0,
        "nothing was kept"
    );
    let client = client_at(&fixture, "https://app.example/cb").await;
    for presented in [
        "HTTPS://app.example/cb",
        "https:app.example/cb",
        "https://app.example/%63b",
        "https://app.example/./cb",
    ] {
        let page = client
            .begin(&fixture.browser(), &client.authorization().with("redirect_uri", presented))
            .await
            .page();
        assert_eq!((page.status.as_u16(), page.links().len()), (400, 0), "{presented}: {page:?}");
    }
    let kept = fixture
        .stores()
        .clients
        .find_client(&ClientId::from_text(&client.id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.redirect_uris.len(), 1);
    fixture.close().await;
}

#[tokio::test]
async fn t72_a_stranger_with_the_state_ends_nobodys_sign_in() {
    let fixture = GatewayFixture::of(Setup { partner: true, ..Setup::default() }).await;
    let (victim, stranger) = (fixture.browser(), fixture.browser());
    let own = answer(&fixture, &victim, "Acme okta", "/auth/callback/okta").await;
    let _ = answer(&fixture, &stranger, "Acme okta", "/auth/callback/okta").await;
    let state = |agent: &Agent| {
        agent.cookies().into_iter().find(|cookie| cookie.name.contains("state")).unwrap()
    };
    let (of_victim, of_stranger) = (state(&victim), state(&stranger));
    // With no cookie, a made-up one, one of the stranger's own under the victim's name, and with
    // the victim's but in another browser.
    let made_up = Cookie { value: "ptn_br_made-up".to_owned(), ..of_victim.clone() };
    let own_value = Cookie { value: of_stranger.value, ..of_victim.clone() };
    stranger.send(Request::get(own.as_str())).await.expect(400);
    for cookie in [made_up, own_value, of_victim] {
        stranger.plant(cookie);
        for url in [
            own.to_string(),
            with(&own, "code", Some("made-up")),
            with(&own, "error", Some("access_denied")),
        ] {
            stranger.send(Request::get(&url)).await.expect(400);
        }
        assert!(is_kept(&fixture, &own).await, "nothing was taken out");
    }
    let bare = fixture.browser();
    bare.plant(Cookie {
        name: "portunus_browser".to_owned(),
        ..stranger.cookie("_browser").unwrap()
    });
    bare.send(Request::get(own.as_str())).await.expect(400);
    assert!(stranger.cookie("_login").is_none() && bare.cookie("_login").is_none());
    assert_eq!(fixture.okta.count(Endpoint::Token), 0, "no code was sent to the provider");

    victim.send(Request::get(own.as_str())).await.expect(303);
    assert!(victim.cookie("_login").is_some(), "the sign-in comes to its end");
    // And once: of many at the same time one is taken.
    assert!(!is_kept(&fixture, &own).await);
    let again = victim.send(Request::get(own.as_str())).await.expect(303);
    assert!(
        again.location().as_str().contains("/auth/authorize?transaction="),
        "nothing of the answer is used again (FB02)"
    );
    assert_eq!(fixture.okta.count(Endpoint::Token), 1);
    fixture.close().await;
}

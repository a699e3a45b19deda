//! Client registration and its management (RFC 7591, RFC 7592), and the settings that close it.
//! What a registration may contain is next door, in [`super::registration`].

use http::Method;
use insta::assert_snapshot;
use portunus::config::ClientsConfig;
use portunus_core::{
    Clock as _,
    oauth::registration_policy::{Family, RegistrationPolicy},
};
use portunus_testkit::agent::{Agent, OAuthClient, Page, Request};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

/// A client's registration as it was told of it.
struct Registration {
    agent: Agent,
    told: Value,
    token: String,
    uri: String,
}

impl Registration {
    async fn of(fixture: &GatewayFixture, metadata: Value) -> Self {
        let agent = fixture.browser();
        let told = agent
            .send(Request::json(&fixture.at("/auth/register"), &metadata))
            .await
            .expect(201)
            .json();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let (token, uri) = (text("registration_access_token"), text("registration_client_uri"));
        for secret in ["registration_access_token", "client_secret"] {
            if let Some(secret) = told[secret].as_str() {
                agent.keep_secret(secret);
            }
        }
        assert_eq!(uri, fixture.at(&format!("/auth/register/{}", text("client_id"))));
        Self { agent, told, token, uri }
    }

    /// What was told of it, with names in place of what was made for it.
    fn shown(&self, fixture: &GatewayFixture, told: &Value) -> String {
        let made = ["client_id", "client_secret", "registration_access_token"];
        made.into_iter().fold(fixture.members(told), |text, name| {
            text.replace(self.told[name].as_str().unwrap(), &format!("{{{name}}}"))
        })
    }

    async fn send(&self, method: Method, body: Option<&Value>) -> Page {
        let mut request = Request::new(method, &self.uri).bearer(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.agent.send(request).await
    }
}

fn metadata() -> Value {
    json!({
        "client_name": "Wiki", "redirect_uris": ["https://wiki.example/cb"], "scope": "mcp",
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "client_secret_basic"
    })
}

#[tokio::test]
async fn a_registration_is_read_and_changed() {
    let fixture = GatewayFixture::start().await;
    let registration = Registration::of(&fixture, metadata()).await;
    assert_snapshot!(registration.shown(&fixture, &registration.told), @r#"
    client_id: "{client_id}"
    client_id_issued_at: 1790000000
    client_secret: "{client_secret}"
    client_secret_expires_at: 0
    registration_access_token: "{registration_access_token}"
    registration_client_uri: "{gateway}/auth/register/{client_id}"
    redirect_uris: ["https://wiki.example/cb"]
    token_endpoint_auth_method: "client_secret_basic"
    grant_types: ["authorization_code","refresh_token"]
    response_types: ["code"]
    application_type: "web"
    client_name: "Wiki"
    scope: "mcp"
    "#);
    let read = registration.send(Method::GET, None).await.expect(200);
    assert_eq!(read.header("cache-control"), "no-store");
    let mut expected = registration.told.clone();
    for shown_once in ["client_secret", "client_secret_expires_at"] {
        assert!(expected.as_object_mut().unwrap().remove(shown_once).is_some());
    }
    assert_eq!(read.json(), expected);

    let id = &registration.told["client_id"];
    let new = json!({
        "client_id": id, "client_name": "Wiki 2", "redirect_uris": ["https://wiki.example/cb2"],
        "token_endpoint_auth_method": "client_secret_basic", "client_secret": registration.told["client_secret"]
    });
    let changed = registration.send(Method::PUT, Some(&new)).await.expect(200).json();
    // What was left out is taken away: the scope, and a kind of grant.
    assert_snapshot!(registration.shown(&fixture, &changed), @r#"
    client_id: "{client_id}"
    client_id_issued_at: 1790000000
    client_secret: "{client_secret}"
    client_secret_expires_at: 0
    registration_access_token: "{registration_access_token}"
    registration_client_uri: "{gateway}/auth/register/{client_id}"
    redirect_uris: ["https://wiki.example/cb2"]
    token_endpoint_auth_method: "client_secret_basic"
    grant_types: ["authorization_code"]
    response_types: ["code"]
    application_type: "web"
    client_name: "Wiki 2"
    "#);
    let mut read = registration.send(Method::GET, None).await.expect(200).json();
    for (name, value) in
        [("client_secret", &changed["client_secret"]), ("client_secret_expires_at", &json!(0))]
    {
        read[name] = value.clone();
    }
    assert_eq!(read, changed);

    let refused = registration.send(Method::PUT, Some(&metadata())).await.expect(400);
    assert_snapshot!(fixture.shown(&refused), @r#"
    400 Bad Request
    cache-control: no-store
    content-type: application/json

    {"error":"invalid_client_metadata","error_description":"client_id must be sent, and cannot change"}
    "#);
    let request = Request::new(Method::PUT, &registration.uri)
        .bearer(&registration.token)
        .body(new.to_string());
    registration.agent.send(request).await.expect(415);
    fixture.close().await;
}

#[tokio::test]
async fn a_deleted_client_is_gone_with_all_it_was_given() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let (other, _, others) = fixture.connect("/mcp").await;
    let told = |name: &str| client.registration[name].as_str().unwrap().to_owned();
    let (uri, token) = (told("registration_client_uri"), told("registration_access_token"));
    let works = |token: String| {
        let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(&token);
        let agent = fixture.browser();
        async move { agent.send(request).await.status.as_u16() }
    };
    assert_eq!(works(tokens.access.clone()).await, 200);
    let delete = || Request::new(Method::DELETE, &uri).bearer(&token).without_cookies();
    let gone = fixture.browser().send(delete()).await.expect(204);
    assert_eq!((gone.body.as_str(), gone.header("cache-control")), ("", "no-store"));

    assert_eq!(works(tokens.access.clone()).await, 401, "at once");
    assert_eq!(works(others.access.clone()).await, 200, "another client's token");
    assert_eq!(client.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    assert_eq!(fixture.grants("alice").await, 1);
    let page = client.begin(&browser, &client.authorization()).await.page();
    assert_eq!(page.status.as_u16(), 400, "{page:?}");
    fixture.browser().send(delete()).await.expect(401);
    other.tokens(other.refresh(others.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t22_a_registration_opens_to_its_own_token_only() {
    let fixture = GatewayFixture::start().await;
    let (own, other) = (
        Registration::of(&fixture, metadata()).await,
        Registration::of(&fixture, metadata()).await,
    );
    let (_, _, tokens) = fixture.connect("/mcp").await;
    let unknown =
        fixture.at("/auth/register/ptn_client_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let secret = own.told["client_secret"].as_str().unwrap();
    let cut = &own.token[..own.token.len() - 1];
    let cases = [
        (own.uri.as_str(), format!("Bearer {}", other.token)),
        (&own.uri, format!("Bearer {cut}")),
        (&own.uri, format!("Bearer {}x", own.token)),
        (&own.uri, format!("Bearer {secret}")),
        (&own.uri, format!("Bearer {}", tokens.access)),
        (&own.uri, format!("Basic {}", own.token)),
        (&own.uri, String::new()),
        (&unknown, format!("Bearer {}", own.token)),
    ];
    let agent = fixture.browser();
    let mut answers = Vec::new();
    for (uri, value) in cases {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let mut request = Request::new(method, uri)
                .header("content-type", "application/json")
                .body(metadata().to_string());
            if !value.is_empty() {
                request = request.header("authorization", &value);
            }
            answers.push(fixture.shown(&agent.send(request).await));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "nobody learns why: {answers:#?}");
    assert_snapshot!(answers[0], @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer error="invalid_token"

    {"error":"invalid_token","error_description":"the registration access token is not valid for this client"}
    "#);
    let twice = Request::get(&own.uri).bearer(&own.token).bearer(&own.token);
    agent.send(twice).await.expect(401);
    assert_eq!(own.send(Method::GET, None).await.expect(200).json()["client_name"], "Wiki");
    fixture.close().await;
}

fn fixture_with(registration_policy: RegistrationPolicy) -> Setup {
    Setup {
        clients: ClientsConfig { registration_policy, ..ClientsConfig::default() },
        ..Setup::default()
    }
}

async fn server_metadata(fixture: &GatewayFixture) -> Value {
    fixture
        .browser()
        .send(Request::get(&fixture.at("/.well-known/oauth-authorization-server")))
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn registration_can_be_switched_off() {
    let mut fixture = GatewayFixture::start().await;
    let (client, browser, _) = fixture.connect("/mcp").await;
    let registration = Registration::of(&fixture, metadata()).await;
    assert_eq!(
        server_metadata(&fixture).await["registration_endpoint"],
        fixture.at("/auth/register")
    );
    fixture.stop().await;
    fixture.config.clients.registration_policy.registration = false;
    fixture.restart().await;

    assert!(server_metadata(&fixture).await.get("registration_endpoint").is_none());
    for path in ["/auth/register", "/register"] {
        let refused =
            fixture.browser().send(Request::json(&fixture.at(path), &metadata())).await.expect(403);
        assert_eq!(refused.error(), "access_denied");
    }
    client.connect(&browser).await;
    let mut new = metadata();
    new["client_id"] = registration.told["client_id"].clone();
    let refused = registration.send(Method::PUT, Some(&new)).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    403 Forbidden
    cache-control: no-store
    content-type: application/json

    {"error":"access_denied","error_description":"registration is switched off here; ask the administrator of this gateway for a client_id"}
    "#);
    registration.send(Method::GET, None).await.expect(200);
    registration.send(Method::DELETE, None).await.expect(204);
    fixture.close().await;
}

#[tokio::test]
async fn a_family_can_be_kept_out_or_let_in() {
    let cursor = |registration| Family {
        name: "Cursor".to_owned(),
        client_name: Some("Cursor".to_owned()),
        redirect_schemes: vec!["cursor".to_owned()],
        registration: Some(registration),
        ..Family::default()
    };
    let of_cursor =
        json!({"client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/cb"]});
    let mut pretended = metadata();
    pretended["client_name"] = json!("Cursor");
    let kept_out =
        RegistrationPolicy { families: vec![cursor(false)], ..RegistrationPolicy::default() };
    let alone = RegistrationPolicy {
        registration: false,
        families: vec![cursor(true)],
        ..RegistrationPolicy::default()
    };
    for (ways, statuses) in [(kept_out, [403, 201, 403]), (alone, [201, 403, 403])] {
        let fixture = GatewayFixture::of(fixture_with(ways)).await;
        assert_eq!(
            server_metadata(&fixture).await["registration_endpoint"],
            fixture.at("/auth/register")
        );
        for (metadata, status) in [&of_cursor, &metadata(), &pretended].into_iter().zip(statuses) {
            fixture
                .browser()
                .send(Request::json(&fixture.at("/auth/register"), metadata))
                .await
                .expect(status);
        }
        fixture.close().await;
    }
}

#[tokio::test]
async fn fb13_an_application_with_a_scheme_of_its_own_signs_people_in() {
    let mut ways = RegistrationPolicy::default();
    ways.redirect_schemes.add("acme-editor").unwrap();
    ways.redirect_schemes.remove("windsurf").unwrap();
    let mut fixture = GatewayFixture::of(fixture_with(ways)).await;
    let register = async |fixture: &GatewayFixture, uri: &str| {
        let metadata = json!({"client_name": "Editor", "redirect_uris": [uri]});
        fixture.browser().send(Request::json(&fixture.at("/auth/register"), &metadata)).await
    };
    for uri in ["windsurf://codeium.windsurf/callback", "other-editor://cb"] {
        let refused = register(&fixture, uri).await.expect(400);
        assert_eq!(refused.error(), "invalid_redirect_uri");
        assert!(
            refused.text().contains("clients.redirect_schemes"),
            "the setting is named: {}",
            refused.text()
        );
    }
    let mut registered = Vec::new();
    for scheme in ["warp", "kiro", "acme-editor"] {
        let (agent, browser) = (fixture.browser(), fixture.browser());
        let metadata =
            json!({"client_name": "Editor", "redirect_uris": [format!("{scheme}://mcp/callback")]});
        let client = OAuthClient::register_as(&agent, &fixture.at("/mcp"), metadata).await;
        let authorization = client.authorization();
        let asked = browser.open(authorization.url().as_str()).await.page();
        assert!(
            asked.text().contains(&format!("{scheme}:")),
            "shown as what it is: {}",
            asked.text()
        );
        let page =
            asked.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
        let links = page.links();
        let (_, href) = links
            .iter()
            .find(|(_, href)| href.starts_with(&format!("{scheme}://mcp/callback?")))
            .expect("a link");
        let code =
            href.split_once("code=").and_then(|(_, rest)| rest.split('&').next()).expect("a code");
        agent.keep_secret(code);
        client.tokens(client.redeem(&authorization, code).await);
        registered.push((client, browser));
    }

    // A scheme that is allowed no more: no browser is sent there, though it was registered.
    let schemes = &mut fixture.config.clients.registration_policy.redirect_schemes;
    schemes.remove("acme-editor").unwrap();
    fixture.stop().await;
    fixture.restart().await;
    for ((client, browser), expected) in registered.iter().zip([200, 200, 400]) {
        browser.open(client.authorization().url().as_str()).await.page().expect(expected);
    }
    fixture.close().await;
}

#[tokio::test]
async fn t25_clients_that_are_never_used_are_few_and_go() {
    let clients = ClientsConfig { max_unused: 3, ..ClientsConfig::default() };
    let fixture = GatewayFixture::of(Setup { clients, ..Setup::default() }).await;
    let agent = fixture.browser();
    let register = || agent.send(Request::json(&fixture.at("/auth/register"), &metadata()));
    let (client, ..) = fixture.connect("/mcp").await;
    for _ in 0..3 {
        register().await.expect(201);
    }
    // One more is let in, and the oldest of them goes.
    register().await.expect(201);
    assert_eq!(fixture.stores().clients.count_unused_clients().await.unwrap(), 3);
    let later = fixture.clock.now()
        + fixture.config.lifetimes.unused_client
        + std::time::Duration::from_secs(1);
    fixture
        .stores()
        .upkeep
        .purge(later, later - fixture.config.lifetimes.unused_client)
        .await
        .unwrap();
    assert_eq!(fixture.stores().clients.count_unused_clients().await.unwrap(), 0);
    let kept = fixture.stores().clients.list_clients(10).await.unwrap();
    assert_eq!(
        kept.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(),
        [client.id.as_str()],
        "the used one stays"
    );
    register().await.expect(201);
    fixture.close().await;
}

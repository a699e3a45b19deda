//! Clients that live in documents on the web, and what a document, or a name, can make the gateway
//! do (threats 26, 27, 29). The fetcher alone is tested with more behaviours of hosts, beside it.

use std::{sync::Arc, time::Duration};

use portunus_testkit::{
    agent::{Discovery, Landing, OAuthClient, Page},
    hostile_hosts::{Behaviour, HostileHosts},
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const ID: &str = "https://app.hosts.example/client.json";
const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";

fn document(id: &str) -> Value {
    json!({
        "client_id": id,
        "client_name": "Metadata app",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    })
}

async fn fixture() -> (GatewayFixture, Arc<HostileHosts>) {
    let hosts = Arc::new(HostileHosts::start().await);
    let fixture =
        GatewayFixture::of(Setup { hostile_hosts: Some(Arc::clone(&hosts)), ..Setup::default() })
            .await;
    (fixture, hosts)
}

/// A client that did not register: its id is where its document is.
async fn client(fixture: &GatewayFixture, id: &str) -> OAuthClient {
    let agent = fixture.browser();
    OAuthClient {
        discovery: Discovery::of(&agent, &fixture.at("/mcp")).await,
        agent,
        id: id.to_owned(),
        secret: None,
        auth_method: "none".to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
        registration: Value::Null,
    }
}

/// The page that the client's authorization request ends at.
async fn begin(fixture: &GatewayFixture, client: &OAuthClient) -> Page {
    match client.begin(&fixture.browser(), &client.authorization()).await {
        Landing::Page(page) => page,
        Landing::Client(returned) => panic!("{}", returned.url),
    }
}

#[tokio::test]
async fn a_client_in_a_document_signs_people_in() {
    let (fixture, hosts) = fixture().await;
    hosts.serve(ID, Behaviour::honest(document(ID)));
    let client = client(&fixture, ID).await;
    assert_eq!(client.discovery.server["client_id_metadata_document_supported"], true);
    let page = begin(&fixture, &client).await.expect(200);
    assert!(page.text().contains("Metadata app") && page.text().contains(ID), "{}", page.text());

    let browser = fixture.browser();
    let tokens = client.connect(&browser).await;
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(hosts.requests(), [ID], "one fetch serves while it is fresh");
    let front = browser.open(&fixture.at("/")).await.page().expect(200);
    assert!(front.text().contains("app.hosts.example"), "{}", front.text());

    let grants = fixture.grants_of("alice").await;
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].client.as_str(), ID);
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        0,
        "it is not stored"
    );
    client.send("revocation_endpoint", [("token", tokens.refresh())]).await.expect(200);
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn a_document_that_changed_is_what_counts() {
    let (fixture, hosts) = fixture().await;
    let headers = vec![("cache-control", "max-age=300".to_owned())];
    hosts.serve(ID, Behaviour::Honest(document(ID), headers.clone()));
    let client = client(&fixture, ID).await;
    let tokens = client.connect(&fixture.browser()).await;

    let mut changed = document(ID);
    changed["redirect_uris"] = json!(["http://127.0.0.1:8888/elsewhere"]);
    hosts.serve(ID, Behaviour::Honest(changed.clone(), headers.clone()));
    fixture.clock.advance(Duration::from_secs(300));
    begin(&fixture, &client).await.expect(400);

    // The same goes for how it proves itself: a client with the refresh token alone has nothing.
    changed["token_endpoint_auth_method"] = json!("private_key_jwt");
    changed["jwks_uri"] = json!("https://app.hosts.example/jwks.json");
    hosts.serve(ID, Behaviour::Honest(changed, headers));
    fixture.clock.advance(Duration::from_secs(300));
    assert_eq!(client.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}

#[tokio::test]
async fn a_document_that_is_away_is_not_a_client_that_is_gone() {
    let (fixture, hosts) = fixture().await;
    hosts.serve(ID, Behaviour::honest(document(ID)));
    let client = client(&fixture, ID).await;
    let tokens = client.connect(&fixture.browser()).await;
    fixture.clock.advance(Duration::from_secs(600));
    hosts.serve(ID, Behaviour::HangsUp);
    // For a day the copy of before does (threat 55).
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    fixture.clock.advance(Duration::from_secs(25 * 60 * 60));
    assert_eq!(
        client.refresh(tokens.refresh()).await.expect(503).error(),
        "temporarily_unavailable"
    );
    begin(&fixture, &client).await.expect(503);
    fixture.clock.advance(Duration::from_secs(2));
    hosts.serve(ID, Behaviour::honest(document(ID)));
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t26_a_client_id_is_no_errand() {
    let (fixture, hosts) = fixture().await;
    for host in ["inside.hosts.example", "metadata.hosts.example", "both.hosts.example"] {
        let addresses: &[&str] = match host {
            "inside.hosts.example" => &["127.0.0.1"],
            "metadata.hosts.example" => &["169.254.169.254"],
            _ => &["93.184.216.34", "10.0.0.1"],
        };
        hosts.resolve(host, [addresses]);
    }
    let client = client(&fixture, ID).await;
    for id in [
        "http://app.hosts.example/client.json",
        "https://app.hosts.example",
        "https://app.hosts.example/",
        "https://app.hosts.example:22/client.json",
        "https://app.hosts.example:6379/client.json",
        "https://user@app.hosts.example/client.json",
        "https://app.hosts.example/client.json#x",
        "https://app.hosts.example/a/../client.json",
        "https://app.hosts.example/a/%2e%2e/client.json",
        "https://APP.hosts.example/client.json",
        "https://app.hosts.example/client.json ",
        "https://localhost/client.json",
        "https://127.0.0.1/client.json",
        "https://2130706433/client.json",
        "https://0x7f.1/client.json",
        "https://169.254.169.254/latest/meta-data/iam",
        "https://[::1]/client.json",
        "https://[::ffff:127.0.0.1]/client.json",
        "https://inside.hosts.example/client.json",
        "https://metadata.hosts.example/client.json",
        "https://both.hosts.example/client.json",
        "file:///etc/passwd",
        "gopher://app.hosts.example/x",
    ] {
        let strange = OAuthClient { id: id.to_owned(), ..client.clone() };
        begin(&fixture, &strange).await.expect(400);
        let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        assert_eq!(
            strange.token_request(fields).await.expect(401).error(),
            "invalid_client",
            "{id}"
        );
    }
    assert_eq!(hosts.connections(), 0, "nobody was connected to");
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn t26_what_stands_there_must_be_a_document() {
    let (fixture, hosts) = fixture().await;
    let says = |status, content_type, body: &str| Behaviour::Response {
        status,
        content_type,
        headers: vec![],
        body: body.to_owned(),
    };
    let mut large = document(ID);
    large["client_uri"] = json!(format!("https://app.hosts.example/{}", "x".repeat(5000)));
    let behaviours = [
        Behaviour::redirect(302, "https://other.hosts.example/client.json"),
        Behaviour::redirect(307, "http://169.254.169.254/"),
        says(404, "application/json", "{}"),
        says(200, "text/html", "<html>"),
        says(200, "application/json", "<html>"),
        says(200, "application/json", "[]"),
        says(
            200,
            "application/json",
            &document("https://other.hosts.example/client.json").to_string(),
        ),
        Behaviour::CompressionBomb("gzip"),
        Behaviour::EndlessBody,
        Behaviour::WrongLength { declared: 1 << 30, body: "{}".to_owned() },
        Behaviour::honest(large),
    ];
    let template = client(&fixture, ID).await;
    for (n, behaviour) in behaviours.into_iter().enumerate() {
        let id = format!("https://case-{n}.hosts.example/client.json");
        hosts.serve(&id, behaviour.clone());
        let page = begin(&fixture, &OAuthClient { id: id.clone(), ..template.clone() }).await;
        assert_eq!(page.status, 400, "{behaviour:?}");
        assert!(!page.text().contains("169.254"), "what we met is for the log: {}", page.text());
        assert_eq!(hosts.requests().last().unwrap(), &id, "nothing is followed");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t26_a_document_that_drips_costs_five_seconds() {
    let (fixture, hosts) = fixture().await;
    hosts.serve(ID, Behaviour::ByteASecond(document(ID)));
    let client = client(&fixture, ID).await;
    let (a, b) = tokio::join!(begin(&fixture, &client), begin(&fixture, &client));
    assert_eq!((a.status.as_u16(), b.status.as_u16()), (503, 503));
    assert_eq!(hosts.requests().len(), 1, "for everybody who asked");
    begin(&fixture, &client).await.expect(503);
    assert_eq!(hosts.requests().len(), 1, "and not again at once");
    fixture.close().await;
}

#[tokio::test]
async fn t26_a_name_that_changes_its_mind() {
    let (fixture, hosts) = fixture().await;
    hosts.resolve("app.hosts.example", [&["93.184.216.34"], &["127.0.0.1"]]);
    hosts.serve(ID, Behaviour::honest(document(ID)));
    let client = client(&fixture, ID).await;
    begin(&fixture, &client).await.expect(200);
    begin(&fixture, &client).await.expect(200);
    assert_eq!(hosts.lookups().len(), 1, "what was checked is what was connected to");
    fixture.clock.advance(Duration::from_secs(600));
    begin(&fixture, &client).await.expect(400);
    assert_eq!((hosts.lookups().len(), hosts.connections()), (2, 1));
    fixture.close().await;
}

#[tokio::test]
async fn t27_ipv4_in_ipv6_leads_nowhere() {
    let (fixture, hosts) = fixture().await;
    let client = client(&fixture, ID).await;
    let hidden = [
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2606:4700::5efe:127.0.0.1",
        "fec0::1",
        "fd00::1",
        "fe80::1",
    ];
    for (n, address) in hidden.into_iter().enumerate() {
        let host = format!("case-{n}.hosts.example");
        hosts.resolve(&host, [&[address]]);
        for id in
            [format!("https://{host}/client.json"), format!("https://[{address}]/client.json")]
        {
            begin(&fixture, &OAuthClient { id, ..client.clone() }).await.expect(400);
        }
    }
    assert_eq!(hosts.connections(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn t29_no_id_we_make_is_a_url_and_no_url_is_a_stored_client() {
    let (fixture, hosts) = fixture().await;
    let registered = fixture.client("/mcp").await;
    assert!(
        !registered.id.contains(':') && registered.id.starts_with("ptn_client_"),
        "{}",
        registered.id
    );
    let agent = fixture.browser();
    let asked = json!({"client_id": ID, "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"});
    let chosen = OAuthClient::register_as(&agent, &fixture.at("/mcp"), asked).await;
    assert_ne!(chosen.id, ID, "nobody chooses an id");

    // Even if one were in the store, the document would be the client.
    let stored = fixture
        .stores()
        .clients
        .find_client(&portunus_core::ids::ClientId::from_text(chosen.id))
        .await
        .unwrap()
        .unwrap();
    let planted =
        portunus_core::client::Client { id: portunus_core::ids::ClientId::from_text(ID), ..stored };
    fixture.stores().clients.insert_client(&planted).await.unwrap();
    let client = client(&fixture, ID).await;
    begin(&fixture, &client).await.expect(400);
    hosts.serve(ID, Behaviour::honest(document(ID)));
    fixture.clock.advance(Duration::from_secs(2));
    let page = begin(&fixture, &client).await.expect(200);
    assert!(page.text().contains("Metadata app"), "{}", page.text());
    fixture.close().await;
}

//! Clients whose id is the URL of a document, where the gateway cannot reach it (FB17). Documents
//! that it reaches are next door, in [`super::client_documents`].

use std::{sync::Arc, time::Duration};

use portunus::config::ClientsConfig;
use portunus_core::oauth::registration_policy::{Domain, RegistrationPolicy};
use portunus_testkit::{
    agent::{Landing, Request},
    hostile_hosts::{Behaviour, HostileHosts},
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const ID: &str = "https://app.hosts.example/client.json";
const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";

async fn fixture(domains: &[&str]) -> (GatewayFixture, Arc<HostileHosts>) {
    let hosts = Arc::new(HostileHosts::start().await);
    let domains = domains.iter().map(|domain| Domain::parse(domain).unwrap()).collect();
    let clients = ClientsConfig {
        registration_policy: RegistrationPolicy { domains, ..RegistrationPolicy::default() },
        ..ClientsConfig::default()
    };
    let fixture = GatewayFixture::of(Setup {
        hostile_hosts: Some(Arc::clone(&hosts)),
        clients,
        ..Setup::default()
    })
    .await;
    (fixture, hosts)
}

async fn is_advertised(fixture: &GatewayFixture) -> bool {
    let url = fixture.at("/.well-known/oauth-authorization-server");
    let metadata: Value = fixture.browser().send(Request::get(&url)).await.expect(200).json();
    metadata["client_id_metadata_document_supported"] == true
}

/// What a person sees whose client comes with that document.
async fn page(fixture: &GatewayFixture) -> portunus_testkit::agent::Page {
    let mut client = fixture.client("/mcp").await;
    ID.clone_into(&mut client.id);
    REDIRECT_URI.clone_into(&mut client.redirect_uri);
    client.secret = None;
    match client.begin(&fixture.browser(), &client.authorization()).await {
        Landing::Page(page) => page,
        Landing::Client(returned) => panic!("{}", returned.url),
    }
}

#[tokio::test]
async fn fb17_documents_are_advertised_only_while_they_can_be_had() {
    let (fixture, hosts) = fixture(&["*.hosts.example"]).await;
    hosts.resolve("app.hosts.example", [&[]]);
    assert!(is_advertised(&fixture).await);
    let told = page(&fixture).await.expect(503).text();
    for part in [
        "app.hosts.example",
        "clients.metadata_documents.proxy",
        "clients.metadata_documents.enabled: false",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let log = fixture.log.text();
    let line = log.lines().find(|line| line.contains("are not advertised")).expect("the log tells");
    assert!(
        line.contains("METADATA_DOCUMENTS_PROXY") && line.contains("app.hosts.example"),
        "{line}"
    );
    assert!(!is_advertised(&fixture).await, "clients register instead");
    // Once it works again, the gateway finds out without a client that tries.
    hosts.resolve("app.hosts.example", [&["93.184.216.34"]]);
    let document = json!({"client_id": ID, "client_name": "Editor", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"});
    hosts.serve(ID, Behaviour::honest(document));
    assert!(!is_advertised(&fixture).await);
    fixture.clock.advance(Duration::from_secs(61));
    eventually("documents are advertised again", async || is_advertised(&fixture).await).await;
    page(&fixture).await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn fb17_a_strangers_document_that_is_not_there_tells_nothing() {
    let (fixture, hosts) = fixture(&[]).await;
    hosts.resolve("app.hosts.example", [&[]]);
    page(&fixture).await.expect(503);
    assert!(is_advertised(&fixture).await);
    // Nor does one that is there and is none.
    hosts.resolve("app.hosts.example", [&["93.184.216.34"]]);
    hosts.serve(ID, Behaviour::NotHttp);
    fixture.clock.advance(Duration::from_secs(61));
    page(&fixture).await;
    assert!(is_advertised(&fixture).await);
    fixture.close().await;
}

#[tokio::test]
async fn fb18_an_application_with_a_registration_that_is_gone_is_told_how_to_forget_it() {
    let fixture = GatewayFixture::start().await;
    let mut client = fixture.client("/mcp").await;
    "ptn_client_of-another-gateway".clone_into(&mut client.id);
    let Landing::Page(page) = client.begin(&fixture.browser(), &client.authorization()).await
    else {
        panic!("no page")
    };
    let told = page.expect(400).text();
    for part in [
        "not registered here any more",
        "Clear authentication",
        "Remove Dynamic Authentication Providers",
        "~/.mcp-auth",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    fixture.close().await;
}

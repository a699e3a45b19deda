//! Revocation by the client (RFC 7009), and introspection of its own tokens (RFC 7662). Revocation
//! across nodes is next door, in `tests/ops/revocation_across_nodes.rs`.

use std::time::Duration;

use insta::{allow_duplicates, assert_snapshot};
use portunus_testkit::agent::{OAuthClient, Request, Tokens};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::fixture::GatewayFixture;

/// A client with a secret, registered for the resource at `path`.
async fn confidential(fixture: &GatewayFixture, path: &str) -> OAuthClient {
    let metadata =
        json!({"client_name": "Confidential", "token_endpoint_auth_method": "client_secret_basic"});
    OAuthClient::register_as(&fixture.browser(), &fixture.at(path), metadata).await
}

async fn opens(fixture: &GatewayFixture, tokens: &Tokens) -> bool {
    let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(&tokens.access);
    match fixture.browser().send(request).await.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

async fn introspect(client: &OAuthClient, token: &str) -> Value {
    let answer = client.send("introspection_endpoint", [("token", token)]).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

#[tokio::test]
async fn a_refresh_token_ends_the_grant_and_an_access_token_itself() {
    let fixture = GatewayFixture::start().await;
    for (client, hint) in [
        (fixture.client("/mcp").await, None),
        (confidential(&fixture, "/mcp").await, Some("access_token")),
    ] {
        let first = client.connect(&fixture.browser()).await;
        let second = client.tokens(client.refresh(first.refresh()).await);
        client.send("revocation_endpoint", [("token", first.access.as_str())]).await.expect(200);
        assert_eq!(
            (opens(&fixture, &first).await, opens(&fixture, &second).await),
            (false, true),
            "one token ends, and at once"
        );

        let hint = hint.map(|hint| ("token_type_hint", hint));
        let fields = [("token", second.refresh())].into_iter().chain(hint);
        client.send("revocation_endpoint", fields).await.expect(200);
        assert!(!opens(&fixture, &second).await, "at once");
        assert_eq!(client.refresh(second.refresh()).await.expect(400).error(), "invalid_grant");
        client.send("revocation_endpoint", [("token", second.refresh())]).await.expect(200);
    }
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn t19_unknown_tokens_are_gone_already() {
    let fixture = GatewayFixture::start().await;
    let (client, _, tokens) = fixture.connect("/mcp").await;
    let cut = &tokens.access[..tokens.access.len() - 1];
    for token in ["x", "ptn_at_", cut, "ptn_rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        client.send("revocation_endpoint", [("token", token)]).await.expect(200);
    }
    assert_eq!(
        client.send("revocation_endpoint", [("token", "")]).await.expect(400).error(),
        "invalid_request"
    );
    assert!(opens(&fixture, &tokens).await);
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_store_that_fails_is_no_success() {
    let fixture = GatewayFixture::start().await;
    let (client, _, tokens) = fixture.connect("/mcp").await;
    let other = Connection::open(fixture.database()).unwrap();
    // No other connection can write now.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for token in [tokens.refresh(), tokens.access.as_str()] {
        let answer = client.send("revocation_endpoint", [("token", token)]).await.expect(503);
        allow_duplicates! {
            assert_snapshot!(fixture.shown(&answer), @r#"
            503 Service Unavailable
            cache-control: no-store
            content-type: application/json
            retry-after: 5

            {"error":"temporarily_unavailable","error_description":"the store cannot be reached; try again"}
            "#);
        }
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert!(opens(&fixture, &tokens).await, "it was told so");
    client.send("revocation_endpoint", [("token", tokens.refresh())]).await.expect(200);
    assert!(!opens(&fixture, &tokens).await);
    fixture.close().await;
}

#[tokio::test]
async fn t16_nobody_ends_or_reads_anothers_tokens() {
    let fixture = GatewayFixture::start().await;
    let (_, _, tokens) = fixture.connect("/mcp").await;
    let thief = confidential(&fixture, "/mcp").await;
    for token in [tokens.refresh(), tokens.access.as_str()] {
        assert_eq!(
            thief.send("revocation_endpoint", [("token", token)]).await.expect(400).error(),
            "invalid_grant"
        );
        assert_eq!(introspect(&thief, token).await, json!({"active": false}));
    }
    let impostor = OAuthClient { secret: Some("guessed".to_owned()), ..thief.clone() };
    for endpoint in ["revocation_endpoint", "introspection_endpoint"] {
        let answer = impostor.send(endpoint, [("token", tokens.refresh())]).await.expect(401);
        allow_duplicates! {
            assert_snapshot!(fixture.shown(&answer), @r#"
            401 Unauthorized
            cache-control: no-store
            content-type: application/json
            www-authenticate: Basic realm="portunus"

            {"error":"invalid_client","error_description":"the client is unknown, or did not authenticate as it registered"}
            "#);
        }
    }
    assert!(opens(&fixture, &tokens).await);
    fixture.close().await;
}

#[tokio::test]
async fn a_client_learns_what_its_own_tokens_are() {
    let fixture = GatewayFixture::start().await;
    let client = confidential(&fixture, "/mcp/uuid").await;
    let tokens = client.connect(&fixture.browser()).await;
    let told = introspect(&client, &tokens.access).await;
    let told = fixture.members(&told).replace(&client.id, "{client}");
    assert_snapshot!(told.replace(fixture.user("alice").as_str(), "{alice}"), @r#"
    active: true
    scope: "mcp"
    client_id: "{client}"
    username: "Alice Example"
    token_type: "Bearer"
    exp: 1790003600
    sub: "{alice}"
    aud: "{gateway}/mcp/uuid"
    iss: "{gateway}"
    "#);
    assert_eq!(introspect(&client, tokens.refresh()).await["active"], true);

    let successor = client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(
        introspect(&client, tokens.refresh()).await,
        json!({"active": false}),
        "it was exchanged"
    );
    fixture.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        introspect(&client, &tokens.access).await,
        json!({"active": false}),
        "it has expired"
    );
    assert_eq!(introspect(&client, successor.refresh()).await["active"], true);
    client.send("revocation_endpoint", [("token", successor.refresh())]).await.expect(200);
    assert_eq!(
        introspect(&client, successor.refresh()).await,
        json!({"active": false}),
        "it was revoked"
    );
    assert_eq!(introspect(&client, "ptn_at_nothing").await, json!({"active": false}));

    let public = fixture.client("/mcp").await;
    assert_eq!(
        public.send("introspection_endpoint", [("token", "x")]).await.expect(401).error(),
        "invalid_client"
    );
    fixture.close().await;
}

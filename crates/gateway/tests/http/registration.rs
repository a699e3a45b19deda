//! What dynamic registration accepts (RFC 7591): redirect URIs and metadata. Reading, changing and
//! deleting a registration is next door, in [`super::client_management`], floods of them in
//! [`super::limits`].

use insta::assert_snapshot;
use portunus_testkit::agent::{Agent, Page, Request};
use serde_json::{Value, json};

use crate::fixture::GatewayFixture;

async fn register(fixture: &GatewayFixture, agent: &Agent, metadata: &Value) -> Page {
    agent.send(Request::json(&fixture.at("/auth/register"), metadata)).await
}

#[tokio::test]
async fn t06_dangerous_addresses_are_not_registered() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    let bad = [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:https://app.example/x",
        "myapp://cb",
        "http://app.example/cb",
        "http://localhost.evil.example/cb",
        "https://user:pass@app.example/cb",
        "https://app.example/cb#fragment",
        "https://app.example\\@evil.example/cb",
        "//app.example/cb",
        "",
    ];
    for uri in bad {
        let answer = register(&fixture, &agent, &json!({"redirect_uris": [uri]})).await.expect(400);
        assert_eq!(answer.error(), "invalid_redirect_uri", "{uri}");
        let among_good = json!({"redirect_uris": ["https://app.example/cb", uri]});
        if uri == "myapp://cb" || uri.is_empty() {
            // Of no known scheme, or nothing at all: left out, and the client is told so (FB12).
            let kept = register(&fixture, &agent, &among_good).await.expect(201).json();
            assert_eq!(kept["redirect_uris"], json!(["https://app.example/cb"]), "{uri}");
            continue;
        }
        assert_eq!(
            register(&fixture, &agent, &among_good).await.expect(400).error(),
            "invalid_redirect_uri",
            "{uri}"
        );
    }
    for member in ["client_uri", "logo_uri", "policy_uri", "tos_uri"] {
        for uri in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"] {
            let metadata = json!({"redirect_uris": ["https://app.example/cb"], member: uri});
            let answer = register(&fixture, &agent, &metadata).await.expect(400);
            assert_eq!(answer.error(), "invalid_client_metadata", "{member}: {uri}");
        }
    }
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        2,
        "nothing else was kept"
    );
    for uri in [
        "https://app.example/cb",
        "http://127.0.0.1:1/cb",
        "com.example.app:/cb",
        "cursor://anysphere.cursor-mcp/cb",
    ] {
        register(&fixture, &agent, &json!({"redirect_uris": [uri]})).await.expect(201);
    }
    fixture.close().await;
}

#[tokio::test]
async fn t06_nonsense_is_refused_with_its_reason() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    let cases = [
        (json!({}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": "https://app.example/cb"}), "invalid_client_metadata"),
        (
            json!({"redirect_uris": ["https://app.example/cb"], "client_name": "x".repeat(257)}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": ["https://app.example/cb"], "client_name": "a\u{0}b"}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": ["https://app.example/cb"], "grant_types": ["password"]}),
            "invalid_client_metadata",
        ),
        (json!({"redirect_uris": vec!["https://app.example/cb"; 21]}), "invalid_redirect_uri"),
        (json!([]), "invalid_client_metadata"),
    ];
    let mut reasons = Vec::new();
    for (metadata, expected) in cases {
        let answer = register(&fixture, &agent, &metadata).await.expect(400);
        assert_eq!(answer.error(), expected, "{metadata}");
        reasons.push(answer.json()["error_description"].as_str().unwrap().to_owned());
    }
    assert_snapshot!(reasons.join("\n"), @r#"
    redirect_uris needs at least one URI
    redirect_uris needs at least one URI
    the metadata cannot be read: invalid type: string "https://app.example/cb", expected a sequence at line 1 column 41
    client_name must have at most 256 characters, none of them control characters
    client_name must have at most 256 characters, none of them control characters
    grant_types must contain authorization_code
    redirect_uris has more than 20 entries
    the metadata must be a JSON object
    "#);
    let twice = r#"{"redirect_uris":["https://app.example/cb"],"redirect_uris":["https://evil.example/cb"]}"#;
    let request = Request::post(&fixture.at("/auth/register"))
        .header("content-type", "application/json")
        .body(twice);
    agent.send(request).await.expect(400);
    let form = Request::post(&fixture.at("/auth/register"))
        .header("content-type", "text/plain")
        .body("{}");
    agent.send(form).await.expect(415);
    let huge =
        json!({"redirect_uris": ["https://app.example/cb"], "software_id": "x".repeat(1 << 20)});
    register(&fixture, &agent, &huge).await.expect(413);
    assert_eq!(fixture.stores().clients.count_unused_clients().await.unwrap(), 0);
    fixture.close().await;
}

//! Paths that are spelt in a second way (threat 60): none of them is matched with anything, so none
//! crosses the border between two routes.

use portunus::config::ProxyRoute;
use portunus_testkit::agent::{McpClient, raw};
use serde_json::json;

use super::headers::Service;
use crate::fixture::{GatewayFixture, Setup};

#[tokio::test]
async fn t60_a_second_spelling_does_not_cross_the_border_between_routes() {
    let (outer, inner) = (Service::start().await, Service::start().await);
    let proxies = vec![
        ProxyRoute::new("/api/", outer.target.clone()),
        ProxyRoute::new("/api/admin/", inner.target.clone()),
        ProxyRoute::new("/api/v1.0_a-b~c/", inner.target.clone()),
    ];
    let fixture = GatewayFixture::of(Setup { proxies, ..Setup::default() }).await;
    let (_, _, tokens) = fixture.connect("/api/").await;
    let host = fixture.url.trim_start_matches("http://").to_owned();
    let ask = async |path: &str| {
        let token = &tokens.access;
        let bytes = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        raw::exchange(fixture.address, bytes.as_bytes()).await.status()
    };
    assert_eq!(ask("/api/users").await, 200);
    assert_eq!(ask("/api/a%20b/%C3%A9").await, 200, "what must be encoded may be");
    assert_eq!(outer.last().0, "/a%20b/%C3%A9", "and arrives byte for byte");
    assert_eq!(ask("/api/Admin/x").await, 200, "another name: paths know upper and lower case");
    assert_eq!(ask("/api/admin/x").await, 401, "the token is for the outer route");
    let (before, target) = (outer.count(), format!("http://{host}"));
    let second_spellings = [
        "/api/%61dmin/x",
        "/api/a%64min/x",
        "/api/admi%6E/x",
        "/api/admi%6e/x",
        "/api/%61%64%6d%69%6e/x",
        "/api/%61dmin",
        "/%61pi/users",
        "/%61pi/admin/x",
        "/api/v1%2E0_a-b~c/x",
        "/api/v1%2e0_a-b~c/x",
        "/api/v%31.0_a-b~c/x",
        "/api/v1.0%5Fa-b~c/x",
        "/api/v1.0_a%2Db~c/x",
        "/api/v1.0_a-b%7Ec/x",
        "/api/v1.0_a-b%7ec/x",
        "/api/%2561dmin/x",
        "/api/%252561dmin/x",
        "/api/%25%36%31dmin/x",
        "/api/admin%2Fx",
        "/api%2fadmin/x",
        "/api/x/%2e%2e/admin/x",
        "/api/x/.%2E/admin/x",
        "/api/x/../admin/x",
        "/api/./admin/x",
        "/api/%2e/admin/x",
        "/api//admin/x",
        "//api/admin/x",
        "/api/;a=b/admin/x",
        "/api/admin;a=b/x",
        "/api/admin%3ba=b/x",
        "/api\\admin\\x",
        "/api%5cadmin/x",
        "/api/%c1%a1dmin/x",
        "/api/%e0%81%a1dmin/x",
        "/api/%u0061dmin/x",
        "/api/admin%00/x",
        "/api/admin%09/x",
        "/api/%6/x",
    ];
    for path in second_spellings {
        assert_eq!(ask(path).await, 400, "{path}");
        assert_eq!(ask(&format!("{target}{path}")).await, 400, "{path}, as an absolute form");
    }
    assert_eq!((outer.count(), inner.count()), (before, 0), "none of them reached a service");
    fixture.close().await;
}

#[tokio::test]
async fn t60_nor_anything_else_that_is_known_by_its_path() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp/dice").await;
    let host = fixture.url.trim_start_matches("http://").to_owned();
    let cases = [
        ("GET", "/mcp/%64ice"),
        ("POST", "/%6Dcp"),
        ("DELETE", "/mcp/dic%65"),
        ("GET", "/%74ools"),
        ("GET", "/tool%73"),
        ("POST", "/auth/%74oken"),
        ("POST", "/%61uth/token"),
        ("GET", "/auth/authoriz%65"),
        ("GET", "/auth/callback/%6fkta"),
        ("GET", "/auth/callback/okt%61?code=x&state=y"),
        ("GET", "/%2ewell-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-protected-resource/mcp/%64ice"),
        ("GET", "/.well-known/oauth-protected-resource%2fmcp"),
        ("GET", "/healt%68"),
        ("GET", "/./health"),
        ("GET", "/x/../health"),
        ("GET", "/assets/%70ortunus.css"),
        ("PUT", "/auth/register/%70tn_client_x"),
    ];
    for (method, path) in cases {
        let bytes = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            tokens.access
        );
        let answer = raw::exchange(fixture.address, bytes.as_bytes()).await;
        assert_eq!(answer.status(), 400, "{method} {path}: {answer:?}");
        assert!(
            answer.text.contains("could be read as another one"),
            "{method} {path}: {answer:?}"
        );
    }
    // Nor is a resource known by a second spelling: no grant comes of one.
    let grants = fixture.grants("alice").await;
    for resource in
        ["/mcp/%64ice", "/mcp/x/../dice", "/mcp//dice", "//mcp/dice", "/mcp\\dice", "/mcp/./dice"]
    {
        let asked = client.authorization().with("resource", &fixture.at(resource));
        let page = client.begin(&browser, &asked).await.page().expect(400);
        let told = page.click("Tell the application").await.returned();
        assert_eq!(told.find("error").as_deref(), Some("invalid_target"), "{resource}");
    }
    assert_eq!(fixture.grants("alice").await, grants);
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/dice"), &tokens.access).await;
    assert!(mcp.request("ping", json!({})).await["result"].is_object(), "the one spelling works");
    fixture.close().await;
}

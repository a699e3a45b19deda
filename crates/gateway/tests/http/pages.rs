//! Pages contain no script, frame or picture of another origin.

use portunus_testkit::agent::{OAuthClient, Page};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

fn check_headers(page: &Page) {
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part}: {page:?}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-store");
    let html = page.body.to_lowercase();
    assert!(
        !html.contains("<script") && !html.contains("<img") && !html.contains("style=\""),
        "{page:?}"
    );
}

#[tokio::test]
async fn t13_what_clients_call_themselves_stays_text() {
    let fixture = GatewayFixture::start().await;
    let name = "</bdi><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>\u{202e}\u{200b}'\"";
    let metadata = json!({
        "client_name": name,
        "redirect_uris": ["https://evil.example/cb?x=%22%3E%3Cscript%3E"],
        "client_uri": "https://evil.example/\"><script>alert(3)</script>",
        "logo_uri": "https://evil.example/logo.png",
    });
    let client = OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    let browser = fixture.browser();
    let page = client.begin(&browser, &client.authorization()).await.page().expect(200);
    check_headers(&page);
    assert!(page.text().contains("<script>alert(1)</script>"), "shown as it is: {}", page.text());
    assert!(!page.body.contains("logo.png"), "no picture from elsewhere");
    assert!(
        !page.body.contains('\u{202e}') && !page.body.contains('\u{200b}'),
        "nothing that cannot be seen"
    );
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned();
    let authorization = client.authorization();
    let code = client.authorize(&browser, &authorization).await.code();
    client.tokens(client.redeem(&authorization, &code).await);
    check_headers(&browser.open(&fixture.at("/")).await.page().expect(200));
    fixture.close().await;
}

#[tokio::test]
async fn t13_every_page_forbids_frames_and_scripts() {
    let fixture =
        GatewayFixture::of(Setup { partner: true, https: true, ..Setup::default() }).await;
    let browser = fixture.browser();
    for (path, status) in [
        ("/", 200),
        ("/auth/signin", 200),
        ("/auth/signout", 200),
        ("/auth/authorize", 400),
        ("/auth/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E", 400),
        ("/auth/callback/okta?state=%3Cscript%3E", 400),
    ] {
        let page = browser.open(&fixture.at(path)).await.page().expect(status);
        check_headers(&page);
        assert!(page.header("strict-transport-security").contains("max-age="), "{path}");
    }
    fixture.close().await;
}

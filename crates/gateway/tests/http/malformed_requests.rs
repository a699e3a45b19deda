//! Requests that are not quite right: tokens cut or stretched, headers and bodies that no library
//! would send, secrets where they must not be.

use portunus_testkit::{
    agent::{Request, raw},
    okta::Options,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

#[tokio::test]
async fn t22_a_token_is_whole_or_nothing() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let spoil = |token: &str| {
        let cut = token[..token.len() - 1].to_owned();
        let flipped = format!("{cut}{}", if token.ends_with('A') { 'B' } else { 'A' });
        let kind = token.replacen("ptn_at_", "ptn_rt_", 1);
        vec![
            cut,
            flipped,
            format!("{token}="),
            format!("{token}A"),
            format!("{token}\u{7f}"),
            token.to_uppercase(),
            token[7..].to_owned(),
            kind,
        ]
    };
    for spoilt in spoil(&tokens.access)
        .into_iter()
        .filter(|spoilt| *spoilt != tokens.access && spoilt.is_ascii())
    {
        let Ok(value) = http::HeaderValue::from_str(&format!("Bearer {spoilt}")) else { continue };
        let request = Request::get(&fixture.at("/tools"))
            .without_cookies()
            .header("authorization", value.to_str().unwrap());
        let answer = browser.send(request).await;
        assert_eq!(answer.status, 401, "{spoilt}: {answer:?}");
        assert!(
            answer.header("www-authenticate").contains("error=\"invalid_token\""),
            "{answer:?}"
        );
    }
    for spoilt in spoil(tokens.refresh()).into_iter().filter(|spoilt| spoilt != tokens.refresh()) {
        assert_eq!(client.refresh(&spoilt).await.expect(400).error(), "invalid_grant", "{spoilt}");
    }
    // A refresh token is no access token, nor the other way round; and the hash of a token opens
    // nothing.
    let hash = portunus_core::secret::TokenHash::of(&tokens.access).to_string();
    for other in [tokens.refresh(), &hash] {
        browser
            .send(Request::get(&fixture.at("/tools")).without_cookies().bearer(other))
            .await
            .expect(401);
    }
    assert_eq!(client.refresh(&tokens.access).await.expect(400).error(), "invalid_grant");
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}

/// The answer to a raw request with these header lines and this body.
async fn post(fixture: &GatewayFixture, path: &str, headers: &str, body: &[u8]) -> u16 {
    let host = fixture.url.trim_start_matches("http://");
    let mut bytes =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}")
            .into_bytes();
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    raw::exchange(fixture.address, &bytes).await.status()
}

#[tokio::test]
async fn t23_malformed_authorization_is_400_or_401() {
    let fixture = GatewayFixture::start().await;
    let values: [&[u8]; 12] = [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer  ",
        b"Bearer a b",
        b"Bearer \xff\xfe",
        b"Basic",
        b"Basic !!!",
        b"Basic OjpbOg==",
        b"Negotiate x",
        b"\"",
        b"Bearer ptn_at_\xc3\xa9",
    ];
    let long = [b"Bearer ".as_slice(), &b"x".repeat(20_000)].concat();
    for value in values.into_iter().chain([long.as_slice()]) {
        for (path, kind) in [
            ("/mcp", "application/json"),
            ("/auth/token", "application/x-www-form-urlencoded"),
            ("/tools", "text/plain"),
        ] {
            let host = fixture.url.trim_start_matches("http://");
            let method = if path == "/tools" { "GET" } else { "POST" };
            let mut bytes = format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n"
            );
            bytes.push_str("Content-Length: 0\r\nAuthorization: ");
            let bytes = [bytes.as_bytes(), value, b"\r\n\r\n"].concat();
            let status = raw::exchange(fixture.address, &bytes).await.status();
            assert!(
                [400, 401].contains(&status),
                "{path} {:?}: {status}",
                String::from_utf8_lossy(value)
            );
        }
    }
    let twice =
        "Authorization: Bearer x\r\nAuthorization: Bearer y\r\nContent-Type: application/json\r\n";
    assert_eq!(post(&fixture, "/mcp", twice, b"{}").await, 400);
    fixture.close().await;
}

#[tokio::test]
async fn t23_forms_that_are_none_are_400_and_huge_ones_413() {
    let fixture = GatewayFixture::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let bodies: [&[u8]; 6] = [
        b"",
        b"\xff\xfe",
        b"grant_type=%ff&client_id=x",
        b"&&&==&=&%",
        b"grant_type=authorization_code&client_id=%00&code=%00",
        b"{\"grant_type\":\"refresh_token\"}",
    ];
    for path in ["/auth/token", "/auth/consent", "/auth/signout", "/token"] {
        for body in bodies {
            let status = post(&fixture, path, form, body).await;
            assert!(
                [400, 401].contains(&status),
                "{path} {:?}: {status}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(post(&fixture, path, form, &b"a=".repeat(5 << 20)).await, 413, "{path}");
        assert_eq!(
            post(&fixture, path, "Content-Type: application/json\r\n", b"{}").await,
            400,
            "{path}"
        );
    }
    for path in ["/auth/register", "/register"] {
        assert_eq!(post(&fixture, path, "Content-Type: application/json\r\n", b"\xff").await, 400);
        assert_eq!(
            post(&fixture, path, "Content-Type: application/json\r\n", &b"[".repeat(60_000)).await,
            400,
            "deep nesting"
        );
        assert_eq!(
            post(&fixture, path, "Content-Type: application/json\r\n", &b"x".repeat(10 << 20))
                .await,
            413
        );
    }
    let twice = "grant_type=refresh_token&grant_type=refresh_token&client_id=x&refresh_token=y";
    assert_eq!(
        post(&fixture, "/auth/token", form, twice.as_bytes()).await,
        400,
        "duplicates (threat 7)"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t23_odd_queries_are_pages_not_crashes() {
    let fixture = GatewayFixture::start().await;
    for path in [
        "/auth/authorize",
        "/auth/signin",
        "/auth/callback",
        "/auth/callback/okta",
        "/auth/callback/%00",
        "/mcp",
        "/tools",
    ] {
        for query in
            ["%", "%ff", "a=%zz", "&&&=", "=&=", "transaction=%00", "state=%ff", "server_name=%ff"]
        {
            let host = fixture.url.trim_start_matches("http://");
            let bytes =
                format!("GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let status = raw::exchange(fixture.address, bytes.as_bytes()).await.status();
            assert!(status < 500, "{path}?{query}: {status}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn t40_requests_that_could_be_two_are_not_answered_as_two() {
    let fixture = GatewayFixture::start().await;
    let host = fixture.url.trim_start_matches("http://").to_owned();
    let inner = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let cases = [
        ("Content-Length: 4\r\nContent-Length: 40\r\n", "HTTP/1.1"),
        ("Content-Length: +4\r\n", "HTTP/1.1"),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.1"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "HTTP/1.1"),
        ("Content-Length: 4, 5\r\n", "HTTP/1.1"),
        ("Transfer-Encoding: gzip, identity\r\n", "HTTP/1.1"),
        ("Transfer-Encoding : chunked\r\n", "HTTP/1.1"),
        ("Transfer-Encoding: chunked\r\n", "HTTP/1.0"),
    ];
    for (headers, version) in cases {
        let bytes =
            format!("POST /auth/token {version}\r\nHost: {host}\r\n{headers}\r\n0\r\n\r\n{inner}");
        let statuses = raw::exchange(fixture.address, bytes.as_bytes()).await.statuses();
        assert_eq!(statuses, [400], "{headers:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t48_a_token_in_the_query_is_refused_and_not_logged() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    for path in ["/mcp", "/mcp/dice", "/tools"] {
        let url = fixture.at(&format!("{path}?access_token={}", tokens.access));
        let request = Request::json(&url, &json!({})).without_cookies();
        let request = if path == "/tools" { Request::get(&url).without_cookies() } else { request };
        let answer = browser.send(request.clone()).await;
        assert!([400, 401].contains(&answer.status.as_u16()), "{path}: {answer:?}");
        // Beside a good header too: the query has been logged on the way already.
        browser.send(request.bearer(&tokens.access)).await.expect(400);
    }
    fixture.close().await;
}

#[tokio::test]
async fn t48_errors_do_not_repeat_what_they_were_given() {
    let okta = Options {
        client_secret: "another-secret-that-nobody-may-see".to_owned(),
        ..Options::default()
    };
    let fixture = GatewayFixture::of(Setup { okta, ..Setup::default() }).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let answers = [
        client.refresh(&format!("{}x", tokens.refresh())).await,
        client.token_request([("grant_type", tokens.refresh())]).await,
        client.token_request([(tokens.refresh(), "x"), (tokens.refresh(), "y")]).await,
        browser
            .send(
                Request::get(&fixture.at("/mcp"))
                    .without_cookies()
                    .bearer(&format!("{}x", tokens.access)),
            )
            .await,
        browser
            .open(&fixture.at(&format!("/auth/authorize?client_id={}", tokens.access)))
            .await
            .page(),
        browser
            .open(&fixture.at(&format!(
                "/auth/callback?state={}&code={}",
                tokens.access,
                tokens.refresh()
            )))
            .await
            .page(),
    ];
    for answer in answers {
        assert!(answer.status.is_client_error(), "{answer:?}");
        for token in [&tokens.access, tokens.refresh()] {
            assert!(
                !answer.body.contains(&token[..24])
                    && !format!("{:?}", answer.headers).contains(&token[..24]),
                "{answer:?}"
            );
        }
    }
    // A client secret that Okta refuses: the detail is in the log, the secret is not.
    fixture.okta.rotate_secret("the-secret-that-okta-has-now");
    let (other, fresh) = (fixture.client("/mcp").await, fixture.browser());
    let page = other.begin(&fresh, &other.authorization()).await.page();
    let failed = page.form("/auth/consent").submit([("decision", "allow")]).await.page();
    assert_eq!(failed.status, 502, "{failed:?}");
    assert!(
        fixture.log.text().contains("AUTH_OKTA_SECRET"),
        "the log says which setting to look at"
    );
    fixture.close().await;
}

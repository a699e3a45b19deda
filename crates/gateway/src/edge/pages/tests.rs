//! Every page with hostile text in every field that others fill, and the headers around it.

use askama::Template as _;
use axum::response::Response;
use http::StatusCode;
use http_body_util::BodyExt as _;

use super::*;

/// Breaks out of text and of attributes if anything lets it, hides behind controls, and is long.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202E}\u{2066}\0\n\u{200B}";

fn hostile_label() -> Label {
    Label::from(HOSTILE)
}

fn hostile_url() -> UrlText {
    UrlText::from(HOSTILE)
}

fn frame() -> Frame {
    Frame { demo: true, signed_in_as: Some(hostile_label()) }
}

fn consent() -> ConsentPage {
    ConsentPage {
        frame: frame(),
        client_name: hostile_label(),
        client_id: hostile_url(),
        client_uri: Some(hostile_url()),
        origin: Origin::Registered(HOSTILE.into()),
        resources: vec![hostile_url()],
        servers: vec![hostile_label()],
        scopes: vec![ScopeLine { name: hostile_label(), words: HOSTILE.into(), is_new: true }],
        kept: vec![ScopeLine { name: hostile_label(), words: HOSTILE.into(), is_new: false }],
        has_changed: true,
        redirect_uri: hostile_url(),
        destination: Destination::ThisComputer(hostile_url()),
        is_local: true,
        user: Some(hostile_label()),
        asked: hostile_url(),
        provider_label: hostile_label(),
        transaction: hostile_url(),
        csrf: hostile_url(),
    }
}

fn continued() -> ContinuePage {
    ContinuePage {
        frame: frame(),
        client_name: hostile_label(),
        client_id: hostile_url(),
        allowed: HOSTILE.into(),
        servers: vec![hostile_label(), hostile_label()],
        scopes: vec![ScopeLine { name: hostile_label(), words: HOSTILE.into(), is_new: false }],
        redirect_uri: hostile_url(),
        destination: Destination::Program(hostile_url()),
        user: hostile_label(),
        asked: hostile_url(),
        transaction: hostile_url(),
        csrf: hostile_url(),
    }
}

fn front_page() -> FrontPage {
    FrontPage {
        frame: frame(),
        user: Some(FrontPageUser {
            name: hostile_label(),
            email: Some(hostile_label()),
            groups: vec![hostile_label()],
        }),
        servers: vec![FrontPageServer { name: hostile_label(), url: hostile_url(), kind: "stdio" }],
        grants: vec![FrontPageGrant {
            client: hostile_label(),
            resource: hostile_url(),
            since: HOSTILE.into(),
            id: hostile_url(),
        }],
        keys: vec![FrontPageKey {
            name: hostile_label(),
            shown: hostile_label(),
            resource: hostile_url(),
            since: HOSTILE.into(),
            until: HOSTILE.into(),
            id: hostile_url(),
        }],
        connect: ConnectHelp::for_url(HOSTILE),
        sign_in_href: hostile_url(),
        csrf: hostile_url(),
        disconnect_action: Some("/auth/disconnect"),
    }
}

fn sign_in() -> SignInPage {
    let choice = ProviderChoice { label: hostile_label(), href: hostile_url() };
    SignInPage { frame: frame(), providers: vec![choice], client_name: Some(hostile_label()) }
}

fn people() -> DemoPeoplePage {
    let person = DemoPerson {
        name: hostile_label(),
        email: hostile_label(),
        groups: vec![hostile_label()],
        value: hostile_url(),
    };
    DemoPeoplePage {
        frame: frame(),
        people: vec![person],
        action: "/auth/demo",
        hidden: vec![(hostile_url(), hostile_url())],
    }
}

fn error() -> ErrorPage {
    ErrorPage {
        frame: frame(),
        title: HOSTILE.into(),
        message: HOSTILE.into(),
        hint: Some(HOSTILE.into()),
        again: None,
        back: Some(BackLink { label: hostile_label(), href: hostile_url() }),
        request_id: hostile_label(),
    }
}

fn not_admitted() -> NotAdmittedPage {
    NotAdmittedPage {
        frame: frame(),
        provider: hostile_label(),
        account: hostile_label(),
        subject: hostile_label(),
        another: hostile_url(),
        back: Some(BackLink { label: hostile_label(), href: hostile_url() }),
        request_id: hostile_label(),
    }
}

fn every_page() -> Vec<(&'static str, String)> {
    let signed_in = SignedInPage {
        frame: frame(),
        name: hostile_label(),
        back: BackLink { label: hostile_label(), href: hostile_url() },
    };
    let signed_out = SignedOutPage { frame: frame(), at_provider: Some(hostile_label()) };
    let welcome = FrontPage { user: None, ..front_page() };
    let origin = Origin::Document(hostile_url());
    let asked_later =
        ConsentPage { user: None, is_local: false, servers: Vec::new(), origin, ..consent() };
    let elsewhere =
        ContinuePage { destination: Destination::ThisComputer(hostile_url()), ..continued() };
    let program = ConsentPage { destination: Destination::Program(hostile_url()), ..consent() };
    let not_told = NotToldPage { frame: frame(), client_name: hostile_label() };
    vec![
        ("consent for a program", program.render().unwrap()),
        ("continue", continued().render().unwrap()),
        ("continue elsewhere", elsewhere.render().unwrap()),
        ("not told", not_told.render().unwrap()),
        ("consent", consent().render().unwrap()),
        ("consent before sign-in", asked_later.render().unwrap()),
        ("front page", front_page().render().unwrap()),
        ("welcome", welcome.render().unwrap()),
        ("sign in", sign_in().render().unwrap()),
        ("signed in", signed_in.render().unwrap()),
        ("signed out", signed_out.render().unwrap()),
        ("people", people().render().unwrap()),
        ("error", error().render().unwrap()),
        ("not admitted", not_admitted().render().unwrap()),
    ]
}

/// The opening tags of a document, quoted attribute values left out.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (mut tag, mut quoted) = (String::new(), false);
        for c in rest[start + 1..].chars() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => break,
                _ if quoted => {}
                _ => tag.push(c),
            }
        }
        tags.push(tag.to_ascii_lowercase());
        rest = &rest[start + 1..];
    }
    tags
}

#[test]
fn t13_hostile_text_stays_text() {
    for (name, html) in every_page() {
        for tag in tags(&html) {
            let element = tag.split([' ', '/', '\n']).next().unwrap();
            assert!(
                !matches!(
                    element,
                    "script" | "img" | "iframe" | "object" | "embed" | "base" | "style"
                ),
                "{name}: <{tag}>"
            );
            assert!(
                !tag.contains(" on") && !tag.contains("style=") && !tag.contains("src="),
                "{name}: <{tag}>"
            );
        }
        let links = tags(&html).iter().filter(|tag| tag.starts_with("link ")).count();
        assert_eq!(links, 2, "{name} loads the stylesheet and the mark, and nothing else");
    }
}

#[test]
fn t13_names_cannot_reorder_or_hide_what_stands_beside_them() {
    let hostile = HOSTILE.repeat(50);
    let page = ConsentPage {
        client_name: Label::from(&hostile),
        user: Some(Label::from(&hostile)),
        ..consent()
    };
    let html = page.render().unwrap();
    for c in ['\u{202E}', '\u{2066}', '\u{200B}', '\0'] {
        assert!(!html.contains(c), "{c:?}");
    }
    assert!(html.contains("%E2%80%AE"), "in an address it is shown as what it is");
}

#[test]
fn t64_no_page_can_hold_what_cannot_be_seen() {
    for (name, html) in every_page() {
        let hidden = html.chars().find(|c| portunus_core::text::is_invisible(*c));
        assert_eq!(hidden, None, "{name}");
    }
    // Nor can a field be added that could: pages take types that cannot.
    let sources = [
        include_str!("consent.rs"),
        include_str!("demo_people.rs"),
        include_str!("error.rs"),
        include_str!("front_page.rs"),
        include_str!("not_told.rs"),
        include_str!("signin.rs"),
    ];
    for field in sources
        .iter()
        .flat_map(|source| source.lines())
        .filter(|line| line.trim_start().starts_with("pub "))
    {
        assert!(
            !field.contains("String") && !field.contains("&'static str")
                || field.contains("kind:")
                || field.contains("action"),
            "{field}"
        );
    }
}

#[test]
fn every_page_has_a_language_a_title_one_heading_and_one_main() {
    for (name, html) in every_page() {
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        assert!(html.contains("<title>") && html.contains("This is a demo"), "{name}");
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert_eq!(html.matches("<main").count(), 1, "{name}");
        assert_eq!(
            html.matches("method=\"post\"").count(),
            html.matches("<form").count(),
            "{name}"
        );
    }
}

#[test]
fn a_page_outside_the_demo_does_not_speak_of_it() {
    let page = SignInPage { frame: Frame::default(), ..sign_in() };
    assert!(!page.render().unwrap().contains("demo"));
}

#[test]
fn consent_says_who_what_where() {
    let page = ConsentPage {
        client_name: "Cursor".into(),
        servers: vec!["dice".into(), "uuid".into()],
        redirect_uri: "http://localhost:1234/callback".into(),
        destination: Destination::ThisComputer("localhost".into()),
        user: None,
        provider_label: "Okta".into(),
        transaction: "ptn_txn_1".into(),
        csrf: "ptn_cf_1".into(),
        asked: "ptn_user_1".into(),
        ..consent()
    };
    let html = page.render().unwrap();
    let expected = [
        "<bdi>Cursor</bdi>",
        "<bdi>dice</bdi>",
        "<bdi>uuid</bdi>",
        "<strong>localhost</strong>",
        "http://localhost:1234/callback",
        "on your own computer",
        "sign in at <bdi class=\"name\">Okta</bdi> next",
        "action=\"/auth/consent\"",
        "name=\"transaction\" value=\"ptn_txn_1\"",
        "name=\"csrf\" value=\"ptn_cf_1\"",
        "name=\"asked\" value=\"ptn_user_1\"",
        "name=\"decision\" value=\"allow\"",
        "name=\"decision\" value=\"deny\"",
    ];
    for part in expected {
        assert!(html.contains(part), "{part}");
    }
    assert!(
        html.contains(">new<") && html.contains("stays allowed") && html.contains("has changed")
    );
    let program =
        ConsentPage { destination: Destination::Program("com.evil.app:".into()), ..page.clone() }
            .render()
            .unwrap();
    assert!(
        program.contains("<strong>com.evil.app:</strong>")
            && program.contains("opens a program on your own computer")
    );
    let elsewhere = ConsentPage { is_local: false, ..page };
    assert!(!elsewhere.render().unwrap().contains("on your own computer"));
    let first =
        ConsentPage { scopes: Vec::new(), kept: Vec::new(), has_changed: false, ..elsewhere };
    let html = ConsentPage { origin: Origin::Configured, ..first }.render().unwrap();
    assert!(
        !html.contains(">new<") && !html.contains("stays allowed") && !html.contains("has changed")
    );
    assert!(html.contains("administrator") && !html.contains("registered itself"));
}

#[test]
fn answers_carry_the_headers() {
    let error = respond(StatusCode::BAD_REQUEST, &error());
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    let consent = respond(StatusCode::OK, &consent());
    let front_page = respond(StatusCode::OK, &front_page());
    for response in [&error, &consent, &front_page] {
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in
            ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["referrer-policy"], "same-origin");
    }
    let has = |response: &Response, part: &str| {
        response.headers()["content-security-policy"].to_str().unwrap().contains(part)
    };
    assert!(
        has(&error, "form-action 'self'")
            && !has(&consent, "form-action")
            && !has(&front_page, "form-action")
    );
    let opener = "cross-origin-opener-policy";
    assert!(front_page.headers().contains_key(opener) && !consent.headers().contains_key(opener));
}

#[tokio::test]
async fn the_stylesheet_is_where_the_pages_say() {
    use tower::ServiceExt as _;
    for (href, kind) in
        [(assets::css_href(), "text/css; charset=utf-8"), (assets::mark_href(), "image/svg+xml")]
    {
        let request = axum::extract::Request::get(href).body(axum::body::Body::empty()).unwrap();
        let response = assets::routes::<()>().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], kind);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("url(") && !text.contains("@import") && !text.contains("http"),
            "nothing from elsewhere"
        );
    }
}

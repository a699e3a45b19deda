//! Every page with made-up content, on a loopback port, to look at in a browser: `cargo run -p
//! portunus --example pages -- 4400`.

use axum::{Router, response::Response, routing::get};
use http::StatusCode;
use portunus::edge::pages::{
    BackLink, ConnectHelp, ConsentPage, ContinuePage, DemoPeoplePage, DemoPerson, Destination,
    ErrorPage, Frame, FrontPage, FrontPageGrant, FrontPageKey, FrontPageServer, FrontPageUser,
    Label, NotAdmittedPage, NotToldPage, Origin, ProviderChoice, ScopeLine, SignInPage,
    SignedInPage, SignedOutPage, assets, respond,
};
use tokio::net::TcpListener;

const MCP: &str = "http://localhost:3000/mcp";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4400);
    let app = Router::new()
        .route("/", get(async || front_page(true)))
        .route("/welcome", get(async || front_page(false)))
        .route("/consent", get(async || consent(false)))
        .route("/consent-local", get(async || consent(true)))
        .route("/continue", get(async || continued()))
        .route("/not-told", get(async || not_told()))
        .route("/signin", get(async || sign_in()))
        .route("/signed-in", get(async || signed_in()))
        .route("/signed-out", get(async || signed_out()))
        .route("/error", get(async || error()))
        .route("/not-admitted", get(async || not_admitted()))
        .route("/people", get(async || people()))
        .merge(assets::routes());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await
}

fn frame() -> Frame {
    Frame { demo: false, signed_in_as: Some("Alice".into()) }
}

fn labels(texts: &[&str]) -> Vec<Label> {
    texts.iter().map(|text| (*text).into()).collect()
}

fn consent(local: bool) -> Response {
    let scope = |name: &str, words: &str| ScopeLine {
        name: name.into(),
        words: words.into(),
        is_new: !local,
    };
    let page = ConsentPage {
        frame: Frame { demo: local, signed_in_as: local.then(|| "Alice".into()) },
        client_name: if local {
            "Claude Code (portunus)".into()
        } else {
            "\u{202E}Cursor <b>x</b>".into()
        },
        client_id: "ptn_client_2xXJ6Zq0b7m3Yw8H1rVd5tKcUoLpNsAeFiGhQjWkMzE".into(),
        client_uri: Some("https://cursor.com".into()),
        origin: if local {
            Origin::Registered("today".into())
        } else {
            Origin::Document("www.cursor.com".into())
        },
        resources: vec![MCP.into()],
        servers: if local {
            labels(&["dice", "uuid", "github", "jira-cloud", "warehouse"])
        } else {
            labels(&["dice"])
        },
        scopes: vec![
            scope("mcp", "Use every tool, prompt and resource you may use"),
            scope(
                "offline_access",
                "Keep this access for 30 days after its last use, without asking you again",
            ),
        ],
        kept: if local {
            Vec::new()
        } else {
            vec![scope("dice:read", "Look at the dice that were rolled")]
        },
        has_changed: false,
        redirect_uri: if local {
            "http://localhost:54823/callback".into()
        } else {
            "https://www.cursor.com/agents/mcp/oauth/callback?workspace=0123456789".into()
        },
        destination: if local {
            Destination::ThisComputer("localhost".into())
        } else {
            Destination::Web("www.cursor.com".into())
        },
        is_local: local,
        user: local.then(|| "Alice".into()),
        asked: "x".into(),
        provider_label: "Okta".into(),
        transaction: "ptn_txn_x".into(),
        csrf: "token".into(),
    };
    respond(StatusCode::OK, &page)
}

fn continued() -> Response {
    let page = ContinuePage {
        frame: frame(),
        client_name: "Cursor".into(),
        client_id: "ptn_client_2xXJ6Zq0b7m3Yw8H1rVd5tKcUoLpNsAeFiGhQjWkMzE".into(),
        allowed: "on 3 March 2026".into(),
        servers: labels(&["dice", "uuid", "github"]),
        scopes: vec![ScopeLine {
            name: "mcp".into(),
            words: "Use every tool, prompt and resource you may use".into(),
            is_new: false,
        }],
        redirect_uri: "cursor://anysphere.cursor-mcp/oauth/callback".into(),
        destination: Destination::Program("cursor:".into()),
        user: "Alice".into(),
        asked: "x".into(),
        transaction: "ptn_txn_x".into(),
        csrf: "token".into(),
    };
    respond(StatusCode::OK, &page)
}

fn not_told() -> Response {
    respond(StatusCode::OK, &NotToldPage { frame: frame(), client_name: "An editor".into() })
}

fn front_page(signed_in: bool) -> Response {
    let server = |name: &str, kind: &'static str| FrontPageServer {
        name: name.into(),
        url: format!("{MCP}/{name}").into(),
        kind,
    };
    let grant = |client: &str, since: &str| FrontPageGrant {
        client: client.into(),
        resource: MCP.into(),
        since: since.into(),
        id: "ptn_grant_x".into(),
    };
    let page = FrontPage {
        frame: Frame { demo: signed_in, signed_in_as: None },
        user: signed_in.then(|| FrontPageUser {
            name: "Alice".into(),
            email: Some("alice@example.com".into()),
            groups: labels(&["engineering", "admins"]),
        }),
        servers: vec![server("dice", "stdio"), server("uuid", "http"), server("legacy", "proxy")],
        grants: vec![grant("Claude Code (portunus)", "today"), grant("Cursor", "on 3 March 2026")],
        keys: vec![FrontPageKey {
            name: "nightly job".into(),
            shown: "ptn_ak_EXAMPLE0".into(),
            resource: format!("{MCP}/uuid").into(),
            since: "today".into(),
            until: "on 1 June 2026".into(),
            id: "ptn_grant_y".into(),
        }],
        connect: ConnectHelp::for_url(MCP),
        sign_in_href: "/auth/signin".into(),
        csrf: "token".into(),
        disconnect_action: Some("/auth/disconnect"),
    };
    respond(StatusCode::OK, &page)
}

fn sign_in() -> Response {
    let choice =
        |label: &str, href: &str| ProviderChoice { label: label.into(), href: href.into() };
    let page = SignInPage {
        frame: Frame::default(),
        providers: vec![
            choice("Okta", "/auth/signin/okta"),
            choice("Google", "/auth/signin/google"),
        ],
        client_name: Some("Claude Code (portunus)".into()),
    };
    respond(StatusCode::OK, &page)
}

fn signed_in() -> Response {
    let back = BackLink {
        label: "Go back to your application".into(),
        href: "cursor://example/callback?code=fake".into(),
    };
    respond(StatusCode::OK, &SignedInPage { frame: frame(), name: "Alice".into(), back })
}

fn signed_out() -> Response {
    respond(
        StatusCode::OK,
        &SignedOutPage { frame: Frame::default(), at_provider: Some("Okta".into()) },
    )
}

fn error() -> Response {
    let page = ErrorPage {
        frame: Frame::default(),
        title: "This application may not be sent there".into(),
        message: "The address it asks us to send you to is not one that it registered. We have not sent you anywhere.".into(),
        hint: Some("Remove the connection in your application, and connect again.".into()),
        again: None,
        back: Some(BackLink { label: "Go back to Cursor".into(), href: "https://www.cursor.com/callback".into() }),
        request_id: "01JZ9X4T8Q".into(),
    };
    respond(StatusCode::BAD_REQUEST, &page)
}

fn not_admitted() -> Response {
    let page = NotAdmittedPage {
        frame: Frame::default(),
        provider: "GitHub".into(),
        account: "octocat@home.example".into(),
        subject: "583231".into(),
        another: "/auth/signin?transaction=ptn_txn_x&account=another".into(),
        back: Some(BackLink {
            label: "Go back to Cursor".into(),
            href: "https://www.cursor.com/callback".into(),
        }),
        request_id: "01JZ9X4T8Q".into(),
    };
    respond(StatusCode::FORBIDDEN, &page)
}

fn people() -> Response {
    let person = |name: &str, email: &str, groups: &[&str]| DemoPerson {
        name: name.into(),
        email: email.into(),
        groups: labels(groups),
        value: name.to_lowercase().into(),
    };
    let page = DemoPeoplePage {
        frame: Frame { demo: true, signed_in_as: None },
        people: vec![
            person("Alice", "alice@example.com", &["engineering", "admins"]),
            person("Bob", "bob@example.com", &["sales"]),
        ],
        action: "/auth/demo",
        hidden: vec![("request".into(), "key".into())],
    };
    respond(StatusCode::OK, &page)
}

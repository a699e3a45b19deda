//! Refusals that a person sees (FB09): a browser opens an address of applications, or one where
//! nothing is. What is JSON for programs is a page for people, with the same status and the same
//! headers, that says what this is and leads to the front page.

use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};

use super::{
    extensions::{FromAnotherServer, RequestId},
    pages::{self, BackLink, ErrorPage, Frame, Label, Sentence},
};

/// Documents for programs, and their checks: never pages.
const DATA: [&str; 4] = ["/.well-known/", "/health", "/healthz", "/ready"];

/// Does a browser ask, to show what it gets as a page? Programs that take anything (`*/*`), or name
/// another media type, do not.
pub fn wants_page(method: &Method, headers: &HeaderMap, path: &str) -> bool {
    let accepts_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|range| {
            range
                .split(';')
                .next()
                .is_some_and(|range| range.trim().eq_ignore_ascii_case("text/html"))
        });
    let is_data = DATA
        .iter()
        .any(|data| if data.ends_with('/') { path.starts_with(data) } else { path == *data });
    accepts_html && matches!(*method, Method::GET | Method::HEAD) && !is_data
}

/// The answer, as a page if it is a refusal of ours that is none yet.
pub fn as_page(response: Response, path: &str, id: &RequestId, demo: bool) -> Response {
    let status = response.status();
    let is_ours = response.extensions().get::<FromAnotherServer>().is_none();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if !(status.is_client_error() || status.is_server_error()) || !is_ours || is_page {
        return response;
    }
    let (title, message, link) = texts(status, path);
    let page = ErrorPage {
        frame: Frame { demo, signed_in_as: None },
        title: title.into(),
        message: message.into(),
        hint: hint(status).map(Sentence::from),
        again: None,
        back: Some(BackLink { label: Label::from(link.0), href: link.1.to_owned().into() }),
        request_id: Label::from(id.as_str()),
    };
    let mut page = pages::respond(status, &page);
    // Challenges, `Retry-After`, `Allow`, cookies: whatever the refusal says beside its body.
    for (name, value) in response.headers() {
        if !page.headers().contains_key(name)
            && !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING)
        {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

type Link = (&'static str, &'static str);

const FRONT_PAGE: Link = ("Go to the front page", "/");

fn texts(status: StatusCode, path: &str) -> (&'static str, &'static str, Link) {
    match status {
        StatusCode::UNAUTHORIZED if path == "/tools" => (
            "Sign in to see your tools",
            "This is the list of the tools that you may use.",
            ("Sign in", "/auth/signin?return_to=/tools"),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_ACCEPTABLE => (
            "This address is for applications",
            "An application that speaks MCP connects here, and signs you in by itself. The front page shows which address to give it.",
            FRONT_PAGE,
        ),
        StatusCode::NOT_FOUND => {
            ("There is nothing here", "This gateway has no page at that address.", FRONT_PAGE)
        }
        StatusCode::TOO_MANY_REQUESTS => (
            "Too many requests",
            "More requests came from you than are taken at a time.",
            FRONT_PAGE,
        ),
        status if status.is_server_error() => {
            ("Not available just now", "The gateway could not answer this request.", FRONT_PAGE)
        }
        _ => (
            "This request cannot be used",
            "The gateway did not accept what the browser sent.",
            FRONT_PAGE,
        ),
    }
}

fn hint(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some("Wait a moment, and try again."),
        status if status.is_server_error() => {
            Some("Nothing was lost. Please try again in a minute.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn fb09_only_browsers_get_pages() {
        let cases = [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "/mcp", true),
            ("TEXT/HTML;q=0.5", "/nowhere", true),
            ("application/json, text/html", "/tools", true),
            ("*/*", "/mcp", false),
            ("application/json", "/mcp", false),
            ("text/event-stream", "/mcp", false),
            ("application/json, text/event-stream", "/mcp", false),
            ("text/htmlx", "/mcp", false),
            ("text/html", "/.well-known/oauth-protected-resource/none", false),
            ("text/html", "/ready", false),
        ];
        for (accept, path, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_page(&Method::GET, &headers, path), expected, "{accept} {path}");
            assert!(!wants_page(&Method::POST, &headers, path), "{accept} {path}");
        }
        assert!(!wants_page(&Method::GET, &HeaderMap::new(), "/mcp"));
    }
}

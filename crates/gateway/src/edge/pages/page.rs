//! What every page has in common: the frame around it, and the answer it is sent as, with the
//! headers that keep it safe. The pages themselves are next door, one file each.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::text::Label;

/// What surrounds every page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Shows the banner: this is a demo, every person at this machine can sign in.
    pub demo: bool,
    /// The name of the person who is signed in with this browser.
    pub signed_in_as: Option<Label>,
}

/// A page and where it stands, which decides two of its headers.
pub trait Page: Template {
    /// A form on this page may be answered with a redirect to another site (the identity provider,
    /// the client). Browsers hold the whole chain of redirects to `form-action`, and the hops
    /// between a company's identity providers cannot be listed: so such a page goes without. What
    /// `form-action` guards against is a form smuggled into the page; the escaping and `default-src
    /// 'none'` stand against that.
    const FORMS_LEAD_AWAY: bool = false;

    /// Web clients open the authorization in a popup, and their callback page talks to its
    /// `window.opener` at the end. A `Cross-Origin-Opener-Policy` on any page on the way would cut
    /// that tie for good.
    const MAY_BE_POPUP: bool = false;
}

/// An HTML answer with the page's security headers. A page that does not render becomes a plain
/// 500.
pub fn respond<P: Page>(status: StatusCode, page: &P) -> Response {
    match page.render() {
        Ok(html) => (status, headers::<P>(), html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page did not render");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.").into_response()
        }
    }
}

fn headers<P: Page>() -> HeaderMap {
    let policy = if P::FORMS_LEAD_AWAY {
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    } else {
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    };
    let mut headers = HeaderMap::with_capacity(8);
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(header::CONTENT_SECURITY_POLICY, policy);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms, and the edge
    // could not tell ours from others'.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    if !P::MAY_BE_POPUP {
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
    headers
}

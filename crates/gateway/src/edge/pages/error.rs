//! The page for everything that went wrong in front of a person. Its texts are fixed, but for names
//! in them; the log has the detail, under the same request id.

use askama::Template;

use super::{
    assets,
    page::{Frame, Page},
    text::{Label, Sentence, UrlText},
};

#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub frame: Frame,
    pub title: Sentence,
    pub message: Sentence,
    /// What the person can do about it.
    pub hint: Option<Sentence>,
    /// Begins anew what failed.
    pub again: Option<BackLink>,
    /// Leads back to the application, which is told what happened. Only a person follows it (threat
    /// 11).
    pub back: Option<BackLink>,
    pub request_id: Label,
}

/// A link out of the error page.
#[derive(Clone, Debug)]
pub struct BackLink {
    pub label: Label,
    pub href: UrlText,
}

impl Page for ErrorPage {
    // The way back to the application leads on in the same window.
    const MAY_BE_POPUP: bool = true;
}

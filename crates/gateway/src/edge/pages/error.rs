//! The page for everything that went wrong in front of a person. Its texts are fixed; the log has the detail, under the same
//! request id.

use askama::Template;

use super::{Frame, Label, Page, assets};

#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub frame: Frame,
    pub title: String,
    pub message: String,
    /// What the person can do about it.
    pub hint: Option<String>,
    pub request_id: Label,
}

impl Page for ErrorPage {}

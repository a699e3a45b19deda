//! The page for an account that may not use this gateway (threat 53): which account it was, whom to
//! ask, and the way to another one. Other errors have [`super::error`].

use askama::Template;

use super::{
    assets,
    error::BackLink,
    page::{Frame, Page},
    text::{Label, UrlText},
};

#[derive(Clone, Debug, Template)]
#[template(path = "not_admitted.html")]
pub struct NotAdmittedPage {
    pub frame: Frame,
    /// The provider that the account is at.
    pub provider: Label,
    /// Its e-mail address, or else its name.
    pub account: Label,
    /// What the provider calls it (`sub`): what an administrator needs who wants to admit it.
    pub subject: Label,
    /// A path of ours that asks the provider for another account.
    pub another: UrlText,
    /// Leads back to the application, which is told that access was denied. Only a person follows
    /// it (threat 11).
    pub back: Option<BackLink>,
    pub request_id: Label,
}

impl Page for NotAdmittedPage {
    // Another account leads on in the same window.
    const MAY_BE_POPUP: bool = true;
}

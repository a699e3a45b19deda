//! The pages around signing in and out. The demo's own sign-in form is in [`super::demo_people`].

use askama::Template;

use super::{
    assets,
    error::BackLink,
    page::{Frame, Page},
    text::{Label, UrlText},
};

/// A button that leads to one identity provider.
#[derive(Clone, Debug)]
pub struct ProviderChoice {
    pub label: Label,
    /// A path of ours that leads there.
    pub href: UrlText,
}

/// Where shall we send you to sign in?
#[derive(Clone, Debug, Template)]
#[template(path = "signin.html")]
pub struct SignInPage {
    pub frame: Frame,
    pub providers: Vec<ProviderChoice>,
    /// The client on whose behalf the person is here, if any.
    pub client_name: Option<Label>,
}

impl Page for SignInPage {
    const MAY_BE_POPUP: bool = true;
}

/// Signed in, on behalf of a program that was opened beside the browser; the window may be closed.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_in.html")]
pub struct SignedInPage {
    pub frame: Frame,
    pub name: Label,
    /// Hands the program its answer.
    pub back: BackLink,
}

impl Page for SignedInPage {
    const MAY_BE_POPUP: bool = true;
}

/// Signed out here, and at the provider if it offers that.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage {
    pub frame: Frame,
    /// The provider at which the person was signed out too.
    pub at_provider: Option<Label>,
}

impl Page for SignedOutPage {}

//! The front page, `/`: my servers, my applications, my keys, how to connect.

use askama::Template;

use super::{
    assets,
    connect::ConnectHelp,
    page::{Frame, Page},
    text::{Label, Sentence, UrlText},
};

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct FrontPageUser {
    pub name: Label,
    pub email: Option<Label>,
    pub groups: Vec<Label>,
}

/// A server the person may use.
#[derive(Clone, Debug)]
pub struct FrontPageServer {
    pub name: Label,
    pub url: UrlText,
    /// `stdio`, `http`, `proxy`.
    pub kind: &'static str,
}

/// An application the person allowed in.
#[derive(Clone, Debug)]
pub struct FrontPageGrant {
    pub client: Label,
    pub resource: UrlText,
    /// As [`super::when::day`] says it.
    pub since: Sentence,
    pub id: UrlText,
}

/// An agent key of the person.
#[derive(Clone, Debug)]
pub struct FrontPageKey {
    pub name: Label,
    /// Its first characters.
    pub shown: Label,
    pub resource: UrlText,
    /// As [`super::when::day`] says it.
    pub since: Sentence,
    pub until: Sentence,
    pub id: UrlText,
}

/// Signs out by posting `csrf` to `/auth/signout`.
#[derive(Clone, Debug, Template)]
#[template(path = "front_page.html")]
pub struct FrontPage {
    pub frame: Frame,
    /// `None` shows the welcome page with a way to sign in.
    pub user: Option<FrontPageUser>,
    pub servers: Vec<FrontPageServer>,
    pub grants: Vec<FrontPageGrant>,
    pub keys: Vec<FrontPageKey>,
    pub connect: ConnectHelp,
    pub sign_in_href: UrlText,
    pub csrf: UrlText,
    /// Where a grant or a key is ended by posting `grant` and `csrf`; without it the page only
    /// lists them.
    pub disconnect_action: Option<&'static str>,
}

impl Page for FrontPage {
    // Signing out leads to the provider's sign-out page.
    const FORMS_LEAD_AWAY: bool = true;
}

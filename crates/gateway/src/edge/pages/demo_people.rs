//! The demo's sign-in page: pick who you are. What it posts to lives in `demo::provider`.

use askama::Template;

use super::{
    assets,
    page::{Frame, Page},
    text::{Label, UrlText},
};

/// A person to sign in as.
#[derive(Clone, Debug)]
pub struct DemoPerson {
    pub name: Label,
    pub email: Label,
    pub groups: Vec<Label>,
    /// What the form posts as `person`.
    pub value: UrlText,
}

/// Posts `person` and the hidden fields to `action`.
#[derive(Clone, Debug, Template)]
#[template(path = "demo_people.html")]
pub struct DemoPeoplePage {
    pub frame: Frame,
    pub people: Vec<DemoPerson>,
    pub action: &'static str,
    pub hidden: Vec<(UrlText, UrlText)>,
}

impl Page for DemoPeoplePage {
    const FORMS_LEAD_AWAY: bool = true;
    const MAY_BE_POPUP: bool = true;
}

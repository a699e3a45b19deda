//! The consent page (threats 1, 5, 13): who asks, for what, for which servers, and where the answer will be sent.

use askama::Template;

use super::{Frame, Label, Page, UrlText, assets};

/// One scope and what it means, in words.
#[derive(Clone, Debug)]
pub struct ScopeLine {
    pub name: Label,
    pub words: String,
}

/// Posts `transaction`, `csrf` and `decision` (`allow` or `deny`) to `/auth/consent`.
#[derive(Clone, Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    pub frame: Frame,
    pub client_name: Label,
    pub client_id: UrlText,
    /// The client's own home page, shown as text only: it is as unproven as the name.
    pub client_uri: Option<UrlText>,
    /// When it was registered, as [`super::when::day`] says it: `today`, `on 3 March 2026`.
    pub registered: String,
    /// What to call the resource: `your MCP servers`, `dice`.
    pub resource_label: Label,
    pub resource: UrlText,
    /// The servers behind it that this person may use; without any, the page shows the resource's URL.
    pub servers: Vec<Label>,
    pub scopes: Vec<ScopeLine>,
    /// Where the answer goes, in full.
    pub redirect_uri: UrlText,
    /// The part of it that a person recognises (`RedirectUri::host`).
    pub redirect_host: UrlText,
    /// Every redirect URI of the client leads back to this computer, where any program may be listening.
    pub all_local: bool,
    /// Who is signed in; if nobody is, the page says that signing in at `provider_label` comes next.
    pub user: Option<Label>,
    pub provider_label: Label,
    pub transaction: String,
    pub csrf: String,
}

impl Page for ConsentPage {
    const FORMS_LEAD_AWAY: bool = true;
    const MAY_BE_POPUP: bool = true;
}

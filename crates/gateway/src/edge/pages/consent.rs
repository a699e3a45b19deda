//! The consent page (threats 1, 5, 13): who asks, for what, for which servers, and where the answer
//! will be sent.

use askama::Template;

use portunus_core::redirect::Recipient;

use super::{
    assets,
    page::{Frame, Page},
    text::{Label, Sentence, UrlText},
};

/// How we know of the application.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It registered itself, when [`super::when::day`] says: `today`, `on 3 March 2026`.
    Registered(Sentence),
    /// A document at this host describes it.
    Document(UrlText),
    /// The administrator of the gateway put it into the configuration.
    Configured,
}

/// To whom the answer goes, by the name that a person recognises (threat 57).
#[derive(Clone, Debug)]
pub enum Destination {
    /// A host on the web.
    Web(UrlText),
    /// A host of this computer.
    ThisComputer(UrlText),
    /// The program that this computer opens for a scheme.
    Program(UrlText),
}

impl Destination {
    /// The name, to stand out.
    pub const fn name(&self) -> &UrlText {
        match self {
            Self::Web(name) | Self::ThisComputer(name) | Self::Program(name) => name,
        }
    }

    /// Is it a program, and no host?
    pub const fn is_program(&self) -> bool {
        matches!(self, Self::Program(_))
    }
}

impl From<&Recipient> for Destination {
    fn from(recipient: &Recipient) -> Self {
        let name = UrlText::from(recipient.to_string());
        match recipient {
            Recipient::Host(_) => Self::Web(name),
            Recipient::Loopback(_) => Self::ThisComputer(name),
            Recipient::Program(_) => Self::Program(name),
        }
    }
}

/// One scope and what it means, in words.
#[derive(Clone, Debug)]
pub struct ScopeLine {
    pub name: Label,
    pub words: Sentence,
    /// The person allowed this application something before, but not this.
    pub is_new: bool,
}

/// Posts `transaction`, `asked`, `csrf` and `decision` (`allow` or `deny`) to `/auth/consent`.
#[derive(Clone, Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    pub frame: Frame,
    pub client_name: Label,
    pub client_id: UrlText,
    /// The client's own home page, shown as text only: it is as unproven as the name.
    pub client_uri: Option<UrlText>,
    pub origin: Origin,
    pub resources: Vec<UrlText>,
    /// What stands behind them; if nothing does, the page shows their URLs.
    pub servers: Vec<Label>,
    pub scopes: Vec<ScopeLine>,
    /// What it was allowed before and does not ask for now.
    pub kept: Vec<ScopeLine>,
    /// It was allowed before, when it had other addresses or keys (threat 28).
    pub has_changed: bool,
    /// Where the answer goes, in full.
    pub redirect_uri: UrlText,
    /// The part of it that a person recognises.
    pub destination: Destination,
    /// Every redirect URI of the client leads back to this computer, where any program may be
    /// listening.
    pub is_local: bool,
    /// Who is signed in; if `None`, the page says that signing in at `provider_label` comes next.
    pub user: Option<Label>,
    /// Whom the page asks: the user's id, empty without a login. The answer of another user does
    /// not count.
    pub asked: UrlText,
    pub provider_label: Label,
    pub transaction: UrlText,
    pub csrf: UrlText,
}

impl Page for ConsentPage {
    const FORMS_LEAD_AWAY: bool = true;
    const MAY_BE_POPUP: bool = true;
}

/// The short form of the question, for what the person allowed before (threat 58). Posts what
/// [`ConsentPage`] does, to the same place.
#[derive(Clone, Debug, Template)]
#[template(path = "continue.html")]
pub struct ContinuePage {
    pub frame: Frame,
    pub client_name: Label,
    pub client_id: UrlText,
    /// As [`super::when::day`] says it.
    pub allowed: Sentence,
    /// What stands behind the resources; if nothing does, the page leaves the line out.
    pub servers: Vec<Label>,
    pub scopes: Vec<ScopeLine>,
    pub redirect_uri: UrlText,
    pub destination: Destination,
    pub user: Label,
    /// The id of the person whom the page asks.
    pub asked: UrlText,
    pub transaction: UrlText,
    pub csrf: UrlText,
}

impl Page for ContinuePage {
    const FORMS_LEAD_AWAY: bool = true;
    const MAY_BE_POPUP: bool = true;
}

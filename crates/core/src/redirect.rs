//! Redirect URIs of clients: which may be registered, and when one that is presented is the one
//! that was registered (threats 4, 5, 6, 57, 58, 59, 66). How a URI is read is [`crate::uri`]'s;
//! our own URLs live in [`crate::resource`].

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::uri::{BadUri, StrictUri};

mod app_schemes;

/// A redirect URI that may be registered, spelt as the client spelt it: ASCII, and nothing that a
/// browser would read otherwise (threat 66).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Why a redirect URI is refused: `invalid_redirect_uri` (RFC 7591 section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRedirectUri {
    #[error(transparent)]
    Uri(#[from] BadUri),
    #[error("http is allowed for loopback hosts only (localhost, 127.0.0.1, [::1]); use https")]
    PlainHttp,
    #[error(
        "the scheme must be https, http on a loopback host, or a private-use scheme with a dot, such as com.example.app; the administrator can allow \
         another one (clients.redirect_schemes)"
    )]
    Scheme,
    #[error("longer than {MAX_LENGTH} characters")]
    TooLong,
}

const MAX_LENGTH: usize = 2048;

/// Hosts of this computer, each in its one spelling (RFC 8252 sections 7.3 and 8.3).
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What an answer at a redirect URI is delivered to, as a person can recognise it (threat 57).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A host on the web.
    Host(String),
    /// A program on this computer that listens on a loopback host.
    Loopback(String),
    /// The program that this computer opens for the scheme. What stands after the scheme is that
    /// program's own affair, and names no host.
    Program(String),
}

impl fmt::Display for Recipient {
    /// A scheme keeps its colon, so that it is never taken for a host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) | Self::Loopback(host) => f.write_str(host),
            Self::Program(scheme) => write!(f, "{scheme}:"),
        }
    }
}

impl RedirectUri {
    /// Accepts https, http on loopback hosts, and private-use schemes (RFC 8252 sections 7.1 to
    /// 7.3): those with a dot, and those of well-known applications.
    pub fn parse(text: &str) -> Result<Self, BadRedirectUri> {
        Self::parse_by(text, &Schemes::default())
    }

    /// The same, with other schemes as `schemes` says.
    pub fn parse_by(text: &str, schemes: &Schemes) -> Result<Self, BadRedirectUri> {
        Self::read(text, |scheme| schemes.allow(scheme))
    }

    /// Accepts every scheme that does no harm: for what an administrator chose, and for what was
    /// registered when other schemes were allowed.
    pub fn parse_chosen(text: &str) -> Result<Self, BadRedirectUri> {
        Self::read(text, |scheme| !is_harmful(scheme))
    }

    fn read(text: &str, is_allowed: impl FnOnce(&str) -> bool) -> Result<Self, BadRedirectUri> {
        if text.len() > MAX_LENGTH {
            return Err(BadRedirectUri::TooLong);
        }
        // What is wrong with the scheme is told before what would be wrong with the rest.
        if let Some((scheme, _)) = text.split_once(':')
            && scheme.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            })
            && !is_allowed(scheme)
        {
            return Err(BadRedirectUri::Scheme);
        }
        let uri = StrictUri::parse(text)?;
        if uri.scheme == "http" && !LOOPBACK.contains(&uri.host()) {
            return Err(BadRedirectUri::PlainHttp);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does `presented`, from an authorization request, name this registered URI? An exact
    /// comparison of strings, save that the port of an http loopback URI may vary (RFC 8252 section
    /// 7.3, OAuth 2.1 section 2.3.1). Host, path and query stay exact.
    pub fn admits(&self, presented: &str) -> bool {
        self.admitted(presented).is_some()
    }

    /// The same: what was presented, if it names this registered URI.
    pub fn admitted(&self, presented: &str) -> Option<Self> {
        if self.0 == presented {
            return Some(self.clone());
        }
        let presented = Self::parse(presented).ok()?;
        let is_same = self
            .loopback_parts()
            .is_some_and(|registered| presented.loopback_parts() == Some(registered));
        is_same.then_some(presented)
    }

    /// What stays exact of an http loopback URI when its port may vary.
    fn loopback_parts(&self) -> Option<(&str, &str, Option<&str>)> {
        let uri = self.parts().filter(|uri| uri.scheme == "http")?;
        Some((uri.host(), uri.path, uri.query))
    }

    /// `None` cannot be: the text was read when this was made.
    fn parts(&self) -> Option<StrictUri<'_>> {
        StrictUri::parse(&self.0).ok()
    }

    /// To whom an answer at this URI goes.
    pub fn recipient(&self) -> Recipient {
        let host = self.parts().map_or("", |uri| uri.host());
        match self.scheme() {
            "https" | "http" if LOOPBACK.contains(&host) => Recipient::Loopback(host.to_owned()),
            "https" | "http" => Recipient::Host(host.to_owned()),
            scheme => Recipient::Program(scheme.to_owned()),
        }
    }

    /// The host of an https URI. No other scheme has one that says whose it is (threat 57).
    pub fn https_host(&self) -> Option<&str> {
        self.parts().filter(|uri| uri.scheme == "https").map(|uri| uri.host())
    }

    /// Does the URI lead back to the machine in front of the user, where any local program may
    /// listen (threat 5)?
    pub fn is_local(&self) -> bool {
        matches!(self.recipient(), Recipient::Loopback(_))
    }

    /// The scheme, in small letters.
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Does the URI lead to a program by a scheme of its own (RFC 8252 section 7.1), which a
    /// browser opens beside the page it is on?
    pub fn is_private_use(&self) -> bool {
        matches!(self.recipient(), Recipient::Program(_))
    }

    /// Is whatever answers at this URI known by its name on the web, and by nothing else (RFC 8252
    /// section 8.6)?
    pub fn is_on_the_web(&self) -> bool {
        matches!(self.recipient(), Recipient::Host(_))
    }

    /// May an error be sent there? A private-use scheme opens anything that its program
    /// understands, at the wish of the client that registered the URI, so errors go to known
    /// callbacks of known programs alone (threat 59).
    pub fn may_be_told_of_errors(&self) -> bool {
        !self.is_private_use() || self.parts().is_some_and(|uri| app_schemes::is_callback(&uri))
    }
}

/// What a configuration changes about the schemes of redirect URIs (FB13). Without a word: the web,
/// reverse domain names (RFC 8252 section 7.1), and the applications of [`app_schemes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemes {
    added: Vec<String>,
    removed: Vec<String>,
}

/// Why a scheme cannot be added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadScheme {
    #[error("a scheme in small letters and without `://`, such as acme-editor")]
    Spelling,
    #[error("another scheme: browsers run or open something at this one by themselves")]
    Harmful,
    #[error("a private-use scheme: those of the web are always allowed")]
    Web,
}

impl Schemes {
    pub fn add(&mut self, scheme: &str) -> Result<(), BadScheme> {
        self.added.push(private_use(scheme)?);
        Ok(())
    }

    pub fn remove(&mut self, scheme: &str) -> Result<(), BadScheme> {
        self.removed.push(private_use(scheme)?);
        Ok(())
    }

    fn allow(&self, scheme: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|listed| listed == scheme);
        let is_reverse_domain =
            || scheme.contains('.') && scheme.split('.').all(|label| !label.is_empty());
        if is_in(&self.removed) {
            return false;
        }
        matches!(scheme, "http" | "https")
            || is_reverse_domain()
            || app_schemes::is_known(scheme)
            || is_in(&self.added)
    }

    /// May an answer be sent to this URI, which was registered some time ago?
    pub fn admit(&self, uri: &RedirectUri) -> bool {
        self.allow(uri.scheme())
    }
}

/// Is it spelt as a scheme is (RFC 3986 section 3.1), in small letters?
pub fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')
        })
}

fn private_use(scheme: &str) -> Result<String, BadScheme> {
    match scheme {
        "http" | "https" => Err(BadScheme::Web),
        _ if !is_scheme(scheme) => Err(BadScheme::Spelling),
        _ if is_harmful(scheme) => Err(BadScheme::Harmful),
        _ => Ok(scheme.to_owned()),
    }
}

/// Schemes at which a browser runs or opens something by itself.
const HARMFUL: [&str; 20] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "view-source",
    "filesystem",
    "jar",
    "chrome",
    "chrome-extension",
    "resource",
    "moz-extension",
    "ws",
    "wss",
    "ftp",
    "mailto",
    "tel",
    "sms",
    "intent",
];

/// Is it an address of the web, one that does harm, or none that can be read? What is left has a
/// scheme that is only not known here (FB12).
pub(crate) fn is_dangerous(text: &str) -> bool {
    scheme_of(text).is_none_or(|scheme| matches!(&*scheme, "http" | "https") || is_harmful(&scheme))
}

/// Would a browser run or open something at this address?
pub(crate) fn does_harm(text: &str) -> bool {
    scheme_of(text).is_some_and(|scheme| is_harmful(&scheme))
}

fn is_harmful(scheme: &str) -> bool {
    HARMFUL.contains(&scheme) || scheme.starts_with("ms-")
}

fn scheme_of(text: &str) -> Option<String> {
    let scheme = text.split_once(':')?.0.trim().to_ascii_lowercase();
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(scheme)
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_chosen(&text).map_err(serde::de::Error::custom)
    }
}

/// Reads the redirect URIs of a stored client. One that an earlier release took and this one
/// refuses is left out: the client keeps the others. Whether their schemes are allowed today is
/// asked when the client comes ([`Schemes::admit`]).
pub(crate) fn deserialize_registered<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RedirectUri>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    Ok(texts.iter().filter_map(|text| RedirectUri::parse_chosen(text).ok()).collect())
}

#[cfg(test)]
mod tests;

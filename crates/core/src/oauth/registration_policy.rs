//! Which clients may come to be by registering or by a metadata document: both methods can be
//! switched off, for all clients and for each family of clients. Clients in the configuration need
//! neither. The metadata advertises what is open here.

use thiserror::Error;

use crate::{
    client::Client,
    oauth::{ErrorCode, OAuthError, document::DocumentUrl},
    redirect::{RedirectUri, Schemes},
    text::Label,
};

/// A method that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMethod {
    /// Dynamic registration (RFC 7591).
    Registration,
    /// A client ID metadata document.
    MetadataDocument,
}

/// Which methods are open, and to which clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationPolicy {
    /// For clients of no family that has a switch of its own.
    pub registration: bool,
    pub metadata_documents: bool,
    /// The domains whose documents are accepted; every domain's if empty.
    pub domains: Vec<Domain>,
    pub families: Vec<Family>,
    /// Which schemes redirect URIs may have.
    pub redirect_schemes: Schemes,
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self {
            registration: true,
            metadata_documents: true,
            domains: Vec::new(),
            families: Vec::new(),
            redirect_schemes: Schemes::default(),
        }
    }
}

/// Clients that belong together, by what they say of themselves. `None` as a switch: as for all
/// other clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    pub name: String,
    /// The start of the client's name, in any case of letters.
    pub client_name: Option<String>,
    /// Schemes of redirect URIs, such as `cursor`.
    pub redirect_schemes: Vec<String>,
    /// Hosts of https redirect URIs, such as `claude.ai`. No other scheme has a host that says
    /// whose it is (threat 57).
    pub redirect_hosts: Vec<String>,
    pub registration: Option<bool>,
    pub metadata_documents: Option<bool>,
}

/// A domain whose documents are accepted: `app.example`, or `*.app.example` for every host below
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

/// Not a domain as it must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a domain is written `app.example`, or `*.app.example` for every host below it, in small letters"
)]
pub struct BadDomain;

impl Domain {
    pub fn parse(text: &str) -> Result<Self, BadDomain> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let fits = name.len() <= 253
            && name.split('.').all(is_label)
            && (name == text || name.contains('.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadDomain) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn admits(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(dotted) => host.len() > dotted.len() && host.ends_with(dotted),
            None => host == self.0,
        }
    }
}

impl RegistrationPolicy {
    /// Is the method open to any client at all? Then the metadata advertises it.
    pub fn is_open(&self, method: RegistrationMethod) -> bool {
        self.open_to_all(method)
            || self.families.iter().any(|family| family.switch(method) == Some(true))
    }

    /// The same, as the answer to a client that used it.
    pub fn check_open(&self, method: RegistrationMethod) -> Result<(), OAuthError> {
        if self.is_open(method) { Ok(()) } else { Err(switched_off(method)) }
    }

    /// May this client use this method? A family that is kept out is recognised by any one of its
    /// marks, one that is let in where others are not must bear all of them: so little can be won
    /// by pretending. What a client says of itself is never proof.
    pub fn admit(&self, method: RegistrationMethod, client: &Client) -> Result<(), OAuthError> {
        let kept_out = self
            .families
            .iter()
            .find(|family| family.switch(method) == Some(false) && family.resembles(client));
        if let Some(family) = kept_out {
            return Err(denied(format!(
                "{} is switched off here for clients like {}",
                method.noun(),
                family.name
            )));
        }
        let let_in = || {
            self.families
                .iter()
                .any(|family| family.switch(method) == Some(true) && family.contains(client))
        };
        if self.open_to_all(method) || let_in() {
            return Ok(());
        }
        Err(switched_off(method))
    }

    /// The client, which registered some time ago, with those of its redirect URIs that are allowed
    /// today.
    #[must_use]
    pub fn with_allowed_redirects(&self, mut client: Client) -> Client {
        client.redirect_uris.retain(|uri| self.redirect_schemes.admit(uri));
        client
    }

    /// May the document be fetched at all? Whether its client is welcome shows afterwards, by
    /// [`RegistrationPolicy::admit`].
    pub fn admit_document(&self, url: &DocumentUrl) -> Result<(), OAuthError> {
        self.check_open(RegistrationMethod::MetadataDocument)?;
        if !self.domains.is_empty() && !self.domains.iter().any(|domain| domain.admits(url.host()))
        {
            return Err(denied("client metadata documents of this domain are not accepted here"));
        }
        Ok(())
    }

    const fn open_to_all(&self, method: RegistrationMethod) -> bool {
        match method {
            RegistrationMethod::Registration => self.registration,
            RegistrationMethod::MetadataDocument => self.metadata_documents,
        }
    }
}

fn denied(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::AccessDenied, description)
}

fn switched_off(method: RegistrationMethod) -> OAuthError {
    denied(format!(
        "{} is switched off here; ask the administrator of this gateway for a client_id",
        method.noun()
    ))
}

impl RegistrationMethod {
    const fn noun(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::MetadataDocument => "the use of client metadata documents",
        }
    }
}

impl Family {
    const fn switch(&self, method: RegistrationMethod) -> Option<bool> {
        match method {
            RegistrationMethod::Registration => self.registration,
            RegistrationMethod::MetadataDocument => self.metadata_documents,
        }
    }

    fn has_redirects(&self) -> bool {
        !self.redirect_schemes.is_empty() || !self.redirect_hosts.is_empty()
    }

    fn leads_to(&self, uri: &RedirectUri) -> bool {
        self.redirect_schemes.iter().any(|scheme| scheme == uri.scheme())
            || uri
                .https_host()
                .is_some_and(|of_uri| self.redirect_hosts.iter().any(|host| host == of_uri))
    }

    fn names(&self, client: &Client) -> bool {
        // The name as a person sees it: one with a character in it that cannot be seen is still
        // that name (threat 64).
        let starts = |prefix: &str| {
            client
                .name
                .as_deref()
                .is_some_and(|name| starts_with(Label::new(name).as_str(), prefix))
        };
        self.client_name.as_deref().is_some_and(starts)
    }

    /// Has the client any mark of the family?
    fn resembles(&self, client: &Client) -> bool {
        self.names(client) || client.redirect_uris.iter().any(|uri| self.leads_to(uri))
    }

    /// Has the client every mark of the family?
    fn contains(&self, client: &Client) -> bool {
        let by_name = self.client_name.is_none() || self.names(client);
        let by_redirects =
            !self.has_redirects() || client.redirect_uris.iter().all(|uri| self.leads_to(uri));
        (self.client_name.is_some() || self.has_redirects()) && by_name && by_redirects
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    let mut name = name.chars().flat_map(char::to_lowercase);
    prefix.chars().flat_map(char::to_lowercase).all(|letter| name.next() == Some(letter))
}

#[cfg(test)]
mod tests;

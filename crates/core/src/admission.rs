//! Who may sign in at all (threat 53): the rule of one identity provider ([`Allow`]), judged over
//! what that provider said of a person. [`domain`] compares domains and addresses; [`open`] lists
//! the issuers that give an account to the public. Reading a rule from the configuration, and
//! asking it at sign-ins, is the gateway's part.

mod domain;
mod open;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::principal::User;

pub use self::{
    domain::{Domain, EmailAddress},
    open::{open_to_anyone, takes_addresses_of_anyone},
};

/// Which accounts of an identity provider may sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    /// Every account that the provider lets in: a company's own provider decides that itself.
    #[default]
    Anyone,
    /// Those that the rule names.
    Only(Rule),
}

/// Accounts, named in up to four ways; an account needs to fit one of them. An empty rule admits
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub domains: Vec<Domain>,
    pub domain_of: DomainOf,
    /// As the provider spells them.
    pub groups: Vec<String>,
    pub organisations: Vec<Organisation>,
    pub people: Vec<AccountName>,
}

/// What says which domain an account belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainOf {
    /// The e-mail address, if the provider says that it verified it.
    #[default]
    VerifiedEmail,
    /// Google's claim `hd`, and nothing else: a person can open a Google account with an address of
    /// another domain, which stays verified when the address has long changed hands.
    HostedDomain,
}

/// A GitHub organisation, `acme`, or a team of one, `acme/platform`. GitHub does not tell capitals
/// from small letters in either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation(String);

/// What a rule names one account by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By an e-mail address that the provider verified.
    Email(EmailAddress),
    /// By what the provider calls the account (`sub`), byte for byte.
    Subject(String),
}

/// What a rule can name accounts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Domains,
    Groups,
    Organisations,
    People,
}

/// What the provider should have told of an account and did not: a request failed, or a list was
/// cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    pub email: bool,
    pub groups: bool,
}

/// Why an account is not admitted. `Display` is for the log: what the rule asks for, and what the
/// account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAdmitted {
    tried: Vec<Kind>,
    had: String,
}

impl Allow {
    /// Does an account fit? `Ok` has the way in which it does, `None` where any account will do.
    pub fn decide(&self, user: &User) -> Result<Option<Kind>, NotAdmitted> {
        let Self::Only(rule) = self else { return Ok(None) };
        let kinds = rule.kinds();
        let fitting = kinds.iter().copied().find(|kind| rule.fits(*kind, user));
        fitting.map(Some).ok_or_else(|| NotAdmitted { tried: kinds, had: described(user) })
    }

    /// Could an account that does not fit have fitted with what was not read of it?
    pub fn depends_on(&self, unread: Unread) -> bool {
        let Self::Only(rule) = self else { return false };
        let by_email = (!rule.domains.is_empty() && rule.domain_of == DomainOf::VerifiedEmail)
            || rule.people.iter().any(|person| matches!(person, AccountName::Email(_)));
        let by_groups = !rule.groups.is_empty() || !rule.organisations.is_empty();
        (unread.email && by_email) || (unread.groups && by_groups)
    }
}

impl Rule {
    pub fn is_empty(&self) -> bool {
        self.kinds().is_empty()
    }

    /// What the rule names accounts by.
    pub fn kinds(&self) -> Vec<Kind> {
        let counts = [
            (Kind::Domains, self.domains.len()),
            (Kind::Groups, self.groups.len()),
            (Kind::Organisations, self.organisations.len()),
            (Kind::People, self.people.len()),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(kind, _)| kind).collect()
    }

    fn fits(&self, kind: Kind, user: &User) -> bool {
        match kind {
            Kind::Domains => self.domain(user).is_some_and(|domain| self.domains.contains(&domain)),
            Kind::Groups => self.groups.iter().any(|group| user.groups.contains(group)),
            Kind::Organisations => self.organisations.iter().any(|organisation| {
                user.groups.iter().any(|group| group.eq_ignore_ascii_case(&organisation.0))
            }),
            Kind::People => {
                let email = verified(user);
                self.people.iter().any(|person| match person {
                    AccountName::Email(address) => email.as_ref() == Some(address),
                    AccountName::Subject(subject) => *subject == user.subject,
                })
            }
        }
    }

    fn domain(&self, user: &User) -> Option<Domain> {
        match self.domain_of {
            DomainOf::VerifiedEmail => Some(verified(user)?.domain),
            DomainOf::HostedDomain => Domain::parse(user.hosted_domain.as_deref()?),
        }
    }
}

fn verified(user: &User) -> Option<EmailAddress> {
    EmailAddress::parse(user.verified_email()?)
}

impl Organisation {
    /// `None` for anything but `org` and `org/team`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            (1..=100).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let (organisation, team) = text.split_once('/').unwrap_or((text, "any"));
        (is_name(organisation) && is_name(team)).then(|| Self(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccountName {
    /// An e-mail address if there is an `@`, else a subject; `sub:` in front makes it a subject in
    /// any case. `None` for an address that no verified one can equal.
    pub fn parse(text: &str) -> Option<Self> {
        let subject = text.strip_prefix("sub:");
        if subject.is_none() && text.contains('@') {
            return EmailAddress::parse(text).map(Self::Email);
        }
        let subject = subject.unwrap_or(text);
        let fits = (1..=255).contains(&subject.len()) && !subject.chars().any(char::is_control);
        fits.then(|| Self::Subject(subject.to_owned()))
    }
}

/// What an account has, within bounds: none of it is secret, and the lists may be long.
fn described(user: &User) -> String {
    const GROUPS: usize = 10;
    let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
    let email = match user.email.as_deref().and_then(|email| email.rsplit_once('@')) {
        None => "no e-mail address".to_owned(),
        Some((_, domain)) if user.email_verified => {
            format!("a verified address at {}", cut(domain))
        }
        Some((_, domain)) => {
            format!("an address at {} that the provider does not call verified", cut(domain))
        }
    };
    let hosted = user
        .hosted_domain
        .as_deref()
        .map(|domain| format!(", hosted domain {}", cut(domain)))
        .unwrap_or_default();
    let groups = match user.groups.len() {
        0 => "no groups".to_owned(),
        count => {
            let named: Vec<String> =
                user.groups.iter().take(GROUPS).map(|group| cut(group)).collect();
            format!(
                "{count} groups ({}{})",
                named.join(", "),
                if count > GROUPS { ", …" } else { "" }
            )
        }
    };
    format!("{email}{hosted}, {groups}, sub {}", cut(&user.subject))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domains => "domains",
            Self::Groups => "groups",
            Self::Organisations => "organisations",
            Self::People => "people",
        })
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried: Vec<String> = self.tried.iter().map(Kind::to_string).collect();
        write!(f, "not among the {} of the rule; the account has {}", tried.join(", "), self.had)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(address) => address.fmt(f),
            Self::Subject(subject) => write!(f, "sub:{subject}"),
        }
    }
}

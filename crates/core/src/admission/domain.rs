//! Domains and e-mail addresses as rules compare them: whole, without regard to capitals, in their
//! ASCII form. The ends of texts are never compared, so that neither `evilacme.com` nor
//! `acme.com.evil.com` is `acme.com`.

use std::fmt;

use url::Host;

/// A domain name in its ASCII form (RFC 5890), small letters, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

/// An e-mail address with exactly one `@` (threat 42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress {
    /// In small letters: no provider of today has two mailboxes that differ in capitals.
    local: String,
    pub domain: Domain,
}

impl Domain {
    /// `None` for what is no domain of two labels at least, and for spellings that only become one
    /// by Unicode's mapping: full-width letters, a Kelvin sign, an ideographic full stop, invisible
    /// characters. What is shown must be what is compared.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain =
            |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if text.len() > 1024 || !text.chars().all(is_plain) {
            return None;
        }
        let Ok(Host::Domain(ascii)) = Host::parse(text) else { return None };
        let (written, read): (Vec<&str>, Vec<&str>) =
            (text.split('.').collect(), ascii.split('.').collect());
        let is_same = |(written, read): (&&str, &&str)| {
            if written.is_ascii() {
                written.eq_ignore_ascii_case(read)
            } else {
                read.starts_with("xn--")
            }
        };
        let is_label = |label: &&str| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        let fits = read.len() >= 2
            && ascii.len() <= 253
            && written.len() == read.len()
            && written.iter().zip(&read).all(is_same)
            && read.iter().all(is_label);
        fits.then_some(Self(ascii))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EmailAddress {
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let fits = (1..=64).contains(&local.len())
            && !local.chars().any(|c| c.is_control() || c.is_whitespace());
        let domain = Domain::parse(domain)?;
        fits.then(|| Self { local: local.to_ascii_lowercase(), domain })
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

//! A person from claims (OpenID Connect Core 1.0 section 5.1): name, e-mail, groups. Where claims
//! come from is next door, in [`crate::id_token`] and [`crate::userinfo`].

use serde_json::{Map, Value};

use crate::error_report::quote;

/// More groups than this are not kept, nor longer names.
const MAX_GROUPS: usize = 1000;
const MAX_GROUP_LENGTH: usize = 256;
const MAX_NAME_LENGTH: usize = 256;
const MAX_EMAIL_LENGTH: usize = 320;
const MAX_DOMAIN_LENGTH: usize = 253;
/// More claims than this are not named in a log line.
const MAX_NAMES: usize = 40;

/// Claims of the ID token, and where it has none, of userinfo.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) id_token: &'a Map<String, Value>,
    pub(crate) userinfo: Option<&'a Map<String, Value>>,
}

impl<'a> Claims<'a> {
    fn find(&self, claim: &str) -> Option<&'a Value> {
        find(self.id_token, claim).or_else(|| find(self.userinfo?, claim))
    }

    fn find_text(&self, claim: &str) -> Option<&'a str> {
        self.find(claim)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    pub(crate) fn name(&self) -> Option<String> {
        let name = self.find_text("name").or_else(|| self.find_text("preferred_username"))?;
        Some(name.chars().filter(|c| !c.is_control()).take(MAX_NAME_LENGTH).collect())
    }

    /// The e-mail and whether the provider vouches for it. Both from the same source: a verified
    /// flag of one must not vouch for an address of the other.
    pub(crate) fn email(&self) -> (Option<String>, bool) {
        let source =
            if self.id_token.contains_key("email") { Some(self.id_token) } else { self.userinfo };
        let Some(source) = source else { return (None, false) };
        let email = source.get("email").and_then(Value::as_str).and_then(email);
        // Some providers send the flag as text.
        let is_verified = match source.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            _ => false,
        };
        let is_verified = is_verified && email.is_some();
        (email, is_verified)
    }

    /// Is there anything to read groups from?
    pub(crate) fn has(&self, claim: &str) -> bool {
        self.find(claim).is_some()
    }

    /// The names of the claims that there are, for an administrator who looks for one.
    pub(crate) fn names(&self) -> String {
        let named = self.id_token.keys().chain(self.userinfo.into_iter().flat_map(Map::keys));
        named.map(|name| quote(name)).take(MAX_NAMES).collect::<Vec<_>>().join(", ")
    }

    /// The groups, and whether they are all there are.
    pub(crate) fn groups(&self, claim: &str) -> (Vec<String>, bool) {
        groups(self.find(claim))
    }

    /// The domain of the Workspace or Cloud organisation that a Google account belongs to. Userinfo
    /// is not asked: the signature of the ID token is over what decides who is admitted.
    pub(crate) fn hosted_domain(&self) -> Option<String> {
        let domain = self.id_token.get("hd")?.as_str()?;
        (1..=MAX_DOMAIN_LENGTH).contains(&domain.len()).then(|| domain.to_owned())
    }

    /// Microsoft's way to say that it verified the address: the optional claim `xms_edov`, the
    /// domain's owner being verified. It vouches for an address of the same ID token.
    pub(crate) fn is_email_of_verified_domain(&self) -> bool {
        let is_so = match self.id_token.get("xms_edov") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::Number(verified)) => verified.as_u64() == Some(1),
            Some(Value::String(verified)) => matches!(verified.as_str(), "1" | "true"),
            _ => false,
        };
        is_so && self.id_token.get("email").and_then(Value::as_str).and_then(email).is_some()
    }
}

/// A claim by its name, or by the path to it: `realm_access.roles`. Names may have dots themselves,
/// as in `resource_access.mcp.acme.com.roles`: every way to split is tried, the longest names first
/// (FB65).
pub(crate) fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(claim).filter(|value| !value.is_null()) {
        return Some(value);
    }
    claim
        .rmatch_indices('.')
        .find_map(|(at, _)| find(claims.get(&claim[..at])?.as_object()?, &claim[at + 1..]))
}

/// What a group is called in each of the shapes that providers have (FB22): a text, or an object
/// that has a name.
fn group_name(group: &Value) -> Option<&str> {
    match group {
        Value::String(text) => Some(text),
        Value::Object(members) => ["name", "displayName", "display", "value"]
            .iter()
            .find_map(|name| members.get(*name)?.as_str()),
        _ => None,
    }
}

/// Takes an address with exactly one `@` (threat 42), and no other.
pub(crate) fn email(text: &str) -> Option<String> {
    let fits = text.len() <= MAX_EMAIL_LENGTH
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
        && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| text.to_owned())
}

/// Names only, each once, within limits, and whether none was left out for their number. One text
/// alone counts as a list of one; of an object the keys are the groups.
pub(crate) fn groups(value: Option<&Value>) -> (Vec<String>, bool) {
    let listed: Vec<&str> = match value {
        Some(Value::Array(groups)) => groups.iter().filter_map(group_name).collect(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Object(roles)) => roles
            .iter()
            .filter(|(_, value)| !value.is_null() && **value != false)
            .map(|(role, _)| role.as_str())
            .collect(),
        _ => Vec::new(),
    };
    let mut groups: Vec<String> = Vec::new();
    for &group in &listed {
        let fits = !group.is_empty()
            && group.len() <= MAX_GROUP_LENGTH
            && !group.chars().any(char::is_control);
        if !fits {
            tracing::warn!(length = group.len(), "a group with an unusable name is left out");
        } else if groups.len() == MAX_GROUPS {
            tracing::warn!(
                listed = listed.len(),
                kept = MAX_GROUPS,
                "more groups than we keep; narrow the provider's groups claim"
            );
            return (groups, false);
        } else if !groups.iter().any(|known| known == group) {
            groups.push(group.to_owned());
        }
    }
    (groups, true)
}

#[cfg(test)]
mod tests;

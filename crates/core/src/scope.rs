//! Scopes (RFC 6749 section 3.3): parsing, comparison, printing. Which scopes exist and what each
//! means is decided in [`crate::oauth::scopes`].

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The scope that stands for everything policy allows on the token's resource.
pub const MCP: &str = "mcp";
/// The scope that asks for a refresh token (OpenID Connect Core section 11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// One scope token: visible ASCII without `"` and `\`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

/// A `scope` value outside RFC 6749's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a scope is a space-separated list of visible ASCII words without quotes or backslashes")]
pub struct BadScope;

impl Scope {
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let fits =
            !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadScope) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set of scopes, ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// Parses a space-separated list; the empty text is the empty set.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(Scope::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| held.as_str() == scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is there more in it than `offline_access`, which by itself opens nothing?
    pub fn gives_access(&self) -> bool {
        self.0.iter().any(|scope| scope.as_str() != OFFLINE_ACCESS)
    }

    pub fn is_subset(&self, of: &Self) -> bool {
        self.0.is_subset(&of.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    pub fn insert(&mut self, scope: Scope) {
        self.0.insert(scope);
    }

    /// The scopes that are in one of the sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&scope.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_and_print() {
        assert_eq!(ScopeSet::parse("mcp  dice").unwrap().to_string(), "dice mcp");
        assert_eq!(ScopeSet::parse("").unwrap(), ScopeSet::default());
        for bad in ["a\"b", "a\\b", "a\tb", "é"] {
            assert_eq!(ScopeSet::parse(bad), Err(BadScope), "{bad:?}");
        }
    }

    #[test]
    fn subsets() {
        let all = ScopeSet::parse("a b c").unwrap();
        assert!(ScopeSet::parse("a c").unwrap().is_subset(&all));
        assert!(!ScopeSet::parse("a d").unwrap().is_subset(&all));
    }
}

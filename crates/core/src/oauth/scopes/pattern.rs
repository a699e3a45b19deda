//! Patterns of names and URIs, as scopes and access rules are configured with: text in which `*`
//! stands for any run of characters, and nothing else is special. What scopes use them for is next
//! door, in [`super`]; access rules are [`crate::access`].

use std::fmt;

use thiserror::Error;

/// The longest pattern: names and URIs that servers use are far shorter.
const MAX: usize = 512;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text cannot be a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a pattern is 1 to {MAX} characters without control characters; `*` stands for any run of characters"
)]
pub struct BadPattern;

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let fits = !text.is_empty() && text.len() <= MAX && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadPattern) }
    }

    /// Does the pattern fit the whole name? Upper and lower case differ.
    pub fn fits(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(start) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            // The first place is as good as any later one: it leaves the most for the parts that
            // follow.
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        name.ends_with(end)
    }

    /// Does the pattern fit the URI? A `*` does not fit what could lead out of where it stands: a
    /// URI with dot segments or escaped separators is whatever its server makes of it (threat 39),
    /// so only a pattern without `*` names it.
    pub fn fits_uri(&self, uri: &str) -> bool {
        if self.is_exact() { self.0 == uri } else { !may_lead_out(uri) && self.fits(uri) }
    }

    /// How much the pattern says: an exact name says most, then the one with more text.
    pub(super) fn precision(&self) -> (bool, usize) {
        (self.is_exact(), self.0.bytes().filter(|byte| *byte != b'*').count())
    }

    /// Does it fit one name alone?
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Has the URI dot segments, backslashes or escaped separators, so that it is whatever its server
/// makes of it?
pub fn may_lead_out(uri: &str) -> bool {
    let dotted = uri.split(['/', '?', '#']).any(|segment| matches!(segment, "." | ".."));
    let lower = uri.to_ascii_lowercase();
    dotted
        || uri.contains('\\')
        || ["%2e", "%2f", "%5c", "%25"].iter().any(|escape| lower.contains(escape))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn names() {
        let cases = [
            ("get_issue", "get_issue", true),
            ("get_issue", "get_issues", false),
            ("get_issue", "Get_issue", false),
            ("get_*", "get_", true),
            ("get_*", "get_issue", true),
            ("get_*", "forget_issue", false),
            ("*_issue", "get_issue", true),
            ("*_issue", "get_issues", false),
            ("*", "", true),
            ("**", "anything", true),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("ab*ba", "aba", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a*", "banana", true),
            ("get_?", "get_x", false),
            ("get_?", "get_?", true),
            ("[ab]", "a", false),
            ("é*", "éa", true),
        ];
        for (text, name, expected) in cases {
            assert_eq!(pattern(text).fits(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn t39_a_star_does_not_fit_a_uri_that_may_lead_elsewhere() {
        let cases = [
            ("file:///public/*", "file:///public/a/b.txt", true),
            ("file:///public/*", "file:///public/a..b", true),
            ("file:///public/*", "file:///public/../secret", false),
            ("file:///public/*", "file:///public/..", false),
            ("file:///public/*", "file:///public/%2E%2e/secret", false),
            ("file:///public/*", "file:///public/..%2fsecret", false),
            ("file:///public/*", "file:///public/%252e%252e/secret", false),
            ("file:///public/*", "file:///public/..\\secret", false),
            ("file:///public/../x", "file:///public/../x", true),
            ("repo://*", "repo://{owner}/{name}", true),
        ];
        for (text, uri, expected) in cases {
            assert_eq!(pattern(text).fits_uri(uri), expected, "{text} {uri}");
        }
    }

    #[test]
    fn texts_that_are_no_patterns() {
        for text in ["", "a\nb", "\0", &"x".repeat(513)] {
            assert_eq!(Pattern::parse(text), Err(BadPattern), "{text:?}");
        }
    }

    /// Many stars and a long name take no more than one pass for each part.
    #[test]
    fn stars_do_not_explode() {
        let stars = "a*".repeat(200);
        assert!(!pattern(&format!("{stars}b")).fits(&"a".repeat(100_000)));
    }
}

//! Parameters of a query or form, each at most once (RFC 6749 section 3.1, threat 7). Only
//! `resource` may repeat (RFC 8707).

use std::collections::BTreeMap;

use thiserror::Error;

use crate::oauth::OAuthError;

/// Decoded parameters. An empty value counts as absent (RFC 6749 section 3.1).
#[derive(Clone, Default)]
pub struct Params {
    single: BTreeMap<String, String>,
    resources: Vec<String>,
}

/// Why a query or form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadParams {
    #[error("the parameter {0} was sent more than once")]
    Duplicate(String),
    #[error("the parameters are not valid UTF-8")]
    NotUtf8,
}

impl From<BadParams> for OAuthError {
    fn from(bad: BadParams) -> Self {
        Self::invalid_request(bad.to_string())
    }
}

impl Params {
    /// Parses `application/x-www-form-urlencoded` text.
    pub fn parse(encoded: &[u8]) -> Result<Self, BadParams> {
        let mut params = Self::default();
        for part in encoded.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if name == "resource" {
                params.resources.push(value);
            } else {
                let shown = display_name(&name);
                if params.single.insert(name, value).is_some() {
                    return Err(BadParams::Duplicate(shown));
                }
            }
        }
        Ok(params)
    }

    /// The parameter, if it was sent with a value. (No `get_`: this is the map's own verb.)
    pub fn find(&self, name: &str) -> Option<&str> {
        self.single.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.find(name).ok_or_else(|| OAuthError::invalid_request(format!("{name} is required")))
    }

    /// Every `resource` parameter (RFC 8707 section 2).
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Percent-decoding that refuses what is not UTF-8 in place of replacing it.
fn decode(part: &[u8]) -> Result<String, BadParams> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (hex(rest.clone().next()), hex(rest.clone().nth(1))) {
                (Some(high), Some(low)) => {
                    rest.nth(1);
                    high << 4 | low
                }
                _ => b'%',
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| BadParams::NotUtf8)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    match digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A parameter's name as it may stand in an error and in the log, if it looks like a name: it could
/// be a secret that was sent in its place (threat 48).
fn display_name(name: &str) -> String {
    let is_name =
        name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { name.to_owned() } else { "(not shown)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::ErrorCode;

    #[test]
    fn parameters_are_decoded_once() {
        let params =
            Params::parse(b"a=1%202+3&b=%E2%82%AC&empty=&c=%zz&resource=x&resource=y").unwrap();
        assert_eq!(params.find("a"), Some("1 2 3"));
        assert_eq!(params.find("b"), Some("\u{20ac}"));
        assert_eq!(params.find("c"), Some("%zz"));
        assert_eq!(params.find("empty"), None);
        assert_eq!(params.resources().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(params.require("state").unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn t07_duplicates_are_refused_however_they_are_spelt() {
        for query in [
            "client_id=a&client_id=b",
            "client_id=a&client_id=a",
            "state=&state=",
            "client_id=a&client%5Fid=b",
        ] {
            assert!(
                matches!(Params::parse(query.as_bytes()), Err(BadParams::Duplicate(_))),
                "{query}"
            );
        }
    }

    #[test]
    fn t48_names_are_shown_if_they_are_names() {
        let shown = |query: &str| Params::parse(query.as_bytes()).err().unwrap().to_string();
        assert!(shown("code_verifier=&code_verifier=").contains("code_verifier"));
        assert!(!shown("ptn_rt_Ab1&ptn_rt_Ab1").contains("ptn_rt_"));
    }

    #[test]
    fn t23_broken_utf8_is_refused() {
        assert_eq!(Params::parse(b"a=%ff").err(), Some(BadParams::NotUtf8));
        assert_eq!(Params::parse(b"a=\xff").err(), Some(BadParams::NotUtf8));
    }
}

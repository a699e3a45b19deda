//! Proof Key for Code Exchange (RFC 7636), S256 only (threat 9).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::{
    entropy::{Entropy, random_bytes},
    secret::SecretText,
};

/// An S256 `code_challenge`: 43 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

/// Why an authorization request's PKCE parameters are refused: always `invalid_request` (RFC 7636
/// section 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadChallenge {
    #[error("code_challenge is required")]
    Missing,
    #[error("code_challenge_method must be S256")]
    Method,
    #[error("code_challenge must be 43 characters of base64url")]
    Shape,
}

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method` of an authorization request. A missing
    /// method means `plain` (RFC 7636 section 4.3) and is refused with it.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, BadChallenge> {
        let challenge = challenge.ok_or(BadChallenge::Missing)?;
        if method != Some("S256") {
            return Err(BadChallenge::Method);
        }
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(challenge.to_owned())),
            _ => Err(BadChallenge::Shape),
        }
    }

    /// The challenge for a verifier of ours.
    pub fn of(verifier: &SecretText) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose())))
    }

    /// Was this challenge made from `verifier` (RFC 7636 section 4.6)? Compared in constant time.
    pub fn admits(&self, verifier: &str) -> bool {
        let fits = (43..=128).contains(&verifier.len())
            && verifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        fits && bool::from(computed.as_bytes().ct_eq(self.0.as_bytes()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A fresh `code_verifier` of 43 characters, for our own request at the provider to an identity
/// provider.
pub fn generate_verifier(entropy: &dyn Entropy) -> SecretText {
    SecretText::new(URL_SAFE_NO_PAD.encode(random_bytes(entropy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, appendix B
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_rfc_example() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.admits(VERIFIER));
        assert!(!challenge.admits(&VERIFIER.replace('d', "e")));
        assert!(!challenge.admits(""));
        assert_eq!(CodeChallenge::of(&SecretText::new(VERIFIER)), challenge);
    }

    #[test]
    fn only_s256() {
        assert_eq!(CodeChallenge::parse(None, None), Err(BadChallenge::Missing));
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), None), Err(BadChallenge::Method));
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), Some("plain")), Err(BadChallenge::Method));
        assert_eq!(CodeChallenge::parse(Some("short"), Some("S256")), Err(BadChallenge::Shape));
        assert_eq!(CodeChallenge::parse(Some(""), Some("S256")), Err(BadChallenge::Shape));
    }
}

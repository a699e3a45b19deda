//! Secrets: text that never prints ([`SecretText`]), the tokens we mint ([`TokenSecret`]) and what
//! we keep of them ([`TokenHash`]). How refresh tokens hang together is in [`crate::refresh`].
//! Identifiers that may be seen live in [`crate::ids`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::{Entropy, random_bytes};

/// Text that prints as `[redacted]` (threat 48) and is wiped when dropped. [`SecretText::expose`]
/// is the only way in.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Never log it, never put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

/// What a minted secret is for; each kind has a prefix of its own, so that scanners and people
/// recognise a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Access,
    /// An access token for a program without a browser ([`crate::agent_key`]).
    AgentKey,
    Refresh,
    Code,
    ClientSecret,
    /// With which a client manages its own registration (RFC 7592).
    Registration,
    Login,
    /// The value of `state` on our request at the provider to an identity provider.
    State,
    /// The cookie that binds a sign-in to the browser that began it.
    Browser,
}

impl TokenKind {
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "ptn_at_",
            Self::AgentKey => "ptn_ak_",
            Self::Refresh => "ptn_rt_",
            Self::Code => "ptn_ac_",
            Self::ClientSecret => "ptn_cs_",
            Self::Registration => "ptn_rg_",
            Self::Login => "ptn_ln_",
            Self::State => "ptn_st_",
            Self::Browser => "ptn_br_",
        }
    }
}

/// A secret we mint: prefix, 256 random bits in base64url (43 characters), CRC-32 of what stands
/// before it (6 characters). A refresh token's body is longer ([`crate::refresh`]).
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(SecretText);

const BODY: usize = 43;
const CHECK: usize = 6;

impl TokenSecret {
    pub fn generate(kind: TokenKind, entropy: &dyn Entropy) -> Self {
        Self::from_body(kind, &random_bytes(entropy))
    }

    /// The secret with these bytes as its body: what [`crate::refresh`] makes again when it is
    /// asked for.
    pub(crate) fn from_body(kind: TokenKind, body: &[u8]) -> Self {
        let mut text = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(body));
        text.push_str(&checksum(&text));
        Self(SecretText::new(text))
    }

    /// Takes a presented secret if it has the exact shape of `kind`: any added, cut or mistyped
    /// character makes it `None` without a look into the store (threat 22).
    pub fn parse(kind: TokenKind, presented: &str) -> Option<Self> {
        let (body, _) = split(kind, presented)?;
        (body.len() == BODY).then(|| Self(SecretText::new(presented)))
    }

    /// The bytes of the body of a presented secret, whatever their number: its kind says how many
    /// there have to be.
    pub(crate) fn parse_body(kind: TokenKind, presented: &str) -> Option<Vec<u8>> {
        let (body, _) = split(kind, presented)?;
        URL_SAFE_NO_PAD.decode(body).ok()
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Body and checksum of a secret of this kind, if the one fits the other.
fn split(kind: TokenKind, presented: &str) -> Option<(&str, &str)> {
    let rest = presented.strip_prefix(kind.prefix()).filter(|rest| rest.is_ascii())?;
    let (body, check) = rest.split_at_checked(rest.len().checked_sub(CHECK)?)?;
    let head = presented.get(..kind.prefix().len() + body.len())?;
    (checksum(head) == check).then_some((body, check))
}

fn checksum(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(crc32fast::hash(text.as_bytes()).to_be_bytes())
}

/// SHA-256 of a whole secret: the only form in which a store keeps one. Secrets have 256 random
/// bits, so no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a hash as it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Compares in constant time (threat 22).
    pub fn matches(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}…)", &self.to_string()[..6])
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a hash is 32 bytes in base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn minted_secrets_parse_back_and_nothing_else_does() {
        let entropy = SeededEntropy::new(1);
        let secret = TokenSecret::generate(TokenKind::Access, &entropy);
        let text = secret.expose().to_owned();
        assert_eq!(text.len(), "ptn_at_".len() + 49);
        assert!(TokenSecret::parse(TokenKind::Access, &text).is_some());
        assert!(TokenSecret::parse(TokenKind::Refresh, &text).is_none(), "another kind");
        assert!(TokenSecret::parse(TokenKind::Access, &text[..text.len() - 1]).is_none(), "cut");
        assert!(TokenSecret::parse(TokenKind::Access, &format!("{text}=")).is_none(), "padded");
        assert!(TokenSecret::parse(TokenKind::Access, &format!("{text} ")).is_none(), "spaced");
        let mut typo = text.clone().into_bytes();
        typo[20] = if typo[20] == b'a' { b'b' } else { b'a' };
        assert!(
            TokenSecret::parse(TokenKind::Access, &String::from_utf8(typo).unwrap()).is_none(),
            "mistyped"
        );
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = SecretText::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        let minted = TokenSecret::generate(TokenKind::Code, &SeededEntropy::new(2));
        assert_eq!(format!("{minted:?}"), "[redacted]");
    }

    #[test]
    fn hashes_survive_serde() {
        let hash = TokenHash::of("x");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<TokenHash>(&text).unwrap(), hash);
        assert!(hash.matches("x") && !hash.matches("y"));
    }
}

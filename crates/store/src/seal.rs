//! Encryption at rest for what must be readable again: XChaCha20-Poly1305 under keys derived from
//! `AUTH_SECRET`. What need not be readable again is hashed instead, in [`portunus_core::secret`].
//!
//! A sealed value is `version (1) | key id (8) | nonce (24) | ciphertext and tag`. It is bound to
//! its [`Place`], so that it cannot be moved to another row, column or table.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use portunus_core::{Entropy, secret::SecretText};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;
const HEAD: usize = 1 + KEY_ID + NONCE;

const KEY_LABEL: &[u8] = b"portunus store seal v1 xchacha20poly1305";
const KEY_ID_LABEL: &[u8] = b"portunus store seal v1 key id";
const PLACE_LABEL: &[u8] = b"portunus store place v1";

/// Why something could not be sealed or opened. Holds nothing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("no secret was given to derive the sealing key from")]
    NoKey,
    #[error("a sealing key could not be derived")]
    Derivation,
    #[error("too long to be sealed")]
    TooLong,
    #[error("not a sealed value")]
    Malformed,
    #[error("sealed with an AUTH_SECRET that is not configured here")]
    UnknownKey,
    #[error("altered, or moved from another place")]
    Altered,
}

/// Where a sealed value stands; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    /// The row's primary key.
    pub key: &'a [u8],
}

impl Place<'_> {
    /// The associated data: each part after its length, so that no two places read the same.
    fn to_bytes(self) -> Vec<u8> {
        let parts = [PLACE_LABEL, self.table.as_bytes(), self.column.as_bytes(), self.key];
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Seals with the first key, opens with any. Its clones have the keys in common.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<ArcSwap<Keys>>,
    entropy: Arc<dyn Entropy>,
}

struct Keys {
    current: SealingKey,
    earlier: Vec<SealingKey>,
}

impl Keys {
    fn derive(secrets: &[SecretText]) -> Result<Self, SealError> {
        let (current, earlier) = secrets.split_first().ok_or(SealError::NoKey)?;
        Ok(Self {
            current: SealingKey::derive(current)?,
            earlier: earlier.iter().map(SealingKey::derive).collect::<Result<_, _>>()?,
        })
    }
}

struct SealingKey {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    fn derive(secret: &SecretText) -> Result<Self, SealError> {
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let mut key = Zeroizing::new([0; 32]);
        let mut id = [0; KEY_ID];
        hkdf.expand(KEY_LABEL, key.as_mut()).map_err(|_| SealError::Derivation)?;
        hkdf.expand(KEY_ID_LABEL, &mut id).map_err(|_| SealError::Derivation)?;
        let cipher =
            XChaCha20Poly1305::new_from_slice(key.as_ref()).map_err(|_| SealError::Derivation)?;
        Ok(Self { id, cipher })
    }
}

impl Sealer {
    /// Derives one key from each secret (HKDF-SHA-256, RFC 5869). The first secret seals; the
    /// others are earlier ones whose seals still open.
    pub fn new(secrets: &[SecretText], entropy: Arc<dyn Entropy>) -> Result<Self, SealError> {
        Ok(Self { keys: Arc::new(ArcSwap::from_pointee(Keys::derive(secrets)?)), entropy })
    }

    /// From now on these secrets, here and in all clones. After an error nothing has changed.
    pub fn change_secrets(&self, secrets: &[SecretText]) -> Result<(), SealError> {
        self.keys.store(Arc::new(Keys::derive(secrets)?));
        Ok(())
    }

    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: &place.to_bytes() };
        let keys = self.keys.load();
        let ciphertext = keys
            .current
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::TooLong)?;
        let mut sealed = Vec::with_capacity(HEAD + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&keys.current.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (id, nonce, ciphertext) = split(sealed)?;
        let keys = self.keys.load();
        let mut known = std::iter::once(&keys.current).chain(&keys.earlier);
        let key = known.find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: &place.to_bytes() };
        key.cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered)
    }

    /// With which of the secrets was this sealed? 0 is the one that seals now; `None` if it is none
    /// of them.
    pub fn generation(&self, sealed: &[u8]) -> Option<usize> {
        let (id, ..) = split(sealed).ok()?;
        let keys = self.keys.load();
        std::iter::once(&keys.current).chain(&keys.earlier).position(|key| key.id == id)
    }

    /// May there be anything that is sealed with another key than the one that seals now?
    pub fn has_earlier(&self) -> bool {
        !self.keys.load().earlier.is_empty()
    }

    /// Was this sealed with the key that seals now?
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        split(sealed).is_ok_and(|(id, ..)| id == self.keys.load().current.id)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("earlier_keys", &self.keys.load().earlier.len())
            .finish_non_exhaustive()
    }
}

type Parts<'a> = ([u8; KEY_ID], [u8; NONCE], &'a [u8]);

fn split(sealed: &[u8]) -> Result<Parts<'_>, SealError> {
    let (version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
    let (id, rest) = rest.split_first_chunk::<KEY_ID>().ok_or(SealError::Malformed)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Malformed)?;
    if *version == VERSION { Ok((*id, *nonce, ciphertext)) } else { Err(SealError::Malformed) }
}

#[cfg(test)]
mod tests {
    use portunus_core::entropy::SeededEntropy;

    use super::*;

    const HERE: Place<'_> = Place { table: "t", column: "c", key: b"k" };

    fn sealer(secrets: &[&str]) -> Sealer {
        let secrets: Vec<_> = secrets.iter().map(|text| SecretText::new(*text)).collect();
        Sealer::new(&secrets, Arc::new(SeededEntropy::new(7))).unwrap()
    }

    #[test]
    fn opens_what_it_sealed_and_only_there() {
        let sealer = sealer(&["one"]);
        let ciphertext = sealer.seal(HERE, b"hello").unwrap();
        assert_eq!(sealer.open(HERE, &ciphertext).unwrap().as_slice(), b"hello");
        for elsewhere in [
            Place { table: "x", ..HERE },
            Place { column: "x", ..HERE },
            Place { key: b"x", ..HERE },
            Place { table: "tc", column: "", key: b"k" },
        ] {
            assert_eq!(
                sealer.open(elsewhere, &ciphertext),
                Err(SealError::Altered),
                "{elsewhere:?}"
            );
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let sealer = sealer(&["one"]);
        let ciphertext = sealer.seal(HERE, b"hello").unwrap();
        for at in 0..ciphertext.len() {
            let mut altered = ciphertext.clone();
            altered[at] ^= 1;
            assert!(sealer.open(HERE, &altered).is_err(), "byte {at}");
            assert!(sealer.open(HERE, &ciphertext[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let sealer = sealer(&["one"]);
        assert_ne!(sealer.seal(HERE, b"hello").unwrap(), sealer.seal(HERE, b"hello").unwrap());
    }

    #[test]
    fn an_earlier_secret_still_opens_and_a_strange_one_does_not() {
        let old = sealer(&["old"]).seal(HERE, b"hello").unwrap();
        let rotated = sealer(&["new", "old"]);
        assert_eq!(rotated.open(HERE, &old).unwrap().as_slice(), b"hello");
        assert!(!rotated.is_current(&old));
        assert_eq!((rotated.generation(&old), sealer(&["new"]).generation(&old)), (Some(1), None));
        assert!(rotated.is_current(&rotated.seal(HERE, b"hello").unwrap()));
        assert_eq!(sealer(&["new"]).open(HERE, &old), Err(SealError::UnknownKey));
    }

    #[test]
    fn secrets_change_for_all_clones_or_for_none() {
        let one = sealer(&["old"]);
        let other = one.clone();
        let sealed = one.seal(HERE, b"hello").unwrap();
        one.change_secrets(&[SecretText::new("new"), SecretText::new("old")]).unwrap();
        assert!(!other.is_current(&sealed) && other.open(HERE, &sealed).is_ok());
        assert_eq!(one.change_secrets(&[]), Err(SealError::NoKey));
        assert!(other.open(HERE, &sealed).is_ok());
        other.change_secrets(&[SecretText::new("new")]).unwrap();
        assert_eq!(one.open(HERE, &sealed), Err(SealError::UnknownKey));
    }

    #[test]
    fn needs_a_secret_and_prints_none() {
        assert_eq!(
            Sealer::new(&[], Arc::new(SeededEntropy::new(7))).unwrap_err(),
            SealError::NoKey
        );
        assert!(!format!("{:?}", sealer(&["hunter2"])).contains("hunter2"));
    }
}

//! What signs how far a chain has come: HMAC-SHA-256 under keys that the gateway derives from
//! `AUTH_SECRET`. A holder of the store alone cannot sign.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{head::ChainHead, position::hex};

/// Whether a signature is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    Good,
    Forged,
    /// Made with a key that is not at hand.
    UnknownKey,
}

/// The current key first; the others only verify.
#[derive(Clone)]
pub struct AuditKeys(Vec<AuditKey>);

#[derive(Clone)]
struct AuditKey {
    id: String,
    secret: [u8; 32],
}

impl AuditKeys {
    /// Of keys that were derived for this alone.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let key = |secret: [u8; 32]| {
            let mut hasher = Sha256::new();
            hasher.update(b"portunus/audit/key-id/1");
            hasher.update(secret);
            let id = hex(&hasher.finalize()[..8]);
            AuditKey { id, secret }
        };
        Self(keys.into_iter().map(key).collect())
    }

    /// Signs a text with the current key, and names the key.
    pub(super) fn tag(&self, text: &str) -> (String, String) {
        self.0.first().map(|key| (key.id.clone(), hex(&mac(&key.secret, text)))).unwrap_or_default()
    }

    pub(super) fn check(&self, key: &str, text: &str, signature: &str) -> Signature {
        match self.0.iter().find(|known| known.id == key) {
            None => Signature::UnknownKey,
            Some(key) => {
                let expected = hex(&mac(&key.secret, text));
                if expected.as_bytes().ct_eq(signature.as_bytes()).into() {
                    Signature::Good
                } else {
                    Signature::Forged
                }
            }
        }
    }

    pub fn sign(&self, mut head: ChainHead) -> ChainHead {
        (head.key, head.signature) = self.tag(&head.signed_text());
        head
    }

    /// Is this what one of the keys signed?
    pub fn check_head(&self, head: &ChainHead) -> Signature {
        self.check(&head.key, &head.signed_text(), &head.signature)
    }
}

fn mac(secret: &[u8; 32], text: &str) -> [u8; 32] {
    // A key of 32 bytes is one that HMAC takes.
    Hmac::<Sha256>::new_from_slice(secret)
        .map_or([0; 32], |mac| mac.chain_update(text.as_bytes()).finalize().into_bytes().into())
}

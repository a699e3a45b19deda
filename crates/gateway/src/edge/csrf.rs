//! The keys that the tokens of forms are made with (threat 14). What is made with them, and
//! compared, is [`super::browser`]'s.

use hkdf::Hkdf;
use portunus_core::secret::SecretText;
use sha2::Sha256;

/// Keys of the edge, derived from `AUTH_SECRET`, each for one use. Pages that were served under an
/// earlier secret still count.
#[derive(Clone)]
pub struct EdgeKeys {
    csrf: CsrfKey,
    earlier: Vec<CsrfKey>,
}

/// As long as a block of SHA-256, which is what HMAC takes without folding.
type CsrfKey = [u8; 64];

impl EdgeKeys {
    /// The current secret first; without any, the keys are good for nothing.
    pub fn derive(auth_secrets: &[SecretText]) -> Self {
        let mut keys = auth_secrets.iter().map(|secret| {
            let mut csrf = [0; 64];
            let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
            // A 64-byte output is far below HKDF's limit of 255 hashes, so this cannot fail.
            let _ = hkdf.expand(b"portunus/edge/csrf/1", &mut csrf);
            csrf
        });
        let csrf = keys.next().unwrap_or([0; 64]);
        Self { csrf, earlier: keys.collect() }
    }

    /// The key that CSRF tokens are made with.
    pub const fn csrf(&self) -> &CsrfKey {
        &self.csrf
    }

    /// The keys that they may have been made with.
    pub fn any_csrf(&self) -> impl Iterator<Item = &CsrfKey> {
        std::iter::once(&self.csrf).chain(&self.earlier)
    }
}

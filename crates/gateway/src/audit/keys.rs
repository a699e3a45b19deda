//! The keys that sign how far chains have come, derived from `AUTH_SECRET`.

use hkdf::Hkdf;
use portunus_core::{audit::AuditKeys, secret::SecretText};
use sha2::Sha256;

/// The current secret first; earlier ones only verify.
pub fn audit_keys(auth_secrets: &[SecretText]) -> AuditKeys {
    AuditKeys::new(auth_secrets.iter().map(|secret| {
        let mut key = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        // An output of one hash is far below HKDF's limit of 255, so this cannot fail.
        let _ = hkdf.expand(b"portunus/audit/sign/1", &mut key);
        key
    }))
}

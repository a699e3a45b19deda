//! The public keys of a client (RFC 7517), each with the algorithms it may be used for. Where they
//! come from is [`super`]'s business.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

/// Keys beyond these are not looked at.
const MAX_KEYS: usize = 50;
/// Keys that are tried for an assertion that does not say which it was signed with.
const MAX_TRIES: usize = 8;
/// Members that only a private or a shared key has: a key that others can read proves nothing.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The usable keys of a client.
pub(super) struct KeySet(Vec<Key>);

/// A public key.
pub(super) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
}

impl KeySet {
    /// Reads a key set; `None` if it is none. Keys for other uses, and of kinds that we do not
    /// know, are left out (RFC 7517 section 5).
    pub(super) fn read(set: &Value) -> Option<Self> {
        let keys = set.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MAX_KEYS).filter_map(Key::read).collect()))
    }

    /// The keys that a signature by `alg` with this `kid` may have been made with. Without a `kid`,
    /// the first few that fit.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
    ) -> impl Iterator<Item = &Key> {
        let fits = move |key: &&Key| {
            (kid.is_none() || key.kid.as_deref() == kid) && key.algorithms.contains(&alg)
        };
        self.0.iter().filter(fits).take(MAX_TRIES)
    }
}

impl Key {
    fn read(raw: &Value) -> Option<Self> {
        if PRIVATE.iter().any(|member| raw.get(member).is_some()) {
            return None;
        }
        let jwk: Jwk = serde_json::from_value(raw.clone()).ok()?;
        let is_for_signing =
            matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let may_verify = jwk
            .common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let mut algorithms = fitting(&jwk.algorithm);
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|&alg| Algorithm::try_from(only).is_ok_and(|only| only == alg));
        }
        if !is_for_signing || !may_verify || algorithms.is_empty() {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { kid: jwk.common.key_id, algorithms, decoding })
    }
}

/// The algorithms that a key of this kind can be used for: never a symmetric one.
fn fitting(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => Vec::new(),
    }
}

//! The provider's signing keys (RFC 7517), each with the algorithms it may be used for. They are kept in a [`crate::cache`];
//! what is verified with them is decided in [`crate::id_token`].

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{blame::Blame, cache::Fetched, fetch::fetch, provider::IdentityError};

/// Keys beyond these are not looked at.
const MAX_KEYS: usize = 100;

/// The usable keys of a provider.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<Key>);

/// A public key.
#[derive(Debug)]
pub(crate) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(crate) decoding: DecodingKey,
}

impl KeySet {
    /// Reads a key set. Keys for other uses, and of kinds that we do not know, are left out (RFC 7517 section 5).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct RawKeySet {
            keys: Vec<Value>,
        }
        let raw: RawKeySet = serde_json::from_slice(body)?;
        let keys = raw.keys.into_iter().take(MAX_KEYS).filter_map(|key| Key::parse(key).ok().flatten());
        Ok(Self(keys.collect()))
    }

    /// The keys that a signature by `alg` with this `kid` may have been made with. Without a `kid`, all that fit.
    pub(crate) fn candidates(&self, kid: Option<&str>, alg: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| (kid.is_none() || key.kid.as_deref() == kid) && key.algorithms.contains(&alg))
    }

    /// Fetches the keys.
    pub(crate) async fn fetch(
        http: &reqwest::Client,
        jwks_uri: &Url,
        blame: &Blame,
        patience: Duration,
    ) -> Result<Fetched<Self>, IdentityError> {
        let request = http.get(jwks_uri.clone()).header("accept", "application/json");
        let answer = fetch(request, patience).await.map_err(|trouble| blame.trouble("key set", &trouble))?;
        if let Some(error) = blame.overload("key set", &answer) {
            return Err(error);
        }
        let hint = || format!("Check that {} is the issuer of an OpenID provider", blame.setting("ISSUER"));
        if answer.status != StatusCode::OK {
            return Err(blame.misconfigured(format!("no key set at {jwks_uri} ({})", answer.status), hint()));
        }
        let keys = Self::parse(&answer.body)
            .map_err(|error| blame.misconfigured(format!("the key set at {jwks_uri} cannot be read: {error}"), hint()))?;
        if keys.0.is_empty() {
            let detail =
                format!("the key set at {jwks_uri} has no signing key of a kind that we know (RSA, P-256, P-384, Ed25519)");
            return Err(blame.misconfigured(detail, hint()));
        }
        Ok(Fetched { value: keys, max_age: answer.max_age() })
    }
}

impl Key {
    fn parse(raw: Value) -> Result<Option<Self>, jsonwebtoken::errors::Error> {
        let Ok(jwk) = serde_json::from_value::<Jwk>(raw) else { return Ok(None) };
        let is_for_signing = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let may_verify = jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let mut algorithms = fitting(&jwk.algorithm);
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|&alg| Algorithm::try_from(only).is_ok_and(|only| only == alg));
        }
        if !is_for_signing || !may_verify || algorithms.is_empty() {
            return Ok(None);
        }
        let decoding = DecodingKey::from_jwk(&jwk)?;
        Ok(Some(Self { kid: jwk.common.key_id, algorithms, decoding }))
    }
}

/// The algorithms that a key of this kind can be used for: never a symmetric one.
fn fitting(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        _ => Vec::new(),
    }
}

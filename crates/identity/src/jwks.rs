//! The provider's signing keys (RFC 7517), each with the algorithms it may be used for. They are
//! kept in a [`crate::cache`]; what is verified with them is decided in [`crate::id_token`].

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{cache::Fetched, error_report::ErrorReport, fetch::fetch, provider::IdentityError};

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
    /// Reads a key set. Keys for other uses, and of kinds that we do not know, are left out (RFC
    /// 7517 section 5).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct RawKeySet {
            keys: Vec<Value>,
        }
        let raw: RawKeySet = serde_json::from_slice(body)?;
        let keys =
            raw.keys.into_iter().take(MAX_KEYS).filter_map(|key| Key::parse(key).ok().flatten());
        Ok(Self(keys.collect()))
    }

    /// The keys that a signature by `alg` with this `kid` may have been made with. Without a `kid`,
    /// all that fit.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
    ) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            (kid.is_none() || key.kid.as_deref() == kid) && key.algorithms.contains(&alg)
        })
    }

    /// Fetches the keys.
    pub(crate) async fn fetch(
        http: &reqwest::Client,
        jwks_uri: &Url,
        error_report: &ErrorReport,
        patience: Duration,
    ) -> Result<Fetched<Self>, IdentityError> {
        let request = http.get(jwks_uri.clone()).header("accept", "application/json");
        let answer = fetch(request, patience)
            .await
            .map_err(|trouble| error_report.trouble("key set", &trouble))?;
        if let Some(error) = error_report.overload("key set", &answer) {
            return Err(error);
        }
        let hint = || {
            format!(
                "Check that {} is the issuer of an OpenID provider",
                error_report.setting("ISSUER")
            )
        };
        if answer.status != StatusCode::OK {
            return Err(error_report
                .misconfigured(format!("no key set at {jwks_uri} ({})", answer.status), hint()));
        }
        let keys = Self::parse(&answer.body).map_err(|error| {
            error_report
                .misconfigured(format!("the key set at {jwks_uri} cannot be read: {error}"), hint())
        })?;
        if keys.0.is_empty() {
            let detail = format!(
                "the key set at {jwks_uri} has no signing key of a kind that we know (RSA, P-256, P-384, Ed25519)"
            );
            return Err(error_report.misconfigured(detail, hint()));
        }
        Ok(Fetched { value: keys, max_age: answer.max_age() })
    }
}

impl Key {
    fn parse(raw: Value) -> Result<Option<Self>, jsonwebtoken::errors::Error> {
        let Ok(jwk) = serde_json::from_value::<Jwk>(raw) else { return Ok(None) };
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
            return Ok(None);
        }
        let decoding = DecodingKey::from_jwk(&jwk)?;
        Ok(Some(Self { kid: jwk.common.key_id, algorithms, decoding }))
    }
}

/// The algorithms that a key of this kind can be used for: never a symmetric one.
fn fitting(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => {
            vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256]
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn usable(key: &Value) -> usize {
        let body = json!({"keys": [key]}).to_string();
        KeySet::parse(body.as_bytes()).unwrap().0.len()
    }

    #[test]
    fn only_signing_keys_of_known_kinds_are_kept() {
        let rsa = json!({"kty": "RSA", "kid": "1", "n": N, "e": "AQAB"});
        let with = |name: &str, value: Value| {
            let mut key = rsa.clone();
            key[name] = value;
            key
        };
        let cases = [
            (rsa.clone(), 1),
            (with("use", json!("sig")), 1),
            (with("use", json!("enc")), 0),
            (with("use", json!("odd")), 0),
            (with("alg", json!("RS256")), 1),
            (with("alg", json!("PS512")), 0),
            (with("alg", json!("HS256")), 0),
            (with("alg", json!("RSA-OAEP")), 0),
            (with("key_ops", json!(["verify"])), 1),
            (with("key_ops", json!(["encrypt"])), 0),
            (with("x5u", json!(7)), 0),
            (with("n", json!("not base64!")), 0),
            (json!({"kty": "oct", "kid": "1", "k": "c2VjcmV0", "alg": "HS256"}), 0),
            (json!({"kty": "EC", "kid": "1", "crv": "secp256k1", "x": "AA", "y": "AA"}), 0),
            (json!({"kty": "AKP", "kid": "1", "pub": "AA"}), 0),
            (json!({"kid": "1"}), 0),
            (json!("a text"), 0),
        ];
        for (key, expected) in cases {
            assert_eq!(usable(&key), expected, "{key}");
        }
    }

    #[test]
    fn a_key_fits_its_own_kid_and_algorithms() {
        let keys = json!({"keys": [
            {"kty": "RSA", "kid": "any", "n": N, "e": "AQAB"},
            {"kty": "RSA", "kid": "one", "alg": "RS256", "n": N, "e": "AQAB"},
        ]});
        let keys = KeySet::parse(keys.to_string().as_bytes()).unwrap();
        let count = |kid, alg| keys.candidates(kid, alg).count();
        assert_eq!(count(Some("any"), Algorithm::PS256), 1);
        assert_eq!(count(Some("one"), Algorithm::PS256), 0);
        assert_eq!(count(Some("one"), Algorithm::HS256), 0);
        assert_eq!(
            count(Some("any"), Algorithm::ES256),
            0,
            "the algorithm must fit the kind of key"
        );
        assert_eq!(count(None, Algorithm::RS256), 2);
        assert_eq!(count(Some("two"), Algorithm::RS256), 0);
    }

    #[test]
    fn what_is_no_key_set() {
        for body in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert!(KeySet::parse(body.as_bytes()).is_err(), "{body}");
        }
        let many = json!({"keys": vec![json!({"kty": "RSA", "n": N, "e": "AQAB"}); 500]});
        assert_eq!(KeySet::parse(many.to_string().as_bytes()).unwrap().0.len(), MAX_KEYS);
    }
}

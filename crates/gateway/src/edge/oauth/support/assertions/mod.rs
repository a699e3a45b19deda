//! Signed assertions of clients (`private_key_jwt`): the client's keys are found, the signature is
//! checked, and the assertion is used up. The only place that calls `jsonwebtoken`'s decoder here
//! (threat 21). What the claims must say is `portunus_core::oauth::assertion`; who may use an
//! assertion at all, `portunus_core::oauth::token::authenticate`.

mod keys;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use portunus_core::{
    Clock,
    client::{Client, ClientKeys},
    oauth::{
        ErrorCode, OAuthError,
        assertion::{self, Claims, VerifiedAssertion},
    },
    outside_url::OutsideUrl,
    resource::PublicUrl,
    secret::SecretText,
    store::AssertionStore,
};
use serde_json::Value;

use self::keys::KeySet;
use super::answers::Failure;
use crate::net::{
    fetch_budgets::FetchOrigin,
    guarded::{Content, FetchError, GuardedFetcher},
};

/// All the algorithms that are ever accepted: `assertion::ALGORITHMS`, as the library calls them.
/// Neither `none` nor a keyed hash.
const ALLOWED: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// Checks assertions.
#[derive(Clone)]
pub struct Assertions {
    fetcher: Arc<GuardedFetcher>,
    used: Arc<dyn AssertionStore>,
    clock: Arc<dyn Clock>,
    audiences: Arc<[String]>,
}

/// What the header of an assertion says of its signature. Whatever else it says of keys is not
/// looked at.
struct Signed<'a> {
    jwt: &'a str,
    alg: Algorithm,
    kid: Option<String>,
}

/// Why a signature proves nothing.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    /// No key at hand fits: the client may have new ones.
    NoKey,
    Refused(&'static str),
}

impl Assertions {
    pub fn new(
        fetcher: Arc<GuardedFetcher>,
        used: Arc<dyn AssertionStore>,
        clock: Arc<dyn Clock>,
        public_url: &PublicUrl,
    ) -> Self {
        Self { fetcher, used, clock, audiences: assertion::audiences(public_url).into() }
    }

    /// Proves that `client` signed this assertion, for us, just now and for this one use. A client
    /// without keys proves nothing.
    pub async fn verify(
        &self,
        client: &Client,
        origin: FetchOrigin,
        jwt: &SecretText,
    ) -> Result<VerifiedAssertion, Failure> {
        let signed = read_header(jwt.expose()).map_err(assertion::refuse)?;
        let claims = self.check_signature(client, origin, &signed).await?;
        let now = self.clock.now();
        let sound = assertion::check(&claims, &client.id, &self.audiences, now)?;
        let is_first_use = self.used.use_once(sound.key(), sound.forget_at(), now).await?;
        if !is_first_use {
            tracing::warn!(client_id = %client.id, "an assertion came back");
        }
        Ok(sound.once(is_first_use)?)
    }

    async fn check_signature(
        &self,
        client: &Client,
        origin: FetchOrigin,
        signed: &Signed<'_>,
    ) -> Result<Claims, Failure> {
        let outcome = match &client.keys {
            None => Err(Flaw::Refused("the client has no keys here")),
            Some(ClientKeys::Inline(set)) => check_with(&read_keys(set)?, signed),
            Some(ClientKeys::Remote(uri)) => {
                let url = OutsideUrl::parse(uri)
                    .map_err(|bad| assertion::refuse(&format!("jwks_uri {bad}")))?;
                let keys = fetched(self.fetcher.load(&url, Content::KeySet, origin).await)?;
                match check_with(&keys, signed) {
                    // The client may have changed its keys since; the fetcher limits how often that
                    // is asked.
                    Err(Flaw::NoKey) => check_with(
                        &fetched(self.fetcher.reload(&url, Content::KeySet, origin).await)?,
                        signed,
                    ),
                    outcome => outcome,
                }
            }
        };
        outcome.map_err(|flaw| match flaw {
            Flaw::NoKey => {
                assertion::refuse("none of the client's keys fits its kid and alg").into()
            }
            Flaw::Refused(problem) => assertion::refuse(problem).into(),
        })
    }
}

fn read_keys(set: &Value) -> Result<KeySet, OAuthError> {
    KeySet::read(set).ok_or_else(|| assertion::refuse("the client's keys are not a JWK Set"))
}

/// The key set of a client's `jwks_uri`. If it may work in a while, the client is told so, and not
/// that it is unknown: it would forget its registration.
fn fetched(outcome: Result<bytes::Bytes, FetchError>) -> Result<KeySet, OAuthError> {
    let body = outcome.map_err(|error| {
        if error.is_passing() {
            OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "the client's keys cannot be fetched just now; try again",
            )
        } else {
            assertion::refuse("the document at the client's jwks_uri is none that we accept")
        }
    })?;
    read_keys(&serde_json::from_slice(&body).unwrap_or_default())
}

/// The header: a known algorithm, and nothing that asks for more than a signature.
fn read_header(jwt: &str) -> Result<Signed<'_>, &'static str> {
    if jwt.len() > assertion::MAX_LENGTH {
        return Err("it is too long");
    }
    let header = decode_header(jwt)
        .map_err(|_| "its header cannot be read, or names an algorithm that is not accepted")?;
    if !ALLOWED.contains(&header.alg) {
        return Err("its algorithm is not accepted");
    }
    let fits = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        matches!(
            typ.strip_prefix("application/").unwrap_or(&typ),
            "jwt" | "client-authentication+jwt"
        )
    };
    if !header.typ.as_deref().is_none_or(fits) {
        return Err("its typ must be JWT or client-authentication+jwt");
    }
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err("its header asks for an extension that we do not know");
    }
    if header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() {
        return Err("its header must not bring a key or say where one is: register the key");
    }
    Ok(Signed { jwt, alg: header.alg, kid: header.kid })
}

fn check_with(keys: &KeySet, signed: &Signed<'_>) -> Result<Claims, Flaw> {
    let validation = signature_only(signed.alg);
    let mut flaw = Flaw::NoKey;
    for key in keys.candidates(signed.kid.as_deref(), signed.alg) {
        match decode::<Claims>(signed.jwt, &key.decoding, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::Json(_) | ErrorKind::Utf8(_)) => {
                return Err(Flaw::Refused("a claim is missing, doubled, or has the wrong type"));
            }
            // Without a `kid` any key may be the right one, also one that is not there yet.
            Err(_) if signed.kid.is_none() => {}
            Err(_) => flaw = Flaw::Refused("its signature is wrong"),
        }
    }
    Err(flaw)
}

/// The library checks the signature; claims are checked by our rule, with our clock.
fn signature_only(alg: Algorithm) -> Validation {
    let mut validation = Validation::new(alg);
    validation.required_spec_claims = HashSet::new();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

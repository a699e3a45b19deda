//! Client assertions, `private_key_jwt` (RFC 7521 section 4.2, RFC 7523 sections 2.2 and 3, its
//! update rfc7523bis, OpenID Connect Core section 9): what a signed assertion must say, and that it
//! is good for one use (threats 20, 21). The signature is checked in the gateway's
//! `edge::oauth::support::assertions`; that an assertion is used once is the store's atomic step
//! ([`crate::store::AssertionStore`]).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Number;

use crate::{
    clock::Timestamp,
    ids::ClientId,
    oauth::{ErrorCode, OAuthError},
    resource::PublicUrl,
    secret::TokenHash,
};

/// The one `client_assertion_type` we know.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The signature algorithms of assertions: what metadata advertises. Public-key ones only.
pub const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

/// No real assertion is longer.
pub const MAX_LENGTH: usize = 16 * 1024;

/// How far the client's clock may be from ours (F7).
const LEEWAY: Duration = Duration::from_secs(60);
/// How far ahead an assertion may expire: as long as that we have to remember it. An hour is what
/// libraries ask for by default (Authlib) and what large providers allow.
const LONGEST: Duration = Duration::from_secs(60 * 60);
const MAX_JTI: usize = 256;

/// The claims of an assertion whose signature was checked. Those we know have the right type and
/// stand there once.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Number,
    iat: Option<Number>,
    nbf: Option<Number>,
    jti: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The client that an assertion says it is from. Nothing is proven: it tells whose keys to check
/// the signature with.
pub fn claimed_client(jwt: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    let payload = jwt.split('.').nth(1).filter(|_| jwt.len() <= MAX_LENGTH)?;
    let subject: Subject = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(ClientId::from_text(subject.sub))
}

/// What an assertion may be addressed to: our issuer, as rfc7523bis asks, or our token endpoint, as
/// older clients do. Its old path too, for clients of revisions that had no metadata.
pub fn audiences(public_url: &PublicUrl) -> [String; 3] {
    [public_url.as_str().to_owned(), public_url.at("/auth/token"), public_url.at("/token")]
}

/// Is this what `client` must say to prove itself to us now? The texts of the errors are for its
/// developer.
pub fn check(
    claims: &Claims,
    client: &ClientId,
    audiences: &[String],
    now: Timestamp,
) -> Result<SoundAssertion, OAuthError> {
    if claims.iss != client.as_str() || claims.sub != client.as_str() {
        return Err(refuse("iss and sub must both be the client_id"));
    }
    let audience = match &claims.aud {
        Audience::One(audience) => audience,
        Audience::Several(several) => match several.as_slice() {
            [only] => only,
            _ => return Err(refuse("aud must be this server alone")),
        },
    };
    if !audiences.contains(audience) {
        return Err(refuse("aud must be the issuer of this server"));
    }
    let expires_at = check_times(claims, now)?;
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
        return Err(refuse("jti must have 1 to 256 characters"));
    }
    // The length keeps client and jti apart.
    let key = TokenHash::of(&format!("{} {client} {}", client.as_str().len(), claims.jti));
    Ok(SoundAssertion { client: client.clone(), key, forget_at: expires_at + LEEWAY })
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, OAuthError> {
    let exp = moment(&claims.exp)?;
    if exp + LEEWAY <= now {
        return Err(refuse("it has expired"));
    }
    if exp > now + LONGEST + LEEWAY {
        return Err(refuse("exp must be an hour ahead at most"));
    }
    let is_ahead = |time: Option<Timestamp>| time.is_some_and(|time| time > now + LEEWAY);
    if is_ahead(claims.iat.as_ref().map(moment).transpose()?) {
        return Err(refuse("it was issued in the future: check the client's clock"));
    }
    if is_ahead(claims.nbf.as_ref().map(moment).transpose()?) {
        return Err(refuse("it is not valid yet: check the client's clock"));
    }
    Ok(exp)
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the range was looked at")]
fn moment(number: &Number) -> Result<Timestamp, OAuthError> {
    let seconds = number.as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    seconds
        .map(|seconds| Timestamp::from_millis((seconds * 1000.0) as i64))
        .ok_or_else(|| refuse("a time is out of range"))
}

/// The answer for an assertion that proves nothing.
pub fn refuse(problem: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, format!("client_assertion: {problem}"))
}

/// An assertion that says what it must. Only [`check`] makes one; it proves the client once it is
/// known to be new.
#[derive(Debug)]
pub struct SoundAssertion {
    client: ClientId,
    key: TokenHash,
    forget_at: Timestamp,
}

impl SoundAssertion {
    /// What the store remembers it by.
    pub const fn key(&self) -> &TokenHash {
        &self.key
    }

    /// From when on [`check`] refuses it for its age.
    pub const fn forget_at(&self) -> Timestamp {
        self.forget_at
    }

    /// The proof, if the store says that this is the first use (threat 20).
    pub fn once(self, is_first_use: bool) -> Result<VerifiedAssertion, OAuthError> {
        if is_first_use {
            Ok(VerifiedAssertion(self.client))
        } else {
            Err(refuse("it was used before: make a new one each time"))
        }
    }
}

/// The proof that a client signed a sound assertion, used for the first time. Only
/// [`SoundAssertion::once`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAssertion(ClientId);

impl VerifiedAssertion {
    pub const fn client(&self) -> &ClientId {
        &self.0
    }
}

#[cfg(test)]
mod tests;

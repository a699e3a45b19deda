//! Verifying ID tokens (OpenID Connect Core 1.0 section 3.1.3.7): the only place that makes a
//! [`VerifiedIdToken`], and the only one that calls `jsonwebtoken`'s decoder (threat 21). The clock
//! is an argument; the library's own is switched off.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use portunus_core::{Timestamp, secret::SecretText};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

use crate::{error_report::quote, jwks::KeySet};

/// All the algorithms that are ever accepted: public-key ones. Neither `none` nor a keyed hash is
/// among them.
pub(crate) const ALLOWED: [(&str, Algorithm); 7] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("PS256", Algorithm::PS256),
    ("EdDSA", Algorithm::EdDSA),
];

/// Those alone.
pub(crate) const fn algorithms() -> [Algorithm; ALLOWED.len()] {
    let mut found = [Algorithm::RS256; ALLOWED.len()];
    let mut n = 0;
    while n < ALLOWED.len() {
        found[n] = ALLOWED[n].1;
        n += 1;
    }
    found
}

/// How far the provider's clock may be from ours (F7).
const LEEWAY_SECS: f64 = 60.0;

/// The oldest ID token that an exchange may yield: it is made for us just then, so an old one means
/// a wrong clock or a replay.
const MAX_AGE_SECS: f64 = 300.0;

/// No real ID token is longer.
const MAX_LENGTH: usize = 64 * 1024;

/// `sub` is at most 255 ASCII characters (section 2).
const MAX_SUBJECT: usize = 255;

/// What the token must say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    /// `None`: of a refresh, whose token need not have one (section 12.2).
    pub(crate) nonce: Option<&'a SecretText>,
    /// A subset of [`ALLOWED`].
    pub(crate) algorithms: &'a [Algorithm],
}

/// The claims of an ID token whose signature, audience, times and nonce were checked. Made by
/// [`verify`] alone.
#[derive(Debug)]
pub(crate) struct VerifiedIdToken {
    subject: String,
    /// Every claim that has no field in [`Claims`].
    others: Map<String, Value>,
}

impl VerifiedIdToken {
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) const fn claims(&self) -> &Map<String, Value> {
        &self.others
    }
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No key at hand fits: the provider may have new ones.
    NoKey,
    /// The token itself is not what it must be.
    Refused(&'static str),
    /// The provider makes them in a way that we do not take: an administrator must change it there
    /// (FB67).
    Setting(String),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Number,
    iat: Number,
    nbf: Option<Number>,
    nonce: Option<SecretText>,
    azp: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Verifies an ID token that came from the token endpoint. Headers that bring or point to a key
/// (`jwk`, `jku`, `x5u`, `x5c`) are never looked at: keys come from `keys` alone.
pub(crate) fn verify(
    token: &str,
    expected: &Expected<'_>,
    keys: &KeySet,
    now: Timestamp,
) -> Result<VerifiedIdToken, Flaw> {
    let claims: Claims = verify_signature(token, expected.algorithms, keys)?;
    check_parties(&claims, expected)?;
    check_times(&claims, now)?;
    if expected.nonce.is_some() && claims.nonce.as_ref() != expected.nonce {
        return Err(Flaw::Refused("the nonce is not the one that we sent"));
    }
    Ok(VerifiedIdToken { subject: claims.sub, others: claims.others })
}

/// May one of these keys have signed the token? Verifies nothing.
pub(crate) fn names_one_of(token: &str, keys: &KeySet) -> bool {
    decode_header(token)
        .is_ok_and(|header| keys.candidates(header.kid.as_deref(), header.alg).next().is_some())
}

/// Verifies what the userinfo endpoint signed: by the provider, for us and about the same person,
/// as far as it says so (section 5.3.2).
pub(crate) fn verify_userinfo(
    token: &str,
    expected: &Expected<'_>,
    keys: &KeySet,
) -> Result<Map<String, Value>, Flaw> {
    let claims: Map<String, Value> = verify_signature(token, expected.algorithms, keys)?;
    let says = |claim: &str, expected: &str| match claims.get(claim) {
        None => true,
        Some(Value::Array(several)) => several.iter().any(|one| one == expected),
        Some(one) => one == expected,
    };
    if !says("iss", expected.issuer) || !says("aud", expected.client_id) {
        return Err(Flaw::Refused("it is another issuer's, or for another client"));
    }
    Ok(claims)
}

/// Verifies an access token that is a JWT (RFC 9068): of this issuer, issued to this client, about
/// this subject. Okta has the client in `cid` and the subject in `uid`. It came from the token
/// endpoint, with the ID token that says who the subject is.
pub(crate) fn verify_access_token(
    token: &str,
    expected: &Expected<'_>,
    subject: &str,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Map<String, Value>, Flaw> {
    let types = &["JWT", "at+jwt", "application/at+jwt"];
    let claims: Map<String, Value> = verify_typed(token, types, expected.algorithms, keys)?;
    let is = |claim: &str, expected: &str| claims.get(claim).is_some_and(|found| found == expected);
    if !is("iss", expected.issuer) {
        return Err(Flaw::Refused("its issuer is another one"));
    }
    if !["cid", "client_id", "azp"].iter().any(|claim| is(claim, expected.client_id)) {
        return Err(Flaw::Refused("it was issued to another client"));
    }
    if !["uid", "sub"].iter().any(|claim| is(claim, subject)) {
        return Err(Flaw::Refused("it is about somebody else"));
    }
    let exp = claims.get("exp").and_then(Value::as_f64);
    if !exp.is_some_and(|exp| exp + LEEWAY_SECS > now.as_secs_f64()) {
        return Err(Flaw::Refused("it has expired"));
    }
    Ok(claims)
}

fn verify_signature<C: DeserializeOwned>(
    token: &str,
    algorithms: &[Algorithm],
    keys: &KeySet,
) -> Result<C, Flaw> {
    verify_typed(token, &["JWT"], algorithms, keys)
}

fn verify_typed<C: DeserializeOwned>(
    token: &str,
    types: &[&str],
    algorithms: &[Algorithm],
    keys: &KeySet,
) -> Result<C, Flaw> {
    if token.len() > MAX_LENGTH {
        return Err(Flaw::Setting(format!(
            "it has {} bytes, {MAX_LENGTH} are taken; {}",
            token.len(),
            longest_claim(token)
        )));
    }
    if token.split('.').count() == 5 {
        return Err(Flaw::Setting("it is encrypted (a JWE), which is not supported".to_owned()));
    }
    let Ok(header) = decode_header(token) else {
        return Err(named_algorithm(token)
            .map_or(Flaw::Refused("its header cannot be read"), |found| {
                not_taken(&found, algorithms)
            }));
    };
    let is_other = |typ: &String| types.iter().all(|one| !one.eq_ignore_ascii_case(typ));
    if header.typ.as_ref().is_some_and(is_other) {
        return Err(Flaw::Refused("its type is not JWT"));
    }
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Flaw::Refused("its header asks for an extension that we do not know"));
    }
    let is_allowed = ALLOWED.iter().any(|&(_, alg)| alg == header.alg);
    if !is_allowed || !algorithms.contains(&header.alg) {
        return Err(not_taken(&named_algorithm(token).unwrap_or_default(), algorithms));
    }
    let validation = signature_only(header.alg);
    let mut flaw = Flaw::NoKey;
    for key in keys.candidates(header.kid.as_deref(), header.alg) {
        match decode::<C>(token, &key.decoding, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                // Without a `kid` every key is tried, and none may be the right one yet.
                _ if header.kid.is_none() && is_about_signature(&error) => {}
                _ if is_about_signature(&error) => flaw = Flaw::Refused("its signature is wrong"),
                _ => {
                    return Err(Flaw::Refused(
                        "a claim is missing, doubled, or has the wrong type",
                    ));
                }
            },
        }
    }
    Err(flaw)
}

/// What a part of the token says, not verified.
fn unverified(token: &str, part: usize) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(part)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn named_algorithm(token: &str) -> Option<String> {
    Some(quote(unverified(token, 0)?.get("alg")?.as_str()?))
}

fn not_taken(found: &str, algorithms: &[Algorithm]) -> Flaw {
    // One that is never right is an attack rather than a setting.
    if found.is_empty() || found.eq_ignore_ascii_case("none") {
        return Flaw::Refused("its algorithm is not allowed");
    }
    let taken = ALLOWED
        .iter()
        .filter(|(_, alg)| algorithms.contains(alg))
        .map(|&(name, _)| name)
        .collect::<Vec<_>>()
        .join(", ");
    Flaw::Setting(format!(
        "it is signed with {found}; accepted is what the provider's metadata offers of ours: {taken}"
    ))
}

fn longest_claim(token: &str) -> String {
    let claims = unverified(token, 1).unwrap_or_default();
    let longest = claims.iter().map(|(name, value)| (value.to_string().len(), name)).max();
    longest.map_or_else(String::new, |(bytes, name)| {
        format!("the claim {:?} alone has {bytes}", quote(name))
    })
}

fn is_about_signature(error: &jsonwebtoken::errors::Error) -> bool {
    use jsonwebtoken::errors::ErrorKind;
    !matches!(error.kind(), ErrorKind::Json(_) | ErrorKind::Utf8(_))
}

/// The library checks the signature; claims are checked here, with our clock.
fn signature_only(alg: Algorithm) -> Validation {
    let mut validation = Validation::new(alg);
    validation.required_spec_claims = HashSet::new();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check_parties(claims: &Claims, expected: &Expected<'_>) -> Result<(), Flaw> {
    if claims.iss != expected.issuer {
        return Err(Flaw::Refused("its issuer is another one"));
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(audience) => (audience == expected.client_id, false),
        Audience::Several(audiences) => (
            audiences.iter().any(|audience| audience == expected.client_id),
            audiences.iter().any(|audience| audience != expected.client_id),
        ),
    };
    if !is_for_us {
        return Err(Flaw::Refused("it is for another client"));
    }
    match &claims.azp {
        Some(party) if party != expected.client_id => {
            return Err(Flaw::Refused("it was issued to another client"));
        }
        None if is_for_others => {
            return Err(Flaw::Refused(
                "it is for several clients and does not say to whom it was issued",
            ));
        }
        _ => {}
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT {
        return Err(Flaw::Refused("its subject is empty or too long"));
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit a double for the next 285 million years"
)]
fn check_times(claims: &Claims, now: Timestamp) -> Result<(), Flaw> {
    let now = now.as_millis() as f64 / 1000.0;
    let seconds = |number: &Number| number.as_f64().filter(|at| at.is_finite());
    let malformed = Flaw::Refused("a time is not a number");
    let exp = seconds(&claims.exp).ok_or_else(|| malformed.clone())?;
    let iat = seconds(&claims.iat).ok_or_else(|| malformed.clone())?;
    if exp + LEEWAY_SECS <= now {
        return Err(Flaw::Refused("it has expired"));
    }
    if iat - LEEWAY_SECS > now {
        return Err(Flaw::Refused("it was issued in the future: check both clocks"));
    }
    if iat + MAX_AGE_SECS + LEEWAY_SECS < now {
        return Err(Flaw::Refused("it was issued too long ago: check both clocks"));
    }
    match &claims.nbf {
        Some(nbf) if seconds(nbf).ok_or(malformed)? - LEEWAY_SECS > now => {
            Err(Flaw::Refused("it is not valid yet"))
        }
        _ => Ok(()),
    }
}

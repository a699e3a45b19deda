//! ID tokens as Okta makes them, and tampered ones as an attacker would make them (threat 21).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};

use super::{
    setup::GroupsClaim,
    state::{Code, Server, State},
    tamper::Tamper,
};

/// Makes the ID token for a redeemed code.
pub(super) fn id_token(state: &State, code: &Code, tamper: Option<Tamper>) -> String {
    let mut claims = Value::Object(claims(state, code));
    if let Some(tamper) = tamper {
        tamper_parties(&mut claims, tamper, state, code);
        tamper_times(&mut claims, tamper, state.now().as_secs());
    }
    let (header, signer) = seal(state, tamper);
    let mut text = claims.to_string();
    if tamper == Some(Tamper::DoubledClaim) {
        text = text.replacen('{', r#"{"sub":"00u-somebody-else","#, 1);
    }
    let message = format!("{}.{}", encode(header.to_string()), encode(text));
    let signature = signer.sign(message.as_bytes());
    match tamper {
        Some(Tamper::NotAToken) => "not.a-token".to_owned(),
        Some(Tamper::Encrypted) => {
            "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a2V5.aXY.dGV4dA.dGFn".to_owned()
        }
        Some(Tamper::NoSignature) => format!("{message}."),
        Some(Tamper::ChangedAfterSigning) => {
            claims["sub"] = json!("00u-somebody-else");
            format!("{}.{}.{signature}", encode(header.to_string()), encode(claims.to_string()))
        }
        _ => format!("{message}.{signature}"),
    }
}

/// An access token of the custom server that has groups, and what the test changed of it.
pub(super) fn access_token(state: &State, code: &Code) -> String {
    let now = state.now().as_secs();
    let mut claims = json!({
        "ver": 1,
        "jti": state.random("AT."),
        "iss": code.server.issuer(&state.base),
        "aud": "api://default",
        "cid": state.options.client_id,
        "uid": code.person.subject,
        "sub": code.person.email,
        "iat": now,
        "exp": now + 3600,
        "groups": code.person.groups,
    });
    for (claim, value) in state.with(|inner| inner.access_token_claims.clone()) {
        claims[claim] = value;
    }
    signed(state, &claims)
}

/// Signs whatever this is with the key in use.
pub(super) fn signed(state: &State, claims: &Value) -> String {
    let (header, signer) = seal(state, None);
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = signer.sign(message.as_bytes());
    format!("{message}.{signature}")
}

fn tamper_parties(claims: &mut Value, tamper: Tamper, state: &State, code: &Code) {
    let us = &state.options.client_id;
    let other = "0oa-somebody-else";
    match tamper {
        Tamper::WrongIssuer => claims["iss"] = json!("https://evil.example"),
        Tamper::IssuerWithSlash => {
            claims["iss"] = json!(format!("{}/", code.server.issuer(&state.base)));
        }
        Tamper::NoIssuer => remove(claims, "iss"),
        Tamper::WrongAudience => claims["aud"] = json!(other),
        Tamper::NoAudience => remove(claims, "aud"),
        Tamper::SeveralAudiences => claims["aud"] = json!([us, other]),
        Tamper::WrongParty => {
            claims["aud"] = json!([us, other]);
            claims["azp"] = json!(other);
        }
        Tamper::RightParty => {
            claims["aud"] = json!([other, us]);
            claims["azp"] = json!(us);
        }
        Tamper::ListedAudience => claims["aud"] = json!([us]),
        Tamper::WrongNonce => claims["nonce"] = json!("another nonce"),
        Tamper::NoNonce => remove(claims, "nonce"),
        Tamper::NoSubject => remove(claims, "sub"),
        Tamper::EmptySubject => claims["sub"] = json!(""),
        _ => {}
    }
}

#[expect(clippy::cast_precision_loss, reason = "a test's clock fits a double")]
fn tamper_times(claims: &mut Value, tamper: Tamper, now: i64) {
    match tamper {
        Tamper::Expired => claims["exp"] = json!(now - 120),
        Tamper::NoExpiry => remove(claims, "exp"),
        Tamper::TextExpiry => claims["exp"] = json!("9999999999"),
        Tamper::NoIssuedAt => remove(claims, "iat"),
        Tamper::TextIssuedAt => claims["iat"] = json!(now.to_string()),
        Tamper::IssuedInTenMinutes => claims["iat"] = json!(now + 600),
        Tamper::IssuedAnHourAgo => claims["iat"] = json!(now - 3600),
        Tamper::NotYetValid => claims["nbf"] = json!(now + 600),
        Tamper::TextNotBefore => claims["nbf"] = json!("0"),
        Tamper::FractionalTimes => {
            claims["exp"] = json!(now as f64 + 3600.5);
            claims["iat"] = json!(now as f64 - 0.5);
        }
        _ => {}
    }
}

/// The header, and what signs it.
fn seal(state: &State, tamper: Option<Tamper>) -> (Value, Signer) {
    let (key, stranger) = state.with(|inner| (inner.ring.current(), inner.ring.stranger()));
    let right = json!({"kid": key.kid, "alg": format!("{:?}", key.alg)});
    let with = |name: &str, value: Value| {
        let mut header = right.clone();
        header[name] = value;
        header
    };
    let public = stranger.public();
    let modulus = key.public()["n"].to_string().into_bytes();
    let by_stranger = Signer::Asymmetric(stranger.private, stranger.alg);
    match tamper {
        Some(Tamper::AlgNone) => (json!({"alg": "none"}), Signer::Unsigned),
        Some(Tamper::Hs256WithPublicKey) => (with("alg", json!("HS256")), Signer::Keyed(modulus)),
        Some(Tamper::Hs256WithClientSecret) => (
            with("alg", json!("HS256")),
            Signer::Keyed(state.options.client_secret.clone().into_bytes()),
        ),
        Some(Tamper::Rs512) => {
            (with("alg", json!("RS512")), Signer::Asymmetric(key.private, Algorithm::RS512))
        }
        Some(Tamper::UnknownKid) => (json!({"kid": stranger.kid, "alg": "RS256"}), by_stranger),
        Some(Tamper::WrongKey) => (right, by_stranger),
        Some(Tamper::WrongKeyNoKid) => (json!({"alg": "RS256"}), by_stranger),
        Some(Tamper::EmbeddedKey) => (with("jwk", public), by_stranger),
        Some(Tamper::LinkedKey) => {
            let link = format!("{}/stranger/keys", state.base);
            (json!({"kid": stranger.kid, "alg": "RS256", "jku": link, "x5u": link}), by_stranger)
        }
        Some(Tamper::NoKid) => {
            (json!({"alg": right["alg"]}), Signer::Asymmetric(key.private, key.alg))
        }
        Some(Tamper::WrongType) => {
            (with("typ", json!("at+jwt")), Signer::Asymmetric(key.private, key.alg))
        }
        Some(Tamper::Critical) => {
            (with("crit", json!(["exp"])), Signer::Asymmetric(key.private, key.alg))
        }
        _ => (right, Signer::Asymmetric(key.private, key.alg)),
    }
}

enum Signer {
    Asymmetric(EncodingKey, Algorithm),
    Keyed(Vec<u8>),
    Unsigned,
}

impl Signer {
    fn sign(&self, message: &[u8]) -> String {
        match self {
            Self::Asymmetric(key, alg) => {
                crypto::sign(message, key, *alg).expect("the fixture signs")
            }
            Self::Keyed(key) => {
                crypto::sign(message, &EncodingKey::from_secret(key), Algorithm::HS256)
                    .expect("any bytes key a hash")
            }
            Self::Unsigned => String::new(),
        }
    }
}

fn claims(state: &State, code: &Code) -> Map<String, Value> {
    let now = state.now().as_secs();
    let has = |scope: &str| code.scopes.iter().any(|asked| asked == scope);
    let person = &code.person;
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("sub", json!(person.subject));
    put("ver", json!(1));
    put("iss", json!(code.server.issuer(&state.base)));
    put("aud", json!(state.options.client_id));
    put("iat", json!(now));
    put("exp", json!(now + 3600));
    put("jti", json!(state.random("ID.")));
    put("amr", json!(["pwd"]));
    put("idp", json!("00o1fake"));
    // A refresh has none (OpenID Connect Core section 12.2).
    if !code.nonce.is_empty() {
        put("nonce", json!(code.nonce));
    }
    put("auth_time", json!(now - 5));
    if !state.options.thin_id_token {
        if has("profile") {
            put("name", json!(person.name));
            put("preferred_username", json!(person.email));
        }
        if has("email") {
            put("email", json!(person.email));
            put("email_verified", json!(person.email_verified));
        }
    }
    if groups_in_id_token(state, code.server, has("groups")) {
        put("groups", json!(person.groups));
    }
    claims.extend(person.more_claims.iter().cloned());
    claims
}

/// The org server has groups in the ID token only, and only if the application has a filter and the
/// scope is asked for; a custom server does as it is set up.
pub(super) fn groups_in_id_token(state: &State, server: Server, scope_asked: bool) -> bool {
    match (server, state.options.custom_groups) {
        (Server::Org, _) => state.options.groups_filter && scope_asked,
        (Server::Custom, GroupsClaim::Always) => true,
        (Server::Custom, GroupsClaim::WithScope) => scope_asked,
        (Server::Custom, GroupsClaim::AccessToken | GroupsClaim::Userinfo | GroupsClaim::Never) => {
            false
        }
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(name);
    }
}

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

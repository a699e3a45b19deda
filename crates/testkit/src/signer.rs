//! Clients' private keys, and assertions signed with them: sound ones, and tampered ones as an
//! attacker would make them (threats 20, 21).

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};

const RSA: [&str; 2] = [
    include_str!("../fixtures/okta-test-rsa-1.pem"),
    include_str!("../fixtures/okta-test-rsa-2.pem"),
];
const P256: &str = include_str!("../fixtures/okta-test-ec-1.pem");
const P384: &str = include_str!("../fixtures/client-test-p384.pem");
const ED25519: &str = include_str!("../fixtures/client-test-ed25519.pem");

/// A key that signs.
#[derive(Clone)]
pub struct Signer {
    pub kid: String,
    alg: Algorithm,
    private: EncodingKey,
}

impl Signer {
    /// The key for one of the algorithms a client may use, by its name.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(alg: &str, kid: &str) -> Self {
        let alg: Algorithm = alg.parse().expect("an algorithm");
        let private = match alg {
            Algorithm::ES256 => EncodingKey::from_ec_der(&der(P256)),
            Algorithm::ES384 => EncodingKey::from_ec_der(&der(P384)),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der(ED25519)),
            _ => EncodingKey::from_rsa_der(&der(RSA[0])),
        };
        Self { kid: kid.to_owned(), alg, private }
    }

    /// Another RSA key than the one of [`Self::new`].
    pub fn stranger(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            alg: Algorithm::RS256,
            private: EncodingKey::from_rsa_der(&der(RSA[1])),
        }
    }

    /// The public half, for any algorithm it fits.
    ///
    /// # Panics
    /// Never: the fixtures are keys.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, self.alg).expect("the fixture is a key");
        let mut jwk = serde_json::to_value(jwk).expect("a JWK is JSON");
        if let Some(members) = jwk.as_object_mut() {
            members.remove("alg");
        }
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A key set of this key alone.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    /// A sound assertion of `client` to `audience`, good for one use.
    pub fn assertion(&self, client: &str, audience: &str, now_secs: i64) -> String {
        self.sign(&json!({}), &claims(client, audience, now_secs))
    }

    /// These claims, signed; members of `header` come on top of `alg` and `kid`, and those that are
    /// null take theirs away.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(header, &claims.to_string())
    }

    /// The same with a payload that may be anything.
    ///
    /// # Panics
    /// Never: the fixtures can sign.
    pub fn sign_text(&self, header: &Value, payload: &str) -> String {
        let mut all = json!({"alg": name(self.alg), "kid": self.kid});
        for (member, value) in header.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(all.as_object_mut().and_then(|all| all.remove(member))),
                value => all[member] = value.clone(),
            }
        }
        let message = format!("{}.{}", encode(&all.to_string()), encode(payload));
        let signature =
            crypto::sign(message.as_bytes(), &self.private, self.alg).expect("a signature");
        format!("{message}.{signature}")
    }

    /// Signed with a keyed hash whose key is the public key, as any attacker could (threat 21).
    ///
    /// # Panics
    /// Never.
    pub fn forge_hs256(&self, claims: &Value, secret: &[u8]) -> String {
        let header = json!({"alg": "HS256", "kid": self.kid});
        let message = format!("{}.{}", encode(&header.to_string()), encode(&claims.to_string()));
        let signature =
            crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256)
                .expect("a hash");
        format!("{message}.{signature}")
    }

    /// Not signed at all.
    pub fn unsigned(&self, claims: &Value) -> String {
        format!(
            "{}.{}.",
            encode(&json!({"alg": "none", "kid": self.kid}).to_string()),
            encode(&claims.to_string())
        )
    }
}

/// The claims of a sound assertion, with a `jti` of their own.
pub fn claims(client: &str, audience: &str, now_secs: i64) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let jti = format!("jti-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    json!({"iss": client, "sub": client, "aud": audience, "iat": now_secs, "exp": now_secs + 60, "jti": jti})
}

fn name(alg: Algorithm) -> String {
    format!("{alg:?}")
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What stands between the BEGIN and END lines.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let body: String = lines.skip(1).take_while(|line| !line.starts_with("-----END")).collect();
    STANDARD.decode(body).expect("the fixture is PEM")
}

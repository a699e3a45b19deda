//! The fake Okta's signing keys: fixed test keys from `fixtures/`, under a new `kid` at each
//! rotation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use serde_json::{Value, json};

const RSA: [&str; 3] = [
    include_str!("../../fixtures/okta-test-rsa-1.pem"),
    include_str!("../../fixtures/okta-test-rsa-2.pem"),
    include_str!("../../fixtures/okta-test-rsa-3.pem"),
];
const ELLIPTIC: &str = include_str!("../../fixtures/okta-test-ec-1.pem");

/// A key that signs.
#[derive(Clone)]
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) alg: Algorithm,
    pub(super) private: EncodingKey,
}

/// The key in use and the one before it.
pub(super) struct KeyRing {
    elliptic: bool,
    serial: usize,
    published: Vec<SigningKey>,
}

impl KeyRing {
    pub(super) fn new(elliptic: bool) -> Self {
        let mut ring = Self { elliptic, serial: 0, published: Vec::new() };
        ring.rotate();
        ring
    }

    pub(super) fn rotate(&mut self) {
        let kid = format!("fake-okta-{}", self.serial);
        let key = if self.elliptic {
            SigningKey {
                kid,
                alg: Algorithm::ES256,
                private: EncodingKey::from_ec_der(&der(ELLIPTIC)),
            }
        } else {
            SigningKey { kid, alg: Algorithm::RS256, private: rsa(self.serial) }
        };
        self.serial += 1;
        self.published.push(key);
        if self.published.len() > 2 {
            self.published.remove(0);
        }
    }

    pub(super) fn current(&self) -> SigningKey {
        self.published.last().cloned().expect("a ring has a key from the start")
    }

    /// An RSA key that is not published.
    pub(super) fn stranger(&self) -> SigningKey {
        SigningKey {
            kid: "nobody-knows-me".to_owned(),
            alg: Algorithm::RS256,
            private: rsa(self.serial),
        }
    }

    /// The key set as Okta publishes it.
    pub(super) fn document(&self) -> Value {
        json!({"keys": self.published.iter().map(SigningKey::public).collect::<Vec<_>>()})
    }
}

impl SigningKey {
    /// The public half, as a JWK.
    pub(super) fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, self.alg).expect("the fixture is a key");
        let mut jwk = serde_json::to_value(jwk).expect("a JWK is JSON");
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }
}

fn rsa(serial: usize) -> EncodingKey {
    EncodingKey::from_rsa_der(&der(RSA[serial % RSA.len()]))
}

/// What stands between the BEGIN and END lines.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let body: String = lines.skip(1).take_while(|line| !line.starts_with("-----END")).collect();
    STANDARD.decode(body).expect("the fixture is PEM")
}

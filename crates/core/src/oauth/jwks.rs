//! The key sets of clients (RFC 7517; RFC 7591 section 2, `jwks` and `jwks_uri`): public keys only,
//! each fit to sign with. They are used in proving assertions; here they are only let in.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    client::ClientKeys,
    outside_url::{BadOutsideUrl, OutsideUrl},
};

const MAX_KEYS: usize = 20;
const MAX_BYTES: usize = 16 * 1024;
const MIN_RSA_BITS: usize = 2048;
/// Members that only a private or a shared key has (RFC 7518 section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a client's keys are refused: `invalid_client_metadata` (RFC 7591 section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadKeys {
    #[error("jwks and jwks_uri exclude each other")]
    Both,
    #[error("jwks_uri {0}")]
    Uri(#[from] BadOutsideUrl),
    #[error("jwks must be an object with a list `keys` of at least one key")]
    Shape,
    #[error("jwks has more than {MAX_KEYS} keys, or more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error(
        "jwks.keys[{index}] contains a private or a shared key: send public keys only, and replace that one"
    )]
    Private { index: usize },
    #[error(
        "jwks.keys[{index}] must be an RSA key of {MIN_RSA_BITS} bits at least, an EC key, or an OKP key, with all its members"
    )]
    Unfit { index: usize },
}

/// The keys a client names, if it names any.
pub fn client_keys(
    jwks: Option<Value>,
    jwks_uri: Option<String>,
) -> Result<Option<ClientKeys>, BadKeys> {
    match (jwks, jwks_uri) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(BadKeys::Both),
        (None, Some(uri)) => Ok(Some(ClientKeys::Remote(OutsideUrl::parse(&uri)?.to_string()))),
        (Some(set), None) => check_set(&set).map(|()| Some(ClientKeys::Inline(set))),
    }
}

/// Checks a JWK Set: also one that was fetched from a `jwks_uri`.
pub fn check_set(set: &Value) -> Result<(), BadKeys> {
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .filter(|keys| !keys.is_empty())
        .ok_or(BadKeys::Shape)?;
    if keys.len() > MAX_KEYS || set.to_string().len() > MAX_BYTES {
        return Err(BadKeys::TooLarge);
    }
    keys.iter()
        .enumerate()
        .try_for_each(|(index, key)| check_key(index, key.as_object().ok_or(BadKeys::Shape)?))
}

fn check_key(index: usize, key: &Map<String, Value>) -> Result<(), BadKeys> {
    if PRIVATE.iter().any(|member| key.contains_key(*member))
        || key.get("kty").is_some_and(|kty| kty == "oct")
    {
        return Err(BadKeys::Private { index });
    }
    let text = |member: &str| key.get(member).and_then(Value::as_str);
    let bytes = |member: &str| {
        text(member)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|bytes| !bytes.is_empty())
    };
    let fits = match text("kty") {
        Some("RSA") => bytes("e").is_some() && bytes("n").is_some_and(|n| bits(&n) >= MIN_RSA_BITS),
        Some("EC") => text("crv").is_some() && bytes("x").is_some() && bytes("y").is_some(),
        Some("OKP") => text("crv").is_some() && bytes("x").is_some(),
        _ => false,
    };
    if fits { Ok(()) } else { Err(BadKeys::Unfit { index }) }
}

/// The length of a number, leading zeros aside.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros).map_or(0, |first| (number.len() - zeros) * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(bytes: usize) -> Value {
        let mut n = vec![0xFF; bytes];
        n[0] = 0x80;
        json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(n)})
    }

    #[test]
    fn key_sets() {
        let ec = json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "kid": "1", "use": "sig", "x5t": "kept"});
        let private_ec = json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "d": "AQ"});
        let with_null = json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "d": null});
        let cases = [
            (json!({"keys": [ec]}), Ok(())),
            (
                json!({"keys": [rsa(256), {"kty": "OKP", "crv": "Ed25519", "x": "AQ"}], "more": 1}),
                Ok(()),
            ),
            (json!({"keys": []}), Err(BadKeys::Shape)),
            (json!({"keys": {}}), Err(BadKeys::Shape)),
            (json!({"keys": ["x"]}), Err(BadKeys::Shape)),
            (json!([ec]), Err(BadKeys::Shape)),
            (json!("{}"), Err(BadKeys::Shape)),
            (json!({"keys": vec![ec.clone(); 21]}), Err(BadKeys::TooLarge)),
            (json!({"keys": [ec], "x": "y".repeat(MAX_BYTES)}), Err(BadKeys::TooLarge)),
            (json!({"keys": [ec, private_ec]}), Err(BadKeys::Private { index: 1 })),
            (json!({"keys": [with_null]}), Err(BadKeys::Private { index: 0 })),
            (json!({"keys": [{"kty": "oct", "k": "AQ"}]}), Err(BadKeys::Private { index: 0 })),
            (json!({"keys": [{"kty": "oct"}]}), Err(BadKeys::Private { index: 0 })),
            (json!({"keys": [rsa(255)]}), Err(BadKeys::Unfit { index: 0 })),
            (json!({"keys": [{"kty": "RSA", "e": "AQAB"}]}), Err(BadKeys::Unfit { index: 0 })),
            (
                json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AQ"}]}),
                Err(BadKeys::Unfit { index: 0 }),
            ),
            (
                json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "not base64!", "y": "AQ"}]}),
                Err(BadKeys::Unfit { index: 0 }),
            ),
            (json!({"keys": [{}]}), Err(BadKeys::Unfit { index: 0 })),
        ];
        for (set, expected) in cases {
            assert_eq!(check_set(&set), expected, "{set}");
        }
    }

    #[test]
    fn one_of_the_two_ways() {
        let set = json!({"keys": [rsa(256)]});
        let uri = || Some("https://app.example/jwks.json?v=1".to_owned());
        assert_eq!(client_keys(None, None), Ok(None));
        assert_eq!(client_keys(Some(set.clone()), None), Ok(Some(ClientKeys::Inline(set.clone()))));
        assert!(matches!(client_keys(None, uri()), Ok(Some(ClientKeys::Remote(_)))));
        assert_eq!(client_keys(Some(set), uri()), Err(BadKeys::Both));
        for bad in [
            "http://app.example/jwks",
            "https://u@app.example/jwks",
            "https://app.example/#x",
            "https:app.example/x",
            "data:,x",
            "/jwks",
            " https://a/",
        ] {
            assert!(
                matches!(client_keys(None, Some(bad.to_owned())), Err(BadKeys::Uri(_))),
                "{bad}"
            );
        }
    }
}

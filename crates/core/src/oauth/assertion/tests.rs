//! Cases for the claims of client assertions.

use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn client() -> ClientId {
    ClientId::from_text("c1")
}

fn sound() -> Value {
    json!({"iss": "c1", "sub": "c1", "aud": "https://gw.example", "exp": NOW + 300, "iat": NOW, "jti": "once"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = sound();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = sound();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn check_value(claims: &Value) -> Result<SoundAssertion, String> {
    let claims: Claims = serde_json::from_value(claims.clone()).map_err(|_| "shape".to_owned())?;
    let audiences = audiences(&PublicUrl::parse("https://gw.example").unwrap());
    check(&claims, &client(), &audiences, Timestamp::from_secs(NOW))
        .map_err(|error| error.description.trim_start_matches("client_assertion: ").to_owned())
}

#[test]
fn what_is_sound() {
    for claims in [
        sound(),
        without("iat"),
        with("aud", json!(["https://gw.example"])),
        with("aud", json!("https://gw.example/auth/token")),
        with("aud", json!(["https://gw.example/auth/token"])),
        with("aud", json!("https://gw.example/token")),
        with("exp", json!(NOW - 59)),
        with("exp", json!(NOW + 3660)),
        with("exp", json!(1_800_000_300.75)),
        with("iat", json!(NOW + 60)),
        with("iat", json!(NOW - 86400)),
        with("nbf", json!(NOW + 60)),
        with("jti", json!("x".repeat(256))),
        with("more", json!({"x": 1})),
    ] {
        assert!(check_value(&claims).is_ok(), "{claims}");
    }
}

#[test]
fn t21_what_is_not() {
    const AUD: &str = "aud must be the issuer of this server";
    const WHO: &str = "iss and sub must both be the client_id";
    const RANGE: &str = "a time is out of range";
    for (claims, expected) in [
        (without("iss"), "shape"),
        (without("sub"), "shape"),
        (without("aud"), "shape"),
        (without("exp"), "shape"),
        (without("jti"), "shape"),
        (with("iss", json!("c2")), WHO),
        (with("sub", json!("c2")), WHO),
        (with("iss", json!("C1")), WHO),
        (with("iss", json!(["c1"])), "shape"),
        (with("sub", json!(null)), "shape"),
        (with("aud", json!("https://other.example")), AUD),
        (with("aud", json!("https://gw.example/")), AUD),
        (with("aud", json!("https://gw.example/mcp")), AUD),
        (with("aud", json!("")), AUD),
        (with("aud", json!("c1")), AUD),
        (with("aud", json!([])), "aud must be this server alone"),
        (
            with("aud", json!(["https://gw.example", "https://other.example"])),
            "aud must be this server alone",
        ),
        (
            with("aud", json!(["https://gw.example", "https://gw.example/auth/token"])),
            "aud must be this server alone",
        ),
        (with("aud", json!({"x": 1})), "shape"),
        (with("exp", json!(NOW - 60)), "it has expired"),
        (with("exp", json!(NOW + 3661)), "exp must be an hour ahead at most"),
        (with("exp", json!(NOW * 1000)), RANGE),
        (with("exp", json!(-1)), RANGE),
        (with("exp", json!(1e300)), RANGE),
        (with("exp", json!((NOW + 300).to_string())), "shape"),
        (with("exp", json!(true)), "shape"),
        (with("exp", json!(null)), "shape"),
        (with("exp", json!([NOW + 300])), "shape"),
        (with("iat", json!(NOW + 61)), "it was issued in the future: check the client's clock"),
        (with("iat", json!("now")), "shape"),
        (with("nbf", json!(NOW + 61)), "it is not valid yet: check the client's clock"),
        (with("nbf", json!("now")), "shape"),
        (with("jti", json!("")), "jti must have 1 to 256 characters"),
        (with("jti", json!("x".repeat(257))), "jti must have 1 to 256 characters"),
        (with("jti", json!(7)), "shape"),
    ] {
        assert_eq!(check_value(&claims).map(|_| ()), Err(expected.to_owned()), "{claims}");
    }
}

#[test]
fn t21_doubled_claims_are_refused() {
    let doubled = sound().to_string().replacen('{', r#"{"exp": 9999999999, "#, 1);
    assert!(serde_json::from_str::<Claims>(&doubled).is_err());
}

#[test]
fn t20_a_second_use_proves_nothing() {
    let first = check_value(&sound()).unwrap();
    let again = check_value(&with("iat", json!(NOW - 1))).unwrap();
    assert_eq!(first.key(), again.key(), "what counts is the jti");
    assert_ne!(first.key(), check_value(&with("jti", json!("twice"))).unwrap().key());
    assert!(
        first.forget_at() >= Timestamp::from_secs(NOW + 360),
        "remembered for as long as it would be accepted"
    );
    assert_eq!(first.once(true).unwrap().client(), &client());
    assert_eq!(again.once(false).unwrap_err().code, ErrorCode::InvalidClient);
}

#[test]
fn the_claimed_client_is_the_subject() {
    let jwt = |payload: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload));
    assert_eq!(claimed_client(&jwt(r#"{"sub": "c1", "iss": "c2"}"#)), Some(client()));
    for bad in [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        jwt("[]"),
        jwt(r#"{"sub": 1}"#),
        jwt(&" ".repeat(MAX_LENGTH)),
    ] {
        assert_eq!(claimed_client(&bad), None);
    }
}

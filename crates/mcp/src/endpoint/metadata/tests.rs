//! Requests that say what they must, and those that do not.

use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::answer::Body;

fn request(method: &str, params: &Value) -> Request {
    let id = wire::RequestId::number(7);
    Request { id, method: method.to_owned(), params: Some(Payload::from_value(params)) }
}

fn meta_of(revision: &str) -> Value {
    json!({ meta::PROTOCOL_VERSION: revision, meta::CLIENT_CAPABILITIES: {} })
}

fn given(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// The code of the refusal; none when all is well.
fn judged(request: &Request, map: &HeaderMap) -> Option<i64> {
    let answer = check(request, map).err()?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let Body::Json(text) = answer.body else { panic!("no JSON") };
    let said: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(said["id"], 7);
    said["error"]["code"].as_i64()
}

const VERSION: &str = "mcp-protocol-version";

#[test]
fn what_is_said_twice_must_be_the_same() {
    let call = request("tools/call", &json!({"name": "dé", "_meta": meta_of(era::MODERN)}));
    let sound =
        [(VERSION, era::MODERN), ("mcp-method", "tools/call"), ("mcp-name", "=?base64?ZMOp?=")];
    assert_eq!(judged(&call, &given(&sound)), None);
    for (without, with, code) in [
        (VERSION, None, code::HEADER_MISMATCH),
        (VERSION, Some("2025-11-25"), code::HEADER_MISMATCH),
        ("mcp-method", None, code::HEADER_MISMATCH),
        ("mcp-method", Some("TOOLS/CALL"), code::HEADER_MISMATCH),
        ("mcp-method", Some("tools/list"), code::HEADER_MISMATCH),
        ("mcp-name", None, code::HEADER_MISMATCH),
        ("mcp-name", Some("d"), code::HEADER_MISMATCH),
        ("mcp-name", Some("=?base64?!?="), code::HEADER_MISMATCH),
    ] {
        let mut map = given(&sound);
        map.remove(without);
        if let Some(with) = with {
            map.insert(HeaderName::from_static(without), HeaderValue::from_static(with));
        }
        assert_eq!(judged(&call, &map), Some(code), "{without} {with:?}");
    }
    let mut twice = given(&sound);
    twice.append("mcp-method", HeaderValue::from_static("tools/call"));
    assert_eq!(judged(&call, &twice), Some(code::HEADER_MISMATCH));
    let padded = request("tools/call", &json!({"name": "d", "_meta": meta_of(era::MODERN)}));
    assert_eq!(
        judged(
            &padded,
            &given(&[(VERSION, era::MODERN), ("mcp-method", "tools/call"), ("mcp-name", "  d  ")])
        ),
        None
    );
}

#[test]
fn what_must_be_said_is_missed() {
    let sound = given(&[(VERSION, era::MODERN), ("mcp-method", "server/discover")]);
    for (params, expected) in [
        (json!({"_meta": meta_of(era::MODERN)}), None),
        (json!({}), Some(code::INVALID_PARAMS)),
        (json!({"_meta": {}}), Some(code::INVALID_PARAMS)),
        (json!({"_meta": {meta::CLIENT_CAPABILITIES: {}}}), Some(code::INVALID_PARAMS)),
        (json!({"_meta": {meta::PROTOCOL_VERSION: era::MODERN}}), Some(code::INVALID_PARAMS)),
        (
            json!({"_meta": {meta::PROTOCOL_VERSION: era::MODERN, meta::CLIENT_CAPABILITIES: 1}}),
            Some(code::INVALID_PARAMS),
        ),
        (json!({"_meta": meta_of("v999.0.0")}), Some(code::HEADER_MISMATCH)),
        (
            json!({"_meta": {meta::PROTOCOL_VERSION: era::MODERN, meta::CLIENT_CAPABILITIES: {}, meta::LOG_LEVEL: "loud"}}),
            Some(code::INVALID_PARAMS),
        ),
    ] {
        assert_eq!(judged(&request("server/discover", &params), &sound), expected, "{params}");
    }
}

#[test]
fn an_unknown_revision_is_told_what_there_is() {
    let map = given(&[(VERSION, "v999.0.0"), ("mcp-method", "server/discover")]);
    for params in [json!({"_meta": meta_of("v999.0.0")}), json!({})] {
        let answer = check(&request("server/discover", &params), &map).unwrap_err();
        let Body::Json(text) = answer.body else { panic!("no JSON") };
        let said: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(said["error"]["code"], code::UNSUPPORTED_PROTOCOL_VERSION);
        assert_eq!(said["error"]["data"]["requested"], "v999.0.0");
        assert_eq!(said["error"]["data"]["supported"][0], era::MODERN);
    }
}

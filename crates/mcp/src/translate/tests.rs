//! The tables of the translation, and for any JSON whatever that what is none of our business comes
//! through.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{input::InputRequest, params::ClientMeta, *};
use crate::{
    era::Era,
    upstream::ServerInfo,
    wire::{self, Payload},
};

fn payload(text: &str) -> Payload {
    Payload::from_json(text).unwrap()
}

fn client() -> ClientMeta {
    ClientMeta {
        client_info: payload(r#"{"name":"c","version":"1"}"#),
        capabilities: payload(r#"{"roots":{}}"#),
        level: Some("info"),
    }
}

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/logLevel":"info""#;

#[test]
fn parameters_lose_and_gain_what_the_eras_differ_in() {
    let modern = format!(
        r#"{{"name":"t","arguments":{{"n":1.50}},"_meta":{{"progressToken":"p",{META}}}}}"#
    );
    let legacy = r#"{"name":"t","arguments":{"n":1.50},"_meta":{"progressToken":"p"}}"#;
    assert_eq!(params::to_legacy(Some(&payload(&modern))).unwrap().unwrap().as_str(), legacy);
    assert_eq!(params::to_modern(Some(&payload(legacy)), &client(), &[]).unwrap().as_str(), modern);
    let alone = format!(r#"{{"uri":"a:b","_meta":{{{META}}}}}"#);
    assert_eq!(
        params::to_legacy(Some(&payload(&alone))).unwrap().unwrap().as_str(),
        r#"{"uri":"a:b"}"#
    );
    assert_eq!(
        params::to_modern(None, &client(), &[("x", "1")]).unwrap().as_str(),
        format!(r#"{{"_meta":{{{META}}},"x":1}}"#)
    );
    let retry = r#"{"name":"t","inputResponses":{},"requestState":"s"}"#;
    assert_eq!(
        params::to_legacy(Some(&payload(retry))).unwrap().unwrap().as_str(),
        r#"{"name":"t"}"#
    );
}

#[test]
fn results_lose_and_gain_what_the_eras_differ_in() {
    let info = payload(r#"{"name":"s","version":"2"}"#);
    let nobody = payload("{}");
    for (method, legacy, modern) in [
        ("tools/call", r#"{"content":[1.0]}"#, r#"{"content":[1.0],"resultType":"complete"}"#),
        (
            "tools/list",
            r#"{"tools":[]}"#,
            r#"{"tools":[],"resultType":"complete","ttlMs":60000,"cacheScope":"private"}"#,
        ),
        (
            "resources/read",
            r#"{"contents":[]}"#,
            r#"{"contents":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
        ),
        ("x/y", "{}", r#"{"resultType":"complete"}"#),
    ] {
        assert_eq!(results::to_modern(method, &payload(legacy), &nobody).unwrap().as_str(), modern);
        assert_eq!(results::to_legacy(method, &payload(modern)).unwrap().as_str(), legacy);
        let told = results::to_modern(method, &payload(legacy), &info).unwrap();
        let told_of: Value = told.read().unwrap();
        assert_eq!(told_of["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "s");
        assert_eq!(results::to_legacy(method, &told).unwrap().as_str(), legacy);
    }
    let task = r#"{"resultType":"task","taskId":"1","ttlMs":60000}"#;
    assert_eq!(
        results::to_legacy("tools/call", &payload(task)).unwrap().as_str(),
        task,
        "what we do not know stays"
    );
    let state = r#"{"taskId":"1","ttlMs":60000,"resultType":"complete"}"#;
    assert_eq!(
        results::to_legacy("tasks/get", &payload(state)).unwrap().as_str(),
        r#"{"taskId":"1","ttlMs":60000}"#
    );
    let public = r#"{"tools":[],"ttlMs":5,"cacheScope":"public"}"#;
    assert_eq!(
        results::made_private(&payload(public)).unwrap().as_str(),
        r#"{"tools":[],"ttlMs":5,"cacheScope":"private"}"#
    );
}

#[test]
fn errors_have_the_code_of_their_era() {
    let old = r#"{"code":-32002,"message":"m","data":{"uri":"a:b"}}"#;
    let new = r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#;
    assert_eq!(errors::to_modern(&payload(old)).unwrap().as_str(), new);
    assert_eq!(errors::to_legacy("resources/read", &payload(new)).unwrap().as_str(), old);
    assert_eq!(errors::to_legacy("tools/call", &payload(new)).unwrap().as_str(), new);
    let other = r#"{"code":-32602,"message":"bad"}"#;
    assert_eq!(errors::to_legacy("resources/read", &payload(other)).unwrap().as_str(), other);
    assert_eq!(errors::to_modern(&payload(r#"{"code":-1}"#)).unwrap().as_str(), r#"{"code":-1}"#);
}

#[test]
fn pages_to_visit_become_questions() {
    let error = payload(
        r#"{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://x.example","message":"go"}]}}"#,
    );
    let pages = errors::url_elicitations(&error).unwrap();
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].method, "elicitation/create");
    assert_eq!(
        pages[0].params.as_ref().unwrap().as_str(),
        r#"{"mode":"url","url":"https://x.example","message":"go"}"#
    );
    assert!(errors::url_elicitations(&payload(r#"{"code":-32042,"message":"m"}"#)).is_none());
    let legacy = input::params_to_legacy(&pages[0], "id-1").unwrap().unwrap();
    assert_eq!(
        legacy.as_str(),
        r#"{"mode":"url","url":"https://x.example","message":"go","elicitationId":"id-1"}"#
    );
    let back = input::params_to_modern("elicitation/create", Some(&legacy)).unwrap();
    assert_eq!(back, pages[0].params);
}

#[test]
fn questions_are_written_and_read() {
    let asked = [
        InputRequest { key: "a \" b".to_owned(), method: "roots/list".to_owned(), params: None },
        InputRequest {
            key: "e".to_owned(),
            method: "elicitation/create".to_owned(),
            params: Some(payload(r#"{"n":1.0}"#)),
        },
    ];
    let written = input::write(&asked, "sta\"te");
    assert_eq!(results::result_type(&written).unwrap().as_deref(), Some("input_required"));
    let read = input::read(&written).unwrap();
    assert_eq!(
        (read.requests.as_slice(), read.state.unwrap().as_str()),
        (&asked[..], r#""sta\"te""#)
    );
    for bad in [
        r#"{"inputRequests":[]}"#,
        r#"{"inputRequests":{"a":{}}}"#,
        r#"{"inputRequests":{"a":{"method":1}}}"#,
    ] {
        assert!(input::read(&payload(bad)).is_err(), "{bad}");
    }
    let keys = HashSet::from(["e"]);
    let answers = input::answers(&payload(r#"{"x":{},"e":{"action":"accept"}}"#), &keys).unwrap();
    assert_eq!(answers, [("e".to_owned(), payload(r#"{"action":"accept"}"#))]);
    assert!(input::answers(&payload(r#"{"e":12345}"#), &keys).is_err());
    let retry = input::retry(&answers, Some(&payload("\"s\"")));
    let retry: Vec<_> = retry.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        retry,
        [("inputResponses", r#"{"e":{"action":"accept"}}"#), ("requestState", "\"s\"")]
    );
}

#[test]
fn servers_introduce_themselves_in_the_words_of_the_client() {
    let legacy = ServerInfo {
        era: Era::Legacy,
        protocol_version: "2025-06-18".to_owned(),
        capabilities: payload(r#"{"tools":{},"tasks":{}}"#),
        server_info: payload(r#"{"name":"s"}"#),
        instructions: Some("do".to_owned()),
        raw: payload(
            r#"{"odd":1.0,"protocolVersion":"2025-06-18","capabilities":{"tools":{},"tasks":{}}}"#,
        ),
    };
    assert_eq!(
        greeting::to_initialize(&legacy, "2025-03-26").unwrap().as_str(),
        r#"{"odd":1.0,"protocolVersion":"2025-03-26","capabilities":{"tools":{},"tasks":{}}}"#
    );
    let discovered: Value = greeting::to_discover(&legacy).unwrap().read().unwrap();
    assert_eq!(discovered["capabilities"], json!({"tools": {}}));
    assert_eq!(
        (&discovered["instructions"], &discovered["supportedVersions"][0]),
        (&json!("do"), &json!("2026-07-28"))
    );
    let raw =
        payload(r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"odd":1.0}"#);
    let modern = ServerInfo {
        era: Era::Modern,
        capabilities: payload(r#"{"tools":{}}"#),
        server_info: payload("{}"),
        raw,
        ..legacy
    };
    let greeted: Value = greeting::to_initialize(&modern, "2025-11-25").unwrap().read().unwrap();
    assert_eq!(
        greeted,
        json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "unnamed", "version": "0"},
            "instructions": "do"})
    );
    assert!(
        greeting::to_discover(&modern)
            .unwrap()
            .as_str()
            .ends_with(r#""capabilities":{"tools":{}},"odd":1.0}"#)
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\u{1F600}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn parameters_come_back(arguments in any_json(), other in any_json()) {
        let params = Payload::from_value(&json!({"name": "t", "arguments": arguments, "_meta": {"other": other}}));
        let there = params::to_modern(Some(&params), &client(), &[("requestState", "\"s\"")]).unwrap();
        prop_assert_eq!(params::to_legacy(Some(&there)).unwrap().unwrap(), params);
    }

    #[test]
    fn results_come_back(content in any_json(), odd in any_json()) {
        let result = Payload::from_value(&json!({"content": content, "odd": odd}));
        let there = results::to_modern("resources/read", &result, &payload(r#"{"name":"s"}"#)).unwrap();
        prop_assert!(there.as_str().starts_with(&result.as_str()[..result.as_str().len() - 1]), "the bytes are the same");
        prop_assert_eq!(results::to_legacy("resources/read", &there).unwrap(), result);
    }

    #[test]
    fn what_is_no_answer_of_ours_is_refused_or_read(text in any_json()) {
        let value = Payload::from_value(&text);
        let _ = (input::read(&value), errors::url_elicitations(&value), wire::members(&value));
        let _ = (results::to_legacy("tools/list", &value), results::to_modern("tools/list", &value, &value), params::to_legacy(Some(&value)));
    }
}

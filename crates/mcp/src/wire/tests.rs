//! The wire, row by row; and, for any JSON whatever, that its bytes come through.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn parsed(text: &str) -> Result<Message, WireError> {
    parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn payload(text: &str) -> Payload {
    Payload::from_json(text).unwrap()
}

#[test]
fn messages_are_told_apart() {
    let request =
        parsed(r#" {"jsonrpc":"2.0", "id" : 1.0e2,"method":"a\u002fb","params": { "x": 1.50 } , "extra": 1} "#).unwrap();
    let Message::Request(request) = request else { panic!("{request:?}") };
    assert_eq!((request.id.raw(), request.method.as_str()), ("1.0e2", "a/b"));
    assert_eq!(request.params.unwrap().as_str(), r#"{ "x": 1.50 }"#);

    let notification = parsed(r#"{"jsonrpc":"2.0","method":"m","params":null}"#).unwrap();
    assert_eq!(
        notification,
        Message::Notification(Notification { method: "m".to_owned(), params: None })
    );

    let response = parsed(r#"{"result":{},"id":"1","jsonrpc":"2.0"}"#).unwrap();
    let Message::Response(response) = response else { panic!("{response:?}") };
    assert_eq!(
        (response.id.unwrap().raw(), response.outcome),
        ("\"1\"", Outcome::Result(payload("{}")))
    );

    let response =
        parsed(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#).unwrap();
    assert!(
        matches!(response, Message::Response(Response { id: None, outcome: Outcome::Error(_) })),
        "{response:?}"
    );
}

#[test]
fn payloads_are_slices_of_the_message() {
    let text = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}"#);
    let Ok(Message::Response(Response { outcome: Outcome::Result(result), .. })) = parse(&text)
    else {
        panic!()
    };
    assert_eq!(result.as_bytes().as_ptr() as usize, text.as_ptr() as usize + 33);
}

#[test]
fn ids_are_compared_as_they_are_spelt() {
    let id = |text: &str| RequestId::from_payload(payload(text)).unwrap();
    assert_ne!(id("1"), id("\"1\""));
    assert_ne!(id("1"), id("1.0"));
    assert_eq!(id("1"), RequestId::number(1));
    for none in ["null", "true", "[]", "{}"] {
        assert_eq!(RequestId::from_payload(payload(none)), None, "{none}");
    }
}

#[test]
fn bad_envelopes_are_refused() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    for (text, code) in [
        ("", code::PARSE_ERROR),
        ("{", code::PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"} x"#, code::PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":01}}"#, code::PARSE_ERROR),
        ("[", code::INVALID_REQUEST),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, code::INVALID_REQUEST),
        ("1", code::INVALID_REQUEST),
        ("{}", code::INVALID_REQUEST),
        (r#"{"id":1,"method":"m"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, code::INVALID_REQUEST),
        (&deep, code::INVALID_REQUEST),
    ] {
        assert_eq!(parsed(text).map_err(|e| e.code()).unwrap_err(), code, "{text}");
    }
}

#[test]
fn members_of_unknown_methods_are_not_ours() {
    let params = payload(
        r#"{"name":5,"cursor":{},"requestState":"s","Level":1,"_meta":{"progressToken":1.0}}"#,
    );
    let head = head_of("vendor/unheard-of", &params).unwrap();
    assert_eq!((head.name, head.request_state.as_deref()), (None, Some("s")));
    assert_eq!(head.meta.progress_token.unwrap().raw(), "1.0");
    assert!(head_of("tools/call", &params).is_err());
    assert!(head_of("vendor/unheard-of", &payload(r#"{"_Meta":{}}"#)).is_err());
}

#[test]
fn keys_with_half_a_surrogate_pair_are_told_apart() {
    let object = payload(r#"{"a\ud800":1,"a\udbff\u0041":2,"a\udC00é":3,"\ud83d\ude00":4}"#);
    let keys: Vec<_> =
        members(&object).unwrap().into_iter().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(keys, [r"a\ud800", r"a\udbffA", r"a\udc00é", "😀"]);
    assert!(matches!(
        members(&payload(r#"{"\udc00":1,"\udC00":2}"#)),
        Err(WireError::DuplicateKey(_))
    ));
    for bytes in [&b"\xff\xff\xff"[..], b"\xed\x20\x20", b"\xc3"] {
        let text = [br#"{"jsonrpc":"2.0","method":"m",""#, bytes, br#"":1}"#].concat();
        assert!(parse(&Bytes::from(text)).is_err(), "{bytes:?}");
    }
}

#[test]
fn t35_two_meanings_are_refused() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","\u006dethod":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","paramſ":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"ID":2,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","x":1,"x":2}"#,
    ] {
        assert_eq!(parsed(text).unwrap_err().code(), code::INVALID_REQUEST, "{text}");
    }
    for text in [
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","Name":"b"}"#,
        r#"{"_meta":{"progressToken":1,"progressToken":2}}"#,
        r#"{"_meta":{"progresstoken":1}}"#,
        r#"{"_meta":{},"_META":{}}"#,
        r#"{"ref":{"name":"a","name":"b"}}"#,
    ] {
        assert!(params_head(&payload(text)).is_err(), "{text}");
    }
}

#[test]
fn many_members_are_compared_without_squaring() {
    let members: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":0")).collect();
    let object = payload(&format!("{{{}}}", members.join(",")));
    assert_eq!(super::members(&object).unwrap().len(), 100_000);
    let twice = payload(&format!("{{{},\"k77\":1}}", members.join(",")));
    assert_eq!(super::members(&twice), Err(WireError::DuplicateKey("k77".to_owned())));
}

#[test]
fn the_head_is_read() {
    let params = payload(
        r#"{"arguments":{"name":1,"name":2},"name":"t","uri":"u:\/x","cursor":null,"protocolVersion":"v","level":"info",
            "requestId":"r","progressToken":7,"_meta":{"progressToken":"p","other":1},"ref":{"type":"ref/prompt","name":"n"}}"#,
    );
    let head = params_head(&params).unwrap();
    assert_eq!(head.name.as_deref(), Some("t"));
    assert_eq!(head.uri.as_deref(), Some("u:/x"));
    assert_eq!(
        (head.cursor, head.protocol_version.as_deref(), head.level.as_deref()),
        (None, Some("v"), Some("info"))
    );
    assert_eq!(head.request_id.unwrap().raw(), "\"r\"");
    assert_eq!(head.progress_token.unwrap().raw(), "7");
    assert_eq!(head.meta.progress_token.unwrap().raw(), "\"p\"");
    let reference = head.reference.unwrap();
    assert_eq!(
        (reference.kind.as_deref(), reference.name.as_deref(), reference.uri),
        (Some("ref/prompt"), Some("n"), None)
    );
    assert_eq!(meta_of(&params).unwrap().progress_token.unwrap().raw(), "\"p\"");
    assert_eq!(params_head(&payload("{}")).unwrap(), ParamsHead::default());
    for wrong in [
        r#"{"name":1}"#,
        r#"{"_meta":[]}"#,
        r#"{"ref":"x"}"#,
        r#"{"_meta":{"progressToken":true}}"#,
        r#"{"cursor":{}}"#,
    ] {
        assert_eq!(
            params_head(&payload(wrong)).unwrap_err().code(),
            code::INVALID_PARAMS,
            "{wrong}"
        );
    }
    assert_eq!(
        meta_of(&payload(r#"{"name":1}"#)),
        Ok(Meta::default()),
        "what is not asked for is not judged"
    );
}

#[test]
fn a_progress_token_is_found_however_its_key_is_spelt() {
    let cases = [
        (r#"{"name":"t","_meta":{"progressToken":"p"}}"#, Some("\"p\"")),
        (r#"{"\u005fmeta":{"progressToken":7}}"#, Some("7")),
        (r#"{"name":"t","_meta":{}}"#, None),
        (r#"{"name":"_meta"}"#, None),
        (r#"{"arguments":{"progressToken":7}}"#, None),
    ];
    for (params, expected) in cases {
        assert_eq!(
            progress_token(&payload(params)).unwrap().as_ref().map(RequestId::raw),
            expected,
            "{params}"
        );
    }
}

#[test]
fn one_member_is_replaced_and_nothing_else() {
    let params = payload(
        r#"{ "arguments" : {"name":"name","n":1.50e1}, "name" :  "a" ,"_meta":{"x":{"progressToken":1}, "progressToken": "t"}}"#,
    );
    assert_eq!(
        replace_name(&params, "b\"c").unwrap().as_str(),
        r#"{ "arguments" : {"name":"name","n":1.50e1}, "name" :  "b\"c" ,"_meta":{"x":{"progressToken":1}, "progressToken": "t"}}"#
    );
    assert_eq!(
        replace_progress_token(&params, &RequestId::number(9)).unwrap().as_str(),
        r#"{ "arguments" : {"name":"name","n":1.50e1}, "name" :  "a" ,"_meta":{"x":{"progressToken":1}, "progressToken": 9}}"#
    );
    assert_eq!(
        replace_member(&params, &["none"], &payload("1")),
        Err(WireError::Missing("none".to_owned()))
    );
    assert!(replace_member(&params, &["name", "x"], &payload("1")).is_err());
}

#[test]
fn envelopes_are_written() {
    let (id, params) = (RequestId::from_payload(payload("\"x\"")).unwrap(), payload(r#"{"a":1}"#));
    assert_eq!(
        request(&id, "m", Some(&params)),
        r#"{"jsonrpc":"2.0","id":"x","method":"m","params":{"a":1}}"#
    );
    assert_eq!(request(&id, "m\"", None), r#"{"jsonrpc":"2.0","id":"x","method":"m\""}"#);
    assert_eq!(notification("m", None), r#"{"jsonrpc":"2.0","method":"m"}"#);
    assert_eq!(result(&id, &params), r#"{"jsonrpc":"2.0","id":"x","result":{"a":1}}"#);
    assert_eq!(
        error(None, -1, "b\\", Some(&params)),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"b\\","data":{"a":1}}}"#
    );
    assert_eq!(error_raw(Some(&id), &params), r#"{"jsonrpc":"2.0","id":"x","error":{"a":1}}"#);
}

/// JSON text as others may write it: any spacing, odd numbers, escapes, unknown members, duplicate
/// keys where nothing reads them.
fn any_json() -> impl Strategy<Value = String> {
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t"), Just("\r\n")];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?".prop_map(|n| n),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just(r#""\u0041\/\ud83d\ude00\b""#.to_owned()),
    ];
    let padded =
        (space.clone(), scalar, space.clone()).prop_map(|(a, text, b)| format!("{a}{text}{b}"));
    padded.prop_recursive(4, 32, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5)
            .prop_map(|items| format!("[{}]", items.join(",")));
        let member = ("[a-c]{0,2}", space.clone(), inner)
            .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{value}"));
        let object = prop::collection::vec(member, 0..5)
            .prop_map(|members| format!("{{{}}}", members.join(",")));
        prop_oneof![list, object]
    })
}

proptest! {
    #[test]
    fn quoted_text_is_read_as_it_was(text in any::<String>()) {
        prop_assert_eq!(serde_json::from_str::<String>(&quote(&text)).unwrap(), text);
    }

    #[test]
    fn bytes_come_through(json in any_json(), method in any::<String>(), id in prop_oneof!["-?[1-9][0-9]{0,40}", Just("\"\\u0041\"".to_owned())]) {
        let params = format!("{{\"unknown\":{json},\"name\":\"old\"}}");
        let text = format!("{{\"params\":{params},\"method\":{},\"id\":{id},\"jsonrpc\":\"2.0\"}}", Value::from(method.as_str()));
        let Ok(Message::Request(parsed)) = parse(&Bytes::from(text)) else { panic!("not parsed") };
        let raw = parsed.params.unwrap();
        prop_assert_eq!(raw.as_str(), params.as_str());
        prop_assert_eq!(&parsed.method, &method);
        prop_assert_eq!(parsed.id.raw(), id.as_str());

        let sent = request(&parsed.id, &parsed.method, Some(&raw));
        let Ok(Message::Request(again)) = parse(&sent) else { panic!("not parsed again") };
        prop_assert_eq!(again.params.as_ref().map(Payload::as_str), Some(params.as_str()));

        let renamed = replace_name(&raw, "new name").unwrap();
        prop_assert_eq!(renamed.as_str(), format!("{{\"unknown\":{json},\"name\":\"new name\"}}"));

        let answer = result(&parsed.id, &raw);
        let Ok(Message::Response(Response { outcome: Outcome::Result(result), .. })) = parse(&answer) else { panic!("no answer") };
        prop_assert_eq!(result.as_str(), params.as_str());
    }

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&Bytes::from(bytes));
    }
}

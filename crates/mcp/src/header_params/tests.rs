//! The examples of the specification, and what it forbids.

use super::*;

fn tool(schema: &str) -> Payload {
    Payload::from_json(&format!(r#"{{"name":"t","inputSchema":{schema}}}"#)).unwrap()
}

fn names(schema: &str) -> Result<Vec<String>, BadAnnotation> {
    of_tool(&tool(schema)).map(|found| {
        found.iter().map(|one| format!("{} {}", one.header, one.path.join("."))).collect()
    })
}

#[test]
fn values_are_written_as_headers_can_carry_them() {
    for (value, header) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
        ("a b\tc", "a b\tc"),
    ] {
        assert_eq!(encode(value), header, "{value:?}");
        assert_eq!(decode(&encode(value)).as_deref(), Some(value));
    }
    assert_eq!(decode(&HeaderValue::from_static("=?base64?***?=")), None);
    assert_eq!(decode(&HeaderValue::from_static("=?base64?/w==?=")), None, "no UTF-8");
}

#[test]
fn fb80_what_is_no_ascii_is_read_as_it_came() {
    for (bytes, text) in [
        ("Hello, 世界".as_bytes(), "Hello, 世界"),
        (b"caf\xe9", "café"),
        ("café".as_bytes(), "café"),
        ("\u{a0}x\u{3000}".as_bytes(), "\u{a0}x\u{3000}"),
        (b"=?base64?Y2Fmw6k=?=", "café"),
    ] {
        assert_eq!(
            decode(&HeaderValue::from_bytes(bytes).unwrap()).as_deref(),
            Some(text),
            "{text}"
        );
    }
}

#[test]
fn fb80_a_server_that_does_not_know_base64_gets_what_can_stand_there() {
    let headers = |values: &[&str]| {
        let values = values.iter().map(|value| {
            (
                HeaderName::from_static("mcp-name"),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        });
        values.collect::<HeaderMap>()
    };
    let coded = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (HeaderName::from_static("mcp-name"), encode(text)))
            .collect::<HeaderMap>()
    };
    assert_eq!(unencoded(&coded(&["café"])), Some(headers(&["café"])));
    assert_eq!(unencoded(&coded(&["x"])), None, "nothing to change");
    for never in [" padded ", "line1\nline2", "nul\0"] {
        assert_eq!(unencoded(&coded(&[never])), None, "{never:?} can stand in no header");
    }
}

#[test]
fn annotations_are_found_where_properties_lead() {
    let schema = r#"{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "n":{"type":"object","properties":{"depth":{"type":["integer","null"],"x-mcp-header":"Depth"}}},
        "x-mcp-header":{"type":"string"},
        "plain":{"type":"number","default":{"x-mcp-header":"no"}}}}"#;
    assert_eq!(names(schema).unwrap(), ["mcp-param-region region", "mcp-param-depth n.depth"]);
    assert_eq!(names(r#"{"type":"object"}"#).unwrap(), [""; 0]);
}

#[test]
fn bad_annotations_are_named() {
    use BadAnnotation::{Name, Twice, Type, Unreachable};
    let of = |property: &str| format!(r#"{{"properties":{{"p":{property}}}}}"#);
    for (schema, expected) in [
        (of(r#"{"type":"string","x-mcp-header":""}"#), Name(String::new())),
        (of(r#"{"type":"string","x-mcp-header":7}"#), Name(String::new())),
        (of(r#"{"type":"string","x-mcp-header":"a b"}"#), Name("a b".to_owned())),
        (of(r#"{"type":"string","x-mcp-header":"a\r\nb"}"#), Name("a\r\nb".to_owned())),
        (of(r#"{"type":"number","x-mcp-header":"A"}"#), Type("A".to_owned())),
        (of(r#"{"type":"object","x-mcp-header":"A"}"#), Type("A".to_owned())),
        (of(r#"{"x-mcp-header":"A"}"#), Type("A".to_owned())),
        (of(r#"{"type":"array","items":{"type":"string","x-mcp-header":"A"}}"#), Unreachable("A".to_owned())),
        (of(r#"{"oneOf":[{"type":"string","x-mcp-header":"A"}]}"#), Unreachable("A".to_owned())),
        (r#"{"type":"string","x-mcp-header":"A"}"#.to_owned(), Unreachable("A".to_owned())),
        (r#"{"$defs":{"p":{"type":"string","x-mcp-header":"A"}}}"#.to_owned(), Unreachable("A".to_owned())),
        (r#"{"if":{"properties":{"p":{"type":"string","x-mcp-header":"A"}}}}"#.to_owned(), Unreachable("A".to_owned())),
        (
            r#"{"properties":{"p":{"type":"string","x-mcp-header":"A"},"q":{"type":"string","x-mcp-header":"a"}}}"#.to_owned(),
            Twice("a".to_owned()),
        ),
    ] {
        assert_eq!(names(&schema), Err(expected), "{schema}");
    }
}

#[test]
fn headers_and_body_are_compared() {
    let tool = tool(
        r#"{"properties":{"s":{"type":"string","x-mcp-header":"S"},"i":{"type":"integer","x-mcp-header":"I"},
            "b":{"type":"boolean","x-mcp-header":"B"}}}"#,
    );
    let mirrored = of_tool(&tool).unwrap();
    let params = |arguments: &str| {
        Payload::from_json(&format!(r#"{{"name":"t","arguments":{arguments}}}"#)).unwrap()
    };
    let given = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    };
    let whole = params(r#"{"s":"x y","i":-7,"b":true}"#);
    let ours = headers(&mirrored, &whole).unwrap();
    assert_eq!(
        ours,
        given(&[("mcp-param-s", "x y"), ("mcp-param-i", "-7"), ("mcp-param-b", "true")])
    );
    assert_eq!(check(&mirrored, &whole, &ours), Ok(()));
    for (arguments, pairs, fits) in [
        ("{}", &[][..], true),
        (r#"{"s":null}"#, &[], true),
        ("null", &[], true),
        (r#"{"s":"a"}"#, &[("mcp-param-s", "a"), ("mcp-param-other", "z")], true),
        (r#"{"s":"a"}"#, &[("mcp-param-s", "=?base64?YQ==?=")], true),
        (r#"{"i":42.0}"#, &[("mcp-param-i", "42")], true),
        (r#"{"i":42}"#, &[("mcp-param-i", "42.0")], true),
        (r#"{"s":"a"}"#, &[], false),
        (r#"{"s":"a"}"#, &[("mcp-param-s", "b")], false),
        (r#"{"s":"a"}"#, &[("mcp-param-s", "A")], false),
        (r#"{"s":"a"}"#, &[("mcp-param-s", "=?base64?!?=")], false),
        ("{}", &[("mcp-param-s", "a")], false),
        (r#"{"i":42}"#, &[("mcp-param-i", "43")], false),
        (r#"{"b":true}"#, &[("mcp-param-b", "TRUE")], false),
        (r#"{"i":9007199254740993}"#, &[("mcp-param-i", "9007199254740993")], false),
        (r#"{"s":"a","s":"b"}"#, &[("mcp-param-s", "a")], false),
    ] {
        assert_eq!(
            check(&mirrored, &params(arguments), &given(pairs)).is_ok(),
            fits,
            "{arguments} {pairs:?}"
        );
    }
    let mut twice = given(&[("mcp-param-s", "a")]);
    twice.append("mcp-param-s", HeaderValue::from_static("a"));
    assert!(check(&mirrored, &params(r#"{"s":"a"}"#), &twice).is_err());
}

//! Members of a request that stand in headers too (MCP 2026-07-28, Streamable HTTP, "Request
//! Metadata"): how a value is written in a header, which parameters of a tool are mirrored
//! (`x-mcp-header`), and whether header and body agree. The standard headers of our own requests
//! are put together in `upstream::modern`, those of clients judged in `endpoint::metadata`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use thiserror::Error;

use crate::wire::{self, Payload, WireError, protocol::member};

const ANNOTATION: &str = "x-mcp-header";
const PREFIX: &str = "mcp-param-";
const SENTINEL: (&str, &str) = ("=?base64?", "?=");
/// The largest integer that every JSON implementation keeps exactly: 2^53 - 1.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// A parameter of a tool that is mirrored into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    pub(crate) header: HeaderName,
    /// From the arguments' root through `properties` alone.
    path: Vec<String>,
    kind: Primitive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Primitive {
    Text,
    Integer,
    Boolean,
}

/// Why a tool cannot be offered over HTTP. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAnnotation {
    #[error("{ANNOTATION} must be a header name, and is {0:?}")]
    Name(String),
    #[error("{ANNOTATION} {0:?} is used twice")]
    Twice(String),
    #[error("{ANNOTATION} {0:?} is on a parameter that is no string, integer or boolean")]
    Type(String),
    #[error("{ANNOTATION} {0:?} is on what cannot be reached through `properties` alone")]
    Unreachable(String),
    #[error("the input schema cannot be read: {0}")]
    Schema(String),
}

/// The parameters that this tool has mirrored.
pub fn of_tool(tool: &Payload) -> Result<Vec<HeaderParam>, BadAnnotation> {
    let mut found = Vec::new();
    if !tool.as_str().contains(ANNOTATION) {
        return Ok(found);
    }
    let bad = |error: WireError| BadAnnotation::Schema(error.to_string());
    let Some((_, schema)) =
        wire::members(tool).map_err(bad)?.into_iter().find(|(key, _)| key == "inputSchema")
    else {
        return Ok(found);
    };
    walk(&schema.read().map_err(bad)?, Some(&mut Vec::new()), &mut found)?;
    Ok(found)
}

/// Through one schema. `path` is where it stands among the arguments, `None` where no fixed chain
/// of properties leads.
fn walk(
    schema: &Value,
    path: Option<&mut Vec<String>>,
    found: &mut Vec<HeaderParam>,
) -> Result<(), BadAnnotation> {
    let members = match schema {
        Value::Object(members) => members,
        // `oneOf` and its kin hold their schemas in an array.
        Value::Array(schemas) => {
            return schemas.iter().try_for_each(|schema| walk(schema, None, found));
        }
        _ => return Ok(()),
    };
    if let Some(annotation) = members.get(ANNOTATION) {
        annotated(annotation, members.get("type"), path.as_deref().map(Vec::as_slice), found)?;
    }
    let mut path = path;
    for (key, value) in members {
        match key.as_str() {
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    match path.as_deref_mut() {
                        Some(path) => {
                            path.push(name.clone());
                            walk(property, Some(path), found)?;
                            path.pop();
                        }
                        None => walk(property, None, found)?,
                    }
                }
            }
            "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .try_for_each(|(_, schema)| walk(schema, None, found))?;
            }
            // Data, not schemas.
            ANNOTATION | "default" | "const" | "enum" | "examples" => {}
            _ => walk(value, None, found)?,
        }
    }
    Ok(())
}

fn annotated(
    annotation: &Value,
    kind: Option<&Value>,
    path: Option<&[String]>,
    found: &mut Vec<HeaderParam>,
) -> Result<(), BadAnnotation> {
    let name = annotation.as_str().unwrap_or_default().to_owned();
    let header =
        (!name.is_empty()).then(|| HeaderName::try_from(format!("{PREFIX}{name}")).ok()).flatten();
    let Some(header) = header else { return Err(BadAnnotation::Name(name)) };
    let path = path
        .filter(|path| !path.is_empty())
        .ok_or_else(|| BadAnnotation::Unreachable(name.clone()))?;
    let kind = kind.and_then(primitive).ok_or_else(|| BadAnnotation::Type(name.clone()))?;
    if found.iter().any(|other| other.header == header) {
        return Err(BadAnnotation::Twice(name));
    }
    found.push(HeaderParam { header, path: path.to_vec(), kind });
    Ok(())
}

/// A primitive type, or one that may be null as well.
fn primitive(kind: &Value) -> Option<Primitive> {
    match kind {
        Value::String(name) => match name.as_str() {
            "string" => Some(Primitive::Text),
            "integer" => Some(Primitive::Integer),
            "boolean" => Some(Primitive::Boolean),
            _ => None,
        },
        Value::Array(names) => {
            let mut others = names.iter().filter(|name| *name != "null");
            match (others.next(), others.next()) {
                (Some(name @ Value::String(_)), None) => primitive(name),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The headers that a call with these parameters needs.
pub fn headers(mirrored: &[HeaderParam], params: &Payload) -> Result<HeaderMap, WireError> {
    let mut headers = HeaderMap::new();
    for parameter in mirrored {
        if let Some(text) =
            value_at(params, parameter)?.as_ref().and_then(|value| text_of(value, parameter.kind))
        {
            headers.insert(parameter.header.clone(), encode(&text));
        }
    }
    Ok(headers)
}

/// Do the headers of a call say what its body says? The error is for the client.
pub(crate) fn check(
    mirrored: &[HeaderParam],
    params: &Payload,
    headers: &HeaderMap,
) -> Result<(), String> {
    for parameter in mirrored {
        let value = value_at(params, parameter).map_err(|error| error.to_string())?;
        let mut given = headers.get_all(&parameter.header).iter();
        let header = parameter.header.as_str();
        match (value, given.next(), given.next()) {
            (_, _, Some(_)) => return Err(format!("the header {header} appears more than once")),
            (None, None, None) => {}
            (None, Some(_), None) => {
                return Err(format!("the header {header} has a value that the body has not"));
            }
            (Some(_), None, None) => {
                return Err(format!("the header {header} is missing: the body has a value for it"));
            }
            (Some(value), Some(given), None) => {
                let Some(given) = decode(given) else {
                    return Err(format!("the header {header} cannot be read"));
                };
                if !agrees(&given, &value, parameter.kind) {
                    return Err(format!("the header {header} does not match the body"));
                }
            }
        }
    }
    Ok(())
}

/// The value of the parameter in `params.arguments`; null counts as none.
fn value_at(params: &Payload, parameter: &HeaderParam) -> Result<Option<Value>, WireError> {
    let mut at = params.clone();
    for key in std::iter::once(member::ARGUMENTS).chain(parameter.path.iter().map(String::as_str)) {
        if !at.as_str().starts_with('{') {
            return Ok(None);
        }
        let Some((_, value)) = wire::members(&at)?.into_iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        at = value;
    }
    let value: Value = at.read()?;
    Ok((!value.is_null()).then_some(value))
}

/// As it stands in a header; `None` for what is not of the declared type, which is the server's to
/// complain about.
fn text_of(value: &Value, kind: Primitive) -> Option<String> {
    match (kind, value) {
        (Primitive::Text, Value::String(text)) => Some(text.clone()),
        (Primitive::Boolean, Value::Bool(flag)) => Some(flag.to_string()),
        (Primitive::Integer, Value::Number(_)) => integer(value.as_f64()?),
        _ => None,
    }
}

fn integer(number: f64) -> Option<String> {
    let is_safe = number.fract() == 0.0 && number.abs() <= MAX_SAFE;
    // Zero may be negative.
    is_safe.then(|| format!("{:.0}", if number == 0.0 { 0.0 } else { number }))
}

fn agrees(given: &str, value: &Value, kind: Primitive) -> bool {
    let Some(text) = text_of(value, kind) else { return false };
    match kind {
        Primitive::Integer => given.trim().parse().ok().and_then(integer) == Some(text),
        Primitive::Text | Primitive::Boolean => given == text,
    }
}

/// A value as a header can carry it: as it is, or base64 between the sentinels.
pub fn encode(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && text.trim_matches([' ', '\t']) == text;
    let plain =
        (is_plain && encoded(text).is_none()).then(|| HeaderValue::from_str(text).ok()).flatten();
    plain.unwrap_or_else(|| {
        let encoded = format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1);
        // Base64 and the sentinels are visible ASCII.
        HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

/// What a header's value stands for; `None` for base64 that is none. There are clients that send
/// UTF-8 as it is, or what of Latin-1 a browser's `fetch` takes (FB80): what it says is compared
/// with the body all the same.
pub(crate) fn decode(value: &HeaderValue) -> Option<String> {
    let text = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    };
    let text = text.trim_matches([' ', '\t']);
    match encoded(text) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

fn encoded(text: &str) -> Option<&str> {
    text.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1))
}

/// The same headers, for a server that does not know the base64 form: what can stand in a header as
/// UTF-8 stands there as it is. `None`: nothing is in that form.
pub(crate) fn unencoded(headers: &HeaderMap) -> Option<HeaderMap> {
    let mut found = false;
    let plain = |value: &HeaderValue| {
        encoded(value.to_str().ok()?)?;
        let text = decode(value)?;
        (text.trim_matches([' ', '\t']) == text)
            .then(|| HeaderValue::from_bytes(text.as_bytes()).ok())
            .flatten()
    };
    let mut others = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let plain = plain(value);
        found |= plain.is_some();
        others.append(name, plain.unwrap_or_else(|| value.clone()));
    }
    found.then_some(others)
}

#[cfg(test)]
mod tests;

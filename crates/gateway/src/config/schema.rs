//! The declared settings as JSON Schema (draft 2020-12), for editors and for
//! `docs/schema`.

use portunus_core::settings::{Section, Setting, ValueType};
use serde_json::{Map, Value, json};

use super::{servers::MCP, settings::CONFIG};

/// The JSON Schema of `config.yaml`.
pub fn config_schema() -> String {
    document(&CONFIG)
}

/// The JSON Schema of `mcp.json`.
pub fn mcp_schema() -> String {
    document(&MCP)
}

fn document(section: &Section) -> String {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(section.help));
    schema.extend(of_section(section));
    format!("{:#}\n", Value::Object(schema))
}

fn of_section(section: &Section) -> Map<String, Value> {
    let mut properties = Map::new();
    for setting in section.settings {
        let mut property = of_value(&setting.value);
        property.insert("description".to_owned(), json!(described(setting)));
        properties.insert(setting.name.to_owned(), Value::Object(property));
    }
    let required: Vec<&str> = section
        .settings
        .iter()
        .filter(|setting| setting.required)
        .map(|setting| setting.name)
        .collect();
    let mut schema = object(
        json!({ "type": "object", "additionalProperties": false, "properties": properties }),
    );
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !section.one_of.is_empty() {
        let choices: Vec<Value> =
            section.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        schema.insert("oneOf".to_owned(), json!(choices));
    }
    schema
}

fn described(setting: &Setting) -> String {
    let description = setting.description();
    if setting.variables.is_empty() {
        description
    } else {
        format!("{description}. Variable: {}", setting.variables.join(" or "))
    }
}

/// A value may also be a reference to a variable, whatever it is meant to become.
fn of_value(value: &ValueType) -> Map<String, Value> {
    let reference = json!({ "type": "string", "pattern": r"\$\{" });
    object(match value {
        ValueType::Text | ValueType::Secret | ValueType::Personal => json!({ "type": "string" }),
        ValueType::Flag => json!({ "anyOf": [{ "type": "boolean" }, reference] }),
        ValueType::Seconds => {
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, reference] })
        }
        ValueType::Count => json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, reference] }),
        ValueType::Duration => json!({ "type": "string", "pattern": r"^\s*[0-9]+ *[A-Za-z]|\$\{" }),
        ValueType::DurationOrOff => {
            json!({ "type": "string", "pattern": r"^\s*[0-9]+ *[A-Za-z]|^off$|\$\{" })
        }
        ValueType::Size => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": r"^[0-9]|\$\{" }] })
        }
        ValueType::Rate => json!({ "type": "string", "pattern": r"^\s*[0-9]+ */|\$\{" }),
        ValueType::RateOrUnlimited => {
            json!({ "type": "string", "pattern": r"^\s*[0-9]+ */|^unlimited$|\$\{" })
        }
        ValueType::SizeRate => {
            json!({ "type": "string", "pattern": r"^\s*[0-9]+ *[A-Za-z]* */|\$\{" })
        }
        ValueType::Choice(choices) => json!({ "anyOf": [{ "enum": choices }, reference] }),
        ValueType::WordOr(words, section) => {
            json!({ "anyOf": [{ "enum": words }, of_section(section), reference] })
        }
        ValueType::Values => {
            let one = json!({ "type": ["string", "number", "boolean"] });
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        ValueType::List(inner) => json!({ "type": "array", "items": of_value(inner) }),
        ValueType::Map(inner) => {
            json!({ "type": "object", "additionalProperties": of_value(inner) })
        }
        ValueType::Section(section) => return of_section(section),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

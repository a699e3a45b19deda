//! The tables of [`super::tables`] as JSON Schema (draft 2020-12), for editors and for
//! `docs/schema`.

use serde_json::{Map, Value, json};

use super::{
    shape::{Shape, Table},
    tables,
};

/// The JSON Schema of `config.yaml`.
pub fn config_schema() -> String {
    document(&tables::CONFIG)
}

/// The JSON Schema of `mcp.json`.
pub fn mcp_schema() -> String {
    document(&tables::MCP)
}

fn document(table: &Table) -> String {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(table.doc));
    schema.extend(of_table(table));
    format!("{:#}\n", Value::Object(schema))
}

fn of_table(table: &Table) -> Map<String, Value> {
    let mut properties = Map::new();
    for field in table.fields {
        let mut property = of_shape(&field.shape);
        property.insert("description".to_owned(), json!(described(field.doc, field.variables)));
        properties.insert(field.name.to_owned(), Value::Object(property));
    }
    let required: Vec<&str> =
        table.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = object(
        json!({ "type": "object", "additionalProperties": false, "properties": properties }),
    );
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !table.one_of.is_empty() {
        let choices: Vec<Value> =
            table.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        schema.insert("oneOf".to_owned(), json!(choices));
    }
    schema
}

fn described(doc: &str, variables: &[&str]) -> String {
    if variables.is_empty() {
        doc.to_owned()
    } else {
        format!("{doc}. Variable: {}", variables.join(" or "))
    }
}

/// A value may also be a reference to a variable, whatever it is meant to become.
fn of_shape(shape: &Shape) -> Map<String, Value> {
    let reference = json!({ "type": "string", "pattern": r"\$\{" });
    object(match shape {
        Shape::Text | Shape::Secret | Shape::Personal => json!({ "type": "string" }),
        Shape::Flag => json!({ "anyOf": [{ "type": "boolean" }, reference] }),
        Shape::Seconds => {
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, reference] })
        }
        Shape::Count => json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, reference] }),
        Shape::Duration => json!({ "type": "string", "pattern": r"^\s*[0-9]+ *[A-Za-z]|\$\{" }),
        Shape::DurationOrOff => {
            json!({ "type": "string", "pattern": r"^\s*[0-9]+ *[A-Za-z]|^off$|\$\{" })
        }
        Shape::Size => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": r"^[0-9]|\$\{" }] })
        }
        Shape::Rate => json!({ "type": "string", "pattern": r"^\s*[0-9]+ */|^unlimited$|\$\{" }),
        Shape::Choice(choices) => json!({ "anyOf": [{ "enum": choices }, reference] }),
        Shape::WordOr(words, table) => {
            json!({ "anyOf": [{ "enum": words }, of_table(table), reference] })
        }
        Shape::List(inner) => json!({ "type": "array", "items": of_shape(inner) }),
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": of_shape(inner) }),
        Shape::Table(table) => return of_table(table),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

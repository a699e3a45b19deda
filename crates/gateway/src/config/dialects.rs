//! `mcp.json` as other programs write it (FB52): Cline, Cursor, Roo, Windsurf, Gemini, VS Code,
//! Claude Desktop. What they call otherwise is given its name here, before [`super::check`] checks
//! the file; what has a meaning for an editor alone is noted and left out. A key that is close to
//! one of ours is left as it is: it is a mistake there.

use super::{
    document::{Entry, Node, Value, joined},
    mistake::{Report, Where},
    suggest::nearest,
};

/// Other names of our keys.
const ALIASES: [(&str, &str); 9] = [
    ("serverUrl", "url"),
    ("httpUrl", "url"),
    ("serverURL", "url"),
    ("transport", "type"),
    ("transportType", "type"),
    ("requestTimeout", "request_timeout"),
    ("connectTimeout", "connect_timeout"),
    ("environment", "env"),
    ("workingDirectory", "cwd"),
];

/// Other spellings of the types, without `-` and `_`, in small letters.
const TYPES: [(&str, &str); 6] = [
    ("streamablehttp", "http"),
    ("httpstream", "http"),
    ("streamable", "http"),
    ("http", "http"),
    ("sse", "sse"),
    ("stdio", "stdio"),
];

/// More seconds than an answer is worth waiting for: milliseconds are meant.
const SURELY_MILLISECONDS: f64 = 3600.0;

/// Gives everything its name. `known` are the keys of a server.
pub(super) fn normalize(
    root: &mut Node,
    known: &[&str],
    at: &dyn Fn(u32, &str) -> Where,
    report: &mut Report,
) {
    let Value::Map(entries) = &mut root.value else { return };
    entries.retain(|entry| {
        let is_noted = entry.key == "inputs";
        if is_noted {
            report.warning(
                at(entry.line, &entry.key),
                "not used: nobody can be asked for a value here; use `${NAME}` and a variable",
            );
        }
        !is_noted
    });
    for group in
        entries.iter_mut().filter(|entry| matches!(entry.key.as_str(), "mcpServers" | "servers"))
    {
        let key = group.key.clone();
        let Value::Map(servers) = &mut group.value.value else { continue };
        for server in servers {
            let key = joined(&key, &server.key);
            if let Value::Map(fields) = &mut server.value.value {
                normalize_server(fields, known, &key, at, report);
            }
        }
    }
}

fn normalize_server(
    fields: &mut Vec<Entry>,
    known: &[&str],
    key: &str,
    at: &dyn Fn(u32, &str) -> Where,
    report: &mut Report,
) {
    take_apart_transport(fields);
    for (other, ours) in ALIASES {
        if !fields.iter().any(|field| field.key == ours)
            && let Some(field) = fields.iter_mut().find(|field| field.key == other)
        {
            ours.clone_into(&mut field.key);
        }
    }
    for field in fields.iter_mut() {
        match (field.key.as_str(), &mut field.value.value) {
            ("type", Value::Text(text)) => spell_type(text),
            // Some programs switch a server on, where we switch it off.
            ("enabled" | "isActive", Value::Flag(flag)) => {
                *flag = !*flag;
                "disabled".clone_into(&mut field.key);
            }
            ("timeout", Value::Number(number)) => {
                if let Some(seconds) =
                    number.parse::<f64>().ok().filter(|seconds| *seconds > SURELY_MILLISECONDS)
                {
                    *number = (seconds / 1000.0).to_string();
                }
                "request_timeout".clone_into(&mut field.key);
            }
            _ => {}
        }
    }
    fields.retain(|field| {
        let is_ours = known.contains(&&*field.key);
        let is_meant = nearest(&field.key, known.iter().copied()).is_some();
        if !is_ours && !is_meant {
            let text = format!(
                "`{}` has no meaning here: it is for the program that the file was written for",
                field.key
            );
            report.warning(at(field.line, &joined(key, &field.key)), text);
        }
        is_ours || is_meant
    });
}

/// `"transport": {"type": …, "url": …}`: what is in it stands beside it.
fn take_apart_transport(fields: &mut Vec<Entry>) {
    let is_group =
        |field: &Entry| field.key == "transport" && matches!(field.value.value, Value::Map(_));
    let Some(index) = fields.iter().position(is_group) else { return };
    if let Value::Map(inner) = fields.remove(index).value.value {
        for entry in inner {
            if !fields.iter().any(|field| field.key == entry.key) {
                fields.push(entry);
            }
        }
    }
}

fn spell_type(text: &mut String) {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    if let Some((_, ours)) = TYPES.iter().find(|(other, _)| *other == plain) {
        // The specification's own word is one of ours.
        if text != "streamable-http" {
            (*ours).clone_into(text);
        }
    }
}

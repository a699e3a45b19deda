//! Files in JSON, with comments or without: a member for each server. Comments, order and spelling
//! of everything else stay.

use anyhow::{Context as _, anyhow};
use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstRootNode},
};
use serde_json::{Map, Value, json};

use super::Entry;

pub(super) fn document(servers: &str, with_type: bool, entry: &Entry) -> String {
    let document = json!({ servers: { &entry.name: meant(with_type, entry) } });
    format!("{document:#}\n")
}

fn meant(with_type: bool, entry: &Entry) -> Value {
    let mut server = Map::new();
    if with_type {
        server.insert("type".to_owned(), json!("stdio"));
    }
    server.insert("command".to_owned(), json!(entry.command));
    server.insert("args".to_owned(), json!(entry.args));
    Value::Object(server)
}

pub(super) fn with_member(
    text: &str,
    servers: &str,
    with_type: bool,
    entry: &Entry,
) -> anyhow::Result<String> {
    if text.trim().is_empty() {
        return Ok(document(servers, with_type, entry));
    }
    let root = CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|error| anyhow!("it is not JSON, not even with comments: {error}"))?;
    let all = root.object_value().context("it holds no object")?;
    let list = match all.get(servers) {
        Some(member) => {
            member.object_value().with_context(|| format!("`{servers}` in it is no object"))?
        }
        None => all.object_value_or_set(servers),
    };
    let value = server(with_type, entry);
    if let Some(member) = list.get(&entry.name) {
        // However it is spelt.
        let there = member.value().and_then(|value| serde_json::from_str(&value.to_string()).ok());
        if there == Some(meant(with_type, entry)) {
            return Ok(text.to_owned());
        }
        member.set_value(value);
    } else {
        list.append(&entry.name, value);
    }
    Ok(root.to_string())
}

fn server(with_type: bool, entry: &Entry) -> CstInputValue {
    let text = |text: &str| CstInputValue::String(text.to_owned());
    let mut members = Vec::new();
    if with_type {
        members.push(("type".to_owned(), text("stdio")));
    }
    members.push(("command".to_owned(), text(&entry.command)));
    let args = entry.args.iter().map(|arg| text(arg)).collect();
    members.push(("args".to_owned(), CstInputValue::Array(args)));
    CstInputValue::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "gw".into(),
            command: "/bin/p".into(),
            args: vec!["connect".into(), "https://h/mcp".into()],
        }
    }

    #[test]
    fn a_server_is_added_or_replaced_and_the_rest_stays() {
        let text = "{\n  // mine\n  \"servers\": {\n    \"other\": { \"command\": \"x\", }, // keep\n  },\n  \"inputs\": [],\n}\n";
        let once = with_member(text, "servers", true, &entry()).unwrap();
        for kept in
            ["// mine\n", "\"other\": { \"command\": \"x\", }, // keep\n", "\"inputs\": [],\n}\n"]
        {
            assert!(once.contains(kept), "{kept} is not in\n{once}");
        }
        assert!(once.contains("\"command\": \"/bin/p\"") && once.contains("\"stdio\""), "{once}");
        let other = Entry { command: "/bin/q".into(), ..entry() };
        let twice = with_member(&once, "servers", true, &other).unwrap();
        assert!(twice.contains("/bin/q") && !twice.contains("/bin/p"), "{twice}");
        assert_eq!(twice.replace("/bin/q", "/bin/p"), once, "once is enough");
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        for text in ["[]", "{", "{\"mcpServers\": []}", "\"x\""] {
            assert!(with_member(text, "mcpServers", false, &entry()).is_err(), "{text}");
        }
        let new = with_member(" \n", "mcpServers", false, &entry()).unwrap();
        assert_eq!(
            with_member(&new, "mcpServers", false, &entry()).unwrap(),
            new,
            "once is enough"
        );
        assert_eq!(new, document("mcpServers", false, &entry()));
        let added = with_member("{}", "mcpServers", false, &entry()).unwrap();
        let read: Value = serde_json::from_str(&added).unwrap();
        assert_eq!(read, serde_json::from_str::<Value>(&new).unwrap());
    }
}

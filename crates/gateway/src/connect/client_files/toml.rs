//! `config.toml` of Codex: a table for each server. A table at the end of a file is sound TOML
//! whatever stands before it, unless there is one of that name, which is not changed here.

use anyhow::ensure;

use super::Entry;

pub(super) fn table(entry: &Entry) -> String {
    let args: Vec<String> = entry.args.iter().map(|arg| quoted(arg)).collect();
    format!(
        "[mcp_servers.{}]\ncommand = {}\nargs = [{}]\n",
        key(&entry.name),
        quoted(&entry.command),
        args.join(", ")
    )
}

pub(super) fn with_table(text: &str, entry: &Entry) -> anyhow::Result<String> {
    let compact = |line: &str| line.replace([' ', '\t', '"', '\''], "");
    let name = entry.name.as_str();
    let is_there = text.lines().map(compact).any(|line| {
        let line = line.trim_start_matches('[');
        let rest = line.strip_prefix("mcp_servers");
        rest.is_some_and(|rest| {
            // An inline table, or dotted keys, may hold anything.
            let own = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(name));
            rest.starts_with(['=', ']'])
                || own.is_some_and(|rest| rest.starts_with([']', '.', '=']))
        })
    });
    ensure!(!is_there, "it has the server {name} already, or its servers in one table");
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(format!("{text}{gap}{}", table(entry)))
}

fn key(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A basic string (TOML 1.0): its escapes are among those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_added_and_none_is_changed() {
        let entry =
            Entry { name: "gw".into(), command: "/b \"p\"".into(), args: vec!["connect".into()] };
        let added = with_table("model = \"x\"", &entry).unwrap();
        assert_eq!(
            added,
            "model = \"x\"\n\n[mcp_servers.gw]\ncommand = \"/b \\\"p\\\"\"\nargs = [\"connect\"]\n"
        );
        assert!(with_table("[mcp_servers.gw2]\n", &entry).is_ok());
        for text in [
            "[mcp_servers.gw]",
            "[ mcp_servers . \"gw\" ]",
            "[mcp_servers.gw.env]",
            "mcp_servers = {}",
            "[mcp_servers]",
            "mcp_servers.gw = {}",
        ] {
            assert!(with_table(text, &entry).is_err(), "{text}");
        }
    }
}

//! `config.toml` of Codex: a table for each server, which is found however it is spelt. Comments,
//! order and spelling of everything else stay, and so do other settings of the server.

use anyhow::{Context as _, anyhow, ensure};
use portunus_core::text::visible;
use toml_edit::{DocumentMut, InlineTable, Item, TableLike, Value};

use super::Entry;

const SERVERS: &str = "mcp_servers";
/// What says that a server is reached over HTTP, and goes with no command.
const OF_HTTP: [&str; 5] =
    ["url", "bearer_token", "bearer_token_env_var", "http_headers", "env_http_headers"];

pub(super) fn table(entry: &Entry) -> String {
    let args: Vec<String> = entry.args.iter().map(|arg| quoted(arg)).collect();
    format!(
        "[{SERVERS}.{}]\ncommand = {}\nargs = [{}]\n",
        key(&entry.name),
        quoted(&entry.command),
        args.join(", ")
    )
}

pub(super) fn with_table(text: &str, entry: &Entry) -> anyhow::Result<String> {
    let mut document = read(text)?;
    let new = match document.get_mut(SERVERS) {
        None => appended(text, entry),
        Some(servers) => {
            // To a table that is inline or of dotted keys no header adds anything.
            let is_open = matches!(servers, Item::Table(table) if !table.is_dotted());
            let servers = servers
                .as_table_like_mut()
                .with_context(|| format!("`{SERVERS}` in it is no table"))?;
            match servers.get_mut(&entry.name) {
                None if is_open => appended(text, entry),
                None => {
                    let mut server = InlineTable::new();
                    set(&mut server, entry);
                    servers.insert(&entry.name, Item::Value(server.into()));
                    as_in(text, &document.to_string())
                }
                Some(server) => {
                    if let Item::Table(table) = server {
                        table.set_implicit(false);
                    }
                    let server = server
                        .as_table_like_mut()
                        .with_context(|| format!("its server {} is no table", entry.name))?;
                    if !set(server, entry) {
                        return Ok(text.to_owned());
                    }
                    as_in(text, &document.to_string())
                }
            }
        }
    };
    check(&new, entry)?;
    Ok(new)
}

fn read(text: &str) -> anyhow::Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow!("line {line} of it is not TOML: {}", visible(error.message()))
    })
}

/// A table at the end is sound whatever stands before it, unless there is one of that name.
fn appended(text: &str, entry: &Entry) -> String {
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") || text.ends_with("\n\r\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let added = format!("{gap}{}", table(entry));
    let added = if text.contains("\r\n") { added.replace('\n', "\r\n") } else { added };
    format!("{text}{added}")
}

/// `new` with the line ends and the mark at the beginning that `old` has.
fn as_in(old: &str, new: &str) -> String {
    let plain = new.replace("\r\n", "\n");
    let new = if old.contains("\r\n") { plain.replace('\n', "\r\n") } else { plain };
    let mark =
        if old.starts_with('\u{feff}') && !new.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    format!("{mark}{new}")
}

/// `false`: there was nothing to change.
fn set(server: &mut dyn TableLike, entry: &Entry) -> bool {
    let mut is_changed = false;
    for name in OF_HTTP {
        is_changed |= server.remove(name).is_some();
    }
    let args = entry.args.iter().map(String::as_str).collect();
    is_changed |= put(server, "command", entry.command.as_str().into());
    is_changed | put(server, "args", Value::Array(args))
}

/// What stands around a value stays there.
fn put(server: &mut dyn TableLike, name: &str, mut new: Value) -> bool {
    match server.get_mut(name) {
        Some(Item::Value(old)) if strings(old) == strings(&new) => false,
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
            true
        }
        _ => {
            server.insert(name, Item::Value(new));
            true
        }
    }
}

/// A string, or an array of strings.
fn strings(value: &Value) -> Option<(bool, Vec<&str>)> {
    match value {
        Value::String(text) => Some((false, vec![text.value()])),
        Value::Array(all) => Some((true, all.iter().map(Value::as_str).collect::<Option<_>>()?)),
        _ => None,
    }
}

/// Is the server in there as it should be?
fn check(new: &str, entry: &Entry) -> anyhow::Result<()> {
    let document = read(new)?;
    let server = document.get(SERVERS).and_then(|servers| servers.get(&entry.name));
    let of = |name: &str| {
        let (_, all) = strings(server?.get(name)?.as_value()?)?;
        Some(all.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let is_sound = of("command").as_ref() == Some(&vec![entry.command.clone()])
        && of("args").as_ref() == Some(&entry.args);
    ensure!(is_sound, "it is spelt so that it cannot be changed here");
    Ok(())
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

    fn entry() -> Entry {
        Entry { name: "gw".into(), command: "/b \"p\"".into(), args: vec!["connect".into()] }
    }

    const TABLE: &str = "[mcp_servers.gw]\ncommand = \"/b \\\"p\\\"\"\nargs = [\"connect\"]\n";

    #[test]
    fn a_table_is_added_at_the_end_and_the_rest_stays_byte_for_byte() {
        for (text, gap) in [
            ("", ""),
            ("model = \"x\"", "\n\n"),
            ("[mcp_servers.gw2]\nurl = 'x' # mine\n", "\n"),
            ("[mcp_servers]\n\n[ mcp_servers . \"gw.x\" ]\ncommand = 'y'\n# the end\n\n", ""),
            ("[mcp_servers]\ngw2.command = 'y'\n", "\n"),
            ("[other]\nmcp_servers.gw = 1\n", "\n"),
        ] {
            let added = with_table(text, &entry()).unwrap();
            assert_eq!(added, format!("{text}{gap}{TABLE}"));
            assert_eq!(with_table(&added, &entry()).unwrap(), added, "once is enough");
        }
        let added = with_table("a = 1\r\n", &entry()).unwrap();
        assert!(!added.replace("\r\n", "").contains('\n'), "{added:?}");
    }

    #[test]
    fn a_server_is_found_however_it_is_spelt_and_what_is_not_ours_stays() {
        for text in [
            "[mcp_servers.gw]\ncommand = 'old' # mine\nenabled = true\n",
            "[ mcp_servers . \"gw\" ] # mine\nurl = 'https://old'\nenabled = true\n",
            "['mcp_servers'.\"\\u0067w\"]\n# mine\nenabled = true\n",
            "# mine\n[mcp_servers.gw.env]\nenabled = true\n",
            "# mine\n[mcp_servers]\ngw.command = 'old'\ngw . enabled = true\n",
            "# mine\n[mcp_servers]\ngw = { command = 'old', enabled = true }\n",
            "mcp_servers.gw.args = ['old'] # mine\nmcp_servers.gw.enabled = true\n",
            "mcp_servers.gw = { enabled = true } # mine\n",
            "mcp_servers.other.enabled = true # mine\n",
            "mcp_servers = { gw = { url = 'https://old', enabled = true } } # mine\n",
            "mcp_servers = { other = { enabled = true } } # mine\n",
        ] {
            let text = format!("# first\na = 1\n{text}\n[z] # last\nb = 'c'\n");
            for text in [text.clone(), text.replace('\n', "\r\n")] {
                let new = with_table(&text, &entry()).unwrap();
                for kept in ["# first", "# mine", "enabled = true", "[z] # last", "b = 'c'"] {
                    assert_eq!(new.matches(kept).count(), 1, "{kept}:\n{new}");
                }
                assert!(!new.contains("old"), "{new}");
                let line_ends =
                    |text: &str| text.matches("\r\n").count() == text.matches('\n').count();
                assert_eq!(line_ends(&new), line_ends(&text), "{new:?}");
                assert_eq!(with_table(&new, &entry()).unwrap(), new, "once is enough");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        for text in [
            "a",
            "mcp_servers = 1",
            "[[mcp_servers]]",
            "[mcp_servers]\ngw = 1",
            "[[mcp_servers.gw]]",
        ] {
            assert!(with_table(text, &entry()).is_err(), "{text}");
        }
        let error = with_table("a = 1\nb = \u{202e}\u{1b}\n", &entry()).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains(['\u{202e}', '\u{1b}']), "{error}");
    }
}

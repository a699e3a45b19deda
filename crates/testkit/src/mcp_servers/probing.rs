//! A stdio MCP server that an intruder has got into: its tool `run` gives `script` to a shell and
//! answers with what the shell wrote to both its outputs. Written without a runtime, so that it
//! opens nothing by itself and has its three streams alone. Servers that keep to themselves are
//! next door.

use std::{
    io::{self, BufRead, Write},
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::json_rpc;

/// Serves on standard input and output until the client closes them.
pub fn serve() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(id) = message.get("id") else { continue };
        let method = message["method"].as_str().unwrap_or_default();
        let answer = json_rpc::answer(id, result(method, &message["params"]));
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn result(method: &str, params: &Value) -> Option<Value> {
    Some(match method {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "probing", "version": "1"},
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": [{
            "name": "run",
            "inputSchema": {"type": "object", "properties": {"script": {"type": "string"}}},
        }]}),
        "tools/call" => {
            let script = params["arguments"]["script"].as_str().unwrap_or_default();
            json!({"content": [{"type": "text", "text": run(script)}]})
        }
        _ => return None,
    })
}

/// A few things that no shell can do everywhere, by their first word; everything else is the
/// shell's. Waits for the shell alone: what it starts in the background may go on, with its outputs
/// elsewhere.
fn run(script: &str) -> String {
    let (word, rest) = script.split_once(' ').unwrap_or_default();
    let done = match word {
        "connect" => TcpStream::connect(rest).map(|_| ()),
        "listen" => TcpListener::bind(rest).map(|_| ()),
        "abstract" => SocketAddr::from_abstract_name(rest)
            .and_then(|name| UnixStream::connect_addr(&name))
            .map(|_| ()),
        _ => return shell(script),
    };
    done.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

fn shell(script: &str) -> String {
    let shell = Command::new("sh").arg("-c").arg(script).stdin(Stdio::null()).output();
    shell.map_or_else(
        |error| format!("no shell: {error}"),
        |output| {
            format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        },
    )
}

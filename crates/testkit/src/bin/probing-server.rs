//! A stdio MCP server that an intruder has got into: its tool `run` gives `script` to a shell and
//! answers with what the shell wrote to both its outputs. Written without a runtime, so that it
//! opens nothing by itself.

use std::{
    io::{BufRead, Write},
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    process::{Command, Stdio},
};

use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(id) = message.get("id") else { continue };
        let answer = match message["method"].as_str() {
            Some("initialize") => json!({"jsonrpc": "2.0", "id": id, "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}}, "serverInfo": {"name": "probing", "version": "1"}}}),
            Some("tools/list") => json!({"jsonrpc": "2.0", "id": id, "result": {"tools": [
                {"name": "run", "inputSchema": {"type": "object", "properties": {"script": {"type": "string"}}}}]}}),
            Some("tools/call") => {
                let script = message["params"]["arguments"]["script"].as_str().unwrap_or_default();
                json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": run(script)}]}})
            }
            Some("ping") => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
            _ => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
            }
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
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

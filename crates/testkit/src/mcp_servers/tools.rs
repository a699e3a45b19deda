//! The tools of a fixture server: friendly ones, and ones that misbehave on purpose.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResult, ProgressNotificationParam,
        ResourceUpdatedNotificationParam,
    },
    service::RequestContext,
};
use serde_json::{Map, Value, json};

use super::sdk_conversions::{model, sending};

/// What the tools of one session remember.
#[derive(Debug, Default)]
pub(super) struct State {
    /// A tool more after `change_tools`.
    pub(super) has_late_tool: AtomicBool,
    /// How many calls of `hang` were cancelled.
    cancelled: AtomicUsize,
    counted: AtomicUsize,
}

/// `interface` is the URI of what `clock` looks like (MCP Apps).
pub(super) fn list(has_late_tool: bool, interface: &str) -> Vec<Value> {
    let tool = |name: &str, description: &str, properties: Value| json!({"name": name, "description": description, "inputSchema": {"type": "object", "properties": properties}});
    let number = json!({"type": "integer"});
    let mut tools = vec![
        tool("echo", "Says `text` again", json!({"text": {"type": "string"}})),
        tool("add", "Adds `a` and `b`", json!({"a": number, "b": number})),
        tool(
            "slow",
            "Takes `steps` steps of `step_ms`, telling of its progress",
            json!({"steps": number, "step_ms": number}),
        ),
        tool("fail", "Fails as a tool does", json!({})),
        tool("error", "Fails with a protocol error", json!({})),
        tool("hang", "Answers only when it is cancelled", json!({})),
        tool("cancelled", "Counts the calls of `hang` that were cancelled", json!({})),
        tool("count", "Counts the calls of it in this session", json!({})),
        tool("environment", "Shows the environment", json!({})),
        tool("process", "Shows the process id and the process group", json!({})),
        tool("offspring", "Starts a process that stays; shows its id", json!({})),
        tool("crash", "Ends the process", json!({})),
        tool("big", "Answers with `bytes` bytes", json!({"bytes": number})),
        tool(
            "noise",
            "Writes `lines` lines that are no messages to both outputs",
            json!({"lines": number}),
        ),
        tool("log", "Sends `text` as a log message", json!({"text": {"type": "string"}})),
        tool("change_tools", "Adds a tool and tells so", json!({})),
        tool(
            "update_resource",
            "Tells that the resource `uri` changed",
            json!({"uri": {"type": "string"}}),
        ),
    ];
    let mut clock = tool("clock", "Says the time, and has a client_capabilities", json!({}));
    clock["_meta"] = json!({"ui": {"resourceUri": interface}, "fixture": {"exact": 1.50}});
    tools.push(clock);
    if has_late_tool {
        tools.push(tool("late", "Came later", json!({})));
    }
    tools
}

pub(super) async fn call(
    state: &State,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let arguments = request.arguments.unwrap_or_default();
    match &*request.name {
        "echo" => text(string(&arguments, "text")),
        "add" => text((integer(&arguments, "a") + integer(&arguments, "b")).to_string()),
        "slow" => slow(&arguments, &context).await,
        "fail" => {
            model(json!({"content": [{"type": "text", "text": "it failed"}], "isError": true}))
        }
        "error" => {
            Err(ErrorData::internal_error("an error on purpose", Some(json!({"detail": 1}))))
        }
        "hang" => {
            context.ct.cancelled().await;
            state.cancelled.fetch_add(1, Ordering::SeqCst);
            text("cancelled")
        }
        "cancelled" => text(state.cancelled.load(Ordering::SeqCst).to_string()),
        "count" => text((state.counted.fetch_add(1, Ordering::SeqCst) + 1).to_string()),
        "environment" => {
            text(json!(std::env::vars().collect::<std::collections::BTreeMap<_, _>>()).to_string())
        }
        "process" => text(std::process::id().to_string()),
        "offspring" => offspring(),
        "crash" => std::process::exit(3),
        "big" => text("x".repeat(usize::try_from(integer(&arguments, "bytes")).unwrap_or(0))),
        "noise" => noise(integer(&arguments, "lines")),
        "clock" => text("noon"),
        "log" => log(&string(&arguments, "text"), &context).await,
        "change_tools" => {
            state.has_late_tool.store(true, Ordering::SeqCst);
            context.peer.notify_tool_list_changed().await.map_err(sending)?;
            text("changed")
        }
        "update_resource" => {
            let params = ResourceUpdatedNotificationParam::new(string(&arguments, "uri"));
            context.peer.notify_resource_updated(params).await.map_err(sending)?;
            text("updated")
        }
        "late" if state.has_late_tool.load(Ordering::SeqCst) => text("late"),
        _ => Err(ErrorData::invalid_params("no such tool", None)),
    }
}

fn text(text: impl Into<String>) -> Result<CallToolResult, ErrorData> {
    model(json!({"content": [{"type": "text", "text": text.into()}]}))
}

fn string(arguments: &Map<String, Value>, name: &str) -> String {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn integer(arguments: &Map<String, Value>, name: &str) -> i64 {
    arguments.get(name).and_then(Value::as_i64).unwrap_or(0)
}

async fn slow(
    arguments: &Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let steps = u32::try_from(integer(arguments, "steps")).unwrap_or(0);
    let pause = Duration::from_millis(u64::try_from(integer(arguments, "step_ms")).unwrap_or(0));
    for step in 1..=steps {
        tokio::time::sleep(pause).await;
        if let Some(token) = context.meta.get_progress_token() {
            let progress =
                ProgressNotificationParam::new(token, f64::from(step)).with_total(f64::from(steps));
            context.peer.notify_progress(progress).await.map_err(sending)?;
        }
    }
    text(format!("{steps} steps"))
}

fn offspring() -> Result<CallToolResult, ErrorData> {
    let null = std::process::Stdio::null;
    let child = std::process::Command::new("sleep")
        .arg("1000")
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn();
    match child {
        Ok(child) => text(child.id().to_string()),
        Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
    }
}

fn noise(lines: i64) -> Result<CallToolResult, ErrorData> {
    let mut errors = std::io::stderr().lock();
    for n in 0..lines {
        // A closed stream is no error here.
        let _ = writeln!(errors, "noise {n}: {}", "n".repeat(200));
    }
    let _ = writeln!(std::io::stdout().lock(), "this line is no message");
    text("done")
}

#[expect(deprecated, reason = "legacy servers log this way")]
async fn log(
    message: &str,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let params = model(json!({"level": "info", "logger": "fixture", "data": message}))?;
    context.peer.notify_logging_message(params).await.map_err(sending)?;
    text("logged")
}

//! The tasks extension (SEP-2663): tools that become tasks for a client which can follow them. rmcp
//! keeps the tasks; the legacy era has none, so only the tool that can do without is offered there.
//! Tools that answer at once are in [`super::tools`].

use std::{fmt, time::Duration};

use futures::future::try_join;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
        CreateTaskResult, JsonObject,
    },
    service::RequestContext,
    task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions},
};
use serde_json::{Value, json};

use super::{
    super::sdk_conversions::model,
    content,
    input::{self, Brought, Step},
    questions::{self, form},
    request::is_modern,
    result::method_not_found,
    tool_definition::{plain, tool},
};

/// How often a client should look.
const POLL_MS: u64 = 200;
/// A client that cannot follow a task is not kept waiting longer than that, whatever it said.
const LEGACY_PATIENCE: Duration = Duration::from_secs(1);
/// The tool that answers a client without the extension too, when it is done.
const COMPUTE: &str = "slow_compute";
/// The tool that asks before there is a task.
const ASKS_FIRST: &str = "test_tool_with_task";
/// The tools that are tasks or nothing.
const REQUIRED: [&str; 5] =
    ["failing_job", "protocol_error_job", "confirm_delete", "multi_input", ASKS_FIRST];

/// The tasks of one server.
#[derive(Default)]
pub(super) struct Tasks(TaskManager);

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks", self.0.running_task_count())
    }
}

impl Tasks {
    /// What keeps them; a legacy request knows of none.
    pub(super) fn manager(
        &self,
        context: &RequestContext<RoleServer>,
        method: &'static str,
    ) -> Result<&TaskManager, ErrorData> {
        if is_modern(context) { Ok(&self.0) } else { Err(method_not_found(method)) }
    }
}

pub(super) fn list(modern: bool) -> Vec<Value> {
    let arguments = json!({"seconds": {"type": "number"}, "label": {"type": "string"}});
    let mut tools = vec![tool(COMPUTE, "Takes some seconds", &arguments, &[])];
    if modern {
        tools.extend([
            plain("failing_job", "Fails after a while, as a tool does"),
            plain("protocol_error_job", "Fails as a server does"),
            tool(
                "confirm_delete",
                "Asks before it deletes",
                &json!({"filename": {"type": "string"}}),
                &["filename"],
            ),
            plain("multi_input", "Asks two things at once"),
            plain(ASKS_FIRST, "Asks for a name, then becomes a task"),
        ]);
    }
    tools
}

/// None if it is no tool of this file.
pub(super) async fn call(
    tasks: &Tasks,
    request: CallToolRequestParams,
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let modern = is_modern(context);
    let name = request.name.into_owned();
    if name != COMPUTE && !(modern && REQUIRED.contains(&name.as_str())) {
        return None;
    }
    if !modern {
        tokio::time::sleep(duration(arguments).min(LEGACY_PATIENCE)).await;
        return Some(content::text(computed(arguments)));
    }
    if !context.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks()) {
        return Some(without_task(&name, arguments).await);
    }
    let said = if name == ASKS_FIRST {
        let brought = Brought { responses: request.input_responses, state: None };
        match input::step(&questions::ONE_FIELD, arguments, &brought, context) {
            Ok(Step::Answer(text)) => Some(text),
            Ok(Step::Ask(questions)) => return Some(Ok(questions.into())),
            Err(error) => return Some(Err(error)),
        }
    } else {
        None
    };
    let arguments = arguments.clone();
    let task = tasks.0.spawn(TaskOptions::new().with_poll_interval_ms(POLL_MS), move |task| {
        Box::pin(async move { run(&name, &arguments, said, &task).await })
    });
    Some(Ok(CallToolResponse::Task(CreateTaskResult::new(task))))
}

async fn without_task(name: &str, arguments: &JsonObject) -> Result<CallToolResponse, ErrorData> {
    if name != COMPUTE {
        return Err(ErrorData::missing_required_client_capability(
            ClientCapabilities::builder().enable_tasks().build(),
        ));
    }
    tokio::time::sleep(duration(arguments)).await;
    content::text(computed(arguments))
}

/// `said` is the answer that was known before there was a task.
async fn run(
    name: &str,
    arguments: &JsonObject,
    said: Option<String>,
    task: &TaskContext,
) -> Result<CallToolResult, TaskExit> {
    let text = match name {
        "failing_job" => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Ok(content::result("The job failed", true)?);
        }
        "protocol_error_job" => {
            return Err(ErrorData::internal_error("The job broke down", None).into());
        }
        "confirm_delete" => {
            let file = arguments.get("filename").and_then(Value::as_str).unwrap_or_default();
            let confirmed = confirmation(task, "confirm", &format!("Delete {file}?")).await?;
            format!("{} {file}", if confirmed { "Deleted" } else { "Kept" })
        }
        "multi_input" => {
            let (first, second) = try_join(
                confirmation(task, "first", "First?"),
                confirmation(task, "second", "Second?"),
            )
            .await?;
            format!("Answered: {first}, {second}")
        }
        ASKS_FIRST => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            said.unwrap_or_default()
        }
        _ => tokio::select! {
            () = task.cancelled() => return Err(TaskExit::Cancelled),
            () = tokio::time::sleep(duration(arguments)) => computed(arguments),
        },
    };
    Ok(content::result(&text, false)?)
}

/// Asks while the task runs, and waits for the answer.
async fn confirmation(task: &TaskContext, key: &str, message: &str) -> Result<bool, TaskExit> {
    let question = form(message, &json!({"confirm": {"type": "boolean"}}), &["confirm"]);
    let answer = task.request_input(key, model(question)?).await?;
    Ok(answer["content"]["confirm"] == true)
}

fn duration(arguments: &JsonObject) -> Duration {
    let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn computed(arguments: &JsonObject) -> String {
    format!("{}: done", arguments.get("label").and_then(Value::as_str).unwrap_or("slow"))
}

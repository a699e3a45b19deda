//! What each exercise does. It returns what it saw as a JSON object, or what went wrong: a tool
//! that fails, a question that was never asked, a notification that never came. Those that wait for
//! changes and log messages are in [`super::listening`].

use std::time::Duration;

use rmcp::{
    model::{CallToolRequest, ClientRequest, GetPromptRequestParams, JsonObject},
    service::PeerRequestOptions,
};
use serde_json::{Value, json};

use super::{
    answering::{MODEL_SAYS, ROOTS},
    calls::{SOON, call_params, text_of},
    client::{Client, Failure},
    listening,
    script::{Exercise, Script},
};

pub(super) async fn run(client: &mut Client, exercise: &Exercise) -> Result<Value, Failure> {
    let tool = exercise.tool.clone().unwrap_or_else(|| exercise.script.tool().to_owned());
    let arguments = |default: Value| {
        exercise.arguments.clone().or_else(|| default.as_object().cloned()).unwrap_or_default()
    };
    if exercise.script != Script::List {
        // As every client does before it calls; a modern one learns here which arguments travel in
        // headers too.
        client.running.list_all_tools().await?;
    }
    match exercise.script {
        Script::List => list(client).await,
        Script::Call => Ok(json!({"text": text_of(client, &tool, arguments(json!({}))).await?})),
        Script::Visit => visit(client, &tool, arguments(json!({}))).await,
        Script::VisitToTheEnd => visit_to_the_end(client, &tool, arguments(json!({}))).await,
        Script::Prompt => prompt(client, &tool, arguments(json!({}))).await,
        Script::AskInVain => {
            in_vain(client, exercise, &tool, arguments(json!({"message": "Who are you?"}))).await
        }
        Script::Elicit => {
            asked(
                client,
                "elicitation/create",
                &tool,
                arguments(json!({"message": "Who are you?"})),
            )
            .await
        }
        Script::Sample => {
            let outcome = asked(
                client,
                "sampling/createMessage",
                &tool,
                arguments(json!({"prompt": "What is the capital of France?"})),
            );
            expect_in_text(outcome.await?, &[MODEL_SAYS])
        }
        Script::Roots => {
            expect_in_text(asked(client, "roots/list", &tool, arguments(json!({}))).await?, &ROOTS)
        }
        Script::Progress => progress(client, &tool, arguments(json!({}))).await,
        Script::Cancel => cancel(client, &tool, arguments(json!({}))).await,
        Script::Subscribe => {
            let uri = exercise.uri.as_deref().unwrap_or("test://watched-resource");
            listening::subscribe(client, uri, &tool, arguments(json!({"uri": uri}))).await
        }
        Script::ListChange => listening::list_change(client, &tool, arguments(json!({}))).await,
        Script::Log => listening::log(client, exercise, &tool, arguments(json!({}))).await,
    }
}

async fn list(client: &Client) -> Result<Value, Failure> {
    let tools = client.running.list_all_tools().await?;
    let prompts = client.running.list_all_prompts().await?;
    let resources = client.running.list_all_resources().await?;
    let templates = client.running.list_all_resource_templates().await?;
    Ok(json!({
        "tools": tools.iter().map(|tool| json!(tool.name)).collect::<Vec<_>>(),
        "prompts": prompts.iter().map(|prompt| json!(prompt.name)).collect::<Vec<_>>(),
        "resources": resources.iter().map(|resource| json!(resource)["uri"].clone()).collect::<Vec<_>>(),
        "templates": templates.iter().map(|template| json!(template)["uriTemplate"].clone()).collect::<Vec<_>>(),
    }))
}

/// Calls a tool that is to ask something of the client by this method.
async fn asked(
    client: &Client,
    method: &str,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let text = text_of(client, tool, arguments).await?;
    let questions = client.heard.asked(method);
    if questions.is_empty() {
        return Err(format!("nothing was asked by {method}; the tool said: {text}").into());
    }
    Ok(json!({"asked": questions, "text": text}))
}

async fn visit(client: &Client, tool: &str, arguments: JsonObject) -> Result<Value, Failure> {
    let outcome = asked(client, "elicitation/create", tool, arguments).await?;
    if outcome["asked"][0]["url"].is_string() {
        Ok(outcome)
    } else {
        Err(format!("this is no page to visit: {outcome}").into())
    }
}

/// A page is done with when its server says so, which may be a moment before or after the answer.
async fn visit_to_the_end(
    client: &mut Client,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let mut outcome = visit(client, tool, arguments).await?;
    let visited = tokio::time::timeout(SOON, client.heard.visited.recv()).await.ok().flatten();
    outcome["visited"] = json!(visited.ok_or("nobody said that the visit is over")?);
    if outcome["asked"][0]["id"] != outcome["visited"] {
        return Err(format!("another visit is over than was asked for: {outcome}").into());
    }
    Ok(outcome)
}

async fn prompt(client: &Client, name: &str, arguments: JsonObject) -> Result<Value, Failure> {
    let answer = json!(
        client
            .running
            .get_prompt(GetPromptRequestParams::new(name).with_arguments(arguments))
            .await?
    );
    let questions = client.heard.asked("elicitation/create");
    if questions.is_empty() {
        return Err(format!("nothing was asked; the prompt is {answer}").into());
    }
    Ok(json!({"asked": questions, "text": answer["messages"][0]["content"]["text"]}))
}

/// Whether the server may ask all the same, and how the tool is refused, is for others to judge.
async fn in_vain(
    client: &Client,
    exercise: &Exercise,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    if let Ok(text) = text_of(client, tool, arguments.clone()).await {
        return Err(format!("the tool can do without an answer: {text}").into());
    }
    let Err(refused) = text_of(client, tool, arguments).await else {
        return Err("the tool refuses only once".into());
    };
    let next = exercise.next.as_deref().unwrap_or("test_simple_text");
    let text = text_of(client, next, JsonObject::new()).await?;
    Ok(json!({"refused": refused.to_string(), "asked": client.heard.methods(), "text": text}))
}

/// The client's own words must have reached the tool.
fn expect_in_text(outcome: Value, words: &[&str]) -> Result<Value, Failure> {
    let text = outcome["text"].as_str().unwrap_or_default();
    match words.iter().find(|word| !text.contains(**word)) {
        Some(missing) => Err(format!("{missing:?} is not in what the tool said: {text}").into()),
        None => Ok(outcome),
    }
}

async fn progress(
    client: &mut Client,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let text = text_of(client, tool, arguments).await?;
    let mut values = Vec::new();
    // Notifications are handled beside the answer, so the last may come a moment after it.
    while let Ok(Some(value)) =
        tokio::time::timeout(Duration::from_millis(300), client.heard.progress.recv()).await
    {
        values.push(value);
    }
    if values.is_empty() {
        return Err(format!("there was no progress; the tool said: {text}").into());
    }
    Ok(json!({"progress": values, "text": text}))
}

/// Whether the server saw the cancellation is asked of the conformance server's own counter, if it
/// is that server's slow tool.
async fn cancel(client: &mut Client, tool: &str, arguments: JsonObject) -> Result<Value, Failure> {
    // Asked in the same session: a server on stdio may be another process in the next.
    let counter = match tool.strip_suffix("test_slow") {
        Some(prefix) => Some(format!("{prefix}test_cancelled_count")),
        None => tool.strip_suffix("slow").map(|prefix| format!("{prefix}cancelled")),
    };
    let before = counted(client, counter.as_deref()).await?;
    let request =
        ClientRequest::CallToolRequest(CallToolRequest::new(call_params(tool, arguments)));
    let mut call =
        client.running.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    // The tool has begun when it tells of its progress. One that tells nothing has had its time.
    tokio::select! {
        answer = &mut call.rx => return Err(format!("the tool ended before it was cancelled: {answer:?}").into()),
        _ = client.heard.progress.recv() => {}
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    call.cancel(Some("the exercise is to cancel".to_owned())).await?;
    let Some(before) = before else { return Ok(json!({"cancelled": true, "counted": null})) };
    let deadline = tokio::time::Instant::now() + SOON;
    while tokio::time::Instant::now() < deadline {
        if let Some(after) = counted(client, counter.as_deref()).await?
            && after > before
        {
            return Ok(json!({"cancelled": true, "counted": after}));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the server was never told that the call was cancelled".into())
}

async fn counted(client: &Client, counter: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(counter) = counter else { return Ok(None) };
    Ok(Some(text_of(client, counter, JsonObject::new()).await?.parse()?))
}

//! How the client answers what a server asks of it: it accepts every form and fills it in, visits
//! every page, is a model of one answer, and has two roots. It also writes down what it was asked
//! and told.
#![expect(
    deprecated,
    reason = "legacy servers ask for roots and samples, and modern ones still may"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, CustomNotification,
        ElicitRequestParams, ElicitResult, ElicitationAction, ErrorCode, ListRootsResult,
        LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
        ResourceUpdatedNotificationParam,
    },
    service::{NotificationContext, RequestContext},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the model says, whatever it is asked.
pub(super) const MODEL_SAYS: &str = "Paris, said the model";
/// Where the client's files are.
pub(super) const ROOTS: [&str; 2] = ["file:///exercise/one", "file:///exercise/two"];

/// The questions that were answered, by their method and what was asked: a text, or of a page to
/// visit an object.
type Asked = Arc<Mutex<Vec<(&'static str, Value)>>>;

/// What the handler shares with the exercise.
pub(super) struct Heard {
    asked: Asked,
    /// Progress values, as they come.
    pub(super) progress: UnboundedReceiver<f64>,
    /// URIs of resources that changed, as they come.
    pub(super) updates: UnboundedReceiver<String>,
    /// One for each time the list of tools changed.
    pub(super) changes: UnboundedReceiver<()>,
    /// What was logged, as it comes.
    pub(super) logs: UnboundedReceiver<Value>,
    /// The ids of pages that are done with, as they come.
    pub(super) visited: UnboundedReceiver<String>,
}

impl Heard {
    /// What was asked by this method so far.
    pub(super) fn asked(&self, method: &str) -> Vec<Value> {
        let asked = lock(&self.asked);
        asked.iter().filter(|(by, _)| *by == method).map(|(_, question)| question.clone()).collect()
    }

    /// The methods of everything that was asked.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        lock(&self.asked).iter().map(|(by, _)| *by).collect()
    }
}

/// What is still to come, as the exercise is to hear of it.
struct Telling {
    progress: UnboundedSender<f64>,
    updates: UnboundedSender<String>,
    changes: UnboundedSender<()>,
    logs: UnboundedSender<Value>,
    visited: UnboundedSender<String>,
}

fn telling() -> (Telling, Heard) {
    let (progress, progress_heard) = unbounded_channel();
    let (updates, updates_heard) = unbounded_channel();
    let (changes, changes_heard) = unbounded_channel();
    let (logs, logs_heard) = unbounded_channel();
    let (visited, visited_heard) = unbounded_channel();
    let heard = Heard {
        asked: Arc::default(),
        progress: progress_heard,
        updates: updates_heard,
        changes: changes_heard,
        logs: logs_heard,
        visited: visited_heard,
    };
    (Telling { progress, updates, changes, logs, visited }, heard)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Answering {
    config: ClientConfig,
    can_be_asked: bool,
    asked: Asked,
    telling: Telling,
}

impl Answering {
    /// Without `can_be_asked` it tells the server that it can do nothing, and refuses whatever it
    /// is asked.
    pub(super) fn new(version: &ProtocolVersion, can_be_asked: bool) -> (Self, Heard) {
        let (telling, heard) = telling();
        let everything = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": true}});
        let config = model(json!({
            "protocolVersion": version,
            "capabilities": if can_be_asked { everything } else { json!({}) },
            "clientInfo": {"name": "era-client", "version": "1.0.0"},
        }));
        (
            Self {
                config: config.unwrap_or_default(),
                can_be_asked,
                asked: Arc::clone(&heard.asked),
                telling,
            },
            heard,
        )
    }

    /// Writes down what was asked, and refuses it if that is not for this client.
    fn note(&self, method: &'static str, question: impl Into<Value>) -> Result<(), ErrorData> {
        lock(&self.asked).push((method, question.into()));
        if self.can_be_asked {
            Ok(())
        } else {
            Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "Method not found", None))
        }
    }
}

/// Reads a model of the SDK's from its JSON.
fn model<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

impl ClientHandler for Answering {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let accepted = ElicitResult::new(ElicitationAction::Accept);
        match request {
            ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } => {
                self.note("elicitation/create", message)?;
                Ok(accepted.with_content(filled_in(&json!(requested_schema))))
            }
            ElicitRequestParams::UrlElicitationParams { message, url, elicitation_id, .. } => {
                self.note(
                    "elicitation/create",
                    json!({"message": message, "url": url, "id": elicitation_id}),
                )?;
                Ok(accepted)
            }
            _ => Err(ErrorData::invalid_params("only forms and pages are known here", None)),
        }
    }

    async fn create_message(
        &self,
        request: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let question = json!(request.messages.last());
        self.note(
            "sampling/createMessage",
            question["content"]["text"].as_str().unwrap_or_default(),
        )?;
        model(json!({
            "role": "assistant", "model": "a-model-of-one-answer", "stopReason": "endTurn",
            "content": {"type": "text", "text": MODEL_SAYS},
        }))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        self.note("roots/list", "")?;
        model(json!({"roots": ROOTS.map(|uri| json!({"uri": uri}))}))
    }

    // After the exercise the receivers are gone, and what is sent to them may be lost.

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.telling.progress.send(progress.progress);
    }

    async fn on_resource_updated(
        &self,
        update: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.telling.updates.send(update.uri);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        let _ = self.telling.changes.send(());
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self
            .telling
            .logs
            .send(json!({"level": message.level, "logger": message.logger, "data": message.data}));
    }

    /// rmcp has no name for the word that a visit is over, which revision 2025-11-25 alone has.
    async fn on_custom_notification(
        &self,
        notification: CustomNotification,
        _: NotificationContext<RoleClient>,
    ) {
        let id = notification.params.as_ref().and_then(|params| params["elicitationId"].as_str());
        if let Some(id) = id.filter(|_| notification.method == "notifications/elicitation/complete")
        {
            let _ = self.telling.visited.send(id.to_owned());
        }
    }
}

/// Every field of a form: its default, its first choice, or something of its type.
fn filled_in(schema: &Value) -> Value {
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    Value::Object(
        fields.into_iter().map(|(name, field)| (name, value_for(&field))).collect::<Map<_, _>>(),
    )
}

fn value_for(field: &Value) -> Value {
    let first_choice =
        [&field["enum"][0], &field["oneOf"][0]["const"], &field["anyOf"][0]["const"]];
    if let Some(value) =
        [&field["default"]].into_iter().chain(first_choice).find(|value| !value.is_null())
    {
        return value.clone();
    }
    match field["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(7),
        Some("array") => json!([value_for(&field["items"])]),
        _ if field["format"] == "email" => json!("ada@example.com"),
        _ => json!("Ada"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_filled_in_with_what_its_fields_take() {
        let schema = json!({"type": "object", "properties": {
            "name": {"type": "string"},
            "email": {"type": "string", "format": "email"},
            "age": {"type": "integer", "default": 30},
            "ok": {"type": "boolean"},
            "one": {"type": "string", "enum": ["a", "b"]},
            "titled": {"type": "string", "oneOf": [{"const": "c", "title": "C"}]},
            "several": {"type": "array", "items": {"anyOf": [{"const": "d", "title": "D"}]}},
        }});
        let expected = json!({
            "name": "Ada", "email": "ada@example.com", "age": 30, "ok": true, "one": "a", "titled": "c", "several": ["d"],
        });
        assert_eq!(filled_in(&schema), expected);
    }
}

//! A server that offers what the official conformance runner looks for, of either era or of both at once: here is what rmcp asks
//! of a server, handed on to [`tools`], [`prompts`] and [`resources`]. How to run one is in [`serve`].
//!
//! What rmcp 3.9 can serve, and what it cannot:
//!
//! - One server serves both eras at once, over HTTP and on stdio: each request says which it belongs to. Only a stdio connection
//!   that began with a modern request stays modern, whatever `initialize` is answered.
//! - A server of one era is not what it has in mind: told to support only the revisions of one, it still shows that it knows the
//!   other. What keeps the eras apart here is in [`era`]. One thing remains: over HTTP a modern server refuses a legacy
//!   `initialize` with status 200, where the revision wants 400.
//! - It can close a response stream whose call goes on, but gives a tool no way to say which one is its own: what is missing is in
//!   [`sessions`]. It does not serve HTTP+SSE (2024-11-05).
//! - It could serve the extension for skills, but nothing here does: the runner does not look for it.
#![expect(deprecated, reason = "legacy servers offer logging and subscriptions this way")]

mod asking;
mod content;
mod era;
mod input;
mod prompts;
mod questions;
mod resources;
mod serve;
mod sessions;
mod subscribers;
mod tasks;
mod telling;
mod tools;

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, TASKS_EXTENSION_ID, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::sdk_conversions::model;
pub use era::Era;
use questions::Declared;
pub use serve::{ConformanceServer, serve_stdio};
use sessions::Sessions;
use subscribers::Subscribers;
use tasks::Tasks;

/// What all sessions and requests of one server have in common: a modern request has no session to remember anything in.
#[derive(Debug, Default)]
struct Shared {
    subscribers: Subscribers,
    /// Shared once more with what serves over HTTP, which is what fills it.
    sessions: Arc<Sessions>,
    tasks: Tasks,
    /// There is a tool more, by and by: `test_trigger_tool_change` adds it and takes it away.
    has_late_tool: AtomicBool,
    /// The same for a prompt.
    has_late_prompt: AtomicBool,
    /// How many calls of `test_slow` were cancelled.
    cancelled: AtomicUsize,
}

/// One session of a legacy client, or one request of a modern one.
#[derive(Debug)]
pub struct Conformance {
    era: Era,
    shared: Arc<Shared>,
    /// What [`Subscribers`] know this session by.
    session: u64,
    /// From which level on this session is told what is logged; everything unless it said otherwise.
    log_level: Mutex<LoggingLevel>,
    /// How many listen streams were accepted here and not handed over yet.
    opening: AtomicUsize,
}

impl Drop for Conformance {
    /// A stream whose client left while it was opened is never handed over.
    fn drop(&mut self) {
        for _ in 0..self.opening.load(Ordering::SeqCst) {
            self.shared.subscribers.stream_opened();
        }
    }
}

impl Conformance {
    fn new(era: Era, shared: Arc<Shared>) -> Self {
        let session = shared.subscribers.next_session();
        Self { era, shared, session, log_level: Mutex::new(LoggingLevel::Debug), opening: AtomicUsize::new(0) }
    }

    /// Whether something logged at `info` is for whoever made this request.
    fn logs_info_to(&self, context: &RequestContext<RoleServer>) -> bool {
        let wanted = if is_modern(context) {
            context.meta.log_level()
        } else {
            Some(*self.log_level.lock().unwrap_or_else(PoisonError::into_inner))
        };
        wanted.is_some_and(|level| matches!(level, LoggingLevel::Debug | LoggingLevel::Info))
    }
}

/// Whether a request belongs to the modern era.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A finished result. Modern results say that they are; rmcp takes it away for legacy clients.
fn complete<T: DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    result["resultType"] = json!("complete");
    model(result)
}

fn method_not_found(method: &'static str) -> ErrorData {
    ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, method, None)
}

impl ServerHandler for Conformance {
    fn get_info(&self) -> ServerConfig {
        let info = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "tools": {"listChanged": true}, "prompts": {"listChanged": true},
                "resources": {"subscribe": true, "listChanged": true}, "completions": {}, "logging": {},
                "extensions": {TASKS_EXTENSION_ID: {}},
            },
            "serverInfo": {"name": format!("conformance-{}", self.era), "version": "1.0.0", "title": "A server for the conformance runner"},
        });
        model(info).unwrap_or_default()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.era.versions()
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if self.era == Era::Modern {
            return Err(era::no_handshake());
        }
        context.peer.set_peer_info(request.clone());
        let mut answer = self.negotiate_initialize(&request)?;
        // No legacy client can follow these tasks.
        answer.capabilities.extensions = None;
        Ok(answer)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.shared.subscribers.add_session(self.session, context.peer);
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        complete(json!({"tools": tools::list(&self.shared, is_modern(&context))}))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::find(&self.shared, name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        tools::call(self, request, &context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        complete(json!({"prompts": prompts::list(&self.shared)}))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::read(&self.shared, request, &context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        complete(json!({"resources": resources::list()}))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        complete(json!({"resourceTemplates": resources::templates()}))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri)
    }

    async fn complete(&self, request: CompleteRequestParams, _: RequestContext<RoleServer>) -> Result<CompleteResult, ErrorData> {
        let values: Vec<_> =
            ["paris", "park", "party", "rome"].into_iter().filter(|word| word.starts_with(&request.argument.value)).collect();
        complete(json!({"completion": {"values": values, "total": values.len(), "hasMore": false}}))
    }

    async fn set_level(&self, request: SetLevelRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if is_modern(&context) {
            return Err(method_not_found("logging/setLevel"));
        }
        *self.log_level.lock().unwrap_or_else(PoisonError::into_inner) = request.level;
        Ok(())
    }

    async fn get_task(&self, request: GetTaskParams, context: RequestContext<RoleServer>) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.manager(&context, "tasks/get")?.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.tasks.manager(&context, "tasks/update")?.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.tasks.manager(&context, "tasks/cancel")?.cancel_task(&request.task_id)
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.subscribers.subscribe(self.session, context.peer, request.uri);
        Ok(())
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.subscribers.unsubscribe(self.session, &request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.opening.fetch_add(1, Ordering::SeqCst);
        self.shared.subscribers.stream_opens();
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let number = self.shared.subscribers.add_stream(context.sink().clone());
        self.opening.fetch_sub(1, Ordering::SeqCst);
        self.shared.subscribers.stream_opened();
        context.cancelled().await;
        self.shared.subscribers.remove_stream(number);
        Ok(())
    }
}

fn declared_capabilities(context: &RequestContext<RoleServer>) -> Declared {
    let capabilities = context.client_capabilities().unwrap_or_default();
    let declared = [
        ("elicitation", capabilities.elicitation.is_some()),
        ("roots", capabilities.roots.is_some()),
        ("sampling", capabilities.sampling.is_some()),
    ];
    declared.into_iter().filter_map(|(name, is_declared)| is_declared.then_some(name)).collect()
}

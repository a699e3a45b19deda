//! What a fixture server offers: tools (in [`super::tools`]), prompts, resources, a template,
//! completion, logging, subscriptions, a tool with a user interface.
#![expect(deprecated, reason = "legacy servers offer logging and subscriptions this way")]

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, InitializeRequestParams,
        InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, ServerConfig, SetLevelRequestParams,
        SubscribeRequestParams, UnsubscribeRequestParams,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    sdk_conversions::model,
    tools::{self, State},
};

/// One session with a fixture server.
#[derive(Clone, Debug)]
pub struct Fixture {
    name: String,
    page_size: usize,
    wording: Wording,
    state: Arc<State>,
}

/// What a server says of its tools and prompts in place of what it said at first, by their names;
/// in place of its instructions, as `instructions`. Its sessions share it.
#[derive(Clone, Debug, Default)]
pub struct Wording(Arc<Mutex<BTreeMap<String, String>>>);

impl Wording {
    /// From now on `name` has this description.
    pub fn describe(&self, name: &str, description: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), description.to_owned());
    }

    fn find(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn apply(&self, mut tools: Vec<Value>) -> Vec<Value> {
        let wording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for tool in &mut tools {
            if let Some(description) = tool["name"].as_str().and_then(|name| wording.get(name)) {
                tool["description"] = json!(description);
            }
        }
        tools
    }
}

impl Fixture {
    /// `page_size` 0 puts every list on one page.
    pub fn new(name: impl Into<String>, page_size: usize) -> Self {
        Self { name: name.into(), page_size, wording: Wording::default(), state: Arc::default() }
    }

    /// One of several sessions of a server.
    #[must_use]
    pub fn with_wording(mut self, wording: Wording) -> Self {
        self.wording = wording;
        self
    }

    /// What the tool `clock` looks like (MCP Apps): in no list, only its tool names it.
    fn interface(&self) -> String {
        format!("ui://{}/clock.html", self.name)
    }

    /// One page of `items` under `key`, as the result of a list method.
    fn page<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        items: &[Value],
        request: Option<PaginatedRequestParams>,
    ) -> Result<T, ErrorData> {
        let start = match request.and_then(|request| request.cursor) {
            None => 0,
            Some(cursor) => cursor
                .strip_prefix("page-")
                .and_then(|n| n.parse::<usize>().ok())
                .filter(|start| *start <= items.len())
                .ok_or_else(|| ErrorData::invalid_params("unknown cursor", None))?,
        };
        let end = if self.page_size == 0 {
            items.len()
        } else {
            (start + self.page_size).min(items.len())
        };
        let mut page = json!({ key: items[start..end] });
        if end < items.len() {
            page["nextCursor"] = json!(format!("page-{end}"));
        }
        model(page)
    }
}

impl ServerHandler for Fixture {
    /// The SDK would speak the modern era too; this is a server of the other one.
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let known = ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .filter(|version| **version <= ProtocolVersion::V_2025_11_25);
        Cow::Owned(known.cloned().collect())
    }

    fn get_info(&self) -> ServerConfig {
        let info = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "tools": {"listChanged": true}, "prompts": {"listChanged": true},
                "resources": {"subscribe": true, "listChanged": true}, "completions": {}, "logging": {},
                "extensions": {"io.modelcontextprotocol/ui": {}},
            },
            "serverInfo": {"name": self.name, "version": "1.0.0", "title": "A fixture"},
            "instructions": self.wording.find("instructions").unwrap_or_else(|| format!("Instructions of {}", self.name)),
        });
        model(info).unwrap_or_default()
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut info = self.get_info();
        if request.protocol_version <= ProtocolVersion::V_2025_11_25 {
            info.protocol_version = request.protocol_version;
        }
        Ok(info)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = tools::list(self.state.has_late_tool.load(Ordering::SeqCst), &self.interface());
        self.page("tools", &self.wording.apply(tools), request)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        tools::call(&self.state, request, context).await.map(Into::into)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = vec![
            json!({"name": "greet", "description": "Greets somebody", "arguments": [{"name": "who", "required": true}]}),
            json!({"name": "plain", "description": "Has no arguments"}),
        ];
        self.page("prompts", &self.wording.apply(prompts), request)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let text = match request.name.as_str() {
            "greet" => {
                let who = request.arguments.as_ref().and_then(|arguments| arguments.get("who"));
                format!(
                    "Hello, {}!",
                    who.map_or_else(|| "nobody".to_owned(), |who| who.to_string().replace('"', ""))
                )
            }
            "plain" => "A plain prompt".to_owned(),
            _ => return Err(ErrorData::invalid_params("no such prompt", None)),
        };
        let result =
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": text}}]});
        model::<GetPromptResult>(result).map(Into::into)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = [
            json!({"uri": format!("fixture://{}/greeting", self.name), "name": "greeting", "mimeType": "text/plain"}),
            json!({"uri": format!("fixture://{}/numbers", self.name), "name": "numbers", "mimeType": "application/json"}),
        ];
        self.page("resources", &resources, request)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = [
            json!({"uriTemplate": format!("fixture://{}/items/{{id}}", self.name), "name": "item"}),
        ];
        self.page("resourceTemplates", &templates, request)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri == self.interface() {
            let html = format!("<title>The clock of {}</title>", self.name);
            let contents =
                json!({"uri": request.uri, "mimeType": "text/html;profile=mcp-app", "text": html});
            return model::<ReadResourceResult>(json!({ "contents": [contents] })).map(Into::into);
        }
        let prefix = format!("fixture://{}/", self.name);
        let text = match request.uri.strip_prefix(&prefix) {
            Some("greeting") => format!("Hello from {}", self.name),
            Some("numbers") => "[1,2,3]".to_owned(),
            Some(item) if item.starts_with("items/") => format!("Item {}", &item["items/".len()..]),
            _ => {
                return Err(ErrorData::resource_not_found(
                    "no such resource",
                    Some(json!({"uri": request.uri})),
                ));
            }
        };
        let result =
            json!({"contents": [{"uri": request.uri, "mimeType": "text/plain", "text": text}]});
        model::<ReadResourceResult>(result).map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let names = ["Ada", "Alan", "Grace", "Edsger"];
        let values: Vec<_> =
            names.into_iter().filter(|name| name.starts_with(&request.argument.value)).collect();
        model(json!({"completion": {"values": values, "total": values.len(), "hasMore": false}}))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }
}

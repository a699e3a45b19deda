//! The words of the protocol, each spelt here and nowhere else: methods, notifications, headers,
//! members, error codes. The members that every message of JSON-RPC has are next door, in
//! [`super::parse`] and [`super::write`].

/// Methods of requests.
pub mod method {
    pub const INITIALIZE: &str = "initialize";
    pub const PING: &str = "ping";
    pub const COMPLETION_COMPLETE: &str = "completion/complete";
    pub const LOGGING_SET_LEVEL: &str = "logging/setLevel";
    pub const PROMPTS_GET: &str = "prompts/get";
    pub const PROMPTS_LIST: &str = "prompts/list";
    pub const RESOURCES_LIST: &str = "resources/list";
    pub const RESOURCES_READ: &str = "resources/read";
    pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
    pub const RESOURCES_TEMPLATES_LIST: &str = "resources/templates/list";
    pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
    pub const TOOLS_CALL: &str = "tools/call";
    pub const TOOLS_LIST: &str = "tools/list";
    /// Revision 2026-07-28 on.
    pub const SERVER_DISCOVER: &str = "server/discover";
    /// Revision 2026-07-28 on.
    pub const SUBSCRIPTIONS_LISTEN: &str = "subscriptions/listen";
    pub const TASKS_CANCEL: &str = "tasks/cancel";
    pub const TASKS_GET: &str = "tasks/get";
    /// Of the core of revision 2025-11-25 alone.
    pub const TASKS_LIST: &str = "tasks/list";
    /// Of the core of revision 2025-11-25 alone.
    pub const TASKS_RESULT: &str = "tasks/result";
    /// Of the extension [`extension::TASKS`](super::extension::TASKS) alone.
    pub const TASKS_UPDATE: &str = "tasks/update";
    /// What a client can ask of a server, but for the tasks.
    const OF_CLIENTS: [&str; 15] = [
        INITIALIZE,
        PING,
        COMPLETION_COMPLETE,
        LOGGING_SET_LEVEL,
        PROMPTS_GET,
        PROMPTS_LIST,
        RESOURCES_LIST,
        RESOURCES_READ,
        RESOURCES_SUBSCRIBE,
        RESOURCES_TEMPLATES_LIST,
        RESOURCES_UNSUBSCRIBE,
        TOOLS_CALL,
        TOOLS_LIST,
        SERVER_DISCOVER,
        SUBSCRIPTIONS_LISTEN,
    ];
    /// How all methods about tasks begin.
    pub const OF_TASKS: &str = "tasks/";

    /// Is it a method of the specification in another spelling? Methods are compared byte for
    /// byte; a server that is less strict would do what no check was made for.
    pub fn is_misspelt(method: &str) -> bool {
        let trimmed = method.trim();
        let is = |known: &&str| known.eq_ignore_ascii_case(trimmed) && **known != *method;
        let begins = |text: &str| {
            text.get(..OF_TASKS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OF_TASKS))
        };
        OF_CLIENTS.iter().any(is) || begins(trimmed) && !method.starts_with(OF_TASKS)
    }

    /// Of servers, as the next two.
    pub const ELICITATION_CREATE: &str = "elicitation/create";
    pub const ROOTS_LIST: &str = "roots/list";
    pub const SAMPLING_CREATE_MESSAGE: &str = "sampling/createMessage";
}

/// Methods of notifications.
pub mod notification {
    pub const CANCELLED: &str = "notifications/cancelled";
    pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
    pub const INITIALIZED: &str = "notifications/initialized";
    /// A log message.
    pub const MESSAGE: &str = "notifications/message";
    pub const PROGRESS: &str = "notifications/progress";
    pub const PROMPTS_LIST_CHANGED: &str = "notifications/prompts/list_changed";
    pub const RESOURCES_LIST_CHANGED: &str = "notifications/resources/list_changed";
    pub const RESOURCES_UPDATED: &str = "notifications/resources/updated";
    pub const ROOTS_LIST_CHANGED: &str = "notifications/roots/list_changed";
    /// Revision 2026-07-28 on: which part of a filter the server agrees to.
    pub const SUBSCRIPTIONS_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    /// Of the extension [`extension::TASKS`](super::extension::TASKS).
    pub const TASKS: &str = "notifications/tasks";
    /// Of the core of revision 2025-11-25.
    pub const TASKS_STATUS: &str = "notifications/tasks/status";
    pub const TOOLS_LIST_CHANGED: &str = "notifications/tools/list_changed";
}

/// Headers of the Streamable HTTP transport, beside those of HTTP.
pub mod header_name {
    use http::HeaderName;

    pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
    /// Revision 2026-07-28 on: the method of the request in the body.
    pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
    /// Revision 2026-07-28 on: what the request is about, by its name or URI.
    pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
    /// Revision 2026-07-28 on: what the header of a parameter begins with.
    pub const PARAM_PREFIX: &str = "mcp-param-";
    pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
    pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
}

/// Members of parameters and results.
pub mod member {
    pub const ARGUMENTS: &str = "arguments";
    pub const CACHE_SCOPE: &str = "cacheScope";
    pub const CAPABILITIES: &str = "capabilities";
    pub const CLIENT_INFO: &str = "clientInfo";
    pub const CURSOR: &str = "cursor";
    pub const INPUT_RESPONSES: &str = "inputResponses";
    pub const INPUT_SCHEMA: &str = "inputSchema";
    pub const INSTRUCTIONS: &str = "instructions";
    pub const LEVEL: &str = "level";
    pub const META: &str = "_meta";
    pub const NAME: &str = "name";
    pub const NEXT_CURSOR: &str = "nextCursor";
    /// Of `subscriptions/listen`: what is to be told, see [`filter`](super::filter).
    pub const NOTIFICATIONS: &str = "notifications";
    pub const PROGRESS_TOKEN: &str = "progressToken";
    pub const PROTOCOL_VERSION: &str = "protocolVersion";
    pub const REF: &str = "ref";
    pub const REQUEST_ID: &str = "requestId";
    pub const REQUEST_STATE: &str = "requestState";
    pub const RESULT_TYPE: &str = "resultType";
    pub const SERVER_INFO: &str = "serverInfo";
    pub const SUPPORTED_VERSIONS: &str = "supportedVersions";
    pub const TASK_ID: &str = "taskId";
    pub const TTL_MS: &str = "ttlMs";
    pub const TYPE: &str = "type";
    pub const URI: &str = "uri";
}

/// Members of an error object, and of its `data`.
pub mod error_member {
    pub const CODE: &str = "code";
    pub const MESSAGE: &str = "message";
    pub const DATA: &str = "data";
    /// Of `data`: the revisions that are spoken.
    pub const SUPPORTED: &str = "supported";
}

/// Members of the filter of `subscriptions/listen`.
pub mod filter {
    pub const PROMPTS_LIST_CHANGED: &str = "promptsListChanged";
    /// By their URIs.
    pub const RESOURCE_SUBSCRIPTIONS: &str = "resourceSubscriptions";
    pub const RESOURCES_LIST_CHANGED: &str = "resourcesListChanged";
    /// By their ids: of the extension [`extension::TASKS`](super::extension::TASKS).
    pub const TASK_IDS: &str = "taskIds";
    pub const TOOLS_LIST_CHANGED: &str = "toolsListChanged";
}

/// What a server declares that it has; for each of them an object.
pub mod capability {
    pub const COMPLETIONS: &str = "completions";
    pub const EXTENSIONS: &str = "extensions";
    pub const LOGGING: &str = "logging";
    pub const PROMPTS: &str = "prompts";
    pub const RESOURCES: &str = "resources";
    pub const TASKS: &str = "tasks";
    pub const TOOLS: &str = "tools";
    /// The flag of a capability: changes of its list are announced.
    pub const LIST_CHANGED: &str = "listChanged";
    /// The flag of [`RESOURCES`]: changes of single ones are announced.
    pub const SUBSCRIBE: &str = "subscribe";
}

/// Extensions, by the names under which they are declared.
pub mod extension {
    pub const TASKS: &str = "io.modelcontextprotocol/tasks";
    /// MCP Apps: tools with a user interface.
    pub const UI: &str = "io.modelcontextprotocol/ui";
}

/// The names of `_meta`'s members that revision 2026-07-28 defines.
pub mod meta {
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
}

/// Error codes of JSON-RPC 2.0 section 5.1 and of MCP.
pub mod code {
    pub const PARSE_ERROR: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP up to 2025-11-25: a resource that does not exist.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// MCP 2025-11-25: the person has to visit a URL first.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// MCP 2026-07-28: header and body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// MCP 2026-07-28: the request needs something that the client cannot do.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// MCP 2026-07-28: the revision is not spoken here.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

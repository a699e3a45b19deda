//! From a transport to a [`Connection`]: `initialize`, the answer checked, `notifications/initialized`; and the task that
//! answers the server's own requests for as long as the connection lives.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Call, Connection, ConnectionKey, Hello, RpcError, ServerInfo, UpstreamError,
    connection::ask,
    http::HttpLink,
    inbox::{Ask, Inbox},
    link::{Link, Outgoing},
    sse::SseLink,
    stdio::StdioLink,
};
use crate::{
    era,
    spec::{ServerSpec, Transport},
    wire::{self, Outcome, Payload, Request, RequestId},
};

/// How many requests of one server are worked on at once.
const MAX_ASKED: usize = 16;

/// Opens the transport and does the handshake, within the server's `connect_timeout`.
pub(super) async fn connect(
    key: ConnectionKey,
    spec: &ServerSpec,
    http: &reqwest::Client,
    hello: &Hello,
) -> Result<Connection, UpstreamError> {
    let (inbox, asked) = Inbox::new(key);
    let opening = async {
        let link = open(spec, http, &inbox, hello).await?;
        tokio::spawn(serve(asked, Arc::clone(&inbox), Arc::clone(&link), Arc::clone(&hello.on_request)));
        match greet(&inbox, &link, hello, spec.connect_timeout).await {
            Ok(info) => Ok((link, info)),
            Err(error) => {
                inbox.close(&error);
                link.close().await;
                Err(error)
            }
        }
    };
    // A transport that is dropped half open ends itself.
    let opened = tokio::time::timeout(spec.connect_timeout, opening).await;
    match opened.unwrap_or_else(|_| Err(refused("no answer to initialize in time".to_owned()))) {
        Ok((link, info)) => Ok(Connection::new(inbox, link, info, spec.request_timeout)),
        Err(error) => {
            inbox.close(&error);
            Err(error)
        }
    }
}

async fn open(
    spec: &ServerSpec,
    http: &reqwest::Client,
    inbox: &Arc<Inbox>,
    hello: &Hello,
) -> Result<Arc<dyn Link>, UpstreamError> {
    match &spec.transport {
        Transport::Stdio { command, args, env, cwd } => StdioLink::spawn(command, args, env, cwd.as_deref(), inbox, hello),
        Transport::Http { url, headers } => HttpLink::open(http.clone(), url.clone(), headers, inbox, hello),
        Transport::Sse { url, headers } => SseLink::open(http.clone(), url.clone(), headers, inbox, hello).await,
    }
}

async fn greet(inbox: &Arc<Inbox>, link: &Arc<dyn Link>, hello: &Hello, timeout: Duration) -> Result<ServerInfo, UpstreamError> {
    let client_info = serde_json::json!({"name": "portunus", "version": env!("CARGO_PKG_VERSION")}).to_string();
    let params = wire::object(&[
        ("protocolVersion", &wire::quote(era::LATEST_LEGACY)),
        ("capabilities", hello.capabilities.as_str()),
        ("clientInfo", &client_info),
    ]);
    let call = Call { timeout: Some(timeout), ..Call::default() };
    let result = match ask(inbox, link, "initialize", Some(params), call, timeout).await {
        Ok(Outcome::Result(result)) => result,
        Ok(Outcome::Error(error)) => return Err(refused(format!("initialize was answered with {}", excerpt(error.as_str())))),
        Err(UpstreamError::Closed { detail }) => return Err(refused(detail)),
        Err(UpstreamError::Timeout) => return Err(refused("no answer to initialize in time".to_owned())),
        Err(error) => return Err(error),
    };
    let info = server_info(result)?;
    link.initialized(&info.protocol_version);
    link.send(Outgoing { message: wire::notification("notifications/initialized", None), awaits: None }).await?;
    Ok(info)
}

fn server_info(raw: Payload) -> Result<ServerInfo, UpstreamError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Texts {
        protocol_version: String,
        #[serde(default)]
        instructions: Option<String>,
    }
    let bad = |error: wire::WireError| refused(format!("the result of initialize cannot be read: {error}"));
    let texts: Texts = raw.read().map_err(bad)?;
    if !era::is_legacy(&texts.protocol_version) {
        return Err(refused(format!(
            "the server speaks revision {:?}, which has no handshake we know",
            excerpt(&texts.protocol_version)
        )));
    }
    let (mut capabilities, mut server_info) = (None, None);
    for (key, value) in wire::members(&raw).map_err(bad)? {
        match &*key {
            "capabilities" => capabilities = Some(value),
            "serverInfo" => server_info = Some(value),
            _ => {}
        }
    }
    let object = |found: Option<Payload>| match found {
        Some(value) if value.as_str().starts_with('{') => value,
        _ => wire::object(&[]),
    };
    Ok(ServerInfo {
        protocol_version: texts.protocol_version,
        capabilities: object(capabilities),
        server_info: object(server_info),
        instructions: texts.instructions,
        raw,
    })
}

fn refused(detail: String) -> UpstreamError {
    UpstreamError::Handshake { detail }
}

fn excerpt(text: &str) -> String {
    text.chars().take(300).collect()
}

/// Answers what the server asks, until the connection ends.
async fn serve(mut asked: mpsc::Receiver<Ask>, inbox: Arc<Inbox>, link: Arc<dyn Link>, handler: Arc<dyn super::ServerRequests>) {
    let mut working = JoinSet::new();
    let mut cancels: HashMap<RequestId, tokio::task::AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            () = inbox.closed().cancelled() => return,
            Some(done) = working.join_next(), if !working.is_empty() => {
                if let Ok(id) = done {
                    cancels.remove(&id);
                }
                cancels.retain(|_, task| !task.is_finished());
            }
            ask = asked.recv(), if working.len() < MAX_ASKED => match ask {
                None => return,
                Some(Ask::Cancelled(id)) => {
                    if let Some(task) = cancels.remove(&id) {
                        task.abort();
                    }
                }
                Some(Ask::Request(request)) => {
                    let id = request.id.clone();
                    let task = working.spawn(answer(request, Arc::clone(&inbox), Arc::clone(&link), Arc::clone(&handler)));
                    cancels.insert(id, task);
                }
            },
        }
    }
}

async fn answer(request: Request, inbox: Arc<Inbox>, link: Arc<dyn Link>, handler: Arc<dyn super::ServerRequests>) -> RequestId {
    let Request { id, method, params } = request;
    let outcome = match method.as_str() {
        "ping" => Ok(wire::object(&[])),
        _ => handler.handle(&inbox.key, &method, params).await,
    };
    let message = match &outcome {
        Ok(result) => wire::result(&id, result),
        Err(error) => RpcError::write(error, &id),
    };
    if let Err(error) = link.send(Outgoing { message, awaits: None }).await {
        tracing::debug!(server = %inbox.key.server, method, %error, "could not answer the server's request");
    }
    id
}

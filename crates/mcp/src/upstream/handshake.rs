//! From a transport to a [`Connection`]: a session of an earlier process taken up ([`super::kept`]), or the era found out ([`super::probe`]) or, for a legacy server, `initialize`, the answer checked,
//! `notifications/initialized`. What the server asks from then on is answered in [`super::server_requests`].

use std::{sync::Arc, time::Duration};

use super::{
    Call, Connection, ConnectionKey, Hello, Person, ServerInfo, UpstreamError,
    connection::ask,
    http::{HttpClient, HttpLink},
    inbox::Inbox,
    link::{Link, Outgoing},
    modern,
    probe::{self, Order},
    server_requests::serve,
    sse::SseLink,
    stdio::StdioLink,
    stored::{Record, StoredConnection},
};
use crate::{
    client_capabilities::ClientCapabilities,
    era::{self, Era},
    spec::{ServerSpec, Transport},
    wire::{self, Outcome, Payload},
};

/// Each process that has a session numbers its requests from a range of its own; all of them are numbers that every JSON parser knows.
const IDS_OF_A_LIFE: u64 = 1 << 32;
const LIVES: u32 = 1 << 20;
/// How long a server may take to say that it still has a session.
const STILL_THERE: Duration = Duration::from_secs(5);

/// Goes on with the session that another process had with the server, or opens one, and asks in this order.
pub(super) async fn connect(
    key: ConnectionKey,
    spec: &ServerSpec,
    http: &HttpClient,
    hello: &Hello,
    order: Order,
    person: &Person,
) -> Result<Connection, UpstreamError> {
    let record = Record::of(hello.records.as_ref(), &key, spec);
    if let Some(record) = &record
        && let Some(connection) = resume(record, &key, spec, http, hello).await
    {
        return Ok(connection);
    }
    let connection = match begin(key.clone(), spec, &spec.transport, http, hello, order, person).await {
        Err(error) => fall_back(key, spec, http, hello, person, error).await?,
        connection => connection?,
    };
    if let Some(record) = record {
        connection.keep(&record, 0).await;
    }
    Ok(connection)
}

/// `None`: there is no session to go on with, or the server no longer has it. Asked is what changes nothing, so that no caller's request
/// is what finds that out.
async fn resume(record: &Record, key: &ConnectionKey, spec: &ServerSpec, http: &HttpClient, hello: &Hello) -> Option<Connection> {
    let Transport::Http { url, headers } = &spec.transport else { return None };
    let StoredConnection { session, info, life } = record.find().await?;
    let life = life.checked_add(1).filter(|life| *life < LIVES)?;
    let (inbox, asked) = Inbox::new(key.clone(), spec.speaks_late());
    inbox.begin_at(u64::from(life) * IDS_OF_A_LIFE);
    let link = HttpLink::new(http.clone(), url.clone(), headers, &inbox, hello).ok()?;
    let link = link.resume(&session, &info.protocol_version)?;
    tokio::spawn(serve(asked, Arc::clone(&inbox), Arc::clone(&link), Arc::clone(&hello.on_request)));
    let patience = STILL_THERE.min(spec.connect_timeout);
    let call = Call { timeout: Some(patience), ..Call::default() };
    // An error of JSON-RPC is an answer: the session is there.
    if let Err(error) = ask(&inbox, &link, "ping", None, call, patience).await {
        tracing::debug!(server = %key.server, %error, detail = error.detail(), "a session with a server does not go on");
        inbox.close(&error);
        return None;
    }
    link.initialized(&info.protocol_version);
    link.listens().await;
    let connection = Connection::new(inbox, link, info, spec.request_timeout);
    connection.keep(record, life).await;
    if !connection.is_kept() {
        // Whoever comes next would begin with the ids that this process uses.
        return None;
    }
    tracing::debug!(server = %key.server, life, "a session with a server goes on here");
    Some(connection)
}

/// A server that takes no POST at its URL may speak the transport of revision 2024-11-05 there (MCP, transports, backwards compatibility; FB37). Its
/// first refusal is what is told if it does not.
async fn fall_back(
    key: ConnectionKey,
    spec: &ServerSpec,
    http: &HttpClient,
    hello: &Hello,
    person: &Person,
    refusal: UpstreamError,
) -> Result<Connection, UpstreamError> {
    let (Transport::Http { url, headers }, UpstreamError::Status { status: 400 | 404 | 405, .. }) = (&spec.transport, &refusal)
    else {
        return Err(refusal);
    };
    let old = Transport::Sse { url: url.clone(), headers: headers.clone() };
    let connection = begin(key, spec, &old, http, hello, Order::only(Era::Legacy), person).await.map_err(|_| refusal)?;
    tracing::info!(server = %spec.name, "the server speaks HTTP+SSE: set `type: sse` for it");
    Ok(connection)
}

/// Opens the transport and gets to know the server, within its `connect_timeout`.
async fn begin(
    key: ConnectionKey,
    spec: &ServerSpec,
    transport: &Transport,
    http: &HttpClient,
    hello: &Hello,
    order: Order,
    person: &Person,
) -> Result<Connection, UpstreamError> {
    let (inbox, asked) = Inbox::new(key, matches!(transport, Transport::Http { .. }));
    let opening = async {
        let link = open(transport, http, &inbox, hello, person).await?;
        tokio::spawn(serve(asked, Arc::clone(&inbox), Arc::clone(&link), Arc::clone(&hello.on_request)));
        let client_capabilities = inbox.key.client_capabilities.clone();
        match probe::meet(&inbox, &link, &client_capabilities, order, spec.connect_timeout).await {
            Ok(info) => {
                if info.era == Era::Modern {
                    link.is_modern();
                }
                Ok((link, info))
            }
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
    transport: &Transport,
    http: &HttpClient,
    inbox: &Arc<Inbox>,
    hello: &Hello,
    person: &Person,
) -> Result<Arc<dyn Link>, UpstreamError> {
    match transport {
        Transport::Stdio { command, args, env, cwd, sandbox } => {
            StdioLink::spawn(command, args, &person.fill_in(env)?, cwd.as_deref(), sandbox, inbox, hello)
        }
        Transport::Http { url, headers } => HttpLink::open(http.clone(), url.clone(), headers, inbox, hello),
        Transport::Sse { url, headers } => SseLink::open(http.clone(), url.clone(), headers, inbox, hello).await,
    }
}

/// The handshake. A server that refuses our newest revision is offered what it says it has, or else the older ones (FB35).
pub(super) async fn greet(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    timeout: Duration,
) -> Result<ServerInfo, UpstreamError> {
    let mut left: Vec<&str> = era::LEGACY.to_vec();
    let mut refusal = None;
    let result = loop {
        let Some(revision) = left.pop() else { return Err(refusal.unwrap_or_else(|| refused(String::new()))) };
        let error = match initialize(inbox, link, client_capabilities, revision, timeout).await? {
            Outcome::Result(result) => break result,
            Outcome::Error(error) => error,
        };
        if !may_want_another(&error, &mut left) {
            left.clear();
        }
        // What it said first is about what is offered to every server.
        refusal.get_or_insert_with(|| refused(format!("initialize was answered with {}", excerpt(error.as_str()))));
    };
    let info = server_info(result)?;
    link.initialized(&info.protocol_version);
    link.send(Outgoing::aside(wire::notification("notifications/initialized", None))).await?;
    link.listens().await;
    Ok(info)
}

async fn initialize(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    revision: &str,
    timeout: Duration,
) -> Result<Outcome, UpstreamError> {
    let params = wire::object(&[
        ("protocolVersion", &wire::quote(revision)),
        ("capabilities", client_capabilities.capabilities().as_str()),
        ("clientInfo", &modern::client_info()),
    ]);
    let call = Call { timeout: Some(timeout), ..Call::default() };
    match ask(inbox, link, "initialize", Some(params), call, timeout).await {
        Err(UpstreamError::Timeout) => Err(refused("no answer to initialize in time".to_owned())),
        answered => answered,
    }
}

/// Could a server that answers `initialize` with this error be content with another revision? `left` are those not offered yet, and loses what the
/// error says it does not have.
fn may_want_another(error: &Payload, left: &mut Vec<&str>) -> bool {
    let said: serde_json::Value = error.read().unwrap_or_default();
    let supported: Vec<&str> = ["supported", "supportedVersions", "supportedProtocolVersions"]
        .iter()
        .flat_map(|name| said["data"][*name].as_array().into_iter().flatten())
        .filter_map(|revision| revision.as_str())
        .collect();
    if !supported.is_empty() {
        left.retain(|revision| supported.contains(revision));
        return !left.is_empty();
    }
    let words = said["message"].as_str().unwrap_or_default().to_ascii_lowercase();
    ["version", "revision"].iter().any(|word| words.contains(word))
}

pub(super) fn server_info(raw: Payload) -> Result<ServerInfo, UpstreamError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Texts {
        protocol_version: String,
        #[serde(default)]
        instructions: Option<String>,
    }
    let bad = |error: wire::WireError| refused(format!("the result of initialize cannot be read: {error}"));
    let texts: Texts = raw.read().map_err(bad)?;
    if !era::has_handshake(&texts.protocol_version) {
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
        era: Era::Legacy,
        protocol_version: texts.protocol_version,
        capabilities: object(capabilities),
        server_info: object(server_info),
        instructions: texts.instructions,
        raw,
    })
}

pub(super) fn refused(detail: String) -> UpstreamError {
    UpstreamError::Handshake { detail }
}

pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(300).collect()
}

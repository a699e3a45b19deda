//! Makes a [`Connection`]: it resumes the session of an earlier process ([`super::stored`]), or
//! opens a transport and finds out the server's era ([`super::probe`]). Requests of the server are
//! answered next door, in [`super::server_requests`].

use std::{sync::Arc, time::Duration};

use super::{
    call::{Call, ask},
    connect_options::ConnectOptions,
    connection::Connection,
    error::UpstreamError,
    http::{HttpClient, HttpLink, SseLink},
    inbox::Inbox,
    link::Link,
    owner::{ConnectionKey, Person},
    probe::{self, EraOrder},
    server_requests::serve,
    stdio::StdioLink,
    stored::{Record, StoredConnection},
};
use crate::{
    era::Era,
    spec::{ServerSpec, Transport},
    wire::protocol::method,
};

/// Each process that has a session numbers its requests from a range of its own. All of them fit
/// the numbers of every JSON parser.
const IDS_OF_A_LIFE: u64 = 1 << 32;
const LIVES: u32 = 1 << 20;
/// How long a server may take to say that it still has a session.
const STILL_THERE: Duration = Duration::from_secs(5);

/// Resumes the session that another process had with the server, or begins a new one, asking for
/// the eras in this order.
pub(super) async fn connect(
    key: ConnectionKey,
    spec: &ServerSpec,
    http: &HttpClient,
    options: &ConnectOptions,
    order: EraOrder,
    person: &Person,
) -> Result<Connection, UpstreamError> {
    let record = Record::of(options.records.as_ref(), &key, spec);
    if let Some(record) = &record
        && let Some(connection) = resume(record, &key, spec, http, options).await
    {
        return Ok(connection);
    }
    let connection =
        match begin(key.clone(), spec, &spec.transport, http, options, order, person).await {
            Err(error) => fall_back(key, spec, http, options, person, error).await?,
            connection => connection?,
        };
    if let Some(record) = record {
        connection.keep(&record, 0).await;
    }
    Ok(connection)
}

/// Resumes a stored session; `None` when there is none, or when the server no longer has it.
///
/// A ping finds that out, since it changes nothing on the server: no caller's request has to.
async fn resume(
    record: &Record,
    key: &ConnectionKey,
    spec: &ServerSpec,
    http: &HttpClient,
    options: &ConnectOptions,
) -> Option<Connection> {
    let Transport::Http { url, headers } = &spec.transport else { return None };
    let StoredConnection { session, info, life } = record.find().await?;
    let life = life.checked_add(1).filter(|life| *life < LIVES)?;
    let (inbox, asked) = Inbox::new(key.clone(), spec.speaks_late());
    inbox.begin_at(u64::from(life) * IDS_OF_A_LIFE);
    let link = HttpLink::new(http.clone(), url.clone(), headers, &inbox, options).ok()?;
    let link = link.resume(&session, &info.protocol_version)?;
    tokio::spawn(serve(
        asked,
        Arc::clone(&inbox),
        Arc::clone(&link),
        Arc::clone(&options.on_request),
    ));
    let patience = STILL_THERE.min(spec.connect_timeout);
    let call = Call { timeout: Some(patience), ..Call::default() };
    // An error of JSON-RPC is an answer: the session is there.
    if let Err(error) = ask(&inbox, &link, method::PING, None, call, patience).await {
        tracing::debug!(server = %key.server, %error, detail = error.detail(), "a session with a server does not go on");
        inbox.close(&error);
        return None;
    }
    link.complete_handshake(&info.protocol_version);
    link.wait_until_listening().await;
    let connection = Connection::new(inbox, link, info, spec.request_timeout);
    connection.keep(record, life).await;
    if !connection.is_kept() {
        // Otherwise the next process would begin with the ids that this one uses.
        return None;
    }
    tracing::debug!(server = %key.server, life, "a session with a server goes on here");
    Some(connection)
}

/// Tries HTTP+SSE at the same URL when the server takes no POST there (MCP 2025-11-25, transports,
/// "Backwards Compatibility"; FB37). If that fails too, the first refusal is reported.
async fn fall_back(
    key: ConnectionKey,
    spec: &ServerSpec,
    http: &HttpClient,
    options: &ConnectOptions,
    person: &Person,
    refusal: UpstreamError,
) -> Result<Connection, UpstreamError> {
    let (Transport::Http { url, headers }, UpstreamError::Status { status: 400 | 404 | 405, .. }) =
        (&spec.transport, &refusal)
    else {
        return Err(refusal);
    };
    let old = Transport::Sse { url: url.clone(), headers: headers.clone() };
    let connection = begin(key, spec, &old, http, options, EraOrder::only(Era::Legacy), person)
        .await
        .map_err(|_| refusal)?;
    tracing::info!(server = %spec.name, "the server speaks HTTP+SSE: set `type: sse` for it");
    Ok(connection)
}

/// Opens the transport and finds out the server's era, within its `connect_timeout`.
async fn begin(
    key: ConnectionKey,
    spec: &ServerSpec,
    transport: &Transport,
    http: &HttpClient,
    options: &ConnectOptions,
    order: EraOrder,
    person: &Person,
) -> Result<Connection, UpstreamError> {
    let (inbox, asked) = Inbox::new(key, matches!(transport, Transport::Http { .. }));
    let opening = async {
        let link = open(transport, http, &inbox, options, person).await?;
        tokio::spawn(serve(
            asked,
            Arc::clone(&inbox),
            Arc::clone(&link),
            Arc::clone(&options.on_request),
        ));
        let client_capabilities = inbox.key.client_capabilities.clone();
        match probe::find_era(&inbox, &link, &client_capabilities, order, spec.connect_timeout)
            .await
        {
            Ok(info) => {
                if info.era == Era::Modern {
                    link.become_modern();
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
    // A transport that is dropped half open closes itself.
    let opened = tokio::time::timeout(spec.connect_timeout, opening).await;
    match opened
        .unwrap_or_else(|_| Err(UpstreamError::handshake("no answer to initialize in time")))
    {
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
    options: &ConnectOptions,
    person: &Person,
) -> Result<Arc<dyn Link>, UpstreamError> {
    match transport {
        Transport::Stdio { command, args, env, cwd, sandbox } => StdioLink::spawn(
            command,
            args,
            &person.fill_in(env)?,
            cwd.as_deref(),
            sandbox,
            inbox,
            options,
        ),
        Transport::Http { url, headers } => {
            Ok(Arc::new(HttpLink::new(http.clone(), url.clone(), headers, inbox, options)?))
        }
        Transport::Sse { url, headers } => {
            SseLink::open(http.clone(), url.clone(), headers, inbox, options).await
        }
    }
}

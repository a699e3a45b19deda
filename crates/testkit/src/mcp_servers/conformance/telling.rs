//! Tools that tell of themselves while they run, one that runs until it is cancelled, and one that
//! breaks off its own stream.
#![expect(deprecated, reason = "legacy servers log this way")]

use std::{sync::atomic::Ordering, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, ProgressNotificationParam},
    service::RequestContext,
};
use serde_json::json;

use super::{
    super::sdk_conversions::{model, sending},
    content,
    server::Conformance,
};

/// Long enough for messages to leave one by one.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn with_logging(
    server: &Conformance,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    log(server, context, "Tool execution started").await?;
    tokio::time::sleep(PAUSE).await;
    log(server, context, "Tool processing data").await?;
    tokio::time::sleep(PAUSE).await;
    log(server, context, "Tool execution completed").await?;
    content::text("Tool with logging executed successfully")
}

/// Says something at level info, if it is wanted.
async fn log(
    server: &Conformance,
    context: &RequestContext<RoleServer>,
    text: &str,
) -> Result<(), ErrorData> {
    if !server.logs_info_to(context) {
        return Ok(());
    }
    let params = model(json!({"level": "info", "logger": "conformance", "data": text}))?;
    context.peer.notify_logging_message(params).await.map_err(sending)
}

pub(super) async fn with_progress(
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    for done in [0.0, 50.0, 100.0] {
        if done > 0.0 {
            tokio::time::sleep(PAUSE).await;
        }
        progress(context, done).await?;
    }
    content::text("Tool with progress executed successfully")
}

/// Out of 100; nothing if the client did not ask to be told.
async fn progress(context: &RequestContext<RoleServer>, done: f64) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else { return Ok(()) };
    context
        .peer
        .notify_progress(ProgressNotificationParam::new(token, done).with_total(100.0))
        .await
        .map_err(sending)
}

/// Takes a minute, unless it is cancelled. Tells of its progress once, so that the client knows it
/// has begun.
pub(super) async fn slow(
    server: &Conformance,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    progress(context, 1.0).await?;
    tokio::select! {
        () = context.ct.cancelled() => {
            server.shared.cancelled.fetch_add(1, Ordering::SeqCst);
            content::text("cancelled")
        }
        () = tokio::time::sleep(Duration::from_secs(60)) => content::text("Nobody cancelled this"),
    }
}

/// Closes its response stream and answers when the client has taken it up again; where that cannot
/// be, answers late.
pub(super) async fn interrupted(
    server: &Conformance,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    server.shared.sessions.interrupt(context).await;
    tokio::time::sleep(PAUSE).await;
    content::text("This came after the stream was closed, where it could be")
}

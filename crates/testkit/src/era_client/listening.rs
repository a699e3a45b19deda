//! Exercises that wait for what a server tells by itself: a resource that changed, a list that
//! changed, a log message. The others are in [`super::exercises`].
#![expect(deprecated, reason = "legacy clients subscribe and ask for log messages this way")]

use std::time::Duration;

use rmcp::{
    ServiceError,
    model::{
        JsonObject, LoggingLevel, RequestMetaObject, ServerNotification, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter,
    },
    service::Subscription,
};
use serde_json::{Value, json};

use super::{
    calls::{SOON, call_params, text_for, text_of},
    client::{Client, ClientEra, Failure},
    script::Exercise,
};

/// Long enough for something that should not come to have come.
const QUIET: Duration = Duration::from_millis(200);

pub(super) async fn subscribe(
    client: &mut Client,
    uri: &str,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let updated = match client.era {
        ClientEra::Legacy => update_in_session(client, uri, tool, arguments).await?,
        ClientEra::Modern => update_on_stream(client, uri, tool, arguments).await?,
    };
    if updated == uri {
        Ok(json!({"updated": updated}))
    } else {
        Err(format!("{updated} changed, and not {uri}").into())
    }
}

async fn update_in_session(
    client: &mut Client,
    uri: &str,
    tool: &str,
    arguments: JsonObject,
) -> Result<String, Failure> {
    client.running.subscribe(SubscribeRequestParams::new(uri)).await?;
    text_of(client, tool, arguments).await?;
    let updated = tokio::time::timeout(SOON, client.heard.updates.recv()).await;
    updated.ok().flatten().ok_or_else(|| "no update came".into())
}

async fn update_on_stream(
    client: &Client,
    uri: &str,
    tool: &str,
    arguments: JsonObject,
) -> Result<String, Failure> {
    let filter = SubscriptionFilter::builder().resource_subscription(uri).build();
    let mut stream = client.running.listen(filter).await?;
    if stream.acknowledged().resource_subscriptions.as_deref() != Some(&[uri.to_owned()]) {
        return Err(
            format!("the subscription was not accepted: {:?}", stream.acknowledged()).into()
        );
    }
    text_of(client, tool, arguments).await?;
    let update =
        tokio::time::timeout(SOON, stream.next()).await.map_err(|_| "no update came")??;
    stream.cancel().await?;
    match update {
        Some(ServerNotification::ResourceUpdatedNotification(update)) => Ok(update.params.uri),
        other => Err(ServiceError::UnexpectedResponse)
            .map_err(|error| format!("{error}: {other:?}").into()),
    }
}

/// A list is read anew after the change was told, and the change is taken back.
pub(super) async fn list_change(
    client: &mut Client,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let before = tools(client).await?;
    let mut stream = match client.era {
        // A legacy client is told without asking.
        ClientEra::Legacy => None,
        ClientEra::Modern => Some(tool_changes(client).await?),
    };
    text_of(client, tool, arguments.clone()).await?;
    match &mut stream {
        None => tokio::time::timeout(SOON, client.heard.changes.recv())
            .await
            .map_err(|_| "no change was told")?
            .map_or((), drop),
        Some(stream) => match tokio::time::timeout(SOON, stream.next())
            .await
            .map_err(|_| "no change was told")??
        {
            Some(ServerNotification::ToolListChangedNotification(_)) => {}
            other => return Err(format!("this is no change of the list: {other:?}").into()),
        },
    }
    let between = tools(client).await?;
    text_of(client, tool, arguments).await?;
    let deadline = tokio::time::Instant::now() + SOON;
    let mut after = tools(client).await?;
    while after != before && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = tools(client).await?;
    }
    if let Some(mut stream) = stream {
        stream.cancel().await?;
    }
    Ok(json!({"before": before, "between": between, "after": after}))
}

async fn tool_changes(client: &Client) -> Result<Subscription, Failure> {
    let stream =
        client.running.listen(SubscriptionFilter::builder().tools_list_changed().build()).await?;
    if stream.acknowledged().tools_list_changed == Some(true) {
        Ok(stream)
    } else {
        Err(format!("the subscription was not accepted: {:?}", stream.acknowledged()).into())
    }
}

async fn tools(client: &Client) -> Result<Vec<Value>, Failure> {
    Ok(client.running.list_all_tools().await?.iter().map(|tool| json!(tool.name)).collect())
}

/// A modern client hears nothing unless it asks with each request; a legacy one asks for the
/// session. `exercise.unheard` are the arguments of a call that logs too little to be heard.
pub(super) async fn log(
    client: &mut Client,
    exercise: &Exercise,
    tool: &str,
    arguments: JsonObject,
) -> Result<Value, Failure> {
    let level: LoggingLevel =
        serde_json::from_value(json!(exercise.level.as_deref().unwrap_or("info")))?;
    let mut meta = None;
    match client.era {
        ClientEra::Legacy => wanted_by_session(client, level).await?,
        ClientEra::Modern => {
            text_of(client, tool, arguments.clone()).await?;
            if let Ok(Some(message)) = tokio::time::timeout(QUIET, client.heard.logs.recv()).await {
                return Err(format!("told without having asked: {message}").into());
            }
            let mut wanted = RequestMetaObject::default();
            wanted.set_log_level(level);
            meta = Some(wanted);
        }
    }
    for arguments in exercise.unheard.iter().chain([&arguments]) {
        let mut params = call_params(tool, arguments.clone());
        params.meta.clone_from(&meta);
        text_for(client, params).await?;
    }
    let first = tokio::time::timeout(SOON, client.heard.logs.recv()).await.ok().flatten();
    let mut logs = vec![first.ok_or("nothing was logged")?];
    while let Ok(Some(message)) = tokio::time::timeout(QUIET, client.heard.logs.recv()).await {
        logs.push(message);
    }
    Ok(json!({"logs": logs}))
}

async fn wanted_by_session(client: &Client, level: LoggingLevel) -> Result<(), Failure> {
    Ok(client.running.set_level(SetLevelRequestParams::new(level)).await?)
}

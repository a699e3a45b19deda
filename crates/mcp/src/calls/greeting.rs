//! What the gateway says of itself on `/mcp`, in the handshake or when it is discovered. Servers
//! that were not met yet are met first, for a while and once: of those that take longer
//! it assumes everything, and a list of theirs may turn out empty.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value};
use tracing::Instrument as _;

use super::{context::CallContext, instructions, merged_capabilities as merged};
use crate::{
    allow::Allow,
    era::{self, Era},
    implementation,
    session::requester::Requester,
    wire::Payload,
};

const MAX_INSTRUCTIONS: usize = 32 * 1024;

/// Meets the servers that were not met yet, so that the first client after a start is
/// told the same as the second.
pub(crate) async fn meet(
    context: &Arc<CallContext>,
    allow: &dyn Allow,
    requester: &Requester,
    client: Era,
) {
    let strangers = context.registry.allowed(allow).into_iter().filter(|server| {
        let entry = context.registry.find(server);
        entry.is_some_and(|entry| entry.profile(client).is_none() && entry.begin_to_wait(client))
    });
    let meetings: Vec<_> = strangers
        .map(|server| {
            let (own, requester, name) =
                (Arc::clone(&context.connections), requester.clone(), server.clone());
            // A task of its own: it goes on for the next caller.
            let meeting = tokio::spawn(
                async move { own.connect(&name, &requester).await.map(drop) }.in_current_span(),
            );
            async move {
                // This caller could not: the next one may.
                if !matches!(meeting.await, Ok(Ok(())))
                    && let Some(entry) = context.registry.find(&server)
                {
                    entry.wait_again(client);
                }
            }
        })
        .collect();
    // Those that are late are not waited for again.
    let _ = tokio::time::timeout(
        context.settings.greeting_deadline,
        futures::future::join_all(meetings),
    )
    .await;
}

/// The result of `initialize`.
pub(crate) async fn result(context: &CallContext, allow: &dyn Allow, revision: &str) -> Payload {
    let mut result = Map::new();
    result.insert("protocolVersion".to_owned(), revision.into());
    introduce(context, allow, &mut result, revision, |result| {
        result.insert("serverInfo".to_owned(), implementation::value());
    })
    .await;
    Payload::from_value(&Value::Object(result))
}

/// The result of `server/discover`, without what every result has.
pub(crate) async fn discovery(context: &CallContext, allow: &dyn Allow) -> Payload {
    let mut result = Map::new();
    result.insert("supportedVersions".to_owned(), era::all().collect::<Vec<_>>().into());
    introduce(context, allow, &mut result, era::MODERN, |_| {}).await;
    Payload::from_value(&Value::Object(result))
}

/// Capabilities and instructions, with what `between` puts between them.
async fn introduce(
    context: &CallContext,
    allow: &dyn Allow,
    result: &mut Map<String, Value>,
    revision: &str,
    between: impl FnOnce(&mut Map<String, Value>),
) {
    let client = if era::is_legacy(revision) { Era::Legacy } else { Era::Modern };
    let profiles: Vec<_> = context
        .registry
        .allowed(allow)
        .into_iter()
        .map(|server| {
            (context.registry.find(&server).and_then(|entry| entry.profile(client)), server)
        })
        .collect();
    let declared: Vec<_> =
        profiles.iter().map(|(info, _)| info.as_ref().map(|info| &info.capabilities)).collect();
    result.insert("capabilities".to_owned(), merged::capabilities(&declared, revision));
    between(result);
    let trusted = profiles.iter().filter_map(|(info, server)| {
        let info = info.as_ref()?;
        Some(async move { (server, instructions::trusted(context, server, info).await) })
    });
    let mut merged = String::new();
    for (server, text) in futures::future::join_all(trusted).await {
        let Some(text) = text else { continue };
        if merged.len() + text.len() > MAX_INSTRUCTIONS {
            tracing::warn!(%server, "the server's instructions are left out: together they are too long");
            continue;
        }
        let gap = if merged.is_empty() { "" } else { "\n\n" };
        // Writing to a string cannot fail.
        let _ = write!(merged, "{gap}## {server}\n{text}");
    }
    if !merged.is_empty() {
        result.insert("instructions".to_owned(), merged.into());
    }
}

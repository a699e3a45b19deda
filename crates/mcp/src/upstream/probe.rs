//! Which era a server is of (MCP 2026-07-28, versioning and stdio, "Backward Compatibility"): it is asked `server/discover` first. A server
//! that knows the answer is modern, and so is one that refuses in a modern way; any other error, or silence, means the handshake.
//! Silence is not waited out: a server that takes long to start gets both questions, and the one it answers decides.

use std::{sync::Arc, time::Duration};

use super::{
    Call, ServerInfo, UpstreamError,
    connection::ask,
    handshake::{excerpt, greet, refused},
    inbox::Inbox,
    link::Link,
    modern,
};
use crate::{
    era::{self, Era},
    face::Face,
    wire::{self, Outcome, Payload, code, meta},
};

/// How long `server/discover` alone is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gets to know the server. `known` is its era the last time, if anybody met it.
pub(super) async fn meet(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    face: &Face,
    known: Option<Era>,
    timeout: Duration,
) -> Result<ServerInfo, UpstreamError> {
    if known == Some(Era::Legacy) {
        match greet(inbox, link, face, timeout).await {
            // It may have become another.
            Err(UpstreamError::Handshake { .. } | UpstreamError::Status { .. }) if !inbox.closed().is_cancelled() => {}
            other => return other,
        }
    }
    let discovery = discover(inbox, link, face, timeout);
    tokio::pin!(discovery);
    let patience = PATIENCE.min(timeout / 3);
    match tokio::time::timeout(patience, &mut discovery).await {
        Ok(Ok(Discovered::Modern(info))) => return Ok(info),
        Ok(Ok(Discovered::Legacy)) => return greet(inbox, link, face, timeout).await,
        Ok(Err(error)) => return Err(error),
        Err(_) => {}
    }
    let greeting = greet(inbox, link, face, timeout);
    tokio::pin!(greeting);
    tokio::select! {
        discovered = &mut discovery => match discovered {
            Ok(Discovered::Modern(info)) => Ok(info),
            Ok(Discovered::Legacy) | Err(_) => greeting.await,
        },
        greeted = &mut greeting => match greeted {
            Err(UpstreamError::Handshake { detail }) => match discovery.await {
                Ok(Discovered::Modern(info)) => Ok(info),
                _ => Err(UpstreamError::Handshake { detail }),
            },
            other => other,
        },
    }
}

enum Discovered {
    Modern(ServerInfo),
    Legacy,
}

async fn discover(inbox: &Arc<Inbox>, link: &Arc<dyn Link>, face: &Face, timeout: Duration) -> Result<Discovered, UpstreamError> {
    let params = modern::own_params(None, &face.capabilities())?;
    let headers = modern::headers("server/discover", Some(&params))?;
    let call = Call { timeout: Some(timeout), headers, ..Call::default() };
    match ask(inbox, link, "server/discover", Some(params), call, timeout).await {
        Ok(Outcome::Result(result)) => match server_info(&result) {
            Some(info) => Ok(Discovered::Modern(info)),
            // Something else that answers everything.
            None => Ok(Discovered::Legacy),
        },
        Ok(Outcome::Error(error)) => refusal(&error),
        Err(UpstreamError::Status { .. } | UpstreamError::Timeout | UpstreamError::Protocol { .. }) => Ok(Discovered::Legacy),
        Err(error) => Err(error),
    }
}

/// A modern server says which revisions it has; one that has legacy ones too is greeted.
fn refusal(error: &Payload) -> Result<Discovered, UpstreamError> {
    let found: serde_json::Value = error.read().unwrap_or_default();
    match found["code"].as_i64() {
        Some(code::UNSUPPORTED_PROTOCOL_VERSION) => {
            let supported = found["data"]["supported"].as_array();
            let has_legacy = supported.into_iter().flatten().filter_map(|revision| revision.as_str()).any(era::is_legacy);
            if has_legacy {
                return Ok(Discovered::Legacy);
            }
            Err(refused(format!("the server speaks no revision that we know: {}", excerpt(error.as_str()))))
        }
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY) => {
            Err(refused(format!("server/discover was answered with {}", excerpt(error.as_str()))))
        }
        _ => Ok(Discovered::Legacy),
    }
}

/// What a `DiscoverResult` says; `None` when it is none, or does not name our revision.
pub(super) fn server_info(raw: &Payload) -> Option<ServerInfo> {
    let mut info = ServerInfo {
        era: Era::Modern,
        protocol_version: era::MODERN.to_owned(),
        capabilities: wire::object(&[]),
        server_info: wire::object(&[]),
        instructions: None,
        raw: raw.clone(),
    };
    let mut supported: Vec<String> = Vec::new();
    for (key, value) in wire::members(raw).ok()? {
        match &*key {
            "supportedVersions" => supported = value.read().ok()?,
            "capabilities" if value.as_str().starts_with('{') => info.capabilities = value,
            "instructions" => info.instructions = value.read().ok(),
            "_meta" => {
                let own = wire::members(&value).ok()?.into_iter().find(|(key, _)| key == meta::SERVER_INFO);
                info.server_info =
                    own.map(|(_, own)| own).filter(|own| own.as_str().starts_with('{')).unwrap_or(info.server_info);
            }
            _ => {}
        }
    }
    supported.iter().any(|revision| revision == era::MODERN).then_some(info)
}

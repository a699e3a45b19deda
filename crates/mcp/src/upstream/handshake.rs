//! The handshake of the legacy era (MCP 2025-11-25, lifecycle, "Initialization"): `initialize`, its
//! answer checked, `notifications/initialized`. Which servers get one is decided next door, in
//! [`super::probe`].

use std::{sync::Arc, time::Duration};

use super::{
    call::{Call, ask},
    error::{UpstreamError, excerpt},
    inbox::Inbox,
    link::{Link, Outgoing},
    modern,
    server_info::ServerInfo,
};
use crate::{
    client_capabilities::ClientCapabilities,
    era,
    wire::{
        self, Outcome, Payload,
        protocol::{error_member, member, method, notification},
    },
};

/// Performs the handshake. A server that refuses the newest legacy revision is offered those that
/// it says it has, or else the older ones (FB35).
pub(super) async fn perform(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    timeout: Duration,
) -> Result<ServerInfo, UpstreamError> {
    let mut left: Vec<&str> = era::LEGACY.to_vec();
    let mut refusal = None;
    let result = loop {
        let Some(revision) = left.pop() else {
            return Err(refusal.unwrap_or_else(|| UpstreamError::handshake(String::new())));
        };
        let error = match initialize(inbox, link, client_capabilities, revision, timeout).await? {
            Outcome::Result(result) => break result,
            Outcome::Error(error) => error,
        };
        if !may_want_another(&error, &mut left) {
            left.clear();
        }
        // The first refusal is reported: it is about the revision that every server is offered.
        refusal.get_or_insert_with(|| {
            UpstreamError::handshake(format!(
                "initialize was answered with {}",
                excerpt(error.as_str())
            ))
        });
    };
    let info = ServerInfo::of_initialize(result)?;
    link.complete_handshake(&info.protocol_version);
    link.send(Outgoing::aside(wire::notification(notification::INITIALIZED, None))).await?;
    link.wait_until_listening().await;
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
        (member::PROTOCOL_VERSION, &wire::quote(revision)),
        (member::CAPABILITIES, client_capabilities.capabilities().as_str()),
        (member::CLIENT_INFO, &modern::client_info()),
    ]);
    let call = Call { timeout: Some(timeout), ..Call::default() };
    match ask(inbox, link, method::INITIALIZE, Some(params), call, timeout).await {
        Err(UpstreamError::Timeout) => {
            Err(UpstreamError::handshake("no answer to initialize in time"))
        }
        answered => answered,
    }
}

/// Could a server that answers `initialize` with this error accept another revision? `left` has the
/// revisions that were not offered yet, and loses those that the server says it does not have.
fn may_want_another(error: &Payload, left: &mut Vec<&str>) -> bool {
    let said: serde_json::Value = error.read().unwrap_or_default();
    let supported: Vec<&str> =
        [error_member::SUPPORTED, member::SUPPORTED_VERSIONS, "supportedProtocolVersions"]
            .iter()
            .flat_map(|name| said[error_member::DATA][*name].as_array().into_iter().flatten())
            .filter_map(|revision| revision.as_str())
            .collect();
    if !supported.is_empty() {
        left.retain(|revision| supported.contains(revision));
        return !left.is_empty();
    }
    let words = said[error_member::MESSAGE].as_str().unwrap_or_default().to_ascii_lowercase();
    ["version", "revision"].iter().any(|word| words.contains(word))
}

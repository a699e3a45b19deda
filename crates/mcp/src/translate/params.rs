//! Parameters of requests.

use crate::{
    era,
    wire::{self, Payload, WireError, meta},
};

/// Of a legacy client, what a modern request has to say of it.
#[derive(Clone, Debug)]
pub(crate) struct ClientMeta {
    /// From the handshake.
    pub(crate) client_info: Payload,
    pub(crate) capabilities: Payload,
    /// What the client set with `logging/setLevel`.
    pub(crate) level: Option<&'static str>,
}

/// To a legacy server: without what only a modern one understands. What the client means for the
/// server itself stays.
pub(crate) fn to_legacy(params: Option<&Payload>) -> Result<Option<Payload>, WireError> {
    let Some(params) = params else { return Ok(None) };
    let own =
        [meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::CLIENT_CAPABILITIES, meta::LOG_LEVEL];
    let params = wire::without_members(params, &["inputResponses", "requestState"])?;
    wire::without_meta(&params, &own).map(Some)
}

/// To a modern server: with what the handshake said. `more` is added at the top.
pub(crate) fn to_modern(
    params: Option<&Payload>,
    client: &ClientMeta,
    more: &[(&str, &str)],
) -> Result<Payload, WireError> {
    let level = client.level.map(wire::quote);
    let version = wire::quote(era::MODERN);
    let mut members = vec![
        (meta::PROTOCOL_VERSION, &*version),
        (meta::CLIENT_INFO, client.client_info.as_str()),
        (meta::CLIENT_CAPABILITIES, client.capabilities.as_str()),
    ];
    members.extend(level.as_deref().map(|level| (meta::LOG_LEVEL, level)));
    wire::with_members(&wire::with_meta(params, &members)?, more)
}

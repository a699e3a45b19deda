//! What a server says of itself, read from its answer to `initialize` or `server/discover`. These
//! are sent next door, in [`super::handshake`] and [`super::probe`].

use super::error::{UpstreamError, excerpt};
use crate::{
    era::{self, Era},
    wire::{self, Payload, WireError, meta, protocol::member},
};

/// What a server says of itself, in the handshake or in `server/discover`.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub era: Era,
    pub protocol_version: String,
    pub capabilities: Payload,
    pub server_info: Payload,
    pub instructions: Option<String>,
    /// The whole result of `initialize`, or of `server/discover`.
    pub raw: Payload,
}

impl ServerInfo {
    /// Reads the server's result, in its era.
    pub(crate) fn read(era: Era, raw: Payload) -> Option<Self> {
        match era {
            Era::Legacy => Self::of_initialize(raw).ok(),
            Era::Modern => Self::of_discover(&raw),
        }
    }

    /// Reads the result of `initialize`.
    pub(super) fn of_initialize(raw: Payload) -> Result<Self, UpstreamError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Texts {
            protocol_version: String,
            #[serde(default)]
            instructions: Option<String>,
        }
        let bad = |error: WireError| {
            UpstreamError::handshake(format!("the result of initialize cannot be read: {error}"))
        };
        let texts: Texts = raw.read().map_err(bad)?;
        if !era::has_handshake(&texts.protocol_version) {
            return Err(UpstreamError::handshake(format!(
                "the server speaks revision {:?}, which has no handshake we know",
                excerpt(&texts.protocol_version)
            )));
        }
        let (mut capabilities, mut server_info) = (None, None);
        for (key, value) in wire::members(&raw).map_err(bad)? {
            match &*key {
                member::CAPABILITIES => capabilities = Some(value),
                member::SERVER_INFO => server_info = Some(value),
                _ => {}
            }
        }
        let object = |found: Option<Payload>| match found {
            Some(value) if value.as_str().starts_with('{') => value,
            _ => wire::object(&[]),
        };
        Ok(Self {
            era: Era::Legacy,
            protocol_version: texts.protocol_version,
            capabilities: object(capabilities),
            server_info: object(server_info),
            instructions: texts.instructions,
            raw,
        })
    }

    /// Reads the result of `server/discover`; `None` if it is none, or does not name the modern
    /// revision.
    pub(super) fn of_discover(raw: &Payload) -> Option<Self> {
        let mut info = Self {
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
                member::SUPPORTED_VERSIONS => supported = value.read().ok()?,
                member::CAPABILITIES if value.as_str().starts_with('{') => {
                    info.capabilities = value;
                }
                member::INSTRUCTIONS => info.instructions = value.read().ok(),
                member::META => {
                    let own = wire::members(&value)
                        .ok()?
                        .into_iter()
                        .find(|(key, _)| key == meta::SERVER_INFO);
                    info.server_info = own
                        .map(|(_, own)| own)
                        .filter(|own| own.as_str().starts_with('{'))
                        .unwrap_or(info.server_info);
                }
                _ => {}
            }
        }
        supported.iter().any(|revision| revision == era::MODERN).then_some(info)
    }
}

//! How a server introduces itself: the result of `initialize`, or of `server/discover`.

use crate::{
    era::{self, Era},
    upstream::ServerInfo,
    wire::{self, Payload, WireError},
};

/// Capabilities that were moved out of the core protocol.
const LEGACY_ONLY: [&str; 1] = ["tasks"];

/// To a legacy client that has agreed on `revision`: the server's own words, as far as it used the
/// same ones.
pub(crate) fn to_initialize(info: &ServerInfo, revision: &str) -> Result<Payload, WireError> {
    let revision = wire::quote(revision);
    if info.era == Era::Legacy {
        return wire::replace_member(
            &info.raw,
            &["protocolVersion"],
            &Payload::trusted(revision.into()),
        );
    }
    let nobody =
        Payload::trusted(bytes::Bytes::from_static(br#"{"name":"unnamed","version":"0"}"#));
    let server_info = if info.server_info.as_str() == "{}" { &nobody } else { &info.server_info };
    let instructions = info.instructions.as_deref().map(wire::quote);
    let mut members = vec![
        ("protocolVersion", &*revision),
        ("capabilities", info.capabilities.as_str()),
        ("serverInfo", server_info.as_str()),
    ];
    members.extend(instructions.as_deref().map(|text| ("instructions", text)));
    Ok(wire::object(&members))
}

/// To a modern client: the revisions are those that the gateway speaks, whichever the server does.
pub(crate) fn to_discover(info: &ServerInfo) -> Result<Payload, WireError> {
    let supported = supported_versions();
    if info.era == Era::Modern {
        return wire::with_members(&info.raw, &[("supportedVersions", supported.as_str())]);
    }
    let capabilities = wire::without_members(&info.capabilities, &LEGACY_ONLY)?;
    let instructions = info.instructions.as_deref().map(wire::quote);
    let mut members =
        vec![("supportedVersions", supported.as_str()), ("capabilities", capabilities.as_str())];
    members.extend(instructions.as_deref().map(|text| ("instructions", text)));
    Ok(wire::object(&members))
}

/// Every revision that the gateway speaks to clients.
pub(crate) fn supported_versions() -> Payload {
    Payload::from_value(&era::all().collect::<Vec<_>>().into())
}

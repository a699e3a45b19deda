//! What servers tell clients' models of themselves: pinned as a tool is (threat 45). Instructions
//! that changed are left out until an administrator approves them. The ones before do not stand in
//! for them: a server may give each person its own, and those of one are not for another.

use portunus_core::{ids::ServerName, pins::PinKind};

use super::context::CallContext;
use crate::{
    pins::Trust,
    upstream::ServerInfo,
    wire::{self, WireError, protocol::member},
};

/// The instructions of this server, unless they changed.
pub(super) async fn trusted<'a>(
    context: &CallContext,
    server: &ServerName,
    info: &'a ServerInfo,
) -> Option<&'a str> {
    let text = info.instructions.as_deref()?;
    let item = wire::object(&[(member::INSTRUCTIONS, &wire::quote(text))]);
    let trust = context.settings.pins.judge(server, PinKind::Instructions, &[item]).await;
    (trust == [Trust::Pass]).then_some(text)
}

/// What this server says of itself, without instructions that changed. What is no text never is
/// one of them.
pub(crate) async fn sifted(
    context: &CallContext,
    server: &ServerName,
    info: &ServerInfo,
) -> Result<ServerInfo, WireError> {
    let mut sifted = info.clone();
    if trusted(context, server, info).await.is_none() {
        sifted.instructions = None;
        sifted.raw = wire::without_members(&info.raw, &[member::INSTRUCTIONS])?;
    }
    Ok(sifted)
}

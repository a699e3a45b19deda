//! Tools, prompts and templates that are not what they were when people began to trust them (threat
//! 45): held back from lists, their calls refused ([`super::guard`]). Which they are, the port
//! [`crate::pins`] says; here is where it counts for a list that was fetched ([`sort`]), and for
//! one that is kept while an administrator approves what it lacks ([`is_lifted`]).
//!
//! What is held keeps its place: its name stays its server's, so that no call of it goes to another
//! one.

use portunus_core::ids::ServerName;

use crate::{
    pins::{ItemPins, Trust},
    registry::{kind::Kind, list::List},
    upstream::UpstreamError,
    wire::Payload,
};

/// A list that was fetched, with what may not be shown taken out of sight.
pub(crate) async fn sort(
    pins: &dyn ItemPins,
    server: &ServerName,
    kind: Kind,
    fetched: Result<List, UpstreamError>,
) -> Result<List, UpstreamError> {
    let list = fetched?;
    let Some(pinned) = kind.pinned() else { return Ok(list) };
    let items: Vec<Payload> = list.to_judge().map(|item| item.raw.clone()).collect();
    let trust = pins.judge(server, pinned, &items).await;
    Ok(list.holding(|n| is_held(&trust, n)))
}

/// Was something that this list lacks approved since?
pub(crate) async fn is_lifted(
    pins: &dyn ItemPins,
    server: &ServerName,
    kind: Kind,
    list: &List,
) -> bool {
    let Some(pinned) = kind.pinned() else { return false };
    let held: Vec<Payload> = list.held().iter().map(|item| item.raw.clone()).collect();
    !held.is_empty() && pins.judge(server, pinned, &held).await.contains(&Trust::Pass)
}

/// What was not answered for is held too.
pub(super) fn is_held(trust: &[Trust], n: usize) -> bool {
    trust.get(n) != Some(&Trust::Pass)
}

//! Tools that are not what they were when people began to trust them (threat 45): held back from
//! lists, their calls refused ([`super::guard`]). Which they are, the port [`crate::pins`] says;
//! here is where it counts for a list that was fetched ([`sort`]), and for one that is kept while
//! an administrator approves what it lacks ([`is_lifted`]).
//!
//! A tool that is held keeps its place: its name stays its server's, so that no call of it goes to
//! another one.

use portunus_core::ids::ServerName;

use crate::{
    pins::{ToolPins, Trust},
    registry::{kind::Kind, list::List},
    upstream::UpstreamError,
    wire::Payload,
};

/// A list that was fetched, with what may not be shown taken out of sight.
pub(crate) async fn sort(
    pins: &dyn ToolPins,
    server: &ServerName,
    kind: Kind,
    fetched: Result<List, UpstreamError>,
) -> Result<List, UpstreamError> {
    let list = fetched?;
    if kind != Kind::Tools {
        return Ok(list);
    }
    let tools: Vec<Payload> = list.items().iter().map(|item| item.raw.clone()).collect();
    let trust = pins.judge(server, &tools).await;
    Ok(list.holding(|n| is_held(&trust, n)))
}

/// Was something that this list lacks approved since?
pub(crate) async fn is_lifted(pins: &dyn ToolPins, server: &ServerName, list: &List) -> bool {
    let held: Vec<Payload> = list.held().iter().map(|item| item.raw.clone()).collect();
    !held.is_empty() && pins.judge(server, &held).await.contains(&Trust::Pass)
}

/// What was not answered for is held too.
pub(super) fn is_held(trust: &[Trust], n: usize) -> bool {
    trust.get(n) != Some(&Trust::Pass)
}

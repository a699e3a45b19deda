//! What the pool has of each server, for those who watch the gateway. Nothing is decided by it.

use std::collections::HashMap;

use portunus_core::ids::ServerName;

use super::{counts::ConnectionCounts, slot::Phase, upstreams::Upstreams};
use crate::sync::locked;

/// What there is of one server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// Connections in use, or ready for it; of a stdio server, its children.
    pub live: u64,
    /// Connections that begin just now.
    pub starting: u64,
    /// Of so many users the next start waits, since the last one failed.
    pub backing_off: u64,
    pub counts: ConnectionCounts,
}

impl Upstreams {
    /// The state of each server of the configuration.
    pub fn states(&self) -> Vec<(ServerName, ServerState)> {
        let mut states: HashMap<ServerName, ServerState> = {
            let counts = locked(&self.pool.counts);
            let state = |server: &ServerName| ServerState {
                counts: counts.get(server).copied().unwrap_or_default(),
                ..ServerState::default()
            };
            let specs = self.pool.specs.load();
            specs.iter().map(|spec| (spec.name.clone(), state(&spec.name))).collect()
        };
        self.pool.read_slots(|slots| {
            for (key, slot) in slots {
                let Some(state) = states.get_mut(&key.server) else { continue };
                // A slot is locked while its connection begins, and for moments else.
                let Ok(slot) = slot.try_lock() else {
                    state.starting += 1;
                    continue;
                };
                match &slot.phase {
                    Phase::Live { connection, .. } if !connection.is_closed() => state.live += 1,
                    Phase::Failed { .. } => state.backing_off += 1,
                    Phase::Live { .. } | Phase::Empty | Phase::Gone => {}
                }
            }
        });
        let mut states: Vec<_> = states.into_iter().collect();
        states.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        states
    }
}

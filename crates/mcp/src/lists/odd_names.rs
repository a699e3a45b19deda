//! Names on the endpoint of all servers that some clients refuse (FB40): told of once for each
//! server, when they are first listed.

use std::{collections::HashSet, sync::Mutex};

use portunus_core::{ids::ServerName, tool_name::oddity};

use crate::{registry::kind::Kind, sync::locked};

/// Names of one server that a line of the log has.
const SHOWN: usize = 5;

/// Which servers were told of.
#[derive(Default)]
pub(crate) struct OddNames(Mutex<HashSet<(ServerName, Kind)>>);

impl OddNames {
    /// Tells of the odd names of a list, which come server by server.
    pub(crate) fn tell<'a>(
        &self,
        kind: Kind,
        names: impl Iterator<Item = (&'a ServerName, String)>,
    ) {
        let mut found: Vec<(&ServerName, Vec<String>)> = Vec::new();
        for (server, name) in names {
            match found.last_mut().filter(|(last, _)| *last == server) {
                Some((_, odd)) => odd.push(name),
                None => found.push((server, vec![name])),
            }
        }
        for (server, odd) in found {
            if !locked(&self.0).insert((server.clone(), kind)) {
                continue;
            }
            let why = odd.first().and_then(|name| oddity(&[name])).map(|oddity| oddity.to_string());
            tracing::warn!(
                %server, count = odd.len(), names = odd[..odd.len().min(SHOWN)].join(" "), why,
                "clients may refuse names of this server, and with them all others of the list: give it a shorter name in mcp.json, set `names: plain`, \
                 or let clients use its own address"
            );
        }
    }
}

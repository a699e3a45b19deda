//! What operators rely on, end to end: several nodes, new configurations, backups, other stores,
//! certificates, a stop, child processes, a provider that is down. What goes over HTTP at one
//! gateway is next door, in `tests/http`; both stand on `tests/fixture`.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod child_cleanup;
#[cfg(test)]
mod child_isolation;
#[cfg(test)]
mod child_processes;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod configuration_files;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod disabled;
#[cfg(test)]
#[path = "../fixture/mod.rs"]
#[expect(dead_code, reason = "the other of the two programs uses the rest")]
mod fixture;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod node_requests;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod provider_outage;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod revocation_across_nodes;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod store_moves;
#[cfg(test)]
mod tls;

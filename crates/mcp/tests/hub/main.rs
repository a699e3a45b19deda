//! The hub from the edge's side, with servers that exist in memory only ([`fake`]) and a client
//! that sees every byte ([`client`], or [`modern`] of the other era).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the fakes of a test fail loudly")]

mod allow;
mod calls;
mod client;
mod denied;
mod fake;
mod fake_tasks;
mod freshness;
mod granted;
mod interfaces;
mod kept;
mod levels;
mod limits;
mod lists;
mod modern;
mod names;
mod once;
mod quarantine;
mod real;
mod real_tasks;
mod reconfigured;
mod resources;
mod resume;
mod sessions;
mod streams;
mod task_streams;
mod tasks;
mod transport;
mod waiting;
mod words;

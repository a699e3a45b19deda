//! Where records go beside the store: a [`file`] or standard output, [`syslog`], [`otlp`]. A
//! [`follower`] for each reads what the store has, in the order of the chain, and hands it on
//! ([`target`]): nothing waits in memory but one portion, whatever is slow or away delays no
//! request, and what was not taken yet is still there after a restart. How far each has come
//! ([`state`]) is noted in the chain's head. They are made by [`start`]; what of their failures the
//! log says is [`told`]'s.

mod file;
mod follower;
mod otlp;
mod start;
mod state;
mod syslog;
mod target;
#[cfg(test)]
mod tests;
mod told;

pub use self::state::TargetCounts;
pub(super) use self::{
    start::{follow, hand_on},
    state::Targets,
};

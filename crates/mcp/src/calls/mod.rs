//! Calls of clients: the request with all that is known of it ([`ask`]), its way from top to bottom
//! ([`pipeline`]), which server it is for ([`target`], [`route`], [`template`]), how it gets there
//! ([`forward`], [`lanes`]). What is answered on the way: lists ([`listing`]), levels ([`level`]),
//! subscriptions ([`subscribe`]), tasks ([`tasks`]), what the gateway says of itself ([`discover`],
//! [`greeting`], [`merged_capabilities`]). Whether another token may have an answer is judged in
//! [`judge`]; what became of one is told by [`observed`].

pub(crate) mod ask;
pub(crate) mod context;
mod discover;
mod forward;
pub(crate) mod greeting;
pub(crate) mod instructions;
pub(crate) mod judge;
pub(crate) mod lanes;
mod level;
mod listing;
mod merged_capabilities;
pub(crate) mod observed;
pub(crate) mod pipeline;
pub(crate) mod route;
pub(crate) mod subscribe;
mod target;
pub(crate) mod tasks;
mod template;

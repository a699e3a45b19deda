//! Tasks: what a client asks about one goes to the server that made it, if it is the client's own
//! ([`requests`]). Whose a task is, is written down when it is made ([`ownership`]), and asked by
//! one predicate in every view. Two servers that made the same id for one owner cannot be told
//! apart on `/mcp`, so neither is asked. What the two kinds of tasks have in common is in
//! [`dialect`], the merged list in [`list`], listening to one in [`watch`].

pub(crate) mod dialect;
mod list;
pub(crate) mod ownership;
mod requests;
pub(crate) mod watch;

pub(crate) use requests::{check, is_about_tasks, reply};

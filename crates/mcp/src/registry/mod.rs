//! The servers of the configuration in force ([`servers`]), each with what is known of it
//! ([`entry`]): what it said of itself, and its lists as they were last seen ([`catalogue`],
//! [`list_cache`], [`list`], [`kind`]). Connections to them are [`crate::connections`]'s, fetching
//! lists is [`crate::lists`]'s.

pub(crate) mod catalogue;
mod entry;
pub(crate) mod kind;
pub(crate) mod list;
pub(crate) mod list_cache;
mod servers;

pub(crate) use entry::Entry;
pub(crate) use servers::ServerRegistry;

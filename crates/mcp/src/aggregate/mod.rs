//! One MCP server made of many: what `/mcp` shows. Lists are fetched ([`fetch`]), kept ([`catalogue`]), merged ([`merge`]); calls
//! find their server by name or by URI ([`route`]) and go there as they came ([`call`]), unless they are of a tool that changed
//! ([`quarantine`]). What becomes of a call later on is asked where it was made ([`tasks`]).

pub(crate) mod call;
pub(crate) mod capabilities;
pub(crate) mod catalogue;
pub(crate) mod cursor;
pub(crate) mod fetch;
pub(crate) mod initialize;
pub(crate) mod kind;
pub(crate) mod list;
pub(crate) mod list_cache;
pub(crate) mod merge;
pub(crate) mod names;
pub(crate) mod odd_names;
pub(crate) mod quarantine;
pub(crate) mod route;
pub(crate) mod tasks;
pub(crate) mod template;

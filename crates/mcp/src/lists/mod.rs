//! Lists of tools, prompts, resources and templates: found and kept ([`find`]), fetched
//! ([`fetch`]), merged into what `/mcp` shows ([`merge`], [`names`], [`cursor`]), without what
//! changed ([`quarantine`], [`guard`]).

mod cursor;
mod fetch;
mod find;
pub(crate) mod guard;
pub(crate) mod merge;
pub(crate) mod names;
mod odd_names;
mod quarantine;

pub(crate) use find::{Lists, ServerLists};

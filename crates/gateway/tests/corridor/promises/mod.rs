//! What people were promised.

mod clients;
mod clocks;
mod configured_clients;
mod consent;
mod demo;
mod front_page;
mod grants;
mod mcp;
mod moving;
mod nodes;
mod operations;
mod outage;
mod prompts;
mod proxy;
mod reload;
mod shared_store;
mod sign_in;
mod stopping;
mod tls;

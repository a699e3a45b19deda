//! The threats, by where they strike. Each test makes its attack, and asserts the behaviour and what the store holds afterwards;
//! that nothing secret reached log or disk is asserted by `World::close`.

mod assertions;
mod authorize;
mod between_nodes;
mod browser_flows;
mod codes;
mod confused_deputy;
mod cookies;
mod door;
mod files;
mod flood;
mod headers;
mod hosts;
mod identity;
mod pages;
mod paths;
mod poisoned_tools;
mod refresh;
mod registration;
mod requests;
mod resources;
mod revocation;
mod revoked_elsewhere;
mod scopes;
mod servers;
mod slow;
mod strangers;

//! The edge: everything that speaks HTTP to browsers and clients. [`router`] puts it together;
//! [`oauth`] is the authorization server, [`resource_server`] lets requests with an access token
//! through, to [`mcp`] or [`proxy`]; [`pages`] are what people see; [`throttle`] counts
//! addresses, [`call_limits`] what people, clients, servers and tools have.

pub mod app_state;
pub mod body;
pub mod body_drain;
pub mod browser;
pub mod call_limits;
pub mod connections;
pub mod cookies;
pub mod csrf;
pub mod cut_body;
pub mod extensions;
pub mod for_browsers;
pub mod front_page;
pub mod health;
pub mod held_body;
pub mod keyed_limit;
pub mod layers;
pub mod limits;
pub mod mcp;
pub mod oauth;
pub mod pages;
pub mod providers;
pub mod proxy;
pub mod reloadable_service;
pub mod resource_server;
pub mod router;
pub mod secure;
pub mod server;
pub mod spanned_body;
pub mod throttle;

//! The gateway end to end over HTTP: the real gateway on a real socket, a fake Okta, real MCP
//! servers, a browser and a client. One file for each route or theme: what people are promised,
//! what attackers must not get, and what browsers and clients really do. What operators rely on is
//! next door, in `tests/ops`; both stand on `tests/fixture`.

#[cfg(test)]
mod access;
#[cfg(test)]
mod access_conditions;
#[cfg(test)]
mod admission;
#[cfg(test)]
mod agent_keys;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authorization_codes;
#[cfg(test)]
mod authorize;
#[cfg(test)]
mod browser_flows;
#[cfg(test)]
mod browsers;
#[cfg(test)]
mod bypasses;
#[cfg(test)]
mod call_limits;
#[cfg(test)]
mod client_assertions;
#[cfg(test)]
mod client_documents;
#[cfg(test)]
mod client_documents_unreachable;
#[cfg(test)]
mod client_management;
#[cfg(test)]
mod configured_clients;
#[cfg(test)]
mod confused_deputy;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod disabled;
#[cfg(test)]
mod every_grant;
#[cfg(test)]
#[path = "../fixture/mod.rs"]
#[expect(dead_code, reason = "the other of the two programs uses the rest")]
mod fixture;
#[cfg(test)]
mod front_page;
#[cfg(test)]
mod grant_lifecycles;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod health;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod limits_by_person;
#[cfg(test)]
mod malformed_requests;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod mcp_messages;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod prompt;
#[cfg(test)]
mod provider_sign_ins;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod refresh_tokens;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod repeated_registration;
#[cfg(test)]
mod request_ids;
#[cfg(test)]
mod request_state;
#[cfg(test)]
mod resource_indicators;
#[cfg(test)]
mod resource_server;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod slow_requests;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tool_pins;

//! What each person has of the gateway at once, on MCP endpoints and proxied paths alike. What is
//! counted in is [`KeyedLimit`].

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use portunus_core::ids::UserId;
use portunus_mcp::limits::Limited;
use serde_json::json;

use crate::edge::{
    body::ByteBudget,
    keyed_limit::{KeyedLimit, Permit},
};

/// What each person has of the gateway at once: requests under way, messages from the first byte of
/// the body to the head of the answer, proxied ones to the last byte of it; and bytes of bodies, as
/// long as they are kept (threats 47, 56, 62).
#[derive(Clone)]
pub struct Shares {
    pub requests: KeyedLimit<UserId>,
    pub bytes: KeyedLimit<UserId>,
    pub requests_per_user: usize,
    pub bytes_per_user: usize,
}

impl Shares {
    /// `Err` is the answer when the person has as many requests under way as allowed.
    pub fn request(&self, user: &UserId) -> Result<Permit<UserId>, Box<Response>> {
        self.requests.acquire(user, 1, self.requests_per_user).ok_or_else(|| Box::new(too_many()))
    }

    pub const fn budget<'a>(&'a self, user: &'a UserId) -> ByteBudget<'a, UserId> {
        ByteBudget { held: &self.bytes, whose: user, most: self.bytes_per_user }
    }
}

/// The answer to a request that is no MCP message, and met a limit of calls.
pub fn limited(limited: &Limited) -> Response {
    let body = json!({"error": "too_many_requests", "error_description": limited.text});
    let retry_after = [(header::RETRY_AFTER, limited.seconds().to_string())];
    (StatusCode::TOO_MANY_REQUESTS, retry_after, Json(body)).into_response()
}

fn too_many() -> Response {
    let body = json!({"error": "too_many_requests", "error_description": "too many requests of yours are under way: wait for some to end"});
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], Json(body)).into_response()
}

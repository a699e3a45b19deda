//! Who sends the request that is forwarded.

use std::net::IpAddr;

use portunus_core::principal::Principal;

/// Who is calling, as the edge has proven it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The address the request came from, trusted proxies already looked through.
    pub peer: IpAddr,
    pub principal: &'a Principal,
    pub request_id: &'a str,
}

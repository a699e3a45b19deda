//! The address that other nodes are told, where the configuration says none: the one of this
//! machine that the store is reached from.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _, UdpSocket};

/// This machine's address on the way to `host` (`name:port`). Nothing is sent.
pub fn toward(host: &str) -> IpAddr {
    let found = host.to_socket_addrs().ok().into_iter().flatten().find_map(|target| {
        let unspecified: &str = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(unspecified).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_machine_is_the_loopback() {
        assert!(toward("127.0.0.1:6379").is_loopback());
        assert!(toward("no such host").is_loopback());
    }
}

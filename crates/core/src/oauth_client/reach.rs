//! Which addresses a server may lead its client to by its metadata (threat 90): none that is nearer
//! to this machine than the server itself, and link-local addresses, where clouds keep credentials,
//! never. Blocks of addresses are named in [`crate::net_address`].

use std::net::IpAddr;

use crate::net_address::{self, SpecialUse};

/// How near an address is. A nearer one is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    Loopback,
    /// Of a company's or a home's network.
    Private,
    Public,
}

/// The error names the block of an address that no server may lead to.
pub fn nearness(address: IpAddr) -> Result<Nearness, SpecialUse> {
    match net_address::special_use(address.to_canonical()) {
        None => Ok(Nearness::Public),
        Some("loopback") => Ok(Nearness::Loopback),
        Some("private use" | "unique local" | "shared by carriers") => Ok(Nearness::Private),
        Some(other) => Err(other),
    }
}

/// How near a server at all of these addresses is: as near as the farthest of them.
pub fn of_server(addresses: &[IpAddr]) -> Nearness {
    let near = addresses.iter().map(|&address| nearness(address).unwrap_or(Nearness::Public));
    near.max().unwrap_or(Nearness::Public)
}

/// May a server that is as near as `server` lead to this address?
pub fn check(server: Nearness, address: IpAddr) -> Result<(), SpecialUse> {
    let found = nearness(address)?;
    if found >= server {
        return Ok(());
    }
    Err(net_address::special_use(address.to_canonical()).unwrap_or("special use"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t90_metadata_leads_to_nothing_nearer_than_the_server() {
        use Nearness::{Loopback, Private, Public};
        for (address, allowed) in [
            ("93.184.216.34", &[Loopback, Private, Public][..]),
            ("10.0.0.1", &[Loopback, Private]),
            ("192.168.1.1", &[Loopback, Private]),
            ("100.64.0.1", &[Loopback, Private]),
            ("fd00::1", &[Loopback, Private]),
            ("127.0.0.1", &[Loopback]),
            ("::1", &[Loopback]),
            ("::ffff:127.0.0.1", &[Loopback]),
            ("::ffff:10.0.0.1", &[Loopback, Private]),
            ("169.254.169.254", &[]),
            ("::ffff:169.254.169.254", &[]),
            ("fe80::1", &[]),
            ("168.63.129.16", &[]),
            ("0.0.0.0", &[]),
            ("::", &[]),
            ("224.0.0.1", &[]),
            ("64:ff9b::a00:1", &[]),
        ] {
            for server in [Loopback, Private, Public] {
                let found = check(server, address.parse().unwrap()).is_ok();
                assert_eq!(found, allowed.contains(&server), "{address} from {server:?}");
            }
        }
        let of = |texts: &[&str]| {
            of_server(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["127.0.0.1", "::1"]), Loopback);
        assert_eq!(of(&["127.0.0.1", "10.0.0.1"]), Private);
        assert_eq!(of(&["10.0.0.1", "93.184.216.34"]), Public, "both is no mistake");
        assert_eq!(of(&["169.254.1.1"]), Public);
        assert_eq!(of(&[]), Public);
    }
}

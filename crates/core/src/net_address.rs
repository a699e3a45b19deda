//! Which addresses belong to the public Internet: the ones a URL of a stranger's may lead to
//! (threats 26, 27). What such a URL may look like is decided in [`crate::outside_url`]; who
//! fetches it, and how, in the gateway's `net::guarded`.
//!
//! The tables are the IANA special-purpose address registries (RFC 6890), and what networks use to
//! carry IPv4 in IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where one subscriber is: an address of IPv4, however it is written, or a /64 of IPv6. Where many
/// share a /64, because each of its addresses stands for another host's of IPv4 or for another host
/// on the link, it is the whole address.
///
/// Two that are the same are taken for one machine; limits, which must not be evaded, count by
/// [`crate::address_block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscriber(u128);

impl Subscriber {
    pub fn of(address: IpAddr) -> Self {
        let v6 = match address.to_canonical() {
            IpAddr::V4(address) => return Self::of_v4(address),
            IpAddr::V6(address) => address,
        };
        match special_use_v6(v6) {
            Some("NAT64") => embedded_v4(v6).map_or(Self(v6.to_bits()), Self::of_v4),
            Some("NAT64, local use" | "link-local" | "Teredo") => Self(v6.to_bits()),
            _ => Self(v6.to_bits() & !u128::from(u64::MAX)),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        Self(address.to_ipv6_mapped().to_bits())
    }

    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Why an address is no public one: the name of its block, for the log.
pub type SpecialUse = &'static str;

/// IPv4 blocks: address, prefix length, name.
const IPV4: [([u8; 4], u32, SpecialUse); 20] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private use"),
    ([100, 64, 0, 0], 10, "shared by carriers"),
    ([127, 0, 0, 0], 8, "loopback"),
    // An ordinary address by the registries; in that cloud it is the host beneath the machine, and
    // answers that machine alone.
    ([168, 63, 129, 16], 32, "a cloud platform's own"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private use"),
    ([192, 0, 0, 0], 24, "IETF protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 31, 196, 0], 24, "AS112"),
    ([192, 52, 193, 0], 24, "AMT"),
    ([192, 88, 99, 0], 24, "6to4 relays"),
    ([192, 168, 0, 0], 16, "private use"),
    ([192, 175, 48, 0], 24, "AS112"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([255, 255, 255, 255], 32, "broadcast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// IPv6 blocks, the narrower ones first. What none of them names and lies outside `2000::/3` is not
/// public either.
const IPV6: [([u16; 8], u32, SpecialUse); 26] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible"),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped"),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "IPv4-translated"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "NAT64, local use"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard"),
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo"),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking"),
    ([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, "AMT"),
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "ORCHID"),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHIDv2"),
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, "drone identification"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "IETF protocol assignments"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "AS112"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
    ([0x200, 0, 0, 0, 0, 0, 0, 0], 7, "NSAP"),
];

/// The block that makes the address a special one; `None` for a public address.
///
/// Every address that carries an IPv4 address inside is special, whatever it carries: an honest
/// host has one of its own.
pub fn special_use(address: IpAddr) -> Option<SpecialUse> {
    match address {
        IpAddr::V4(address) => special_use_v4(address),
        IpAddr::V6(address) => special_use_v6(address),
    }
}

fn special_use_v4(address: Ipv4Addr) -> Option<SpecialUse> {
    let bits = address.to_bits();
    let holds = |block: [u8; 4], prefix: u32| {
        (bits ^ Ipv4Addr::from(block).to_bits()).checked_shr(32 - prefix) == Some(0)
    };
    IPV4.into_iter().find(|&(block, prefix, _)| holds(block, prefix)).map(|(_, _, name)| name)
}

fn special_use_v6(address: Ipv6Addr) -> Option<SpecialUse> {
    let bits = address.to_bits();
    let holds = |block: [u16; 8], prefix: u32| {
        (bits ^ Ipv6Addr::from(block).to_bits()).checked_shr(128 - prefix) == Some(0)
    };
    if let Some((_, _, name)) = IPV6.into_iter().find(|&(block, prefix, _)| holds(block, prefix)) {
        return Some(name);
    }
    let segments = address.segments();
    // RFC 5214 section 6.1: the universal/local bit says whether the IPv4 address within is a
    // public one.
    if matches!(segments[4], 0 | 0x0200) && segments[5] == 0x5efe {
        return Some("ISATAP");
    }
    (segments[0] >> 13 != 1).then_some("not global unicast")
}

/// The IPv4 address that an IPv6 address carries inside, for the log: whom the attempt was meant
/// for.
pub fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b] = address.segments();
    let last = Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b));
    let [_, c, d, ..] = address.segments();
    match special_use_v6(address)? {
        "IPv4-compatible" | "IPv4-mapped" | "IPv4-translated" | "NAT64" | "ISATAP" => Some(last),
        // RFC 4380 section 4: the client's address has its bits turned around.
        "Teredo" => Some(Ipv4Addr::from_bits(!last.to_bits())),
        "6to4" => Some(Ipv4Addr::from_bits(u32::from(c) << 16 | u32::from(d))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

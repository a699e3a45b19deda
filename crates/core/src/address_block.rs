//! The block of addresses that limits count by: one IPv4 address, or the /64 of an IPv6 address,
//! which is what one subscriber has. Which addresses are on the public Internet is next door, in
//! [`crate::net_address`].

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A block of addresses. An IPv4 address that is mapped into IPv6 (RFC 4291 section 2.5.5.2), or
/// translated by the well-known prefix of NAT64 (`64:ff9b::/96`, RFC 6052 section 2.1), is that
/// IPv4 address: a /64 would count all of IPv4 as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressBlock(u128);

impl AddressBlock {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded_by_nat64(address) {
                Some(address) => Self::of_v4(address),
                None => Self(u128::from(address) & !u128::from(u64::MAX)),
            },
        }
    }

    pub const fn of_v4(address: Ipv4Addr) -> Self {
        Self(address.to_ipv6_mapped().to_bits())
    }

    /// What records remember of it.
    pub fn tag(self) -> AddressTag {
        let digest = Sha256::digest(self.0.to_be_bytes());
        let mut tag = String::with_capacity(16);
        for byte in digest.iter().take(8) {
            let _ = fmt::Write::write_fmt(&mut tag, format_args!("{byte:02x}"));
        }
        AddressTag(tag)
    }
}

fn embedded_by_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            Some(Ipv4Addr::from_bits(u32::try_from(address.to_bits() & u128::from(u32::MAX)).ok()?))
        }
        _ => None,
    }
}

/// A name for an [`AddressBlock`] in records, by which they are counted: the start of its hash, so
/// that no record spells an address out. It is no secret: all addresses can be tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressTag(String);

impl AddressTag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().unwrap())
    }

    #[test]
    fn t25_t55_what_counts_as_one_address() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "::ffff:c000:201", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "64:ff9b::192.0.2.1", true),
            ("192.0.2.1", "64:ff9b::192.0.2.2", false),
            ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false),
            ("64:ff9b:0:0:0:1::1", "64:ff9b:0:0:0:1::2", true),
            ("64:ff9b:1::192.0.2.1", "64:ff9b:1::192.0.2.2", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("2001:db8::1", "2001:db9::1", false),
            ("::1", "::2", true),
            ("::1", "127.0.0.1", false),
            ("0.0.0.0", "::", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(block(one) == block(other), same, "{one} {other}");
            assert_eq!(block(one).tag() == block(other).tag(), same, "{one} {other}");
        }
        let tag = block("192.0.2.1").tag();
        assert_eq!(tag.as_str().len(), 16);
        assert!(tag.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

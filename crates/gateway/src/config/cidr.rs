//! Address ranges: `10.0.0.0/8`, `fd00::/8`, or a single address.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use thiserror::Error;

/// A range of IP addresses (RFC 4632, RFC 4291 section 2.3). An IPv4 address mapped into IPv6
/// counts as its IPv4 self.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(IpNet);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCidr {
    #[error("an address range such as 10.0.0.0/8 or fd00::/8, or one address")]
    NotAnAddress,
    #[error("a prefix length of at most {longest} after the slash")]
    Prefix { longest: u8 },
    #[error("no bits set after the prefix: {0}")]
    HostBits(IpNet),
}

impl Cidr {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| BadCidr::NotAnAddress)?;
        let Some(prefix) = prefix else { return Ok(Self(address.into())) };
        let longest = IpNet::from(address).max_prefix_len();
        let prefix = prefix.parse().map_err(|_| BadCidr::Prefix { longest })?;
        let range = IpNet::new(address, prefix).map_err(|_| BadCidr::Prefix { longest })?;
        if range.addr() == range.network() {
            Ok(Self(range))
        } else {
            Err(BadCidr::HostBits(range.trunc()))
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_should() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ];
        for (range, address, expected) in cases {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), expected, "{range} {address}");
        }
    }

    #[test]
    fn bad_ranges_are_refused() {
        for bad in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/8/8",
            "10/8",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?}");
        }
    }
}

//! Address ranges: `10.0.0.0/8`, `fd00::/8`, or a single address.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;

/// A range of IP addresses (RFC 4632, RFC 4291 section 2.3). An IPv4 address mapped into IPv6
/// counts as its IPv4 self.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCidr {
    #[error("an address range such as 10.0.0.0/8 or fd00::/8, or one address")]
    NotAnAddress,
    #[error("a prefix length of at most {longest} after the slash")]
    Prefix { longest: u8 },
    #[error("no bits set after the prefix: {network}/{prefix}")]
    HostBits { network: IpAddr, prefix: u8 },
}

impl Cidr {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                masked(network.to_bits().into(), self.prefix, 32)
                    == masked(address.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                masked(network.to_bits(), self.prefix, 128)
                    == masked(address.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }
}

/// The first `prefix` bits of an address of `width` bits; the rest zero.
fn masked(bits: u128, prefix: u8, width: u8) -> u128 {
    match u32::from(width - prefix) {
        128.. => 0,
        rest => (bits >> rest) << rest,
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let network: IpAddr = address.parse().map_err(|_| BadCidr::NotAnAddress)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or(BadCidr::Prefix { longest })?,
        };
        let cleared = match network {
            IpAddr::V4(network) => {
                let bits = masked(network.to_bits().into(), prefix, 32);
                IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()))
            }
            IpAddr::V6(network) => {
                IpAddr::V6(std::net::Ipv6Addr::from_bits(masked(network.to_bits(), prefix, 128)))
            }
        };
        if cleared == network {
            Ok(Self { network, prefix })
        } else {
            Err(BadCidr::HostBits { network: cleared, prefix })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
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

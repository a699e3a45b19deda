//! Addresses, block by block, and those that hide another.

use super::*;

fn named(address: &str) -> Option<SpecialUse> {
    special_use(address.parse().unwrap())
}

#[test]
fn public_addresses() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.1",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.1",
        "203.0.112.1",
        "203.0.114.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2003::1",
        "2620:4f:7fff::1",
        "3ffe::1",
        "3fff:1000::1",
        "2606:4700::5efe:1",
    ] {
        assert_eq!(named(address), None, "{address}");
    }
}

#[test]
fn t26_special_addresses_are_named() {
    for (address, expected) in [
        ("0.0.0.0", "this network"),
        ("0.1.2.3", "this network"),
        ("10.0.0.0", "private use"),
        ("10.255.255.255", "private use"),
        ("100.64.0.0", "shared by carriers"),
        ("100.100.100.200", "shared by carriers"),
        ("100.127.255.255", "shared by carriers"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "a cloud platform's own"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.0", "private use"),
        ("172.31.255.255", "private use"),
        ("192.0.0.192", "IETF protocol assignments"),
        ("192.0.2.1", "documentation"),
        ("192.31.196.1", "AS112"),
        ("192.52.193.1", "AMT"),
        ("192.88.99.1", "6to4 relays"),
        ("192.168.0.1", "private use"),
        ("192.175.48.1", "AS112"),
        ("198.18.0.0", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.254", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("100::1", "discard"),
        ("100:0:0:1::1", "dummy prefix"),
        ("200::1", "NSAP"),
        ("2001:2::1", "benchmarking"),
        ("2001:3::1", "AMT"),
        ("2001:1f::1", "ORCHID"),
        ("2001:20::1", "ORCHIDv2"),
        ("2001:30::1", "drone identification"),
        ("2001:1::1", "IETF protocol assignments"),
        ("2001:1ff::1", "IETF protocol assignments"),
        ("2001:db8::1", "documentation"),
        ("2620:4f:8000::1", "AS112"),
        ("3fff::1", "documentation"),
        ("5f00::1", "segment routing"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "site-local"),
        ("feff::1", "site-local"),
        ("ff02::1", "multicast"),
        ("1::1", "not global unicast"),
        ("4000::1", "not global unicast"),
        ("8000::1", "not global unicast"),
        ("fe00::1", "not global unicast"),
    ] {
        assert_eq!(named(address), Some(expected), "{address}");
    }
}

#[test]
fn t27_ipv4_hidden_in_ipv6_is_found() {
    for (address, expected, hidden) in [
        ("::7f00:1", "IPv4-compatible", "127.0.0.1"),
        ("::ffff:127.0.0.1", "IPv4-mapped", "127.0.0.1"),
        ("::ffff:7f00:1", "IPv4-mapped", "127.0.0.1"),
        ("::ffff:a9fe:a9fe", "IPv4-mapped", "169.254.169.254"),
        ("::ffff:8.8.8.8", "IPv4-mapped", "8.8.8.8"),
        ("::ffff:0:10.0.0.1", "IPv4-translated", "10.0.0.1"),
        ("64:ff9b::10.0.0.1", "NAT64", "10.0.0.1"),
        ("64:ff9b::8.8.8.8", "NAT64", "8.8.8.8"),
        ("2002:7f00:1::", "6to4", "127.0.0.1"),
        ("2002:a9fe:a9fe::1", "6to4", "169.254.169.254"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo", "192.0.2.45"),
        ("2606:4700::5efe:192.168.0.1", "ISATAP", "192.168.0.1"),
        ("2606:4700::200:5efe:8.8.8.8", "ISATAP", "8.8.8.8"),
    ] {
        let parsed: Ipv6Addr = address.parse().unwrap();
        assert_eq!(special_use(parsed.into()), Some(expected), "{address}");
        assert_eq!(
            embedded_v4(parsed).map(|v4| v4.to_string()).as_deref(),
            Some(hidden),
            "{address}"
        );
    }
    for address in ["64:ff9b:1::10.0.0.1", "64:ff9b:1:fffe:ffff::1", "fe80::5efe:10.0.0.1"] {
        assert!(named(address).is_some(), "{address}");
    }
    assert_eq!(embedded_v4("2606:4700::1".parse().unwrap()), None);
}

#[test]
fn fb16_an_address_is_what_one_subscriber_has() {
    let same = [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "64:ff9b::192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("fd00:1:2:3::1", "fd00:1:2:3::2"),
        ("2002:c000:201::1", "2002:c000:201::2"),
        ("fe80::1", "fe80::1"),
    ];
    let other = [
        ("192.0.2.1", "192.0.2.2"),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::1"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::1".replace("1:2", "2:1").as_str()),
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"),
        ("64:ff9b:1::192.0.2.1", "64:ff9b:1::192.0.2.2"),
        ("fe80::1", "fe80::2"),
        ("2001:0:1:2::1", "2001:0:1:2::2"),
        // The holder of a /64 may write any address of IPv4 into it.
        ("192.0.2.1", "2001:db8:1:2:0:5efe:192.0.2.1"),
        ("192.0.2.1", "2001:db8:1:2:200:5efe:192.0.2.1"),
    ]
    .map(|(one, other)| (one.to_owned(), other.to_owned()));
    let block = |text: &str| Subscriber::of(text.parse().unwrap());
    for (one, other) in same {
        assert_eq!(block(one), block(other), "{one} {other}");
    }
    for (one, other) in other {
        assert_ne!(block(&one), block(&other), "{one} {other}");
    }
}

//! Cases for the limits. None of them waits: what comes back comes back after hours.

use super::*;

fn rate(count: u32) -> Rate {
    Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(24 * 60 * 60) }
}

fn throttle(count: u32) -> Throttle {
    let limit = Some(rate(count));
    let limits = Limits {
        registration: limit,
        authorize: limit,
        token: limit,
        token_client: limit,
        failures: limit,
        ..Limits::default()
    };
    Throttle::new(&limits)
}

fn key(n: u128) -> Key {
    Key::of(IpAddr::from((n << 64).to_be_bytes()))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn t25_each_address_has_its_own_count_at_each_gate() {
    let throttle = throttle(3);
    let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
    for gate in [Gate::Registration, Gate::Authorize, Gate::Token] {
        for _ in 0..3 {
            assert_eq!(throttle.check(gate, one), Ok(()), "{gate:?}");
        }
        let TooMany(wait) = throttle.check(gate, one).unwrap_err();
        assert!(wait > Duration::from_secs(3600), "a third of a day: {wait:?}");
        assert_eq!(throttle.check(gate, other), Ok(()), "{gate:?}");
    }
    assert_eq!(throttle.count_failure(one), Ok(()), "failures are counted apart");
}

#[test]
fn t25_ipv6_counts_by_64_and_mapped_addresses_as_ipv4() {
    let cases = [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("::1", "127.0.0.1", false),
    ];
    for (one, other, same) in cases {
        assert_eq!(Key::of(address(one)) == Key::of(address(other)), same, "{one} {other}");
    }
}

#[test]
fn t25_a_stranger_cannot_use_up_what_a_client_may_do() {
    let throttle = throttle(2);
    let (home, stranger) = (address("192.0.2.1"), address("203.0.113.9"));
    for _ in 0..2 {
        assert!(throttle.check_client(stranger, "c1").is_ok());
    }
    assert!(throttle.check_client(stranger, "c1").is_err());
    assert!(throttle.check_client(stranger, "c2").is_ok());
    assert!(throttle.check_client(home, "c1").is_ok());
}

#[test]
fn t25_memory_has_a_bound() {
    let limiter = Limiter::new(rate(1));
    for n in 0..50 {
        limiter.check(key(n)).unwrap();
    }
    let keyed = Arc::clone(&limiter.keyed.read().unwrap());
    limiter.tidy(&keyed, 50);
    assert!(limiter.check(key(0)).is_err(), "it is still remembered");
    limiter.tidy(&keyed, 49);
    assert!(limiter.check(key(0)).is_ok(), "counting began anew");

    let quick = Limiter::new(Rate {
        count: NonZeroU32::new(1_000_000).unwrap(),
        per: Duration::from_secs(1),
    });
    for n in 0..TIDY_EVERY * 20 {
        quick.check(key(n as u128)).unwrap();
    }
    let remembered = quick.keyed.read().unwrap().len();
    assert!(remembered < TIDY_EVERY * 10, "{remembered} addresses of long ago are remembered");
}

#[test]
fn no_limit_is_no_limit() {
    let throttle = Throttle::new(&Limits::unlimited());
    for _ in 0..1000 {
        assert!(
            throttle.check(Gate::Token, address("::1")).is_ok()
                && throttle.check_client(address("::1"), "c").is_ok()
        );
    }
}

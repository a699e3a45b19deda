//! How long an answer may be kept (RFC 9111 sections 4.2 and 5.2, for a cache that serves many).
//! Where it is kept: [`super::response_cache`].

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

/// Bounds: a document that must not be kept is kept for a minute all the same, or each step of a
/// sign-in would fetch it anew.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// If nothing is said.
const UNSAID: Duration = Duration::from_secs(10 * 60);

/// How long an answer that came just now may be kept.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let age = text(headers, header::AGE)
        .and_then(|age| age.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    said(headers).map_or(UNSAID, |lifetime| lifetime.saturating_sub(age)).clamp(SHORTEST, LONGEST)
}

/// What the server says of an answer that is new.
fn said(headers: &HeaderMap) -> Option<Duration> {
    let control =
        headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let control = control.collect::<Vec<_>>().join(",").to_ascii_lowercase();
    let directives = || control.split(',').map(str::trim);
    if directives().any(|word| {
        word == "no-store" || word == "private" || word.split('=').next() == Some("no-cache")
    }) {
        return Some(Duration::ZERO);
    }
    let seconds = |name: &str| {
        let value = directives()
            .find_map(|word| word.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        // What cannot be read counts as stale (section 4.2.1).
        Some(Duration::from_secs(value.trim().trim_matches('"').parse().unwrap_or(0)))
    };
    seconds("s-maxage").or_else(|| seconds("max-age")).or_else(|| expires(headers))
}

/// `Expires`, by the server's own clock. A date that cannot be read has passed (section 5.3).
fn expires(headers: &HeaderMap) -> Option<Duration> {
    let until = text(headers, header::EXPIRES)?;
    let date = text(headers, header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let until = httpdate::parse_http_date(until).unwrap_or(SystemTime::UNIX_EPOCH);
    Some(date.map_or(Duration::ZERO, |date| until.duration_since(date).unwrap_or_default()))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_within_bounds() {
        const DATE: &str = "Tue, 15 Nov 1994 12:00:00 GMT";
        let cases: [(&[(&str, &str)], u64); 18] = [
            (&[], 600),
            (&[("cache-control", "max-age=300")], 300),
            (&[("cache-control", "public, Max-Age=\"300\"")], 300),
            (&[("cache-control", "max-age=300, s-maxage=900")], 900),
            (&[("cache-control", "max-age=300"), ("age", "100")], 200),
            (&[("cache-control", "max-age=300"), ("age", "250")], 60),
            (&[("cache-control", "max-age=300"), ("age", "9999")], 60),
            (&[("cache-control", "max-age=0")], 60),
            (&[("cache-control", "max-age=-1")], 60),
            (&[("cache-control", "max-age=soon")], 60),
            (&[("cache-control", "max-age=31536000")], 86400),
            (&[("cache-control", "max-age=99999999999999999999999")], 60),
            (&[("cache-control", "max-age=300, no-store")], 60),
            (&[("cache-control", "public"), ("cache-control", "no-cache=\"x\", max-age=300")], 60),
            (&[("expires", "Tue, 15 Nov 1994 12:30:00 GMT"), ("date", DATE)], 1800),
            (
                &[
                    ("expires", "Tue, 15 Nov 1994 12:30:00 GMT"),
                    ("date", DATE),
                    ("cache-control", "max-age=120"),
                ],
                120,
            ),
            (&[("expires", "0"), ("date", DATE)], 60),
            (&[("expires", "Tue, 15 Nov 2094 12:30:00 GMT")], 60),
        ];
        for (headers, expected) in cases {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(lifetime(&map).as_secs(), expected, "{headers:?}");
        }
    }
}

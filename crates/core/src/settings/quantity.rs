//! Durations and sizes as people write them: `60m`, `30d`, `1h 30m`, `4MiB`.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

/// What to write for a duration.
pub const DURATION: &str = "a number with its unit, such as 30s, 60m, 12h or 30d";
/// What to write for a duration that there need not be.
pub const DURATION_OR_OFF: &str = "`off`, or a number with its unit, such as 30m, 12h or 7d";
/// What to write for a rate.
pub const RATE: &str = "a number and a time of a day at most, such as 600/min, 5/s or 1000/10m";
/// What to write for a rate that there need not be.
pub const RATE_OR_UNLIMITED: &str =
    "a number and a time of a day at most, such as 60/m, 5/s or 1000/10m; or unlimited";
/// What to write for bytes in a time.
pub const SIZE_RATE: &str = "a size and a time of a day at most, such as 50MiB/min or 1GB/h";
/// What to write for a size.
pub const SIZE: &str = "a number of bytes, or one with its unit, such as 512KiB or 4MiB";

/// Reads a duration: one or more numbers, each with its unit. A number without one is refused: it
/// could mean seconds or milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let millis = match unit.to_ascii_lowercase().as_str() {
            "ms" => 1,
            "s" | "sec" | "second" | "seconds" => 1000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = after.trim_start();
    }
    Some(total)
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest units that lose nothing.
pub fn show_duration(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
    {
        if millis / size > 0 {
            parts.push(format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Reads a rate: `60/m`, `1000/10m`, `5/s`. At most one in a nanosecond, for a finer clock there is
/// none.
pub fn parse_rate(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (count, per) = text.split_once('/')?;
    let count: NonZeroU32 = count.trim().parse().ok()?;
    let per = period(per)?;
    (per.as_nanos() >= u128::from(count.get())).then_some((count, per))
}

/// Reads bytes in a time: `50MiB/min`, `1 GB/h`.
pub fn parse_size_rate(text: &str) -> Option<(NonZeroU64, Duration)> {
    let (size, per) = text.split_once('/')?;
    let size = NonZeroU64::new(u64::try_from(parse_size(size)?).ok()?)?;
    Some((size, period(per)?))
}

/// A time of a day at most; one of its unit if there is no number.
fn period(text: &str) -> Option<Duration> {
    let text = text.trim();
    let per = if text.starts_with(|c: char| c.is_ascii_digit()) {
        parse_duration(text)
    } else {
        parse_duration(&format!("1{text}"))
    }?;
    (!per.is_zero() && per <= Duration::from_secs(86_400)).then_some(per)
}

/// Reads a size in bytes. `kB`, `MB` are thousands, `KiB`, `MiB` are 1024s.
pub fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = leading_number(text.trim())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(factor)?).ok()
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("60m", Some(3600)),
            ("30d", Some(2_592_000)),
            ("1h 30m", Some(5400)),
            ("1h30m", Some(5400)),
            ("30 s", Some(30)),
            ("2 weeks", Some(1_209_600)),
            ("0s", Some(0)),
            ("60", None),
            ("m", None),
            ("-5m", None),
            ("1.5h", None),
            ("5y", None),
            ("", None),
            ("99999999999999999999d", None),
            ("9999999999999999999d", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text), seconds.map(Duration::from_secs), "{text:?}");
        }
        for text in ["7d", "1h 30m", "250ms", "0s", "1d 1s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
    }

    #[test]
    fn rates() {
        let cases = [
            ("60/m", Some((60, 60))),
            ("5/s", Some((5, 1))),
            (" 1000 / 10m", Some((1000, 600))),
            ("1/day", Some((1, 86_400))),
            ("0/m", None),
            ("60", None),
            ("60/", None),
            ("/m", None),
            ("60/0s", None),
            ("1/2d", None),
            ("4000000000/1s", None),
            ("-1/m", None),
            ("60/m/m", None),
        ];
        for (text, expected) in cases {
            let found = parse_rate(text).map(|(count, per)| (count.get(), per.as_secs()));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_in_a_time() {
        let cases = [
            ("50MiB/min", Some((52_428_800, 60))),
            (" 50 MiB / min", Some((52_428_800, 60))),
            ("1GB/h", Some((1_000_000_000, 3600))),
            ("4096/10s", Some((4096, 10))),
            ("0/s", None),
            ("50MiB", None),
            ("50MiB/", None),
            ("50MiB/0s", None),
            ("50MiB/2d", None),
            ("MiB/s", None),
        ];
        for (text, expected) in cases {
            let found = parse_size_rate(text).map(|(size, per)| (size.get(), per.as_secs()));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("4MiB", Some(4_194_304)),
            ("512 KiB", Some(524_288)),
            ("1000", Some(1000)),
            ("1mb", Some(1_000_000)),
            ("4m", Some(4_194_304)),
            ("MiB", None),
            ("4 things", None),
            ("-1", None),
            ("99999999999GiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
    }
}

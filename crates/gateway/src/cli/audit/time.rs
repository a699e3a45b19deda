//! Times as they are typed and shown: the calendar, in UTC (RFC 3339).

use std::time::Duration;

use portunus_core::Timestamp;

const DAY: i64 = 24 * 3600;

/// `2026-11-30T18:00:00Z`.
pub(in crate::cli) fn written(at: Timestamp) -> String {
    let (days, seconds) = (at.as_secs().div_euclid(DAY), at.as_secs().rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same, or the day alone, or how long before `now`.
pub(in crate::cli) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(before) = duration(text) {
        return Some(now - before);
    }
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let [year, month, date] = numbers(day, '-')?;
    let [hour, minute, second] = numbers(time.strip_suffix('Z')?, ':')?;
    let is_there = (1..=12).contains(&month) && (1..=31).contains(&date);
    if !is_there || hour > 23 || minute > 59 || second > 60 || !(1970..=9999).contains(&year) {
        return None;
    }
    let seconds = days(year, month, date) * DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_secs(seconds))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let numbers: Option<Vec<i64>> = text
        .split(between)
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
        .collect();
    numbers?.try_into().ok()
}

/// Days since 1970-01-01, in the calendar that repeats every 400 years. The year begins in March
/// here, so that the day that is not always there is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_the_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_the_era = year.rem_euclid(400);
    let in_the_era = of_the_era * 365 + of_the_era / 4 - of_the_era / 100 + of_the_year;
    year.div_euclid(400) * 146_097 + in_the_era - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let (era, in_the_era) =
        ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
    let of_the_era =
        (in_the_era - in_the_era / 1460 + in_the_era / 36_524 - in_the_era / 146_096) / 365;
    let of_the_year = in_the_era - (365 * of_the_era + of_the_era / 4 - of_the_era / 100);
    let from_march = (5 * of_the_year + 2) / 153;
    let day = of_the_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + of_the_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_539_200, "2026-03-03T12:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let at = Timestamp::from_secs(seconds);
            assert_eq!(written(at), text);
            assert_eq!(parse(text, at), Some(at));
        }
        let now = Timestamp::from_secs(1_000_000_000);
        assert_eq!(parse("2026-03-03", now), Some(Timestamp::from_secs(1_772_496_000)));
        assert_eq!(parse("90m", now), Some(Timestamp::from_secs(1_000_000_000 - 5400)));
        for wrong in
            ["", "yesterday", "2026-13-01", "2026-01-01T25:00:00Z", "2026-01-01T10:00", "-1d"]
        {
            assert_eq!(parse(wrong, now), None, "{wrong}");
        }
    }
}

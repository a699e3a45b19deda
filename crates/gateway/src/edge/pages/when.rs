//! Days as people say them.

use portunus_core::Timestamp;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAY_SECS: i64 = 24 * 60 * 60;

/// `today`, `yesterday` or `on 3 March 2026`, in UTC.
pub fn day(then: Timestamp, now: Timestamp) -> String {
    let then_day = then.as_secs().div_euclid(DAY_SECS);
    match now.as_secs().div_euclid(DAY_SECS) - then_day {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        _ => {
            let (year, month, day) = civil(then_day);
            format!("on {day} {} {year}", MONTHS[month])
        }
    }
}

/// Year, month (from 0) and day of a day counted from 1970-01-01, in the proleptic Gregorian
/// calendar. Years are counted from March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_as_people_say_them() {
        let now = Timestamp::from_secs(1_772_539_200); // 2026-03-03T12:00:00Z
        let cases = [
            (1_772_539_200, "today"),
            (1_772_496_000, "today"),
            (1_772_495_999, "yesterday"),
            (1_772_323_200, "on 1 March 2026"),
            (1_772_236_800, "on 28 February 2026"),
            (1_709_164_800, "on 29 February 2024"),
            (951_782_400, "on 29 February 2000"),
            (0, "on 1 January 1970"),
            (-86_400, "on 31 December 1969"),
        ];
        for (then, expected) in cases {
            assert_eq!(day(Timestamp::from_secs(then), now), expected, "{then}");
        }
    }
}

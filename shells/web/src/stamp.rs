//! Times on the wire: RFC 3339, UTC, milliseconds.

use doorbuster_core::time::Wall;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use std::fmt::Write;

/// Writes a time: `2026-01-02T03:04:05.678Z`. Times beyond year 9999 are shown as its end.
pub fn write(out: &mut String, time: Wall) {
    // By hand, because every 202 holds one: the library's printer chooses the precision by the value.
    let days = (time.0 / 86_400_000).min(LAST_DAY);
    let of_day = time.0 % 86_400_000;
    let (year, month, day) = civil(days);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, millis) = (of_day / 1000 % 60, of_day % 1000);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
        .expect("a String takes it");
}

/// The time as text.
pub fn text(time: Wall) -> String {
    let mut out = String::with_capacity(24);
    write(&mut out, time);
    out
}

/// 9999-12-31 in days since 1970: RFC 3339 has four digits for the year.
const LAST_DAY: u64 = 2_932_896;

/// Year, month and day of a day since 1970; Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Reads an RFC 3339 time; refused before 1970.
pub fn parse(text: &str) -> Option<Wall> {
    let stamp: Timestamp = text.parse().ok()?;
    u64::try_from(stamp.as_millisecond()).ok().map(Wall)
}

/// For serde: `#[serde(deserialize_with = "stamp::deserialize")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wall, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is not a time: expected RFC 3339, as 2026-01-02T03:04:05Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_written_time_is_read_again(millis in 0_u64..253_402_300_800_000) {
            prop_assert_eq!(parse(&text(Wall(millis))), Some(Wall(millis)));
        }
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(text(Wall(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(Wall(1_709_210_096_789)), "2024-02-29T12:34:56.789Z");
        assert_eq!(parse("2024-02-29T13:34:56.789+01:00"), Some(Wall(1_709_210_096_789)));
        assert_eq!(parse("yesterday"), None);
        assert!(text(Wall(u64::MAX)).starts_with("9999-12-31T"));
    }
}

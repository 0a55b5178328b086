//! What a number, a time or an enum is in a column.

use doorbuster_core::time::Wall;
use google_cloud_spanner::transaction::Timestamp;
use google_cloud_spanner::value::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Microseconds of 9999-12-31T23:59:59.999Z, the last millisecond that a TIMESTAMP can hold.
const FOREVER_MICROS: u64 = 253_402_300_799_999_000;

/// The time of a row's column. The end of the calendar stands for everything that core counts beyond it.
pub fn time(at: Wall) -> Value {
    micros(at.0.saturating_mul(1_000))
}

/// Microseconds since the Unix epoch as a column, with the same end.
pub fn micros(micros: u64) -> Value {
    timestamp(micros).into()
}

/// Microseconds since the Unix epoch as the client says it.
pub fn timestamp(micros: u64) -> Timestamp {
    let micros = micros.min(FOREVER_MICROS);
    Timestamp::clamp((micros / 1_000_000) as i64, (micros % 1_000_000) as i32 * 1_000)
}

/// The inverse of [`micros`]; what is finer is cut off, and the end of the calendar is the end of time again.
pub fn micros_of(at: Timestamp) -> u64 {
    let seconds = u64::try_from(at.seconds()).unwrap_or(0);
    let micros = seconds * 1_000_000 + u64::from(at.nanos().unsigned_abs()) / 1_000;
    if micros >= FOREVER_MICROS { u64::MAX } else { micros }
}

/// The inverse of [`time`].
pub fn wall_of(at: Timestamp) -> Wall {
    match micros_of(at) {
        u64::MAX => Wall(u64::MAX),
        micros => Wall(micros / 1_000),
    }
}

/// A number: all 64 bits, so what core never lets grow so large would show as a negative one.
pub fn number(number: u64) -> Value {
    number.cast_signed().into()
}

/// An enum of core by the name that serde gives it.
pub fn name<T: Serialize>(value: &T) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name.into(),
        other => panic!("an enum of names has a name, not {other:?}"),
    }
}

/// The inverse of [`name`].
pub fn named<T: DeserializeOwned>(name: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name)).ok()
}

/// Nested parts as JSON.
pub fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_string(value).expect("rows and events have no map with keys that are no text").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_survives_its_column(millis in 0u64..253_402_300_799_999) {
            prop_assert_eq!(wall_of(timestamp(millis * 1_000)), Wall(millis));
        }

        #[test]
        fn a_commit_time_survives_its_column(before in 0u64..253_402_300_799_999_000) {
            prop_assert_eq!(micros_of(timestamp(before)), before);
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_the_end_of_time() {
        assert_eq!(wall_of(timestamp(u64::MAX)), Wall(u64::MAX));
        assert_eq!(time(Wall(u64::MAX)).as_str(), Some("9999-12-31T23:59:59.999000000Z"));
        assert_eq!(micros_of(Timestamp::clamp(7, 1_999)), 7_000_001);
    }
}

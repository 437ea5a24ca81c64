//! The wall clock, as times are written down.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, NaiveDate, Timelike};

/// Unix time in ms; 0 on a machine whose clock stands before 1970.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The minute of the day on this machine's wall clock, 0 to 1439: its time zone is `$TZ`, else
/// `/etc/localtime`.
pub fn local_minute() -> u16 {
    let now = Local::now();
    u16::try_from(now.hour() * 60 + now.minute()).unwrap_or_default()
}

/// A moment as the world counts them (UTC): year, month, day; hour, minute, second. `None` where
/// there is none such.
pub fn unix_ms_of([year, month, day]: [u32; 3], [hour, minute, second]: [u32; 3]) -> Option<i64> {
    let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let then = day.and_hms_opt(hour, minute, second)?;
    Some(then.and_utc().timestamp_millis())
}

/// A Unix time in ms as a date on this machine's wall clock: `2026-03-01`.
pub fn local_date(unix_ms: i64) -> String {
    match DateTime::from_timestamp_millis(unix_ms) {
        Some(then) => then.with_timezone(&Local).format("%Y-%m-%d").to_string(),
        None => "an unknown day".to_owned(),
    }
}

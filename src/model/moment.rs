//! The wall clock, as times are written down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in ms; 0 on a machine whose clock stands before 1970.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

//! How fast a sign-in that failed is tried again, by whoever tries.

use std::time::Duration;

/// The longest pause between two attempts.
const SLOWEST: Duration = Duration::from_secs(60);

/// How long to wait before `attempt` (from 1): not at all, then 1 s, doubling up to a minute.
/// `dice` (0.0 to 1.0) spreads the speakers of a street that came back after the same outage.
pub fn back_off(attempt: u32, dice: f64) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let full = Duration::from_secs(1 << (attempt - 2).min(6)).min(SLOWEST);
    full.mul_f64(0.75 + 0.25 * dice.clamp(0.0, 1.0))
        // Spotify shuts accounts out that try in haste.
        .max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_at_once_and_the_pace_ends_at_a_minute() {
        assert_eq!(back_off(1, 0.5), Duration::ZERO);
        assert_eq!(back_off(2, 1.0), Duration::from_secs(1));
        assert_eq!(back_off(2, 0.0), Duration::from_secs(1));
        assert_eq!(back_off(4, 1.0), Duration::from_secs(4));
        assert_eq!(back_off(40, 1.0), SLOWEST);
        assert!(back_off(40, 0.0) < SLOWEST);
    }
}

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

/// From one look whether there is a way to Spotify to the next, while there is none: nobody there
/// hears of that, and a listener notices each second after the line is back. What is down for
/// minutes is most often a router that starts anew; what is down for an hour may well be down for the
/// night. `away`: for how long it has been so.
pub fn unheard(away: Duration, dice: f64) -> Duration {
    let full = match away.as_secs() {
        0..180 => Duration::from_millis(500),
        180..600 => Duration::from_secs(1),
        600..3_600 => Duration::from_secs(3),
        _ => Duration::from_secs(10),
    };
    full + full.mul_f64(0.25 * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_down_is_looked_at_every_half_second_and_later_less_often() {
        let after = |seconds| unheard(Duration::from_secs(seconds), 0.0).as_millis();
        let looks = [0, 179, 180, 599, 600, 3_599, 3_600].map(after);
        assert_eq!(looks, [500, 500, 1_000, 1_000, 3_000, 3_000, 10_000]);
        assert!(unheard(Duration::ZERO, 1.0) < Duration::from_millis(650));
    }

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

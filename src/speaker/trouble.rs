//! The speaker's troubles in the listener's words, and how fast to try again.

use std::time::Duration;

use crate::model::{Condition, ConditionCode, Login, Refusal, masked};

/// Over as soon as an account is signed in.
pub const OF_ACCOUNTS: [ConditionCode; 5] = [
    ConditionCode::LoginRefused,
    ConditionCode::GuestRefused,
    ConditionCode::SpotifyUnreachable,
    ConditionCode::EngineLost,
    ConditionCode::NoCertificates,
];

/// Told by an engine; not known any more when it is gone.
pub const OF_ENGINE: [ConditionCode; 3] = [
    ConditionCode::OutputLost,
    ConditionCode::KeysRefused,
    ConditionCode::TracksFail,
];

/// The longest pause between two attempts.
const SLOWEST: Duration = Duration::from_secs(60);

/// How long to wait before `attempt` (from 1): not at all, then 1 s, doubling up to a minute.
/// `dice` (0.0 to 1.0) spreads the speakers of a street that came back after the same outage.
pub fn back_off(attempt: u32, dice: f64) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let full = Duration::from_secs(1 << (attempt - 2).min(6)).min(SLOWEST);
    full.max(Duration::from_secs(1))
        .mul_f64(0.75 + 0.25 * dice.clamp(0.0, 1.0))
}

pub fn unreachable(why: &str) -> Condition {
    Condition::new(
        ConditionCode::SpotifyUnreachable,
        "Spotify cannot be reached",
        why,
        "check the internet connection; siskin keeps trying",
    )
}

pub fn engine_lost(how: &str) -> Condition {
    Condition::new(
        ConditionCode::EngineLost,
        "the playing part of siskin ended by itself",
        how,
        "a new one is started at once; please report it if it happens again",
    )
}

pub fn login_refused(refusal: &Refusal) -> Condition {
    Condition::new(
        ConditionCode::LoginRefused,
        "nobody is signed in any more",
        refusal.to_string(),
        refusal.cure(),
    )
}

pub fn guest_refused(guest: &Login, refusal: &Refusal) -> Condition {
    Condition::new(
        ConditionCode::GuestRefused,
        format!("{} could not be signed in", masked(&guest.user)),
        refusal.to_string(),
        refusal.cure(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_at_once_and_the_pace_ends_at_a_minute() {
        assert_eq!(back_off(1, 0.5), Duration::ZERO);
        assert_eq!(back_off(2, 1.0), Duration::from_secs(1));
        assert_eq!(back_off(4, 1.0), Duration::from_secs(4));
        assert_eq!(back_off(40, 1.0), SLOWEST);
        assert!(back_off(40, 0.0) < SLOWEST);
    }
}

//! Whether the wall clock can be right, and when it was set: pure.

use std::time::Duration;

use crate::model::{Condition, ConditionCode};

/// No siskin is older (2026-09-01, Unix time in ms). A clock before it has not been set since power-on.
const MADE_MS: i64 = 1_788_220_800_000;
/// Nobody runs this siskin for longer (ten years, in ms): a clock beyond was set wrong, or broke.
const SERVES_MS: i64 = 10 * 365 * 24 * 3_600_000;
/// What clocks drift between two looks, generously.
const DRIFT_MS: u64 = 5_000;

/// The two clocks at the last look.
#[derive(Debug, Default)]
pub struct Clock {
    last: Option<(i64, Duration)>,
    wrong: bool,
}

/// What a look at the clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The wall clock stands in the past, or far in the future.
    pub wrong: bool,
    /// That has changed since the last look (at the first: it is so).
    pub news: bool,
    /// It was set.
    pub stepped: bool,
}

impl Clock {
    /// `wall_ms` in Unix time; `running`, how long something that nobody sets has run.
    pub fn look(&mut self, wall_ms: i64, running: Duration) -> Told {
        let stepped = self.last.is_some_and(|(wall, run)| {
            let ran = i64::try_from(running.saturating_sub(run).as_millis()).unwrap_or(i64::MAX);
            wall_ms.saturating_sub(wall).abs_diff(ran) > DRIFT_MS
        });
        self.last = Some((wall_ms, running));
        let wrong = is_wrong(wall_ms);
        let news = std::mem::replace(&mut self.wrong, wrong) != wrong;
        Told {
            wrong,
            news,
            stepped,
        }
    }
}

/// Whether a clock that says this cannot be right.
pub fn is_wrong(wall_ms: i64) -> bool {
    !(MADE_MS..MADE_MS + SERVES_MS).contains(&wall_ms)
}

/// The condition while it says this.
pub fn wrong(wall_ms: i64) -> Condition {
    let (what, why) = if wall_ms < MADE_MS {
        (
            "the clock of this machine stands in the past",
            "it says a time before this siskin was made, so no certificate of Spotify's is valid yet",
        )
    } else {
        (
            "the clock of this machine stands far in the future",
            "it says a time more than ten years after this siskin was made, so no certificate of \
             Spotify's is valid any more",
        )
    };
    Condition::new(
        ConditionCode::ClockWrong,
        what,
        why,
        "connect it to the internet and let it set its clock (timedatectl set-ntp true); siskin \
         signs in as soon as that is done",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_clock_that_is_set_after_boot_is_noticed_once() {
        let mut clock = Clock::default();
        let told = |wrong, news, stepped| Told {
            wrong,
            news,
            stepped,
        };
        assert_eq!(clock.look(0, S), told(true, true, false));
        assert_eq!(clock.look(20_000, 21 * S), told(true, false, false));
        assert_eq!(
            clock.look(MADE_MS + 40_000, 41 * S),
            told(false, true, true)
        );
        assert_eq!(
            clock.look(MADE_MS + 60_100, 61 * S),
            told(false, false, false)
        );
    }

    #[test]
    fn a_clock_far_in_the_future_is_as_wrong_as_one_in_the_past_and_told_so() {
        let in_2099 = 4_070_908_800_000;
        for (says, word) in [(0, "past"), (in_2099, "future"), (i64::MAX, "future")] {
            assert!(is_wrong(says), "{says}");
            assert!(wrong(says).what.contains(word), "{says}");
        }
        let in_2034 = 2_019_686_400_000;
        assert!(!is_wrong(MADE_MS) && !is_wrong(in_2034));
        let mut clock = Clock::default();
        assert!(clock.look(in_2099, S).wrong);
        let set = clock.look(in_2034, 21 * S);
        assert!(!set.wrong && set.news && set.stepped);
    }

    #[test]
    fn a_step_of_a_year_either_way_is_a_step_and_drift_is_none() {
        const YEAR: i64 = 31_536_000_000;
        for (step, is_step) in [(YEAR, true), (-YEAR, true), (4_000, false), (-4_000, false)] {
            let mut clock = Clock::default();
            clock.look(MADE_MS + 2 * YEAR, S);
            let told = clock.look(MADE_MS + 2 * YEAR + 20_000 + step, 21 * S);
            assert_eq!(told.stepped, is_step, "{step}");
        }
    }
}

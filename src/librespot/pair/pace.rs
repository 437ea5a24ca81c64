//! When to ask again, when to fetch a fresh code, and when to give up: RFC 8628 as plain functions.
//! No clock and no socket here; times are handed in.

use std::time::{Duration, Instant};

/// How long one flow may last, however many codes it takes.
pub const FLOW_LIMIT: Duration = Duration::from_secs(3_600);

/// What "slow down" adds to the interval for good (RFC 8628, 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// A server that names no interval, or 0, is asked no faster than this.
const FASTEST: Duration = Duration::from_secs(1);

/// An interval beyond this would outlast every code.
const SLOWEST: Duration = Duration::from_secs(60);

/// What a question came to, apart from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Pending,
    SlowDown,
    /// The code is of no use any more.
    Expired,
    /// The flow is over; why, and what to do.
    No(End),
    /// No answer, or one that makes no sense.
    Trouble(String),
}

/// Why a flow ended without an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub why: String,
    pub cure: String,
}

impl End {
    pub fn new(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            cure: cure.into(),
        }
    }

    /// Nobody came within [`FLOW_LIMIT`].
    pub fn nobody_came() -> Self {
        Self::new(
            "nobody approved the sign-in within an hour",
            "ask for a code again when you are ready to type it",
        )
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask again after this long. `trouble` is to be shown meanwhile.
    Ask {
        after: Duration,
        trouble: Option<String>,
    },
    FreshCode,
    Over(End),
}

/// The pace of the questions about one code.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    code_ends: Instant,
    flow_ends: Instant,
    failures: u32,
}

impl Pace {
    /// `interval` and `life` as the server gave them, `now` being when it did.
    pub fn new(interval: Duration, life: Duration, now: Instant, flow_ends: Instant) -> Self {
        let code_ends = now.checked_add(life).unwrap_or(flow_ends).min(flow_ends);
        Self {
            interval: interval.clamp(FASTEST, SLOWEST),
            code_ends,
            flow_ends,
            failures: 0,
        }
    }

    /// How long to wait before the first question.
    pub fn first(&self) -> Duration {
        self.interval
    }

    pub fn code_ends(&self) -> Instant {
        self.code_ends
    }

    pub fn step(&mut self, said: Said, now: Instant) -> Next {
        let (after, trouble) = match said {
            Said::No(end) => return Next::Over(end),
            Said::Expired => return self.next_code(now),
            Said::Pending => {
                self.failures = 0;
                (self.interval, None)
            }
            Said::SlowDown => {
                self.failures = 0;
                self.interval = (self.interval + SLOW_DOWN).min(SLOWEST);
                (self.interval, None)
            }
            Said::Trouble(why) => {
                self.failures += 1;
                (back_off(self.failures).max(self.interval), Some(why))
            }
        };
        if now >= self.code_ends {
            return self.next_code(now);
        }
        // However bad the line was, the code is asked about once more when its life ends.
        let left = self.code_ends - now;
        let after = after.min(left.max(self.interval));
        Next::Ask { after, trouble }
    }

    fn next_code(&self, now: Instant) -> Next {
        if now >= self.flow_ends {
            Next::Over(End::nobody_came())
        } else {
            Next::FreshCode
        }
    }
}

/// How long to wait after the `failures`th failure in a row (from 1): 1 s, doubling up to a minute.
pub fn back_off(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(SLOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn pace(interval: u64) -> (Pace, Instant) {
        let now = Instant::now();
        let pace = Pace::new(seconds(interval), 10 * MINUTE, now, now + FLOW_LIMIT);
        (pace, now)
    }

    fn again(after: u64) -> Next {
        Next::Ask {
            after: seconds(after),
            trouble: None,
        }
    }

    #[test]
    fn the_server_sets_the_interval_but_never_to_nothing() {
        let (mut pace, now) = pace(7);
        assert_eq!(pace.first(), seconds(7));
        assert_eq!(pace.step(Said::Pending, now), again(7));
        assert_eq!(self::pace(0).0.first(), FASTEST);
        assert_eq!(self::pace(1 << 40).0.first(), SLOWEST);
    }

    #[test]
    fn every_slow_down_adds_five_seconds_for_good() {
        let (mut pace, now) = pace(5);
        assert_eq!(pace.step(Said::SlowDown, now), again(10));
        assert_eq!(pace.step(Said::SlowDown, now), again(15));
        assert_eq!(pace.step(Said::Pending, now), again(15));
    }

    #[test]
    fn trouble_is_shown_and_answered_with_ever_longer_pauses_until_it_is_over() {
        let (mut pace, now) = pace(2);
        let trouble = |after| Next::Ask {
            after: seconds(after),
            trouble: Some("no answer".into()),
        };
        let lost = || Said::Trouble("no answer".into());
        for after in [2, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pace.step(lost(), now), trouble(after));
        }
        assert_eq!(pace.step(Said::Pending, now), again(2));
        assert_eq!(pace.step(lost(), now), trouble(2), "counted anew");
    }

    #[test]
    fn in_trouble_the_last_question_comes_when_the_code_ends() {
        let (mut pace, now) = pace(2);
        let late = now + 10 * MINUTE - seconds(5);
        for _ in 0..6 {
            pace.step(Said::Trouble(String::new()), late);
        }
        let next = pace.step(Said::Trouble("x".into()), late);
        let after = seconds(5);
        let trouble = Some("x".into());
        assert_eq!(next, Next::Ask { after, trouble });
    }

    #[test]
    fn a_code_that_ended_is_followed_by_a_fresh_one_for_an_hour_in_all() {
        let (mut pace, now) = pace(5);
        assert_eq!(pace.step(Said::Expired, now + MINUTE), Next::FreshCode);
        let over = now + 10 * MINUTE;
        assert_eq!(pace.step(Said::Pending, over), Next::FreshCode);
        let hour = now + FLOW_LIMIT;
        let end = Next::Over(End::nobody_came());
        assert_eq!(pace.step(Said::Expired, hour), end);
        assert_eq!(pace.step(Said::Pending, hour), end);
    }

    #[test]
    fn a_code_does_not_outlive_the_flow() {
        let now = Instant::now();
        let flow_ends = now + MINUTE;
        let endless = Pace::new(seconds(5), Duration::MAX, now, flow_ends);
        assert_eq!(endless.code_ends(), flow_ends);
    }

    #[test]
    fn a_clear_no_ends_the_flow() {
        let (mut pace, now) = pace(5);
        let end = End::new("denied", "ask again");
        assert_eq!(pace.step(Said::No(end.clone()), now), Next::Over(end));
    }
}

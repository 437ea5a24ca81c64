//! A line that repeats is told a few times a minute, then counted.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often one and the same line is told in a window.
const SAME_LINE: u32 = 5;
/// How often one place in the code may speak in a window, whatever it says.
const SAME_PLACE: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// Lines, and places, that are counted at a time; the one not heard of for longest is forgotten
/// for a new one.
const REMEMBERED: usize = 256;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Tell,
    /// As `Tell`, after so many were left out.
    TellAfter(u32),
    LeaveOut,
}

#[derive(Default)]
pub(super) struct Limiter {
    lines: Counts,
    /// Apart, so that ever new lines do not push out the place that all of them come from.
    places: Counts,
}

impl Limiter {
    /// Decides on one line, known by a hash of its text and a hash of where it comes from.
    pub fn judge(&mut self, line: u64, place: u64, now: Instant) -> Verdict {
        match self.lines.count(line, SAME_LINE, now) {
            Verdict::LeaveOut => Verdict::LeaveOut,
            line => match self.places.count(place, SAME_PLACE, now) {
                Verdict::Tell => line,
                place => place,
            },
        }
    }
}

#[derive(Default)]
struct Counts {
    counts: HashMap<u64, Count>,
    /// Grows by one with every line that is counted.
    turn: u64,
}

struct Count {
    since: Instant,
    told: u32,
    left_out: u32,
    last_turn: u64,
}

impl Counts {
    fn count(&mut self, key: u64, most: u32, now: Instant) -> Verdict {
        self.turn += 1;
        if !self.counts.contains_key(&key) && self.counts.len() >= REMEMBERED {
            self.forget_one();
        }
        let count = self.counts.entry(key).or_insert(Count {
            since: now,
            told: 0,
            left_out: 0,
            last_turn: 0,
        });
        count.last_turn = self.turn;
        let mut missed = 0;
        if now.duration_since(count.since) >= WINDOW {
            missed = std::mem::take(&mut count.left_out);
            (count.since, count.told) = (now, 0);
        }
        if count.told >= most {
            count.left_out = count.left_out.saturating_add(1);
            return Verdict::LeaveOut;
        }
        count.told += 1;
        match missed {
            0 => Verdict::Tell,
            missed => Verdict::TellAfter(missed),
        }
    }

    fn forget_one(&mut self) {
        let oldest = self.counts.iter().min_by_key(|(_, count)| count.last_turn);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_told_five_times_then_counted() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        for _ in 0..5 {
            assert_eq!(limiter.judge(1, 2, start), Verdict::Tell);
        }
        for _ in 0..37 {
            assert_eq!(limiter.judge(1, 2, start), Verdict::LeaveOut);
        }
        let later = start + WINDOW;
        assert_eq!(limiter.judge(1, 2, later), Verdict::TellAfter(37));
        assert_eq!(limiter.judge(1, 2, later), Verdict::Tell);
    }

    #[test]
    fn a_place_that_always_says_something_new_is_limited_too() {
        let mut limiter = Limiter::default();
        let now = Instant::now();
        let told = (100..5100)
            .filter(|line| limiter.judge(*line, 2, now) == Verdict::Tell)
            .count();
        assert_eq!(told, SAME_PLACE as usize);
    }

    #[test]
    fn a_million_different_lines_cost_bounded_memory() {
        let mut limiter = Limiter::default();
        let now = Instant::now();
        for line in 0..10_000 {
            limiter.judge(line, line + 1_000_000, now);
        }
        assert!(limiter.lines.counts.len() <= REMEMBERED);
        assert!(limiter.places.counts.len() <= REMEMBERED);
    }
}

//! The speed of music, for outputs that have no clock of their own.

use std::time::{Duration, Instant};

use crate::model::RATE;

/// A reader's own clock may run a little faster than ours; at exactly our rate it would run dry.
/// Sound cards are within 0.1 %.
const HASTE: u64 = 1000 + 2;
/// Time lost is made up for, but only so much: longer, and the music was stopped or starved.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Says when the next block may be taken.
#[derive(Debug)]
pub(super) struct Pacer {
    next: Instant,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// How long to wait from `now` on.
    pub(super) fn due(&mut self, now: Instant) -> Duration {
        if self.next + CATCH_UP < now {
            self.next = now;
        }
        self.next.saturating_duration_since(now)
    }

    pub(super) fn took(&mut self, frames: usize) {
        let micros = frames as u64 * 1_000_000 * 1000 / (u64::from(RATE) * HASTE);
        self.next += Duration::from_micros(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn music_runs_at_its_own_speed_and_hardly_faster() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        let mut now = start;
        for _ in 0..500 {
            now += pacer.due(now);
            pacer.took(882);
        }
        now += pacer.due(now);
        let lasted = (now - start).as_secs_f64();
        assert!((9.97..10.0).contains(&lasted), "{lasted}");
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_pause_is_not() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        pacer.took(882);
        assert_eq!(pacer.due(start + Duration::from_millis(80)), Duration::ZERO);
        let later = start + Duration::from_secs(60);
        assert_eq!(pacer.due(later), Duration::ZERO);
        pacer.took(882);
        assert!(pacer.due(later) > Duration::from_millis(19));
    }
}

//! The speed of music, for outputs that have no clock of their own, or have one that is not seen.

use std::time::{Duration, Instant};

use crate::model::{RATE, duration_of};

/// A reader's own clock may run a little faster than ours; at exactly our rate it would run dry.
/// Sound cards are within 0.1 %.
const HASTE: u64 = 1000 + 2;
/// Time lost is made up for, but only so much: longer, and the music was stopped or starved.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Frames that may wait for the reader when the next block is taken: 10 ms. More is lag to the
/// listener, and a writer that waits twice for each block, once for its time and once for room.
const AHEAD: u64 = RATE as u64 / 100;
/// What part of the excess is waited for with each block: readers take theirs in pieces.
const EASE: u32 = 8;

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

    /// `frames` were taken, when `unread` of those before were still with the reader.
    pub(super) fn took(&mut self, frames: usize, unread: u64) {
        let micros = frames as u64 * 1_000_000 * 1000 / (u64::from(RATE) * HASTE);
        let excess = duration_of(unread.saturating_sub(AHEAD));
        self.next += Duration::from_micros(micros) + excess / EASE;
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
            pacer.took(882, 0);
        }
        now += pacer.due(now);
        let lasted = (now - start).as_secs_f64();
        assert!((9.97..10.0).contains(&lasted), "{lasted}");
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_pause_is_not() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        pacer.took(882, 0);
        assert_eq!(pacer.due(start + Duration::from_millis(80)), Duration::ZERO);
        let later = start + Duration::from_secs(60);
        assert_eq!(pacer.due(later), Duration::ZERO);
        pacer.took(882, 0);
        assert!(pacer.due(later) > Duration::from_millis(19));
    }

    #[test]
    fn a_reader_that_is_a_little_slower_is_followed_and_not_waited_for() {
        let start = Instant::now();
        let (mut pacer, mut now) = (Pacer::new(start), start);
        let (mut written, mut most) = (0, 0);
        for block in 0..5_000 {
            now += pacer.due(now);
            // Its clock runs 0.1 % behind ours.
            let read = (now - start).as_secs_f64() * f64::from(RATE) * 0.999;
            let unread = u64::saturating_sub(written, read as u64);
            if block > 100 {
                most = most.max(unread);
            }
            pacer.took(1764, unread);
            written += 1764;
        }
        assert!((AHEAD..3 * AHEAD).contains(&most), "{most} frames");
    }
}

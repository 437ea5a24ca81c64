//! How much lies ready in the card itself, and when that is to be more. Pure.
//!
//! The card's ring is what a busy machine lives on until it gets round to filling it again. A pause,
//! a seek and the volume are heard behind it, so it is as short as is configured, and grows only
//! under music that broke off again and again. It never shrinks again: what happened thrice will
//! happen a fourth time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::model::frames_of;

/// Periods are whole blocks: cards split memory, and the feed is asked, in such steps. Frames.
const STEP: u32 = 256;
/// ALSA's ring is two periods: while one is heard, the other is filled.
const PERIODS: u32 = 2;
/// So many times within [`WITHIN`] is no accident any more.
const MANY: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// Its period grows no longer than this by itself, in frames at 44 100, which is a ring of 186 ms: a
/// pause that takes longer feels broken.
const LONGEST: u32 = 4096;

#[derive(Debug)]
pub(in crate::output) struct Ring {
    /// Frames at 44 100.
    period: u32,
    /// When the card ran dry.
    dry: VecDeque<Instant>,
}

/// Of a ring of so many ms, in frames at 44 100.
fn period_of(buffer_ms: u32) -> u32 {
    let frames = frames_of(buffer_ms) as u32 / PERIODS;
    (frames + STEP / 2) / STEP * STEP
}

impl Ring {
    /// `buffer_ms` is checked by the configuration: 20 to 2000.
    pub(in crate::output) fn new(buffer_ms: u32) -> Self {
        Self {
            period: period_of(buffer_ms).max(STEP),
            dry: VecDeque::with_capacity(MANY),
        }
    }

    /// Frames at 44 100 that the card is to take at a time.
    pub(super) fn period(&self) -> u32 {
        self.period
    }

    /// How long it is, in ms.
    pub(super) fn ms(&self) -> u32 {
        (u64::from(self.period * PERIODS) * 1000 / u64::from(frames_of(1000) as u32)) as u32
    }

    /// The card, which took `taken` frames at a time, ran dry. True: it is longer from now on, and the
    /// card is to be opened anew.
    pub(super) fn ran_dry(&mut self, taken: u32, now: Instant) -> bool {
        self.dry
            .retain(|at| now.saturating_duration_since(*at) < WITHIN);
        self.dry.push_back(now);
        if self.dry.len() < MANY {
            return false;
        }
        self.dry.clear();
        let longer = (self.period * 2).min(LONGEST);
        // A card that gave less than it was asked for has no more to give. (A frame is lost by turning
        // one rate into another and back.)
        let grows = longer > self.period && taken + STEP > self.period;
        if grows {
            self.period = longer;
        }
        grows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_as_long_as_was_configured_to_the_block() {
        for (ms, period) in [
            (20, 512),
            (46, 1024),
            (80, 1792),
            (300, 6656),
            (2000, 44_032),
        ] {
            let ring = Ring::new(ms);
            assert_eq!(ring.period(), period, "{ms} ms");
            assert!(ring.ms().abs_diff(ms) <= 6, "{} for {ms}", ring.ms());
        }
    }

    #[test]
    fn a_card_that_runs_dry_thrice_within_a_minute_gets_a_longer_ring_up_to_a_limit() {
        let mut ring = Ring::new(46);
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        // Far between: accidents.
        for minute in 0..10 {
            assert!(!ring.ran_dry(1024, at(minute * 40)));
        }
        let mut now = 1_000;
        let mut grown = Vec::new();
        for _ in 0..30 {
            now += 5;
            // At 48 000 frames a second.
            let taken = ring.period() - 1;
            if ring.ran_dry(taken, at(now)) {
                grown.push(ring.period());
            }
        }
        assert_eq!(grown, [2048, 4096]);
        assert_eq!(ring.ms(), 185);
    }

    #[test]
    fn a_ring_that_is_long_already_and_a_card_that_gives_no_more_are_left_as_they_are() {
        let now = Instant::now();
        let mut long = Ring::new(300);
        let mut small = Ring::new(46);
        for _ in 0..9 {
            assert!(!long.ran_dry(6656, now));
            assert!(!small.ran_dry(512, now));
        }
    }
}

//! Music that grows quieter on its way to silence: how loud each sample is.
//!
//! Pure, and beside the volume: nothing that shows or sets a volume knows of it. The way is counted
//! in samples, so that it ends with the last of a track to the sample.

use crate::model::{CHANNELS, Dim, RATE, frames_of};

/// From silence to full level, and to any level between: a second. Whoever takes a timer back hears
/// the music come back, and not burst in.
const BACK: f32 = 1.0 / RATE as f32;

/// How much steeper than the curve the way down may be, for music that is louder than the curve.
const STEEPER: f32 = 2.0;

/// Where the silence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Before the frame of this index.
    Frame(u64),
    Place {
        track: u64,
        ms: u32,
    },
}

/// How loud it is.
#[derive(Debug)]
pub(super) struct Shade {
    goal: Option<Goal>,
    /// Frames from full level to silence.
    over: f32,
    gain: f32,
}

impl Default for Shade {
    fn default() -> Self {
        Self {
            goal: None,
            over: 1.0,
            gain: 1.0,
        }
    }
}

impl Shade {
    /// `next` is the index of the next frame.
    pub(super) fn set(&mut self, dim: Option<Dim>, next: u64) {
        let over_ms = match dim {
            Some(Dim::In { over_ms, .. } | Dim::At { over_ms, .. }) => over_ms,
            None => 0,
        };
        self.over = frames_of(over_ms).max(1) as f32;
        self.goal = dim.map(|dim| match dim {
            Dim::In { left_ms, .. } => Goal::Frame(next + frames_of(left_ms)),
            Dim::At { track, end_ms, .. } => Goal::Place { track, ms: end_ms },
        });
    }

    pub(super) fn goal(&self) -> Option<Goal> {
        self.goal
    }

    /// Samples stay as they are, to the bit.
    pub(super) fn is_away(&self) -> bool {
        self.goal.is_none() && self.gain == 1.0
    }

    /// After a silence: as loud as it is to be.
    pub(super) fn settle(&mut self, next: u64, silent_at: Option<u64>) {
        self.gain = self.wanted(next, silent_at);
    }

    /// The square of what is left of the way. Loudness goes with the power 0.6 of the amplitude, so
    /// that this is nearly even to the ear, and silence comes neither early nor all at once.
    fn wanted(&self, index: u64, silent_at: Option<u64>) -> f32 {
        let Some(silent_at) = silent_at else {
            return 1.0;
        };
        let left = (silent_at.saturating_sub(index) as f32 / self.over).min(1.0);
        left * left
    }

    /// Applies it to interleaved frames, the first of which has this index.
    pub(super) fn apply(&mut self, samples: &mut [f32], first: u64, silent_at: Option<u64>) {
        // The curve is steepest where it begins: 2 / over.
        let down = BACK.max(2.0 * STEEPER / self.over);
        for (frame, index) in samples.chunks_exact_mut(CHANNELS).zip(first..) {
            let wanted = self.wanted(index, silent_at);
            self.gain = wanted.clamp(self.gain - down, self.gain + BACK);
            frame.iter_mut().for_each(|sample| *sample *= self.gain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = RATE as usize;

    /// How loud `seconds` are, whatever was before.
    fn heard(shade: &mut Shade, from: u64, seconds: usize, silent_at: Option<u64>) -> Vec<f32> {
        let mut samples = vec![1.0; seconds * SECOND * CHANNELS];
        for (block, at) in samples.chunks_mut(441 * CHANNELS).zip(0..) {
            shade.apply(block, from + at * 441, silent_at);
        }
        samples.into_iter().step_by(CHANNELS).collect()
    }

    fn steepest(gains: &[f32]) -> f32 {
        let steps = gains.windows(2).map(|two| (two[0] - two[1]).abs());
        steps.fold(0.0, f32::max)
    }

    fn frame(goal: Option<Goal>) -> Option<u64> {
        match goal? {
            Goal::Frame(at) => Some(at),
            Goal::Place { .. } => None,
        }
    }

    #[test]
    fn it_falls_evenly_from_full_level_to_silence_and_stays_there() {
        let mut shade = Shade::default();
        let (left_ms, over_ms) = (10_000, 10_000);
        shade.set(Some(Dim::In { left_ms, over_ms }), 700);
        let silent_at = frame(shade.goal());
        let gains = heard(&mut shade, 700, 11, silent_at);
        assert!(gains.is_sorted_by(|one, next| one >= next));
        assert!(gains[0] > 0.999 && steepest(&gains) < 1e-5);
        assert!((gains[5 * SECOND] - 0.25).abs() < 1e-4, "half the way");
        assert!(gains[10 * SECOND - 100] > 0.0);
        assert!(gains[10 * SECOND..].iter().all(|&gain| gain == 0.0));
    }

    #[test]
    fn taken_back_it_is_at_full_level_within_a_second_and_to_the_bit() {
        let mut shade = Shade::default();
        let (left_ms, over_ms) = (100, 10_000);
        shade.set(Some(Dim::In { left_ms, over_ms }), 0);
        shade.settle(0, Some(4_410));
        shade.set(None, 0);
        let gains = heard(&mut shade, 0, 2, None);
        assert!(gains.is_sorted() && steepest(&gains) < 3e-5 && gains[0] < 0.001);
        assert!(
            gains[SECOND + SECOND / 100..]
                .iter()
                .all(|&gain| gain == 1.0)
        );
        assert!(shade.is_away());
    }

    #[test]
    fn a_curve_that_begins_further_down_is_joined_without_a_jump() {
        let mut shade = Shade::default();
        let (left_ms, over_ms) = (2_000, 20_000);
        shade.set(Some(Dim::In { left_ms, over_ms }), 0);
        let silent_at = frame(shade.goal());
        let gains = heard(&mut shade, 0, 3, silent_at);
        assert!(gains.is_sorted_by(|one, next| one >= next));
        assert!(steepest(&gains) < 3e-5, "{}", steepest(&gains));
        assert!(gains[2 * SECOND..].iter().all(|&gain| gain == 0.0));
    }

    #[test]
    fn a_short_one_still_gets_to_silence_in_time() {
        let mut shade = Shade::default();
        let (left_ms, over_ms) = (200, 200);
        shade.set(Some(Dim::In { left_ms, over_ms }), 0);
        let silent_at = frame(shade.goal());
        let gains = heard(&mut shade, 0, 1, silent_at);
        assert!(gains[SECOND / 5..].iter().all(|&gain| gain == 0.0));
    }

    #[test]
    fn after_a_silence_it_begins_as_loud_as_it_is_to_be() {
        let mut shade = Shade::default();
        let (left_ms, over_ms) = (5_000, 10_000);
        shade.set(Some(Dim::In { left_ms, over_ms }), 0);
        shade.settle(0, frame(shade.goal()));
        assert!((shade.gain - 0.25).abs() < 1e-4);
        shade.set(None, 0);
        shade.settle(0, None);
        assert!(shade.is_away());
    }
}

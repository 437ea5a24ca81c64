//! The output's clock: which track is heard now, and where in it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::feed::Feed;
use crate::model::{RATE, duration_of};

/// Music counts as flowing when some was taken this recently: several periods of any device.
const FLOWING: Duration = Duration::from_millis(300);

/// A device takes samples or answers within this; looking for it, and trying it out, take less, too.
const HANGS: Duration = Duration::from_secs(3);

/// What the listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// What the player calls the track that is heard; `None` before the first one.
    pub track: Option<u64>,
    /// Position in that track, in ms: frames taken by the device, less those it still holds.
    pub position_ms: u32,
    /// Whether the device takes music now. "Playing" is true only while this is.
    pub consuming: bool,
    /// Frames of music (44 100 a second) that ever left for the device.
    pub frames_taken: u64,
    pub at: Instant,
}

/// Readable from any thread, cheap.
#[derive(Debug, Clone)]
pub struct Clock {
    pub(super) feed: Arc<Feed>,
}

/// Music that is decoded and waits for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    pub frames: usize,
    /// How many can wait.
    pub depth: usize,
    /// Times the music broke off because none did, since the beginning.
    pub gaps: u64,
}

impl Clock {
    pub fn stock(&self) -> Stock {
        let inner = self.feed.lock();
        let frames = inner.reel.len();
        Stock {
            frames,
            depth: inner.reel.room() + frames,
            gaps: inner.reel.gaps,
        }
    }

    pub fn now(&self) -> Played {
        self.feed.played(Instant::now())
    }

    /// Whether the output takes nothing, and its thread is caught inside the device.
    pub fn hangs(&self) -> bool {
        self.feed.hangs(HANGS)
    }

    /// Whether there is no device, and somebody was told why.
    pub fn is_lost(&self) -> bool {
        self.feed.is_lost()
    }
}

/// The last time the device took frames, from which the frame at its output is estimated.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beat {
    /// When, and how many frames had left before that.
    at: Option<(Instant, u64)>,
    /// Frames the device still held then.
    delay: u64,
    /// So far the listener has come in any case: what was silence since is not heard again.
    floor: u64,
    last_music: Option<Instant>,
}

/// Calls closer together than this are one gulp of the device.
const GULP: Duration = Duration::from_millis(3);

impl Beat {
    /// The device took frames `before..after` and still holds `delay` older ones.
    pub(super) fn took(&mut self, before: u64, after: u64, delay: u64, now: Instant) {
        if after == before {
            // Silence. Time passes for the music before it; there is nothing new to count from.
            return;
        }
        let same_gulp = self
            .at
            .is_some_and(|(at, _)| now.saturating_duration_since(at) < GULP);
        if !same_gulp {
            if self.at.is_some() {
                self.floor = self.heard(before, now);
            }
            self.at = Some((now, before));
            self.delay = delay;
        }
        self.last_music = Some(now);
    }

    /// Index of the frame that is heard at `now`.
    pub(super) fn heard(&self, taken: u64, now: Instant) -> u64 {
        let Some((at, before)) = self.at else {
            return taken;
        };
        let gone = now.saturating_duration_since(at).as_micros() as u64 * u64::from(RATE);
        (before + gone / 1_000_000)
            .saturating_sub(self.delay)
            .max(self.floor)
            .min(taken)
    }

    pub(super) fn is_flowing(&self, now: Instant) -> bool {
        // A device that holds much takes much at a time, and seldom.
        let pause = FLOWING + 2 * duration_of(self.delay);
        self.last_music
            .is_some_and(|at| now.saturating_duration_since(at) < pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_lags_what_was_taken_by_the_delay_and_then_catches_up() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(44_100, 45_124, 1024, start);
        assert_eq!(beat.heard(45_124, start), 44_100 - 1024);
        let later = start + Duration::from_millis(10);
        assert_eq!(beat.heard(45_124, later), 44_100 - 1024 + 441);
        assert_eq!(beat.heard(45_124, start + Duration::from_secs(9)), 45_124);
    }

    #[test]
    fn several_calls_of_one_gulp_count_from_the_first() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(0, 256, 1024, start);
        beat.took(256, 512, 1024, start + Duration::from_micros(50));
        assert_eq!(
            beat.heard(512, start + Duration::from_millis(30)),
            1323 - 1024
        );
    }

    #[test]
    fn what_was_heard_before_a_silence_is_not_heard_again_after_it() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(0, 4096, 1024, start);
        let later = start + Duration::from_secs(5);
        assert_eq!(beat.heard(4096, later), 4096);
        beat.took(4096, 5120, 1024, later);
        assert_eq!(beat.heard(5120, later), 4096);
        // Until the silence before it is over, the new music waits.
        let soon = later + Duration::from_millis(20);
        assert_eq!(beat.heard(5120, soon), 4096);
        let heard = beat.heard(5120, later + Duration::from_millis(30));
        assert_eq!(heard, 4096 + 1323 - 1024);
    }

    #[test]
    fn a_device_that_takes_half_a_second_at_a_time_flows() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(0, 22_050, 22_050, start);
        assert!(beat.is_flowing(start + Duration::from_millis(600)));
        assert!(!beat.is_flowing(start + Duration::from_millis(1_400)));
    }

    #[test]
    fn silence_is_not_music() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(0, 0, 0, start);
        assert!(!beat.is_flowing(start));
        beat.took(0, 10, 0, start);
        assert!(beat.is_flowing(start) && !beat.is_flowing(start + FLOWING));
    }

    #[test]
    fn silence_after_the_music_lets_the_last_of_it_be_heard() {
        let start = Instant::now();
        let mut beat = Beat::default();
        beat.took(0, 1024, 2000, start);
        let later = start + Duration::from_millis(80);
        beat.took(1024, 1024, 2000, later);
        assert_eq!(beat.heard(1024, later), 1024);
    }
}

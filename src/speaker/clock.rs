//! A clock that nobody sets, for everything that is decided by how much time has passed.
//!
//! The wall clock jumps: a Raspberry Pi starts years ago and is put right minutes later. Between the
//! last word of an engine and its loss, such a jump would look like a year of music.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Playback, unix_ms};

/// No word of an engine is longer on its way; what looks older was said before the clock was set.
const ON_ITS_WAY_MS: i64 = 1_000;

/// Unix time as it was at the start, going on evenly.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    began: Instant,
    began_ms: i64,
}

impl Steady {
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            began_ms: unix_ms(),
        }
    }

    /// In ms; compares only with itself.
    pub fn now_ms(&self) -> i64 {
        after(self.began_ms, self.began.elapsed())
    }
}

/// `begun_ms`, and `gone` later.
pub fn after(begun_ms: i64, gone: Duration) -> i64 {
    begun_ms.saturating_add(i64::try_from(gone.as_millis()).unwrap_or(i64::MAX))
}

/// Playback as an engine tells it by the wall clock, on the steady one.
pub fn steadied(mut told: Box<Playback>, wall_ms: i64, steady_ms: i64) -> Box<Playback> {
    let age = wall_ms.saturating_sub(told.at_ms).clamp(0, ON_ITS_WAY_MS);
    told.at_ms = steady_ms - age;
    told
}

/// The way back: as others read it, by the wall clock.
pub fn by_the_wall(mut kept: Box<Playback>, wall_ms: i64, steady_ms: i64) -> Box<Playback> {
    kept.at_ms = wall_ms - (steady_ms - kept.at_ms);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Volume;

    fn told(at_ms: i64) -> Box<Playback> {
        Box::new(Playback {
            at_ms,
            ..Playback::silent(Volume::FULL)
        })
    }

    #[test]
    fn a_word_that_took_a_moment_keeps_its_moment() {
        let kept = steadied(told(9_970), 10_000, 500);
        assert_eq!(kept.at_ms, 470);
        assert_eq!(by_the_wall(kept, 10_000, 500).at_ms, 9_970);
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_makes_no_year_of_music() {
        let year = 365 * 24 * 3_600 * 1_000;
        let longest = 500 - ON_ITS_WAY_MS;
        assert_eq!(steadied(told(10_000), 10_000 + year, 500).at_ms, longest);
        assert_eq!(steadied(told(10_000), 10_000 - year, 500).at_ms, 500);
    }
}

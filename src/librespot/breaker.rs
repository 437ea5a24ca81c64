//! Stops the race through a list whose tracks all fail.
//!
//! librespot answers every track that does not load by skipping it. When the cause is not the track
//! (Spotify refuses the keys, the CDN is away) that empties a whole playlist within a second.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::model::{Condition, ConditionCode};

/// Different tracks in a row that may fail before playback is stopped.
const LIMIT: usize = 3;

/// The library goes on to the next track at once; what loads later was asked for by somebody.
const OWN_DOING: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Breaker {
    failed: HashSet<String>,
    keys_refused: bool,
    tripped: Option<Instant>,
}

/// What to do about a track that failed or begins to load.
#[derive(Debug, PartialEq, Eq)]
pub enum Advice {
    GoOn,
    /// Stop the player now: the next track is being loaded and would fail as well.
    Stop,
}

impl Breaker {
    pub fn key_refused(&mut self) {
        self.keys_refused = true;
    }

    /// A track could not be loaded. The condition to raise, when this was one too many.
    pub fn unavailable(&mut self, uri: &str, now: Instant) -> Option<Condition> {
        self.failed.insert(uri.to_owned());
        if self.failed.len() < LIMIT {
            return None;
        }
        self.tripped = Some(now);
        Some(if self.keys_refused {
            keys_refused()
        } else {
            tracks_fail()
        })
    }

    /// A track begins to load. The library does so by itself right after a failure; stopping it
    /// exactly then cannot be overtaken.
    pub fn loading(&mut self, now: Instant) -> Advice {
        match self.tripped.take() {
            Some(then) if now.saturating_duration_since(then) < OWN_DOING => Advice::Stop,
            _ => Advice::GoOn,
        }
    }

    /// A track plays. True when there had been failures: their conditions are over.
    pub fn playing(&mut self) -> bool {
        let news = !self.failed.is_empty();
        *self = Self::default();
        news
    }
}

fn keys_refused() -> Condition {
    Condition::new(
        ConditionCode::KeysRefused,
        "Spotify does not release its music to this speaker",
        "the keys of three tracks in a row were refused",
        "playback is stopped; try again later, or sign in with another account",
    )
}

fn tracks_fail() -> Condition {
    Condition::new(
        ConditionCode::TracksFail,
        "the music does not load",
        "three tracks in a row could not be fetched",
        "playback is stopped; check the internet connection, then press play",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_different_track_without_a_success_stops_the_race() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.key_refused();
        for uri in ["a", "a", "b"] {
            assert_eq!(breaker.unavailable(uri, now), None);
            assert_eq!(breaker.loading(now), Advice::GoOn);
        }
        let raised = breaker.unavailable("c", now).expect("the third");
        assert_eq!(raised.code, ConditionCode::KeysRefused);
        assert_eq!(breaker.loading(now), Advice::Stop);
        assert_eq!(
            breaker.loading(now),
            Advice::GoOn,
            "the listener may try again"
        );
        assert!(
            breaker.unavailable("d", now).is_some(),
            "one failure is enough then"
        );
    }

    #[test]
    fn a_success_forgets_all_failures() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.unavailable("a", now);
        breaker.unavailable("b", now);
        assert!(breaker.playing());
        assert!(!breaker.playing());
        assert_eq!(breaker.unavailable("c", now), None);
    }

    #[test]
    fn a_track_that_somebody_asks_for_later_is_given_a_try() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for uri in ["a", "b", "c"] {
            breaker.unavailable(uri, now);
        }
        assert_eq!(breaker.loading(now + Duration::from_secs(5)), Advice::GoOn);
    }
}

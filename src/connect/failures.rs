//! Stops the race through a list whose tracks all fail.
//!
//! A track that cannot be played is skipped. When the cause is not the track (Spotify releases no
//! keys, the network is away), skipping would empty a whole playlist within a second.

use std::collections::HashSet;

use crate::model::{Condition, ConditionCode};

use super::{input::Why, lineup::Mark, uri::Uri};

/// Different tracks in a row that may fail for a common cause.
const COMMON: usize = 3;

/// As many failures may be of the same few tracks.
const COMMON_IN_ALL: usize = 6;

/// Tracks in a row that may be missing: each costs a request.
const MISSING: usize = 25;

#[derive(Debug, Default)]
pub struct Failures {
    common: HashSet<Uri>,
    in_all: usize,
    /// How many of them no server had.
    absent: usize,
    missing: usize,
    /// Where the row of failures began.
    from: Option<Mark>,
    keys: bool,
    /// A condition tells of it.
    told: bool,
}

/// What a failure came to.
#[derive(Debug)]
pub enum Verdict {
    GoOn,
    /// Stop; `back` is where it began, when that is to be tried again.
    Stop {
        condition: Condition,
        back: Option<Box<Mark>>,
    },
}

impl Failures {
    /// A track failed; `mark` is where that was.
    pub fn failed(&mut self, uri: &Uri, why: Why, mark: Mark) -> Verdict {
        self.from.get_or_insert(mark);
        self.keys |= why == Why::Keys;
        self.absent += usize::from(why == Why::Absent);
        if why.is_common() {
            self.common.insert(uri.clone());
            self.in_all += 1;
        } else {
            self.missing += 1;
        }
        let enough = self.common.len() >= COMMON || self.in_all >= COMMON_IN_ALL;
        if !enough && self.missing < MISSING {
            return Verdict::GoOn;
        }
        self.missing = 0;
        self.told = true;
        // What is missing stays so: "play" goes on from here, and not through all of it again.
        let from = self.from.take().filter(|_| enough);
        Verdict::Stop {
            condition: match (self.keys, enough) {
                (true, _) => keys_refused(),
                (false, true) if self.absent == self.in_all => no_server_has_them(),
                (false, true) => tracks_fail(),
                (false, false) => nothing_plays(),
            },
            back: from.map(Box::new),
        }
    }

    /// A listener asked for something else: what failed before is not where to go back to.
    pub fn asked(&mut self) {
        self.from = None;
    }

    /// A track plays. True when there had been failures: their conditions are over.
    pub fn playing(&mut self) -> bool {
        let news = self.told || !self.common.is_empty() || self.from.is_some() || self.missing > 0;
        *self = Self::default();
        news
    }
}

fn keys_refused() -> Condition {
    Condition::new(
        ConditionCode::KeysRefused,
        "Spotify does not release its music to this speaker",
        "the keys of three tracks in a row were refused",
        "playback is paused; try again later, or sign in with another account",
    )
}

fn no_server_has_them() -> Condition {
    Condition::new(
        ConditionCode::TracksFail,
        "Spotify's servers do not have the music they offer",
        "of several tracks in a row Spotify says that there is no such file; when all its music is \
         gone, that is trouble at Spotify and not in this house",
        "playback is paused; try again in some minutes, or choose other music",
    )
}

fn tracks_fail() -> Condition {
    Condition::new(
        ConditionCode::TracksFail,
        "the music does not load",
        "three tracks in a row could not be fetched",
        "playback is paused; check the internet connection, then press play",
    )
}

fn nothing_plays() -> Condition {
    Condition::new(
        ConditionCode::TracksFail,
        "this list holds too much that cannot be played here",
        "25 tracks in a row are not offered to this account, or are filtered as explicit",
        "playback is paused; choose another track or list",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{chance::Chance, lineup::Lineup};

    fn fail(failures: &mut Failures, uri: &str, why: Why) -> Option<ConditionCode> {
        let mark = Lineup::new(Chance::new(1)).mark();
        match failures.failed(&Uri::new(uri), why, mark) {
            Verdict::GoOn => None,
            Verdict::Stop { condition, .. } => Some(condition.code),
        }
    }

    #[test]
    fn the_third_different_track_without_a_success_stops_the_race() {
        let mut failures = Failures::default();
        for uri in ["a", "a", "b"] {
            assert_eq!(fail(&mut failures, uri, Why::Keys), None);
        }
        let stopped = fail(&mut failures, "c", Why::Network);
        assert_eq!(stopped, Some(ConditionCode::KeysRefused));
        let again = fail(&mut failures, "d", Why::Network);
        assert!(again.is_some(), "one failure is enough then");
    }

    #[test]
    fn three_tracks_that_no_server_has_are_told_as_spotifys_own_trouble() {
        let mut failures = Failures::default();
        let row = ["a", "b", "c"].map(|uri| {
            let mark = Lineup::new(Chance::new(1)).mark();
            failures.failed(&Uri::new(uri), Why::Absent, mark)
        });
        let Verdict::Stop { condition, back } = &row[2] else {
            panic!("{row:?}");
        };
        assert!(condition.what.contains("Spotify"), "{condition:?}");
        assert!(back.is_some(), "nothing of the list is lost");
        assert!(matches!(row[1], Verdict::GoOn));
    }

    #[test]
    fn two_tracks_that_are_repeated_do_not_fail_for_ever() {
        let mut failures = Failures::default();
        let row = ["a", "b", "a", "b", "a", "b"].map(|uri| fail(&mut failures, uri, Why::Network));
        assert_eq!(row[4], None);
        assert_eq!(row[5], Some(ConditionCode::TracksFail));
    }

    #[test]
    fn missing_tracks_are_skipped_many_at_a_time_and_a_success_forgets_them() {
        let mut failures = Failures::default();
        for number in 0..20 {
            assert_eq!(
                fail(&mut failures, &number.to_string(), Why::Unavailable),
                None
            );
        }
        assert!(failures.playing());
        assert!(!failures.playing());
        for number in 0..24 {
            assert_eq!(
                fail(&mut failures, &number.to_string(), Why::Unavailable),
                None
            );
        }
        assert!(fail(&mut failures, "one", Why::Unavailable).is_some());
        assert!(failures.playing(), "what was said is taken back");
    }
}

//! When there is something to tell about an episode. Takes what plays, gives bookmarks; knows no
//! clock.

use crate::model::{PlayState, Playback};

const EPISODE: &str = "spotify:episode:";
/// While it plays, so that a cut of the power costs the listener no more.
const EVERY_MS: u32 = 30_000;
/// So close to its end an episode is over: what is left are the credits. Less in a short one.
const CREDITS_MS: u32 = 10_000;
const CREDITS_PART: u32 = 20;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    pub uri: String,
    pub left: Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    At { ms: u32 },
    Finished,
}

/// The episode that plays, or waits.
#[derive(Debug)]
struct Open {
    uri: String,
    duration_ms: u32,
    position_ms: u32,
    at_ms: i64,
    playing: bool,
    /// It was heard.
    begun: bool,
    /// Where it was when Spotify was told last, or began.
    told_ms: u32,
}

#[derive(Debug, Default)]
pub struct Bookmarks(Option<Open>);

impl Bookmarks {
    /// Takes what plays now.
    pub fn playback(&mut self, now: &Playback) -> Vec<Bookmark> {
        let track = now.track.as_ref().filter(|_| now.active);
        let uri = track.map_or("", |track| track.uri.as_str());
        let mut told = Vec::new();
        if self.0.as_ref().is_some_and(|open| open.uri != uri) {
            told.extend(self.close(now.at_ms));
        }
        if !uri.starts_with(EPISODE) {
            return told;
        }
        let playing = now.state == PlayState::Playing;
        let duration_ms = track.map_or(0, |track| track.duration_ms);
        let open = self.0.get_or_insert_with(|| Open {
            uri: uri.to_owned(),
            duration_ms,
            position_ms: now.position_ms,
            at_ms: now.at_ms,
            playing: false,
            begun: false,
            told_ms: now.position_ms,
        });
        if !open.begun {
            // Where it begins is what Spotify knows.
            open.told_ms = now.position_ms;
            open.begun = playing;
        }
        let (before, ended) = open.until(now.at_ms);
        if ended && now.position_ms < before.min(open.duration_ms) / 2 {
            // Played out; what stands there now is its beginning.
            told.extend(open.left(before));
            open.told_ms = now.position_ms;
            open.begun = playing;
        }
        let rests = open.playing && !playing && now.state != PlayState::Loading;
        (open.position_ms, open.at_ms) = (now.position_ms, now.at_ms);
        (open.playing, open.duration_ms) = (playing, duration_ms);
        let far = now.position_ms.abs_diff(open.told_ms);
        if (rests && far > 0) || (playing && far >= EVERY_MS) {
            told.extend(open.left(now.position_ms));
        }
        told
    }

    /// The speaker stops.
    pub fn close(&mut self, at_ms: i64) -> Option<Bookmark> {
        let mut open = self.0.take()?;
        let (ms, _) = open.until(at_ms);
        (ms != open.told_ms).then(|| open.left(ms)).flatten()
    }
}

impl Open {
    /// Where it is by this time if nothing has happened to it since, and whether that is the end of
    /// what was heard.
    fn until(&self, at_ms: i64) -> (u32, bool) {
        let gone = if self.playing { at_ms - self.at_ms } else { 0 };
        let ms = self
            .position_ms
            .saturating_add(u32::try_from(gone).unwrap_or(0));
        (ms, self.playing && self.is_over(ms))
    }

    fn is_over(&self, ms: u32) -> bool {
        let credits = CREDITS_MS.min(self.duration_ms / CREDITS_PART);
        self.duration_ms > 0 && ms.saturating_add(credits) >= self.duration_ms
    }

    fn left(&mut self, ms: u32) -> Option<Bookmark> {
        self.told_ms = ms;
        let left = if self.is_over(ms) {
            Left::Finished
        } else {
            Left::At { ms }
        };
        (ms > 0).then(|| Bookmark {
            uri: self.uri.clone(),
            left,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Track, Volume};

    const HOUR: u32 = 3_600_000;

    fn at(uri: &str, state: PlayState, position_ms: u32, at_ms: i64) -> Playback {
        let mut playback = Playback::silent(Volume(0));
        playback.state = state;
        playback.active = true;
        playback.position_ms = position_ms;
        playback.at_ms = at_ms;
        playback.track = Some(Track {
            uri: uri.into(),
            title: String::new(),
            artists: vec![],
            album: String::new(),
            duration_ms: HOUR,
            explicit: false,
            covers: vec![],
            ..Track::default()
        });
        playback
    }

    fn mark(uri: &str, left: Left) -> Vec<Bookmark> {
        let uri = uri.to_owned();
        vec![Bookmark { uri, left }]
    }

    const A: &str = "spotify:episode:a";
    const B: &str = "spotify:episode:b";

    #[test]
    fn a_pause_is_told_and_a_playing_episode_every_half_minute() {
        let mut marks = Bookmarks::default();
        let mut told = |state, position, now| marks.playback(&at(A, state, position, now));
        assert_eq!(told(PlayState::Loading, 0, 0), []);
        assert_eq!(told(PlayState::Playing, 60_000, 100), []);
        assert_eq!(told(PlayState::Playing, 89_000, 29_100), []);
        let every = told(PlayState::Playing, 91_000, 31_100);
        assert_eq!(every, mark(A, Left::At { ms: 91_000 }));
        let rest = told(PlayState::Paused, 95_000, 35_100);
        assert_eq!(rest, mark(A, Left::At { ms: 95_000 }));
        assert_eq!(told(PlayState::Paused, 95_000, 99_000), []);
    }

    #[test]
    fn an_episode_that_was_played_out_is_finished_and_one_that_was_left_is_not() {
        let mut marks = Bookmarks::default();
        marks.playback(&at(A, PlayState::Playing, HOUR - 12_000, 0));
        let joined = marks.playback(&at(B, PlayState::Playing, 0, 12_000));
        assert_eq!(joined, mark(A, Left::Finished));
        marks.playback(&at(B, PlayState::Playing, 5_000, 17_000));
        let skipped = marks.playback(&at("spotify:track:t", PlayState::Playing, 0, 18_000));
        assert_eq!(skipped, mark(B, Left::At { ms: 6_000 }));
        assert_eq!(marks.close(99_000), None);
    }

    #[test]
    fn an_episode_that_ends_alone_or_begins_again_was_played_out() {
        // What connect shows at the end of a list: its first track waits.
        for state in [PlayState::Stopped, PlayState::Playing] {
            let mut marks = Bookmarks::default();
            marks.playback(&at(A, PlayState::Playing, HOUR - 60_000, 0));
            marks.playback(&at(A, PlayState::Playing, HOUR - 25_000, 35_000));
            let ended = marks.playback(&at(A, state, 0, 60_000));
            assert_eq!(ended, mark(A, Left::Finished), "{state:?}");
            assert_eq!(marks.close(60_000), None);
        }
        // Somebody goes back to the beginning.
        let mut marks = Bookmarks::default();
        marks.playback(&at(A, PlayState::Playing, HOUR - 60_000, 0));
        assert_eq!(marks.playback(&at(A, PlayState::Playing, 0, 9_000)), []);
    }

    #[test]
    fn songs_are_nobodys_business() {
        let mut marks = Bookmarks::default();
        for second in 0..120 {
            let song = at(
                "spotify:track:t",
                PlayState::Playing,
                second * 1_000,
                i64::from(second) * 1_000,
            );
            assert_eq!(marks.playback(&song), []);
        }
    }
}

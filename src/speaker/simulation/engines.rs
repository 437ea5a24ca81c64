//! Engines as they behave: what they know, and what they play.

use crate::model::{Login, PlayState, Playback, Track, Volume};

/// Every song is that long (ms).
pub const SONG_MS: u64 = 180_000;
/// Songs of a context.
pub const SONGS: u64 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    SigningIn,
    /// Signed in; `deaf` when its link is dead and it does not know.
    Up {
        deaf: bool,
    },
    /// Neither hears nor says anything any more.
    Hung,
    /// Was asked to leave, or has said goodbye.
    Leaving,
}

#[derive(Debug)]
pub struct Engine {
    pub login: Login,
    pub mood: Mood,
    pub music: Option<Music>,
    /// What it says keeps its order: nothing arrives before this.
    pub said_until: u64,
}

impl Engine {
    pub fn new(login: Login) -> Self {
        Self {
            login,
            mood: Mood::SigningIn,
            music: None,
            said_until: 0,
        }
    }

    pub fn is_listed(&self) -> bool {
        self.mood == Mood::Up { deaf: false }
    }
}

/// What a listener hears: a place in an endless list, on the even clock of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Music {
    pub context: u64,
    /// From the beginning of the context.
    place_ms: u64,
    /// When that was so.
    at: u64,
    pub playing: bool,
}

impl Music {
    pub fn begin(context: u64, at: u64) -> Self {
        Self {
            context,
            place_ms: 0,
            at,
            playing: true,
        }
    }

    pub fn place_ms(&self, at: u64) -> u64 {
        let gone = if self.playing {
            at.saturating_sub(self.at)
        } else {
            0
        };
        (self.place_ms + gone) % (SONGS * SONG_MS)
    }

    pub fn set(&mut self, playing: bool, at: u64) {
        self.place_ms = self.place_ms(at);
        self.at = at;
        self.playing = playing;
    }

    /// Stands still from `at` on, and remembers whether it played.
    pub fn frozen(&self, at: u64) -> Self {
        Self {
            place_ms: self.place_ms(at),
            at,
            ..*self
        }
    }

    /// Of one that is [`Music::frozen`].
    pub fn frozen_place(&self) -> u64 {
        self.place_ms
    }

    /// How far two places are apart: the end of the list is its beginning.
    pub fn apart(one: u64, other: u64) -> u64 {
        let apart = one.abs_diff(other);
        apart.min((SONGS * SONG_MS).saturating_sub(apart))
    }

    /// When the next song begins.
    pub fn next_song(&self, at: u64) -> u64 {
        at + SONG_MS - self.place_ms(at) % SONG_MS
    }

    /// As an engine tells it.
    pub fn told(&self, at: u64, wall_ms: i64) -> Box<Playback> {
        let place = self.place_ms(at);
        let index = place / SONG_MS;
        Box::new(Playback {
            state: if self.playing {
                PlayState::Playing
            } else {
                PlayState::Paused
            },
            active: true,
            context: Some(format!("spotify:album:{}", self.context)),
            index: u32::try_from(index).ok(),
            position_ms: u32::try_from(place % SONG_MS).unwrap_or(0),
            at_ms: wall_ms,
            track: Some(Track {
                uri: format!("spotify:track:{index}"),
                title: String::new(),
                artists: Vec::new(),
                album: String::new(),
                duration_ms: u32::try_from(SONG_MS).unwrap_or(u32::MAX),
                explicit: false,
                covers: Vec::new(),
                ..Track::default()
            }),
            ..Playback::silent(Volume::FULL)
        })
    }

    /// What an engine makes of what it is told to take up.
    pub fn taken_up(then: &Playback, at: u64) -> Option<Self> {
        let context = then.context.as_deref()?.strip_prefix("spotify:album:")?;
        Some(Self {
            context: context.parse().ok()?,
            place_ms: u64::from(then.index?) * SONG_MS + u64::from(then.position_ms),
            at,
            playing: then.state == PlayState::Playing,
        })
    }
}

/// Nothing plays here: stopped, or elsewhere.
pub fn silence(wall_ms: i64) -> Box<Playback> {
    Box::new(Playback {
        at_ms: wall_ms,
        ..Playback::silent(Volume::FULL)
    })
}

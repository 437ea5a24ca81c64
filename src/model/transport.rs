//! What a remote control asks of a speaker, and why it may not be done.

use serde::{Deserialize, Serialize};

use super::{Link, Percent, Repeat};

/// One wish about what plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Transport {
    /// Goes on. Where nothing is loaded, what played last, or plays elsewhere, comes here.
    Play,
    Pause,
    /// Pause while music plays, else play.
    Toggle,
    /// Falls silent and is not the active device any more; another may take over.
    Stop,
    Next,
    /// Back to the beginning of the track, or to the one before it.
    Previous,
    Seek {
        position_ms: u32,
    },
    /// From where the music is; before the beginning is the beginning.
    SeekBy {
        ms: i64,
    },
    Volume {
        percent: Percent,
    },
    /// Points of a hundred, up or down.
    VolumeBy {
        points: i8,
    },
    /// `None`: the other way round. Unmuted, it is as loud as before.
    Mute {
        on: Option<bool>,
    },
    Shuffle {
        on: bool,
    },
    Repeat {
        mode: Repeat,
    },
    /// Plays something else.
    Load(Box<Load>),
    /// Plays this track or episode after the current one.
    Enqueue {
        link: Link,
    },
    /// Moves playback here from wherever it is.
    Pull,
    /// Moves playback to another device of the account, by its name or id.
    Send {
        device: String,
    },
    Sleep(SleepTimer),
}

impl Transport {
    /// What is wished for, in a word.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Pause => "pause",
            Self::Toggle => "toggle",
            Self::Stop => "stop",
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Seek { .. } | Self::SeekBy { .. } => "seek",
            Self::Volume { .. } | Self::VolumeBy { .. } => "volume",
            Self::Mute { .. } => "mute",
            Self::Shuffle { .. } => "shuffle",
            Self::Repeat { .. } => "repeat",
            Self::Load(_) => "load",
            Self::Enqueue { .. } => "enqueue",
            Self::Pull => "pull",
            Self::Send { .. } => "send",
            Self::Sleep(_) => "sleep",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub link: Link,
    /// Where in it to begin: a place, counted from 0, or a track of it.
    pub index: Option<u32>,
    pub track: Option<Link>,
    pub position_ms: u32,
    /// `None`: as it is.
    pub shuffle: Option<bool>,
    pub paused: bool,
}

/// When music is to pause by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SleepTimer {
    #[default]
    Off,
    /// In so many ms, as an order; at this Unix time in ms, as a state.
    In {
        ms: u64,
    },
    At {
        unix_ms: i64,
    },
    EndOfTrack,
}

/// Why a wish has not taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    pub code: Obstacle,
    /// In a sentence.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Another device, or none, is what the listener plays on.
    NotActive,
    /// Not as things stand: there is nothing to play, the queue is full.
    Conflict,
    /// It cannot be played here, or does not exist.
    Unplayable,
    /// Spotify does not allow it at present.
    Restricted,
    /// The account has no such device.
    UnknownDevice,
    /// The sound cannot go there.
    NoOutput,
    /// Nobody is signed in.
    Nobody,
    /// There is no session with Spotify at the moment.
    NoSession,
    /// Not within the limit. It may take effect yet.
    TooLate,
}

impl Unmet {
    pub fn new(code: Obstacle, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { code, why }
    }
}

//! What is playing, as every surface may show it.

use serde::{Deserialize, Serialize};

use super::{SleepTimer, Volume};

/// One moment of playback. The truth for readers; events only say that it changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Playback {
    pub state: PlayState,
    pub track: Option<Track>,
    /// What is played from: a Spotify URI, `None` when unknown or when a bare list of tracks was sent.
    pub context: Option<String>,
    /// What people call that, where Spotify says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_name: Option<String>,
    /// Place in the context, counted from 0.
    pub index: Option<u32>,
    /// Position in ms at `at_ms`, from the sink's clock.
    pub position_ms: u32,
    /// Unix time in ms at which `position_ms` was true.
    pub at_ms: i64,
    pub shuffle: bool,
    pub repeat: Repeat,
    pub volume: Volume,
    /// Whether the controller shows this speaker as the active device.
    pub active: bool,
    /// URIs of what the listener queued, in order; at most [`MAX_TOLD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<String>,
    /// What comes, in order; at most [`MAX_NEIGHBOURS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Neighbour>,
    /// Changes whenever what comes does.
    #[serde(default)]
    pub queue_revision: String,
    /// What Spotify does not allow at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrictions: Vec<Restriction>,
    /// What was played before, oldest first; a few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Neighbour>,
    /// When it pauses by itself.
    #[serde(default)]
    pub sleep: SleepTimer,
    /// For how long it grows quieter before that, in ms; 0: it does not.
    #[serde(default)]
    pub sleep_fade_ms: u32,
    /// What it takes, besides, to go on exactly here after a loss.
    #[serde(default, skip_serializing_if = "Place::is_nowhere")]
    pub place: Place,
}

/// Tracks of a queue, or of a list without a context, that are told.
pub const MAX_TOLD: usize = 100;

/// Tracks to come that are told to every remote.
pub const MAX_NEIGHBOURS: usize = 30;

/// A track before or after the one that plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Neighbour {
    pub uri: String,
    pub source: Source,
}

/// Whose choice a track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Context,
    /// The listener queued it.
    Queue,
    /// Spotify goes on with it after the end.
    Autoplay,
}

/// Where in the list the music is, for the one who takes it up again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Place {
    /// The context's own name of the place; empty when there is none.
    pub uid: String,
    /// The track came from the queue, and the context waits at `index`.
    pub from_queue: bool,
    /// What the shuffled order is made from.
    pub shuffle_seed: Option<u64>,
    /// The index of the track that the shuffled order begins with.
    pub shuffle_first: Option<u32>,
    /// A list, or an order of one, that only the app knew: the URIs around the track, which is
    /// `index - list_from` of them.
    pub list: Vec<String>,
    pub list_from: u32,
    /// It is silent for want of a sound output only: nobody has paused, and it goes on by itself.
    pub held: bool,
}

impl Place {
    pub fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlayState {
    Stopped,
    Loading,
    Playing,
    Paused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    #[default]
    Off,
    Context,
    Track,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Track {
    /// `spotify:track:…` or `spotify:episode:…`.
    pub uri: String,
    pub title: String,
    pub artists: Vec<String>,
    /// Whose album it is; empty where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub album_artists: Vec<String>,
    pub album: String,
    pub duration_ms: u32,
    pub explicit: bool,
    /// Cover images, largest first.
    pub covers: Vec<String>,
    #[serde(default)]
    pub kind: TrackKind,
    /// What is played of it; `None` until it is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    #[default]
    Track,
    Episode,
}

/// The file that is played.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Stream {
    pub codec: Codec,
    /// kbit/s, nominal.
    pub kbps: u32,
    /// How much louder or softer it is made to be as loud as others, in dB; `None` until its first
    /// sample is decoded, and while nothing is done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    Vorbis,
    Mp3,
}

/// Something that Spotify does not allow at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Restriction {
    pub what: Forbidden,
    /// In Spotify's words.
    pub why: String,
}

/// What can be forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Forbidden {
    Pause,
    Resume,
    Seek,
    Next,
    Previous,
    Shuffle,
    RepeatContext,
    RepeatTrack,
    Queue,
}

impl TrackKind {
    /// By the URI of what plays.
    pub fn of(uri: &str) -> Self {
        match uri.starts_with("spotify:episode:") {
            true => Self::Episode,
            false => Self::Track,
        }
    }
}

impl Playback {
    /// Nothing plays, at this volume.
    pub fn silent(volume: Volume) -> Self {
        Self {
            state: PlayState::Stopped,
            track: None,
            context: None,
            context_name: None,
            index: None,
            position_ms: 0,
            at_ms: 0,
            shuffle: false,
            repeat: Repeat::Off,
            volume,
            active: false,
            queue: Vec::new(),
            next: Vec::new(),
            queue_revision: String::new(),
            restrictions: Vec::new(),
            previous: Vec::new(),
            sleep: SleepTimer::Off,
            sleep_fade_ms: 0,
            place: Place::default(),
        }
    }

    /// Where the listener is at `now_ms` (Unix ms), never past the end of the track.
    pub fn position_at(&self, now_ms: i64) -> u32 {
        let gone = if self.state == PlayState::Playing {
            (now_ms - self.at_ms).max(0)
        } else {
            0
        };
        let position = u32::try_from(i64::from(self.position_ms) + gone).unwrap_or(u32::MAX);
        self.track
            .as_ref()
            .map_or(position, |track| position.min(track.duration_ms))
    }
}

//! What a player is told, and what it tells.

use std::sync::{Arc, OnceLock};

use crate::{
    config::{Audio, Normalisation, NormalisationMethod},
    decode::{Kind, Source},
};

/// How music is to be played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayerSettings {
    /// Tracks follow each other without a gap.
    pub gapless: bool,
    /// How long one track fades into the next, 0 to 12 000 ms; 0 is not at all.
    pub crossfade_ms: u32,
    pub normalisation: Normalisation,
    pub method: NormalisationMethod,
    /// Added to every track's gain while normalising, −10 to +10 dB.
    pub pregain_db: f64,
}

/// A file ready to be played.
pub struct Opened {
    pub source: Box<dyn Source>,
    pub kind: Kind,
    /// As the catalogue says, 0 if it does not.
    pub duration_ms: u32,
    /// Played as part of its album, in order: the album's gain is the right one.
    pub by_album: bool,
    /// Where its gain is told.
    pub gain: Gain,
}

/// The gain of a track, told by the player to whoever opened it: known with the first samples.
#[derive(Debug, Clone, Default)]
pub struct Gain(Arc<OnceLock<f32>>);

impl Gain {
    /// In dB; `None` while it is not known, and where nothing is to be done.
    pub fn db(&self) -> Option<f32> {
        self.0.get().copied()
    }

    /// Only the first word counts: it is the one that is heard.
    pub(super) fn is(&self, factor: f32) {
        if factor != 1.0 && factor > 0.0 {
            let _ = self.0.set(20.0 * factor.log10());
        }
    }
}

/// An order to the player. A track's `id` is the caller's; no two tracks have the same.
#[derive(Debug)]
pub enum Order {
    /// Plays this instead of whatever plays, follows or loads.
    Load {
        id: u64,
        open: Opened,
        position_ms: u32,
        /// False: gets ready, and waits for [`Order::Play`].
        play: bool,
    },
    /// Follows the current track. Replaces an earlier one, also when that has been decoded, but not
    /// when the listener already hears it.
    Next {
        id: u64,
        open: Opened,
        /// Where it begins.
        position_ms: u32,
        /// The next of the same album: never crossfaded.
        consecutive: bool,
    },
    /// Plays what was to follow ([`Order::Next`]) now. It is there already, so this is quick.
    Skip {
        id: u64,
        position_ms: u32,
        play: bool,
    },
    /// Nothing follows after all.
    DropNext,
    Play,
    Pause,
    /// Within the track that is heard.
    Seek {
        ms: u32,
    },
    /// Silence, and nothing loaded.
    Stop,
    /// From the next decoded sample on.
    Settings(PlayerSettings),
}

/// News from the player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first sample of a loaded track left for the device.
    Started { id: u64 },
    /// Silence, after a pause or because a track was loaded to wait.
    Paused { id: u64, position_ms: u32 },
    /// Music leaves for the device again after a pause.
    Resumed { id: u64, position_ms: u32 },
    /// The samples of this place are ready, or already on their way to the device.
    Sought { id: u64, position_ms: u32 },
    /// The listener hears the next track.
    Joined { from: u64, to: u64 },
    /// All of it was heard and nothing follows.
    Ended { id: u64 },
    /// The file stopped before the track did, at this place. What follows, follows.
    BrokenOff { id: u64, position_ms: u32 },
    /// This track cannot be played, or not any further; what was decoded has been heard.
    Failed { id: u64, why: Why },
    /// The listener hears nothing because bytes are missing.
    Starving { id: u64 },
    /// And hears something again.
    Flowing { id: u64 },
    /// There is no output. The music waits; nothing is lost.
    OutputLost { id: Option<u64> },
    /// There is one again, and the music went on by itself.
    OutputBack { id: Option<u64> },
}

/// Why a track failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// What the source said.
    Source(String),
    /// The file is not audio that can be decoded.
    NotAudio(String),
}

impl PlayerSettings {
    pub fn of(audio: &Audio) -> Self {
        Self {
            gapless: audio.gapless,
            crossfade_ms: audio.crossfade_ms,
            normalisation: audio.normalisation,
            method: audio.normalisation_method,
            pregain_db: audio.pregain_db,
        }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("kind", &self.kind)
            .field("duration_ms", &self.duration_ms)
            .finish_non_exhaustive()
    }
}

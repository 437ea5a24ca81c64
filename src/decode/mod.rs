//! From the bytes of a track to its samples.
//!
//! Owns the formats: pages and packets of Ogg Vorbis, frames of MP3, seeking in both, the trimming
//! that makes joints exact, and what becomes of damage. Whatever a file holds, stereo at 44 100
//! frames a second comes out. Knows nothing of tracks that follow each other, nor of time.
//!
//! A decoder never waits longer than it is told to: when bytes are missing it says so and goes on
//! at the next call, without a sample lost. Start at [`Decoder::decode`].

mod source;

use std::time::Duration;

pub use source::{Source, SourceError};

/// Frames per second of everything that comes out.
pub const RATE: u32 = 44_100;
/// Interleaved channels of everything that comes out.
pub const CHANNELS: usize = 2;

/// What a file is, as the catalogue says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ogg Vorbis, with or without the service's page in front.
    Vorbis,
    /// MPEG audio, layer III: podcast episodes.
    Mp3,
}

/// Loudness figures of the service's first page. Absent in MP3.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gains {
    /// To be added to the track for equal loudness, dB.
    pub track_db: f32,
    /// Largest sample of the track, 1.0 is full scale; may be above.
    pub track_peak: f32,
    /// The same for the whole album.
    pub album_db: f32,
    pub album_peak: f32,
}

/// What a call of [`Decoder::decode`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Goes on; there may or may not have been samples.
    More,
    /// That was all of it.
    End(Ending),
}

/// How a track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At its end.
    Whole,
    /// The file stops before the track does.
    BrokenOff,
}

/// Why there are no samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Bytes are on their way: call again.
    #[error("the bytes are still on their way")]
    NotYet,
    /// There will be no more bytes; what the source said.
    #[error("{0}")]
    Source(String),
    /// The file is not what it should be, or damaged beyond use.
    #[error("this is not audio that can be played: {0}")]
    NotAudio(String),
}

/// One track on its way from bytes to samples.
pub struct Decoder {
    _source: Box<dyn Source>,
}

impl Decoder {
    /// Takes a file to be played from `start_ms`. Reads nothing yet: trouble comes out of
    /// [`Self::decode`]. `duration_ms` is what the catalogue says; 0 if it does not.
    pub fn open(source: Box<dyn Source>, _kind: Kind, _duration_ms: u32, _start_ms: u32) -> Self {
        Self { _source: source }
    }

    /// Appends the next interleaved samples to `out`, a few thousand frames at most, waiting at
    /// most `wait` each time that bytes are missing. The first samples are those of the position
    /// asked for, to the frame.
    ///
    /// # Errors
    ///
    /// After [`DecodeError::NotYet`] everything goes on where it was. The others are final.
    pub fn decode(
        &mut self,
        _out: &mut Vec<f32>,
        _wait: Duration,
    ) -> Result<Progress, DecodeError> {
        Err(DecodeError::NotYet)
    }

    /// Goes on from `ms` at the next call of [`Self::decode`]. Reads nothing yet. A place behind
    /// the end is the end.
    pub fn seek(&mut self, _ms: u32) {}

    /// The loudness figures, once the first samples were decoded and if there are any.
    pub fn gains(&self) -> Option<Gains> {
        None
    }

    /// Frames (44 100 a second) from the beginning of the track to the next sample that comes out.
    pub fn position(&self) -> u64 {
        0
    }

    /// Frames of the whole track, as well as they are known.
    pub fn total(&self) -> Option<u64> {
        None
    }
}

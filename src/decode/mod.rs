//! From the bytes of a track to its samples.
//!
//! Owns the formats: pages and packets of Ogg Vorbis, frames of MP3, seeking in both, the trimming
//! that makes joints exact, and what becomes of damage. Whatever a file holds, stereo at 44 100
//! frames a second comes out. Knows nothing of tracks that follow each other, nor of time.
//!
//! A decoder never waits longer than it is told to: when bytes are missing it says so and goes on
//! at the next call, without a sample lost. Start at [`Decoder::decode`].

mod mp3;
mod ogg;
mod resample;
mod service;
mod source;
#[cfg(test)]
pub(crate) mod testing;
mod vorbis;
mod window;

use std::time::Duration;

use crate::model::{CHANNELS, RATE, frames_of};
use mp3::Mp3;
use resample::Resample;
pub use source::{Source, SourceError};
use vorbis::Vorbis;
use window::Window;

/// No sample that comes out is larger; 1.0 is full scale. No music is as loud, and a damaged packet
/// may be a thousand times as loud.
pub const LOUDEST: f32 = 4.0;

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
    format: Box<dyn Format>,
    resample: Option<Resample>,
    native: Vec<f32>,
}

/// What the formats have in common. Samples come out in stereo, at the file's own rate.
trait Format: Send {
    fn window(&mut self) -> &mut Window;
    /// Takes one step: something small, so that orders are never kept waiting.
    fn advance(&mut self, out: &mut Vec<f32>) -> Result<Progress, DecodeError>;
    /// `frame` counts at [`RATE`].
    fn seek(&mut self, frame: u64);
    /// Frames per second, once known.
    fn rate(&self) -> Option<u32>;
    fn gains(&self) -> Option<Gains>;
    /// The next frame that comes out, counted at the file's rate.
    fn position(&self) -> u64;
    fn total(&self) -> Option<u64>;
}

impl Decoder {
    /// Takes a file to be played from `start_ms`. Reads nothing yet: trouble comes out of
    /// [`Self::decode`]. `duration_ms` is what the catalogue says; 0 if it does not.
    pub fn open(source: Box<dyn Source>, kind: Kind, duration_ms: u32, start_ms: u32) -> Self {
        let window = Window::new(source);
        let start = frames_of(start_ms);
        Self {
            format: match kind {
                Kind::Vorbis => Box::new(Vorbis::new(window, duration_ms, start)),
                Kind::Mp3 => Box::new(Mp3::new(window, duration_ms, start)),
            },
            resample: None,
            native: Vec::new(),
        }
    }

    /// Appends the next interleaved samples to `out`, waiting at most `wait` for missing bytes. It
    /// is some tenths of a second of music at a time, and sometimes none: call again. The first
    /// samples are those of the position asked for, to the frame. They may go beyond full scale,
    /// up to [`LOUDEST`]: clamp last.
    ///
    /// # Errors
    ///
    /// After [`DecodeError::NotYet`] everything goes on where it was. The others are final.
    pub fn decode(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Progress, DecodeError> {
        self.format.window().patience(wait);
        if self.format.rate() == Some(RATE) {
            return self.format.advance(out);
        }
        self.native.clear();
        let position = self.format.position();
        let progress = self.format.advance(&mut self.native)?;
        let Some(rate) = self.format.rate() else {
            return Ok(progress);
        };
        if rate == RATE {
            out.append(&mut self.native);
            return Ok(progress);
        }
        let resample = match &mut self.resample {
            Some(resample) => resample,
            None if self.native.is_empty() => return Ok(progress),
            none => none.insert(Resample::new(rate, position)?),
        };
        resample.turn(&self.native, out)?;
        if matches!(progress, Progress::End(_)) {
            resample.finish(out)?;
        }
        Ok(progress)
    }

    /// Goes on from `ms` at the next call of [`Self::decode`]. Reads nothing yet. A place behind
    /// the end is the end.
    pub fn seek(&mut self, ms: u32) {
        self.seek_frame(frames_of(ms));
    }

    /// The same, to a frame (44 100 a second).
    pub fn seek_frame(&mut self, frame: u64) {
        self.resample = None;
        self.format.seek(frame);
    }

    /// The loudness figures, once the first samples were decoded and if there are any.
    pub fn gains(&self) -> Option<Gains> {
        self.format.gains()
    }

    /// Frames (44 100 a second) from the beginning of the track to the next sample that comes out.
    pub fn position(&self) -> u64 {
        match (&self.resample, self.format.rate()) {
            (Some(resample), _) => resample.position(),
            (None, Some(rate)) => scaled(self.format.position(), rate, RATE),
            (None, None) => self.format.position(),
        }
    }

    /// Frames of the whole track, as well as they are known.
    pub fn total(&self) -> Option<u64> {
        let rate = self.format.rate()?;
        Some(scaled(self.format.total()?, rate, RATE))
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

/// A checksum that tells damage, and nobody's intent: the CRC-32 of Ogg.
pub fn checksum(bytes: &[u8]) -> u32 {
    ogg::crc(0, bytes)
}

/// A count of frames at one rate as a count at another, to the nearest.
fn scaled(frames: u64, from: u32, to: u32) -> u64 {
    if from == to {
        return frames;
    }
    let (from, to) = (u128::from(from.max(1)), u128::from(to));
    u64::try_from((u128::from(frames) * to + from / 2) / from).unwrap_or(u64::MAX)
}

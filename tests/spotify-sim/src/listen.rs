//! Ears for tests: what was played, from where in the track, and how well.
//!
//! Takes captures apart and compares them with the source. Everything here
//! is arithmetic on frames (`[left, right]`, 1.0 is full scale); nothing
//! opens a device, and only [`read_wav`] reads a file.

mod align;
mod flaws;
mod recognise;
mod runs;
mod spectrum;
mod wav;

pub use align::{Alignment, Difference, Joint, align, compare, joint};
pub use flaws::{Click, clicks, clipped};
pub use recognise::{Heard, Placement, position_of, recognise, which_track};
pub use runs::{Run, playing, runs};
pub use spectrum::{dominant, level_db, magnitude_at};
pub use wav::{parse_wav, read_wav};

/// A stereo sample pair.
pub type Frame = [f32; 2];

/// Why a capture tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot read {path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("not a WAV file we can read: {0}")]
    NotWav(String),
    #[error("the capture has {capture} frames, too few to look for {wanted}")]
    TooShort { capture: usize, wanted: usize },
    #[error("the source is not in the capture: the best match (at frame {at}) is only {:.0} % alike", .alike * 100.0)]
    NotThere { at: i64, alike: f64 },
}

/// Frames from signed 16 bit little endian, stereo. A torn last frame is dropped.
pub fn from_s16(bytes: &[u8]) -> Vec<Frame> {
    frames(bytes, |b: [u8; 2]| {
        f32::from(i16::from_le_bytes(b)) / 32_768.0
    })
}

/// Frames from signed 32 bit little endian, stereo.
pub fn from_s32(bytes: &[u8]) -> Vec<Frame> {
    frames(bytes, |b: [u8; 4]| {
        (f64::from(i32::from_le_bytes(b)) / 2_147_483_648.0) as f32
    })
}

/// Frames from 32 bit float little endian, stereo.
pub fn from_f32(bytes: &[u8]) -> Vec<Frame> {
    frames(bytes, f32::from_le_bytes)
}

fn frames<const N: usize>(bytes: &[u8], sample: impl Fn([u8; N]) -> f32) -> Vec<Frame> {
    let at = |bytes: &[u8]| {
        let mut one = [0; N];
        one.copy_from_slice(bytes);
        sample(one)
    };
    bytes
        .chunks_exact(2 * N)
        .map(|frame| [at(&frame[..N]), at(&frame[N..])])
        .collect()
}

#[cfg(test)]
mod tests;

//! What music is between the decoder and a device: stereo, 44 100 frames a second.

use std::time::Duration;

/// Frames per second.
pub const RATE: u32 = 44_100;
/// Interleaved channels of a frame.
pub const CHANNELS: usize = 2;

/// Frames of so many milliseconds, rounded down.
pub fn frames_of(ms: u32) -> u64 {
    u64::from(ms) * u64::from(RATE) / 1000
}

/// Milliseconds of so many frames, to the nearest.
pub fn ms_of(frames: u64) -> u32 {
    u32::try_from((frames * 1000 + u64::from(RATE) / 2) / u64::from(RATE)).unwrap_or(u32::MAX)
}

/// How long so many frames last, to the microsecond.
pub fn duration_of(frames: u64) -> Duration {
    Duration::from_micros(frames * 1_000_000 / u64::from(RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_millisecond_there_and_back_is_the_same_millisecond() {
        for ms in [0, 1, 2, 999, 1000, 61_237, 3_600_000] {
            assert_eq!(ms_of(frames_of(ms)), ms);
        }
        assert_eq!(duration_of(22_050), Duration::from_millis(500));
    }
}

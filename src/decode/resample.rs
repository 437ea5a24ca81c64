//! Other rates than the output's: podcasts may come at 22 050 or 48 000 frames a second.

use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::InterleavedSlice};

use super::{CHANNELS, DecodeError, LOUDEST, RATE, scaled};

/// Frames turned at once.
const CHUNK: usize = 1024;

/// Turns interleaved stereo of one rate into the same of [`RATE`], as long to the frame.
pub(super) struct Resample {
    fft: Fft<f32>,
    rate: u32,
    waiting: Vec<f32>,
    made: Vec<f32>,
    /// Frames that are yet to be left out: the delay of the filter.
    late: usize,
    taken: u64,
    given: u64,
    /// Frame at [`RATE`] with which it began.
    start: u64,
}

impl Resample {
    /// `position`: the first frame that will come in, counted at `rate`.
    pub(super) fn new(rate: u32, position: u64) -> Result<Self, DecodeError> {
        let fft = Fft::new(
            rate as usize,
            RATE as usize,
            CHUNK,
            CHANNELS,
            FixedSync::Input,
        )
        .map_err(refused)?;
        Ok(Self {
            late: fft.output_delay(),
            made: vec![0.0; fft.output_frames_max() * CHANNELS],
            fft,
            rate,
            waiting: Vec::new(),
            taken: 0,
            given: 0,
            start: scaled(position, rate, RATE),
        })
    }

    /// The next frame that comes out, counted at [`RATE`].
    pub(super) fn position(&self) -> u64 {
        self.start + self.given
    }

    pub(super) fn turn(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.taken += (samples.len() / CHANNELS) as u64;
        self.waiting.extend(samples);
        self.chunks(out)
    }

    /// Lets out what is still in here, and begins anew with the next frame.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DecodeError> {
        let all = scaled(self.taken, self.rate, RATE);
        while self.given < all {
            let missing = self.fft.input_frames_next() * CHANNELS;
            self.waiting.resize(self.waiting.len().max(missing), 0.0);
            let before = out.len();
            self.chunks(out)?;
            if self.given > all {
                let surplus = (self.given - all) as usize * CHANNELS;
                out.truncate(out.len().saturating_sub(surplus).max(before));
                self.given = all;
            }
        }
        Ok(())
    }

    fn chunks(&mut self, out: &mut Vec<f32>) -> Result<(), DecodeError> {
        let mut at = 0;
        loop {
            let frames = self.fft.input_frames_next();
            let Some(input) = self.waiting.get(at..at + frames * CHANNELS) else {
                break;
            };
            let room = self.made.len() / CHANNELS;
            let from = InterleavedSlice::new(input, CHANNELS, frames).map_err(refused)?;
            let mut to =
                InterleavedSlice::new_mut(&mut self.made, CHANNELS, room).map_err(refused)?;
            let (_, made) = self
                .fft
                .process_into_buffer(&from, &mut to, None)
                .map_err(refused)?;
            at += frames * CHANNELS;
            let late = self.late.min(made);
            self.late -= late;
            let ready = &self.made[late * CHANNELS..made * CHANNELS];
            // A filter swings beyond what went in.
            out.extend(ready.iter().map(|sample| sample.clamp(-LOUDEST, LOUDEST)));
            self.given += (made - late) as u64;
        }
        self.waiting.drain(..at);
        Ok(())
    }
}

fn refused(error: impl std::fmt::Display) -> DecodeError {
    DecodeError::NotAudio(format!("its rate cannot be converted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_length_its_place_and_its_shape() {
        for rate in [22_050, 32_000, 48_000] {
            let tone = |n: u64, rate: u32| {
                let phase = n as f64 * 1000.0 / f64::from(rate) * std::f64::consts::TAU;
                (phase.sin() / 2.0) as f32
            };
            let frames = u64::from(rate) + 17;
            let source: Vec<f32> = (0..frames).flat_map(|n| [tone(n, rate); 2]).collect();
            let mut resample = Resample::new(rate, 0).expect("a common rate");
            let mut out = Vec::new();
            for piece in source.chunks(2 * 1152) {
                resample.turn(piece, &mut out).expect("turned");
            }
            resample.finish(&mut out).expect("turned");
            assert_eq!(out.len() as u64 / 2, scaled(frames, rate, RATE));
            for n in 2000..40_000 {
                let error = (out[n * 2] - tone(n as u64, RATE)).abs();
                // Half a frame at most: the delay of the filter need not be whole.
                assert!(error < 0.04, "{rate}: {error} at {n}");
            }
        }
    }
}

//! Where a device takes its samples: fades, volume and, for devices of another rate, resampling.
//!
//! All of it lies behind the buffer, so that volume and pause act within the device's own delay.

use std::{collections::VecDeque, sync::Arc};

use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::InterleavedSlice};

use super::{
    feed::Feed,
    reel::Pace,
    volume::{Fader, VolumeControl},
};
use crate::model::{CHANNELS, RATE};

/// Frames a resampler turns at once: 12 ms of delay. Its quality does not depend on it.
const CHUNK: usize = 512;

/// Music at 44 100 frames a second with the volume applied.
#[derive(Debug)]
pub(super) struct Tap {
    feed: Arc<Feed>,
    fader: Fader,
    pace: Pace,
    /// Frames behind this point that have not been heard yet, at the moment of asking.
    delay: u64,
}

impl Tap {
    pub(super) fn new(feed: Arc<Feed>, volume: Arc<VolumeControl>, pace: Pace, delay: u64) -> Self {
        Self {
            feed,
            fader: Fader::new(volume),
            pace,
            delay,
        }
    }

    pub(super) fn set_delay(&mut self, frames: u64) {
        self.delay = frames;
    }

    /// Fills `block` with interleaved frames, the rest with silence; returns how many were music.
    pub(super) fn fill(&mut self, block: &mut [f32]) -> usize {
        let count = self.feed.pull(block, self.pace, self.delay);
        let (music, rest) = block.split_at_mut(count * CHANNELS);
        if count == 0 {
            self.fader.settle();
        } else {
            self.fader.apply(music);
        }
        rest.fill(0.0);
        count
    }
}

/// The same for a device that takes another rate.
pub(super) struct Resampled {
    tap: Tap,
    fft: Fft<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    waiting: VecDeque<f32>,
    device_delay: u64,
    rate: u32,
}

impl Resampled {
    /// `tap`'s own delay is replaced by `device_delay` (frames at 44 100) and what lies in here.
    pub(super) fn new(tap: Tap, rate: u32, device_delay: u64) -> Result<Self, String> {
        let fft = Fft::new(
            RATE as usize,
            rate as usize,
            CHUNK,
            CHANNELS,
            FixedSync::Input,
        )
        .map_err(|error| error.to_string())?;
        Ok(Self {
            tap,
            input: vec![0.0; fft.input_frames_max() * CHANNELS],
            output: vec![0.0; fft.output_frames_max() * CHANNELS],
            waiting: VecDeque::with_capacity(fft.output_frames_max() * 2 * CHANNELS),
            fft,
            device_delay,
            rate,
        })
    }

    pub(super) fn fill(&mut self, block: &mut [f32]) {
        while self.waiting.len() < block.len() {
            if !self.turn_a_chunk() {
                block.fill(0.0);
                return;
            }
        }
        let wanted = block.len();
        for (sample, from) in block.iter_mut().zip(self.waiting.drain(..wanted)) {
            *sample = from;
        }
    }

    fn turn_a_chunk(&mut self) -> bool {
        let here = self.waiting.len() / CHANNELS + self.fft.output_delay();
        let here = here as u64 * u64::from(RATE) / u64::from(self.rate);
        self.tap.set_delay(self.device_delay + here);
        let frames = self.fft.input_frames_next();
        self.tap.fill(&mut self.input[..frames * CHANNELS]);
        let room = self.output.len() / CHANNELS;
        let Ok(from) = InterleavedSlice::new(&self.input, CHANNELS, frames) else {
            return false;
        };
        let Ok(mut to) = InterleavedSlice::new_mut(&mut self.output, CHANNELS, room) else {
            return false;
        };
        let Ok((_, made)) = self.fft.process_into_buffer(&from, &mut to, None) else {
            return false;
        };
        self.waiting.extend(&self.output[..made * CHANNELS]);
        made > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::VolumeSettings, model::Volume};

    /// How far below a tone everything else lies, in dB. The tone is fitted and taken away.
    fn signal_to_noise(samples: &[f32], hertz: f64, rate: f64) -> f64 {
        let phase = |n: usize| n as f64 * hertz / rate * std::f64::consts::TAU;
        let (mut a, mut b) = (0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate() {
            a += f64::from(sample) * phase(n).sin();
            b += f64::from(sample) * phase(n).cos();
        }
        let half = samples.len() as f64 / 2.0;
        let (a, b) = (a / half, b / half);
        let noise: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, &s)| (f64::from(s) - a * phase(n).sin() - b * phase(n).cos()).powi(2))
            .sum();
        10.0 * ((a * a + b * b) * half / noise).log10()
    }

    #[test]
    fn a_tone_survives_the_way_to_a_device_of_another_rate() {
        let feed = Arc::new(Feed::new(60_000));
        feed.opened(0);
        let hertz = 10_000.0;
        let source: Vec<f32> = (0..60_000)
            .flat_map(|n| {
                let phase = f64::from(n) * hertz / f64::from(RATE) * std::f64::consts::TAU;
                [(phase.sin() / 2.0) as f32; CHANNELS]
            })
            .collect();
        assert_eq!(feed.lock().reel.push(&source), 60_000);
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let tap = Tap::new(Arc::clone(&feed), volume, Pace::Now, 0);
        let mut resampled = Resampled::new(tap, 48_000, 0).expect("a common rate");
        let mut out = vec![0.0; 256 * CHANNELS];
        let mut heard = Vec::new();
        while heard.len() < 52_800 {
            resampled.fill(&mut out);
            heard.extend(out.iter().step_by(CHANNELS));
        }
        let found = signal_to_noise(&heard[4800..52_800], hertz, 48_000.0);
        assert!(found > 100.0, "{found} dB");
    }
}

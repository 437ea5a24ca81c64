//! Equal loudness: one gain a track, and a limiter for those who want it.

use super::order::PlayerSettings;
use crate::{
    config::{Normalisation, NormalisationMethod},
    decode::{Gains, LOUDEST},
};

/// The limiter keeps peaks below this: −1 dBFS.
const CEILING: f32 = 0.891;
/// Samples looked at as one: 0.36 ms of stereo.
const BLOCK: usize = 32;
/// How much of the way back to full gain is gone in a block: a tenth of a second in all.
const RELEASE: f32 = BLOCK as f32 / 2.0 / 4410.0;

/// No figure is believed beyond this: what is quieter by more is not music, or damaged.
const MOST_DB: f32 = 24.0;

/// Applied to a track's samples as they are decoded.
#[derive(Debug)]
pub(super) struct Loudness {
    factor: f32,
    limits: bool,
    /// The limiter's gain at the end of the last block.
    held: f32,
}

impl Loudness {
    /// Files without figures are left as they are, but for the pregain.
    pub(super) fn new(settings: &PlayerSettings, by_album: bool, gains: Option<Gains>) -> Self {
        let by_album = match settings.normalisation {
            Normalisation::Off => {
                return Self {
                    factor: 1.0,
                    limits: false,
                    held: 1.0,
                };
            }
            Normalisation::Track => false,
            Normalisation::Album => true,
            Normalisation::Auto => by_album,
        };
        let (db, peak) = match gains {
            Some(gains) if by_album => (gains.album_db, gains.album_peak),
            Some(gains) => (gains.track_db, gains.track_peak),
            None => (0.0, 1.0),
        };
        let db = if db.is_finite() {
            db.clamp(-MOST_DB, MOST_DB)
        } else {
            0.0
        };
        // No music is silent, or louder than what is decoded: who says so does not know.
        let peak = match peak {
            peak if peak > 0.0 && peak <= LOUDEST => peak,
            _ => 1.0,
        };
        let factor = 10f64.powf((f64::from(db) + settings.pregain_db) / 20.0) as f32;
        let limits = settings.method == NormalisationMethod::Dynamic;
        let most = if limits { f32::INFINITY } else { 1.0 / peak };
        Self {
            factor: factor.min(most),
            limits,
            held: 1.0,
        }
    }

    /// How much louder it makes a track, before the limiter.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// Applies it to interleaved samples.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        if self.factor != 1.0 {
            let factor = self.factor;
            samples.iter_mut().for_each(|sample| *sample *= factor);
        }
        if self.limits {
            self.limit(samples);
        }
    }

    /// Gain falls before a loud block and rises slowly after it. No logarithm, and nothing at all
    /// to do for blocks that are not too loud.
    fn limit(&mut self, samples: &mut [f32]) {
        let blocks = samples.len().div_ceil(BLOCK);
        let mut wanted = wanted(samples, 0);
        for block in 0..blocks {
            let next = match block + 1 < blocks {
                true => self::wanted(samples, block + 1),
                false => 1.0,
            };
            let from = self.held;
            let back = from + (1.0 - from) * RELEASE;
            let to = back.min(wanted).min(next);
            // What begins loud was not seen to come: a step would click.
            let from = match block {
                0 => from,
                _ => from.min(wanted.max(to)),
            };
            if from < 0.9999 || to < 0.9999 {
                let end = samples.len().min((block + 1) * BLOCK);
                let piece = &mut samples[block * BLOCK..end];
                let step = (to - from) / piece.len() as f32;
                for (index, sample) in piece.iter_mut().enumerate() {
                    *sample *= from + step * (index + 1) as f32;
                }
            }
            self.held = to;
            wanted = next;
        }
    }
}

/// The gain with which a block stays below the ceiling.
fn wanted(samples: &[f32], block: usize) -> f32 {
    let end = samples.len().min((block + 1) * BLOCK);
    let peak = samples[block * BLOCK..end]
        .iter()
        .fold(0f32, |peak, sample| peak.max(sample.abs()));
    if peak > CEILING { CEILING / peak } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAINS: Gains = Gains {
        track_db: -6.0,
        track_peak: 0.5,
        album_db: 12.0,
        album_peak: 0.5,
    };

    fn settings(normalisation: Normalisation, method: NormalisationMethod) -> PlayerSettings {
        PlayerSettings {
            gapless: true,
            crossfade_ms: 0,
            normalisation,
            method,
            pregain_db: 0.0,
        }
    }

    fn factor(normalisation: Normalisation, by_album: bool) -> f32 {
        let settings = settings(normalisation, NormalisationMethod::Basic);
        Loudness::new(&settings, by_album, Some(GAINS)).factor
    }

    #[test]
    fn the_right_figures_are_taken_and_peaks_never_clip() {
        assert_eq!(factor(Normalisation::Off, true), 1.0);
        assert!((factor(Normalisation::Track, true) - 0.5012).abs() < 1e-4);
        assert!((factor(Normalisation::Auto, false) - 0.5012).abs() < 1e-4);
        assert_eq!(factor(Normalisation::Auto, true), 2.0, "12 dB would clip");
        assert_eq!(factor(Normalisation::Album, false), 2.0);
        let by = |track_db: f32, track_peak: f32| {
            let gains = Gains {
                track_db,
                track_peak,
                ..GAINS
            };
            let settings = settings(Normalisation::Track, NormalisationMethod::Basic);
            Loudness::new(&settings, false, Some(gains)).factor
        };
        assert_eq!(by(40.0, 0.0), 1.0, "no peak is no leave to be loud");
        assert_eq!(by(f32::NAN, f32::NAN), 1.0);
        assert_eq!(by(0.0, f32::INFINITY), 1.0, "nor is it silent");
        assert!(by(40.0, 0.001) < 16.0, "nor is a tiny one");
        assert!(by(-90.0, 1.0) > 0.06);
        let off = settings(Normalisation::Off, NormalisationMethod::Dynamic);
        let mut samples = [0.1, -1.7];
        Loudness::new(&off, false, Some(GAINS)).apply(&mut samples);
        assert_eq!(samples, [0.1, -1.7], "to the bit");
    }

    #[test]
    fn the_limiter_holds_peaks_and_leaves_quiet_music_alone() {
        let dynamic = settings(Normalisation::Album, NormalisationMethod::Dynamic);
        let quiet: Vec<f32> = (0..4000).map(|n| (n as f32 * 0.1).sin() * 0.2).collect();
        let mut samples = quiet.clone();
        let mut loudness = Loudness::new(&dynamic, false, Some(GAINS));
        loudness.apply(&mut samples);
        let factor = loudness.factor;
        assert!((factor - 3.98).abs() < 0.01);
        assert!(samples.iter().zip(&quiet).all(|(a, b)| *a == b * factor));
        let mut loud: Vec<f32> = (0..40_000).map(|n| (n as f32 * 0.1).sin()).collect();
        for piece in loud.chunks_mut(4000) {
            loudness.apply(piece);
        }
        let peak = loud[BLOCK * 2..].iter().fold(0f32, |p, s| p.max(s.abs()));
        assert!(peak < 1.0, "{peak}");
        let mut after = quiet.repeat(20);
        loudness.apply(&mut after);
        let last = after.len() - 1;
        assert!((after[last] - quiet[quiet.len() - 1] * factor).abs() < 1e-3);
    }

    #[test]
    fn the_limiter_does_not_step_where_a_piece_begins() {
        let dynamic = settings(Normalisation::Album, NormalisationMethod::Dynamic);
        let mut loudness = Loudness::new(&dynamic, false, Some(GAINS));
        loudness.apply(&mut [0.1; 4000]);
        let mut loud = [0.5; 4000];
        loudness.apply(&mut loud);
        let gains: Vec<f32> = loud.iter().map(|it| it / 0.5 / loudness.factor).collect();
        let first = 1.0 - gains[0];
        let steepest = gains.windows(2).map(|two| (two[0] - two[1]).abs());
        let steepest = steepest.fold(first, f32::max);
        assert!(steepest < 2.0 / BLOCK as f32, "{steepest}");
    }
}

//! How loud: the level the phone sets, the curve that turns it into a gain, and the gain's ramp.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::watch;

use crate::{
    config::{Curve, VolumeSettings},
    model::{CHANNELS, RATE, Volume},
};

/// A change of gain takes 10 ms: faster is heard as a click, slower as lag.
const RAMP_FRAMES: u32 = RATE / 100;

/// The one level of a speaker, whoever turns it. Applied behind everything that waits.
#[derive(Debug)]
pub struct VolumeControl {
    curve: Curve,
    range_db: f64,
    /// Never louder than this.
    max: Volume,
    level: watch::Sender<Volume>,
    /// The gain for `level`, as bits: asked for by the audio thread, which must not wait.
    gain: AtomicU32,
}

impl VolumeControl {
    /// `start` is the level to begin with.
    pub fn new(settings: &VolumeSettings, start: Volume) -> Arc<Self> {
        let max = settings.max.volume();
        let start = match settings.curve {
            Curve::Fixed => max,
            _ => start.min(max),
        };
        // A fixed level that is capped lies where the slider would be.
        let curve = match settings.curve {
            Curve::Fixed if max < Volume::FULL => Curve::Log,
            curve => curve,
        };
        let gain = gain(curve, settings.range_db, start);
        Arc::new(Self {
            curve: settings.curve,
            range_db: settings.range_db,
            max,
            level: watch::Sender::new(start),
            gain: AtomicU32::new(gain.to_bits()),
        })
    }

    pub fn get(&self) -> Volume {
        *self.level.borrow()
    }

    /// Never blocks. Goes as far as the cap; does nothing with a fixed volume.
    pub fn set(&self, level: Volume) {
        if self.curve == Curve::Fixed {
            return;
        }
        let level = level.min(self.max);
        let gain = gain(self.curve, self.range_db, level);
        self.gain.store(gain.to_bits(), Ordering::Relaxed);
        self.level.send_if_modified(|old| {
            let news = *old != level;
            *old = level;
            news
        });
    }

    /// Changes of the level, for whoever remembers or shows it.
    pub fn watch(&self) -> watch::Receiver<Volume> {
        self.level.subscribe()
    }

    fn gain(&self) -> f32 {
        f32::from_bits(self.gain.load(Ordering::Relaxed))
    }
}

/// Level to gain: 0 is silence, full is exactly 1, nothing is above 1.
fn gain(curve: Curve, range_db: f64, level: Volume) -> f32 {
    if curve == Curve::Fixed || level == Volume::FULL {
        return 1.0;
    }
    if level == Volume::MUTE {
        return 0.0;
    }
    let way = level.fraction();
    let gain = match curve {
        Curve::Log => 10f64.powf((way - 1.0) * range_db / 20.0),
        Curve::Cubic => way.powi(3),
        Curve::Linear | Curve::Fixed => way,
    };
    gain as f32
}

/// Applies the level to samples, gliding from one gain to the next.
#[derive(Debug)]
pub(super) struct Fader {
    control: Arc<VolumeControl>,
    now: f32,
    target: f32,
    step: f32,
    left: u32,
}

impl Fader {
    pub(super) fn new(control: Arc<VolumeControl>) -> Self {
        let gain = control.gain();
        Self {
            control,
            now: gain,
            target: gain,
            step: 0.0,
            left: 0,
        }
    }

    /// Nothing is heard: the next sample may begin at the level of then.
    pub(super) fn settle(&mut self) {
        self.target = self.control.gain();
        self.now = self.target;
        self.left = 0;
    }

    /// Applies the gain to interleaved frames. At full level they stay as they are, to the bit.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        let target = self.control.gain();
        if target != self.target {
            self.target = target;
            self.left = RAMP_FRAMES;
            self.step = (target - self.now) / RAMP_FRAMES as f32;
        }
        let mut frames = samples.chunks_exact_mut(CHANNELS);
        while self.left > 0 {
            let Some(frame) = frames.next() else { return };
            self.left -= 1;
            self.now = if self.left == 0 {
                self.target
            } else {
                self.now + self.step
            };
            frame.iter_mut().for_each(|sample| *sample *= self.now);
        }
        if self.now != 1.0 {
            frames.flatten().for_each(|sample| *sample *= self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Percent;

    fn control(curve: Curve, start: Volume) -> Arc<VolumeControl> {
        let settings = VolumeSettings {
            curve,
            ..VolumeSettings::default()
        };
        VolumeControl::new(&settings, start)
    }

    #[test]
    fn every_curve_is_silent_at_zero_one_at_full_and_rising_between() {
        for curve in [Curve::Log, Curve::Cubic, Curve::Linear] {
            assert_eq!(gain(curve, 60.0, Volume::MUTE), 0.0);
            assert_eq!(gain(curve, 60.0, Volume::FULL), 1.0);
            let gains: Vec<f32> = (0..=u16::MAX)
                .step_by(257)
                .map(|level| gain(curve, 60.0, Volume(level)))
                .collect();
            assert!(gains.is_sorted(), "{curve:?}");
        }
        assert_eq!(gain(Curve::Fixed, 60.0, Volume::MUTE), 1.0);
    }

    #[test]
    fn half_the_way_is_half_the_range_in_decibels() {
        let half = gain(Curve::Log, 60.0, Volume(32_768));
        assert!((20.0 * half.log10() + 30.0).abs() < 0.01, "{half}");
    }

    #[test]
    fn at_full_level_samples_stay_as_they_are() {
        let mut fader = Fader::new(control(Curve::Log, Volume::FULL));
        let source: Vec<f32> = (-32_768..32_768).map(|s| s as f32 / 32_768.0).collect();
        let mut samples = source.clone();
        fader.apply(&mut samples);
        assert_eq!(samples, source);
    }

    #[test]
    fn a_change_glides_for_ten_milliseconds_and_ends_exactly() {
        let control = control(Curve::Linear, Volume::FULL);
        let mut fader = Fader::new(Arc::clone(&control));
        control.set(Volume::MUTE);
        let mut samples = vec![1.0; 1000 * CHANNELS];
        for block in samples.chunks_mut(33 * CHANNELS) {
            fader.apply(block);
        }
        let left: Vec<f32> = samples.iter().copied().step_by(CHANNELS).collect();
        let steepest = left
            .windows(2)
            .map(|w| (w[0] - w[1]).abs())
            .fold(0.0, f32::max);
        assert!(steepest < 1.1 / RAMP_FRAMES as f32, "{steepest}");
        assert!(left[439] > 0.0);
        assert!(left[440..].iter().all(|&sample| sample == 0.0));
    }

    #[test]
    fn a_level_set_in_silence_needs_no_ramp() {
        let control = control(Curve::Linear, Volume::FULL);
        let mut fader = Fader::new(Arc::clone(&control));
        control.set(Volume::MUTE);
        fader.settle();
        let mut samples = [1.0; 4];
        fader.apply(&mut samples);
        assert_eq!(samples, [0.0; 4]);
    }

    #[test]
    fn watchers_hear_of_a_new_level_once() {
        let control = control(Curve::Log, Volume(10));
        let mut watch = control.watch();
        control.set(Volume(10));
        assert!(!watch.has_changed().expect("the control lives"));
        control.set(Volume(20));
        assert!(watch.has_changed().expect("the control lives"));
        assert_eq!(*watch.borrow_and_update(), Volume(20));
    }

    #[test]
    fn no_level_is_louder_than_the_cap_not_even_a_fixed_one() {
        for curve in [Curve::Log, Curve::Cubic, Curve::Linear, Curve::Fixed] {
            let settings = VolumeSettings {
                curve,
                max: Percent::clamped(40),
                ..VolumeSettings::default()
            };
            let control = VolumeControl::new(&settings, Volume::FULL);
            control.set(Volume::FULL);
            assert_eq!(control.get(), Percent::clamped(40).volume(), "{curve:?}");
            assert!(control.gain() < 0.41, "{curve:?}");
        }
    }

    #[test]
    fn a_fixed_volume_cannot_be_turned() {
        let control = control(Curve::Fixed, Volume(10));
        control.set(Volume::MUTE);
        assert_eq!(control.get(), Volume::FULL);
    }
}

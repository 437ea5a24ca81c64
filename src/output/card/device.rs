//! Finding, opening and listing sound cards.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rodio::{
    DeviceSinkBuilder, MixerDeviceSink, Source,
    cpal::{
        self, BufferSize, Device, DeviceId, ErrorKind, Host, HostId, SampleFormat,
        SupportedBufferSize, SupportedStreamConfigRange,
        traits::{DeviceTrait, HostTrait},
    },
};
use tracing::debug;

use super::{
    bare,
    quiet::Quiet,
    trouble::{Trouble, of_open, of_stream},
};
use crate::model::{CHANNELS, RATE};
use crate::output::{
    DeviceLine,
    feed::Feed,
    reel::Pace,
    report::Opened,
    tap::{Resampled, Tap},
    volume::VolumeControl,
};

/// Frames taken from the feed in one go.
const BLOCK: usize = 256;
/// Best first: every bit of a turned-down sample survives in the first three.
const FORMATS: [SampleFormat; 4] = [
    SampleFormat::I32,
    SampleFormat::F32,
    SampleFormat::I24,
    SampleFormat::I16,
];
/// Rates to use when the card does not take 44 100, best first.
const OTHER_RATES: [u32; 5] = [88_200, 48_000, 96_000, 176_400, 192_000];
/// Listed by ALSA as devices, though they lead to the default one through a conversion, or nowhere.
const CONVERTERS: [&str; 8] = [
    "null",
    "lavrate",
    "samplerate",
    "speexrate",
    "speex",
    "upmix",
    "vdownmix",
    "oss",
];
/// A dead sound server calls back more than a million times a second until the stream is dropped.
const FAULT_PAUSE: Duration = Duration::from_millis(5);
/// ALSA's plugin for sound servers reports input/output errors while a stream of its own is being
/// set up. They pass; those of a card that is broken do not.
const PASSING: Duration = Duration::from_millis(250);

/// An open card. Dropping it closes the device.
pub(super) struct Live {
    _sink: MixerDeviceSink,
    health: Arc<Health>,
    opened: Opened,
    period: u32,
}

#[derive(Debug, Default)]
struct Health {
    fault: OnceLock<Trouble>,
    xruns: AtomicU64,
    /// Since when nothing but errors came, and how many pulls there had been.
    failing: Mutex<Option<(Instant, u64)>>,
}

impl Health {
    /// Whether an error that comes after so many pulls may be over in a moment.
    fn may_pass(&self, pulls: u64) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, at) = failing.get_or_insert_with(|| (Instant::now(), pulls));
        if *at != pulls {
            (*since, *at) = (Instant::now(), pulls);
        }
        since.elapsed() < PASSING
    }
}

/// How to open a card: what it takes that suits us best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    rate: u32,
    channels: u16,
    format: SampleFormat,
    /// Frames at `rate`.
    period: u32,
}

impl Live {
    /// `period`: frames at 44 100 that are taken at a time. ALSA holds two: twice that is the way from
    /// here to the ear at most, which a pause or a turn of the volume waits for. The card may give less.
    pub(super) fn open(
        feed: &Arc<Feed>,
        volume: &Arc<VolumeControl>,
        name: Option<&str>,
        period: u32,
    ) -> Result<Self, Trouble> {
        let host = host()?;
        let shaped = |device| shaped(device, period);
        let (device, shape) = find(&host, name).and_then(shaped).or_else(|trouble| {
            match (&trouble, name.and_then(converting)) {
                // Many USB cards take nothing but 24 bits in three bytes, which cpal does not
                // have. ALSA's own conversion from 32 bits leaves all of those bits alone.
                (Trouble::Refused { .. }, Some(name)) => {
                    let device = find(&host, Some(&name)).map_err(|_| trouble)?;
                    shaped(device)
                }
                _ => Err(trouble),
            }
        })?;
        let health = Arc::new(Health::default());
        let sink = build(&device, shape, &health, feed)?;
        let description = device
            .description()
            .map_or_else(|_| String::new(), |d| d.name().to_owned());
        let opened = Opened {
            device: match name {
                Some(name) => format!("{name} ({description})"),
                None => description,
            },
            rate: shape.rate,
            format: shape.format.to_string(),
        };
        // The device holds one period when it asks for the next.
        let delay = u64::from(shape.period) * u64::from(RATE) / u64::from(shape.rate);
        let tap = Tap::new(Arc::clone(feed), Arc::clone(volume), Pace::Now, delay);
        let stage = if shape.rate == RATE {
            Stage::Plain(tap)
        } else {
            let resampled =
                Resampled::new(tap, shape.rate, delay).map_err(|why| Trouble::Refused { why })?;
            Stage::Resampled(Box::new(resampled))
        };
        sink.mixer().add(Endless {
            stage,
            format: shape.format,
            rate: NonZero::new(shape.rate).unwrap_or(NonZero::<u32>::MIN),
            block: vec![0.0; BLOCK * CHANNELS],
            at: BLOCK * CHANNELS,
        });
        Ok(Self {
            _sink: sink,
            health,
            opened,
            period: delay as u32,
        })
    }

    pub(super) fn fault(&self) -> Option<Trouble> {
        self.health.fault.get().cloned()
    }

    /// Underruns since the last time of asking.
    pub(super) fn xruns(&self) -> u64 {
        self.health.xruns.swap(0, Ordering::Relaxed)
    }

    pub(super) fn opened(&self) -> Opened {
        self.opened.clone()
    }

    /// Frames at 44 100 that it takes at a time.
    pub(super) fn period(&self) -> u32 {
        self.period
    }

    /// Frames at 44 100 that it may ask for in one breath: its two periods, and one to come.
    pub(super) fn holds(&self) -> usize {
        self.period as usize * 3
    }
}

/// ALSA by name: with more hosts compiled in, the default one may be another.
fn host() -> Result<Host, Trouble> {
    cpal::host_from_id(HostId::Alsa).map_err(|error| of_open(&error))
}

fn find(host: &Host, name: Option<&str>) -> Result<Device, Trouble> {
    let Some(name) = name else {
        return host.default_output_device().ok_or(Trouble::Missing);
    };
    host.device_by_id(&DeviceId::new(HostId::Alsa, bare(name)))
        .ok_or(Trouble::Missing)
}

/// The device of the same card with ALSA's conversions.
fn converting(name: &str) -> Option<String> {
    Some(format!("plughw:{}", bare(name).strip_prefix("hw:")?))
}

fn shaped(device: Device, period: u32) -> Result<(Device, Shape), Trouble> {
    let ranges: Vec<_> = device
        .supported_output_configs()
        .map_err(|error| of_open(&error))?
        .collect();
    let shape = choose(&ranges, period).ok_or_else(|| Trouble::Refused {
        why: describe(&ranges),
    })?;
    Ok((device, shape))
}

/// The best of what a card takes; `None` when there is nothing with two channels or more.
fn choose(ranges: &[SupportedStreamConfigRange], period: u32) -> Option<Shape> {
    let score = |range: &&SupportedStreamConfigRange| {
        let format = FORMATS.iter().position(|&f| f == range.sample_format())?;
        let rate = best_rate(range);
        let rate_place = OTHER_RATES.iter().position(|&r| r == rate);
        let rate_score = if rate == RATE {
            0
        } else {
            rate_place.map_or(OTHER_RATES.len() + 1, |place| place + 1)
        };
        Some((rate_score, range.channels(), format))
    };
    let (_, range) = ranges
        .iter()
        .filter(|range| range.channels() >= CHANNELS as u16)
        .filter_map(|range| Some((score(&range)?, range)))
        .min_by_key(|(score, _)| *score)?;
    let rate = best_rate(range);
    let period = (u64::from(period) * u64::from(rate) / u64::from(RATE)) as u32;
    let period = match *range.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => period.clamp(min, max),
        _ => period,
    };
    Some(Shape {
        rate,
        channels: range.channels(),
        format: range.sample_format(),
        period,
    })
}

fn best_rate(range: &SupportedStreamConfigRange) -> u32 {
    let takes = |rate: &u32| (range.min_sample_rate()..=range.max_sample_rate()).contains(rate);
    if takes(&RATE) {
        return RATE;
    }
    OTHER_RATES
        .into_iter()
        .find(takes)
        .unwrap_or(range.max_sample_rate())
}

fn describe(ranges: &[SupportedStreamConfigRange]) -> String {
    let mut kinds: Vec<String> = ranges
        .iter()
        .map(|r| format!("{} channel(s) of {}", r.channels(), r.sample_format()))
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds.truncate(6);
    match kinds.is_empty() {
        true => "it takes no sample format that siskin has".into(),
        false => format!("it takes only {}", kinds.join(", ")),
    }
}

fn build(
    device: &Device,
    shape: Shape,
    health: &Arc<Health>,
    feed: &Arc<Feed>,
) -> Result<MixerDeviceSink, Trouble> {
    let open = |buffer| {
        let health = Arc::clone(health);
        let feed = Arc::clone(feed);
        let refused = || Trouble::Refused {
            why: "it names a rate or a number of channels of zero".into(),
        };
        DeviceSinkBuilder::default()
            .with_device(device.clone())
            .with_channels(NonZero::new(shape.channels).ok_or_else(refused)?)
            .with_sample_rate(NonZero::new(shape.rate).ok_or_else(refused)?)
            .with_sample_format(shape.format)
            .with_buffer_size(buffer)
            .with_error_callback(move |error| listen(&error, &health, &feed))
            .open_stream()
            .map_err(|error| of_stream(&error))
    };
    let mut sink = open(BufferSize::Fixed(shape.period)).or_else(|trouble| match trouble {
        // Some cards only take periods of their own.
        Trouble::Refused { .. } => open(BufferSize::Default),
        other => Err(other),
    })?;
    sink.log_on_drop(false);
    Ok(sink)
}

/// Runs in the device's thread.
fn listen(error: &cpal::Error, health: &Health, feed: &Feed) {
    match error.kind() {
        ErrorKind::Xrun => {
            health.xruns.fetch_add(1, Ordering::Relaxed);
        }
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => {
            let trouble = match of_open(error) {
                Trouble::Missing => Trouble::Unplugged,
                other => other,
            };
            let passing =
                matches!(trouble, Trouble::Other { .. }) && health.may_pass(feed.status().pulls);
            if !passing && health.fault.set(trouble).is_ok() {
                debug!("the sound device reports: {error}");
                feed.nudge();
            }
            thread::sleep(FAULT_PAUSE);
        }
    }
}

enum Stage {
    Plain(Tap),
    Resampled(Box<Resampled>),
}

/// What rodio plays: music when there is some, else silence, for ever.
struct Endless {
    stage: Stage,
    format: SampleFormat,
    rate: NonZero<u32>,
    block: Vec<f32>,
    at: usize,
}

impl Iterator for Endless {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.at == self.block.len() {
            self.at = 0;
            match &mut self.stage {
                Stage::Plain(tap) => {
                    tap.fill(&mut self.block);
                }
                Stage::Resampled(resampled) => resampled.fill(&mut self.block),
            }
            fit(&mut self.block, self.format);
        }
        let sample = self.block[self.at];
        self.at += 1;
        Some(sample)
    }
}

/// The one clamp, to what the format can hold, so that nothing wraps. Sixteen bits are rounded
/// here because the conversion behind would cut them off, always towards zero.
fn fit(samples: &mut [f32], format: SampleFormat) {
    for sample in samples {
        *sample = match format {
            SampleFormat::I16 => (*sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) / 32_768.0,
            SampleFormat::I24 => sample.clamp(-1.0, 8_388_607.0 / 8_388_608.0),
            _ => sample.clamp(-1.0, 1.0),
        };
    }
}

impl Source for Endless {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> NonZero<u16> {
        NonZero::<u16>::MIN.saturating_add(CHANNELS as u16 - 1)
    }

    fn sample_rate(&self) -> NonZero<u32> {
        self.rate
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}

/// The outputs that `device =` can name. Opens none of them.
pub(crate) fn devices() -> Vec<DeviceLine> {
    let _quiet = Quiet::new();
    let Ok(host) = host() else { return Vec::new() };
    let default = host
        .default_output_device()
        .and_then(|device| device.id().ok());
    let Ok(all) = host.devices() else {
        return Vec::new();
    };
    let mut lines = all
        .filter(|device| device.supports_output())
        .filter_map(|device| {
            let id = device.id().ok()?;
            let description = device.description().ok()?;
            Some(DeviceLine {
                name: id.id().to_owned(),
                description: description.name().to_owned(),
                is_default: Some(&id) == default.as_ref(),
            })
        })
        .filter(|line| !CONVERTERS.contains(&line.name.as_str()))
        .collect::<Vec<_>>();
    if !lines.iter().any(|line| line.is_default) {
        // Where nobody describes it, it is there all the same.
        let description = "Default Audio Device".to_owned();
        lines.insert(
            0,
            DeviceLine {
                name: "default".into(),
                description,
                is_default: true,
            },
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        channels: u16,
        min: u32,
        max: u32,
        format: SampleFormat,
    ) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(
            channels,
            min,
            max,
            SupportedBufferSize::Range { min: 64, max: 8192 },
            format,
        )
    }

    #[test]
    fn a_card_is_opened_at_our_rate_with_two_channels_and_all_bits() {
        let ranges = [
            range(8, 44_100, 48_000, SampleFormat::I32),
            range(2, 48_000, 48_000, SampleFormat::I32),
            range(2, 44_100, 192_000, SampleFormat::I16),
            range(2, 44_100, 192_000, SampleFormat::I24),
            range(2, 44_100, 192_000, SampleFormat::U8),
        ];
        let shape = choose(&ranges, 1024).expect("one fits");
        assert_eq!((shape.rate, shape.channels), (44_100, 2));
        assert_eq!((shape.format, shape.period), (SampleFormat::I24, 1024));
        let longest = choose(&ranges, 44_032).expect("one fits");
        assert_eq!(longest.period, 8192, "what the card gives");
    }

    #[test]
    fn a_card_without_our_rate_gets_forty_eight_thousand_in_a_longer_period() {
        let shape = choose(&[range(2, 48_000, 48_000, SampleFormat::I16)], 1024);
        let shape = shape.expect("it fits");
        assert_eq!((shape.rate, shape.period), (48_000, 1114));
    }

    #[test]
    fn a_card_with_only_strange_formats_is_refused_with_what_it_takes() {
        let ranges = [range(1, 8000, 8000, SampleFormat::I16)];
        assert_eq!(choose(&ranges, 1024), None);
        assert_eq!(describe(&ranges), "it takes only 1 channel(s) of i16");
    }

    #[test]
    fn an_error_passes_until_nothing_else_has_come_for_a_while() {
        let health = Health::default();
        let long_ago = Instant::now() - PASSING;
        assert!(health.may_pass(7));
        *health.failing.lock().expect("no panic") = Some((long_ago, 7));
        assert!(!health.may_pass(7));
        assert!(health.may_pass(8), "samples were taken in between");
    }

    #[test]
    fn only_a_raw_card_has_a_converting_one_beside_it() {
        let converting = |name| converting(name).unwrap_or_default();
        assert_eq!(converting("hw:CARD=DAC,DEV=0"), "plughw:CARD=DAC,DEV=0");
        assert_eq!(converting("default"), "");
        assert_eq!(converting("plughw:CARD=DAC,DEV=0"), "");
    }

    #[test]
    fn nothing_wraps_and_sixteen_bits_stay_as_they_are() {
        let mut loud = [1.5, -1.5, 1.0];
        fit(&mut loud, SampleFormat::I16);
        assert_eq!(loud, [32_767.0 / 32_768.0, -1.0, 32_767.0 / 32_768.0]);
        let source: Vec<f32> = (-32_768..32_768).map(|s| s as f32 / 32_768.0).collect();
        let mut samples = source.clone();
        fit(&mut samples, SampleFormat::I16);
        assert_eq!(samples, source);
    }
}

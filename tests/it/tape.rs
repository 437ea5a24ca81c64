//! What came out of the speaker, held against what an independent decoder makes of the same files.
//!
//! A capture is taken apart into stretches, each an unbroken piece of one track, equal to it sample
//! by sample. Whatever lies between two stretches was faded: it is equal to nothing.

use std::{
    io::Cursor,
    num::NonZeroU8,
    panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind},
    time::{Duration, Instant},
};

use spotify_sim::{
    Controller,
    catalogue::{Quality, SAMPLE_RATE, SERVICE_PAGE_LEN, Track},
    listen::Frame,
    rigs::Fifo,
};
use vorbis_rs::VorbisDecoder;

use crate::world::{World, scenario};

/// One step of 16 bits, and a little for the arithmetic: two good decoders round apart by so much.
const STEP: f32 = 1.01 / 32_768.0;
/// As many equal frames are no accident: 6 ms.
const TELLING: usize = 256;
/// A fade lasts this long at most, with some to spare.
pub const FADE: usize = 230;
/// How often the app is looked at for one verdict about the position.
const GLANCES: usize = 5;

/// Frames in so many milliseconds.
pub fn frames(ms: i64) -> usize {
    usize::try_from(ms.max(0)).unwrap_or_default() * SAMPLE_RATE as usize / 1000
}

/// Milliseconds of so many frames.
pub fn ms(frames: usize) -> f64 {
    frames as f64 * 1000.0 / f64::from(SAMPLE_RATE)
}

/// The first seconds of a track as its best file holds them, rounded to 16 bits.
pub fn decoded(track: &Track, seconds: usize) -> Vec<Frame> {
    let file = track.plain_file(Quality::Kbps320);
    let vorbis = file[SERVICE_PAGE_LEN..].to_vec();
    let mut decoder = VorbisDecoder::new(Cursor::new(vorbis)).expect("an Ogg Vorbis stream");
    assert_eq!(decoder.channels(), NonZeroU8::new(2).expect("two"));
    let wanted = seconds * SAMPLE_RATE as usize;
    let round = |sample: f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) / 32_768.0;
    let mut samples = Vec::new();
    while samples.len() < wanted {
        let Some(block) = decoder.decode_audio_block().expect("samples") else {
            break;
        };
        let [left, right] = block.samples() else {
            panic!("not two channels")
        };
        samples.extend(left.iter().zip(*right).map(|(l, r)| [round(*l), round(*r)]));
    }
    samples.truncate(wanted);
    samples
}

/// An unbroken piece of a track in a capture, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins in the capture.
    pub at: usize,
    /// Which of the sources it is a piece of...
    pub source: usize,
    /// ...and from where on.
    pub from: usize,
    pub frames: usize,
}

impl Stretch {
    pub fn end(&self) -> usize {
        self.at + self.frames
    }

    /// The source's frame after the last one.
    pub fn to(&self) -> usize {
        self.from + self.frames
    }
}

/// Which pieces of which sources a capture is made of, in order.
pub fn stretches(capture: &[Frame], sources: &[Vec<Frame>]) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut at = 0;
    while at + TELLING <= capture.len() {
        let done = found.last().map_or(0, Stretch::end);
        match identify(capture, at, found.last(), sources) {
            Some((source, from)) => {
                let back = capture[done..at].iter().rev();
                let before = equal(back, sources[source][..from].iter().rev());
                let after = equal(&capture[at..], &sources[source][from..]);
                found.push(Stretch {
                    at: at - before,
                    source,
                    from: from - before,
                    frames: before + after,
                });
                at += after;
            }
            None => at += TELLING / 2,
        }
    }
    found
}

/// The source and the place in it of the frames at `at`. Where music merely went on is looked
/// first, then at the beginnings: a steady tone is alike in many places.
fn identify(
    capture: &[Frame],
    at: usize,
    last: Option<&Stretch>,
    sources: &[Vec<Frame>],
) -> Option<(usize, usize)> {
    let piece = &capture[at..at + TELLING];
    // Silence is everywhere.
    if piece.iter().flatten().all(|sample| sample.abs() < 0.01) {
        return None;
    }
    let fits = |source: usize, from: usize| {
        let rest = sources[source].get(from..).unwrap_or_default();
        equal(piece, rest) == TELLING
    };
    let onward = last.map(|last| (last.source, last.to() + at - last.end()));
    let starts = last.map_or(0, Stretch::end).saturating_sub(FADE)..=at;
    let beginnings = (0..sources.len()).flat_map(|source| {
        let starts = starts.clone();
        starts.map(move |start| (source, at - start))
    });
    onward
        .into_iter()
        .chain(beginnings.filter(|(_, from)| *from < 4 * FADE))
        .find(|(source, from)| fits(*source, *from))
        .or_else(|| {
            (0..sources.len()).find_map(|source| {
                let from = (0..sources[source].len()).find(|from| fits(source, *from))?;
                Some((source, from))
            })
        })
}

/// How many frames are equal from the start on.
fn equal<'a>(
    one: impl IntoIterator<Item = &'a Frame>,
    other: impl IntoIterator<Item = &'a Frame>,
) -> usize {
    let near = |a: &Frame, b: &Frame| (a[0] - b[0]).abs() <= STEP && (a[1] - b[1]).abs() <= STEP;
    one.into_iter()
        .zip(other)
        .take_while(|(a, b)| near(a, b))
        .count()
}

/// How often a measurement is taken before it counts.
const TRIES: usize = 3;

/// A time that is not as it should be. A busy machine can be the cause.
struct Late(String);

/// Asserts something that a busy machine can spoil. Only for scenarios run by [`timed`].
pub fn assert_timing(holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        panic_any(Late(what()));
    }
}

/// Runs a scenario that measures time. What is late three times running is not the machine's doing;
/// everything else counts at once.
pub fn timed(play: impl AsyncFnOnce(World) + Copy + Send + 'static) {
    for turn in 1..=TRIES {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(play))) else {
            return;
        };
        match panic.downcast::<Late>() {
            Ok(late) if turn == TRIES => panic!("{}, {TRIES} times running", late.0),
            Ok(late) => eprintln!("measured again, as the machine may be busy: {}", late.0),
            Err(other) => resume_unwind(other),
        }
    }
}

/// Where the app said that playback was.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    at: Instant,
    position_ms: i64,
}

/// Looks at the app a few times while music plays. One look may fall into a moment when the
/// machine was busy; the middle one of several does not.
pub async fn glances(app: &Controller) -> Vec<Glance> {
    let mut seen = Vec::new();
    for _ in 0..GLANCES {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let (at, position_ms) = (Instant::now(), app.state().position_ms);
        seen.push(Glance { at, position_ms });
    }
    // What was heard at the last look has to be on the tape.
    tokio::time::sleep(Duration::from_millis(60)).await;
    seen
}

/// A capture with the moments at which it was heard.
pub struct Tape {
    pub capture: Vec<Frame>,
    pub stretches: Vec<Stretch>,
    /// When a frame came that was the `n`th.
    heard: Vec<(Instant, usize)>,
}

impl Tape {
    /// Takes the S16 of `fifo` apart.
    pub fn new(fifo: &Fifo, sources: &[Vec<Frame>]) -> Self {
        let capture = fifo.capture();
        let heard = fifo.intake();
        Self {
            stretches: stretches(&capture, sources),
            capture,
            heard: heard.iter().map(|read| (read.at, read.total / 4)).collect(),
        }
    }

    /// Frames heard by then.
    pub fn frame_at(&self, then: Instant) -> usize {
        let read = self.heard.partition_point(|(at, _)| *at <= then);
        read.checked_sub(1).map_or(0, |last| self.heard[last].1)
    }

    /// When this frame was heard.
    pub fn moment_of(&self, frame: usize) -> Instant {
        let read = self.heard.partition_point(|(_, total)| *total <= frame);
        self.heard[read.min(self.heard.len() - 1)].0
    }

    /// How far the app was ahead of what was heard, in ms.
    pub fn ahead_ms(&self, glances: &[Glance]) -> f64 {
        let ahead = |glance: &Glance| {
            let frame = self.frame_at(glance.at);
            let stretch = self.stretches.iter().rfind(|s| s.at <= frame);
            let stretch = stretch.expect("music before the look");
            glance.position_ms as f64 - ms(stretch.from + frame - stretch.at)
        };
        let mut all: Vec<_> = glances.iter().map(ahead).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// The app and the ears must agree to 50 ms.
    #[track_caller]
    pub fn assert_in_step(&self, what: &str, glances: &[Glance]) {
        let ahead = self.ahead_ms(glances);
        eprintln!("{what}: the app is {ahead:+.1} ms ahead of what is heard");
        assert_timing(ahead.abs() <= 50.0, || {
            format!("{what}: the app is {ahead} ms ahead of what is heard")
        });
    }

    /// Nothing but stretches and short fades between them.
    #[track_caller]
    pub fn assert_seamless(&self) {
        let mut end = 0;
        for stretch in &self.stretches {
            let between = stretch.at - end;
            assert!(
                between <= 2 * FADE,
                "{between} frames of something else at {end}: {:#?}",
                self.stretches
            );
            end = stretch.end();
        }
        let rest = self.capture.len() - end;
        assert!(
            rest <= FADE,
            "{rest} frames of something else at the end: {:#?}",
            self.stretches
        );
        self.assert_no_click();
    }

    #[track_caller]
    pub fn assert_no_click(&self) {
        let clicks = spotify_sim::listen::clicks(&self.capture, 0.01);
        assert!(clicks.is_empty(), "{clicks:?} in {:#?}", self.stretches);
    }
}

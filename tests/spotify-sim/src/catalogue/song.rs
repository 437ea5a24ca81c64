//! What the tracks sound like, as pure functions of time.

use std::f64::consts::TAU;

/// Frames per second of everything in the catalogue.
pub const SAMPLE_RATE: u32 = 44_100;

const RATE: f64 = SAMPLE_RATE as f64;
/// −6 dBFS and a little less: room for what a lossy codec adds.
const LEVEL: f64 = 0.45;
const SWEEP_FROM_HZ: f64 = 200.0;
/// 4.9 octaves in 12 seconds.
const SWEEP_RATE: f64 = 4.9 * std::f64::consts::LN_2 / 12.0;
/// Long enough that a tone starts and ends without a click.
const FADE_FRAMES: u64 = 441;

/// How a track sounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Song {
    /// One steady sine in each channel, hertz.
    Tones { left: f64, right: f64, frames: u64 },
    /// A stretch of one rising sweep; two of them join without a seam.
    Sweep { from: u64, to: u64 },
    /// The left pitch tells the position; see [`Song::staircase_hz`].
    Staircase { seconds: u32 },
    /// Chords, beats and hiss: costs about as many bits as music.
    Road { seconds: u32 },
    /// Eight seconds that are pleasant to hear.
    Tune,
    /// A sine that touches full scale in both channels.
    FullScale { seconds: u32 },
}

impl Song {
    /// Frames of the whole sweep that "Halves" is cut from: 12 s.
    pub const SWEEP_FRAMES: u64 = 12 * SAMPLE_RATE as u64;
    /// Odd, and on no block boundary of any codec.
    pub const CUT: u64 = 264_601;
    pub const FIRST_HALF: Song = Song::Sweep {
        from: 0,
        to: Self::CUT,
    };
    pub const SECOND_HALF: Song = Song::Sweep {
        from: Self::CUT,
        to: Self::SWEEP_FRAMES,
    };
    /// The steady right pitch of the staircase: no tone track has it.
    pub const STAIRCASE_RIGHT_HZ: f64 = 7_000.0;
    pub const STAIRCASE_START_HZ: f64 = 300.0;
    pub const STAIRCASE_HZ_PER_S: f64 = 50.0;
    pub const FULL_SCALE_HZ: f64 = 997.0;

    /// After these "Long Road" begins again.
    pub const ROAD_LOOP_FRAMES: u64 = 12 * SAMPLE_RATE as u64;

    /// Left pitch of the sweep at one of its frames.
    pub fn sweep_hz(frame: u64) -> f64 {
        SWEEP_FROM_HZ * (SWEEP_RATE * frame as f64 / RATE).exp()
    }

    /// The `n`th pair of tones. Left pitches lie in 300–2000 Hz, right ones
    /// in 2000–4700 Hz, so swapped channels are noticed too.
    pub fn tone_pair(n: u32, seconds: f64) -> Song {
        let frames = (seconds * RATE) as u64;
        Song::Tones {
            left: 300.0 + 60.0 * f64::from(n),
            right: 2_000.0 + 90.0 * f64::from(n),
            frames,
        }
    }

    /// Left pitch of the staircase at a position. It climbs evenly, without
    /// steps, so that any tenth of a second of it tells where it was cut from.
    pub fn staircase_hz(seconds: f64) -> f64 {
        Self::STAIRCASE_START_HZ + Self::STAIRCASE_HZ_PER_S * seconds
    }

    pub fn frames(&self) -> u64 {
        let rate = u64::from(SAMPLE_RATE);
        match *self {
            Song::Tones { frames, .. } => frames,
            Song::Sweep { from, to } => to - from,
            Song::Staircase { seconds } | Song::Road { seconds } | Song::FullScale { seconds } => {
                u64::from(seconds) * rate
            }
            Song::Tune => 8 * rate,
        }
    }

    /// The largest sample, linear.
    pub fn peak(&self) -> f32 {
        if matches!(self, Song::FullScale { .. }) {
            1.0
        } else {
            LEVEL as f32
        }
    }

    /// All of it.
    pub fn samples(&self) -> Vec<[f32; 2]> {
        let frames = self.frames();
        let stereo = |[l, r]: [f64; 2]| [l as f32, r as f32];
        match *self {
            Song::Tones { left, right, .. } => (0..frames)
                .map(|i| {
                    let level = LEVEL * edges(i, frames);
                    stereo([level * sine(left, i), level * sine(right, i)])
                })
                .collect(),
            Song::Sweep { from, to } => (from..to).map(|i| stereo(sweep(i))).collect(),
            Song::Staircase { .. } => (0..frames)
                .map(|i| {
                    let t = i as f64 / RATE;
                    let turns =
                        Self::STAIRCASE_START_HZ * t + Self::STAIRCASE_HZ_PER_S * t * t / 2.0;
                    let level = LEVEL * edges(i, frames);
                    stereo([
                        level * (TAU * turns.fract()).sin(),
                        level * sine(Self::STAIRCASE_RIGHT_HZ, i),
                    ])
                })
                .collect(),
            Song::Road { .. } => road_loop()
                .into_iter()
                .cycle()
                .take(frames as usize)
                .collect(),
            Song::Tune => tune(frames),
            Song::FullScale { .. } => (0..frames)
                .map(|i| {
                    let s = edges(i, frames) * sine(Self::FULL_SCALE_HZ, i);
                    stereo([s, s])
                })
                .collect(),
        }
    }
}

fn sine(hz: f64, frame: u64) -> f64 {
    // Only the part of a turn goes into `sin`: large arguments lose accuracy.
    (TAU * (hz * frame as f64 / RATE).fract()).sin()
}

/// 0 to 1 to 0: a short fade at both ends.
fn edges(frame: u64, frames: u64) -> f64 {
    let near = frame
        .min(frames.saturating_sub(1).saturating_sub(frame))
        .min(FADE_FRAMES);
    near as f64 / FADE_FRAMES as f64
}

/// 200 Hz to 6 kHz, evenly per octave; the right channel runs a fifth below.
fn sweep(frame: u64) -> [f64; 2] {
    let turns = SWEEP_FROM_HZ / SWEEP_RATE * ((SWEEP_RATE * frame as f64 / RATE).exp() - 1.0);
    let level = LEVEL * edges(frame, Song::SWEEP_FRAMES);
    let voice = |turns: f64| level * (TAU * turns.fract()).sin();
    [voice(turns), voice(turns / 1.5)]
}

/// Twelve seconds of chords with overtones, a beat and hiss. Repeated, they
/// make a long track that is cheap to generate and costs bits like music.
fn road_loop() -> Vec<[f32; 2]> {
    const CHORDS: [[f64; 3]; 4] = [
        [130.81, 164.81, 196.0],
        [110.0, 130.81, 164.81],
        [87.31, 110.0, 130.81],
        [98.0, 123.47, 146.83],
    ];
    let mut noise = Noise(0x2545_f491);
    let per_chord = 3 * u64::from(SAMPLE_RATE);
    let beat = u64::from(SAMPLE_RATE) / 2;
    (0..4 * per_chord)
        .map(|i| {
            let chord = CHORDS[(i / per_chord) as usize];
            let swell = edges(i % per_chord, per_chord);
            let mut out = [0.0; 2];
            for (voice, hz) in chord.into_iter().enumerate() {
                for overtone in 1..=12u32 {
                    let n = f64::from(overtone);
                    let s = sine(hz * n, i % per_chord) / n;
                    let pan = 0.3 + 0.2 * voice as f64;
                    out[0] += s * (1.0 - pan);
                    out[1] += s * pan;
                }
            }
            let since_beat = (i % beat) as f64 / RATE;
            let hit = (-since_beat * 30.0).exp();
            let drum = hit * (TAU * 70.0 * since_beat).sin();
            let mut mix =
                |chord: f64| 0.08 * chord * swell + 0.1 * drum + (0.01 + 0.05 * hit) * noise.next();
            out.map(&mut mix).map(|s| s.clamp(-LEVEL, LEVEL) as f32)
        })
        .collect()
}

/// A small melody of plucked notes over a bass.
fn tune(frames: u64) -> Vec<[f32; 2]> {
    // Semitones from A4 and length in eighths of a second and a half.
    const MELODY: [(i32, f64); 14] = [
        (3, 0.5),
        (7, 0.5),
        (10, 0.5),
        (12, 1.0),
        (10, 0.5),
        (7, 0.5),
        (8, 0.5),
        (5, 0.5),
        (8, 0.5),
        (7, 1.0),
        (3, 0.5),
        (5, 0.5),
        (2, 0.5),
        (3, 0.5),
    ];
    const BASS: [(i32, f64); 4] = [(-21, 2.0), (-16, 2.0), (-19, 2.0), (-21, 2.0)];
    let mut out = vec![[0.0f64; 2]; frames as usize];
    for (line, pan, level) in [(&MELODY[..], 0.4, 0.45), (&BASS[..], 0.55, 0.3)] {
        let mut start = 0.0;
        for (semitone, seconds) in line {
            let hz = 440.0 * 2f64.powf(f64::from(*semitone) / 12.0);
            let first = (start * RATE) as usize;
            let ring = (((seconds + 0.6) * RATE) as usize).min(out.len().saturating_sub(first));
            for (i, frame) in out[first..first + ring].iter_mut().enumerate() {
                let t = i as f64 / RATE;
                let shape =
                    (t * 200.0).min(1.0) * (-t * 3.0).exp() * edges(i as u64, 2 * ring as u64);
                let tone = (1..=4)
                    .map(|n| sine(hz * f64::from(n), i as u64) / f64::from(n * n))
                    .sum::<f64>();
                frame[0] += level * shape * tone * (1.0 - pan);
                frame[1] += level * shape * tone * pan;
            }
            start += seconds;
        }
    }
    let fade = |(i, s): (usize, [f64; 2])| {
        s.map(|s| (s * edges(i as u64, frames)).clamp(-LEVEL, LEVEL) as f32)
    };
    out.into_iter().enumerate().map(fade).collect()
}

/// The same hiss on every machine.
struct Noise(u32);

impl Noise {
    /// In −1…1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        f64::from(self.0) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

//! Finding a source in a capture, and how far the two differ.

use super::spectrum::{Complex, fft};
use super::{Frame, ListenError};

/// As much of the source as is looked for: 0.74 s, enough to be unmistakable.
const PROBE: usize = 1 << 15;
/// As much of the capture as is searched at a time.
const BLOCK: usize = 1 << 18;
/// Below this the best match is not one. Codec noise costs a few per cent.
const ALIKE: f64 = 0.7;

/// Where a source was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Frame of the capture at which the source's first frame sits; negative
    /// if the capture begins later than the source.
    pub lag: i64,
    /// 1 for the same shape, whatever the volume.
    pub alike: f64,
}

/// How a capture differs from its source, after the volume is made equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Frames of the source that the capture holds.
    pub frames: usize,
    /// Capture ÷ source.
    pub gain: f64,
    /// Relative to full scale of the source.
    pub max_error: f64,
    pub rms_error: f64,
    /// Source frame with the largest error.
    pub worst_at: usize,
}

/// How two tracks meet in a capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Frame of the capture at which the second track should begin.
    pub expected: i64,
    /// Frames too many between them; negative if some are missing.
    pub added: i64,
}

/// Finds the source in the capture, at the sample. Tries the beginning of the
/// source, then places further in, so that either may begin later. The
/// probes must not be silent.
pub fn align(capture: &[Frame], source: &[Frame]) -> Result<Alignment, ListenError> {
    let probe = PROBE.min(source.len());
    let last = source.len() - probe;
    let mut best = Err(ListenError::TooShort {
        capture: capture.len(),
        wanted: probe,
    });
    for from in [0, last / 2, last] {
        match locate(capture, &source[from..from + probe]) {
            Ok(found) => {
                return Ok(Alignment {
                    lag: found.lag - from as i64,
                    ..found
                });
            }
            Err(why) => best = Err(why),
        }
        if last == 0 {
            break;
        }
    }
    best
}

/// Whether a window is a piece of the source.
pub(super) fn contains(source: &[Frame], window: &[Frame]) -> bool {
    locate(source, &window[..window.len().min(PROBE)]).is_ok()
}

/// Best place of a whole probe inside the capture.
fn locate(capture: &[Frame], probe: &[Frame]) -> Result<Alignment, ListenError> {
    if capture.len() < probe.len() || probe.is_empty() {
        return Err(ListenError::TooShort {
            capture: capture.len(),
            wanted: probe.len(),
        });
    }
    let size = BLOCK.min((capture.len() + probe.len()).next_power_of_two());
    let mut wanted = complex(probe, size);
    fft(&mut wanted, false);
    let probe_energy = energy(probe);
    let hop = size - probe.len() + 1;
    let mut best = Alignment {
        lag: 0,
        alike: f64::MIN,
    };
    for at in (0..=capture.len() - probe.len()).step_by(hop) {
        let piece = &capture[at..capture.len().min(at + size)];
        let mut data = complex(piece, size);
        fft(&mut data, false);
        for (d, w) in data.iter_mut().zip(&wanted) {
            *d = [d[0] * w[0] + d[1] * w[1], d[1] * w[0] - d[0] * w[1]];
        }
        fft(&mut data, true);
        // Energy of the capture under the probe, kept up as it slides.
        let mut under = energy(&piece[..probe.len().min(piece.len())]);
        let places = (piece.len() + 1).saturating_sub(probe.len()).min(hop);
        for (i, match_) in data.iter().take(places).enumerate() {
            let scale = (probe_energy * under).sqrt().max(1e-9);
            let alike = match_[0] / size as f64 / scale;
            if alike > best.alike {
                best = Alignment {
                    lag: (at + i) as i64,
                    alike,
                };
            }
            if i + 1 < places {
                under += energy(&piece[i + probe.len()..=i + probe.len()]) - energy(&piece[i..=i]);
            }
        }
    }
    if best.alike < ALIKE {
        return Err(ListenError::NotThere {
            at: best.lag,
            alike: best.alike,
        });
    }
    Ok(best)
}

/// Left as the real, right as the imaginary part: the real part of the
/// correlation is then the sum of both channels', without crosstalk.
fn complex(frames: &[Frame], size: usize) -> Vec<Complex> {
    let mut data: Vec<Complex> = frames.iter().map(|f| f.map(f64::from)).collect();
    data.resize(size, [0.0; 2]);
    data
}

fn energy(frames: &[Frame]) -> f64 {
    frames
        .iter()
        .flatten()
        .map(|s| f64::from(*s) * f64::from(*s))
        .sum()
}

/// Compares sample by sample with the source's first frame at `lag`.
pub fn compare(capture: &[Frame], source: &[Frame], lag: i64) -> Difference {
    let from = usize::try_from(-lag).unwrap_or(0).min(source.len());
    let start = usize::try_from(lag).unwrap_or(0).min(capture.len());
    let pairs = || {
        source[from..]
            .iter()
            .flatten()
            .zip(capture[start..].iter().flatten())
    };
    let (mut cross, mut own) = (0.0, 0.0);
    for (s, c) in pairs() {
        cross += f64::from(*s) * f64::from(*c);
        own += f64::from(*s) * f64::from(*s);
    }
    let gain = if own > 0.0 { cross / own } else { 1.0 };
    let scale = if gain.abs() > 1e-6 { gain } else { 1.0 };
    let (mut sum, mut max_error, mut worst, mut count) = (0.0, 0.0, 0, 0);
    for (s, c) in pairs() {
        let error = (f64::from(*c) / scale - f64::from(*s)).abs();
        sum += error * error;
        if error > max_error {
            (max_error, worst) = (error, count / 2);
        }
        count += 1;
    }
    Difference {
        frames: count / 2,
        gain,
        max_error,
        rms_error: (sum / count.max(1) as f64).sqrt(),
        worst_at: from + worst,
    }
}

/// Judges the place where one track goes over into the next: finds the end
/// of the first and the beginning of the second, each for itself.
pub fn joint(capture: &[Frame], first: &[Frame], second: &[Frame]) -> Result<Joint, ListenError> {
    let tail = &first[first.len() - PROBE.min(first.len())..];
    let head = &second[..PROBE.min(second.len())];
    let expected = locate(capture, tail)?.lag + tail.len() as i64;
    let found = locate(capture, head)?.lag;
    Ok(Joint {
        expected,
        added: found - expected,
    })
}

//! Which pitches are in a window.

use std::f64::consts::{PI, TAU};

use crate::catalogue::SAMPLE_RATE;

/// A complex number: real, imaginary.
pub(super) type Complex = [f64; 2];

/// Fast Fourier transform in place. The length must be a power of two. The
/// inverse is not scaled.
pub(super) fn fft(data: &mut [Complex], inverse: bool) {
    let n = data.len();
    assert!(
        n.is_power_of_two(),
        "the transform needs a power of two, not {n}"
    );
    if n < 2 {
        return;
    }
    let shift = usize::BITS - n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> shift;
        if i < j {
            data.swap(i, j);
        }
    }
    let sign = if inverse { 1.0 } else { -1.0 };
    let turns: Vec<Complex> = (0..n / 2)
        .map(|k| {
            let (sin, cos) = (sign * TAU * k as f64 / n as f64).sin_cos();
            [cos, sin]
        })
        .collect();
    let mut half = 1;
    while half < n {
        let stride = n / (2 * half);
        for block in data.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let [c, s] = turns[k * stride];
                let t = [b[0] * c - b[1] * s, b[0] * s + b[1] * c];
                *b = [a[0] - t[0], a[1] - t[1]];
                *a = [a[0] + t[0], a[1] + t[1]];
            }
        }
        half *= 2;
    }
}

/// The strongest pitch in hertz, to a small part of a hertz for a steady tone
/// in a tenth of a second. `None` in silence (below −60 dBFS).
pub fn dominant(samples: &[f32]) -> Option<f64> {
    peak(
        samples.iter().map(|s| [f64::from(*s), 0.0]).collect(),
        false,
    )
}

/// The strongest pitch of a complex signal; negative pitches count if `both`.
pub(super) fn peak(mut data: Vec<Complex>, both: bool) -> Option<f64> {
    let n = data.len();
    if n < 64 {
        return None;
    }
    let power: f64 = data.iter().map(|c| c[0] * c[0] + c[1] * c[1]).sum::<f64>() / n as f64;
    if power < 5e-7 {
        return None;
    }
    for (i, c) in data.iter_mut().enumerate() {
        let window = 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos();
        *c = [c[0] * window, c[1] * window];
    }
    // Zeros behind it: finer steps, which the parabola below needs.
    let size = (4 * n).next_power_of_two();
    data.resize(size, [0.0; 2]);
    fft(&mut data, false);
    let strength = |bin: usize| {
        let [re, im] = data[bin % size];
        (re * re + im * im).max(1e-30).ln()
    };
    let range = if both { 0..size } else { 1..size / 2 };
    let best = range.max_by(|a, b| strength(*a).total_cmp(&strength(*b)))?;
    let (left, mid, right) = (
        strength(best + size - 1),
        strength(best),
        strength(best + 1),
    );
    let offset = 0.5 * (left - right) / (left - 2.0 * mid + right);
    let bin = best as f64 + if offset.is_finite() { offset } else { 0.0 };
    let signed = if both && best > size / 2 {
        bin - size as f64
    } else {
        bin
    };
    Some(signed * f64::from(SAMPLE_RATE) / size as f64)
}

/// How much of one pitch there is: the amplitude of that sine, linear.
pub fn magnitude_at(samples: &[f32], hz: f64) -> f64 {
    // Goertzel's recurrence, with a window against what lies beside it.
    let n = samples.len().max(1) as f64;
    let coefficient = 2.0 * (TAU * hz / f64::from(SAMPLE_RATE)).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let window = 1.0 - (2.0 * PI * i as f64 / n).cos();
        let s = f64::from(*x) * window + coefficient * s1 - s2;
        (s2, s1) = (s1, s);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 / n * power.max(0.0).sqrt()
}

/// Root mean square in dB below full scale; −200 for digital silence.
pub fn level_db(samples: impl Iterator<Item = f32>) -> f64 {
    let (mut sum, mut n) = (0.0, 0u64);
    for s in samples {
        sum += f64::from(s) * f64::from(s);
        n += 1;
    }
    10.0 * (sum / n.max(1) as f64).max(1e-20).log10()
}

//! Samples on their way from a codec to an output.

use crate::lanes::{Lanes, in_turn, load};

/// Numbers that are turned in registers before they are appended: nothing is written twice.
const PIECE: usize = 32;

/// Appends the frames of two channels. When one of them is louder than `loudest` all become
/// silence: that can only be noise, of a damaged packet.
pub fn interleave([left, right]: [&[f32]; 2], loudest: f32, out: &mut Vec<f32>) {
    let count = left.len().min(right.len());
    let (left, right) = (&left[..count], &right[..count]);
    if is_louder(left, loudest) || is_louder(right, loudest) {
        out.resize(out.len() + count * 2, 0.0);
        return;
    }
    out.reserve(count * 2);
    let (lefts, left) = left.as_chunks::<PIECE>();
    let (rights, right) = right.as_chunks::<PIECE>();
    for (left, right) in lefts.iter().zip(rights) {
        let mut frames = [[0.0; 4]; PIECE / 2];
        let fours = left.as_chunks().0.iter().zip(right.as_chunks().0);
        for (into, (left, right)) in frames.as_chunks_mut::<2>().0.iter_mut().zip(fours) {
            *into = in_turn(load(left), load(right)).map(Lanes::to_array);
        }
        out.extend_from_slice(frames.as_flattened());
    }
    for (&left, &right) in left.iter().zip(right) {
        out.extend_from_slice(&[left, right]);
    }
}

/// Appends samples as 16 bits each, little-endian, rounded to the nearest step and never wrapping.
pub fn append_s16(samples: &[f32], out: &mut Vec<u8>) {
    const SCALE: f32 = 32_768.0;
    let (least, most) = (Lanes::splat(-SCALE), Lanes::splat(SCALE - 1.0));
    out.reserve(samples.len() * 2);
    let (pieces, rest) = samples.as_chunks::<PIECE>();
    for piece in pieces {
        let mut bytes = [[0; 8]; PIECE / 4];
        for (eight, four) in bytes.iter_mut().zip(piece.as_chunks().0) {
            let steps = (load(four) * Lanes::splat(SCALE)).fast_clamp(least, most);
            let [a, b, c, d] = steps.fast_round_int().to_array();
            let pack = |low: i32, high: i32| low as u32 & 0xffff | (high as u32) << 16;
            let both = u64::from(pack(a, b)) | u64::from(pack(c, d)) << 32;
            *eight = both.to_le_bytes();
        }
        out.extend_from_slice(bytes.as_flattened());
    }
    for sample in rest {
        let step = (sample * SCALE)
            .clamp(-SCALE, SCALE - 1.0)
            .round_ties_even();
        out.extend_from_slice(&(step as i16).to_le_bytes());
    }
}

/// What is no number at all is louder than anything.
fn is_louder(samples: &[f32], loudest: f32) -> bool {
    let (fours, rest) = samples.as_chunks();
    let limit = Lanes::splat(loudest);
    let quiet = |all: Lanes, four: &[f32; 4]| all & load(four).abs().simd_le(limit);
    let all = fours.iter().fold(limit.simd_le(limit), quiet);
    !(all.all() && rest.iter().all(|sample| sample.abs() <= loudest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_become_frames_behind_what_is_there() {
        let mut out = vec![9.0];
        interleave([&[0.1, 0.2], &[0.3, 0.4]], 4.0, &mut out);
        interleave([&[0.5], &[0.5]], 4.0, &mut out);
        assert_eq!(out, [9.0, 0.1, 0.3, 0.2, 0.4, 0.5, 0.5]);
        out.clear();
        let left: Vec<f32> = (0..2 * PIECE + 11).map(|n| n as f32 / 50.0).collect();
        let right: Vec<f32> = left.iter().map(|at| -at).collect();
        interleave([&left, &right], 4.0, &mut out);
        assert_eq!(out.len(), 2 * left.len());
        assert!(
            out.chunks(2)
                .zip(&left)
                .all(|(pair, at)| pair == [*at, -at])
        );
    }

    fn s16(samples: &[f32]) -> Vec<i16> {
        let mut out = vec![7];
        append_s16(samples, &mut out);
        let (pairs, _) = out[1..].as_chunks();
        pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }

    #[test]
    fn every_step_of_sixteen_bits_comes_out_as_it_went_in() {
        let steps: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let samples: Vec<f32> = steps
            .iter()
            .map(|step| f32::from(*step) / 32_768.0)
            .collect();
        assert_eq!(s16(&samples), steps);
        assert_eq!(s16(&samples[..PIECE + 7]), steps[..PIECE + 7]);
        let between: Vec<f32> = samples
            .iter()
            .map(|sample| sample + 0.3 / 32_768.0)
            .collect();
        assert_eq!(s16(&between), steps);
    }

    #[test]
    fn what_is_too_loud_is_clamped_and_never_wraps() {
        for loud in [1.0, 1.5, 7.0, 1e9, f32::INFINITY] {
            assert_eq!(s16(&[loud; PIECE + 5]), [i16::MAX; PIECE + 5]);
            assert_eq!(s16(&[-loud; PIECE + 5]), [i16::MIN; PIECE + 5]);
        }
    }

    #[test]
    fn what_can_only_be_noise_is_silence() {
        let heard = |left: &[f32], right: &[f32]| {
            let mut out = Vec::new();
            interleave([left, right], 4.0, &mut out);
            out
        };
        assert_eq!(heard(&[1.7, -2.5], &[0.0, -0.0]), [1.7, 0.0, -2.5, -0.0]);
        for noise in [-830.0, f32::NAN, f32::NEG_INFINITY] {
            for at in 0..PIECE + 7 {
                let mut spoilt = [0.1; PIECE + 7];
                spoilt[at] = noise;
                assert_eq!(heard(&[0.1; PIECE + 7], &spoilt), [0.0; 2 * PIECE + 14]);
            }
        }
    }
}

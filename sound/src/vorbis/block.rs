//! Blocks: how they overlap (Vorbis I, 4.3.6 and 4.3.8).

use std::f64::consts::{FRAC_PI_2, PI};

use super::dct::Dct;
use crate::lanes::{Lanes, load, reversed};

/// Blocks of one of the two lengths that a stream has.
pub(super) struct Shape {
    /// Frames of it.
    pub(super) length: usize,
    pub(super) dct: Dct,
    /// How blocks of this length rise where they overlap, up to the middle, and how they fall.
    slope: Box<[[Lanes; 2]]>,
}

impl Shape {
    pub(super) fn new(length: usize) -> Self {
        let rise = |n: usize| {
            let sine = ((n as f64 + 0.5) / length as f64 * PI).sin();
            (FRAC_PI_2 * sine * sine).sin() as f32
        };
        Self {
            length,
            dct: Dct::new(length),
            slope: (0..length / 16)
                .map(|n| {
                    let places = [0, 1, 2, 3].map(|lane| n * 4 + lane);
                    let falls = places.map(|place| rise(length / 2 - 1 - place));
                    [Lanes::new(places.map(rise)), Lanes::new(falls)]
                })
                .collect(),
        }
    }

    /// From the middle of one block to the middle of the next. `tail` is the third quarter of the
    /// first, `head` the first quarter of the second, and this the shape of the shorter one.
    pub(super) fn join(&self, tail: &[f32], head: &[f32], out: &mut Vec<f32>) {
        // They overlap around the ends of both quarters, as far on each side as this:
        let half = self.length / 4;
        let (alone, tail) = tail.split_at(tail.len() - half);
        let (after, head) = head.split_at(head.len() - half);
        out.resize(alone.len() + half * 2 + after.len(), 0.0);
        let (first, rest) = out.split_at_mut(alone.len());
        first.copy_from_slice(alone);
        let (rest, last) = rest.split_at_mut(half * 2);
        let (rising, falling) = rest.split_at_mut(half);
        let from = tail.as_chunks().0.iter().zip(head.as_chunks().0);
        let rising = rising.as_chunks_mut().0.iter_mut();
        let into = rising.zip(falling.as_chunks_mut().0.iter_mut().rev());
        for ((from, into), [rise, fall]) in from.zip(into).zip(&self.slope) {
            let (tail, head) = (load(from.0), load(from.1));
            *into.0 = (tail * *fall + head * *rise).to_array();
            *into.1 = reversed(tail * *rise - head * *fall).to_array();
        }
        for (last, after) in last.iter_mut().zip(after.iter().rev()) {
            *last = -after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_add_up_in_power() {
        for length in [64, 256, 2048] {
            let shape = Shape::new(length);
            for [rise, fall] in &shape.slope {
                let power = (*rise * *rise + *fall * *fall).to_array();
                assert!(power.iter().all(|power| (power - 1.0).abs() < 1e-6));
            }
        }
    }

    #[test]
    fn blocks_of_different_length_overlap_as_far_as_the_shorter_one_reaches() {
        let short = Shape::new(64);
        let (long, brief) = (vec![1.0; 64], vec![1.0; 16]);
        let mut out = Vec::new();
        short.join(&long, &brief, &mut out);
        assert_eq!(out.len(), 64 + 16);
        assert!(out[..48].iter().all(|sample| *sample == 1.0), "alone");
        short.join(&brief, &long, &mut out);
        assert_eq!(out.len(), 16 + 64);
        assert!(out[32..].iter().all(|sample| *sample == -1.0), "alone");
    }
}

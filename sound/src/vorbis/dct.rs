//! From a spectrum to the halves of a block: the inverse MDCT of Vorbis I, 4.3.7.
//!
//! A block of n samples is made of n/2 numbers, and each of its halves is a mirror image of itself:
//! the left one with the sign turned, the right one as it is. So a quarter of n says all of a half.
//! It is computed as a DCT-IV of n/2 points, and that by a complex Fourier transform of n/4.

use std::f64::consts::PI;

use crate::lanes::{Lanes, apart, in_turn, load, reversed};

/// Tables for blocks of one length.
pub(super) struct Dct {
    turns: Turns,
    fourier: Fourier,
}

/// What numbers are turned by, before and after the transform.
type Turns = Box<[Complex]>;

/// Four complex numbers.
#[derive(Clone, Copy)]
struct Complex {
    re: Lanes,
    im: Lanes,
}

/// Room to work in, of no meaning between two calls.
#[derive(Default)]
pub(super) struct Room {
    here: Vec<Complex>,
    there: Vec<Complex>,
}

impl Complex {
    const ZERO: Self = Self {
        re: Lanes::ZERO,
        im: Lanes::ZERO,
    };

    /// On the circle, at these fractions of a turn backwards.
    fn on_circle(fractions: [f64; 4]) -> Self {
        let angles = fractions.map(|fraction| -2.0 * PI * fraction);
        Self {
            re: Lanes::new(angles.map(|angle| angle.cos() as f32)),
            im: Lanes::new(angles.map(|angle| angle.sin() as f32)),
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// Turned backwards by a quarter.
    #[inline(always)]
    fn quarter(self) -> Self {
        Self {
            re: self.im,
            im: -self.re,
        }
    }
}

impl Dct {
    /// For blocks of so many samples: a power of two, from 64 on.
    pub(super) fn new(block: usize) -> Self {
        let points = block / 4;
        let turn = |n: usize| {
            let fraction = |n: usize| (8 * n + 1) as f64 / (32 * points) as f64;
            Complex::on_circle([0, 1, 2, 3].map(|lane| fraction(n * 4 + lane)))
        };
        Self {
            turns: (0..points / 4).map(turn).collect(),
            fourier: Fourier::new(points),
        }
    }

    /// The first quarter of the block, and its third. Of the second, the numbers are those of the
    /// first from behind with the sign turned; of the fourth, those of the third from behind.
    pub(super) fn halves(
        &self,
        spectrum: &[f32],
        room: &mut Room,
        left: &mut [f32],
        right: &mut [f32],
    ) {
        room.here.resize(self.turns.len(), Complex::ZERO);
        room.there.resize(self.turns.len(), Complex::ZERO);
        let (fours, _) = spectrum.as_chunks::<4>();
        let (eights, _) = fours.as_chunks::<2>();
        let ends = eights.iter().zip(eights.iter().rev());
        for ((into, turn), (front, back)) in room.here.iter_mut().zip(&self.turns).zip(ends) {
            let [re, _] = apart(load(&front[0]), load(&front[1]));
            let [_, im] = apart(load(&back[0]), load(&back[1]));
            let im = reversed(im);
            *into = Complex { re, im }.times(*turn);
        }
        let transformed = self.fourier.transform(room);
        let turned = || {
            let both = transformed.iter().zip(&self.turns);
            both.map(|(number, turn)| number.times(*turn))
        };
        let half = self.turns.len() / 2;
        let (left, _) = left.as_chunks_mut::<4>();
        let (right, _) = right.as_chunks_mut::<4>();
        let (left, _) = left.as_chunks_mut::<2>();
        let (right, _) = right.as_chunks_mut::<2>();
        let into = left.iter_mut().zip(right);
        let pairs = turned().skip(half).zip(turned().take(half).rev());
        for ((left, right), (up, down)) in into.zip(pairs) {
            *left = in_turn(up.re, -reversed(down.im)).map(Lanes::to_array);
            *right = in_turn(up.im, -reversed(down.re)).map(Lanes::to_array);
        }
    }
}

/// A Fourier transform that sorts as it goes (Stockham), by four where it can.
struct Fourier {
    /// For each stage by four, what the second, third and fourth of them are turned by.
    stages: Vec<Box<[[Complex; 3]]>>,
    /// Whether a factor of two is left.
    odd: bool,
}

impl Fourier {
    /// For so many points: a power of two, from 16 on.
    fn new(points: usize) -> Self {
        let mut stages = Vec::new();
        let mut length = points;
        while length >= 4 {
            let turns = |places: [usize; 4]| {
                [1, 2, 3].map(|times| {
                    let fraction = |place| (times * place) as f64 / length as f64;
                    Complex::on_circle(places.map(fraction))
                })
            };
            stages.push(if length == points {
                // Neighbours are four places; later they are four of one place.
                (0..length / 16)
                    .map(|n| turns([0, 1, 2, 3].map(|lane| n * 4 + lane)))
                    .collect()
            } else {
                (0..length / 4).map(|place| turns([place; 4])).collect()
            });
            length /= 4;
        }
        Self {
            stages,
            odd: length == 2,
        }
    }

    /// Transforms what is `here`.
    fn transform<'r>(&self, room: &'r mut Room) -> &'r [Complex] {
        let Room { here, there } = room;
        let mut stages = self.stages.iter();
        if let Some(turns) = stages.next() {
            first(turns, here, there);
            std::mem::swap(here, there);
        }
        let mut stride = 1;
        for turns in stages {
            later(turns, stride, here, there);
            std::mem::swap(here, there);
            stride *= 4;
        }
        if self.odd {
            let (a, b) = here.split_at(here.len() / 2);
            let (sums, differences) = there.split_at_mut(here.len() / 2);
            let into = sums.iter_mut().zip(differences);
            for ((a, b), (sum, difference)) in a.iter().zip(b).zip(into) {
                (*sum, *difference) = (a.plus(*b), a.minus(*b));
            }
            std::mem::swap(here, there);
        }
        here
    }
}

/// Four numbers, one of each quarter, become four neighbours.
#[inline(always)]
fn butterfly([a, b, c, d]: [Complex; 4], turns: &[Complex; 3]) -> [Complex; 4] {
    let (even, odd) = (a.plus(c), b.plus(d));
    let (cross, turned) = (a.minus(c), b.minus(d).quarter());
    [
        even.plus(odd),
        cross.plus(turned).times(turns[0]),
        even.minus(odd).times(turns[1]),
        cross.minus(turned).times(turns[2]),
    ]
}

fn quarters<T>(all: &[T]) -> [&[T]; 4] {
    let (first, second) = all.split_at(all.len() / 2);
    let (a, b) = first.split_at(first.len() / 2);
    let (c, d) = second.split_at(second.len() / 2);
    [a, b, c, d]
}

/// The first stage: four butterflies at once, whose results are put in order.
fn first(turns: &[[Complex; 3]], from: &[Complex], into: &mut [Complex]) {
    let [a, b, c, d] = quarters(from);
    let (into, _) = into.as_chunks_mut::<4>();
    let from = a.iter().zip(b).zip(c).zip(d);
    for ((into, (((a, b), c), d)), turns) in into.iter_mut().zip(from).zip(turns) {
        let made = butterfly([*a, *b, *c, *d], turns);
        let re = Lanes::transpose(made.map(|number| number.re));
        let im = Lanes::transpose(made.map(|number| number.im));
        for ((into, re), im) in into.iter_mut().zip(re).zip(im) {
            *into = Complex { re, im };
        }
    }
}

/// A later one: each place has so many times four results already.
fn later(turns: &[[Complex; 3]], stride: usize, from: &[Complex], into: &mut [Complex]) {
    let [a, b, c, d] = quarters(from).map(|quarter| quarter.chunks_exact(stride));
    let from = a.zip(b).zip(c).zip(d);
    let into = into.chunks_exact_mut(stride * 4);
    for ((into, (((a, b), c), d)), turns) in into.zip(from).zip(turns) {
        let (low, high) = into.split_at_mut(stride * 2);
        let (w, x) = low.split_at_mut(stride);
        let (y, z) = high.split_at_mut(stride);
        let from = a.iter().zip(b).zip(c).zip(d);
        let into = w.iter_mut().zip(x).zip(y).zip(z);
        for ((((a, b), c), d), (((w, x), y), z)) in from.zip(into) {
            [*w, *x, *y, *z] = butterfly([*a, *b, *c, *d], turns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some numbers, neither even nor sorted.
    fn spectrum(length: usize) -> Vec<f32> {
        (0..length)
            .map(|n| ((n * n * 7 + n * 3) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    #[test]
    fn halves_are_those_of_the_sum_in_the_specification() {
        for block in [64, 128, 256, 512, 1024, 2048, 4096, 8192] {
            let spectrum = spectrum(block / 2);
            let (mut left, mut right) = (vec![0.0; block / 4], vec![0.0; block / 4]);
            let mut room = Room::default();
            Dct::new(block).halves(&spectrum, &mut room, &mut left, &mut right);
            let sum = |k: usize| {
                let angle = |m: usize| {
                    PI / (block / 2) as f64
                        * (k as f64 + 0.5 + block as f64 / 4.0)
                        * (m as f64 + 0.5)
                };
                let terms = spectrum.iter().enumerate();
                terms
                    .map(|(m, x)| f64::from(*x) * angle(m).cos())
                    .sum::<f64>() as f32
            };
            for n in (0..block / 4).step_by(if block > 1000 { 37 } else { 1 }) {
                let all = [n, block / 2 - 1 - n, block / 2 + n, block - 1 - n].map(sum);
                let ours = [left[n], -left[n], right[n], right[n]];
                for (a, b) in all.iter().zip(ours) {
                    assert!(
                        (a - b).abs() < 2e-4 * (block as f32).sqrt(),
                        "{block}, {n}: {a} {b}"
                    );
                }
            }
        }
    }
}

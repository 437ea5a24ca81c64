//! Codebooks: codewords, and the vectors that they stand for (Vorbis I, 3).

use super::{
    bits::{Bits, width_of},
    tree::Tree,
};

const SYNC: u32 = 0x56_4342;
/// Entries of all codebooks together. Those of the usual encoder have up to 12 000; but they are
/// described in so few bits that 5 kB may claim 4 GB.
const ENTRIES: usize = 1 << 16;
/// Numbers in all vectors together; usual are up to 62 000.
const VALUES: usize = 1 << 20;

pub(super) struct Book {
    pub(super) tree: Tree,
    /// Numbers in a vector, or what else an entry stands for.
    pub(super) dimensions: usize,
    vectors: Vectors,
}

enum Vectors {
    /// Entries stand for themselves.
    None,
    /// Every vector is a point on a grid: steps of it, by their number.
    Grid {
        steps: Box<[f32; 256]>,
        points: Box<[u8]>,
    },
    /// One after the other.
    Full(Box<[f32]>),
}

/// Reads all of them.
pub(super) fn read_all(bits: &mut Bits<'_>) -> Option<Box<[Book]>> {
    let count = bits.take(8)? + 1;
    let mut left = Limits {
        entries: ENTRIES,
        values: VALUES,
    };
    (0..count).map(|_| Book::read(bits, &mut left)).collect()
}

/// What all codebooks together may still have.
struct Limits {
    entries: usize,
    values: usize,
}

impl Book {
    fn read(bits: &mut Bits<'_>, left: &mut Limits) -> Option<Self> {
        if bits.take(24)? != SYNC {
            return None;
        }
        let (dimensions, entries) = (bits.index(16)?, bits.index(24)?);
        left.entries = left.entries.checked_sub(entries)?;
        let lengths = if bits.flag()? {
            ascending(bits, entries)?
        } else {
            one_by_one(bits, entries)?
        };
        let kind = bits.take(4)?;
        if kind > 0 {
            left.values = left.values.checked_sub(entries.checked_mul(dimensions)?)?;
        }
        let vectors = match kind {
            0 => Vectors::None,
            1 | 2 => Vectors::read(bits, kind == 1, entries, dimensions)?,
            _ => return None,
        };
        (dimensions > 0).then_some(Self {
            tree: Tree::new(&lengths)?,
            dimensions,
            vectors,
        })
    }

    /// Whether its entries stand for vectors.
    pub(super) fn has_vectors(&self) -> bool {
        !matches!(self.vectors, Vectors::None)
    }

    /// Adds vectors, one behind the other, until `out` is done. `None` at the end of the packet.
    pub(super) fn add(&self, bits: &mut Bits<'_>, out: &mut [f32]) -> Option<()> {
        match (&self.vectors, self.dimensions) {
            (Vectors::Grid { steps, points }, 2) => self.add_grid::<2>(bits, steps, points, out),
            (Vectors::Grid { steps, points }, 4) => self.add_grid::<4>(bits, steps, points, out),
            (Vectors::Grid { steps, points }, 8) => self.add_grid::<8>(bits, steps, points, out),
            _ => {
                for piece in out.chunks_mut(self.dimensions) {
                    self.add_one(bits, piece.iter_mut())?;
                }
                Some(())
            }
        }
    }

    /// Adds vectors whose numbers lie apart: each begins beside the one before.
    pub(super) fn add_apart(&self, bits: &mut Bits<'_>, out: &mut [f32]) -> Option<()> {
        let apart = out.len() / self.dimensions;
        for first in 0..apart {
            self.add_one(bits, out[first..].iter_mut().step_by(apart))?;
        }
        Some(())
    }

    #[inline(always)]
    fn add_grid<const D: usize>(
        &self,
        bits: &mut Bits<'_>,
        steps: &[f32; 256],
        points: &[u8],
        out: &mut [f32],
    ) -> Option<()> {
        let (points, _) = points.as_chunks::<D>();
        let (whole, rest) = out.as_chunks_mut::<D>();
        for piece in whole {
            let point = points.get(self.tree.next(bits)?)?;
            for (out, &step) in piece.iter_mut().zip(point) {
                *out += steps[usize::from(step)];
            }
        }
        if rest.is_empty() {
            return Some(());
        }
        self.add_one(bits, rest.iter_mut())
    }

    fn add_one<'o>(
        &self,
        bits: &mut Bits<'_>,
        out: impl Iterator<Item = &'o mut f32>,
    ) -> Option<()> {
        let begin = self.tree.next(bits)? * self.dimensions;
        let range = begin..begin + self.dimensions;
        match &self.vectors {
            Vectors::None => return None,
            Vectors::Grid { steps, points } => {
                for (out, &step) in out.zip(points.get(range)?) {
                    *out += steps[usize::from(step)];
                }
            }
            Vectors::Full(values) => {
                for (out, value) in out.zip(values.get(range)?) {
                    *out += value;
                }
            }
        }
        Some(())
    }
}

impl Vectors {
    fn read(bits: &mut Bits<'_>, grid: bool, entries: usize, dimensions: usize) -> Option<Self> {
        let (least, step) = (float(bits.take(32)?), float(bits.take(32)?));
        let width = bits.take(4)? + 1;
        let in_sequence = bits.flag()?;
        let count = if grid {
            root(entries, dimensions)
        } else {
            entries * dimensions
        };
        let steps: Box<[f32]> = (0..count)
            .map(|_| Some(bits.take(width)? as f32 * step + least))
            .collect::<Option<_>>()?;
        if !grid && !in_sequence {
            return Some(Self::Full(steps));
        }
        let points = |entry: usize| {
            let digits = move |rest: &mut usize| {
                let digit = *rest % count.max(1);
                *rest /= count.max(1);
                Some(digit)
            };
            (0..dimensions).scan(entry, move |rest, _| digits(rest))
        };
        if let (true, true, false) = (grid, count <= 256, in_sequence) {
            let mut all = Box::new([0.0; 256]);
            all[..count].copy_from_slice(&steps);
            let points = (0..entries).flat_map(|entry| points(entry).map(|digit| digit as u8));
            return Some(Self::Grid {
                steps: all,
                points: points.collect(),
            });
        }
        let mut values = Vec::with_capacity(entries * dimensions);
        for entry in 0..entries {
            let mut last = 0.0;
            for (n, digit) in points(entry).enumerate() {
                let at = if grid { digit } else { entry * dimensions + n };
                let value = steps.get(at)? + last;
                if in_sequence {
                    last = value;
                }
                values.push(value);
            }
        }
        Some(Self::Full(values.into()))
    }
}

/// Lengths that do not fall: how many entries have each.
fn ascending(bits: &mut Bits<'_>, entries: usize) -> Option<Vec<u8>> {
    let mut lengths = Vec::with_capacity(entries);
    let mut length = bits.take(5)? as u8 + 1;
    while lengths.len() < entries {
        let left = entries - lengths.len();
        let same = bits.index(width_of(left as u32))?;
        if same > left || length > 32 {
            return None;
        }
        lengths.resize(lengths.len() + same, length);
        length += 1;
    }
    Some(lengths)
}

fn one_by_one(bits: &mut Bits<'_>, entries: usize) -> Option<Vec<u8>> {
    let sparse = bits.flag()?;
    let length = |_| match sparse && !bits.flag()? {
        true => Some(0),
        false => Some(bits.take(5)? as u8 + 1),
    };
    (0..entries).map(length).collect()
}

/// 21 bits of a number, 10 of its exponent, and the sign (Vorbis I, 9.2.2).
fn float(bits: u32) -> f32 {
    let mantissa = f64::from(bits & 0x1f_ffff);
    let exponent = (bits >> 21 & 0x3ff) as i32 - 788;
    let sign = if bits >> 31 == 0 { 1.0 } else { -1.0 };
    (sign * mantissa * 2f64.powi(exponent)) as f32
}

/// The greatest number whose power is not above `entries` (Vorbis I, 9.2.3).
fn root(entries: usize, dimensions: usize) -> usize {
    let power = |base: usize| base.checked_pow(u32::try_from(dimensions).ok()?);
    let fits = |base: &usize| power(*base).is_some_and(|power| power <= entries);
    match dimensions {
        0 => 0,
        1 => entries,
        // At most 256, for two dimensions.
        _ => (1..=entries).take_while(fits).last().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Writer, *};

    /// Codebooks, all of one length, with one value each.
    fn books(count: u32, dimensions: u32, width: u32) -> Option<Box<[Book]>> {
        let mut writer = Writer::default();
        writer.books(count, dimensions, width);
        read_all(&mut Bits::new(&writer.bytes))
    }

    #[test]
    fn tables_are_as_large_as_music_needs_them_and_no_larger() {
        assert!(books(40, 8, 8).is_some());
        assert!(books(16, 16, 12).is_some());
        assert!(books(17, 16, 12).is_none(), "too many entries");
        assert!(books(1, 32, 16).is_none(), "too many values");
        assert!(books(200, 32, 17).is_none(), "gigabytes");
    }

    #[test]
    fn a_root_is_the_greatest_number_whose_power_fits() {
        for (entries, dimensions, expected) in [(0, 3, 0), (1, 9, 1), (6561, 8, 3), (6560, 8, 2)] {
            assert_eq!(root(entries, dimensions), expected);
        }
        assert_eq!(
            (root(81, 1), root(65_536, 2), root(7, 65_535)),
            (81, 256, 1)
        );
    }

    #[test]
    fn numbers_with_an_exponent_are_read_as_the_specification_says() {
        assert_eq!(float(788 << 21 | 5), 5.0);
        assert_eq!(float(1 << 31 | 787 << 21 | 3), -1.5);
        assert_eq!(float(0), 0.0);
        assert!(float(0x7fff_ffff).is_finite() || float(0x7fff_ffff).is_infinite());
    }

    /// A book of four entries in two dimensions: steps of these two numbers.
    fn book(kind: u32, in_sequence: u32, steps: &[u32]) -> Book {
        let mut writer = Writer::default();
        writer.put(&[(0, 8), (SYNC, 24), (2, 16), (4, 24), (0, 1), (0, 1)]);
        writer.put(&[(1, 5); 4]);
        // From 10 on, in steps of 1.
        writer.put(&[(kind, 4), (788 << 21 | 10, 32), (788 << 21 | 1, 32), (3, 4)]);
        writer.put(&[(in_sequence, 1)]);
        for step in steps {
            writer.put(&[(*step, 4)]);
        }
        let mut books = read_all(&mut Bits::new(&writer.bytes))
            .expect("well-formed")
            .into_vec();
        books.remove(0)
    }

    /// All four entries, added to ones.
    fn sums(book: &Book) -> Vec<f32> {
        let mut out = [1.0; 8];
        // 0, 1, 2, 3 with the highest bit first.
        let entries = [0b1101_1000];
        book.add(&mut Bits::new(&entries), &mut out)
            .expect("enough bits");
        out.to_vec()
    }

    #[test]
    fn vectors_are_points_of_a_grid_or_listed_and_may_count_on() {
        assert_eq!(
            sums(&book(1, 0, &[0, 5])),
            [11., 11., 16., 11., 11., 16., 16., 16.]
        );
        assert_eq!(
            sums(&book(1, 1, &[0, 5])),
            [11., 21., 16., 26., 11., 26., 16., 31.]
        );
        let listed = [0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(
            sums(&book(2, 0, &listed)),
            [11., 12., 13., 14., 15., 16., 17., 18.]
        );
        assert_eq!(
            sums(&book(2, 1, &listed)),
            [11., 22., 13., 26., 15., 30., 17., 34.]
        );
    }

    #[test]
    fn vectors_apart_begin_beside_each_other() {
        let mut out = [0.0; 8];
        let entries = [0b1101_1000];
        let book = book(1, 0, &[0, 5]);
        book.add_apart(&mut Bits::new(&entries), &mut out)
            .expect("enough bits");
        assert_eq!(out, [10., 15., 10., 15., 10., 10., 15., 15.]);
    }
}

//! Floors of type 1: the outline of a spectrum, as lines between points (Vorbis I, 7.2).
//!
//! Those of type 0 are refused: no encoder has made them for twenty years.

use super::{
    bits::{Bits, width_of},
    book::Book,
};

/// More points than the specification allows in a floor.
const POINTS: usize = 65;
/// Steps of loudness.
const LEVELS: usize = 256;

pub(super) struct Floor {
    /// The class of each partition.
    partitions: Box<[usize]>,
    classes: Box<[Class]>,
    /// Every step of the points is so many of loudness.
    factor: i32,
    points: Box<[Point]>,
    /// The points in the order of their place.
    order: Box<[u8]>,
}

struct Class {
    dimensions: usize,
    /// Which book is used is told by so many bits, for each of the dimensions.
    choice: u32,
    /// The book that tells it.
    master: usize,
    books: Box<[Option<usize>]>,
}

struct Point {
    place: i32,
    /// Of all points before it, the nearest on both sides.
    neighbours: [usize; 2],
}

/// A floor in a packet: how high each point is, and which of them count.
pub(super) struct Outline {
    heights: [i32; POINTS],
    counts: [bool; POINTS],
}

impl Floor {
    /// Reads one; its books are among so many.
    pub(super) fn read(bits: &mut Bits<'_>, books: usize) -> Option<Self> {
        if bits.take(16)? != 1 {
            return None;
        }
        let count = bits.take(5)?;
        let partitions: Box<[usize]> = (0..count).map(|_| bits.index(4)).collect::<Option<_>>()?;
        let classes = partitions.iter().max().map_or(0, |last| last + 1);
        let classes: Box<[Class]> = (0..classes)
            .map(|_| Class::read(bits, books))
            .collect::<Option<_>>()?;
        let factor = bits.take(2)? as i32 + 1;
        let width = bits.take(4)?;
        let mut places = vec![0, 1 << width];
        for class in &partitions {
            for _ in 0..classes[*class].dimensions {
                places.push(bits.take(width)? as i32);
            }
        }
        let points: Box<[Point]> = (0..places.len())
            .map(|index| Point::new(index, &places))
            .collect::<Option<_>>()?;
        let mut order: Box<[u8]> = (0..u8::try_from(points.len()).ok()?).collect();
        order.sort_unstable_by_key(|index| points[usize::from(*index)].place);
        (points.len() <= POINTS).then_some(Self {
            partitions,
            classes,
            factor,
            points,
            order,
        })
    }

    fn range(&self) -> i32 {
        [256, 128, 86, 64][self.factor as usize - 1]
    }

    /// What a packet says of it; `None` when the channel is silent, or the packet at its end.
    pub(super) fn outline(&self, bits: &mut Bits<'_>, books: &[Book]) -> Option<Outline> {
        if !bits.flag()? {
            return None;
        }
        let mut told = [0; POINTS];
        let width = width_of(self.range() as u32 - 1);
        told[0] = bits.take(width)? as i32;
        told[1] = bits.take(width)? as i32;
        let mut at = 2;
        for class in &self.partitions {
            let class = &self.classes[*class];
            let mut choice = match class.choice {
                0 => 0,
                _ => books[class.master].tree.next(bits)?,
            };
            for height in &mut told[at..at + class.dimensions] {
                if let Some(book) = class.books[choice & (class.books.len() - 1)] {
                    *height = books[book].tree.next(bits)? as i32;
                }
                choice >>= class.choice;
            }
            at += class.dimensions;
        }
        Some(self.unfold(&told))
    }

    /// Heights are told as differences to a line between the neighbours.
    fn unfold(&self, told: &[i32; POINTS]) -> Outline {
        let range = self.range();
        let mut outline = Outline {
            heights: [0; POINTS],
            counts: [false; POINTS],
        };
        let Outline { heights, counts } = &mut outline;
        heights[..2].copy_from_slice(&told[..2]);
        counts[..2].fill(true);
        for (index, point) in self.points.iter().enumerate().skip(2) {
            let [low, high] = point.neighbours;
            let from = (self.points[low].place, heights[low]);
            let to = (self.points[high].place, heights[high]);
            let expected = on_line(from, to, point.place);
            let told = told[index];
            heights[index] = expected;
            if told == 0 {
                continue;
            }
            for index in [low, high, index] {
                counts[index] = true;
            }
            let (above, below) = (range - expected, expected);
            let height = if told >= above.min(below) * 2 {
                if above > below {
                    told - below + expected
                } else {
                    expected - told + above - 1
                }
            } else if told % 2 == 1 {
                expected - (told + 1) / 2
            } else {
                expected + told / 2
            };
            // No encoder goes beyond it.
            heights[index] = height.clamp(0, 255);
        }
        outline
    }

    /// Gives the spectrum its outline.
    pub(super) fn shape(&self, outline: &Outline, levels: &Levels, spectrum: &mut [f32]) {
        let height = |index: usize| (outline.heights[index] * self.factor).min(255);
        let mut from = (0, height(0));
        for index in self.order.iter().skip(1).map(|index| usize::from(*index)) {
            if outline.counts[index] {
                let to = (self.points[index].place, height(index));
                levels.line(from, to, spectrum);
                from = to;
            }
        }
        let end = (spectrum.len() as i32, from.1);
        if from.0 < end.0 {
            levels.line(from, end, spectrum);
        }
    }
}

impl Class {
    fn read(bits: &mut Bits<'_>, books: usize) -> Option<Self> {
        let dimensions = bits.index(3)? + 1;
        let choice = bits.take(2)?;
        let known = |book: usize| (book < books).then_some(book);
        let master = match choice {
            0 => 0,
            _ => known(bits.index(8)?)?,
        };
        let books = (0..1 << choice).map(|_| match bits.index(8)? {
            0 => Some(None),
            book => known(book - 1).map(Some),
        });
        Some(Self {
            dimensions,
            choice,
            master,
            books: books.collect::<Option<_>>()?,
        })
    }
}

impl Point {
    /// `None` when it is at the place of one before.
    fn new(index: usize, places: &[i32]) -> Option<Self> {
        let place = places[index];
        let before = || places[..index].iter().copied().enumerate();
        if before().any(|(_, other)| other == place) {
            return None;
        }
        let low = before().filter(|(_, other)| *other < place);
        let high = before().filter(|(_, other)| *other > place);
        let low = low.max_by_key(|(_, other)| *other);
        let high = high.min_by_key(|(_, other)| *other);
        // The first two have none, and need none.
        let neighbours = [low, high].map(|found| found.map_or(0, |(index, _)| index));
        Some(Self { place, neighbours })
    }
}

/// The height at a place on the line between two points, as whole numbers have it.
fn on_line((x0, y0): (i32, i32), (x1, y1): (i32, i32), x: i32) -> i32 {
    let off = (y1 - y0).abs() * (x - x0) / (x1 - x0).max(1);
    if y1 < y0 { y0 - off } else { y0 + off }
}

/// What the steps of loudness are: 140 dB up to 1.0 (the table of Vorbis I, 10.1).
pub(super) struct Levels(Box<[f32; LEVELS]>);

impl Levels {
    pub(super) fn new() -> Self {
        let mut levels = Box::new([0.0; LEVELS]);
        for (step, level) in levels.iter_mut().enumerate() {
            let db = (step as f64 - 255.0) * 0.546_875;
            *level = 10f64.powf(db / 20.0) as f32;
        }
        Self(levels)
    }

    /// Multiplies what lies under a line, its end not included.
    fn line(&self, (x0, y0): (i32, i32), (x1, y1): (i32, i32), spectrum: &mut [f32]) {
        let end = (x1.max(0) as usize).min(spectrum.len());
        let Some(under) = spectrum.get_mut(x0.max(0) as usize..end) else {
            return;
        };
        if y0 == y1 {
            let level = self.at(y0);
            under.iter_mut().for_each(|value| *value *= level);
            return;
        }
        let length = (x1 - x0).max(1);
        let (step, more) = ((y1 - y0) / length, (y1 - y0).signum());
        let rest = (y1 - y0).abs() - step.abs() * length;
        let (mut y, mut error) = (y0, 0);
        for value in under {
            *value *= self.at(y);
            error += rest;
            y += step;
            if error >= length {
                error -= length;
                y += more;
            }
        }
    }

    #[inline(always)]
    fn at(&self, height: i32) -> f32 {
        self.0[usize::from(height as u8)]
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Writer, *};

    #[test]
    fn steps_of_loudness_are_those_of_the_specification() {
        let levels = Levels::new();
        for (step, expected) in [(0, 1.064_986_3e-7), (1, 1.134_195_1e-7), (255, 1.0f32)] {
            let off = levels.at(step) / expected - 1.0;
            assert!(off.abs() < 1e-6, "{step}: {}", levels.at(step));
        }
    }

    #[test]
    fn a_line_has_the_heights_that_a_point_on_it_has() {
        let levels = Levels::new();
        for (y0, y1) in [(0, 200), (200, 0), (7, 9), (9, 7), (4, 4)] {
            let mut spectrum = [1.0; 40];
            levels.line((3, y0), (33, y1), &mut spectrum);
            for x in 3..33 {
                let y = on_line((3, y0), (33, y1), x);
                assert_eq!(spectrum[x as usize], levels.at(y), "{y0} to {y1} at {x}");
            }
            assert!(
                spectrum[..3]
                    .iter()
                    .chain(&spectrum[33..])
                    .all(|value| *value == 1.0)
            );
        }
    }

    #[test]
    fn a_line_beyond_the_spectrum_is_cut_at_its_end() {
        let levels = Levels::new();
        let (mut short, mut long) = ([1.0; 20], [1.0; 64]);
        levels.line((0, 10), (64, 90), &mut short);
        levels.line((0, 10), (64, 90), &mut long);
        assert_eq!(short, long[..20]);
        levels.line((30, 10), (64, 90), &mut short);
        assert_eq!(short, long[..20]);
    }

    fn read(point: u32, kind: u32) -> Option<Floor> {
        let mut writer = Writer::default();
        writer.floor(kind, point);
        Floor::read(&mut Bits::new(&writer.bytes), 1)
    }

    #[test]
    fn only_floors_that_are_in_use_are_let_through() {
        assert!(read(5, 1).is_some());
        assert!(read(5, 0).is_none());
        assert!(read(0, 1).is_none(), "two points at 0");
    }
}

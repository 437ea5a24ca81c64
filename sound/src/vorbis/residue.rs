//! Residues: the fine structure of spectra (Vorbis I, 8).

use super::{bits::Bits, book::Book};

/// Books refine a spectrum one after the other, so many at most.
const PASSES: usize = 8;

pub(super) struct Residue {
    pub(super) kind: Kind,
    begin: usize,
    end: usize,
    /// Numbers in a partition.
    size: usize,
    /// The book that tells of what class partitions are.
    master: usize,
    /// Of each class, the books of each pass.
    books: Box<[[Option<u8>; PASSES]]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each vector's numbers lie apart.
    Apart,
    /// One vector behind the other.
    Together,
    /// The same, of all channels in turn.
    Interleaved,
}

impl Residue {
    pub(super) fn read(bits: &mut Bits<'_>, known: &[Book]) -> Option<Self> {
        let kind = match bits.take(16)? {
            0 => Kind::Apart,
            1 => Kind::Together,
            2 => Kind::Interleaved,
            _ => return None,
        };
        let (begin, end) = (bits.index(24)?, bits.index(24)?);
        let size = bits.index(24)? + 1;
        let classes = bits.take(6)? + 1;
        let master = bits.index(8)?;
        let passes: Vec<u32> = (0..classes)
            .map(|_| {
                let low = bits.take(3)?;
                let high = if bits.flag()? { bits.take(5)? } else { 0 };
                Some(high << 3 | low)
            })
            .collect::<Option<_>>()?;
        let book = |bits: &mut Bits<'_>| {
            let book = bits.take(8)? as u8;
            let vectors = known.get(usize::from(book))?.has_vectors();
            vectors.then_some(book)
        };
        let mut books = vec![[None; PASSES]; passes.len()].into_boxed_slice();
        for (passes, books) in passes.iter().zip(&mut books) {
            for (pass, slot) in books.iter_mut().enumerate() {
                if passes >> pass & 1 == 1 {
                    *slot = Some(book(bits)?);
                }
            }
        }
        (master < known.len()).then_some(Self {
            kind,
            begin,
            end,
            size,
            master,
            books,
        })
    }

    /// Adds what a packet says to spectra of the same length, up to the packet's end.
    ///
    /// `classes` is room to remember, of no meaning between two calls.
    pub(super) fn add(
        &self,
        bits: &mut Bits<'_>,
        known: &[Book],
        spectra: &mut [&mut [f32]],
        classes: &mut Vec<u8>,
    ) {
        let length = spectra.first().map_or(0, |spectrum| spectrum.len());
        let (begin, end) = (self.begin.min(length), self.end.min(length));
        let count = end.saturating_sub(begin) / self.size;
        if count == 0 {
            return;
        }
        classes.clear();
        classes.resize(count * spectra.len(), 0);
        for pass in 0..PASSES {
            let refined = self.pass(pass, bits, known, spectra, (begin, count), classes);
            if refined.is_none() {
                return;
            }
        }
    }

    /// One pass over all partitions; `None` at the end of the packet.
    fn pass(
        &self,
        pass: usize,
        bits: &mut Bits<'_>,
        known: &[Book],
        spectra: &mut [&mut [f32]],
        (begin, count): (usize, usize),
        classes: &mut [u8],
    ) -> Option<()> {
        let master = &known[self.master];
        if pass > 0 && self.books.iter().all(|books| books[pass].is_none()) {
            return Some(());
        }
        for first in (0..count).step_by(master.dimensions) {
            let together = first..count.min(first + master.dimensions);
            if pass == 0 {
                for classes in classes.chunks_exact_mut(count) {
                    self.classify(classes, first, master, bits)?;
                }
            }
            for at in together {
                let range = begin + at * self.size..begin + (at + 1) * self.size;
                for (spectrum, classes) in spectra.iter_mut().zip(classes.chunks_exact(count)) {
                    let Some(book) = self.books[usize::from(classes[at])][pass] else {
                        continue;
                    };
                    let (book, part) = (&known[usize::from(book)], &mut spectrum[range.clone()]);
                    match self.kind {
                        Kind::Apart => book.add_apart(bits, part)?,
                        Kind::Together | Kind::Interleaved => book.add(bits, part)?,
                    }
                }
            }
        }
        Some(())
    }
    /// Reads the classes of as many partitions as one word of the master book tells, from `first`.
    fn classify(
        &self,
        classes: &mut [u8],
        first: usize,
        master: &Book,
        bits: &mut Bits<'_>,
    ) -> Option<()> {
        let mut told = master.tree.next(bits)?;
        // The last one is told by the lowest digit, also where there are fewer.
        for at in (first..first + master.dimensions).rev() {
            if told == 0 || self.books.len() == 1 {
                break;
            }
            if let Some(class) = classes.get_mut(at) {
                *class = (told % self.books.len()) as u8;
            }
            told /= self.books.len();
        }
        Some(())
    }
}

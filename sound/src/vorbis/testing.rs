//! Headers, made bit by bit.

use super::bits::width_of;

/// Writes numbers as [`super::bits::Bits`] reads them.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    at: usize,
}

impl Writer {
    /// Numbers, each with its width.
    pub(super) fn put(&mut self, fields: &[(u32, u32)]) {
        for (value, width) in fields {
            for bit in 0..*width {
                if self.at.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                let last = self.bytes.len() - 1;
                self.bytes[last] |= ((value >> bit & 1) as u8) << (self.at % 8);
                self.at += 1;
            }
        }
    }

    /// Codebooks with `1 << width` entries each, all of the same length, on a grid of no step.
    pub(super) fn books(&mut self, count: u32, dimensions: u32, width: u32) {
        let entries = 1u32 << width;
        self.put(&[(count - 1, 8)]);
        for _ in 0..count {
            self.put(&[(0x56_4342, 24), (dimensions, 16), (entries, 24), (1, 1)]);
            self.put(&[(width - 1, 5), (entries, width_of(entries))]);
            self.put(&[(1, 4), (0, 32), (0, 32), (0, 4), (0, 1)]);
            let steps = (1..=entries).take_while(|n| {
                let power = n.checked_pow(dimensions);
                power.is_some_and(|power| power <= entries)
            });
            for _ in 0..steps.count() {
                self.put(&[(0, 1)]);
            }
        }
    }

    /// A floor of this type: one partition of class 0, which has one point, here.
    pub(super) fn floor(&mut self, kind: u32, point: u32) {
        self.put(&[(kind, 16), (1, 5), (0, 4), (0, 3), (0, 2), (1, 8)]);
        self.put(&[(0, 2), (7, 4), (point, 7)]);
    }

    /// A whole setup: codebooks, and one of everything. Two channels are told as one.
    pub(super) fn setup(&mut self, books: u32, dimensions: u32, width: u32, coupled: bool) {
        self.books(books, dimensions, width);
        self.put(&[(0, 6), (0, 16), (0, 6)]);
        self.floor(1, 5);
        // A residue of one class, in partitions of 16, with a book in its first pass.
        self.put(&[(0, 6), (2, 16), (0, 24), (128, 24), (15, 24)]);
        self.put(&[(0, 6), (0, 8), (1, 3), (0, 1), (1, 8)]);
        self.put(&[(0, 6), (0, 16), (0, 1), (coupled.into(), 1)]);
        if coupled {
            self.put(&[(0, 8), (0, 1), (1, 1)]);
        }
        self.put(&[(0, 2), (0, 8), (0, 8), (0, 8)]);
        // A mode, of short blocks.
        self.put(&[(0, 6), (0, 1), (0, 16), (0, 16), (0, 8), (1, 1)]);
    }
}

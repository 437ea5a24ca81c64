//! The bits of a packet, from the lowest of each byte on (Vorbis I, 2).

/// Reads a packet. Once it was asked for more than there is, there is nothing any more.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, the first one lowest. Above `count` there may be more, all of them right.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            held: 0,
            count: 0,
        }
    }

    /// The next 32 bits; zeros behind the end.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u32 {
        if self.count < 32 {
            self.refill();
        }
        self.held as u32
    }

    /// Goes on by as many as were peeked at; `None` when there are not so many.
    #[inline(always)]
    pub(super) fn pass(&mut self, count: u32) -> Option<()> {
        if count > self.count {
            self.end();
            return None;
        }
        self.held >>= count;
        self.count -= count;
        Some(())
    }

    /// A number of up to 32 bits.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let value = u64::from(self.peek()) & ((1 << count) - 1);
        self.pass(count)?;
        Some(value as u32)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// The same, to choose with.
    pub(super) fn index(&mut self, count: u32) -> Option<usize> {
        Some(self.take(count)? as usize)
    }

    /// After it, 32 bits or all that there are.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(eight) = self.rest.first_chunk::<8>() {
            self.held |= u64::from_le_bytes(*eight) << self.count;
            let bytes = (63 - self.count) / 8;
            self.rest = &self.rest[bytes as usize..];
            self.count += bytes * 8;
        } else {
            self.refill_slowly();
        }
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while let (true, Some((&byte, rest))) = (self.count <= 56, self.rest.split_first()) {
            self.held |= u64::from(byte) << self.count;
            self.count += 8;
            self.rest = rest;
        }
    }

    #[cold]
    fn end(&mut self) {
        *self = Self::new(&[]);
    }
}

/// Bits that a number needs (`ilog` of the specification).
pub(super) fn width_of(number: u32) -> u32 {
    32 - number.leading_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_those_of_a_reader_bit_by_bit(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            widths in prop::collection::vec(0u32..=32, 0..60),
        ) {
            let mut bits = Bits::new(&bytes);
            let mut at = 0;
            for width in widths {
                let slow = (at + width as usize <= bytes.len() * 8).then(|| {
                    (0..width as usize)
                        .map(|n| u32::from(bytes[(at + n) / 8] >> ((at + n) % 8) & 1) << n)
                        .sum::<u32>()
                });
                prop_assert_eq!(bits.take(width), slow);
                if slow.is_none() {
                    prop_assert_eq!(bits.take(1), None, "nothing comes after the end");
                    break;
                }
                at += width as usize;
            }
        }
    }

    #[test]
    fn a_number_needs_as_many_bits_as_its_highest() {
        assert_eq!([0, 1, 2, 3, 4, 7].map(width_of), [0, 1, 2, 2, 3, 3]);
    }
}

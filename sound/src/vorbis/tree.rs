//! Codewords of variable length (Vorbis I, 3.2.1).

use super::bits::{Bits, width_of};

/// Most bits that are looked up at once; longer codewords are rare by their nature.
const WIDTH: u32 = 8;

/// Which entry of a codebook comes next.
pub(super) struct Tree {
    /// By the next bits. Lowest byte: length of the codeword, above: its entry. Where the length is
    /// 0, several begin like this, and above is their place in `ranges`.
    table: Box<[u32]>,
    /// Begin and end in `long`.
    ranges: Box<[(u32, u32)]>,
    long: Box<[Long]>,
}

/// A codeword that is longer than the table is wide.
struct Long {
    /// From the highest bit on.
    code: u32,
    entry: u16,
    length: u8,
}

impl Tree {
    /// From the length of each entry's codeword, 0 for those that have none. Each gets the lowest
    /// that is free. `None` when they do not fit, or leave some bits without a meaning.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        let used = lengths.iter().filter(|length| **length > 0).count();
        let longest = u32::from(lengths.iter().copied().max().unwrap_or(0));
        if used == 1 {
            return Self::of_one(lengths);
        }
        let width = longest.min(WIDTH).min(width_of(used as u32) + 2);
        let mut table = vec![0; 1 << width].into_boxed_slice();
        let mut long = Vec::new();
        let mut free = Free::new();
        for (entry, &length) in lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length > 0)
        {
            let code = free.take(length.into())?;
            let entry = u16::try_from(entry).ok()?;
            if u32::from(length) > width {
                long.push(Long {
                    code,
                    entry,
                    length,
                });
                continue;
            }
            let packed = u32::from(entry) << 8 | u32::from(length);
            let first = code.reverse_bits() as usize;
            for slot in table[first..].iter_mut().step_by(1 << length) {
                *slot = packed;
            }
        }
        if used > 0 && !free.is_empty() {
            return None;
        }
        long.sort_unstable_by_key(|long| long.code);
        let mut ranges = Vec::new();
        if used == 0 {
            ranges.push((0, 0));
        }
        let mut begin = 0;
        for same in long.chunk_by(|a, b| a.code >> (32 - width) == b.code >> (32 - width)) {
            let slot = same[0].code.reverse_bits() as usize & (table.len() - 1);
            table[slot] = (ranges.len() as u32) << 8;
            ranges.push((begin, begin + same.len() as u32));
            begin += same.len() as u32;
        }
        Some(Self {
            table,
            ranges: ranges.into(),
            long: long.into(),
        })
    }

    /// A single entry takes one bit, whatever it is.
    fn of_one(lengths: &[u8]) -> Option<Self> {
        let entry = lengths.iter().position(|length| *length == 1)?;
        let packed = u32::try_from(entry).ok()? << 8 | 1;
        Some(Self {
            table: Box::new([packed; 2]),
            ranges: Box::default(),
            long: Box::default(),
        })
    }

    /// The next entry; `None` at the end of the packet.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let ahead = bits.peek();
        let found = self.table[ahead as usize & (self.table.len() - 1)];
        let length = found & 0xff;
        if length == 0 {
            return self.next_long(found >> 8, ahead, bits);
        }
        bits.pass(length)?;
        Some((found >> 8) as usize)
    }

    fn next_long(&self, range: u32, ahead: u32, bits: &mut Bits<'_>) -> Option<usize> {
        let (begin, end) = *self.ranges.get(range as usize)?;
        let long = self.long.get(begin as usize..end as usize)?;
        let code = ahead.reverse_bits();
        let at = long.partition_point(|long| long.code <= code);
        let found = long.get(at.checked_sub(1)?)?;
        bits.pass(found.length.into())?;
        Some(found.entry.into())
    }
}

/// Codewords that are not taken: at most one free subtree of each depth.
struct Free([Option<u32>; 33]);

impl Free {
    fn new() -> Self {
        let mut depths = [None; 33];
        depths[0] = Some(0);
        Self(depths)
    }

    /// The lowest codeword of a length from 1 to 32, from the highest bit on.
    fn take(&mut self, length: usize) -> Option<u32> {
        let depth = (0..=length).rev().find(|depth| self.0[*depth].is_some())?;
        let code = self.0[depth].take()?;
        for depth in depth + 1..=length {
            self.0[depth] = Some(code | 1 << (32 - depth));
        }
        Some(code)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Codewords as text, each the lowest that is no beginning of another.
    fn words(lengths: &[u8]) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        lengths.iter().for_each(|&length| {
            let free = (0u64..1 << length)
                .map(|n| format!("{n:0width$b}", width = usize::from(length)))
                .find(|word| {
                    !taken
                        .iter()
                        .any(|t| t.starts_with(word) || word.starts_with(t))
                });
            taken.push(free.expect("they fit"));
        });
        taken
    }

    /// The bytes of these bits, the first one lowest.
    fn packed(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().map(|bit| bit - b'0').collect();
        bits.chunks(8)
            .map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | bit))
            .collect()
    }

    /// Lengths of a full tree: every split makes two of one.
    fn full_tree() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<prop::sample::Index>(), 1..60).prop_map(|splits| {
            let mut lengths = vec![0u8];
            for split in splits {
                let at = split.index(lengths.len());
                if lengths[at] < 14 {
                    lengths[at] += 1;
                    lengths.push(lengths[at]);
                }
            }
            lengths
        })
    }

    proptest! {
        #[test]
        fn every_codeword_leads_to_its_entry(
            lengths in full_tree(),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..50),
        ) {
            let tree = Tree::new(&lengths).expect("it is full");
            let words = words(&lengths);
            let picks: Vec<usize> = picks.iter().map(|pick| pick.index(words.len())).collect();
            let text: String = picks.iter().map(|pick| words[*pick].as_str()).collect();
            let bytes = packed(&text);
            let mut bits = Bits::new(&bytes);
            for pick in picks {
                prop_assert_eq!(tree.next(&mut bits), Some(pick));
            }
        }

        #[test]
        fn lengths_of_any_kind_are_refused_or_read(
            lengths in prop::collection::vec(0u8..=32, 0..40),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Some(tree) = Tree::new(&lengths) {
                let mut bits = Bits::new(&bytes);
                while let Some(entry) = tree.next(&mut bits) {
                    prop_assert!(lengths[entry] > 0);
                }
            }
        }
    }

    #[test]
    fn trees_that_are_too_full_or_not_full_are_refused() {
        assert!(Tree::new(&[1, 1, 1]).is_none());
        assert!(Tree::new(&[1, 2]).is_none());
        assert!(Tree::new(&[2]).is_none());
        assert!(Tree::new(&[1, 2, 2]).is_some());
    }

    #[test]
    fn a_single_entry_takes_a_bit_and_none_takes_nothing() {
        let one = Tree::new(&[0, 1, 0]).expect("one");
        let mut bits = Bits::new(&[0b10]);
        assert_eq!(
            (one.next(&mut bits), one.next(&mut bits)),
            (Some(1), Some(1))
        );
        let none = Tree::new(&[0, 0]).expect("none");
        assert_eq!(none.next(&mut Bits::new(&[0; 8])), None);
    }
}

//! Places in a file whose numbers were counted.

/// Frames between two places that are remembered: a second or so.
const STRIDE: u64 = 38;
/// No more are remembered: five hours.
const MOST: usize = 16_384;

/// Number and offset of frames, in order.
#[derive(Default)]
pub(super) struct Marks(Vec<(u64, u64)>);

/// A place to read on from.
pub(super) struct Mark {
    pub number: u64,
    pub offset: u64,
    /// The next one is not far behind: all that lies between was read before.
    pub is_followed: bool,
}

impl Marks {
    /// Frame 0 is there.
    pub(super) fn beginning(offset: u64) -> Self {
        Self(vec![(0, offset)])
    }

    pub(super) fn note(&mut self, number: u64, offset: u64) {
        let last = self.0.last().map_or(0, |mark| mark.0);
        if number >= last + STRIDE && self.0.len() < MOST {
            self.0.push((number, offset));
        }
    }

    /// The last one at or before this number.
    pub(super) fn before(&self, number: u64) -> Option<Mark> {
        let behind = self.0.partition_point(|mark| mark.0 <= number);
        let (at, offset) = *self.0.get(behind.checked_sub(1)?)?;
        let next = self.0.get(behind);
        Some(Mark {
            number: at,
            offset,
            is_followed: next.is_some_and(|next| next.0 - at < 3 * STRIDE),
        })
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

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
        let behind = self.0.partition_point(|mark| mark.0 <= number);
        let is_far = |other: u64| other.abs_diff(number) >= STRIDE;
        let before = behind.checked_sub(1).and_then(|at| self.0.get(at));
        let mut neighbours = before.into_iter().chain(self.0.get(behind));
        if self.0.len() < MOST && neighbours.all(|mark| is_far(mark.0)) {
            self.0.insert(behind, (number, offset));
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

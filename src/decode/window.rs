//! Reads onwards through a source and holds what is being looked at.
//!
//! Whoever takes something out of it first makes sure that all of it is there: when bytes are
//! missing, nothing has moved, and the same may be tried again.

use std::time::{Duration, Instant};

use super::{
    DecodeError,
    source::{Source, SourceError},
};

/// Bytes asked for at once: 0.4 s at 320 kbit/s.
const READ: usize = 16 * 1024;
/// No more is held to go back to: a search through damage may lead far away from it.
const KEPT: usize = 1024 * 1024;

pub(super) struct Window {
    source: Box<dyn Source>,
    /// Offset in the file of the first byte held.
    base: u64,
    held: Vec<u8>,
    /// How many of the held bytes have been passed.
    at: usize,
    /// Bytes from here on stay held, so that one can go back to them.
    keep: Option<u64>,
    deadline: Instant,
}

impl Window {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            base: 0,
            held: Vec::new(),
            at: 0,
            keep: None,
            deadline: Instant::now(),
        }
    }

    /// From now on, all waiting together takes no longer than this.
    pub(super) fn patience(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
    }

    /// Bytes of the whole file.
    pub(super) fn len(&self) -> Option<u64> {
        self.source.len()
    }

    /// Where the bytes end that are there from `offset` on.
    pub(super) fn at_hand(&self, offset: u64) -> u64 {
        let end = self.base + self.held.len() as u64;
        let held = (self.base..=end).contains(&offset);
        self.source.at_hand(if held { end } else { offset })
    }

    /// Offset in the file of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// What is there of the bytes ahead.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.held[self.at..]
    }

    /// Passes as many bytes, which must be there.
    pub(super) fn pass(&mut self, count: usize) {
        self.at = (self.at + count).min(self.held.len());
    }

    /// Goes to another place; what is held of it stays.
    pub(super) fn go(&mut self, offset: u64) {
        self.keep = None;
        let end = self.base + self.held.len() as u64;
        if (self.base..=end).contains(&offset) {
            self.at = (offset - self.base) as usize;
        } else {
            self.base = offset;
            self.held.clear();
            self.at = 0;
        }
    }

    /// Holds everything from `offset` on, until told otherwise or sent elsewhere.
    pub(super) fn keep(&mut self, offset: Option<u64>) {
        self.keep = offset;
    }

    /// Makes sure that `count` bytes are ahead. False when the file ends before that.
    pub(super) fn has(&mut self, count: usize) -> Result<bool, DecodeError> {
        while self.held.len() - self.at < count {
            self.drop_passed();
            let end = self.held.len();
            let more = READ.max(count.saturating_sub(end - self.at));
            self.held.resize(end + more, 0);
            let wait = self.deadline.saturating_duration_since(Instant::now());
            let offset = self.base + end as u64;
            let read = self.source.read_at(offset, &mut self.held[end..], wait);
            let count = *read.as_ref().unwrap_or(&0);
            self.held.truncate(end + count.min(more));
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(SourceError::NotYet) => return Err(DecodeError::NotYet),
                Err(SourceError::Failed(why)) => return Err(DecodeError::Source(why)),
            }
        }
        Ok(true)
    }

    fn drop_passed(&mut self) {
        let kept = self.keep.map_or(self.at, |keep| {
            (keep.saturating_sub(self.base) as usize).min(self.at)
        });
        let kept = if self.at - kept > KEPT { self.at } else { kept };
        self.held.drain(..kept);
        self.at -= kept;
        self.base += kept as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file without an end.
    struct Endless;

    impl Source for Endless {
        fn read_at(
            &mut self,
            offset: u64,
            buf: &mut [u8],
            _: Duration,
        ) -> Result<usize, SourceError> {
            buf.fill(offset as u8);
            Ok(buf.len())
        }

        fn len(&self) -> Option<u64> {
            None
        }
    }

    #[test]
    fn what_is_held_to_go_back_to_has_a_limit_and_one_can_go_back_all_the_same() {
        let mut window = Window::new(Box::new(Endless));
        window.go(1000);
        window.keep(Some(1000));
        for _ in 0..1000 {
            assert_eq!(window.has(9000), Ok(true));
            window.pass(9000);
            assert!(window.held.len() <= KEPT + 2 * READ);
        }
        window.go(1000);
        assert_eq!((window.has(1), window.offset()), (Ok(true), 1000));
    }
}

//! When to try again: soon at first, then less often, for ever.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Retry {
    first: Duration,
    longest: Duration,
    next: Duration,
    at: Option<Instant>,
}

impl Retry {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
            at: None,
        }
    }

    /// When the next try is due; `None` while nothing went wrong.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn later(&mut self) {
        self.at = Some(Instant::now() + self.next);
        self.next = (self.next * 2).min(self.longest);
    }

    pub(super) fn reset(&mut self) {
        self.at = None;
        self.next = self.first;
    }
}

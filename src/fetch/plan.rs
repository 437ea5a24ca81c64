//! What to ask for next. Pure: a view of the fetch goes in, a length comes out.

use super::{meter::SMALLEST, window::BLOCK};

/// How much memory a fetch may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// The track that comes next: its beginning, and 1 MB once somebody reads it.
    Next,
    /// The track that plays: 1.57 MB, of which at least 1.22 MB (30.5 s at 320 kbit/s) lie ahead.
    Playing,
}

impl Budget {
    /// Bytes, in whole blocks.
    pub fn bytes(self) -> u64 {
        let limit: u64 = match self {
            Self::Next => 1_000_000,
            Self::Playing => 1_575_000,
        };
        limit / BLOCK * BLOCK
    }

    /// With less than this ahead, more is asked for. Not earlier, so that a slow radio is woken
    /// every three seconds (at 320 kbit/s) and not every second.
    fn low(self) -> u64 {
        match self {
            Self::Next => 625_000,
            Self::Playing => 1_220_000,
        }
    }

    /// How far the reader has to come for the second request.
    fn go_on(self) -> u64 {
        match self {
            // It is read when its turn is near.
            Self::Next => 1,
            Self::Playing => GO_ON,
        }
    }
}

/// What was played is kept this long, so that small steps back cost nothing: four seconds at
/// 320 kbit/s, eight at 160. (What is heard is up to a second behind the reader.)
pub(super) const BEHIND: u64 = 5 * BLOCK;

/// Nothing more of what plays is asked for before the reader has come so far: until then one request
/// does. It is more than a player reads before the first sample is heard; what is left of the first
/// request is a quarter of a second even at 60 kB/s, longer than an answer takes.
const GO_ON: u64 = 48 * 1024;

/// At most so many requests at once.
pub(super) const AT_ONCE: usize = 2;

/// A fetch at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub budget: Budget,
    /// Where this run of requests began.
    pub origin: u64,
    /// The first byte in memory.
    pub base: u64,
    pub reader: u64,
    /// Everything before this is there or asked for.
    pub planned: u64,
    pub len: Option<u64>,
    pub in_flight: usize,
    /// Bytes asked for and not there yet.
    pub left: u64,
    /// How much one request should bring, and how little of one may be left for the next to go out.
    pub request: u64,
    pub lead: u64,
}

impl View {
    /// How much to ask for from `planned` on, if anything.
    pub fn next(&self) -> Option<u64> {
        let begun = self.planned > self.origin;
        let busy = match self.in_flight {
            0 => false,
            1 => self.left > self.lead,
            _ => true,
        };
        let waits = begun && self.reader < self.woken_at();
        if busy || waits {
            return None;
        }
        // Whoever goes somewhere may go on elsewhere at once: a small one is enough to begin with.
        let request = if begun { self.request } else { SMALLEST };
        let length = request.min(self.room());
        Some(length.min(self.rest())).filter(|length| *length > 0)
    }

    /// Whether there would be something to ask for if what was read were let go of.
    pub fn lacks_room(&self) -> bool {
        self.reader >= self.woken_at() && self.rest() > 0 && self.room() == 0
    }

    /// Bytes that may be held beside what was asked for, in whole blocks.
    fn room(&self) -> u64 {
        let room = (self.base + self.budget.bytes()).saturating_sub(self.planned);
        room / BLOCK * BLOCK
    }

    /// Bytes of the file that were not asked for.
    fn rest(&self) -> u64 {
        self.len
            .map_or(u64::MAX, |len| len.saturating_sub(self.planned))
    }

    /// Where the reader has to come before there is something to ask for again.
    pub fn woken_at(&self) -> u64 {
        let low = self.planned.saturating_sub(self.budget.low());
        low.max(self.origin + self.budget.go_on())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            budget: Budget::Playing,
            origin: 0,
            base: 0,
            reader: 0,
            planned: 0,
            len: None,
            in_flight: 0,
            left: 0,
            request: 64 * 1024,
            lead: 16 * 1024,
        }
    }

    #[test]
    fn one_request_does_until_the_reader_is_well_into_it() {
        let mut view = view();
        assert_eq!(view.next(), Some(SMALLEST));
        view.planned = 64 * 1024;
        view.reader = 20_000;
        assert_eq!(view.next(), None);
        view.reader = view.woken_at();
        assert_eq!(view.next(), Some(64 * 1024));
    }

    #[test]
    fn the_first_request_anywhere_is_a_small_one_however_fast_the_line_is() {
        let mut view = view();
        view.request = 1024 * 1024;
        (view.origin, view.planned, view.reader, view.base) = (7, 7, 7, 7);
        assert_eq!(view.next(), Some(SMALLEST));
        view.planned += SMALLEST;
        view.reader = view.woken_at();
        assert!(view.next() > Some(1_000_000));
    }

    #[test]
    fn a_second_request_goes_out_when_the_first_is_nearly_done() {
        let mut view = view();
        (view.planned, view.reader, view.in_flight) = (64 * 1024, 50_000, 1);
        view.left = 20_000;
        assert_eq!(view.next(), None);
        view.left = 10_000;
        assert!(view.next().is_some());
        view.in_flight = 2;
        assert_eq!(view.next(), None);
    }

    #[test]
    fn thirty_seconds_at_the_highest_rate_fit_and_no_more_than_the_budget() {
        let mut view = view();
        view.request = 1024 * 1024;
        view.reader = 500_000;
        view.base = (view.reader - BEHIND) / BLOCK * BLOCK;
        view.planned = 512 * 1024;
        while let Some(length) = view.next() {
            view.planned += length;
        }
        assert!(view.planned - view.reader >= 30 * 40_000);
        assert!(view.planned - view.base <= 1_575_000);
        // The reader goes on; there is always half a minute left when more is asked for.
        view.reader = view.woken_at();
        assert!(view.planned - view.reader >= 30 * 40_000);
        view.base = (view.reader - BEHIND) / BLOCK * BLOCK;
        assert!(view.next().is_some_and(|length| length >= 4 * BLOCK));
    }

    #[test]
    fn the_next_track_gets_less() {
        let mut view = view();
        view.budget = Budget::Next;
        view.request = 1024 * 1024;
        assert!(view.next().is_some_and(|length| length <= 1_000_000));
    }

    #[test]
    fn of_the_next_track_only_the_beginning_comes_until_it_is_read() {
        let mut view = view();
        view.budget = Budget::Next;
        view.planned = 64 * 1024;
        assert_eq!(view.next(), None);
        view.reader = 100;
        assert!(view.next().is_some());
    }

    #[test]
    fn nothing_is_asked_for_behind_the_end() {
        let mut view = view();
        view.len = Some(70_000);
        (view.planned, view.reader) = (64 * 1024, 65_000);
        assert_eq!(view.next(), Some(70_000 - 64 * 1024));
        view.planned = 70_000;
        assert_eq!(view.next(), None);
    }
}

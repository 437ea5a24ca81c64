//! How fast the line is, and what follows from it.

use std::time::Duration;

use tokio::time::Instant;

use super::window::BLOCK;

/// A request is sized to take about this long.
const WORTH: Duration = Duration::from_secs(2);
/// The first request, and the smallest: the headers and the first second of a track.
pub(super) const SMALLEST: u64 = 2 * BLOCK;
const LARGEST: u64 = 1024 * 1024;

/// One reading of the speed.
const READING: Duration = Duration::from_millis(250);
/// Less than this says nothing about the speed.
const READING_BYTES: u64 = 16 * 1024;

/// What a new request takes beside the way there and back, seconds.
const ANEW: f64 = 0.1;

/// Nothing from a server for so long: it is taken to be silent.
const SILENCE: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(5);
/// Before anything is known of the line.
const FIRST_SILENCE: Duration = Duration::from_secs(3);

/// Measures what comes. Bytes of parallel requests count together.
#[derive(Debug, Default)]
pub(super) struct Meter {
    since: Option<Instant>,
    bytes: u64,
    /// Bytes a second; `None` before the first reading.
    rate: Option<u64>,
    latency: Option<Duration>,
}

impl Meter {
    /// From a request to the head of its answer.
    pub fn answered(&mut self, after: Duration, now: Instant) {
        self.latency = Some(match self.latency {
            Some(before) => (before * 3 + after) / 4,
            None => after,
        });
        self.since.get_or_insert(now);
    }

    pub fn arrived(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        let since = *self.since.get_or_insert(now);
        if now - since >= READING {
            self.read(now - since);
            self.since = Some(now);
        }
    }

    /// Nothing is under way any more.
    pub fn rest(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.read(now - since);
        }
    }

    fn read(&mut self, took: Duration) {
        let bytes = std::mem::take(&mut self.bytes);
        // A body that came in one piece was waiting somewhere near; and a trickle counts as slow.
        if bytes < READING_BYTES && took < READING {
            return;
        }
        let fresh = bytes as f64 / took.max(Duration::from_millis(1)).as_secs_f64();
        let fresh = (fresh as u64).clamp(1, 1 << 30);
        self.rate = Some(self.rate.map_or(fresh, |before| before.midpoint(fresh)));
    }

    /// How much to ask for at once: whole blocks, 64 kB to 1 MB.
    pub fn request(&self) -> u64 {
        let worth = self.rate.unwrap_or(0) * WORTH.as_secs();
        worth.clamp(SMALLEST, LARGEST) / BLOCK * BLOCK
    }

    /// What comes in while a request is on its way there and back: when no more than this is left
    /// of one, the next is sent, so that the line never rests.
    pub fn lead(&self) -> u64 {
        let latency = self.latency.unwrap_or_default().min(*SILENCE.start());
        let under_way = self.rate.unwrap_or(0) as f64 * latency.as_secs_f64() * 1.5;
        under_way as u64 + BLOCK / 2
    }

    /// How far ahead of what has come a reader may be for waiting to be better than asking anew: what
    /// comes while a new request would be answered. Never more than two small requests, for what lies
    /// between has to be carried by a line that somebody may pay for.
    pub fn near(&self) -> u64 {
        let Some(rate) = self.rate else {
            return SMALLEST;
        };
        let latency = self.latency.unwrap_or_default().as_secs_f64();
        ((rate as f64 * (latency + ANEW)) as u64).clamp(BLOCK / 2, 2 * SMALLEST)
    }

    /// How long a server may be silent.
    pub fn patience(&self) -> Duration {
        self.latency.map_or(FIRST_SILENCE, |latency| {
            (*SILENCE.start() + latency * 4).min(*SILENCE.end())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rate: usize, latency_ms: u64) -> Meter {
        let mut meter = Meter::default();
        let start = Instant::now();
        meter.answered(Duration::from_millis(latency_ms), start);
        for tenth in 1..=20 {
            meter.arrived(rate / 10, start + Duration::from_millis(100) * tenth);
        }
        meter
    }

    #[test]
    fn requests_grow_with_the_line_within_bounds() {
        assert_eq!(Meter::default().request(), SMALLEST);
        assert_eq!(after(20_000, 80).request(), SMALLEST);
        let middle = after(400_000, 80).request();
        assert!((700_000..=850_000).contains(&middle), "{middle}");
        assert_eq!(after(9_000_000, 80).request(), LARGEST / BLOCK * BLOCK);
    }

    #[test]
    fn a_slow_line_is_given_more_time_and_none_more_than_five_seconds() {
        assert_eq!(Meter::default().patience(), Duration::from_secs(3));
        assert!(after(400_000, 80).patience() < Duration::from_millis(2_500));
        assert_eq!(after(400_000, 3_000).patience(), Duration::from_secs(5));
    }

    #[test]
    fn what_would_come_later_than_an_answer_is_not_waited_for() {
        assert_eq!(Meter::default().near(), SMALLEST);
        assert_eq!(after(60_000, 20).near(), BLOCK / 2);
        let middle = after(400_000, 80).near();
        assert!((60_000..=80_000).contains(&middle), "{middle}");
        assert_eq!(after(100_000_000, 20).near(), 2 * SMALLEST);
    }

    #[test]
    fn the_next_request_leaves_in_time_to_keep_the_line_busy() {
        let lead = after(400_000, 80).lead();
        assert!(lead >= 32_000, "{lead}");
        assert!(lead < 100_000, "{lead}");
    }
}

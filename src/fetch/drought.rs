//! Notices that music comes more slowly than it is heard.

use std::time::Duration;

use tokio::time::Instant;

/// So long is looked before anything is said of a server: less is a hiccup.
const LOOK: Duration = Duration::from_secs(3);
/// With so much ahead nobody hears how slowly it comes: twice the look, so that another server is
/// asked before the music stops.
const EASE: u64 = 6;
/// 96 kbit/s: the least that music comes at.
const LEAST: u64 = 12_000;

#[derive(Debug)]
pub(super) struct Drought {
    /// Bytes a second that are heard.
    pub need: u64,
    since: Option<Instant>,
    bytes: u64,
}

impl Default for Drought {
    fn default() -> Self {
        Self {
            need: LEAST,
            since: None,
            bytes: 0,
        }
    }
}

impl Drought {
    /// Bytes ahead with which nothing is short.
    pub fn ease(&self) -> u64 {
        self.need * EASE
    }

    /// Something is asked for again after a rest.
    pub fn begins(&mut self, now: Instant) {
        (self.since, self.bytes) = (Some(now), 0);
    }

    /// Bytes came, of whatever request; `short`: there is little else. The rate, in bytes a second,
    /// when that has not been enough for some seconds.
    pub fn brought(&mut self, bytes: u64, short: bool, now: Instant) -> Option<u64> {
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes;
        let gone = now - since;
        if short && gone < LOOK {
            return None;
        }
        let rate = self.bytes as f64 / gone.as_secs_f64().max(0.001);
        self.begins(now);
        (short && rate < self.need as f64).then_some(rate as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes(rate: u64, short: bool) -> Option<u64> {
        let mut drought = Drought::default();
        let start = Instant::now();
        drought.begins(start);
        (1..=60).find_map(|tenth| {
            let now = start + Duration::from_millis(100) * tenth;
            drought.brought(rate / 10, short, now)
        })
    }

    #[test]
    fn less_than_is_heard_is_too_little_only_while_there_is_little() {
        assert_eq!(comes(8_000, true), Some(8_000));
        assert_eq!(comes(8_000, false), None);
        assert_eq!(comes(12_500, true), None);
    }
}

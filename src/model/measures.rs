//! What is measured of a running speaker, told when somebody asks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Upper bounds of the classes of a [`Histogram`], in ms.
pub const BOUNDS_MS: [u32; 12] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];

/// How long something took, each time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each class of [`BOUNDS_MS`] and not into one before.
    classes: [u64; BOUNDS_MS.len()],
    /// All of them, those beyond the last class too.
    count: u64,
    sum_s: f64,
}

impl Histogram {
    pub const fn new() -> Self {
        Self {
            classes: [0; BOUNDS_MS.len()],
            count: 0,
            sum_s: 0.0,
        }
    }

    pub fn note(&mut self, took: Duration) {
        let fits = |bound: &u32| took <= Duration::from_millis(u64::from(*bound));
        if let Some(class) = BOUNDS_MS.iter().position(fits) {
            self.classes[class] += 1;
        }
        self.count += 1;
        self.sum_s += took.as_secs_f64();
    }

    /// For each bound, in seconds, how many took no longer.
    pub fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        BOUNDS_MS
            .into_iter()
            .zip(self.classes)
            .map(move |(bound, count)| {
                sum += count;
                (f64::from(bound) / 1_000.0, sum)
            })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// In seconds.
    pub fn sum(&self) -> f64 {
        self.sum_s
    }
}

/// What an engine knows of itself. Counted since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Its process.
    pub pid: u32,
    /// Music that is decoded and waits, in ms, and how much can.
    pub buffered_ms: u32,
    pub depth_ms: u32,
    /// Times the card ran out of samples, or the music out of time.
    pub xruns: u64,
    /// Times the music broke off because nothing was decoded.
    pub gaps: u64,
    /// What is heard less what others are shown, in ms; `None` while nothing plays.
    pub drift_ms: Option<i32>,
    /// From a request to an audio server to the head of its answer.
    pub fetches: Histogram,
}

/// What a session was lost by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The link to the access point.
    AccessPoint,
    /// The link that orders come over.
    Dealer,
    /// The engine ended, or hung.
    Engine,
    /// The first sign-in of an engine came to nothing.
    SignIn,
}

impl Cut {
    pub fn key(self) -> &'static str {
        match self {
            Self::AccessPoint => "access_point",
            Self::Dealer => "dealer",
            Self::Engine => "engine",
            Self::SignIn => "sign_in",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_of_time_counts_in_its_class_and_all_above() {
        let mut histogram = Histogram::new();
        for ms in [1, 5, 6, 40_000] {
            histogram.note(Duration::from_millis(ms));
        }
        let cumulated: Vec<_> = histogram.cumulated().collect();
        assert_eq!(cumulated[..2], [(0.005, 2), (0.01, 3)]);
        assert_eq!(cumulated.last(), Some(&(30.0, 3)));
        assert_eq!(histogram.count(), 4);
        assert!((histogram.sum() - 40.012).abs() < 1e-9);
    }
}

//! An output without a device, for the player's tests: what leaves is taken by the test itself.

use std::sync::Arc;

use super::{
    Clock, Inlet,
    feed::{Feed, Status},
    inlet::DEPTH,
    reel::Pace,
};
use crate::model::CHANNELS;

/// The device's side.
pub(crate) struct Taker {
    feed: Arc<Feed>,
}

pub(crate) fn output() -> (Inlet, Taker, Clock) {
    let feed = Arc::new(Feed::new(DEPTH));
    feed.opened(0);
    let inlet = Inlet::new(Arc::clone(&feed));
    let clock = Clock {
        feed: Arc::clone(&feed),
    };
    (inlet, Taker { feed }, clock)
}

impl Taker {
    /// What a pipe would get of so many frames: less when less is there.
    pub(crate) fn take(&self, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames * CHANNELS];
        let count = self.feed.pull(&mut out, Pace::Patient, 0);
        out.truncate(count * CHANNELS);
        out
    }

    /// What a card would get: silence where nothing is.
    pub(crate) fn gulp(&self, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames * CHANNELS];
        let count = self.feed.pull(&mut out, Pace::Now, 0);
        out[count * CHANNELS..].fill(0.0);
        out
    }

    pub(crate) fn lose(&self) {
        self.feed.lose();
    }

    pub(crate) fn come_back(&self) {
        self.feed.opened(0);
    }

    pub(crate) fn status(&self) -> Status {
        self.feed.status()
    }
}

//! The player's end of the output: a long ring of samples, behind which volume, pause and fades lie.

use std::{sync::Arc, time::Instant};

use super::{
    feed::{Feed, Link, Waker},
    reel::Pace,
};
use crate::model::{CHANNELS, RATE};

/// Frames that wait at most: a second, which is 353 kB. Decoding in few long bursts costs half of
/// decoding in many short ones.
pub(super) const DEPTH: usize = RATE as usize;

/// Where the player puts samples: interleaved stereo, 44 100 frames a second. Nothing here blocks.
#[derive(Debug, Clone)]
pub struct Inlet {
    feed: Arc<Feed>,
}

/// What the player goes by. Indexes count frames since the beginning of time.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Of the next frame to be written.
    pub written: u64,
    /// Of the next frame to leave for the device.
    pub taken: u64,
    /// Of the frame that is heard now.
    pub heard: u64,
    /// Frames that fit.
    pub room: usize,
    /// Frames that can wait, at most.
    pub depth: usize,
    /// Nothing leaves: paused, stopped, or not begun.
    pub silent: bool,
    /// The listener misses samples.
    pub dry: bool,
    /// There is no device, and somebody was told why.
    pub lost: bool,
    /// Which track and position is heard.
    pub place: Option<(u64, u32)>,
}

impl Inlet {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { feed }
    }

    /// Calls `wake` when the frame of [`Self::wake_at`] has left, when the last one has before a
    /// pause, and when the device comes or goes. It is called from other threads and must be quick.
    pub fn on_change(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.feed.lock().waker = Some(Waker(wake));
    }

    /// True when it has left already: then nobody is called.
    pub fn wake_at(&self, index: u64) -> bool {
        let mut inner = self.feed.lock();
        inner.wake_at = index;
        inner.reel.taken() >= index
    }

    pub fn look(&self) -> Look {
        let inner = self.feed.lock();
        let reel = &inner.reel;
        let taken = reel.taken();
        let heard = inner.beat.heard(taken, Instant::now());
        Look {
            written: reel.written(),
            taken,
            heard,
            room: reel.room(),
            depth: reel.room() + reel.len(),
            silent: reel.is_shut(),
            dry: reel.is_dry(),
            lost: inner.link == Link::Lost,
            place: reel.position_of(heard),
        }
    }

    /// What is pushed next is this place of this track, exactly.
    pub fn begin(&self, track: u64, position_ms: u32) {
        self.feed.lock().reel.anchor(track, position_ms);
    }

    /// Appends as many whole frames as fit; returns how many.
    pub fn push(&self, samples: &[f32]) -> usize {
        let mut inner = self.feed.lock();
        let ready = inner.reel.is_ready(Pace::Patient);
        let frames = inner.reel.push(samples);
        let news = !ready || inner.link != Link::Open;
        drop(inner);
        if news && frames > 0 {
            self.feed.work.notify_all();
        }
        debug_assert!(samples.len().is_multiple_of(CHANNELS));
        frames
    }

    /// The listener begins to hear nothing because nothing comes.
    pub fn starves(&self) {
        self.feed.lock().reel.starves();
    }

    /// Everything of a track has been pushed: the end needs no fade.
    pub fn end(&self) {
        self.feed.lock().reel.end();
        self.feed.work.notify_all();
    }

    /// No more comes of a track that is not at its end: what waits is played, and fades.
    pub fn drain(&self) {
        self.feed.lock().reel.drain();
        self.feed.work.notify_all();
    }

    /// Drops what waits; what is just being heard fades.
    pub fn flush(&self) {
        self.feed.lock().reel.flush();
        self.feed.work.notify_all();
    }

    /// Drops what waits from this frame on, as if it had never been pushed.
    pub fn cut(&self, index: u64) {
        self.feed.lock().reel.cut(index);
    }

    /// Music is to leave from now on: the device is opened if need be.
    pub fn run(&self) {
        let mut inner = self.feed.lock();
        inner.begin();
        drop(inner);
        self.feed.work.notify_all();
    }

    /// Falls silent within 5 ms, and keeps what waits.
    pub fn pause(&self) {
        let mut inner = self.feed.lock();
        inner.reel.pause();
        if inner.running && !inner.held {
            inner.silent_since = Some(Instant::now());
        }
        inner.held = false;
        inner.running = false;
        inner.idle_since = Instant::now();
        inner.resting = inner.reel.is_shut();
        drop(inner);
        // A patient taker that waits for more has a fade to take.
        self.feed.work.notify_all();
    }
}

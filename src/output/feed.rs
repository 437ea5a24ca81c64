//! Between the player's thread, which pushes, and the device's, which takes.
//!
//! One lock around the [`Reel`] and what is known of the device. Nobody waits in here but the
//! device's owner, and whoever closes the output.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    clock::{Beat, Played},
    reel::{Pace, Reel},
    report::Report,
};
use crate::model::{CHANNELS, duration_of};

/// Music that begins after less silence than this goes on without asking.
const SILENCE: Duration = Duration::from_secs(2);
/// How often is looked whether the music has fallen silent.
const STEP: Duration = Duration::from_millis(5);

/// Whether there is a device behind the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nobody wants to play, or it is being opened.
    Closed,
    Open,
    /// Not there; whoever lost it has said why.
    Lost,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) reel: Reel,
    pub(super) beat: Beat,
    pub(super) link: Link,
    /// Something wants to play, now or as soon as there is a device.
    pub(super) wanted: bool,
    /// Music is to leave: nobody has paused, or stopped.
    pub(super) running: bool,
    /// Nothing leaves any more since the last pause or stop, or nothing ever did.
    pub(super) resting: bool,
    /// Nothing is to be heard since then.
    pub(super) idle_since: Instant,
    pub(super) pulls: u64,
    /// Frames that the device asked for, silence included.
    pub(super) asked: u64,
    pub(super) last_pull: Instant,
    pub(super) closing: bool,
    /// The device's owner waits in here for something to do.
    pub(super) owner_waits: bool,
    /// When somebody on the device's side was seen last.
    pub(super) seen: Instant,
    /// Called when the player has something to do.
    pub(super) waker: Option<Waker>,
    /// Index of the frame with which it is called as it leaves.
    pub(super) wake_at: u64,
    /// Who is asked before music is heard after a silence.
    pub(super) asks: Option<mpsc::Sender<Report>>,
    /// Somebody was asked, and nothing leaves before the answer.
    pub(super) held: bool,
    /// Since when there is no music; `None` before there was any.
    pub(super) silent_since: Option<Instant>,
}

/// Called from the device's thread: must be quick, and must not come back here.
#[derive(Clone)]
pub(super) struct Waker(pub(super) Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

/// What the device's owner goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub closing: bool,
    pub wanted: bool,
    pub running: bool,
    /// Times the device asked for samples, silence included, and the last time it did.
    pub pulls: u64,
    /// Frames it asked for.
    pub asked: u64,
    pub last_pull: Instant,
    /// Since when nothing is to be played, `None` while something is.
    pub idle_since: Option<Instant>,
    pub gaps: u64,
    pub cuts: u64,
    pub flushes: u64,
    /// Something could be taken by a patient taker.
    pub ready: bool,
}

#[derive(Debug)]
pub(super) struct Feed {
    inner: Mutex<Inner>,
    /// The music has come to rest, or the link has changed.
    pub(super) rested: Condvar,
    /// Something for the device's owner to do.
    pub(super) work: Condvar,
}

impl Feed {
    /// Holds `capacity` frames.
    pub(super) fn new(capacity: usize) -> Self {
        let now = Instant::now();
        Self {
            inner: Mutex::new(Inner {
                reel: Reel::new(capacity),
                beat: Beat::default(),
                link: Link::Closed,
                wanted: false,
                running: false,
                resting: true,
                idle_since: now,
                pulls: 0,
                asked: 0,
                last_pull: now,
                closing: false,
                owner_waits: false,
                seen: now,
                waker: None,
                wake_at: u64::MAX,
                asks: None,
                held: false,
                silent_since: None,
            }),
            rested: Condvar::new(),
            work: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the player has stopped and its last sample was heard.
    pub(super) fn rest(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        while !inner.resting && inner.link == Link::Open {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inner = self.wait_for_rest(inner, left);
        }
        // What the device still holds is the fade.
        while inner.link == Link::Open {
            let taken = inner.reel.taken();
            let unheard = taken.saturating_sub(inner.beat.heard(taken, Instant::now()));
            let left = deadline.saturating_duration_since(Instant::now());
            if unheard == 0 || left.is_zero() {
                return;
            }
            inner = self.wait_for_rest(inner, left.min(duration_of(unheard)));
        }
    }

    /// Lets what is just being heard fade, and keeps what waits, as a pause does; then waits until the
    /// device has let all of it be heard.
    pub(super) fn hush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        inner.reel.pause();
        // Whoever waits for music has a fade to take.
        self.work.notify_all();
        loop {
            let taken = inner.reel.taken();
            let unheard = taken.saturating_sub(inner.beat.heard(taken, Instant::now()));
            let left = deadline.saturating_duration_since(Instant::now());
            let silent = inner.reel.is_shut() && unheard == 0;
            if silent || left.is_zero() || inner.link != Link::Open {
                return;
            }
            // Nobody calls when the gate shuts under music that is to go on.
            inner = self.wait_for_rest(inner, left.min(STEP));
        }
    }

    /// The owner of the device has ended, and another one comes: what waits goes on there. From now on
    /// so many frames can wait, and never fewer than before.
    pub(super) fn reopen(&self, capacity: usize) {
        let mut inner = self.lock();
        inner.reel.deepen(capacity);
        inner.closing = false;
        if inner.link == Link::Open {
            inner.link = Link::Closed;
        }
        inner.reel.hold();
        inner.wanted = inner.running;
        if inner.running && !inner.held {
            inner.reel.resume();
        }
        self.tell(inner);
    }

    fn wait_for_rest<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        limit: Duration,
    ) -> MutexGuard<'a, Inner> {
        self.rested
            .wait_timeout(inner, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// What is held may be heard, and what begins now, too.
    pub(super) fn release(&self) {
        let mut inner = self.lock();
        inner.silent_since = Some(Instant::now());
        if std::mem::take(&mut inner.held) && inner.running {
            inner.reel.resume();
        }
        drop(inner);
        self.work.notify_all();
    }

    // ---- the device's side ----

    /// Frames for the device, which still holds `delay` frames. Never blocks for long.
    pub(super) fn pull(&self, out: &mut [f32], pace: Pace, delay: u64) -> usize {
        let now = Instant::now();
        let mut inner = self.lock();
        let before = inner.reel.taken();
        // A device that is still being tried out gets silence.
        let count = match inner.link {
            Link::Open => inner.reel.pull(out, pace),
            Link::Closed | Link::Lost => 0,
        };
        let after = inner.reel.taken();
        inner.beat.took(before, after, delay, now);
        inner.pulls += 1;
        inner.asked += (out.len() / CHANNELS) as u64;
        inner.last_pull = now;
        inner.seen = now;
        let rests = inner.comes_to_rest();
        let due = rests || after >= inner.wake_at;
        let waker = inner.waker.clone().filter(|_| due);
        if due {
            inner.wake_at = u64::MAX;
        }
        drop(inner);
        if rests {
            self.rested.notify_all();
        }
        if let Some(Waker(wake)) = waker {
            wake();
        }
        count
    }

    // ---- the device's owner ----

    pub(super) fn status(&self) -> Status {
        let mut inner = self.lock();
        inner.seen = Instant::now();
        inner.status()
    }

    /// Waits until `enough` says so or the deadline is reached.
    pub(super) fn wait(
        &self,
        deadline: Option<Instant>,
        enough: impl Fn(&Status) -> bool,
    ) -> Status {
        let mut inner = self.lock();
        inner.owner_waits = true;
        loop {
            let status = inner.status();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if enough(&status) || left.is_some_and(|left| left.is_zero()) {
                inner.owner_waits = false;
                inner.seen = Instant::now();
                return status;
            }
            inner = match left {
                Some(left) => {
                    self.work
                        .wait_timeout(inner, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .work
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits for samples, for an owner that takes them itself.
    pub(super) fn wait_for_music(&self) -> Status {
        self.wait(None, |status| status.closing || status.ready)
    }

    /// Wakes the device's owner, from whatever thread noticed something.
    pub(super) fn nudge(&self) {
        // Taking the lock makes sure that the owner either waits already or sees what changed.
        drop(self.lock());
        self.work.notify_all();
    }

    /// There is a device, which wants `frames` to begin with. True when it had been lost.
    pub(super) fn opened(&self, frames: usize) -> bool {
        let mut inner = self.lock();
        let was_lost = inner.link == Link::Lost;
        inner.reel.begin_with(frames);
        inner.link = Link::Open;
        inner.last_pull = Instant::now();
        self.tell(inner);
        was_lost
    }

    /// There is none; whoever says so has told the engine why.
    pub(super) fn lose(&self) {
        let mut inner = self.lock();
        inner.link = Link::Lost;
        inner.reel.hold();
        self.tell(inner);
    }

    /// The device was given back because nobody plays.
    pub(super) fn closed(&self) {
        let mut inner = self.lock();
        inner.link = Link::Closed;
        inner.wanted = inner.running;
        inner.reel.hold();
        self.tell(inner);
    }

    /// The link has changed: whoever waits for the music to rest hears of it, and the player does.
    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        let waker = inner.waker.clone();
        drop(inner);
        self.rested.notify_all();
        if let Some(Waker(wake)) = waker {
            wake();
        }
    }

    /// The device was closed to be opened otherwise, and what waits was hushed for that: it goes on
    /// where nobody has paused it meanwhile.
    pub(super) fn renewed(&self) {
        self.closed();
        let mut inner = self.lock();
        if inner.running && !inner.held {
            inner.reel.resume();
        }
    }

    /// Nothing more is to be played: the owner is told to end.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closing = true;
        drop(inner);
        self.rested.notify_all();
        self.work.notify_all();
    }

    /// Whether music is to leave, and nobody on the device's side was seen for so long: it hangs in
    /// the device, and cannot say so.
    pub(super) fn hangs(&self, limit: Duration) -> bool {
        let inner = self.lock();
        inner.running && !inner.owner_waits && inner.seen.elapsed() > limit
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lock().link == Link::Lost
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().link == Link::Open
    }

    pub(super) fn played(&self, now: Instant) -> Played {
        let inner = self.lock();
        let taken = inner.reel.taken();
        let heard = inner.beat.heard(taken, now);
        let place = inner.reel.position_of(heard);
        Played {
            track: place.map(|(track, _)| track),
            position_ms: place.map_or(0, |(_, position)| position),
            consuming: inner.link == Link::Open && inner.beat.is_flowing(now),
            frames_taken: taken,
            at: now,
        }
    }
}

impl Inner {
    /// Whether just now the last sample has left for the moment.
    fn comes_to_rest(&mut self) -> bool {
        let rests = !self.running && !self.resting && self.reel.is_shut();
        self.resting |= rests;
        rests
    }

    /// Asks, where that is wanted, whether music may be heard after a silence. True: it is to wait.
    fn asks(&self) -> bool {
        let Some(asks) = &self.asks else {
            return false;
        };
        let after_silence = !self.running
            && self
                .silent_since
                .is_none_or(|since| since.elapsed() >= SILENCE);
        // Nobody waits for an answer that cannot come.
        after_silence && asks.try_send(Report::Holding).is_ok()
    }

    pub(super) fn begin(&mut self) {
        self.held |= self.asks();
        if !self.held {
            self.reel.resume();
        }
        self.running = true;
        self.wanted = true;
        self.resting = false;
    }

    fn status(&self) -> Status {
        Status {
            closing: self.closing,
            wanted: self.wanted,
            running: self.running,
            pulls: self.pulls,
            asked: self.asked,
            last_pull: self.last_pull,
            idle_since: (!self.running).then_some(self.idle_since),
            gaps: self.reel.gaps,
            cuts: self.reel.cuts,
            flushes: self.reel.flushes,
            ready: self.reel.is_ready(Pace::Patient),
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;

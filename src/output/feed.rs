//! Between the player's thread, which writes, and the device's, which takes.
//!
//! One lock around the [`Reel`] and what is known of the device. Whoever holds it takes up the
//! player's events first. The player sends an event from the thread that also writes, so at any
//! moment the events that are waiting belong exactly between the last sample written and the next.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use librespot_playback::player::PlayerEventChannel;

use super::{
    clock::{Beat, Played},
    edge::Edge,
    reel::{CHANNELS, Pace, RATE, Reel},
};

/// A writer gives up when nothing was taken for so long. The device's owner notices after two
/// seconds and says why; this is for an owner that hangs itself.
const WRITE_LIMIT: Duration = Duration::from_secs(3);
/// Draining may take this much longer than what waits lasts.
const DRAIN_SLACK: Duration = Duration::from_millis(200);

/// Why samples were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The device's owner has said why.
    Lost(String),
    /// The owner itself does not answer; nobody has been told.
    Hangs,
}

/// Whether there is a device behind the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// Nobody wants to play, or it is being opened.
    Closed,
    Open,
    /// Not there, for this reason. Writing fails at once.
    Lost(String),
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) reel: Reel,
    pub(super) events: Option<PlayerEventChannel>,
    pub(super) beat: Beat,
    pub(super) link: Link,
    /// Something wants to play, now or as soon as there is a device.
    pub(super) wanted: bool,
    /// Between `start` and `stop` of the sink.
    pub(super) running: bool,
    /// The last `stop` of the sink has come to its end, or there was no `start`.
    pub(super) resting: bool,
    /// Nothing is to be heard since then.
    pub(super) idle_since: Instant,
    pub(super) pulls: u64,
    pub(super) last_pull: Instant,
    /// The owner takes samples itself, and wants to know when there are some.
    pub(super) hungry: bool,
    /// A writer was turned away since somebody asked.
    pub(super) refused: bool,
    /// Frames that a waiting writer wants to have room for.
    pub(super) missing_room: usize,
    pub(super) closing: bool,
    /// Called when the player has something to do; there is one behind an inlet only.
    pub(super) waker: Option<Waker>,
    /// Index of the frame with which it is called as it leaves.
    pub(super) wake_at: u64,
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
    pub last_pull: Instant,
    /// Since when nothing is to be played, `None` while something is.
    pub idle_since: Option<Instant>,
    pub gaps: u64,
    /// Something could be taken by a patient taker.
    pub ready: bool,
    /// Events of a player have to be taken up in time.
    pub follows: bool,
}

#[derive(Debug)]
pub(super) struct Feed {
    inner: Mutex<Inner>,
    /// Room for samples, or a change of the link.
    pub(super) room: Condvar,
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
                events: None,
                beat: Beat::default(),
                link: Link::Closed,
                wanted: false,
                running: false,
                resting: true,
                idle_since: now,
                pulls: 0,
                last_pull: now,
                hungry: false,
                refused: false,
                missing_room: 0,
                closing: false,
                waker: None,
                wake_at: u64::MAX,
            }),
            room: Condvar::new(),
            work: Condvar::new(),
        }
    }

    /// The state, with the player's events taken up.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.take_up_events();
        inner
    }

    /// Goes by these events from now on.
    pub(super) fn follow(&self, events: PlayerEventChannel) {
        self.lock().events = Some(events);
    }

    #[cfg(test)]
    pub(super) fn note(&self, edge: Edge) {
        self.lock().reel.note(edge);
    }

    // ---- the player's side ----

    pub(super) fn start(&self) {
        let mut inner = self.lock();
        inner.begin();
        drop(inner);
        self.work.notify_all();
    }

    /// Blocks until all samples are queued. Fails at once while the device is lost; what did not
    /// fit is kept for when it is back, so the music goes on where it broke off.
    pub(super) fn write(&self, samples: &[f64]) -> Result<(), Refusal> {
        let mut inner = self.lock();
        inner.begin();
        let mut rest = samples;
        let mut progress = (Instant::now(), inner.reel.taken());
        loop {
            if let Link::Lost(why) = &inner.link {
                let why = why.clone();
                inner.refused = true;
                inner.reel.push_rest(rest);
                self.work.notify_all();
                return Err(Refusal::Lost(why));
            }
            let count = inner.reel.push(rest);
            rest = &rest[count..];
            if inner.hungry || inner.link != Link::Open {
                self.work.notify_all();
            }
            if rest.is_empty() {
                return Ok(());
            }
            if inner.reel.taken() != progress.1 {
                progress = (Instant::now(), inner.reel.taken());
            }
            if inner.closing || progress.0.elapsed() > WRITE_LIMIT {
                inner.lose("it does not answer");
                inner.refused = true;
                inner.reel.push_rest(rest);
                return Err(Refusal::Hangs);
            }
            // Woken once for the whole rest of the packet, not for every piece of it.
            inner.missing_room = inner.reel.room_for(rest.len() / CHANNELS);
            inner = self
                .room
                .wait_timeout(inner, WRITE_LIMIT / 4)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Blocks until everything written has been heard, but never longer than that should take.
    pub(super) fn stop(&self) {
        self.drain();
        self.lock().resting = true;
        self.room.notify_all();
    }

    fn drain(&self) {
        let mut inner = self.lock();
        inner.running = false;
        inner.idle_since = Instant::now();
        if inner.link != Link::Open {
            inner.reel.hold();
            return;
        }
        let waiting = inner.reel.len();
        inner.reel.drain();
        self.work.notify_all();
        let deadline = Instant::now() + duration_of(waiting as u64) + DRAIN_SLACK;
        while !inner.reel.is_drained() && inner.link == Link::Open {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner = self.wait_for_room(inner, left);
        }
        // The device still holds some of it. Its clock says when that is out.
        let limit = Instant::now() + DRAIN_SLACK;
        while waiting > 0 && inner.link == Link::Open && Instant::now() < limit {
            let taken = inner.reel.taken();
            let left = taken.saturating_sub(inner.beat.heard(taken, Instant::now()));
            if left == 0 {
                break;
            }
            inner = self.wait_for_room(inner, duration_of(left) + Duration::from_millis(1));
        }
        inner.idle_since = Instant::now();
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
            inner = self.wait_for_room(inner, left);
        }
        // What the device still holds is the fade.
        while inner.waker.is_some() && inner.link == Link::Open {
            let taken = inner.reel.taken();
            let unheard = taken.saturating_sub(inner.beat.heard(taken, Instant::now()));
            let left = deadline.saturating_duration_since(Instant::now());
            if unheard == 0 || left.is_zero() {
                return;
            }
            inner = self.wait_for_room(inner, left.min(duration_of(unheard)));
        }
    }

    fn wait_for_room<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        limit: Duration,
    ) -> MutexGuard<'a, Inner> {
        self.room
            .wait_timeout(inner, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
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
            Link::Closed | Link::Lost(_) => 0,
        };
        let after = inner.reel.taken();
        inner.beat.took(before, after, delay, now);
        inner.pulls += 1;
        inner.last_pull = now;
        let enough = !inner.running || inner.reel.room() >= inner.missing_room;
        if inner.waker.is_some() {
            let rests = inner.comes_to_rest();
            let due = after >= inner.wake_at || rests;
            let waker = inner.waker.clone().filter(|_| due);
            if due {
                inner.wake_at = u64::MAX;
            }
            drop(inner);
            if rests {
                self.room.notify_all();
            }
            if let Some(Waker(wake)) = waker {
                wake();
            }
            return count;
        }
        drop(inner);
        if count > 0 && enough {
            self.room.notify_all();
        }
        count
    }

    // ---- the device's owner ----

    pub(super) fn status(&self) -> Status {
        self.lock().status()
    }

    /// Waits until `enough` says so or the deadline is reached.
    pub(super) fn wait(
        &self,
        deadline: Option<Instant>,
        enough: impl Fn(&Status) -> bool,
    ) -> Status {
        let mut inner = self.lock();
        loop {
            inner.take_up_events();
            let status = inner.status();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if enough(&status) || left.is_some_and(|left| left.is_zero()) {
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
    pub(super) fn wait_for_music(&self, deadline: Option<Instant>) -> Status {
        self.lock().hungry = true;
        self.wait(deadline, |status| status.closing || status.ready)
    }

    /// Wakes the device's owner, from whatever thread noticed something.
    pub(super) fn nudge(&self) {
        // Taking the lock makes sure that the owner either waits already or sees what changed.
        drop(self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.work.notify_all();
    }

    /// There is a device. True when it had been lost.
    pub(super) fn opened(&self, capacity: usize) -> bool {
        let mut inner = self.lock();
        let was_lost = matches!(inner.link, Link::Lost(_));
        inner.reel.grow(capacity);
        inner.link = Link::Open;
        inner.last_pull = Instant::now();
        inner.idle_since = Instant::now();
        let waker = inner.waker.clone();
        drop(inner);
        self.room.notify_all();
        if let Some(Waker(wake)) = waker {
            wake();
        }
        was_lost
    }

    pub(super) fn lose(&self, why: &str) {
        let mut inner = self.lock();
        inner.lose(why);
        let waker = inner.waker.clone();
        drop(inner);
        self.room.notify_all();
        if let Some(Waker(wake)) = waker {
            wake();
        }
    }

    /// The device was given back because nobody plays.
    pub(super) fn closed(&self) {
        let mut inner = self.lock();
        inner.link = Link::Closed;
        inner.wanted = inner.running;
        inner.reel.hold();
        drop(inner);
        self.room.notify_all();
    }

    /// Nothing more is to be played: writers are refused, the owner is told to end.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closing = true;
        drop(inner);
        self.room.notify_all();
        self.work.notify_all();
    }

    /// Whether a writer was turned away since the last time of asking.
    pub(super) fn take_refusal(&self) -> bool {
        std::mem::take(&mut self.lock().refused)
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.lock().link, Link::Lost(_))
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
    fn take_up_events(&mut self) {
        let Self { events, reel, .. } = self;
        if let Some(events) = events {
            while let Ok(event) = events.try_recv() {
                if let Some(edge) = Edge::of(&event) {
                    reel.note(edge);
                }
            }
        }
    }

    /// Whether just now the last sample has left for the moment.
    fn comes_to_rest(&mut self) -> bool {
        let rests = !self.running && !self.resting && self.reel.is_shut();
        self.resting |= rests;
        rests
    }

    pub(super) fn begin(&mut self) {
        self.running = true;
        self.wanted = true;
        self.resting = false;
    }

    fn lose(&mut self, why: &str) {
        self.link = Link::Lost(why.to_owned());
        self.reel.hold();
    }

    fn status(&self) -> Status {
        Status {
            closing: self.closing,
            wanted: self.wanted,
            running: self.running,
            pulls: self.pulls,
            last_pull: self.last_pull,
            idle_since: (!self.running).then_some(self.idle_since),
            gaps: self.reel.gaps,
            ready: self.reel.is_ready(Pace::Patient),
            follows: self.events.is_some(),
        }
    }
}

pub(super) fn duration_of(frames: u64) -> Duration {
    Duration::from_micros(frames * 1_000_000 / u64::from(RATE))
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;

//! What the reader's thread and the fetching task have in common.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    Budget, Failure, cipher::Key, drought::Drought, meter::Meter, places::Spot, plan::BEHIND,
    window::Window,
};

/// Fewer bytes than this in a whole silence do not count as life.
const A_SIGN_OF_LIFE: u64 = 1024;

pub(super) struct Shared {
    state: Mutex<State>,
    /// Something came, or the end.
    arrived: Condvar,
    /// The task has something to look at.
    changed: Notify,
}

/// How much was asked for so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u32,
    /// Bytes of bodies that came.
    pub bytes: u64,
    /// The most bytes that were ever held.
    pub memory: usize,
}

/// What became of bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Gladly,
    /// They were waited for too long: the server brings so many bytes a second, or (0) is known to be
    /// slow.
    Slowly(u64),
    /// Up to here. Bytes before them have to come first.
    Refused(u64),
    /// Nobody wants them any more.
    Unwanted,
}

pub(super) struct State {
    pub window: Window,
    pub len: Option<u64>,
    /// By how long it plays, it has at least so many bytes.
    pub least: u64,
    /// Another length, as the answer before said it.
    doubt: Option<u64>,
    /// Where the reader is, or waits.
    pub reader: u64,
    /// Where the requests of this epoch began.
    pub origin: u64,
    /// Counts the jumps.
    pub epoch: u64,
    pub budget: Budget,
    pub meter: Meter,
    /// The task wants to hear when the reader has come so far.
    pub wake_at: u64,
    /// The task has something to ask for, and waits for room.
    pub wants_room: bool,
    pub drought: Drought,
    /// What another server may bring, in bytes a second.
    pub elsewhere: u64,
    /// The one that is too slow.
    pub slow: Option<Spot>,
    /// The task has heard that the reader waits here.
    told_dry: Option<u64>,
    /// The last time that bytes came which are worth the name.
    pub gained_at: Instant,
    gained: u64,
    /// The task wants to hear of every byte.
    pub eager: bool,
    pub failure: Option<Failure>,
    /// Nobody reads any more.
    pub closed: bool,
    pub tally: Tally,
}

impl Shared {
    pub fn new(start: u64, budget: Budget) -> Self {
        Self {
            state: Mutex::new(State {
                window: Window::new(start),
                len: None,
                least: 0,
                doubt: None,
                reader: start,
                origin: start,
                epoch: 0,
                budget,
                meter: Meter::default(),
                wake_at: u64::MAX,
                wants_room: false,
                drought: Drought::default(),
                elsewhere: 0,
                slow: None,
                told_dry: None,
                gained_at: Instant::now(),
                gained: 0,
                eager: false,
                failure: None,
                closed: false,
                tally: Tally::default(),
            }),
            arrived: Condvar::new(),
            changed: Notify::new(),
        }
    }

    /// A panic elsewhere leaves the state whole: every change to it is made in one step.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell_task(&self) {
        self.changed.notify_one();
    }

    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn tell_reader(&self) {
        self.arrived.notify_all();
    }

    /// Waits on the reader's thread for news.
    pub fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        longest: Duration,
    ) -> MutexGuard<'a, State> {
        self.arrived
            .wait_timeout(state, longest)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    pub fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
        self.tell_reader();
    }

    pub fn open(&self, key: Key) {
        self.lock().window.open(key);
        self.tell_reader();
    }

    /// Takes bytes of a request to this server.
    pub fn receive(&self, epoch: u64, spot: Spot, at: u64, bytes: &[u8]) -> Taken {
        let mut state = self.lock();
        if state.closed || state.epoch != epoch {
            return Taken::Unwanted;
        }
        let now = Instant::now();
        let end = state.window.put(at, bytes);
        let short = state.is_short();
        let rate = state.drought.brought(bytes.len() as u64, short, now);
        // One that is hardly better is not worth the change.
        if rate.is_some_and(|rate| rate < state.elsewhere / 3 * 2) {
            state.slow = Some(spot);
        }
        let leave = state.slow == Some(spot);
        state.meter.arrived(bytes.len(), now);
        state.gained += bytes.len() as u64;
        if state.gained >= A_SIGN_OF_LIFE {
            state.gained = 0;
            state.gained_at = now;
        }
        state.tally.bytes += bytes.len() as u64;
        let memory = state.window.memory();
        state.tally.memory = state.tally.memory.max(memory);
        let eager = state.eager;
        drop(state);
        if eager {
            self.tell_task();
        }
        self.tell_reader();
        if end < at + bytes.len() as u64 {
            Taken::Refused(end)
        } else if leave {
            Taken::Slowly(rate.unwrap_or(0))
        } else {
            Taken::Gladly
        }
    }
}

impl State {
    /// An answer gives the file another length than is known. Who said so first may have been wrong:
    /// true when the answer before, most likely of another server, says the same as this one.
    pub fn is_said_again(&mut self, len: u64) -> bool {
        self.doubt.replace(len) == Some(len)
    }

    pub fn learn_length(&mut self, len: u64) {
        self.len = Some(len);
        self.doubt = None;
    }

    /// Whether the reader has something left, or everything. A few bytes are nothing: a server that
    /// sends one now and then does not keep a track alive.
    pub fn is_fed(&self) -> bool {
        let filled = self.window.filled_to(self.reader);
        let all = self.len.is_some_and(|len| filled >= len);
        all || filled - self.reader >= A_SIGN_OF_LIFE
    }

    /// Whether the reader will soon have nothing left, if nothing comes.
    fn is_short(&self) -> bool {
        let filled = self.window.filled_to(self.reader);
        let all = self.len.is_some_and(|len| filled >= len);
        !all && filled - self.reader < self.drought.ease()
    }

    /// Whether the reader is before the end and has nothing.
    pub fn is_dry(&self) -> bool {
        let ended = self.len.is_some_and(|len| self.reader >= len);
        !ended && self.window.filled_to(self.reader) == self.reader
    }

    /// The reader wants `offset`. What is there, or soon will be, is waited for; anything else means
    /// to begin anew there. True when the task must hear of it.
    pub fn go_to(&mut self, offset: u64) -> bool {
        let near = self.meter.near();
        let edge = self.window.edge_before(offset);
        if offset < self.window.base() || offset > edge.saturating_add(near) {
            self.window.restart(offset);
            self.epoch += 1;
            self.origin = offset;
            self.reader = offset;
            self.told_dry = None;
            return true;
        }
        self.step_to(offset)
    }

    /// The reader has read as far as `offset`. True when the task must hear of it.
    pub fn step_to(&mut self, offset: u64) -> bool {
        self.reader = offset;
        let freed = self.window.forget_before(offset.saturating_sub(BEHIND));
        if freed {
            // When it waits here again, there is room for what it waits for.
            self.told_dry = None;
        }
        let due = offset >= self.wake_at || (freed && self.wants_room);
        if due {
            self.wake_at = u64::MAX;
            self.wants_room = false;
        }
        due
    }

    /// The reader waits. True, once for each place, when the task must hear of it.
    pub fn told_dry(&mut self) -> bool {
        let news = self.is_dry() && self.told_dry != Some(self.reader);
        if news {
            self.told_dry = Some(self.reader);
        }
        news
    }
}

//! Writes to the shelf what was fetched, in a thread of its own: a disk may be slow, full or dead,
//! and the music must not notice.

use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::debug;

use super::shelf::{Draft, Name, Shelf};

/// Files that are written at the same time: what plays and what follows, and each as the listener
/// leafs on.
const DRAFTS: usize = 4;
/// Parts on their way to the disk, of some 32 kB each.
const PARTS: usize = 8;
/// After an error nothing is written for so long.
pub(super) const REST: Duration = Duration::from_secs(10 * 60);

/// What is to be done.
pub(super) enum Task {
    /// Bytes of a file of so many. A file begins with its first part.
    Part {
        record: u64,
        name: Name,
        len: u64,
        at: u64,
        bytes: Vec<u8>,
    },
    /// Nothing more comes of it.
    End { record: u64 },
}

/// Told why nothing can be kept, and (`None`) when it can again.
pub type Tell = Box<dyn Fn(Option<String>) + Send + Sync>;

/// Whether the disk can be relied on.
pub(super) struct Health {
    rest: Duration,
    state: Mutex<State>,
    tell: Tell,
}

#[derive(Default)]
struct State {
    /// Nothing is written before.
    rests_until: Option<Instant>,
    /// It did not even answer: nothing is read before that, either.
    silent: bool,
    told: bool,
}

impl State {
    fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }
}

impl Health {
    pub fn new(rest: Duration, tell: Tell) -> Self {
        Self {
            rest,
            state: Mutex::default(),
            tell,
        }
    }

    pub fn may_write(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.rests()
    }

    pub fn may_read(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.silent || !state.rests()
    }

    /// It failed, or was silent for too long.
    pub fn failed(&self, why: &str, silent: bool) {
        let known = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.rests_until = Some(Instant::now() + self.rest);
            state.silent = silent;
            mem::replace(&mut state.told, true)
        };
        if !known {
            (self.tell)(Some(why.to_owned()));
        }
    }

    pub fn works(&self) {
        let was_told = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut *state).told
        };
        if was_told {
            (self.tell)(None);
        }
    }
}

/// Begins the thread; it ends when nobody can send it anything any more.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn start(shelf: Arc<Shelf>, health: Arc<Health>) -> io::Result<Sender<Task>> {
    let (tasks, from) = mpsc::channel(PARTS);
    let scribe = Scribe {
        shelf,
        health,
        drafts: Vec::new(),
    };
    thread::Builder::new()
        .name("siskin-cache".into())
        .spawn(move || scribe.run(from))?;
    Ok(tasks)
}

struct Scribe {
    shelf: Arc<Shelf>,
    health: Arc<Health>,
    /// The youngest last.
    drafts: Vec<(u64, Draft)>,
}

impl Scribe {
    fn run(mut self, mut tasks: Receiver<Task>) {
        // The limit may be lower than last time.
        let ready = self.shelf.make_room().map(drop);
        self.judge(ready);
        while let Some(task) = tasks.blocking_recv() {
            match task {
                Task::End { record } => self.drafts.retain(|(known, _)| *known != record),
                Task::Part { .. } if !self.health.may_write() => self.drafts.clear(),
                Task::Part {
                    record,
                    name,
                    len,
                    at,
                    bytes,
                } => {
                    let begun = match at {
                        0 => self.begin(record, name, len),
                        _ => Ok(()),
                    };
                    let done = begun.and_then(|()| self.write(record, len, at, &bytes));
                    self.judge(done);
                }
            }
        }
    }

    fn begin(&mut self, record: u64, name: Name, len: u64) -> io::Result<()> {
        if self.drafts.iter().any(|(known, _)| *known == record) {
            return Ok(());
        }
        if self.drafts.len() == DRAFTS {
            self.drafts.remove(0);
        }
        match self.shelf.begin(name, len)? {
            Some(draft) => self.drafts.push((record, draft)),
            None => debug!("there is no room to keep {len} bytes"),
        }
        Ok(())
    }

    fn write(&mut self, record: u64, len: u64, at: u64, bytes: &[u8]) -> io::Result<()> {
        let known = self.drafts.iter().position(|(known, _)| *known == record);
        let Some(index) = known else {
            return Ok(());
        };
        if self.drafts[index].1.len() != len {
            // One of the two is wrong. It is kept when it is played next time.
            self.drafts.remove(index);
            return Ok(());
        }
        let draft = &mut self.drafts[index].1;
        draft.write(at, bytes)?;
        if draft.is_whole() {
            let (_, draft) = self.drafts.remove(index);
            self.shelf.keep(&draft)?;
            self.health.works();
            debug!("an audio file is kept");
        }
        Ok(())
    }

    fn judge(&mut self, result: io::Result<()>) {
        if let Err(why) = result {
            self.drafts.clear();
            let place = self.shelf.folder().display();
            self.health.failed(&format!("{place}: {why}"), false);
        }
    }
}

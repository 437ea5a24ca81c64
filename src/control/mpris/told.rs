//! What listeners on the bus have been told, and what they must be told now: what is different, once.
//!
//! A position is never told while it goes on as everybody expects; a jump is.

use tokio::time::Instant;

use super::{
    introspect::{PLAYER, ROOT, TRACKS},
    lines::{Line, Lines, NO_TRACK},
    value::{Facts, Value},
    view::{Hand, Status, View},
};

/// How far the music may be from where listeners expect it before they are told.
const TOLERANCE_MS: u32 = 300;
/// Lines that come and go at once before the whole list is told instead.
const SINGLY: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// `PropertiesChanged`.
    Changed {
        interface: &'static str,
        changed: Facts,
        /// To be asked for by those who care.
        stale: Vec<&'static str>,
    },
    /// To this place, in microseconds.
    Seeked(i64),
    Replaced {
        ids: Vec<String>,
        current: String,
    },
    Added {
        facts: Facts,
        after: String,
    },
    Removed(String),
    Described {
        id: String,
        facts: Facts,
    },
}

#[derive(Debug, Clone)]
pub struct Told {
    root: Facts,
    player: Facts,
    tracks: Facts,
    lines: Lines,
    status: Status,
    /// Where a listener expects the music, from all that he was told.
    hand: Hand,
}

impl Told {
    /// Whoever comes now asks for everything.
    pub fn all_of(view: &View, now: Instant) -> Self {
        let hand = Hand {
            at: now,
            ms: view.hand.ms(now),
            runs: view.status == Status::Playing,
            end_ms: view.length_ms(),
        };
        Self {
            root: view.root(),
            player: view.player(),
            tracks: view.tracks(),
            lines: view.lines.clone(),
            status: view.status,
            hand,
        }
    }

    /// What has to be said for everybody to know what `view` shows.
    pub fn news(&mut self, view: &View, now: Instant) -> Vec<Signal> {
        let mut news = Vec::new();
        changed(ROOT, &mut self.root, view.root(), &mut news);
        changed(PLAYER, &mut self.player, view.player(), &mut news);
        news.extend(self.jump(view, now));
        self.list(&view.lines, &mut news);
        changed(TRACKS, &mut self.tracks, view.tracks(), &mut news);
        self.lines.clone_from(&view.lines);
        self.status = view.status;
        news
    }

    fn jump(&mut self, view: &View, now: Instant) -> Option<Signal> {
        let serial = |lines: &Lines| lines.playing().map(|line| line.serial);
        let is_new = serial(&self.lines) != serial(&view.lines) || self.status == Status::Stopped;
        self.hand = Hand {
            at: now,
            ms: if is_new { 0 } else { self.hand.ms(now) },
            runs: view.status == Status::Playing,
            end_ms: view.length_ms(),
        };
        let here = view.hand.ms(now);
        let near = here.abs_diff(self.hand.ms) <= TOLERANCE_MS;
        if near || view.is_unsettled() || view.status == Status::Stopped {
            return None;
        }
        self.hand.ms = here;
        Some(Signal::Seeked(i64::from(here) * 1_000))
    }

    fn list(&self, lines: &Lines, news: &mut Vec<Signal>) {
        let gone = missing(&self.lines, lines);
        let come = missing(lines, &self.lines);
        if gone.len() + come.len() > SINGLY {
            let current = lines.playing().map_or(NO_TRACK.to_owned(), Line::id);
            let ids = lines.ids();
            return news.push(Signal::Replaced { ids, current });
        }
        let gone = gone.into_iter().map(|at| self.lines.all[at].id());
        news.extend(gone.map(Signal::Removed));
        for at in come {
            let before = at.checked_sub(1).and_then(|at| lines.all.get(at));
            let after = before.map_or(NO_TRACK.to_owned(), Line::id);
            let facts = lines.all[at].facts();
            news.push(Signal::Added { facts, after });
        }
        for line in &lines.all {
            let mut known = self.lines.all.iter();
            let was = known.find(|was| was.serial == line.serial);
            if was.is_some_and(|was| was.known != line.known) {
                let (id, facts) = (line.id(), line.facts());
                news.push(Signal::Described { id, facts });
            }
        }
    }
}

/// Places of the lines of `some` that `others` has not.
fn missing(some: &Lines, others: &Lines) -> Vec<usize> {
    let has = |serial: u64| others.all.iter().any(|line| line.serial == serial);
    let lines = some.all.iter().enumerate();
    let missing = lines.filter(|(_, line)| !has(line.serial));
    missing.map(|(at, _)| at).collect()
}

fn changed(interface: &'static str, known: &mut Facts, now: Facts, news: &mut Vec<Signal>) {
    let mut changed = Vec::new();
    let mut stale = Vec::new();
    for ((name, value), (_, was)) in now.iter().zip(known.iter()) {
        match value {
            _ if value == was => {}
            // The specification wants the list itself to be asked for.
            Value::Paths(_) => stale.push(*name),
            _ => changed.push((*name, value.clone())),
        }
    }
    *known = now;
    if !changed.is_empty() || !stale.is_empty() {
        news.push(Signal::Changed {
            interface,
            changed,
            stale,
        });
    }
}

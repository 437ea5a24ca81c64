//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::phase::Ticket;
use crate::model::ConditionCode;

/// A phone gives up after 10 s; a little of that is the way there and back.
const ANSWER_MS: u64 = 9_800;
/// From one attempt to sign in to the next.
const SIGN_IN_MS: u64 = 1_000;
/// The one who sits, one at the door, and those on their way out.
const ENGINES: usize = 5;
/// Share of the time, for the one who may sign in.
const SELECTABLE: f64 = 0.999_99;
/// Things told when something is broken.
const TOLD: usize = 60;

pub struct Judge {
    seed: u64,
    broken: Option<String>,
    /// Kept only when the year is lived for the second time, to be told.
    tells: bool,
    story: VecDeque<String>,
    /// Questions, and when they were put.
    asked: BTreeMap<Ticket, u64>,
    answered: BTreeSet<Ticket>,
    last_sign_in: Option<u64>,
    pub conditions: BTreeSet<ConditionCode>,
    /// Time (ms) with a network, Spotify and somebody who lives here.
    pub wanted_ms: u64,
    /// Of that: in the app's list, or ready to take the right person in at once.
    pub selectable_ms: u64,
    /// Of that: in the app's list.
    pub listed_ms: u64,
}

impl Judge {
    pub fn new(seed: u64, tells: bool) -> Self {
        Self {
            seed,
            broken: None,
            tells,
            story: VecDeque::new(),
            asked: BTreeMap::new(),
            answered: BTreeSet::new(),
            last_sign_in: None,
            conditions: BTreeSet::new(),
            wanted_ms: 0,
            selectable_ms: 0,
            listed_ms: 0,
        }
    }

    /// What went wrong first, and what came before.
    pub fn broken(&self) -> Option<String> {
        let why = self.broken.as_ref()?;
        let story = Vec::from(self.story.clone()).join("\n");
        Some(format!("{story}\nseed {}: {why}", self.seed))
    }

    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub fn note(&mut self, at: u64, what: impl FnOnce() -> String) {
        if self.tells && self.broken.is_none() {
            self.story
                .push_back(format!("{:>14.3} {}", at as f64 / 1e3, what()));
            if self.story.len() > TOLD {
                self.story.pop_front();
            }
        }
    }

    pub fn must(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(why());
        }
    }

    pub fn asked(&mut self, at: u64, ticket: Ticket) {
        self.asked.insert(ticket, at);
    }

    pub fn answer(&mut self, at: u64, ticket: Ticket) {
        let took = self.asked.remove(&ticket).map(|asked| at - asked);
        let again = !self.answered.insert(ticket);
        self.must(!again, || format!("question {ticket} was answered twice"));
        self.must(took.is_some_and(|took| took <= ANSWER_MS), || {
            format!("question {ticket} was answered after {took:?} ms")
        });
    }

    /// The daemon ends: whoever waits hears that by the end of the connection.
    pub fn hung_up(&mut self) {
        self.asked.clear();
        self.conditions.clear();
    }

    pub fn sign_in(&mut self, at: u64) {
        let since = self.last_sign_in.replace(at).map(|last| at - last);
        self.must(since.is_none_or(|since| since >= SIGN_IN_MS), || {
            format!("two attempts to sign in within {since:?} ms")
        });
    }

    pub fn engines(&mut self, count: usize) {
        self.must(count <= ENGINES, || format!("{count} engines at once"));
    }

    /// Nobody waits for ever.
    pub fn look(&mut self, at: u64) {
        let late = |asked: &u64| at - asked > ANSWER_MS;
        let oldest = self.asked.iter().find(|(_, asked)| late(asked));
        let oldest = oldest.map(|(ticket, asked)| (*ticket, at - asked));
        self.must(oldest.is_none(), || {
            format!("a question is still open: {oldest:?} (number, ms)")
        });
    }

    /// At the end of the year.
    pub fn close(&mut self) {
        let share = self.selectable_ms as f64 / self.wanted_ms.max(1) as f64;
        self.must(share >= SELECTABLE, || {
            format!("selectable only {:.4} % of the time", share * 100.0)
        });
    }
}

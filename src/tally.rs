//! What is counted while the daemon runs, for whoever asks: a few numbers, all of which only grow.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::model::{Cut, Histogram};

/// Names that are counted apart, of each kind. More come to be "other".
const NAMES: usize = 64;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// From an order to its effect, by what was ordered.
    pub orders: BTreeMap<&'static str, Histogram>,
    /// Orders that had none, by why not.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sessions that were lost, by speaker and by what.
    pub cuts: BTreeMap<(String, Cut), u64>,
    /// Programs that were run, by name and by what became of them.
    pub hooks: BTreeMap<(String, bool), u64>,
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Each change is made in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, as it is now.
    pub fn now(&self) -> Counts {
        self.counts().clone()
    }

    pub fn order(&self, what: &'static str, took: Duration) {
        self.counts().orders.entry(what).or_default().note(took);
    }

    pub fn refused(&self, why: &'static str) {
        *self.counts().refused.entry(why).or_default() += 1;
    }

    pub fn cut(&self, speaker: &str, cut: Cut) {
        let key = (speaker.to_owned(), cut);
        *self.counts().cuts.entry(key).or_default() += 1;
    }

    pub fn hook(&self, name: &str, done: bool) {
        let hooks = &mut self.counts().hooks;
        let known = hooks.contains_key(&(name.to_owned(), done)) || hooks.len() < NAMES;
        let name = if known { name } else { "other" };
        *hooks.entry((name.to_owned(), done)).or_default() += 1;
    }
}

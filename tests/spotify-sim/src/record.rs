//! Everything that was asked of the back end, in order, so that a test can
//! say what a receiver did and not only how it ended.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{faults::Place, shared::lock};

/// More than any test writes; a bound so that a runaway receiver cannot fill
/// the memory. The oldest entries go first.
const KEPT: usize = 20_000;

/// How the entry of a proxy request begins.
pub(crate) const PROXY: &str = "proxy to ";

/// One exchange.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counts from 0 and never repeats.
    pub number: u64,
    /// Since the simulation started.
    pub at: Duration,
    pub place: Place,
    pub user: Option<String>,
    /// The id of the device, where the exchange names one.
    pub device: Option<String>,
    /// What it was, shortly: "PUT state, new device".
    pub text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().unwrap_or("-");
        let place = format!("{:?}", self.place);
        write!(
            f,
            "{:9.3}s {place:<12} {user:<6} {}",
            self.at.as_secs_f64(),
            self.text
        )
    }
}

struct Book {
    entries: VecDeque<Entry>,
    next: u64,
}

/// The record of one simulation. Clones share it.
#[derive(Clone)]
pub struct Record {
    book: Arc<Mutex<Book>>,
    changed: Arc<watch::Sender<u64>>,
    started: Instant,
}

impl Record {
    pub(crate) fn new() -> Self {
        let book = Book {
            entries: VecDeque::new(),
            next: 0,
        };
        Self {
            book: Arc::new(Mutex::new(book)),
            changed: Arc::new(watch::Sender::new(0)),
            started: Instant::now(),
        }
    }

    pub(crate) fn add(
        &self,
        place: Place,
        user: Option<&str>,
        device: Option<&str>,
        text: impl Into<String>,
    ) {
        let mut book = lock(&self.book);
        let entry = Entry {
            number: book.next,
            at: self.started.elapsed(),
            place,
            user: user.map(str::to_owned),
            device: device.map(str::to_owned),
            text: text.into(),
        };
        tracing::trace!(target: "spotify_sim", "{entry}");
        book.next += 1;
        if book.entries.len() == KEPT {
            book.entries.pop_front();
        }
        book.entries.push_back(entry);
        let next = book.next;
        drop(book);
        self.changed.send_replace(next);
    }

    /// A point in the record; [`Record::since`] gives what came after it.
    pub fn mark(&self) -> u64 {
        lock(&self.book).next
    }

    pub fn all(&self) -> Vec<Entry> {
        lock(&self.book).entries.iter().cloned().collect()
    }

    pub fn since(&self, mark: u64) -> Vec<Entry> {
        lock(&self.book)
            .entries
            .iter()
            .filter(|entry| entry.number >= mark)
            .cloned()
            .collect()
    }

    pub fn at(&self, place: Place) -> Vec<Entry> {
        lock(&self.book)
            .entries
            .iter()
            .filter(|entry| entry.place == place)
            .cloned()
            .collect()
    }

    pub fn count(&self, place: Place) -> usize {
        lock(&self.book)
            .entries
            .iter()
            .filter(|entry| entry.place == place)
            .count()
    }

    /// The newest entries as lines, for a failure report. What merely passed
    /// through the proxy on its way to an entry of its own is left out.
    pub fn last(&self, count: usize) -> String {
        let book = lock(&self.book);
        let told = book
            .entries
            .iter()
            .rev()
            .filter(|entry| !entry.text.starts_with(PROXY));
        let mut lines: Vec<_> = told.take(count).map(|entry| format!("{entry}\n")).collect();
        lines.reverse();
        lines.concat()
    }

    /// Waits for an entry after `mark` that `wanted` accepts.
    ///
    /// # Errors
    /// When none came within `limit`; the text shows what came instead.
    pub async fn wait_for(
        &self,
        limit: Duration,
        mark: u64,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Entry, String> {
        let mut changed = self.changed.subscribe();
        let search = async {
            loop {
                changed.borrow_and_update();
                if let Some(entry) = self.since(mark).into_iter().find(&wanted) {
                    return entry;
                }
                // The sender lives in `self`, so this cannot fail.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(limit, search).await.map_err(|_| {
            format!(
                "no such exchange within {limit:?}; the last ones were:\n{}",
                self.last(20)
            )
        })
    }

    /// Checks that these places were asked in this order since `mark`, with
    /// anything between them.
    ///
    /// # Panics
    /// When not, naming the first that is missing and showing what there was.
    #[track_caller]
    pub fn assert_order(&self, mark: u64, wanted: &[Place]) {
        let entries = self.since(mark);
        let mut rest = entries.iter();
        for (step, place) in wanted.iter().enumerate() {
            if !rest.any(|entry| entry.place == *place) {
                let seen: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
                panic!("step {step}, {place:?}, is missing from {wanted:?}; there was:\n{seen}");
            }
        }
    }

    /// Checks how often a place was asked since `mark`.
    ///
    /// # Panics
    /// When the number differs, showing these exchanges.
    #[track_caller]
    pub fn assert_count(&self, mark: u64, place: Place, wanted: usize) {
        let seen: Vec<_> = self
            .since(mark)
            .into_iter()
            .filter(|entry| entry.place == place)
            .collect();
        let lines: String = seen.iter().map(|entry| format!("{entry}\n")).collect();
        assert_eq!(
            seen.len(),
            wanted,
            "exchanges with {place:?}; there was:\n{lines}"
        );
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.last(KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_the_entry_that_it_was_for() {
        let record = Record::new();
        let waiting = tokio::spawn({
            let record = record.clone();
            async move {
                let limit = Duration::from_secs(5);
                record
                    .wait_for(limit, 0, |entry| entry.place == Place::Cdn)
                    .await
            }
        });
        record.add(Place::Storage, Some("kim"), None, "where");
        record.add(Place::Cdn, Some("kim"), None, "bytes 0-9");
        assert_eq!(waiting.await.unwrap().unwrap().text, "bytes 0-9");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_in_vain_shows_what_happened_instead() {
        let record = Record::new();
        record.add(Place::Storage, Some("kim"), None, "where is the file");
        let limit = Duration::from_secs(1);
        let why = record
            .wait_for(limit, 0, |entry| entry.place == Place::Cdn)
            .await
            .unwrap_err();
        assert!(why.contains("where is the file"), "{why}");
    }

    #[test]
    fn the_order_may_have_other_exchanges_in_between() {
        let record = Record::new();
        for place in [Place::ApResolve, Place::Other, Place::ApLogin] {
            record.add(place, None, None, "");
        }
        record.assert_order(0, &[Place::ApResolve, Place::ApLogin]);
        record.assert_count(0, Place::Other, 1);
    }
}

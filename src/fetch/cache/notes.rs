//! What comes from the network, on its way to the disk beside its way to the listener.

use std::{
    mem,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;
use tracing::debug;

use super::{Keep, scribe::Task};

/// Bytes handed to the disk at once.
const PART: usize = 32 * 1024;
/// A slow disk may hold up the fetch by so much, once; then the file is not kept.
const WRITE_PATIENCE: Duration = Duration::from_millis(300);

/// What is being written down of it. Only what is asked for from the beginning on, without a
/// jump, can become whole.
#[derive(Default)]
pub(super) struct Record {
    /// Counts them over all files; 0: none.
    pub number: u64,
    /// Everything before this was asked for.
    planned: u64,
    /// What came of the first request. It goes to the disk with the second: who leafs through
    /// tracks wears no disk, and nothing is let go of for their sake.
    held: Option<Vec<(u64, Vec<u8>)>>,
}

impl Keep {
    /// Who writes down what an answer brings, if it is to be: `part` of a file of `len` bytes,
    /// where everything up to `asked` was asked for.
    pub(super) async fn notes(
        self: &Arc<Self>,
        part: Range<u64>,
        asked: u64,
        len: u64,
    ) -> Option<Notes> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let first = part.start == 0;
        let (number, held, ended) = {
            let mut record = self.record();
            let mut ended = 0;
            if first {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                ended = mem::replace(&mut record.number, number);
                record.planned = 0;
                record.held = (asked < len).then(Vec::new);
            } else if part.start > record.planned {
                // The listener has jumped.
                ended = mem::take(&mut record.number);
                record.held = None;
            }
            record.planned = record.planned.max(asked);
            let held = if first { None } else { record.held.take() };
            (record.number, held, ended)
        };
        self.end(ended);
        if number == 0 || !self.cache.0.health.may_write() {
            return None;
        }
        let notes = Notes {
            keep: self.clone(),
            number,
            len,
            at: part.start,
            end: part.end,
            bytes: Vec::new(),
        };
        for (at, bytes) in held.into_iter().flatten() {
            notes.send(at, bytes).await;
        }
        Some(notes)
    }
}

/// Has the bytes of one answer written down.
pub(super) struct Notes {
    keep: Arc<Keep>,
    number: u64,
    len: u64,
    /// Where the bytes stand that were not handed on yet.
    at: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl Notes {
    pub async fn take(&mut self, chunk: &[u8]) {
        let at = self.at + self.bytes.len() as u64;
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        self.bytes.extend(&chunk[..chunk.len().min(left)]);
        let is_all = self.at + self.bytes.len() as u64 == self.end;
        if self.bytes.len() >= PART || is_all && !self.bytes.is_empty() {
            let bytes = mem::take(&mut self.bytes);
            let at = self.at;
            self.at += bytes.len() as u64;
            self.send(at, bytes).await;
        }
    }

    /// Hands bytes to the scribe; one who does not take them in time gets none any more.
    async fn send(&self, at: u64, bytes: Vec<u8>) {
        let Some(task) = self.task(at, bytes) else {
            return;
        };
        let sent = timeout(WRITE_PATIENCE, self.keep.cache.0.tasks.send(task)).await;
        if !matches!(sent, Ok(Ok(()))) {
            debug!("the disk is too slow to keep an audio file");
            self.give_up();
        }
    }

    /// What to tell the scribe; `None` when that has time, or nobody cares any more.
    fn task(&self, at: u64, bytes: Vec<u8>) -> Option<Task> {
        let mut record = self.keep.record();
        if record.number != self.number {
            return None;
        }
        if let Some(held) = &mut record.held {
            held.push((at, bytes));
            return None;
        }
        Some(Task::Part {
            record: self.number,
            name: self.keep.name,
            len: self.len,
            at,
            bytes,
        })
    }

    fn give_up(&self) {
        let mut record = self.keep.record();
        if record.number == self.number {
            record.number = 0;
            record.held = None;
            drop(record);
            self.keep.end(self.number);
        }
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        // The answer broke off: what came of it is good.
        let bytes = mem::take(&mut self.bytes);
        if !bytes.is_empty()
            && let Some(task) = self.task(self.at, bytes)
            && self.keep.cache.0.tasks.try_send(task).is_err()
        {
            self.give_up();
        }
    }
}

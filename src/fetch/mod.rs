//! One fetch for each track: from the places where its file lies to decrypted bytes.
//!
//! Owns the requests for parts of the file, their repetition, the window of bytes in memory and
//! their decryption. Knows nothing of Spotify: where the file lies and how a request is made is a
//! [`Line`], and the key is a future that is awaited beside the first bytes.
//!
//! [`start`] gives a [`Reader`] for the decoder's thread and a [`Handle`] for everybody else. The
//! beginning comes with one request; more is asked for when the reader is well into it, then ahead
//! of it, in requests sized by the speed of the line. Inside: `plan` decides what to ask for,
//! `places` whom, `pull` is one request, `pump` the task that runs them; [`cache`] keeps whole files
//! on disk.

pub mod cache;
mod cipher;
mod drought;
mod failure;
mod gauge;
mod head;
mod line;
mod meter;
mod places;
mod plan;
mod pull;
mod pump;
mod shared;
mod window;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

pub use cipher::Key;
pub use failure::{Blame, Failure};
pub use gauge::answers;
#[cfg(any(test, fuzzing))]
pub(crate) use head::promised;
pub use line::{Body, Line, LineError, Reply, UrlsError};
pub use plan::Budget;
pub use shared::Tally;

use crate::decode::{Source, SourceError};
use pump::Pump;
use shared::Shared;

/// No audio file is longer; a place behind this is behind the end.
const LONGEST_FILE: u64 = 1 << 40;

/// Begins to fetch from `offset` on, within `budget`, on the runtime that this is called in.
///
/// `key` is polled beside the requests until it is there; its failure ends the fetch, unless the
/// file turns out not to be encrypted. The fetch ends when the reader is dropped.
pub fn start<L: Line>(
    line: L,
    key: impl Future<Output = Result<Key, Failure>> + Send + 'static,
    offset: u64,
    budget: Budget,
) -> (Reader, Handle) {
    let shared = Arc::new(Shared::new(offset.min(LONGEST_FILE), budget));
    let pump = Pump::new(line, shared.clone(), Box::pin(key));
    tokio::spawn(pump.run());
    let handle = Handle(shared.clone());
    (Reader { shared }, handle)
}

/// The decoder's end of a fetch, for a thread that may block. Dropping it ends the fetch. Why one
/// failed, [`Handle::failure`] knows better than the text that the decoder gets.
pub struct Reader {
    shared: Arc<Shared>,
}

impl Source for Reader {
    fn read_at(
        &mut self,
        offset: u64,
        buf: &mut [u8],
        wait: Duration,
    ) -> Result<usize, SourceError> {
        if buf.is_empty() || offset > LONGEST_FILE {
            return Ok(0);
        }
        let until = Instant::now() + wait;
        let mut state = self.shared.lock();
        loop {
            if state.len.is_some_and(|len| offset >= len) {
                return Ok(0);
            }
            let count = state.window.read(offset, buf);
            if count > 0 {
                if state.step_to(offset + count as u64) {
                    self.shared.tell_task();
                }
                return Ok(count);
            }
            if let Some(failure) = &state.failure {
                return Err(SourceError::Failed(failure.to_string()));
            }
            let moved = state.go_to(offset);
            if state.told_dry() || moved {
                self.shared.tell_task();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SourceError::NotYet);
            }
            state = self.shared.wait(state, left);
        }
    }

    fn at_hand(&self, offset: u64) -> u64 {
        self.shared.lock().window.filled_to(offset)
    }

    fn len(&self) -> Option<u64> {
        self.shared.lock().len
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.tell_task();
    }
}

/// A look at a fetch, and a say in how much it may hold.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// The track that was next plays now, or the other way round.
    pub fn set_budget(&self, budget: Budget) {
        self.0.lock().budget = budget;
        self.0.tell_task();
    }

    /// So many bytes a second are heard of it: a server that brings fewer is left for another one
    /// when little is left.
    pub fn needs(&self, rate: u64) {
        self.0.lock().drought.need = rate;
    }

    /// The file has at least so many bytes: who says that it ends earlier, where a request does, means
    /// a part of it.
    pub fn expects(&self, bytes: u64) {
        self.0.lock().least = bytes;
    }

    /// How many bytes lie ready from `offset` on without a gap.
    pub fn bytes_ahead(&self, offset: u64) -> u64 {
        self.0.lock().window.filled_to(offset) - offset
    }

    /// Whether everything from `offset` to the end of the file has come.
    pub fn has_all_from(&self, offset: u64) -> bool {
        let state = self.0.lock();
        state
            .len
            .is_some_and(|len| state.window.filled_to(offset) >= len)
    }

    /// Bytes of the whole file, once known.
    pub fn file_len(&self) -> Option<u64> {
        self.0.lock().len
    }

    /// Why it was given up.
    pub fn failure(&self) -> Option<Failure> {
        self.0.lock().failure.clone()
    }

    /// Whether the key is there.
    pub fn is_open(&self) -> bool {
        self.0.lock().window.is_open()
    }

    pub fn tally(&self) -> Tally {
        self.0.lock().tally
    }
}

//! What a decoder reads from.

use std::time::Duration;

use super::Failure;

/// Bytes of a file that may still be on their way. Made for a thread that may block.
// A file whose length is not known yet is neither empty nor not.
#[allow(clippy::len_without_is_empty)]
pub trait Source: Send {
    /// Reads at `offset` up to `buf.len()` bytes; waits at most `wait` for the first byte.
    /// `Ok(0)` is the end of the file.
    ///
    /// # Errors
    /// [`SourceError::NotYet`] when nothing came within `wait`; [`SourceError::Failed`] when nothing
    /// will come any more.
    fn read_at(
        &mut self,
        offset: u64,
        buf: &mut [u8],
        wait: Duration,
    ) -> Result<usize, SourceError>;

    /// Bytes of the whole file, once known.
    fn len(&self) -> Option<u64>;
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing yet within the wait.
    #[error("nothing has come yet")]
    NotYet,
    /// Given up, with the reason.
    #[error(transparent)]
    Failed(Failure),
}

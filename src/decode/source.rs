//! Where the bytes of a track come from, as a decoder sees them.

use std::time::Duration;

/// A file of which parts may still be on their way. Decrypted, without the service's own framing
/// around it: offset 0 is the first byte of the plain file.
pub trait Source: Send {
    /// Reads at `offset` up to `buf.len()` bytes; waits at most `wait` for the first of them.
    /// `Ok(0)` is the end of the file, never a pause.
    ///
    /// A decoder reads onwards from where it last read, but for a seek: an offset elsewhere is the
    /// wish to go on from there.
    ///
    /// # Errors
    ///
    /// [`SourceError::NotYet`] when nothing came in time; the same read may be tried again for as
    /// long as one likes. [`SourceError::Failed`] when nothing will come any more.
    fn read_at(
        &mut self,
        offset: u64,
        buf: &mut [u8],
        wait: Duration,
    ) -> Result<usize, SourceError>;

    /// Where the bytes end that can be read from `offset` on without waiting; `offset` itself when
    /// there are none.
    fn at_hand(&self, offset: u64) -> u64 {
        offset
    }

    /// Bytes of the whole file, when known.
    fn len(&self) -> Option<u64>;

    /// Whether the file is known to have no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// Why there are no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// They are on their way.
    #[error("the bytes are still on their way")]
    NotYet,
    /// They will not come; the text says why, for the log and the listener.
    #[error("{0}")]
    Failed(String),
}

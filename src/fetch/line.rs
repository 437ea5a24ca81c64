//! The line to the audio servers, as a fetch needs it.

use std::{future::Future, ops::Range, time::Duration};

/// Where files lie and how parts of them are asked for. Knows one file.
///
/// No method needs a time limit or a retry of its own: whoever asks has both.
pub trait Line: Send + Sync + 'static {
    type Body: Body;

    /// A fresh list of places where the file lies, best first.
    fn urls(&self) -> impl Future<Output = Result<Vec<String>, UrlsError>> + Send;

    /// Asks for a part of the file and returns with the head of the answer.
    fn get(
        &self,
        url: &str,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Reply<Self::Body>, LineError>> + Send;
}

/// The body of an answer, piece by piece. Dropping it ends the request.
pub trait Body: Send + 'static {
    type Chunk: AsRef<[u8]> + Send;

    /// The next piece; `None` at the end, whether or not all of it came.
    fn chunk(&mut self) -> impl Future<Output = Option<Result<Self::Chunk, LineError>>> + Send;
}

/// The head of an answer, of which nothing is believed yet, and its body.
#[derive(Debug)]
pub struct Reply<B> {
    pub status: u16,
    /// The header `Content-Range`, as it was written.
    pub content_range: Option<String>,
    pub content_length: Option<u64>,
    pub content_type: Option<String>,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    pub body: B,
}

/// The connection could not be made, or broke. Holds the reason, without the address's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(pub String);

/// Why there is no list of places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlsError {
    /// The service knows of no such file.
    #[error("{0}")]
    Gone(String),
    /// It could not be asked.
    #[error("{why}")]
    Trouble {
        why: String,
        retry_after: Option<Duration>,
    },
}

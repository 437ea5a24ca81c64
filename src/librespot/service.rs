//! One question to Spotify's HTTP service: one try, one time limit, and an error that says whether
//! to come back, and when.
//!
//! librespot's own requests try ten times without a pause, wait for ever for an answer that does not
//! come, and keep `Retry-After` to themselves. Its tokens and its connections are used all the same.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use librespot_core::Session;
use tokio::time::{Instant, sleep, timeout};

pub const JSON: &str = "application/json";
pub const PROTOBUF: &str = "application/x-protobuf";

/// For one answer to a question that says nothing else, tokens included.
const LIMIT: Duration = Duration::from_secs(5);
/// A context of 20,000 tracks takes about five.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Nobody who asks for a longer pause is believed.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Who waits for an answer does not wait for longer between two tries, whatever the service wishes.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The service answered, and not with what was asked for.
    #[error("Spotify answered with status {status}")]
    Status {
        status: u16,
        /// How long it wishes to be left alone.
        pause: Option<Duration>,
    },
    #[error("no answer from Spotify within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// Whether the same question may have another answer later. (A token that has just expired is
    /// replaced at the next try.)
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 401 | 408 | 425 | 429 | 500..),
            Self::Silent(_) | Self::Other(_) => true,
        }
    }

    /// How long the service wishes to be left alone, if it said so.
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status { pause, .. } => *pause,
            Self::Silent(_) | Self::Other(_) => None,
        }
    }
}

/// What to ask.
#[derive(Debug)]
pub struct Question {
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Sent as protobuf when not empty.
    pub body: Vec<u8>,
    /// The kind of answer that can be read: [`JSON`] or [`PROTOBUF`].
    pub accept: &'static str,
    /// Whether the dealer's connection id goes with it.
    pub connection: bool,
    pub limit: Duration,
}

impl Question {
    /// An ordinary one: five seconds, and nothing of the dealer's.
    pub fn new(method: Method, path: String, body: Vec<u8>, accept: &'static str) -> Self {
        Self {
            method,
            path,
            body,
            accept,
            connection: false,
            limit: LIMIT,
        }
    }
}

/// How often to ask again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Before the second try, and so on; the service may wish for longer ones.
    pub pauses: &'static [Duration],
    /// No try begins later than so long after the first.
    pub limit: Duration,
}

/// Asks until there is an answer.
///
/// # Errors
/// When the service said no, or after the last try.
pub async fn persist(
    session: &Session,
    question: &Question,
    patience: Patience,
) -> Result<Bytes, Trouble> {
    let until = Instant::now() + patience.limit;
    let mut pauses = patience.pauses.iter();
    loop {
        let trouble = match ask(session, question).await {
            Err(trouble) if trouble.may_pass() => trouble,
            settled => return settled,
        };
        // Another server may be better.
        session.spclient().flush_accesspoint().await;
        let wish = trouble.pause().unwrap_or_default().min(LONGEST_WISH);
        let Some(pause) = pauses.next().map(|pause| wish.max(*pause)) else {
            return Err(trouble);
        };
        if Instant::now() + pause > until {
            return Err(trouble);
        }
        sleep(pause).await;
    }
}

/// Asks once.
///
/// # Errors
/// When there is no answer, or one that says no.
pub async fn ask(session: &Session, question: &Question) -> Result<Bytes, Trouble> {
    match timeout(question.limit, attempt(session, question)).await {
        Ok(answer) => answer,
        Err(_) => Err(Trouble::Silent(question.limit)),
    }
}

async fn attempt(session: &Session, question: &Question) -> Result<Bytes, Trouble> {
    let client = session.spclient();
    let base = client.base_url().await.map_err(other)?;
    let token = session.login5().auth_token().await.map_err(other)?;
    let bearer = format!("{} {}", token.token_type, token.access_token);
    let mut request = Request::builder()
        .method(&question.method)
        .uri(format!("{base}{}", question.path))
        .header(CONTENT_LENGTH, question.body.len())
        .header(ACCEPT, question.accept)
        .header(AUTHORIZATION, bearer);
    if !question.body.is_empty() {
        request = request.header(CONTENT_TYPE, PROTOBUF);
    }
    // The service answers without it, too.
    if let Ok(client_token) = client.client_token().await {
        request = request.header("client-token", client_token);
    }
    if question.connection {
        request = request.header("x-spotify-connection-id", session.connection_id());
    }
    let request = request
        .body(Bytes::copy_from_slice(&question.body))
        .map_err(other)?;
    let answer = session.http_client().request_fut(request).map_err(other)?;
    let answer = answer.await.map_err(other)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Trouble::Status {
            status: status.as_u16(),
            pause: retry_after(answer.headers()),
        });
    }
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|_| Trouble::Other("the answer of Spotify broke off".into()))?;
    Ok(body.to_bytes())
}

fn other(error: impl std::fmt::Display) -> Trouble {
    Trouble::Other(error.to_string())
}

/// A server's wish to be left alone, which it gives in whole seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wish = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = wish.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Trouble {
        Trouble::Status {
            status,
            pause: None,
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_reason() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, "7".parse().expect("a header"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "999999".parse().expect("a header"));
        assert_eq!(retry_after(&headers), Some(MAX_PAUSE));
    }

    #[test]
    fn what_is_not_there_is_not_asked_for_again() {
        for gone in [400, 403, 404, 410] {
            assert!(!status(gone).may_pass(), "{gone}");
        }
        for busy in [401, 408, 429, 500, 503] {
            assert!(status(busy).may_pass(), "{busy}");
        }
        assert!(Trouble::Silent(Duration::from_secs(1)).may_pass());
    }
}

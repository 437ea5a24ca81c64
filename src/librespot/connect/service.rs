//! One request to Spotify's HTTP service: one try, one time limit, and an error that says when to
//! come back. (librespot's own requests try ten times without a pause and keep `Retry-After`.)

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use librespot_core::Session;
use tokio::time::timeout;

/// A context of 20,000 tracks takes about five.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Nobody who asks for a longer pause is believed.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("Spotify answered {0}")]
    Status(StatusCode),
    #[error("Spotify asks for a pause of {} s", .0.as_secs())]
    Busy(Duration),
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// Whether the same question may have another answer later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status(code) => {
                code.is_server_error()
                    || matches!(
                        *code,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::UNAUTHORIZED
                            | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            Self::Busy(_) | Self::Silent(_) | Self::Other(_) => true,
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
    /// Whether the dealer's connection id goes with it.
    pub connection: bool,
    pub limit: Duration,
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
    let base = session.spclient().base_url().await.map_err(other)?;
    let token = session.login5().auth_token().await.map_err(other)?;
    let mut request = Request::builder()
        .method(&question.method)
        .uri(format!("{base}{}", question.path))
        .header(CONTENT_LENGTH, question.body.len())
        .header(ACCEPT, "application/json, application/x-protobuf")
        .header(
            AUTHORIZATION,
            format!("{} {}", token.token_type, token.access_token),
        );
    if !question.body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
    }
    // The service answers without it, too.
    if let Ok(client_token) = session.spclient().client_token().await {
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
        return Err(match pause(answer.headers()) {
            Some(pause) => Trouble::Busy(pause),
            None => Trouble::Status(status),
        });
    }
    let body = Limited::new(answer.into_body(), MAX_BODY);
    let body = body.collect().await.map_err(other)?;
    Ok(body.to_bytes())
}

fn other(error: impl std::fmt::Display) -> Trouble {
    Trouble::Other(error.to_string())
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_reason() {
        let mut headers = HeaderMap::new();
        assert_eq!(pause(&headers), None);
        headers.insert(RETRY_AFTER, "7".parse().expect("a header"));
        assert_eq!(pause(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "999999".parse().expect("a header"));
        assert_eq!(pause(&headers), Some(MAX_PAUSE));
    }

    #[test]
    fn what_is_not_there_is_not_asked_for_again() {
        assert!(!Trouble::Status(StatusCode::NOT_FOUND).may_pass());
        assert!(Trouble::Status(StatusCode::SERVICE_UNAVAILABLE).may_pass());
        assert!(Trouble::Silent(Duration::from_secs(1)).may_pass());
    }
}

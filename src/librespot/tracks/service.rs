//! One question to the service behind the app, with a time limit, and the answer's own status.
//!
//! The crate's own way repeats a failed question ten times without a pause, and waits for ever for
//! an answer that does not come.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Method, Request,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use librespot_core::Session;
use tokio::time::{Instant, sleep, timeout};

/// For one answer, tokens included.
const LIMIT: Duration = Duration::from_secs(5);
/// For all tries together.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before the second try, and so on.
const PAUSES: [u64; 4] = [200, 600, 1_500, 3_000];
/// A service that wants to be left alone for longer is asked all the same.
const LONGEST_WISH: Duration = Duration::from_secs(10);
/// The largest answer: metadata of a track with hundreds of alternatives is a tenth of it.
const MOST: usize = 2 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The service said no, and will say so again.
    #[error("Spotify answered with status {0}")]
    Refused(u16),
    /// It was busy, or could not be reached.
    #[error("{why}")]
    Trouble {
        why: String,
        retry_after: Option<Duration>,
    },
}

impl AskError {
    fn trouble(why: impl ToString) -> Self {
        Self::Trouble {
            why: why.to_string(),
            retry_after: None,
        }
    }
}

/// Asks until there is an answer, with growing pauses, for [`PATIENCE`] at most.
///
/// # Errors
/// When the service refused, or after the last try.
pub async fn ask(
    session: &Session,
    method: Method,
    endpoint: &str,
    body: Vec<u8>,
) -> Result<Bytes, AskError> {
    let until = Instant::now() + PATIENCE;
    let mut pauses = PAUSES.into_iter().map(Duration::from_millis);
    loop {
        let error = match ask_once(session, method.clone(), endpoint, body.clone()).await {
            Err(error @ AskError::Trouble { .. }) => error,
            settled => return settled,
        };
        // Another server may be better.
        session.spclient().flush_accesspoint().await;
        let AskError::Trouble { retry_after, .. } = &error else {
            return Err(error);
        };
        let wish = retry_after.unwrap_or_default().min(LONGEST_WISH);
        let Some(pause) = pauses.next().map(|pause| pause.max(wish)) else {
            return Err(error);
        };
        if Instant::now() + pause > until {
            return Err(error);
        }
        sleep(pause).await;
    }
}

/// Asks once, within [`LIMIT`].
///
/// # Errors
/// See [`AskError`].
pub async fn ask_once(
    session: &Session,
    method: Method,
    endpoint: &str,
    body: Vec<u8>,
) -> Result<Bytes, AskError> {
    timeout(LIMIT, exchange(session, method, endpoint, body))
        .await
        .unwrap_or_else(|_| {
            let seconds = LIMIT.as_secs();
            Err(AskError::trouble(format!(
                "no answer from Spotify within {seconds} s"
            )))
        })
}

async fn exchange(
    session: &Session,
    method: Method,
    endpoint: &str,
    body: Vec<u8>,
) -> Result<Bytes, AskError> {
    let client = session.spclient();
    let base = client.base_url().await.map_err(AskError::trouble)?;
    let token = session
        .login5()
        .auth_token()
        .await
        .map_err(AskError::trouble)?;
    let bearer = format!("{} {}", token.token_type, token.access_token);
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    let salt: u32 = rand::random();
    let country = session.country();
    let url = format!("{base}{endpoint}{separator}product=0&country={country}&salt={salt}");
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, HeaderValue::from_static("application/x-protobuf"))
        .header(CONTENT_LENGTH, body.len());
    if !body.is_empty() {
        let kind = HeaderValue::from_static("application/x-protobuf");
        request = request.header(CONTENT_TYPE, kind);
    }
    // Without one, these questions are answered all the same.
    if let Ok(token) = client.client_token().await {
        request = request.header("client-token", token);
    }
    let request = request.body(Bytes::from(body)).map_err(AskError::trouble)?;
    let answering = session.http_client().request_fut(request);
    let answer = answering.map_err(AskError::trouble)?;
    let answer = answer.await.map_err(AskError::trouble)?;
    let status = answer.status().as_u16();
    match status {
        200..300 => {
            let body = Limited::new(answer.into_body(), MOST).collect().await;
            let body = body.map_err(|_| AskError::trouble("the answer of Spotify broke off"))?;
            Ok(body.to_bytes())
        }
        // A token that has just expired is replaced at the next try.
        401 | 408 | 425 | 429 | 500.. => Err(AskError::Trouble {
            why: format!("Spotify answered with status {status}"),
            retry_after: retry_after(answer.headers()),
        }),
        _ => Err(AskError::Refused(status)),
    }
}

/// The wish of a server to be left alone, in whole seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u32 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.into()))
}

//! The way to `accounts.spotify.com`: librespot's own HTTP client, so that the proxy and the
//! machine's certificates hold here as everywhere, and no second TLS stack comes in.

use std::{cell::RefCell, pin::Pin, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{Response, StatusCode, body::Bytes};
use librespot_core::http_client::HttpClient;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use tokio::time::timeout;
use url::Url;

/// librespot sets no limit of its own.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Honest answers take a kilobyte or two.
const MAX_ANSWER: usize = 64 * 1024;

/// What went wrong on the way, in words. Another try may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

pub struct Door {
    client: HttpClient,
    /// The last trouble, for those who are not told by the library.
    trouble: RefCell<Option<String>>,
}

impl Door {
    /// `proxy` as configured: `http://host:port`.
    pub fn new(proxy: Option<&str>) -> Self {
        let proxy = proxy.and_then(|proxy| Url::parse(proxy).ok());
        Self {
            client: HttpClient::new(proxy.as_ref()),
            trouble: RefCell::default(),
        }
    }

    /// What went wrong since this was asked last.
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.take()
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Trouble> {
        // Not `HttpClient::request`: it throws the body of a 400 away, and that is where OAuth
        // says what it means.
        let asking = self
            .client
            .request_fut(request.map(Bytes::from))
            .map_err(|error| Trouble(error.to_string()))?;
        let (head, body) = asking
            .await
            .map_err(|error| Trouble(root_cause(&error)))?
            .into_parts();
        if head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble(format!("Spotify answered {}", head.status)));
        }
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| Trouble(format!("the answer was cut off ({error})")))?;
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Door {
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Trouble>> + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let late = || Trouble(format!("no answer within {} s", ANSWER_LIMIT.as_secs()));
            let asked = timeout(ANSWER_LIMIT, self.ask(request)).await;
            let answer = asked.unwrap_or_else(|_| Err(late()));
            if let Err(Trouble(why)) = &answer {
                self.trouble.replace(Some(why.clone()));
            }
            answer
        })
    }
}

/// The last link of the chain says most: "connection refused" instead of "client error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(deeper) = last.source() {
        last = deeper;
    }
    last.to_string()
}

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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What the door makes of `answer`, as a server on this machine gives it.
    async fn asked(answer: Vec<u8>) -> Result<HttpResponse, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody asks");
            let _ = stream.read(&mut [0; 1024]).await;
            // Who has heard enough hangs up.
            let _ = stream.write_all(&answer).await;
        });
        let request = hyper::Request::post(format!("http://{address}/api/token"));
        let door = Door::new(None);
        let answer = door.call(request.body(b"x".to_vec()).expect("a request"));
        let answer = answer.await;
        assert_eq!(
            door.take_trouble(),
            answer.as_ref().err().map(|why| why.0.clone())
        );
        server.abort();
        answer
    }

    #[tokio::test]
    async fn what_oauth_has_to_say_comes_with_a_400_and_is_kept() {
        let body = br#"{"error":"slow_down"}"#;
        let head = format!("HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = asked([head.as_bytes(), body].concat()).await;
        let answer = answer.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_slice()),
            (400, &body[..])
        );
    }

    #[tokio::test]
    async fn an_endless_or_broken_answer_and_a_busy_server_are_trouble() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        let endless = [length.as_bytes(), &vec![b' '; 1_000_000]].concat();
        let why = asked(endless).await.expect_err("too long");
        assert!(why.0.contains("cut off"), "{why}");
        assert!(
            asked(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())
                .await
                .is_err()
        );
        assert!(asked(b"SSH-2.0-x\r\n".to_vec()).await.is_err());
        let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec();
        let why = asked(busy).await.expect_err("busy");
        assert!(why.0.contains("503"), "{why}");
    }
}

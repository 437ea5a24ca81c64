//! Asks a running daemon, over its socket. For every command that is about one.
//!
//! ```ignore
//! let client = Client::find(&places).await?;
//! let house: House = client.get(&["status"]).await?;
//! let _: Value = client.send(Method::POST, &["speakers", id, "account"], Some(&body)).await?;
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
pub use hyper::Method;
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, task::JoinSet, time::timeout};
use url::Url;

/// For a question and its answer; the daemon's own limit is 5 s.
const QUESTION: Duration = Duration::from_secs(7);
/// For an order; the slowest has 20 s of its own.
const ORDER: Duration = Duration::from_secs(30);
/// The largest honest answer, 16 speakers and their covers, is a twentieth of this.
const ANSWER_BYTES: usize = 1 << 20;

/// A daemon that was found.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
}

/// A no in the daemon's own words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// For programs, see `control/http/answer.rs`.
    pub code: String,
    pub message: String,
    pub help: String,
}

#[derive(Deserialize)]
struct Wrapped {
    error: Told,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no siskin runs here (nobody answers at {})", listed(.tried))]
    NoDaemon { tried: Vec<PathBuf> },
    #[error("siskin runs, but this user may not ask it ({})", .path.display())]
    Forbidden { path: PathBuf },
    #[error("{}", .0.message)]
    Refused(Told),
    #[error("siskin did not answer within {} s", .waited.as_secs())]
    Late { waited: Duration },
    #[error("{part:?} is no name that siskin could be asked about")]
    NoName { part: String },
    #[error("the answer of siskin makes no sense here ({why})")]
    Strange { why: String },
}

impl ClientError {
    /// What to do; shown after `help:`.
    pub fn help(&self) -> &str {
        match self {
            Self::NoDaemon { .. } => "start it with: siskin run, or: systemctl start siskin",
            Self::Forbidden { .. } => {
                "ask as the user that siskin runs as, or with sudo; the group audio may ask the service"
            }
            Self::Refused(told) => &told.help,
            Self::Late { .. } => "see its log (journalctl -u siskin), or start it anew",
            Self::NoName { .. } => {
                "say a name or an id, as siskin status and siskin accounts show it"
            }
            Self::Strange { .. } => "start the daemon anew, so that both are the same version",
        }
    }

    fn strange(why: impl ToString) -> Self {
        let why = why.to_string();
        Self::Strange { why }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    match shown.is_empty() {
        true => "no place at all: socket is \"none\"".to_owned(),
        false => shown.join(", "),
    }
}

impl Client {
    /// The first of `places` where somebody answers.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`] where somebody would answer somebody else, else
    /// [`ClientError::NoDaemon`].
    pub async fn find(places: &[PathBuf]) -> Result<Self, ClientError> {
        let mut forbidden = None;
        for path in places {
            let Ok(connected) = timeout(QUESTION, UnixStream::connect(path)).await else {
                return Err(ClientError::Late { waited: QUESTION });
            };
            match connected {
                Ok(_) => return Ok(Self { path: path.clone() }),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    forbidden.get_or_insert_with(|| path.clone());
                }
                // A queue that is full is a daemon that does not get on.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(ClientError::Late { waited: QUESTION });
                }
                Err(_) => {}
            }
        }
        Err(match forbidden {
            Some(path) => ClientError::Forbidden { path },
            None => ClientError::NoDaemon {
                tried: places.to_vec(),
            },
        })
    }

    /// Reads `/api/v1/…`; each part of the route is a name as it is, not percent-encoded.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::NoName`] for a part that cannot stand in a route.
    pub async fn get<T: DeserializeOwned>(&self, route: &[&str]) -> Result<T, ClientError> {
        self.send(Method::GET, route, None::<&()>).await
    }

    /// Sends an order, with `body` as JSON.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] when the daemon says no.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let waited = match method {
            Method::GET => QUESTION,
            _ => ORDER,
        };
        self.send_within(waited, method, route, body).await
    }

    /// The same, for what takes its time.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Late`] after `waited`.
    pub async fn send_within<T: DeserializeOwned>(
        &self,
        waited: Duration,
        method: Method,
        route: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let request = request(method, route, body)?;
        let asked = timeout(waited, ask(&self.path, request));
        let (is_ok, answer) = asked.await.map_err(|_| ClientError::Late { waited })??;
        if is_ok {
            return serde_json::from_slice(&answer).map_err(ClientError::strange);
        }
        match serde_json::from_slice(&answer) {
            Ok(Wrapped { error }) => Err(ClientError::Refused(error)),
            Err(why) => Err(ClientError::strange(why)),
        }
    }
}

/// What a daemon tells of its own accord.
pub struct Events {
    body: hyper::body::Incoming,
    text: Vec<u8>,
    /// Ends with us.
    _connection: JoinSet<()>,
}

impl Client {
    /// Begins to listen to what happens.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self) -> Result<Events, ClientError> {
        let request = request(Method::GET, &["events"], None::<&()>)?;
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|_| ClientError::NoDaemon {
                tried: vec![self.path.clone()],
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::strange)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Its end is seen by whoever reads the body.
            let _ = connection.await;
        });
        let answer = timeout(QUESTION, sender.send_request(request)).await;
        let answer = answer
            .map_err(|_| ClientError::Late { waited: QUESTION })?
            .map_err(ClientError::strange)?;
        if !answer.status().is_success() {
            return Err(ClientError::strange(answer.status()));
        }
        Ok(Events {
            body: answer.into_body(),
            text: Vec::new(),
            _connection: tasks,
        })
    }
}

impl Events {
    /// The next one: its kind, and what it tells. `None`: the daemon has ended. Cancel safe.
    ///
    /// # Errors
    /// When what comes makes no sense.
    pub async fn next(&mut self) -> Result<Option<(String, serde_json::Value)>, ClientError> {
        loop {
            while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event).into_owned();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let (Some(kind), Some(data)) = (field("event: "), field("data: ")) else {
                    continue;
                };
                let data = serde_json::from_str(data).map_err(ClientError::strange)?;
                return Ok(Some((kind.to_owned(), data)));
            }
            if self.text.len() > ANSWER_BYTES {
                return Err(ClientError::strange("an event without end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.text.extend_from_slice(bytes);
                    }
                }
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

fn request(
    method: Method,
    route: &[&str],
    body: Option<&impl Serialize>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    // Left out of the route without a word, such a part would make of one account all of them.
    let is_lost =
        |part: &&&str| matches!(**part, "" | "." | "..") || part.contains(['\t', '\n', '\r']);
    if let Some(part) = route.iter().find(is_lost) {
        let part = (*part).to_owned();
        return Err(ClientError::NoName { part });
    }
    let mut url = Url::parse("http://siskin/api/v1").map_err(ClientError::strange)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(route);
    }
    let mut request = Request::builder()
        .method(method)
        .uri(url.path())
        .header(header::HOST, "siskin");
    let mut bytes = Bytes::new();
    if let Some(body) = body {
        bytes = serde_json::to_vec(body)
            .map_err(ClientError::strange)?
            .into();
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(bytes)).map_err(ClientError::strange)
}

/// Whether it was a yes, and the body.
async fn ask(path: &Path, request: Request<Full<Bytes>>) -> Result<(bool, Bytes), ClientError> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|_| ClientError::NoDaemon {
            tried: vec![path.to_owned()],
        })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(ClientError::strange)?;
    // It lets go of the connection when it is done, and so ends it.
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let is_ok = answer.status().is_success();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((is_ok, body.await?.to_bytes()))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer.map_err(ClientError::strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_into_a_route_whatever_they_hold() {
        let body = None::<&()>;
        let request = request(Method::GET, &["accounts", "a/b ?%ä"], body).expect("a request");
        assert_eq!(
            request.uri().path(),
            "/api/v1/accounts/a%2Fb%20%3F%25%C3%A4"
        );
    }

    #[test]
    fn what_would_vanish_from_a_route_is_never_asked_about() {
        for part in ["", ".", "..", ".\t", "\n..", "ki\rm"] {
            let request = request(Method::DELETE, &["accounts", part], None::<&()>);
            let error = request.expect_err(part);
            assert!(matches!(error, ClientError::NoName { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn without_a_daemon_it_is_said_where_one_was_looked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("siskin.sock");
        let error = Client::find(std::slice::from_ref(&place)).await;
        let error = error.expect_err("nobody");
        assert!(error.to_string().contains(&place.display().to_string()));
        assert!(error.help().contains("siskin run"));
        let off = Client::find(&[]).await.expect_err("nobody");
        assert!(off.to_string().contains("none"), "{off}");
    }
}

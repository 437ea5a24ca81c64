//! One connection of a stranger, from its first byte to its end, within limits.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, USER_AGENT},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    sync::{Notify, Semaphore, mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Status},
    form::{self, Call, Handover},
};
use crate::{
    discovery::{
        Identity, Verdict,
        blob::{BlobError, Keys, Opened},
    },
    gate::Place,
    model::Login,
};

/// What a stranger may cost us.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the first byte: whoever connects has something to ask.
    pub first: Duration,
    /// For the head of a request, and for the silence before the next one.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For the daemon's answer to a handover; then it has failed.
    pub answer: Duration,
    /// For everything on one connection.
    pub connection: Duration,
    /// Connections at once, over all speakers.
    pub connections: usize,
    /// Of these, from one address.
    pub per_peer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One lost packet costs a second, on a bad network.
            first: Duration::from_secs(3),
            head: Duration::from_secs(10),
            body: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            connection: Duration::from_secs(60),
            connections: 64,
            per_peer: 8,
        }
    }
}

/// Twice a handover at its largest, percent-encoded.
const BODY_BYTES: usize = 8 * 1024;
/// For the head of a request. A phone's is under 1 kB.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// Handovers that wait for the daemon at once; the next one is refused.
const PENDING: usize = 4;
/// How long a connection may go on with its answer once it has been told to end.
const FAREWELL: Duration = Duration::from_millis(200);

/// What every connection to one speaker shares.
pub struct Shared {
    pub identity: Identity,
    pub keys: Keys,
    pub requests: mpsc::Sender<crate::discovery::Request>,
    /// `None` inside: nobody. Without a channel: not to be shown.
    pub active_user: Option<watch::Receiver<Option<String>>>,
    pub limits: Limits,
    asked: Arc<Notify>,
    pending: Semaphore,
}

impl Shared {
    pub fn new(
        identity: Identity,
        requests: mpsc::Sender<crate::discovery::Request>,
        active_user: Option<watch::Receiver<Option<String>>>,
        limits: Limits,
    ) -> Self {
        Self {
            identity,
            keys: Keys::generate(),
            requests,
            active_user,
            limits,
            asked: Arc::default(),
            pending: Semaphore::new(PENDING),
        }
    }

    /// Has this told of everybody who asks what the speaker is.
    pub fn telling(self, asked: Arc<Notify>) -> Self {
        Self { asked, ..self }
    }
}

/// Serves `stream` until the stranger leaves, a limit is hit, or `stop` fires.
pub(super) async fn serve(
    stream: TcpStream,
    place: &Arc<Place>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let limits = shared.limits;
    let speaks = tokio::select! {
        speaks = timeout(limits.first, stream.readable()) => matches!(speaks, Ok(Ok(()))),
        () = stop.cancelled() => false,
    };
    if !speaks {
        return;
    }
    let peer = place.peer;
    let ending = stop.clone();
    let service = service_fn(move |request| {
        let (place, shared, ending) = (place.clone(), shared.clone(), ending.clone());
        async move { Ok::<_, Infallible>(respond(request, &place, &shared, &ending).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(limits.connection) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Anybody can cause this at will: not worth a line in a log that people read.
        tracing::debug!(%peer, %error, "a connection to the zeroconf endpoint ended");
    }
}

async fn respond(
    request: Request<Incoming>,
    place: &Arc<Place>,
    shared: &Shared,
    ending: &CancellationToken,
) -> Response<Full<Bytes>> {
    let may_hand_over = may_hand_over(request.headers());
    let (status, body, close) = match read(request, shared.limits.body).await {
        Ok(call) => {
            let Some(_answering) = place.answering() else {
                // The connection is being closed under us: nothing begins any more.
                return std::future::pending().await;
            };
            if call == Call::GetInfo && may_hand_over {
                shared.asked.notify_one();
            }
            // Whoever waits for a verdict when we end is told that there is none: every request is
            // answered.
            let (status, body) = tokio::select! {
                biased;
                acted = act(call, place, shared) => acted,
                () = ending.cancelled() => (Status::LoginFailed, Status::LoginFailed.body()),
            };
            (status, body, false)
        }
        // What is left of the request is not read, so nothing can follow it.
        Err(Unread::Broken(status)) => (status, status.body(), true),
        Err(Unread::Wrong(status)) => (status, status.body(), false),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(status.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether somebody who asks what the speaker is may want to use it: no web page does, and siskin
/// looking at itself (a `User-Agent` that begins with its name) neither.
fn may_hand_over(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT);
    let own = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"siskin"));
    !own && !headers.contains_key(ORIGIN)
}

/// Why a request was not understood, and whether the connection is still of use.
enum Unread {
    Broken(Status),
    Wrong(Status),
}

async fn read(request: Request<Incoming>, patience: Duration) -> Result<Call, Unread> {
    let post = match *request.method() {
        // HEAD is GET without the answer's body, which is left out below us.
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Err(Unread::Broken(Status::NotImplemented)),
    };
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(Unread::Broken(Status::Bad));
    }
    let body = match timeout(patience, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => {
            let large = error.is::<LengthLimitError>();
            tracing::debug!(large, "a request's body could not be read");
            return Err(Unread::Broken(Status::Bad));
        }
        Err(_) => return Err(Unread::Broken(Status::Bad)),
    };
    let call = form::parse(post, head.uri.query().unwrap_or(""), &body).map_err(Unread::Wrong)?;
    // Browsers say which page a request comes from, apps do not. No page has business here.
    if call != Call::GetInfo && head.headers.contains_key(ORIGIN) {
        return Err(Unread::Wrong(Status::Bad));
    }
    Ok(call)
}

async fn act(call: Call, place: &Place, shared: &Shared) -> (Status, Value) {
    let status = match call {
        Call::GetInfo => {
            let user = shared
                .active_user
                .as_ref()
                .and_then(|user| user.borrow().clone());
            let key = shared.keys.public();
            let info = answer::info(&shared.identity, key, &user.unwrap_or_default());
            return (Status::Ok, info);
        }
        // As where too many wait for the daemon.
        Call::AddUser(_) if !place.may_change() => Status::LoginFailed,
        Call::ResetUsers if !place.may_change() => Status::Unknown,
        Call::AddUser(handover) => add_user(handover, place.peer, shared).await,
        Call::ResetUsers => reset_users(None, shared).await,
    };
    (status, status.body())
}

async fn add_user(handover: Handover, peer: IpAddr, shared: &Shared) -> Status {
    let Handover {
        user,
        blob,
        client_key,
        device_name,
    } = handover;
    let device = &shared.identity.device;
    let login: Login = match shared.keys.open(device, &user, &blob, &client_key) {
        Ok(Opened::Login(login)) => login,
        // Whoever reads our public key can make one of these: it proves less than a login does. So it
        // takes the one who is named, and where strangers may not reset, nobody.
        Ok(Opened::Empty) => return reset_users(Some(user), shared).await,
        Err(error) => {
            tracing::debug!(%peer, %error, "a handover could not be read");
            return match error {
                BlobError::OtherKey => Status::InvalidPublicKey,
                BlobError::Base64 { .. } | BlobError::Short | BlobError::Inner => {
                    Status::InvalidArguments
                }
            };
        }
    };
    let asked = ask(shared, |answer| crate::discovery::Request::AddUser {
        login,
        device_name,
        answer,
    });
    match asked.await {
        Some(Verdict::Ok) => Status::Ok,
        // To the phone it is all the same: this account does not play here.
        Some(Verdict::LoginFailed | Verdict::Forbidden) | None => Status::LoginFailed,
    }
}

async fn reset_users(user: Option<String>, shared: &Shared) -> Status {
    let asked = ask(shared, |answer| crate::discovery::Request::ResetUsers {
        user,
        answer,
    });
    match asked.await {
        Some(Verdict::Ok) => Status::Ok,
        Some(Verdict::Forbidden) => Status::NotImplemented,
        Some(Verdict::LoginFailed) | None => Status::Unknown,
    }
}

/// Puts a request before the daemon. `None` when it is not taken or not answered in time.
async fn ask(
    shared: &Shared,
    request: impl FnOnce(oneshot::Sender<Verdict>) -> crate::discovery::Request,
) -> Option<Verdict> {
    let _place = shared.pending.try_acquire().ok()?;
    let (answer, answered) = oneshot::channel();
    let asked = async {
        shared.requests.send(request(answer)).await.ok()?;
        answered.await.ok()
    };
    timeout(shared.limits.answer, asked).await.ok().flatten()
}

//! The HTTPS side: which request belongs to which place, what is recorded of
//! it, and how a scripted fault looks in HTTP.

use std::{future::pending, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, LOCATION,
        RANGE, RETRY_AFTER, UPGRADE,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    authorize, cdn, connect, cover, dealer,
    faults::{Place, Spoilt, Then},
    metadata, resume,
    shared::Shared,
    tokens, users,
};

pub(crate) type Body = BoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

/// The largest request body, several times a full player state.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A request with its body read and its sender known.
pub(crate) struct Ask {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
    /// Whose bearer token it carries.
    pub user: Option<String>,
    /// The device that the access token was given to.
    pub device: Option<String>,
}

impl Ask {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What remains of the path after `prefix`.
    pub fn rest<'a>(&'a self, prefix: &str) -> Option<&'a str> {
        self.path
            .strip_prefix(prefix)
            .filter(|rest| !rest.is_empty())
    }
}

pub(crate) async fn serve<S>(shared: &Arc<Shared>, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| answer(shared.clone(), request));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await
        .map_err(io::Error::other)
}

/// An error here ends the connection without an answer.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Answer> {
    if request.headers().contains_key(UPGRADE) {
        return dealer::open(&shared, request).await;
    }
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(io::Error::other)?;
    let bearer = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let holder = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| shared.tokens.holder(token));
    let (user, device) = holder.unzip();
    let ask = Ask {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes(),
        user,
        device,
    };
    let place = place(&ask);
    if place != Place::ConnectState {
        // The device state is recorded where it has been read.
        let range = ask.header("range").unwrap_or_default();
        let text = format!("{} {} {range}", ask.method, ask.path);
        shared.record.add(
            place,
            ask.user.as_deref(),
            ask.device.as_deref(),
            text.trim_end(),
        );
    }
    tokio::time::sleep(shared.options.delay).await;
    match shared.faults.take_at(place, ask.user.as_deref(), &ask.path) {
        None => Ok(proceed(&shared, place, ask).await),
        Some(then) => trouble(&shared, place, ask, then).await,
    }
}

fn place(ask: &Ask) -> Place {
    let path = ask.path.as_str();
    match path {
        "/v1/clienttoken" => Place::ClientToken,
        "/v3/login" => Place::Login5,
        "/oauth2/device/authorize" => Place::Authorize,
        "/api/token" => Place::Token,
        "/" if ask.query.contains("type=") => Place::ApResolve,
        "/extended-metadata/v0/extended-metadata" => Place::Metadata,
        _ if path.starts_with(connect::DEVICES) || path.starts_with(connect::TRANSFER) => {
            Place::ConnectState
        }
        _ if path.starts_with(metadata::CONTEXT) => Place::Context,
        _ if path.starts_with(cdn::STORAGE) => Place::Storage,
        _ if path.contains(cdn::AUDIO) => Place::Cdn,
        _ => Place::Other,
    }
}

/// The ordinary answer.
async fn proceed(shared: &Arc<Shared>, place: Place, ask: Ask) -> Answer {
    let open = matches!(
        place,
        Place::ClientToken
            | Place::Login5
            | Place::Authorize
            | Place::Token
            | Place::ApResolve
            | Place::Cdn
            | Place::Other
    );
    if !open && ask.user.is_none() {
        return status(StatusCode::UNAUTHORIZED);
    }
    match place {
        Place::ClientToken => tokens::client_token(shared, &ask),
        Place::Login5 => tokens::login5(shared, &ask),
        Place::Authorize => authorize::device(shared, &ask),
        Place::Token => authorize::token(shared, &ask),
        Place::ApResolve => tokens::resolve(shared),
        Place::ConnectState if ask.rest(connect::TRANSFER).is_some() => {
            connect::transfer(shared, &ask).await
        }
        Place::ConnectState => connect::answer(shared, &ask),
        Place::Context => metadata::context(shared, &ask),
        Place::Metadata => metadata::extended(shared, &ask),
        Place::Storage => cdn::storage(shared, &ask),
        Place::Cdn => cdn::audio(shared, &ask).await,
        _ if ask.path.starts_with(cover::IMAGE) => cover::image(&ask),
        _ if ask.path.starts_with(users::PROFILE) => users::profile(shared, &ask),
        _ if ask.path.starts_with(resume::SERVICE) => resume::answer(shared, &ask),
        // Statistics, which nobody here reads.
        _ if ask.method == Method::POST => status(StatusCode::OK),
        _ => status(StatusCode::NOT_FOUND),
    }
}

async fn trouble(shared: &Arc<Shared>, place: Place, ask: Ask, then: Then) -> io::Result<Answer> {
    let text = format!("  answered with {then:?}");
    shared.record.add(
        Place::Other,
        ask.user.as_deref(),
        ask.device.as_deref(),
        text,
    );
    Ok(match then {
        Then::Drop => return Err(io::ErrorKind::ConnectionAborted.into()),
        Then::Stall => pending().await,
        Then::Delay(time) => {
            tokio::time::sleep(time).await;
            proceed(shared, place, ask).await
        }
        Then::Status(code, retry) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            with_retry(status(code), retry)
        }
        Then::Truncate(keep) => truncated(proceed(shared, place, ask).await, keep).await?,
        Then::Body(spoilt) => spoil(shared, place, ask, spoilt).await,
        Then::Garbage => bytes(StatusCode::OK, &b"\xff\x00<html>garbage"[..]),
        Then::LoginError(code) if place == Place::Login5 => tokens::login5_error(code),
        Then::Refuse | Then::BadSignature | Then::LoginError(_) => match place {
            Place::Login5 => tokens::login5_error(tokens::INVALID_CREDENTIALS),
            Place::Authorize | Place::Token => authorize::refused("unauthorized_client"),
            _ => status(StatusCode::FORBIDDEN),
        },
    })
}

async fn spoil(shared: &Arc<Shared>, place: Place, mut ask: Ask, spoilt: Spoilt) -> Answer {
    match spoilt {
        Spoilt::Empty => ok(Bytes::new()),
        Spoilt::HangAfter(keep) => slowed(proceed(shared, place, ask).await, Some(keep), None),
        Spoilt::Trickle(rate) => slowed(proceed(shared, place, ask).await, None, Some(rate)),
        Spoilt::Whole => {
            ask.headers
                .insert(RANGE, HeaderValue::from_static("bytes=0-"));
            let mut answer = proceed(shared, place, ask).await;
            *answer.status_mut() = StatusCode::OK;
            answer.headers_mut().remove(CONTENT_RANGE);
            answer
        }
        Spoilt::Moved => {
            let named = ask.path.splitn(3, '/').nth(2).unwrap_or_default();
            let place = format!("/moved/{named}");
            let mut answer = status(StatusCode::FOUND);
            if let Ok(place) = HeaderValue::from_str(&place) {
                answer.headers_mut().insert(LOCATION, place);
            }
            answer
        }
        Spoilt::Packed => {
            let mut answer = proceed(shared, place, ask).await;
            let gzip = HeaderValue::from_static("gzip");
            answer.headers_mut().insert(CONTENT_ENCODING, gzip);
            let packed = |data: Bytes| data.iter().map(|byte| !byte).collect::<Bytes>();
            answer.map(|body| body.map_frame(move |frame| frame.map_data(packed)).boxed())
        }
        Spoilt::WrongRange => {
            let mut answer = proceed(shared, place, ask).await;
            let elsewhere = HeaderValue::from_static("bytes 7-11/12");
            answer.headers_mut().insert(CONTENT_RANGE, elsewhere);
            answer
        }
    }
}

/// The body stops after `keep` bytes, or comes at `rate` bytes a second. The head promises all.
fn slowed(answer: Answer, keep: Option<usize>, rate: Option<usize>) -> Answer {
    let (mut head, mut body) = answer.into_parts();
    if let Some(length) = hyper::body::Body::size_hint(&body).exact() {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    let (send, parts) = tokio::sync::mpsc::channel(1);
    let mut keep = keep.unwrap_or(usize::MAX);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            while !data.is_empty() {
                if keep == 0 {
                    // Until the other side hangs up.
                    send.closed().await;
                    return;
                }
                let piece = data.len().min(keep).min(rate.unwrap_or(usize::MAX).max(1));
                keep -= piece;
                if rate.is_some() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                if send.send(data.split_to(piece)).await.is_err() {
                    return;
                }
            }
        }
    });
    let frames = stream::unfold(parts, |mut parts| async move {
        let part = parts.recv().await?;
        Some((Ok::<_, io::Error>(Frame::data(part)), parts))
    });
    Response::from_parts(head, BoxBody::new(StreamBody::new(Box::pin(frames))))
}

fn with_retry(mut answer: Answer, retry: Option<Duration>) -> Answer {
    if let Some(retry) = retry {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, retry.as_secs().into());
    }
    answer
}

/// Promises the whole body and breaks off after `keep` bytes of it.
async fn truncated(answer: Answer, keep: usize) -> io::Result<Answer> {
    let (mut head, body) = answer.into_parts();
    let whole = body.collect().await?.to_bytes();
    head.headers.insert(CONTENT_LENGTH, whole.len().into());
    let kept = whole.slice(..keep.min(whole.len()));
    let broken = io::Error::from(io::ErrorKind::ConnectionAborted);
    let frames = stream::iter([Ok(Frame::data(kept)), Err(broken)]);
    // hyper may write head and body in one go and lose both with the error:
    // the pause lets the first part out.
    let frames = futures_util::StreamExt::then(frames, |frame| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        frame
    });
    Ok(Response::from_parts(
        head,
        BoxBody::new(StreamBody::new(frames)),
    ))
}

pub(crate) fn bytes(code: StatusCode, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {});
    let mut answer = Response::new(BoxBody::new(body));
    *answer.status_mut() = code;
    answer
}

pub(crate) fn ok(body: impl Into<Bytes>) -> Answer {
    bytes(StatusCode::OK, body)
}

pub(crate) fn status(code: StatusCode) -> Answer {
    bytes(code, Bytes::new())
}

/// A protobuf message as an answer.
pub(crate) fn message(message: &impl protobuf::Message) -> Answer {
    match message.write_to_bytes() {
        Ok(body) => ok(body),
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

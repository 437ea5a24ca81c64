//! One connection, from its first byte to its end, within limits.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, http::Extensions};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{door::Guest, events::Lasting, patient::Patient};
use crate::gate::Place;

/// For the head of a request, and for the silence before the next one.
const HEAD: Duration = Duration::from_secs(10);
/// For the head of a request, in bytes and lines.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// After this a connection takes no more requests, so that none holds its place for ever. One that
/// is told events is left alone.
const LIFE: Duration = Duration::from_secs(120);
/// The slowest order, and a reader that takes its time.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// How long a connection may go on with its answer once the daemon stops.
const FAREWELL: Duration = Duration::from_millis(200);

/// What bytes come and go by. Boxed: one kind of connection is code enough for all doors.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Serves until the other side leaves, a limit is hit, `stop` fires, or somebody else needs the
/// `place` of one who says nothing. `None`: nobody does.
pub async fn serve(
    guest: Guest,
    place: Option<Arc<Place>>,
    routes: Router,
    stop: CancellationToken,
) {
    let is_needed = async {
        match &place {
            Some(place) => place.is_needed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = is_needed => {}
        () = attend(guest, place.clone(), routes, stop) => {}
    }
}

async fn attend(guest: Guest, place: Option<Arc<Place>>, routes: Router, stop: CancellationToken) {
    match guest {
        Guest::Socket(stream) => {
            serve_on(Box::new(stream), place, Extensions::new(), routes, stop).await;
        }
        #[cfg(feature = "http")]
        Guest::Tcp(guest) => {
            let mut known = Extensions::new();
            known.insert(guest.ends);
            let wire: Box<dyn Wire> = match guest.certificate {
                None => Box::new(guest.stream),
                Some(certificate) => {
                    let greeting = certificate.greet(guest.stream);
                    match stop.run_until_cancelled(greeting).await {
                        Some(Ok(stream)) => Box::new(stream),
                        Some(Err(error)) => return tracing::debug!(%error, "no handshake"),
                        None => return,
                    }
                }
            };
            serve_on(wire, place, known, routes, stop).await;
        }
    }
}

/// `known` is told to every route.
async fn serve_on(
    wire: Box<dyn Wire>,
    place: Option<Arc<Place>>,
    known: Extensions,
    routes: Router,
    stop: CancellationToken,
) {
    let lasting = Lasting::default();
    let mark = lasting.clone();
    // Who is told events keeps his place.
    let kept = Arc::new(OnceLock::new());
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().extend(known.clone());
        request.extensions_mut().insert(mark.clone());
        let answer = routes.call(request);
        let (place, mark, kept) = (place.clone(), mark.clone(), kept.clone());
        async move {
            let Some(place) = place else {
                return answer.await;
            };
            let Some(answering) = place.answering() else {
                // The connection is being closed under us: nothing begins any more.
                return std::future::pending().await;
            };
            let answer = answer.await;
            if mark.is_so() {
                let _ = kept.set(answering);
            }
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Patient::new(wire)), service);
    let mut connection = std::pin::pin!(connection);
    let life = async {
        loop {
            tokio::time::sleep(LIFE).await;
            if !lasting.is_so() {
                return;
            }
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = life => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let stopping = stop.is_cancelled();
            let limit = if stopping { FAREWELL } else { LAST_ANSWER };
            timeout(limit, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Any program can cause this at will: not worth a line in a log that people read.
        tracing::debug!(%error, "a connection ended");
    }
}

//! One connection, from its first byte to its end, within limits.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::UnixStream, time::timeout};
use tokio_util::sync::CancellationToken;

/// For the head of a request, and for the silence before the next one.
const HEAD: Duration = Duration::from_secs(10);
/// For the head of a request, in bytes and lines.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// After this a connection takes no more requests, so that none holds its place for ever.
const LIFE: Duration = Duration::from_secs(120);
/// The slowest order, and a reader that takes its time.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// How long a connection may go on with its answer once the daemon stops.
const FAREWELL: Duration = Duration::from_millis(200);

/// Serves until the other side leaves, a limit is hit, or `stop` fires.
pub async fn serve(stream: UnixStream, routes: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(LIFE) => None,
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
        tracing::debug!(%error, "a connection to the socket ended");
    }
}

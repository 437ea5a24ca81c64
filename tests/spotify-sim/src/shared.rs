//! What all places of one simulation know in common.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::RngCore;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accesspoint::Links, authorize::Desks, catalogue::Catalogue, cluster::Clusters, dealer::Dealers,
    faults::Faults, line::Line, record::Record, resume::Bookmarks, sim::SimOptions, tokens::Tokens,
    users::Users,
};

pub(crate) struct Shared {
    pub options: SimOptions,
    /// One port for everything; clients get it from apresolve.
    pub port: u16,
    pub tls: TlsAcceptor,
    pub catalogue: Arc<Catalogue>,
    pub users: Users,
    pub tokens: Tokens,
    pub desks: Desks,
    pub faults: Faults,
    pub record: Record,
    pub line: Line,
    pub links: Links,
    pub dealers: Dealers,
    pub clusters: Clusters,
    pub bookmarks: Bookmarks,
    pub pace: Pace,
    /// Bytes of audio files that went out.
    pub sent: AtomicU64,
    /// Owns every task of the simulation; `stop` ends them.
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Shared {
    /// Runs a connection until it ends by itself, the line is cut, or the
    /// simulation ends.
    pub fn serve(self: &Arc<Self>, connection: impl Future<Output = ()> + Send + 'static) {
        let shared = self.clone();
        self.tasks
            .spawn(async move { shared.line.carry(&shared.stop, connection).await });
    }

    /// Runs something that is no connection, until the simulation ends.
    pub fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        });
    }

    /// The name under which clients reach the simulation without a proxy.
    pub fn authority(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

/// The speed of the line to the audio files, shared by all downloads as a
/// real line would be.
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    free_at: Mutex<Instant>,
}

impl Pace {
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `count` more bytes have gone over the line.
    pub async fn send(&self, count: usize) {
        let Some(rate) = self.bytes_per_second else {
            return;
        };
        let takes = Duration::from_secs_f64(count as f64 / rate.max(1) as f64);
        let until = {
            let mut free_at = lock(&self.free_at);
            *free_at = (*free_at).max(Instant::now()) + takes;
            *free_at
        };
        tokio::time::sleep_until(until.into()).await;
    }
}

/// A lock that a panic elsewhere does not make useless.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Something nobody can guess, as text.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

//! HTTP with JSON under `/api/v1`, on a Unix socket.
//!
//! Whoever may open the socket (mode 0660) may do everything; there is no other door yet. Owns the
//! socket and its connections, within limits. Start at [`Http::start`]; the routes are below.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /status` | [`crate::model::House`] |
//! | `GET /speakers/{id}` | [`crate::model::SpeakerState`] |
//! | `GET /accounts` | `{"accounts": [`[`crate::model::Account`]`]}` |
//! | `PATCH /accounts/{user}` `{"name"}` | `{"done": true}` |
//! | `DELETE /accounts/{user}`, `DELETE /accounts` | `{"done": true}` |
//! | `POST /speakers/{id}/account` `{"user"}` | `{"done": true}` |
//! | `POST /speakers/{id}/pairing` `{"way"}` | [`crate::model::Pairing`] |
//! | `GET /speakers/{id}/pairing` | the same, as it stands now |
//! | `PATCH /speakers/{id}/pairing` `{"address"}` | `{"done": true}` |
//! | `DELETE /speakers/{id}/pairing` | `{"done": true}` |
//!
//! Whatever goes wrong is `{"error": {"code", "message", "help"}}` with a status that fits, see
//! [`answer`]. To add an order: give the bus one (see there), then a handler beside those in
//! [`accounts`]: path by [`given::Named`], body by [`given::Given`], and
//! `bus.order(…).await.map(…).map_err(Failed::from)`; then its line in [`routes`] and above.

mod accounts;
pub mod answer;
mod connection;
pub mod given;
mod pairing;
mod socket;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, patch, post},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    answer::Failed,
    given::Named,
    socket::{Socket, Trouble},
};
use super::Notice;
use crate::{
    bus::{Bus, Unable},
    model::{ConditionCode, House, SpeakerState},
};

/// Connections served at once. More wait in the kernel until one ends.
const CONNECTIONS: usize = 32;
/// How long connections may take to end. Their own farewell is shorter.
const CLOSING: Duration = Duration::from_millis(400);
/// Between two tries to accept when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// How often is looked after the socket.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Between two tries to make it.
    retry: Duration,
    /// Between two looks whether it is still where it was made.
    look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(5),
            look: Duration::from_secs(30),
        }
    }
}

/// The surface while it runs. Dropped without [`Http::stop`], it ends all the same, less politely.
pub struct Http {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Http {
    /// Makes the socket at `path` and serves. One that cannot be made is a notice, and tried again.
    pub async fn start(path: PathBuf, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        Self::start_at(Pace::default(), path, bus, notices).await
    }

    async fn start_at(pace: Pace, path: PathBuf, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        let mut server = Server {
            pace,
            path,
            routes: routes(bus),
            notices,
            socket: None,
            connections: JoinSet::new(),
            told: None,
        };
        server.look().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        Self { stop, task }
    }

    /// Takes no more orders, removes the socket, and ends every connection.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            warn!("the socket did not end in order");
        }
    }
}

/// Everything that can be asked.
fn routes(bus: Bus) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/speakers/{id}", get(speaker))
        .route("/speakers/{id}/account", post(accounts::sign_in))
        .route(
            "/speakers/{id}/pairing",
            get(pairing::now)
                .post(pairing::start)
                .patch(pairing::paste)
                .delete(pairing::cancel),
        )
        .route(
            "/accounts",
            get(accounts::list).delete(accounts::forget_all),
        )
        .route(
            "/accounts/{user}",
            patch(accounts::rename).delete(accounts::forget),
        );
    Router::new()
        .nest("/api/v1", v1)
        .fallback(async || Failed::no_such_route())
        .method_not_allowed_fallback(async || Failed::wrong_method())
        .with_state(bus)
}

async fn status(State(bus): State<Bus>) -> Json<House> {
    Json((*bus.now()).clone())
}

async fn speaker(State(bus): State<Bus>, Named(id): Named) -> Result<Json<SpeakerState>, Failed> {
    match bus.now().speaker(&id) {
        Some(speaker) => Ok(Json(speaker.clone())),
        None => Err(Unable::unknown_speaker(&id).into()),
    }
}

struct Server {
    pace: Pace,
    path: PathBuf,
    routes: Router,
    notices: mpsc::Sender<Notice>,
    /// `None` while it cannot be made.
    socket: Option<Socket>,
    connections: JoinSet<()>,
    /// What was said last about the socket.
    told: Option<Trouble>,
}

impl Server {
    async fn run(mut self, stop: CancellationToken) {
        let mut look_at = Instant::now() + self.pause();
        loop {
            let full = self.connections.len() >= CONNECTIONS;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = self.connections.join_next() => {}
                () = sleep_until(look_at) => {
                    self.look().await;
                    look_at = Instant::now() + self.pause();
                }
                accepted = accept(self.socket.as_ref()), if !full => match accepted {
                    Ok(stream) => {
                        let serving =
                            connection::serve(stream, self.routes.clone(), stop.clone());
                        self.connections.spawn(serving);
                    }
                    // Out of file descriptors, most likely; that would come back at once.
                    Err(_) => sleep(BREATH).await,
                },
            }
        }
        // First, so that nobody finds a door behind which nobody is.
        drop(self.socket.take());
        let ended = async { while self.connections.join_next().await.is_some() {} };
        if timeout(CLOSING, ended).await.is_err() {
            warn!("a program that asked something does not end its connection; leaving it");
        }
    }

    fn pause(&self) -> Duration {
        match self.socket {
            Some(_) => self.pace.look,
            None => self.pace.retry,
        }
    }

    /// Makes the socket, unless it is there.
    async fn look(&mut self) {
        if self.socket.as_ref().is_some_and(Socket::is_in_place) {
            return;
        }
        // Whoever removed the file left us a listener that nobody can find.
        self.socket = None;
        match Socket::make(&self.path).await {
            Ok(socket) => {
                self.socket = Some(socket);
                if self.told.take().is_some() {
                    self.tell(Notice::Cleared(ConditionCode::NoSocket)).await;
                }
            }
            Err(trouble) => {
                if self.told.as_ref() != Some(&trouble) {
                    self.tell(Notice::Raised(trouble.condition())).await;
                    self.told = Some(trouble);
                }
            }
        }
    }

    async fn tell(&self, notice: Notice) {
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.notices.send(notice).await;
    }
}

async fn accept(socket: Option<&Socket>) -> std::io::Result<tokio::net::UnixStream> {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

//! HTTP with JSON under `/api/v1`: on a Unix socket, and on an address of this machine.
//!
//! Whoever may open the socket (mode 0660) may do everything. Over TCP a token is required, and the
//! names and origins that are asked for are looked at (`guard`); with a certificate it is HTTPS and
//! nothing else (`tls`). Whoever wants none of that leaves the feature `http` out, and has the
//! socket. Owns the doors and their connections, within limits. Start at [`Http::start`]; the routes
//! are below, `…` stands for `/speakers/{id}`.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /status` | [`crate::model::House`], and how much music lies ready ([`gauge`]) |
//! | `GET /openapi.json` | this table for programs (OpenAPI 3.1) |
//! | `GET /events` | server-sent events, see [`events`] |
//! | `GET …` | [`crate::model::SpeakerState`] |
//! | `POST …/play` `{"uri", "index", "track", "position_ms", "shuffle", "paused"}`, all optional | `{"done": true}`, here and below |
//! | `POST …/pause`, `…/toggle`, `…/stop`, `…/next`, `…/previous`, `…/pull` | |
//! | `POST …/seek` `{"position_ms"}` or `{"by_ms"}` | |
//! | `POST …/volume` `{"percent"}` or `{"by"}` | |
//! | `POST …/mute` `{"on"}`; without it, the other way round | |
//! | `POST …/shuffle` `{"on"}` | |
//! | `POST …/repeat` `{"mode"}`: `off`, `context`, `track` | |
//! | `POST …/queue` `{"uri"}` | |
//! | `GET …/queue` | `{"previous", "current", "next"}` |
//! | `POST …/sleep` `{"after_s"}` or `{"end_of_track": true}`, and `"fade_s"`; `{}`: not any more | |
//! | `POST …/send` `{"device"}`: name or id of another device of the account | |
//! | `GET …/outputs`: looks for sound cards | `{"outputs": [`[`crate::model::OutputChoice`]`]}` |
//! | `POST …/output` `{"device"}`; `default`: as configured | |
//! | `POST …/name` `{"name"}`; empty: as configured | |
//! | `POST /log` `{"level"}`: how much the daemon and its engines log | |
//! | `POST /doctor`: has everything looked at, some seconds long; 409 while that is done for others | [`crate::model::Examination`] |
//! | `GET /accounts` | `{"accounts": [`[`crate::model::Account`]`]}` |
//! | `PATCH /accounts/{user}` `{"name"}` | |
//! | `DELETE /accounts/{user}`, `DELETE /accounts` | |
//! | `POST …/account` `{"user"}` | |
//! | `POST …/pairing` `{"way"}` | [`crate::model::Pairing`] |
//! | `GET …/pairing` | the same, as it stands now |
//! | `PATCH …/pairing` `{"address"}` | |
//! | `DELETE …/pairing` | |
//! | `GET …/pairing/qr.svg` | the address to sign in at, as a QR code |
//! | `GET …/cover?size=` `large`, `medium`, `small` | the picture of what plays |
//! | `GET …/tracks?uri=…&uri=…` | `{"tracks": [`[`crate::model::Track`]` or null]}` |
//!
//! Beside `/api/v1`, and open to everybody: `GET /healthz` (the daemon answers) and `GET /readyz`
//! (200 when a phone could pick a speaker, else 503). `GET /metrics`, in OpenMetrics, takes the token:
//! see [`super::metrics`].
//!
//! An order is answered when it has taken effect, and the state that is read after that shows it.
//! Whatever goes wrong is `{"error": {"code", "message", "help"}}` with a status that fits, see
//! [`answer`]: among them 409 `not_active` (another device plays), 409 `restricted` (Spotify does not
//! allow it at present), 409 `nobody_signed_in`, 422 `unplayable`, 422 `no_output`, 503 `unavailable`, 504 `timed_out` (after 2.5 s; it may take effect yet). Requests
//! that change something must say `Content-Type: application/json`.
//!
//! To add an order: give the bus one (see there), then a handler beside those in
//! [`transport`]: path by [`given::Named`], body by [`given::Given`], and
//! `bus.order(…).await.map(…).map_err(Failed::from)`; then its line in [`routes`] and above.

mod accounts;
pub mod answer;
mod connection;
mod doctor;
mod door;
pub mod events;
mod gauge;
pub mod given;
#[cfg(feature = "http")]
pub mod guard;
pub mod looks;
#[cfg(test)]
mod openapi;
mod pairing;
mod patient;
mod qr;
pub mod setup;
mod socket;
#[cfg(feature = "http")]
pub mod tcp;
#[cfg(test)]
mod tests;
#[cfg(feature = "http")]
mod tls;
pub mod transport;
#[cfg(feature = "http")]
pub(crate) mod validity;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, patch, post},
};
use serde::Serialize;
use tokio::{
    sync::{Notify, mpsc},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    answer::Failed,
    door::{Door, Guest, Place, Trouble},
    events::Seats,
    gauge::Gauge,
    given::{Given, Named},
    transport::Nothing,
};
use super::{Notice, metrics};
use crate::{
    bus::{Bus, Unable},
    gate::Gate,
    model::{House, Phase, SpeakerState, Transport},
};

/// Connections served at once. More wait in the kernel until one ends.
const CONNECTIONS: usize = 128;
/// Of these, from the network: where there are as many, who has been silent longest leaves for the
/// next one. The rest is for those who are just leaving.
const STRANGERS: usize = 112;
/// From one address. A proxy brings all its programs from one, and their readers of events.
const PER_PEER: usize = 96;
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
    again: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Http {
    /// Makes the socket at `path` and serves. One that cannot be made is a notice, and tried again.
    pub async fn start(path: PathBuf, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        Self::start_at(Pace::default(), Place::Socket(path), routes(bus), notices).await
    }

    async fn start_at(
        pace: Pace,
        place: Place,
        routes: Router,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let mut server = Server {
            pace,
            place,
            routes,
            notices,
            door: None,
            connections: JoinSet::new(),
            gate: Gate::new(STRANGERS, PER_PEER),
            told: None,
            again: Arc::default(),
            is_old: false,
        };
        server.look().await;
        let stop = CancellationToken::new();
        let again = server.again.clone();
        let task = tokio::spawn(server.run(stop.clone()));
        Self { stop, again, task }
    }

    /// Has the door looked after now: the files that it is made of may hold something else.
    pub fn look_again(&self) {
        self.again.notify_one();
    }

    /// Takes no more orders, removes the socket, and ends every connection.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            warn!("a door for orders did not end in order");
        }
    }
}

/// Everything that can be asked.
pub(crate) fn routes(bus: Bus) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/speakers/{id}", get(speaker))
        .route("/events", get(events::events))
        .route("/speakers/{id}/play", post(transport::play))
        .route("/speakers/{id}/pause", plain(Transport::Pause))
        .route("/speakers/{id}/toggle", plain(Transport::Toggle))
        .route("/speakers/{id}/stop", plain(Transport::Stop))
        .route("/speakers/{id}/next", plain(Transport::Next))
        .route("/speakers/{id}/previous", plain(Transport::Previous))
        .route("/speakers/{id}/pull", plain(Transport::Pull))
        .route("/speakers/{id}/seek", post(transport::seek))
        .route("/speakers/{id}/volume", post(transport::volume))
        .route("/speakers/{id}/mute", post(transport::mute))
        .route("/speakers/{id}/shuffle", post(transport::shuffle))
        .route("/speakers/{id}/repeat", post(transport::repeat))
        .route(
            "/speakers/{id}/queue",
            get(transport::queue).post(transport::enqueue),
        )
        .route("/speakers/{id}/sleep", post(transport::sleep))
        .route("/openapi.json", get(document))
        .route("/log", post(setup::log))
        .route("/doctor", post(doctor::doctor))
        .route("/speakers/{id}/send", post(setup::send))
        .route("/speakers/{id}/outputs", get(setup::outputs))
        .route("/speakers/{id}/output", post(setup::output))
        .route("/speakers/{id}/name", post(setup::name))
        .route("/speakers/{id}/account", post(accounts::sign_in))
        .route(
            "/speakers/{id}/pairing",
            get(pairing::now)
                .post(pairing::start)
                .patch(pairing::paste)
                .delete(pairing::cancel),
        )
        .route("/speakers/{id}/pairing/qr.svg", get(qr::qr))
        .route("/speakers/{id}/cover", get(looks::cover))
        .route("/speakers/{id}/tracks", get(looks::tracks))
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
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || Failed::no_such_route())
        .method_not_allowed_fallback(async || Failed::wrong_method())
        .layer(Extension(Seats::default()))
        .layer(Extension(Gauge::default()))
        .with_state(bus)
}

/// A route for a wish that needs no more words.
fn plain(wish: Transport) -> axum::routing::MethodRouter<Bus> {
    post(
        async move |State(bus): State<Bus>, Named(id): Named, Given(Nothing {}): Given<Nothing>| {
            transport::plain(bus, id, wish).await
        },
    )
}

/// Fit for programs that look whether others live.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Health {
    ok: bool,
}

async fn health() -> Json<Health> {
    Json(Health { ok: true })
}

async fn ready(State(bus): State<Bus>) -> (StatusCode, Json<Health>) {
    let house = bus.now();
    let mut speakers = house.speakers.iter();
    let ok =
        speakers.any(|speaker| speaker.phase == Phase::Online || !speaker.addresses.is_empty());
    let status = match ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Health { ok }))
}

/// Made from the code by a test of it (`openapi.rs`).
async fn document() -> impl IntoResponse {
    let text = include_str!("../../../docs/openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], text)
}

async fn status(State(bus): State<Bus>, gauge: Extension<Gauge>) -> Json<House> {
    Json(gauge.read(&bus).await)
}

async fn speaker(
    State(bus): State<Bus>,
    Named(id): Named,
    gauge: Extension<Gauge>,
) -> Result<Json<SpeakerState>, Failed> {
    let house = gauge.read(&bus).await;
    let mut speakers = house.speakers.into_iter();
    match speakers.find(|speaker| speaker.id == id) {
        Some(speaker) => Ok(Json(speaker)),
        None => Err(Unable::unknown_speaker(&id).into()),
    }
}

struct Server {
    pace: Pace,
    place: Place,
    routes: Router,
    notices: mpsc::Sender<Notice>,
    /// `None` while it cannot be made.
    door: Option<Door>,
    connections: JoinSet<()>,
    gate: Arc<Gate>,
    /// What was said last about it.
    told: Option<Trouble>,
    again: Arc<Notify>,
    /// What it is made of is not taken over yet.
    is_old: bool,
}

impl Server {
    async fn run(mut self, stop: CancellationToken) {
        let mut look_at = Instant::now() + self.pause();
        loop {
            let full = self.connections.len() >= CONNECTIONS;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = self.connections.join_next() => {}
                () = self.again.notified() => {
                    self.is_old = true;
                    self.look().await;
                    look_at = Instant::now() + self.pause();
                }
                () = sleep_until(look_at) => {
                    self.look().await;
                    look_at = Instant::now() + self.pause();
                }
                accepted = accept(self.door.as_ref()), if !full => match accepted {
                    Ok(guest) => self.admit(guest, &stop).await,
                    // Out of file descriptors, most likely; that would come back at once.
                    Err(_) => sleep(BREATH).await,
                },
            }
        }
        // First, so that nobody finds a door behind which nobody is.
        drop(self.door.take());
        let ended = async { while self.connections.join_next().await.is_some() {} };
        if timeout(CLOSING, ended).await.is_err() {
            warn!("a program that asked something does not end its connection; leaving it");
        }
    }

    async fn admit(&mut self, guest: Guest, stop: &CancellationToken) {
        let place = match guest.peer() {
            Some(peer) => match self.gate.enter(peer) {
                Some(place) => Some(place),
                // Everybody inside is being answered.
                None => return,
            },
            None => None,
        };
        let serving = connection::serve(guest, place, self.routes.clone(), stop.clone());
        self.connections.spawn(serving);
        // Who left for this one closes his connection before the next is taken.
        tokio::task::yield_now().await;
    }

    fn pause(&self) -> Duration {
        match self.door {
            Some(_) if !self.is_old => self.pace.look,
            _ => self.pace.retry,
        }
    }

    /// Opens the door, unless it stands open, and as it should.
    async fn look(&mut self) {
        let found = match &mut self.door {
            Some(door) if door.is_in_place() => {
                // What time has made bad may have been replaced meanwhile.
                if !self.is_old && door.ails().is_none() && self.told.is_none() {
                    return;
                }
                door.renew().await
            }
            _ => {
                // Whoever removed the file left us a listener that nobody can find.
                self.door = None;
                let opened = self.place.open().await;
                opened.map(|door| self.door = Some(door))
            }
        };
        if found.is_ok() {
            self.is_old = false;
        }
        let ails = || self.door.as_ref().and_then(|door| door.ails());
        let found = found.err().or_else(ails);
        if self.told == found {
            return;
        }
        let code = found.as_ref().map(Trouble::code);
        let before = self.told.as_ref().map(Trouble::code);
        if let Some(over) = before.filter(|before| Some(*before) != code) {
            if !self.tell(Notice::Cleared(over)) {
                return;
            }
            self.told = None;
        }
        if let Some(trouble) = &found
            && !self.tell(Notice::Raised(trouble.condition()))
        {
            return;
        }
        self.told = found;
    }

    /// Never waited for: the daemon may be waiting for us. What it has no room for it is told at the
    /// next look.
    fn tell(&self, notice: Notice) -> bool {
        self.notices.try_send(notice).is_ok()
    }
}

async fn accept(door: Option<&Door>) -> std::io::Result<Guest> {
    match door {
        Some(door) => door.accept().await,
        None => std::future::pending().await,
    }
}

//! MPRIS 2.2: each speaker as a media player on D-Bus, as desktops, remote controls and panels know it.
//!
//! Owns the connections to the bus, one a speaker, and the names there. Holds a [`Bus`] and nothing
//! else of the house: state comes from it, and orders go to it. Nothing runs unless
//! `mpris.bus` names a bus.
//!
//! The way of a call: [`seat`] (the connection) → [`heard`] (understood) → [`request`] (decided) →
//! the house. The way of the state: [`view`] (properties, with [`lines`] for the list of tracks) →
//! [`told`] (what is different) → [`speech`].

mod fault;
mod heard;
mod introspect;
mod lines;
mod name;
mod request;
mod seat;
mod speech;
#[cfg(test)]
mod tests;
mod told;
mod trouble;
mod value;
mod view;

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::Notice;
use crate::{
    bus::Bus,
    config,
    model::{ConditionCode, House},
};
use seat::{Report, Seat};
use trouble::Trouble;

/// The surface while it runs. Dropped without [`Mpris::stop`], it ends all the same.
pub struct Mpris {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Mpris {
    /// Puts every speaker on the bus. What keeps it from there is a notice, and tried again.
    pub fn start(at: config::Mpris, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        let stop = CancellationToken::new();
        let (reports, reported) = mpsc::channel(16);
        let host = Host {
            at,
            bus,
            notices,
            reports,
            seats: BTreeMap::new(),
            told: None,
        };
        let task = tokio::spawn(host.run(reported, stop.clone()));
        let stop = stop.drop_guard();
        Self { stop, task }
    }

    /// Leaves the bus.
    pub async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            warn!("the speakers did not leave D-Bus in order");
        }
    }
}

/// Gives every speaker a seat.
struct Host {
    at: config::Mpris,
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    reports: mpsc::Sender<Report>,
    seats: BTreeMap<Arc<str>, Place>,
    /// What was said last.
    told: Option<Trouble>,
}

struct Place {
    stop: CancellationToken,
    task: JoinHandle<()>,
    trouble: Option<Trouble>,
}

impl Host {
    async fn run(mut self, mut reported: mpsc::Receiver<Report>, stop: CancellationToken) {
        let mut house = self.bus.seen();
        loop {
            self.place(&house).await;
            tokio::select! {
                () = stop.cancelled() => break,
                news = self.bus.changed() => match news {
                    Some(news) => house = news,
                    None => break,
                },
                Some((id, trouble)) = reported.recv() => {
                    if let Some(place) = self.seats.get_mut(&id) {
                        place.trouble = trouble;
                    }
                }
            }
            // Whoever stops us may be the one who would listen.
            if stop.run_until_cancelled(self.tell()).await.is_none() {
                break;
            }
        }
        for place in self.seats.values() {
            place.stop.cancel();
        }
        for (_, place) in std::mem::take(&mut self.seats) {
            place.end().await;
        }
    }

    /// Seats who came, and sees off who left.
    async fn place(&mut self, house: &House) {
        let is_here = |id: &str| house.speaker(id).is_some();
        let gone: Vec<_> = self
            .seats
            .keys()
            .filter(|id| !is_here(id))
            .cloned()
            .collect();
        for id in gone {
            if let Some(place) = self.seats.remove(&id) {
                place.end().await;
            }
        }
        for speaker in &house.speakers {
            if self.seats.contains_key(speaker.id.as_str()) {
                continue;
            }
            let id: Arc<str> = speaker.id.as_str().into();
            let seat = Seat {
                id: id.clone(),
                at: self.at,
                bus: self.bus.clone(),
                reports: self.reports.clone(),
            };
            let stop = CancellationToken::new();
            let task = tokio::spawn(seat.keep(stop.clone()));
            let trouble = None;
            self.seats.insert(
                id,
                Place {
                    stop,
                    task,
                    trouble,
                },
            );
        }
    }

    /// One trouble at a time: mostly, it is the same for all.
    async fn tell(&mut self) {
        let now = self.seats.values().find_map(|place| place.trouble.clone());
        if self.told == now {
            return;
        }
        let notice = match &now {
            Some(trouble) => Notice::Raised(trouble.condition(self.at)),
            None => Notice::Cleared(ConditionCode::NoMpris),
        };
        self.told = now;
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.notices.send(notice).await;
    }
}

impl Place {
    async fn end(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            warn!("a speaker did not leave D-Bus in order");
        }
    }
}

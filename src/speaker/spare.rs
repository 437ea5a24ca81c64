//! An engine that waits for a login: a phone asked what the speaker is, so it may be about to hand
//! somebody over.
//!
//! One at a time, for a minute, every few minutes at most, and only while nobody is signed in:
//! strangers who ask without end cannot start more. Nothing of an account is in it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::{
    Speaker,
    phase::{Resident, Seat},
};
use crate::engine::{
    Engine,
    messages::{Command, PROTOCOL, Start, Warm},
};

/// A phone that wanted to hand somebody over has done so by then.
const LIFE: Duration = Duration::from_secs(60);

/// From one to the next.
const BETWEEN: Duration = Duration::from_secs(180);

/// Spares are heard under names of their own until they have a seat. No speaker has seen so many.
const FIRST_NAME: Seat = 1 << 62;

#[derive(Debug, Default)]
pub(super) struct Spares {
    waiting: Option<Waiting>,
    not_before: Option<Instant>,
    started: Seat,
    /// Names of those that got a seat, and which.
    seated: Vec<(Seat, Seat)>,
}

#[derive(Debug)]
struct Waiting {
    name: Seat,
    engine: Engine,
    until: Instant,
}

impl Spares {
    /// When the one that waits is to go.
    pub(super) fn until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|spare| spare.until)
    }

    /// Ends the one that waits: nobody came, or the settings have changed.
    pub(super) fn dismiss(&mut self) {
        self.waiting = None;
    }

    pub(super) fn take(&mut self) -> Option<Engine> {
        self.waiting.take().map(|spare| spare.engine)
    }

    /// The seat of what was heard; `None` while it has none.
    pub(super) fn seat(&self, name: Seat) -> Option<Seat> {
        if name < FIRST_NAME {
            return Some(name);
        }
        let mut seated = self.seated.iter();
        seated
            .find(|(spare, _)| *spare == name)
            .map(|(_, seat)| *seat)
    }

    pub(super) fn ended(&mut self, name: Seat) {
        self.waiting.take_if(|spare| spare.name == name);
    }
}

impl Speaker {
    /// A phone asked what the speaker is.
    pub(super) fn asked(&mut self) {
        let now = Instant::now();
        let vacant = matches!(self.seats.resident(), Resident::Nobody | Resident::Refused);
        let early = self.spares.not_before.is_some_and(|then| now < then);
        if !vacant || early || self.spares.waiting.is_some() || !self.engines.is_empty() {
            return;
        }
        self.spares.not_before = Some(now + BETWEEN);
        self.spares.started += 1;
        let name = FIRST_NAME + self.spares.started;
        let warm = Warm {
            protocol: PROTOCOL,
            device: self.settings.device.clone(),
            speaker: self.settings.speaker.clone(),
            network: self.settings.network.clone(),
            log: self.settings.log,
        };
        match Engine::spawn(warm, self.ear.clone(), move |heard| (name, heard)) {
            Ok(engine) => {
                let until = now + LIFE;
                self.spares.waiting = Some(Waiting {
                    name,
                    engine,
                    until,
                });
            }
            Err(error) => debug!("no engine could be made ready: {error}"),
        }
    }

    /// Gives the login to the engine that waits, if there is one. False: another is to be started.
    pub(super) fn seat_spare(&mut self, seat: Seat, start: &Start) -> bool {
        let Some(spare) = self.spares.waiting.take() else {
            return false;
        };
        if !spare.engine.send(Command::Start(Box::new(start.clone()))) {
            return false;
        }
        let engines = &self.engines;
        self.spares
            .seated
            .retain(|(_, seat)| engines.contains_key(seat));
        self.spares.seated.push((spare.name, seat));
        self.engines.insert(seat, spare.engine);
        true
    }
}

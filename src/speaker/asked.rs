//! Wishes about what plays: handed to the engine of whoever sits here, and answered in its words.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{
    News, Speaker,
    phase::{Resident, Seat},
};
use crate::{
    config,
    engine::{Engine, messages::Command},
    model::{Obstacle, Transport, Unmet},
};

/// Who waits for the word that a wish has come true.
pub type Waits = oneshot::Sender<Result<(), Unmet>>;

/// Wishes under way at once. Those whose askers have left are not counted.
const UNDER_WAY: usize = 64;

/// The wishes that engines are at.
#[derive(Debug, Default)]
pub(super) struct Asked {
    waiting: HashMap<u64, (Seat, Waits)>,
    last: u64,
}

/// Lets an engine leave; the seat that it had, where it had to be killed.
pub(super) async fn leaves(engine: Engine, seat: Option<Seat>) -> Option<Seat> {
    let left = engine.stop().await;
    seat.filter(|_| !left)
}

impl Speaker {
    /// Hands a wish to the engine.
    pub(super) async fn wish(&mut self, order: Transport, answer: Waits) {
        self.asked
            .waiting
            .retain(|_, (_, waits)| !waits.is_closed());
        let seat = match self.seats.resident() {
            Resident::Seated { seat, .. } => *seat,
            Resident::Nobody | Resident::Refused => {
                let why = "nobody is signed in on this speaker";
                return self
                    .answer_wish(answer, Err(Unmet::new(Obstacle::Nobody, why)))
                    .await;
            }
            Resident::SigningIn { .. } | Resident::Waiting { .. } => {
                let why = "the speaker is not connected with Spotify yet";
                let unmet = Unmet::new(Obstacle::NoSession, why);
                return self.answer_wish(answer, Err(unmet)).await;
            }
        };
        self.asked.last += 1;
        let id = self.asked.last;
        let command = Command::Order { id, order };
        let room = self.asked.waiting.len() < UNDER_WAY;
        let sent = room
            && self
                .engines
                .get(&seat)
                .is_some_and(|engine| engine.send(command));
        if sent {
            self.asked.waiting.insert(id, (seat, answer));
        } else {
            let why = "the speaker has too much to do";
            self.answer_wish(answer, Err(Unmet::new(Obstacle::NoSession, why)))
                .await;
        }
    }

    /// Leads the sound elsewhere; where nobody sits, there is nothing to be led.
    pub(super) async fn lead(&mut self, output: config::Output, answer: Waits) {
        let Resident::Seated { seat, .. } = self.seats.resident() else {
            return self.answer_wish(answer, Ok(())).await;
        };
        let seat = *seat;
        self.asked.last += 1;
        let id = self.asked.last;
        let command = Command::Output {
            id: Some(id),
            output,
        };
        if self
            .engines
            .get(&seat)
            .is_some_and(|engine| engine.send(command))
        {
            self.asked.waiting.insert(id, (seat, answer));
        } else {
            let why = "the speaker has too much to do";
            self.answer_wish(answer, Err(Unmet::new(Obstacle::NoSession, why)))
                .await;
        }
    }

    /// Tells every engine of this speaker what is different now and needs no other engine.
    pub(super) fn tell_engines(&self, old: &config::Speaker) {
        let new = &self.settings.speaker;
        for engine in self.engines.values() {
            if new.output != old.output {
                let output = new.output.clone();
                engine.send(Command::Output { id: None, output });
            }
            if new.name != old.name {
                let name = new.name.clone();
                engine.send(Command::Rename { name });
            }
        }
    }

    /// Every engine of this speaker logs more or less from now on.
    pub(super) fn tell_log(&self) {
        let level = self.settings.log;
        for engine in self.engines.values() {
            engine.send(Command::Log { level });
        }
    }

    /// Passes on what the engine says of whoever sits here; others have no say.
    pub(super) async fn of_resident(&self, seat: Seat, news: News) {
        if matches!(self.seats.resident(), Resident::Seated { seat: at, .. } if *at == seat) {
            self.tell_all(news).await;
        }
    }

    /// The engine on this seat has its word to say.
    pub(super) async fn done(&mut self, seat: Seat, id: u64, result: Result<(), Unmet>) {
        let is_ours = |(of, _): &mut (Seat, Waits)| *of == seat;
        if self.asked.waiting.get_mut(&id).is_some_and(is_ours)
            && let Some((_, answer)) = self.asked.waiting.remove(&id)
        {
            self.answer_wish(answer, result).await;
        }
    }

    /// An engine has left; where it was `killed`, it did not say so.
    pub(super) async fn left(&mut self, killed: Option<Seat>) {
        if let Some(seat) = killed {
            self.nothing_more(seat).await;
        }
    }

    /// The engine on this seat is gone, and its words with it: whoever waits for them is told so.
    pub(super) async fn nothing_more(&mut self, seat: Seat) {
        self.nothing_told(seat);
        let gone = self.asked.waiting.extract_if(|_, (of, _)| *of == seat);
        let gone: Vec<_> = gone.collect();
        for (_, (_, answer)) in gone {
            let why = "the session with Spotify was lost meanwhile";
            self.answer_wish(answer, Err(Unmet::new(Obstacle::NoSession, why)))
                .await;
        }
    }

    /// By way of the daemon, so that the state is told before the answer.
    async fn answer_wish(&self, answer: Waits, result: Result<(), Unmet>) {
        self.tell_all(News::Done { answer, result }).await;
    }
}

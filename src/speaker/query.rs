//! What somebody wants to see, asked of the engine of whoever sits here.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{
    Speaker,
    phase::{Resident, Seat},
};
use crate::{
    engine::messages::Command,
    model::{Known, Query},
};

/// Who waits for the answer; why not, in words.
pub type Wants = oneshot::Sender<Result<Known, String>>;

/// Questions under way at once. Those whose askers have left are not counted.
const UNDER_WAY: usize = 16;

/// The questions that engines are at.
#[derive(Debug, Default)]
pub(super) struct Queries {
    waiting: HashMap<u64, (Seat, Wants)>,
    last: u64,
}

impl Speaker {
    pub(super) fn ask(&mut self, query: Query, answer: Wants) {
        let waiting = &mut self.queries.waiting;
        waiting.retain(|_, (_, wants)| !wants.is_closed());
        let Resident::Seated { seat, .. } = self.seats.resident() else {
            let why = "nobody is connected with Spotify on this speaker";
            return drop(answer.send(Err(why.to_owned())));
        };
        self.queries.last += 1;
        let id = self.queries.last;
        let room = waiting.len() < UNDER_WAY;
        let engine = self.engines.get(seat).filter(|_| room);
        if engine.is_some_and(|engine| engine.send(Command::Ask { id, query })) {
            waiting.insert(id, (*seat, answer));
        } else {
            let _ = answer.send(Err("the speaker has too much to do".to_owned()));
        }
    }

    /// The engine on this seat has the answer.
    pub(super) fn told(&mut self, seat: Seat, id: u64, result: Result<Known, String>) {
        let is_ours = |(of, _): &mut (Seat, Wants)| *of == seat;
        let waiting = &mut self.queries.waiting;
        if waiting.get_mut(&id).is_some_and(is_ours)
            && let Some((_, answer)) = waiting.remove(&id)
        {
            // Who has left needs none.
            let _ = answer.send(result);
        }
    }

    /// The engine on this seat is gone: whoever waits for it hears so by being dropped.
    pub(super) fn nothing_told(&mut self, seat: Seat) {
        self.queries.waiting.retain(|_, (of, _)| *of != seat);
    }
}

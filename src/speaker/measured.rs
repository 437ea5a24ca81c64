//! What the engine measures of itself, for whoever asks; and what is said between it and hooks.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{
    News, Speaker,
    phase::{Input, Resident, Seat},
};
use crate::{
    engine::messages::{Command, Event},
    model::{Cut, Measures},
};

/// Questions that may wait for an engine at once. Those whose askers have left are not counted.
const UNDER_WAY: usize = 8;

/// Who waits for the answer to which question.
#[derive(Debug, Default)]
pub(super) struct Measured {
    waiting: HashMap<u64, oneshot::Sender<Measures>>,
    last: u64,
}

impl Speaker {
    /// Asks the engine that plays. Where there is none, or it has too much to do, nobody answers.
    pub(super) fn measure(&mut self, answer: oneshot::Sender<Measures>) {
        let measured = &mut self.measured;
        measured.waiting.retain(|_, waits| !waits.is_closed());
        let Resident::Seated { seat, .. } = self.seats.resident() else {
            return;
        };
        if measured.waiting.len() >= UNDER_WAY {
            return;
        }
        measured.last += 1;
        let id = measured.last;
        if let Some(engine) = self.engines.get(seat)
            && engine.send(Command::Measure { id })
        {
            measured.waiting.insert(id, answer);
        }
    }

    /// The engine on this seat has music that waits for a word.
    pub(super) async fn holding(&mut self, seat: Seat, on: bool) {
        if matches!(self.seats.resident(), Resident::Seated { seat: sits, .. } if *sits == seat) {
            self.tell_all(News::Holding(on)).await;
        }
    }

    pub(super) fn let_play(&mut self) {
        if let Resident::Seated { seat, .. } = self.seats.resident() {
            self.tell(*seat, Command::LetPlay);
        }
    }

    pub(super) fn measured(&mut self, id: u64, measures: Measures) {
        if let Some(answer) = self.measured.waiting.remove(&id) {
            // Whoever left needs no answer.
            let _ = answer.send(measures);
        }
    }

    /// What the one who sits here lost his session by, if that is what this says.
    pub(super) fn cut(&self, input: &Input) -> Option<Cut> {
        let (seat, cut) = match input {
            Input::Engine { seat, event } => match event {
                Event::Interrupted { cut: Some(cut), .. } => (seat, *cut),
                Event::Lost { .. } => (seat, Cut::SignIn),
                Event::Broken { .. } => (seat, Cut::Engine),
                _ => return None,
            },
            Input::Ended { seat, .. } => (seat, Cut::Engine),
            _ => return None,
        };
        let sits = match self.seats.resident() {
            Resident::Seated { seat, .. } | Resident::SigningIn { seat, .. } => Some(seat),
            _ => None,
        };
        (sits == Some(seat)).then_some(cut)
    }
}

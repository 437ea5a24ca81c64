//! The flows of the house, held to one a speaker.

use std::collections::BTreeMap;

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{PairError, flow::Flow, knock};
use crate::{
    config::LogLevel, daemon::board::Place, engine::messages::Pair, model::Pairing, speaker::Knock,
};

/// The flows of the house: one a speaker.
pub struct Pairings {
    flows: BTreeMap<Place, Held>,
    /// Hears of every state of every flow.
    tell: mpsc::Sender<(Place, Pairing)>,
}

struct Held {
    flow: Flow,
    /// Nobody asked for it: it was offered because the stored login was refused.
    offered: bool,
    teller: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.teller.abort();
    }
}

impl Pairings {
    pub fn new(tell: mpsc::Sender<(Place, Pairing)>) -> Self {
        Self {
            flows: BTreeMap::new(),
            tell,
        }
    }

    /// Starts a flow whose account is handed to the speaker as if a phone had brought it.
    ///
    /// # Errors
    /// While another one for this speaker is under way, or when no child can be started.
    pub fn start(
        &mut self,
        place: &Place,
        pair: Pair,
        knocks: mpsc::Sender<Knock>,
        offered: bool,
    ) -> Result<Pairing, PairError> {
        if let Some(held) = self.flows.get_mut(place)
            && !held.flow.is_over()
        {
            // Whoever asks now has taken the offer up.
            return match std::mem::replace(&mut held.offered, offered) {
                true if !offered => Ok(held.flow.now()),
                _ => Err(PairError::UnderWay),
            };
        }
        let way = pair.way;
        let flow = Flow::start(pair, move |granted| knock(knocks, granted.login, way))?;
        let teller = tokio::spawn(pass_on(flow.watch(), place.clone(), self.tell.clone()));
        let now = flow.now();
        let held = Held {
            flow,
            offered,
            teller,
        };
        self.flows.insert(place.clone(), held);
        Ok(now)
    }

    /// The flow of this speaker while it is under way.
    pub fn get(&self, place: &str) -> Option<&Flow> {
        let flow = &self.flows.get(place)?.flow;
        (!flow.is_over()).then_some(flow)
    }

    /// Where the flow of this speaker stands, or how the last one ended.
    pub fn last(&self, place: &str) -> Option<Pairing> {
        self.flows.get(place).map(|held| held.flow.now())
    }

    /// Nobody needs the code any more that nobody asked for.
    pub fn withdraw(&self, place: &str) {
        if let Some(held) = self.flows.get(place).filter(|held| held.offered) {
            held.flow.cancel();
        }
    }

    /// How much those that are under way log from now on.
    pub fn log_at(&self, level: LogLevel) {
        for held in self.flows.values() {
            held.flow.log_at(level);
        }
    }

    /// A speaker is gone, and its flow with it.
    pub fn remove(&mut self, place: &str) {
        self.flows.remove(place);
    }

    /// Asks them all to end.
    pub fn cancel(&self) {
        for held in self.flows.values() {
            held.flow.cancel();
        }
    }

    /// Waits until all have ended that were asked to.
    pub async fn ended(&mut self) {
        for held in self.flows.values_mut() {
            held.flow.ended().await;
        }
    }
}

/// Tells every state until the last.
async fn pass_on(
    mut state: watch::Receiver<Pairing>,
    place: Place,
    tell: mpsc::Sender<(Place, Pairing)>,
) {
    loop {
        let now = state.borrow_and_update().clone();
        let over = now.is_over();
        if tell.send((place.clone(), now)).await.is_err() || over {
            return;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

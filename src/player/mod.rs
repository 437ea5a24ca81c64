//! Plays tracks: decodes them ahead of the listener, one after the other without a gap.
//!
//! Owns a thread, the decoders and what waits in the output's ring. Knows nothing of queues,
//! accounts or the network: bytes come from a [`crate::decode::Source`], and what follows is told.
//! Volume, pause and fades lie behind the ring, in the output; which place is heard now says the
//! output's [`Clock`](crate::output::Clock).
//!
//! ```text
//! Order ─► Bell ─► Deck { tail, current, next } ─► Inlet (1 s ring) ─► the output's device
//! ```
//!
//! The thread sleeps while the ring is more than half full: it wakes about once a second.

mod bell;
mod deck;
mod fade;
mod loudness;
mod order;
mod tell;
mod track;

use std::{
    collections::VecDeque,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use bell::Bell;
use deck::{Deck, Pump};
pub use order::{Event, Gain, Opened, Order, PlayerSettings, Why};

use crate::output::Inlet;

/// News that wait for a slow listener; what is older then is out of date anyway.
const NEWS: usize = 64;
/// How soon news are offered again that could not be told.
const AGAIN: Duration = Duration::from_millis(20);
/// A source that has nothing and does not wait either is not asked more often.
const RESPITE: Duration = Duration::from_millis(5);

/// The handle of a player. Dropping it ends the player's thread.
#[derive(Debug)]
pub struct Player {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Starts the player's thread. The receiver ends when the player does.
    ///
    /// # Errors
    ///
    /// When the machine gives no thread.
    pub fn start(
        inlet: Inlet,
        settings: PlayerSettings,
    ) -> std::io::Result<(Self, mpsc::Receiver<Event>)> {
        let (to, from) = mpsc::channel(NEWS);
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        inlet.on_change(Arc::new(move || ring.ring()));
        let deck = Deck::new(inlet, settings);
        let own = Arc::clone(&bell);
        let thread = thread::Builder::new()
            .name("siskin-player".into())
            .spawn(move || run(deck, &own, &to))?;
        let thread = Some(thread);
        Ok((Self { bell, thread }, from))
    }

    /// Never blocks. Orders are carried out one after the other; one that makes an earlier one
    /// pointless replaces it.
    pub fn order(&self, order: Order) {
        self.bell.post(order);
    }
}

impl Drop for Player {
    /// The thread never waits for longer than a read does, some hundredths of a second.
    fn drop(&mut self) {
        self.bell.close();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the player's thread had panicked");
        }
    }
}

fn run(mut deck: Deck, bell: &Bell, to: &mpsc::Sender<Event>) {
    let mut news = VecDeque::new();
    while !bell.is_closing() {
        while let Some(order) = bell.next() {
            deck.order(order);
        }
        let began = Instant::now();
        let pump = deck.pump();
        // What follows gets ready only while the current track has all it needs.
        let busy = match pump {
            Pump::Worked => true,
            Pump::Hungry => false,
            Pump::Full => deck.prime(),
        };
        let freed = deck.tell();
        news.extend(deck.news.drain(..));
        let told = tell(&mut news, to);
        if busy || freed {
            continue;
        }
        let limit = match pump {
            Pump::Hungry if deck.presses() && began.elapsed() >= RESPITE => continue,
            Pump::Hungry if deck.presses() => Some(RESPITE),
            _ => deck.sleep(),
        };
        bell.wait(if told { limit } else { Some(AGAIN) });
    }
    // Whatever was heard fades; nothing of this player comes after it.
    deck.order(Order::Stop);
}

/// False when some have to be told later.
fn tell(news: &mut VecDeque<Event>, to: &mpsc::Sender<Event>) -> bool {
    while let Some(event) = news.pop_front() {
        match to.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(event)) => {
                news.push_front(event);
                while news.len() > NEWS {
                    tracing::warn!("nobody listens to the player: {:?}", news.pop_front());
                }
                return false;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => news.clear(),
        }
    }
    true
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod whole_tests;

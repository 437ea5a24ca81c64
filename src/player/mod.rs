//! Plays tracks: decodes them ahead of the listener, one after the other without a gap.
//!
//! Owns a thread, the decoders and what waits in the output's ring. Knows nothing of queues,
//! accounts or the network: bytes come from a [`crate::decode::Source`], and what follows is told.
//! Volume, pause and fades lie behind the ring, in the output; which place is heard now says the
//! output's [`Clock`](crate::output::Clock).

mod order;

use tokio::sync::mpsc;

pub use order::{Event, Opened, Order, PlayerSettings, Why};

use crate::output::Inlet;

/// The handle of a player. Dropping it ends the player's thread.
#[derive(Debug)]
pub struct Player {}

impl Player {
    /// Starts the player's thread.
    ///
    /// # Errors
    ///
    /// When the machine gives no thread.
    pub fn start(
        _inlet: Inlet,
        _settings: PlayerSettings,
    ) -> std::io::Result<(Self, mpsc::Receiver<Event>)> {
        let (_to, from) = mpsc::channel(64);
        Ok((Self {}, from))
    }

    /// Never blocks. Orders are carried out one after the other; one that makes an earlier one
    /// pointless replaces it.
    pub fn order(&self, _order: Order) {}
}

//! The other devices of the account, and playback that goes to one of them.

use super::{
    Action, Connect, Order,
    replies::{Answer, Wants},
};
use crate::model::{Forbidden, MAX_PEERS, Obstacle, Peer, Repeat, Restriction, Unmet};

/// Longer words are cut: they are told to every remote.
const WORDS: usize = 120;

/// Why what Spotify chose after the end takes no other order, as apps are told it.
const AUTOPLAY: &str = "autoplay";

/// Ids are written into addresses.
fn is_plain(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=WORDS).contains(&id.len()) && id.chars().all(plain)
}

impl Connect {
    /// Notes who else is there, as a cluster names them.
    pub(super) fn meet(&mut self, devices: Vec<Peer>, active: &str) {
        if devices.is_empty() {
            return;
        }
        let others = devices
            .into_iter()
            .filter(|peer| !self.standing.is_own(&peer.id) && is_plain(&peer.id));
        let mut others: Vec<Peer> = others
            .map(|peer| Peer {
                active: peer.id == active,
                name: peer.name.chars().take(WORDS).collect(),
                ..peer
            })
            .collect();
        others.sort_by(|one, two| (&one.name, &one.id).cmp(&(&two.name, &two.id)));
        others.truncate(MAX_PEERS);
        if others != self.peers {
            self.peers.clone_from(&others);
            self.push(Action::Devices(others));
        }
    }

    /// Asks that playback go to the device of this id or name.
    pub(super) fn send(&mut self, to: &str) -> Result<Answer, Unmet> {
        let device = self.addressed(to)?;
        self.sending = Some(device.clone());
        self.push(Action::SendTo { device });
        Ok(Answer::Later(Wants::Sent))
    }

    fn addressed(&self, to: &str) -> Result<String, Unmet> {
        if let Some(peer) = self.peers.iter().find(|peer| peer.id == to) {
            return Ok(peer.id.clone());
        }
        if self.standing.is_own(to) {
            let why = "it plays here already";
            return Err(Unmet::new(Obstacle::Conflict, why));
        }
        let mut named = self
            .peers
            .iter()
            .filter(|peer| peer.name.to_lowercase() == to.to_lowercase());
        match (named.next(), named.next()) {
            (Some(peer), None) => Ok(peer.id.clone()),
            (Some(_), Some(_)) => {
                let why = format!("several devices are called {to:?}; name one by its id");
                Err(Unmet::new(Obstacle::Conflict, why))
            }
            (None, _) => {
                let why = format!("the account has no device {to:?}");
                Err(Unmet::new(Obstacle::UnknownDevice, why))
            }
        }
    }

    /// Another device plays now: the one that was meant, or another one.
    pub(super) fn arrived(&mut self, active: &str) {
        if self.sending.take().is_some_and(|device| device == active) {
            self.settle(|wants| wants == Wants::Sent, Ok(()));
        }
    }

    pub(super) fn not_sent(&mut self, why: &str) {
        self.sending = None;
        let why = format!("Spotify does not move it there: {why}");
        self.replies.settle(
            |wants| wants == Wants::Sent,
            &Err(why),
            Obstacle::Conflict,
            &mut self.out,
        );
    }

    /// What Spotify does not allow at present.
    pub fn restrictions(&self) -> Vec<Restriction> {
        let mut all = self.lineup.context.restrictions.clone();
        if self.is_autoplay() {
            let chosen = [
                Forbidden::Shuffle,
                Forbidden::RepeatContext,
                Forbidden::RepeatTrack,
            ];
            all.extend(chosen.map(|what| Restriction {
                what,
                why: AUTOPLAY.to_owned(),
            }));
        }
        all.sort_by_key(|one| one.what);
        all.dedup_by_key(|one| one.what);
        all
    }

    /// Why this order goes against what Spotify allows, if it does.
    pub(super) fn forbids(&self, order: &Order) -> Option<Unmet> {
        let modes = self.lineup.modes();
        let goes_on = match self.want_play {
            true => Forbidden::Pause,
            false => Forbidden::Resume,
        };
        let what = match order {
            Order::Pause => Forbidden::Pause,
            Order::Play => Forbidden::Resume,
            Order::Toggle => goes_on,
            Order::Next => Forbidden::Next,
            Order::Previous => Forbidden::Previous,
            Order::Seek { .. } | Order::SeekBy { .. } => Forbidden::Seek,
            Order::Shuffle(_) => Forbidden::Shuffle,
            Order::Repeat(Repeat::Track) => Forbidden::RepeatTrack,
            Order::Repeat(Repeat::Off) if modes.repeat_track => Forbidden::RepeatTrack,
            Order::Repeat(_) => Forbidden::RepeatContext,
            Order::Enqueue(_) => Forbidden::Queue,
            _ => return None,
        };
        let found = self
            .restrictions()
            .into_iter()
            .find(|one| one.what == what)?;
        let why = format!("Spotify does not allow it at present: {}", found.why);
        Some(Unmet::new(Obstacle::Restricted, why))
    }
}

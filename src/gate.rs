//! How many strangers are let in at once, and who has to leave for whom.
//!
//! Whoever says nothing never keeps out whoever asks: where there is no room, the connection that has
//! waited longest since it came, or since its last request, is ended for the new one. Only a request
//! that is being answered is not disturbed. So a crowd, however many addresses it has, gets as many
//! connections as it could have anyway, and a phone gets its answer.
//!
//! What is dear to us (a handover takes an exchange of keys) goes at a pace, by address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Handovers and resets that one address has at once, and the time until it has another. Nobody who
/// presses buttons is that quick, nor are many behind one address.
const AT_ONCE: u32 = 200;
const ANOTHER: Duration = Duration::from_millis(100);
/// Addresses whose pace is known. Where there are more, who comes next to having all again is forgotten.
const PACES: usize = 64;

/// The connections at all the doors that share it, in all and by address.
pub struct Gate {
    connections: usize,
    per_peer: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// In the order in which they began to wait: the first one has been silent longest.
    connections: Vec<Inner>,
    last: u64,
    /// By address, when all that it has at once is there again.
    paces: HashMap<IpAddr, Instant>,
}

struct Inner {
    number: u64,
    peer: IpAddr,
    /// A whole request is here, and its answer is being made.
    busy: bool,
    leave: CancellationToken,
}

impl Gate {
    /// Room for so many, and for so many of them from one address.
    pub fn new(connections: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            connections,
            per_peer,
            inside: Mutex::default(),
        })
    }

    /// `None` when there is no room, and everybody who is inside is being answered.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Place>> {
        let mut inside = self.inside();
        let own = inside.connections.iter().filter(|one| one.peer == peer);
        let crowded = own.count() >= self.per_peer;
        if crowded || inside.connections.len() >= self.connections {
            let may_leave = |one: &Inner| !one.busy && (one.peer == peer || !crowded);
            let at = inside.connections.iter().position(may_leave)?;
            inside.connections.remove(at).leave.cancel();
        }
        inside.last += 1;
        let number = inside.last;
        let leave = CancellationToken::new();
        inside.connections.push(Inner {
            number,
            peer,
            busy: false,
            leave: leave.clone(),
        });
        let gate = self.clone();
        Some(Arc::new(Place {
            gate,
            number,
            peer,
            leave,
        }))
    }

    /// Whether `peer` may hand somebody over, or reset, at `now`; if so, that is counted.
    fn may_change(&self, peer: IpAddr, now: Instant) -> bool {
        let paces = &mut self.inside().paces;
        paces.retain(|_, whole_at| *whole_at > now);
        let whole_at = paces.get(&peer).copied().unwrap_or(now) + ANOTHER;
        if whole_at - now > AT_ONCE * ANOTHER {
            return false;
        }
        paces.insert(peer, whole_at);
        if paces.len() > PACES
            && let Some(next) = paces.iter().min_by_key(|(_, at)| **at).map(|(ip, _)| *ip)
        {
            paces.remove(&next);
        }
        true
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // It guards no data of its own that a panic could have spoilt.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when dropped.
pub struct Place {
    gate: Arc<Gate>,
    number: u64,
    pub peer: IpAddr,
    leave: CancellationToken,
}

impl Place {
    /// Waits until somebody else needs the place. The connection is to end at once.
    pub fn is_needed(&self) -> WaitForCancellationFuture<'_> {
        self.leave.cancelled()
    }

    /// Whether whoever holds this place may hand somebody over, or reset, now. Asked once for each.
    pub fn may_change(&self) -> bool {
        self.gate.may_change(self.peer, Instant::now())
    }

    /// A request has come whole: until what is returned is dropped, nobody takes the place. `None`
    /// when somebody has already.
    pub fn answering(self: &Arc<Self>) -> Option<Answering> {
        let mut inside = self.gate.inside();
        let all = &mut inside.connections;
        let mine = all.iter_mut().find(|one| one.number == self.number)?;
        mine.busy = true;
        Some(Answering(self.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.connections.retain(|one| one.number != self.number);
    }
}

/// A request that is being answered.
pub struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut inside = self.0.gate.inside();
        let all = &mut inside.connections;
        if let Some(at) = all.iter().position(|one| one.number == self.0.number) {
            // It begins to wait for its next request now.
            let mut mine = all.remove(at);
            mine.busy = false;
            all.push(mine);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    fn has_left(place: &Arc<Place>) -> bool {
        place.leave.is_cancelled()
    }

    #[test]
    fn the_one_who_has_been_silent_longest_leaves_for_the_next() {
        let gate = Gate::new(8, 2);
        let enter = || gate.enter(peer(1)).expect("room is made");
        let (first, second) = (enter(), enter());
        let third = enter();
        assert!(has_left(&first) && !has_left(&second) && !has_left(&third));
        // Who was answered has waited since then only.
        drop(second.answering().expect("its place is its own"));
        let _fourth = enter();
        assert!(has_left(&third) && !has_left(&second));
        assert!(first.answering().is_none(), "its place is somebody else's");
    }

    #[test]
    fn who_is_being_answered_stays_and_who_comes_then_is_refused() {
        let gate = Gate::new(8, 2);
        let places = [(); 2].map(|()| gate.enter(peer(1)).expect("room"));
        let busy = places.each_ref().map(|place| place.answering());
        assert!(gate.enter(peer(1)).is_none());
        assert!(gate.enter(peer(2)).is_some(), "others have room");
        drop(busy);
        assert!(gate.enter(peer(1)).is_some());
        assert!(has_left(&places[0]) || has_left(&places[1]));
    }

    #[test]
    fn many_addresses_take_the_place_of_each_other_and_never_more_than_there_are() {
        let gate = Gate::new(4, 2);
        let all: Vec<_> = (0..50)
            .map(|number| gate.enter(peer(number)).expect("room is made"))
            .collect();
        assert_eq!(all.iter().filter(|place| !has_left(place)).count(), 4);
        assert_eq!(gate.inside().connections.len(), 4);
        drop(all);
        assert_eq!(gate.inside().connections.len(), 0);
    }

    #[test]
    fn a_crowd_at_one_address_never_sends_others_away() {
        let gate = Gate::new(3, 2);
        let other = gate.enter(peer(9)).expect("room");
        let _crowd: Vec<_> = (0..50).map(|_| gate.enter(peer(1))).collect();
        assert!(!has_left(&other));
    }

    #[test]
    fn one_address_has_its_handovers_at_a_pace_and_others_have_theirs() {
        let (gate, begun) = (Gate::new(8, 2), Instant::now());
        let may = |who: u8, ms: u64| gate.may_change(peer(who), begun + Duration::from_millis(ms));
        assert_eq!((0..300).filter(|_| may(1, 0)).count(), 200);
        assert!(may(2, 0), "somebody else");
        assert!(!may(1, 99) && may(1, 100) && !may(1, 100));
        let in_a_minute = (200..60_200).filter(|ms| may(1, *ms)).count();
        assert!((599..=601).contains(&in_a_minute), "{in_a_minute}");
        assert_eq!((0..300).filter(|_| may(1, 90_000)).count(), 200);
    }

    #[test]
    fn a_crowd_of_addresses_is_not_remembered() {
        let (gate, now) = (Gate::new(8, 2), Instant::now());
        while gate.may_change(peer(0), now) {}
        for number in 1..=255 {
            assert!(gate.may_change(peer(number), now));
            assert!(gate.inside().paces.len() <= PACES);
        }
        assert!(!gate.may_change(peer(0), now), "who asked most is");
    }
}

//! When to put what: the newest state, at most five times a second, tried again with growing
//! pauses. Somebody may wait for what was said so far to be known: it is brought forward then. No
//! I/O; the pump asks it what to do.

use std::{collections::VecDeque, time::Duration};

use crate::connect::PutReason;

/// So many PUTs within [`WINDOW_MS`] at most, whatever the hurry.
const BURST: usize = 5;
const WINDOW_MS: u64 = 1_000;

/// Without hurry they are spread evenly.
const SPACING_MS: u64 = WINDOW_MS / BURST as u64;

/// The first pause after a failure; each one after it is twice as long.
const FIRST_PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 30_000;

/// One thing to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parcel {
    /// The newest state. `number` is that of the newest wish in it.
    State {
        reason: PutReason,
        number: u64,
    },
    Inactive,
    Delete,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// At this tick (ms).
    At(u64),
    Now(Parcel),
}

/// The oldest of the wishes that one parcel fulfils, counted from 1; `None`: nobody wishes it.
type Oldest = Option<u64>;

#[derive(Debug, Default)]
pub struct Schedule {
    new_device: Oldest,
    state: Oldest,
    volume: Oldest,
    inactive: Oldest,
    delete: bool,
    /// That of the parcel which was sent and not heard of since.
    under_way: Oldest,
    number: u64,
    /// How many there were.
    wishes: u64,
    /// Somebody waits until so many are known.
    awaited: u64,
    /// The service has heard of the device over this way.
    introduced: bool,
    /// When the last parcels were sent; at most [`BURST`], the oldest first.
    sent: VecDeque<u64>,
    /// After a failure: not before this tick.
    pause_until: u64,
    failures: u32,
}

impl Schedule {
    /// A state is to be put.
    pub fn put(&mut self, reason: PutReason, number: u64) {
        let wish = self.wish();
        match reason {
            PutReason::NewDevice => self.new_device = oldest(self.new_device, wish),
            PutReason::StateChanged => {
                // It plays again: nobody needs to hear that it did not.
                self.state = oldest(oldest(self.state, self.inactive.take()), wish);
            }
            PutReason::VolumeChanged => self.volume = oldest(self.volume, wish),
        }
        self.number = self.number.max(number);
    }

    /// It does not play any more: what it played is no news now.
    pub fn put_inactive(&mut self) {
        let wish = self.wish();
        self.inactive = oldest(oldest(self.inactive, self.state.take()), wish);
    }

    fn wish(&mut self) -> Oldest {
        self.wishes += 1;
        Some(self.wishes)
    }

    /// The last thing that is sent.
    pub fn delete(&mut self) {
        *self = Self {
            inactive: self.inactive,
            delete: true,
            // Who leaves does not wait for its turn: no parcel before it counts.
            ..Self::default()
        };
    }

    /// The way is new (another connection): what failed before need not fail now.
    pub fn forget_failures(&mut self) {
        (self.failures, self.pause_until) = (0, 0);
    }

    /// Somebody waits until everything that was wished so far is known: returns what
    /// [`Schedule::known`] has to be then. Until it is, nothing waits but for the limit, and for
    /// pauses after failures.
    pub fn hurry(&mut self) -> u64 {
        // On a way over which nothing was said yet, at least the introduction is waited for.
        self.awaited = self.wishes.max(1);
        self.awaited
    }

    /// So many of the wishes the service has heard of, or of something newer in their place.
    pub fn known(&self) -> u64 {
        if !self.introduced {
            return 0;
        }
        let open = [
            self.new_device,
            self.state,
            self.volume,
            self.inactive,
            self.under_way,
        ];
        let oldest = open.into_iter().flatten().min();
        oldest.map_or(self.wishes, |oldest| oldest - 1)
    }

    pub fn due(&self, tick_ms: u64) -> Due {
        let Some(parcel) = self.next() else {
            return Due::Nothing;
        };
        let at = self.not_before();
        if tick_ms < at {
            return Due::At(at);
        }
        Due::Now(parcel)
    }

    fn not_before(&self) -> u64 {
        let full = self.sent.len() >= BURST;
        let first = self.sent.front().filter(|_| full);
        let last = self.sent.back().filter(|_| self.known() >= self.awaited);
        let window = first.map_or(0, |first| first + WINDOW_MS);
        let spread = last.map_or(0, |last| last + SPACING_MS);
        self.pause_until.max(window).max(spread)
    }

    /// A new device is nothing to anybody until it is listed; volume comes after the state, as web
    /// players lose the position otherwise *(seen in librespot-connect)*.
    fn next(&self) -> Option<Parcel> {
        let state = |reason| {
            Some(Parcel::State {
                reason,
                number: self.number,
            })
        };
        if self.new_device.is_some() {
            state(PutReason::NewDevice)
        } else if self.inactive.is_some() {
            Some(Parcel::Inactive)
        } else if self.state.is_some() {
            state(PutReason::StateChanged)
        } else if self.volume.is_some() {
            state(PutReason::VolumeChanged)
        } else {
            self.delete.then_some(Parcel::Delete)
        }
    }

    /// It is being sent: from here on there is news only if somebody says so.
    pub fn sent(&mut self, parcel: Parcel, tick_ms: u64) {
        self.under_way = match parcel {
            Parcel::State { reason, .. } => match reason {
                // The whole state goes with it.
                PutReason::NewDevice => {
                    let state = oldest(self.state.take(), self.volume.take());
                    oldest(self.new_device.take(), state)
                }
                PutReason::StateChanged => self.state.take(),
                PutReason::VolumeChanged => self.volume.take(),
            },
            Parcel::Inactive => self.inactive.take(),
            Parcel::Delete => {
                self.delete = false;
                None
            }
        };
        if self.sent.len() >= BURST {
            self.sent.pop_front();
        }
        self.sent.push_back(tick_ms);
    }

    pub fn arrived(&mut self, parcel: Parcel) {
        self.failures = 0;
        self.under_way = None;
        let is_introduction = matches!(
            parcel,
            Parcel::State {
                reason: PutReason::NewDevice,
                ..
            }
        );
        self.introduced |= is_introduction;
    }

    /// It did not arrive. `chance` is any number; `pause` what the service asked for.
    pub fn failed(&mut self, parcel: Parcel, pause: Option<Duration>, tick_ms: u64, chance: u64) {
        let lost = self.under_way.take();
        let again = match parcel {
            // Who leaves has nothing more to say.
            Parcel::State { .. } if self.delete => None,
            Parcel::State { reason, .. } => match reason {
                PutReason::NewDevice => Some(&mut self.new_device),
                // Who became inactive meanwhile does not claim to play.
                PutReason::StateChanged if self.inactive.is_some() => Some(&mut self.inactive),
                PutReason::StateChanged => Some(&mut self.state),
                PutReason::VolumeChanged => Some(&mut self.volume),
            },
            Parcel::Inactive if self.state.is_some() => Some(&mut self.state),
            Parcel::Inactive => Some(&mut self.inactive),
            Parcel::Delete => {
                self.delete = true;
                None
            }
        };
        if let Some(again) = again {
            // Begun before a goodbye, it has no number any more.
            *again = oldest(*again, lost.or(Some(self.wishes)));
        }
        let longest = (FIRST_PAUSE_MS << self.failures.min(10)).min(LONGEST_PAUSE_MS);
        self.failures += 1;
        // Between half and the whole of it, so that not all speakers come at once.
        let own = longest / 2 + chance % (longest / 2 + 1);
        let asked = pause.map_or(0, |pause| pause.as_millis() as u64);
        self.pause_until = tick_ms + own.max(asked);
    }
}

fn oldest(one: Oldest, other: Oldest) -> Oldest {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(number: u64) -> Parcel {
        Parcel::State {
            reason: PutReason::StateChanged,
            number,
        }
    }

    #[test]
    fn the_first_change_goes_out_at_once_and_many_go_together() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(1_000), Due::Nothing);
        schedule.put(PutReason::StateChanged, 1);
        assert_eq!(schedule.due(1_000), Due::Now(state(1)));
        schedule.sent(state(1), 1_000);
        schedule.arrived(state(1));
        for number in 2..50 {
            schedule.put(PutReason::StateChanged, number);
        }
        assert_eq!(schedule.due(1_050), Due::At(1_200));
        assert_eq!(schedule.due(1_200), Due::Now(state(49)));
    }

    #[test]
    fn who_became_inactive_does_not_claim_to_play_and_the_other_way_round() {
        let mut schedule = Schedule::default();
        schedule.put(PutReason::StateChanged, 1);
        schedule.put_inactive();
        assert_eq!(schedule.due(0), Due::Now(Parcel::Inactive));
        schedule.put(PutReason::StateChanged, 2);
        assert_eq!(schedule.due(0), Due::Now(state(2)));
        schedule.sent(state(2), 0);
        schedule.put_inactive();
        schedule.failed(state(2), None, 10, 0);
        let Due::At(at) = schedule.due(10) else {
            panic!("there is a pause");
        };
        assert_eq!(schedule.due(at), Due::Now(Parcel::Inactive));
    }

    #[test]
    fn pauses_grow_with_chance_in_them_and_the_service_may_ask_for_longer_ones() {
        let mut schedule = Schedule::default();
        schedule.put(PutReason::StateChanged, 1);
        let mut tick = 0;
        for longest in [250, 500, 1_000, 2_000] {
            schedule.sent(state(1), tick);
            schedule.failed(state(1), None, tick, tick + 17);
            let Due::At(at) = schedule.due(tick) else {
                panic!("there is a pause");
            };
            assert!(
                (longest / 2..=longest).contains(&(at - tick)),
                "{}",
                at - tick
            );
            tick = at;
        }
        schedule.sent(state(1), tick);
        schedule.failed(state(1), Some(Duration::from_secs(9)), tick, 0);
        assert_eq!(schedule.due(tick), Due::At(tick + 9_000));
        schedule.forget_failures();
        let spread = tick + SPACING_MS;
        assert_eq!(
            schedule.due(tick),
            Due::At(spread),
            "but not beyond the limit"
        );
        assert_eq!(schedule.due(spread), Due::Now(state(1)));
    }

    #[test]
    fn a_new_device_comes_first_and_who_leaves_says_nothing_else() {
        let mut schedule = Schedule::default();
        schedule.put(PutReason::VolumeChanged, 1);
        schedule.put(PutReason::NewDevice, 2);
        let new = Parcel::State {
            reason: PutReason::NewDevice,
            number: 2,
        };
        assert_eq!(schedule.due(0), Due::Now(new));
        schedule.sent(new, 0);
        assert_eq!(
            schedule.due(0),
            Due::Nothing,
            "the whole state went with it"
        );
        schedule.put(PutReason::StateChanged, 3);
        schedule.put_inactive();
        schedule.delete();
        assert_eq!(schedule.due(0), Due::Now(Parcel::Inactive));
        schedule.sent(Parcel::Inactive, 0);
        assert_eq!(schedule.due(200), Due::Now(Parcel::Delete));
    }

    /// A schedule on a way that knows the device, since tick 0.
    fn introduced() -> Schedule {
        let new = Parcel::State {
            reason: PutReason::NewDevice,
            number: 1,
        };
        let mut schedule = Schedule::default();
        schedule.put(PutReason::NewDevice, 1);
        schedule.sent(new, 0);
        schedule.arrived(new);
        schedule
    }

    #[test]
    fn what_somebody_waits_for_is_brought_forward_and_known_once_it_arrived() {
        let mut schedule = introduced();
        schedule.put(PutReason::StateChanged, 2);
        assert_eq!(schedule.due(10), Due::At(SPACING_MS));
        let wanted = schedule.hurry();
        assert_eq!(schedule.due(10), Due::Now(state(2)));
        schedule.sent(state(2), 10);
        assert!(schedule.known() < wanted, "it may be lost yet");
        // What comes after the question is not waited for, and has no hurry.
        schedule.put(PutReason::StateChanged, 3);
        schedule.arrived(state(2));
        assert!(schedule.known() >= wanted);
        assert_eq!(schedule.due(20), Due::At(10 + SPACING_MS));
    }

    #[test]
    fn what_is_known_already_needs_no_waiting_and_a_new_way_has_to_be_told_first() {
        let mut schedule = introduced();
        assert!(schedule.hurry() <= schedule.known());
        let mut fresh = Schedule::default();
        let wanted = fresh.hurry();
        assert!(fresh.known() < wanted);
        fresh.put(PutReason::NewDevice, 7);
        let Due::Now(new) = fresh.due(0) else {
            panic!("at once");
        };
        fresh.sent(new, 0);
        fresh.arrived(new);
        assert!(fresh.known() >= wanted);
    }

    #[test]
    fn a_hurry_waits_for_pauses_and_for_what_replaces_what_it_asked_for() {
        let mut schedule = introduced();
        schedule.put(PutReason::StateChanged, 2);
        let wanted = schedule.hurry();
        schedule.sent(state(2), 10);
        schedule.failed(state(2), Some(Duration::from_secs(3)), 20, 0);
        assert_eq!(schedule.due(30), Due::At(3_020));
        schedule.put_inactive();
        assert!(schedule.known() < wanted);
        assert_eq!(schedule.due(3_020), Due::Now(Parcel::Inactive));
        schedule.sent(Parcel::Inactive, 3_020);
        schedule.arrived(Parcel::Inactive);
        assert!(schedule.known() >= wanted);
    }

    proptest::proptest! {
        #[test]
        fn nobody_hears_more_than_five_a_second_and_what_is_wished_is_known_in_the_end(
            steps in proptest::collection::vec((0_u8..7, 0_u64..150), 1..200)
        ) {
            let mut schedule = introduced();
            let (mut tick, mut times, mut number) = (0, vec![0], 1);
            let mut under_way = None;
            let mut turn = |schedule: &mut Schedule, what: u8, tick: u64| {
                number += 1;
                match what {
                    0 => schedule.put(PutReason::StateChanged, number),
                    1 => schedule.put(PutReason::VolumeChanged, number),
                    2 => schedule.put_inactive(),
                    3 => drop(schedule.hurry()),
                    4 => schedule.put(PutReason::NewDevice, number),
                    _ => match (under_way.take(), schedule.due(tick)) {
                        (Some(parcel), _) if what == 5 => schedule.arrived(parcel),
                        (Some(parcel), _) => schedule.failed(parcel, None, tick, tick),
                        (None, Due::Now(parcel)) => {
                            schedule.sent(parcel, tick);
                            times.push(tick);
                            under_way = Some(parcel);
                        }
                        _ => {}
                    },
                }
            };
            for (what, pause) in steps {
                tick += pause;
                turn(&mut schedule, what, tick);
            }
            let wanted = schedule.hurry();
            for _ in 0..20 {
                tick += LONGEST_PAUSE_MS;
                turn(&mut schedule, 5, tick);
            }
            proptest::prop_assert!(schedule.known() >= wanted);
            for window in times.windows(BURST + 1) {
                proptest::prop_assert!(window[BURST] - window[0] >= WINDOW_MS, "{window:?}");
            }
        }
    }
}

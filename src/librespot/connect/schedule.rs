//! When to put what: the newest state, at most five times a second, tried again with growing
//! pauses. No I/O; the pump asks it what to do.

use std::time::Duration;

use crate::connect::PutReason;

/// Five PUTs a second.
const SPACING_MS: u64 = 200;

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

#[derive(Debug, Default)]
pub struct Schedule {
    new_device: bool,
    state: bool,
    volume: bool,
    inactive: bool,
    delete: bool,
    number: u64,
    /// Not before this tick.
    not_before: u64,
    failures: u32,
}

impl Schedule {
    /// A state is to be put.
    pub fn put(&mut self, reason: PutReason, number: u64) {
        match reason {
            PutReason::NewDevice => self.new_device = true,
            PutReason::StateChanged => {
                self.state = true;
                // It plays again: nobody needs to hear that it did not.
                self.inactive = false;
            }
            PutReason::VolumeChanged => self.volume = true,
        }
        self.number = self.number.max(number);
    }

    /// It does not play any more: what it played is no news now.
    pub fn put_inactive(&mut self) {
        self.state = false;
        self.inactive = true;
    }

    /// The last thing that is sent.
    pub fn delete(&mut self) {
        *self = Self {
            inactive: self.inactive,
            delete: true,
            // Who leaves does not wait for its turn.
            not_before: 0,
            ..Self::default()
        };
    }

    /// The way is new (another connection): what failed before need not fail now.
    pub fn forget_failures(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.not_before = 0;
        }
    }

    pub fn due(&self, tick_ms: u64) -> Due {
        let Some(parcel) = self.next() else {
            return Due::Nothing;
        };
        if tick_ms < self.not_before {
            return Due::At(self.not_before);
        }
        Due::Now(parcel)
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
        if self.new_device {
            state(PutReason::NewDevice)
        } else if self.inactive {
            Some(Parcel::Inactive)
        } else if self.state {
            state(PutReason::StateChanged)
        } else if self.volume {
            state(PutReason::VolumeChanged)
        } else {
            self.delete.then_some(Parcel::Delete)
        }
    }

    /// It is being sent: from here on there is news only if somebody says so.
    pub fn sent(&mut self, parcel: Parcel, tick_ms: u64) {
        match parcel {
            Parcel::State { reason, .. } => match reason {
                // The whole state goes with it.
                PutReason::NewDevice => {
                    (self.new_device, self.state, self.volume) = (false, false, false)
                }
                PutReason::StateChanged => self.state = false,
                PutReason::VolumeChanged => self.volume = false,
            },
            Parcel::Inactive => self.inactive = false,
            Parcel::Delete => self.delete = false,
        }
        self.not_before = tick_ms + SPACING_MS;
    }

    pub fn arrived(&mut self) {
        self.failures = 0;
    }

    /// It did not arrive. `chance` is any number; `pause` what the service asked for.
    pub fn failed(&mut self, parcel: Parcel, pause: Option<Duration>, tick_ms: u64, chance: u64) {
        match parcel {
            // Who leaves has nothing more to say.
            Parcel::State { .. } if self.delete => {}
            Parcel::State { reason, .. } => match reason {
                PutReason::NewDevice => self.new_device = true,
                // Who became inactive meanwhile does not claim to play.
                PutReason::StateChanged => self.state = !self.inactive,
                PutReason::VolumeChanged => self.volume = true,
            },
            Parcel::Inactive => self.inactive = !self.state,
            Parcel::Delete => self.delete = true,
        }
        let longest = (FIRST_PAUSE_MS << self.failures.min(10)).min(LONGEST_PAUSE_MS);
        self.failures += 1;
        // Between half and the whole of it, so that not all speakers come at once.
        let own = longest / 2 + chance % (longest / 2 + 1);
        let asked = pause.map_or(0, |pause| pause.as_millis() as u64);
        self.not_before = tick_ms + own.max(asked);
    }
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
        schedule.arrived();
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
        assert_eq!(schedule.due(tick), Due::Now(state(1)));
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
}

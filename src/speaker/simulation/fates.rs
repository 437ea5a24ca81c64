//! What befalls a house in a year, and how often.

use rand::Rng;

use super::{
    super::phase::{Input, Seat},
    engines::{Mood, Music},
    people::NAMES,
    world::{What, World},
};
use crate::{
    config::Guests,
    engine::messages::Event,
    model::{CameBy, ConditionCode},
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: i64 = 365 * 24 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Somebody presses something.
    Listen,
    Knock,
    TenPhones,
    LinkDown,
    LinkUp,
    RouterRestarts,
    ServiceDown,
    ServiceUp,
    SessionLost,
    HalfOpen,
    /// The engine finds out.
    Notice(Seat),
    Crash,
    Hang,
    ClockStep,
    CardOut,
    CardIn,
    Reload,
    Housekeeping,
    NewPassword,
    PremiumEnds,
    PremiumBack,
    LogOut,
    Reboot,
    Boot,
}

impl Fate {
    /// Those that come by themselves, again and again.
    pub const ALL: [Self; 18] = [
        Self::Listen,
        Self::Knock,
        Self::TenPhones,
        Self::LinkDown,
        Self::RouterRestarts,
        Self::ServiceDown,
        Self::SessionLost,
        Self::HalfOpen,
        Self::Crash,
        Self::Hang,
        Self::ClockStep,
        Self::CardOut,
        Self::Reload,
        Self::Housekeeping,
        Self::NewPassword,
        Self::PremiumEnds,
        Self::LogOut,
        Self::Reboot,
    ];

    /// On average, from one to the next.
    fn every(self) -> Option<u64> {
        Some(match self {
            Self::Listen => 2 * HOUR,
            Self::Knock => 8 * HOUR,
            Self::SessionLost => DAY,
            Self::Crash => 3 * DAY,
            Self::LinkDown => 5 * DAY,
            Self::Reload => 6 * DAY,
            Self::ServiceDown | Self::CardOut | Self::ClockStep => 12 * DAY,
            Self::RouterRestarts | Self::Housekeeping => 20 * DAY,
            Self::TenPhones | Self::Reboot => 30 * DAY,
            Self::NewPassword | Self::PremiumEnds => 60 * DAY,
            Self::Hang | Self::HalfOpen | Self::LogOut => 120 * DAY,
            _ => return None,
        })
    }
}

impl World {
    pub fn plan_fate(&mut self, fate: Fate) {
        if let Some(every) = fate.every() {
            let wait = self.spread(every);
            self.after(wait, What::Comes(fate));
        }
    }

    /// Around `mean`, now short and now long, as things happen that do not know of each other.
    fn spread(&mut self, mean: u64) -> u64 {
        let dice: f64 = self.dice.random_range(1e-9..1.0);
        (mean as f64 * -dice.ln()) as u64 + 1
    }

    pub fn fate(&mut self, fate: Fate) {
        if self.off {
            self.while_off(fate);
            return;
        }
        match fate {
            Fate::Listen => self.listen(),
            Fate::Knock => self.somebody_comes(),
            Fate::TenPhones => {
                for _ in 0..10 {
                    self.somebody_comes();
                }
            }
            Fate::LinkDown => self.link_goes(HOUR),
            Fate::RouterRestarts => {
                // It comes and goes until it has settled.
                for _ in 0..4 {
                    let wait = self.roll(2 * MINUTE);
                    self.after(wait, What::Fate(Fate::LinkUp));
                    self.link_down += 1;
                }
                self.links_end();
            }
            Fate::ServiceDown => {
                self.service_down += 1;
                self.silent = self.roll(3) == 0;
                let lasts = self.spread(20 * MINUTE);
                self.after(lasts, What::Fate(Fate::ServiceUp));
                self.links_end();
            }
            Fate::LinkUp | Fate::ServiceUp | Fate::PremiumBack => self.mend(fate),
            Fate::SessionLost => self.with_seated(Self::lost_session),
            Fate::HalfOpen => self.with_seated(|world, seat| {
                if world
                    .engines
                    .get(&seat)
                    .is_some_and(|engine| engine.is_listed())
                {
                    world.deafen(seat);
                }
            }),
            Fate::Notice(seat) => self.lost_session(seat),
            Fate::Crash => self.crash_one(),
            Fate::Hang => self.with_seated(|world, seat| {
                if world
                    .engines
                    .get(&seat)
                    .is_some_and(|engine| engine.is_listed())
                {
                    world.hang(seat);
                }
            }),
            Fate::ClockStep => self.step_clock(),
            Fate::CardOut => self.card_out(),
            Fate::CardIn => self.card_in(),
            Fate::Reload => self.reload(),
            Fate::Housekeeping => self.housekeeping(),
            Fate::NewPassword => {
                let who = NAMES[self.roll(3) as usize];
                self.people.change_password(who);
                self.disturb();
            }
            Fate::PremiumEnds => {
                self.people.pay("kim", false);
                let lasts = self.spread(DAY);
                self.after(lasts, What::Fate(Fate::PremiumBack));
                self.disturb();
            }
            Fate::LogOut => self.with_seated(|world, seat| {
                world.forget_owed();
                world.after(1, What::Says(seat, Box::new(Event::LoggedOut)));
            }),
            Fate::Reboot => self.reboot(),
            Fate::Boot => {}
        }
    }

    fn while_off(&mut self, fate: Fate) {
        match fate {
            Fate::Boot => {
                self.off = false;
                self.disturb();
                let kept = |name: &Option<String>, world: &Self| {
                    name.as_ref()
                        .and_then(|name| world.people.kept.get(name))
                        .cloned()
                };
                let (user, owner) = self.kept_seat.clone();
                let (login, owner) = (kept(&user, self), kept(&owner, self));
                self.step(Input::Start { login, owner });
            }
            Fate::LinkUp | Fate::ServiceUp | Fate::PremiumBack => self.mend(fate),
            Fate::CardIn => self.no_card = false,
            _ => {}
        }
    }

    fn mend(&mut self, fate: Fate) {
        self.disturb();
        match fate {
            Fate::LinkUp => self.link_down = self.link_down.saturating_sub(1),
            Fate::ServiceUp => {
                self.service_down = self.service_down.saturating_sub(1);
                self.silent &= self.service_down > 0;
            }
            _ => self.people.pay("kim", true),
        }
    }

    fn with_seated(&mut self, act: impl FnOnce(&mut Self, Seat)) {
        if let Some(seat) = self.seated() {
            act(self, seat);
        }
    }

    fn listen(&mut self) {
        let Some(seat) = self.seated() else { return };
        let (now, dice, list) = (self.now, self.roll(6), self.roll(1_000));
        let Some(engine) = self
            .engines
            .get_mut(&seat)
            .filter(|engine| engine.is_listed())
        else {
            return;
        };
        match (&mut engine.music, dice) {
            (Some(music), 0 | 1) => music.set(false, now),
            (Some(music), 2) => music.set(true, now),
            // Stopped, or taken to another device.
            (music @ Some(_), 3) => *music = None,
            (music, _) => *music = Some(Music::begin(list, now)),
        }
        self.forget_owed();
        self.publish(seat);
    }

    fn somebody_comes(&mut self) {
        let who = [0, 0, 0, 0, 1, 1, 2, 2, 3, 4][self.roll(10) as usize];
        let who = NAMES[who];
        // Whoever lives here and nobody lets in types a code.
        if who == "kim" && self.seats.user().is_none() {
            self.come(who, Some(CameBy::Code), false);
        } else {
            self.by_phone(who);
        }
    }

    fn link_goes(&mut self, mean: u64) {
        self.link_down += 1;
        let lasts = self.spread(mean);
        self.after(lasts, What::Fate(Fate::LinkUp));
        self.links_end();
    }

    /// The engines that are signed in find out, sooner or later; a short gap some do not notice.
    fn links_end(&mut self) {
        self.wonder();
        self.disturb();
        let up = |mood| matches!(mood, Mood::Up { .. });
        let seats: Vec<_> = self
            .engines
            .iter()
            .filter(|(_, e)| up(e.mood))
            .map(|(seat, _)| *seat)
            .collect();
        for seat in seats {
            if self.roll(8) != 0 {
                let notices = self.roll(5_000);
                self.set_mood(seat, Mood::Up { deaf: true });
                self.after(notices, What::Fate(Fate::Notice(seat)));
            }
        }
    }

    /// Somebody sees that something is wrong, and picks the speaker again.
    pub fn wonder(&mut self) {
        if self.roll(2) == 0 {
            let soon = self.roll(8_000);
            self.after(soon, What::Fate(Fate::Knock));
        }
    }

    fn crash_one(&mut self) {
        let how = [
            "signal: 9 (SIGKILL)",
            "exit status: 1",
            "signal: 6 (SIGABRT)",
        ];
        let how = how[self.roll(3) as usize];
        // Several in a row, now and then.
        if self.roll(4) == 0 {
            let soon = self.roll(20_000);
            self.after(soon, What::Fate(Fate::Crash));
        }
        let any: Vec<_> = self
            .engines
            .iter()
            .filter(|(_, engine)| !matches!(engine.mood, Mood::Leaving | Mood::Hung))
            .map(|(seat, _)| *seat)
            .collect();
        if !any.is_empty() {
            let which = self.roll(any.len() as u64) as usize;
            self.crash(any[which], how);
        }
    }

    fn step_clock(&mut self) {
        let by = [YEAR, -YEAR, 2_000, -2_000, 60_000, -60_000][self.roll(6) as usize];
        self.wall_off += by;
        // What goes wrong with it goes wrong now.
        let soon = self.roll(3_000);
        let next = [Fate::Crash, Fate::SessionLost, Fate::Knock, Fate::Reload];
        let next = next[self.roll(4) as usize];
        self.after(soon, What::Fate(next));
    }

    fn card_out(&mut self) {
        self.no_card = true;
        let lasts = self.spread(HOUR);
        self.after(lasts, What::Fate(Fate::CardIn));
        self.with_seated(Self::publish);
    }

    fn card_in(&mut self) {
        self.disturb();
        self.no_card = false;
        let code = ConditionCode::OutputLost;
        self.with_seated(|world, seat| {
            world.after(500, What::Says(seat, Box::new(Event::Cleared { code })));
        });
    }

    fn reload(&mut self) {
        self.disturb();
        let policies = [
            Guests::Open,
            Guests::IdleOnly,
            Guests::Household,
            Guests::Locked,
        ];
        self.people.guests = policies[self.roll(4) as usize];
        self.people.quiet = self.roll(4) == 0;
        self.guest_timeout_ms = [None, Some(MINUTE), Some(2 * HOUR)][self.roll(3) as usize];
        // Nothing of this hangs on what plays.
        self.step(Input::Renew);
    }

    fn housekeeping(&mut self) {
        let user = NAMES[self.roll(3) as usize];
        match self.roll(4) {
            0 | 1 => {
                self.forget_owed();
                let all = self.roll(3) == 0;
                let user = (!all).then(|| user.to_owned());
                match &user {
                    Some(user) => drop(self.people.kept.remove(user)),
                    None => self.people.kept.clear(),
                }
                let ticket = self.ticket();
                self.step(Input::Forget { ticket, user });
            }
            _ if self.people.kept.contains_key(user) => self.come(user, None, false),
            _ => {}
        }
    }
}

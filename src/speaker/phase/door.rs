//! Those who come and go: guests at the door, visitors, and who is forgotten.

use std::time::Duration;

use super::{
    Action, Answer, Arrival, BELIEVED, CHECK_LIMIT, Check, GUEST_LIMIT, Guest, Now, Resident,
    Seats, Ticket, Timer, broken_off, give_way,
};
use crate::{
    engine::messages::{Command, Event},
    model::{CameBy, Condition, ConditionCode, Login, Playback, Refusal},
    speaker::trouble,
};

/// Why somebody at the door has to leave.
const OTHER: &str = "somebody else was handed over meanwhile";
/// Somebody who comes back with a login that was kept here.
const KEPT: Arrival = Arrival {
    came_by: None,
    stranger: false,
};

impl Seats {
    pub(super) fn add_user(
        &mut self,
        ticket: Ticket,
        login: Login,
        arrival: Arrival,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let Resident::Seated {
            seat,
            login: seated,
            ..
        } = &self.resident
            && seated.user == login.user
        {
            // The session is asked whether it lives, and what was handed over is not tried. A second
            // session of the account would register the same device, and so take it from the one that
            // plays; and as phones hand over something else every time, each selection would cost a
            // sign-in, for which Spotify shuts accounts out. The answer is true without it: the one
            // who was named is signed in here, as Spotify says at this moment, and sees the speaker in
            // his app. Who has a wrong credential for him gets a yes by it, and nothing else: so somebody
            // else who is at the door stays there.
            out.push(Action::Tell {
                seat: *seat,
                command: Command::Check {
                    id: ticket,
                    trust_ms: 0,
                },
            });
            out.push(Action::After {
                delay: CHECK_LIMIT,
                timer: Timer::Check { ticket },
            });
            let before = self.check.replace(Check {
                ticket,
                login,
                arrival,
                came_ms: now.ms,
            });
            if let Some(before) = before {
                let why = "the account was handed over again meanwhile";
                answer(before.ticket, Err(why.to_owned()), out);
            }
            return;
        }
        // The newest wish counts; whoever is still at the door gives way.
        self.clear_door(OTHER, out);
        self.admit(ticket, login, arrival, now.ms, now, out);
    }

    /// Tries the login whose session did not prove that it lives. It came after whoever is at the door.
    pub(super) fn admit_checked(&mut self, check: Check, now: Now, out: &mut Vec<Action>) {
        let Check {
            ticket,
            login,
            arrival,
            came_ms,
        } = check;
        self.turn_away(OTHER, out);
        self.admit(ticket, login, arrival, came_ms, now, out);
    }

    /// Tries a login beside whoever is signed in, for one who waits since `came_ms`.
    pub(super) fn admit(
        &mut self,
        ticket: Ticket,
        login: Login,
        arrival: Arrival,
        came_ms: i64,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let waited = Duration::from_millis(u64::try_from(now.ms - came_ms).unwrap_or(0));
        let seat = self.spawn(&login, GUEST_LIMIT.saturating_sub(waited), now, out);
        self.guest = Some(Guest {
            seat,
            login,
            ticket,
            arrival,
            came_ms,
        });
    }

    fn turn_away(&mut self, why: &str, out: &mut Vec<Action>) {
        if let Some(guest) = self.guest.take() {
            answer(guest.ticket, Err(why.to_owned()), out);
            out.push(Action::Kill { seat: guest.seat });
        }
    }

    fn turn_away_checked(&mut self, why: &str, out: &mut Vec<Action>) {
        if let Some(check) = self.check.take() {
            answer(check.ticket, Err(why.to_owned()), out);
        }
    }

    /// Nobody is at the door after this, and nobody is being checked.
    fn clear_door(&mut self, why: &str, out: &mut Vec<Action>) {
        self.turn_away(why, out);
        self.turn_away_checked(why, out);
    }

    pub(super) fn guest_event(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Ready { login, country } => {
                let Some(guest) = self.guest.take() else {
                    return;
                };
                // A session of his that is this young needs no proof.
                if let Some(check) = self.check.take_if(|it| it.login.user == login.user) {
                    answer(check.ticket, Ok(()), out);
                }
                self.choose_owner(&login, guest.arrival);
                let resume = self.make_way(&login, now, out);
                let came_by = guest.arrival.came_by;
                self.take_seat(guest.seat, login, country, came_by, resume, now, out);
                answer(guest.ticket, Ok(()), out);
            }
            Event::Refused { refusal } => {
                if let Some(guest) = &self.guest {
                    out.push(Action::Raise(trouble::guest_refused(
                        &guest.login,
                        &refusal,
                    )));
                    if let Refusal::NotPremium { .. } = refusal {
                        let user = guest.login.user.clone();
                        out.push(Action::Lapsed { user });
                    }
                }
                self.turn_away(&format!("{refusal}; {}", refusal.cure()), out);
            }
            // Whoever waits at the door is answered, where an engine would wait for the line.
            Event::Lost { why } | Event::Interrupted { why, .. } => {
                self.guest_lost(trouble::unreachable(&why), out);
            }
            Event::Broken { why } => self.guest_lost(trouble::engine_lost(&why), out),
            Event::Raised { condition } if condition.code == ConditionCode::NoCertificates => {
                out.push(Action::Raise(condition));
            }
            _ => {}
        }
    }

    pub(super) fn guest_lost(&mut self, why: Condition, out: &mut Vec<Action>) {
        self.turn_away(&format!("{} ({})", why.what, why.why), out);
        if matches!(self.resident, Resident::Seated { .. }) {
            return;
        }
        out.push(Action::Raise(why));
        // Where nobody tries again, nobody would find out that it is over.
        let seat = self.last_seat;
        out.push(Action::After {
            delay: BELIEVED,
            timer: Timer::Forgive { seat },
        });
    }

    /// Whose speaker it is once `new` sits here.
    fn choose_owner(&mut self, new: &Login, arrival: Arrival) {
        match self.resident.login() {
            // The same person in a fresh engine: nothing changes.
            Some(old) if old.user == new.user => {}
            Some(old) if arrival.stranger => {
                let before = old.clone();
                self.owner.get_or_insert(before);
            }
            _ => self.owner = None,
        }
    }

    /// The old resident leaves for a new one. What played goes on only for the same person.
    fn make_way(&mut self, new: &Login, now: Now, out: &mut Vec<Action>) -> Option<Box<Playback>> {
        let (login, resume) = match std::mem::take(&mut self.resident) {
            Resident::Seated {
                seat,
                login,
                playback,
                ..
            } => {
                match login.user == new.user {
                    true => out.extend(give_way(seat)),
                    false => out.push(Action::Retire { seat }),
                }
                (
                    login,
                    playback.and_then(|playback| broken_off(*playback, now.ms)),
                )
            }
            Resident::SigningIn {
                seat,
                login,
                resume,
                ..
            } => {
                out.push(Action::Kill { seat });
                (login, resume)
            }
            Resident::Waiting { login, resume, .. } => (login, resume),
            Resident::Nobody | Resident::Refused => return None,
        };
        resume.filter(|_| login.user == new.user)
    }

    /// Writes down who was let in, whatever way he came, and sits him down.
    #[expect(
        clippy::too_many_arguments,
        reason = "each of them is a fact of one sign-in"
    )]
    pub(super) fn take_seat(
        &mut self,
        seat: super::Seat,
        login: Login,
        country: Option<String>,
        came_by: Option<CameBy>,
        resume: Option<Box<Playback>>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        out.push(Action::ActiveUser(Some(login.user.clone())));
        out.extend(trouble::OF_ACCOUNTS.map(Action::Clear));
        // What the engine before this one had to tell.
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        out.push(Action::Keep {
            login: login.clone(),
            country,
            came_by,
        });
        // The time until now was no music that anybody heard.
        let resume = resume.map(|mut then| {
            then.at_ms = now.ms;
            then
        });
        // An idle engine says nothing by itself, and a level is to be seen.
        let command = resume.clone().map_or(Command::Show, Command::Restore);
        out.push(Action::Tell { seat, command });
        self.resident = Resident::Seated {
            seat,
            login,
            since_ms: now.ms,
            playback: resume,
            keys: None,
            interrupted: false,
        };
        self.keep_seat(out);
    }

    fn keep_seat(&self, out: &mut Vec<Action>) {
        out.push(Action::KeepSeat {
            user: self.user().map(str::to_owned),
            owner: self.owner.as_ref().map(|owner| owner.user.clone()),
        });
    }

    /// Lets `user` go; when `None`, everybody, so that no owner comes back. Their files are removed by
    /// the caller.
    pub(super) fn forget(
        &mut self,
        ticket: Ticket,
        user: Option<&str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let is_meant = |login: &Login| user.is_none_or(|user| login.user == user);
        self.owner.take_if(|owner| is_meant(owner));
        let gone = "the account was forgotten meanwhile";
        if self.guest.as_ref().is_some_and(|it| is_meant(&it.login)) {
            self.turn_away(gone, out);
        }
        if self.check.as_ref().is_some_and(|it| is_meant(&it.login)) {
            self.turn_away_checked(gone, out);
        }
        let sits = self.resident.login().is_some_and(is_meant);
        if sits || user.is_none() {
            self.vacate(now, out);
        } else {
            self.keep_seat(out);
        }
        answer(ticket, Ok(()), out);
    }

    /// Whoever sits here leaves. The speaker is its owner's again if that was a visitor, else free.
    pub(super) fn vacate(&mut self, now: Now, out: &mut Vec<Action>) {
        match std::mem::take(&mut self.resident) {
            Resident::Seated { seat, .. } => out.push(Action::Retire { seat }),
            Resident::SigningIn { seat, .. } => out.push(Action::Kill { seat }),
            Resident::Waiting { .. } | Resident::Nobody | Resident::Refused => {}
        }
        out.push(Action::ActiveUser(None));
        out.extend(trouble::OF_ACCOUNTS.map(Action::Clear));
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        if let Some(owner) = self.owner.take() {
            self.sign_in(owner, 1, None, now, out);
        }
        self.keep_seat(out);
    }

    /// The owner is signed in beside the idle visitor, who leaves when that is done. Whoever is at
    /// the door goes first.
    pub(super) fn visit_over(&mut self, now: Now, out: &mut Vec<Action>) {
        let busy = self.guest.is_some() || self.check.is_some() || !self.visitor_is_idle();
        if let Some(owner) = self.owner.clone().filter(|_| !busy) {
            self.admit(0, owner, KEPT, now.ms, now, out);
        }
    }

    pub(super) fn checked(&mut self, id: Ticket, alive: bool, now: Now, out: &mut Vec<Action>) {
        let Some(check) = self.check.take_if(|check| check.ticket == id) else {
            return;
        };
        if alive {
            answer(check.ticket, Ok(()), out);
        } else {
            self.admit_checked(check, now, out);
        }
    }
}

fn answer(ticket: Ticket, answer: Answer, out: &mut Vec<Action>) {
    if ticket != 0 {
        out.push(Action::Answer { ticket, answer });
    }
}

//! Who plays on the speaker, and what happens next: one pure function, [`Seats::step`].
//!
//! Two chairs: the *resident*, whose account is signed in, and the *guest*, whose login is being
//! tried. A guest who is let in becomes the resident, and only then is the old one asked to leave;
//! one who is refused changes nothing. No socket, no clock, no process here: actions are data.

use std::time::Duration;

use crate::{
    engine::messages::{Command, Event},
    model::{Condition, ConditionCode, Login, PlayState, Playback, Refusal},
};

use super::trouble;

/// Names one engine process, never used twice.
pub type Seat = u64;
/// Names one question of a phone that waits for its answer.
pub type Ticket = u64;

/// A guest's sign-in must be decided before the phone's own limit of 10 s.
const GUEST_LIMIT: Duration = Duration::from_secs(9);
/// A session that lasted this long (ms) was a good one: the next attempt comes at once.
const SETTLED_MS: i64 = 5_000;
/// A sign-in that nobody waits for.
const RESIDENT_LIMIT: Duration = Duration::from_secs(40);
/// How long a living session may take to prove that it lives.
const CHECK_LIMIT: Duration = Duration::from_millis(1_800);

#[derive(Debug)]
pub enum Input {
    /// The account that signed in last, if there is one.
    Start(Option<Login>),
    AddUser {
        ticket: Ticket,
        login: Login,
    },
    ResetUsers {
        ticket: Ticket,
    },
    Engine {
        seat: Seat,
        event: Event,
    },
    Ended {
        seat: Seat,
        how: String,
    },
    Timer(Timer),
    /// The settings changed: the same account goes on in a fresh engine.
    Renew,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Retry,
    SignIn { seat: Seat },
    Check { ticket: Ticket },
}

#[derive(Debug, PartialEq)]
pub enum Action {
    Spawn {
        seat: Seat,
        login: Login,
    },
    Tell {
        seat: Seat,
        command: Command,
    },
    /// Let an engine leave in order: goodbye to Spotify, fade, end.
    Retire {
        seat: Seat,
    },
    /// End an engine that nobody has seen yet.
    Kill {
        seat: Seat,
    },
    Answer {
        ticket: Ticket,
        ok: bool,
    },
    Keep {
        login: Login,
        country: Option<String>,
    },
    Forget {
        user: String,
    },
    ActiveUser(Option<String>),
    After {
        delay: Duration,
        timer: Timer,
    },
    Raise(Condition),
    Clear(ConditionCode),
    Show(Box<Playback>),
}

/// The account the speaker belongs to at the moment.
#[derive(Debug, Default, PartialEq)]
pub enum Resident {
    #[default]
    Nobody,
    SigningIn {
        seat: Seat,
        login: Login,
        attempt: u32,
        resume: Option<Box<Playback>>,
    },
    Seated {
        seat: Seat,
        login: Login,
        since_ms: i64,
        playback: Option<Box<Playback>>,
    },
    /// Lost; trying again when the timer fires. `attempt` is the one to come, from 1.
    Waiting {
        login: Login,
        attempt: u32,
        resume: Option<Box<Playback>>,
    },
    /// Spotify refused the stored login: only a new one helps.
    Refused,
}

#[derive(Debug, PartialEq)]
struct Guest {
    seat: Seat,
    login: Login,
    ticket: Ticket,
}

/// Somebody who is signed in already was handed over again; his session proves that it lives.
#[derive(Debug, PartialEq)]
struct Check {
    ticket: Ticket,
    login: Login,
}

#[derive(Debug, Default)]
pub struct Seats {
    resident: Resident,
    guest: Option<Guest>,
    check: Option<Check>,
    last_seat: Seat,
}

/// What a step may look at besides its input.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Unix time in ms.
    pub ms: i64,
    /// 0.0 to 1.0, for jitter.
    pub dice: f64,
}

impl Seats {
    pub fn resident(&self) -> &Resident {
        &self.resident
    }

    /// The only place where people come and go.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Start(last) => {
                if let Some(login) = last {
                    self.sign_in(login, 1, None, &mut out);
                }
            }
            Input::AddUser { ticket, login } => self.add_user(ticket, login, &mut out),
            Input::ResetUsers { ticket } => self.reset(ticket, &mut out),
            Input::Engine { seat, event } => self.event(seat, event, now, &mut out),
            Input::Ended { seat, how } => self.ended(seat, how, now, &mut out),
            Input::Timer(timer) => self.timer(timer, now, &mut out),
            Input::Renew => self.renew(now, &mut out),
        }
        out
    }

    /// Starts an engine for a login that is to be decided within `limit`.
    fn spawn(&mut self, login: &Login, limit: Duration, out: &mut Vec<Action>) -> Seat {
        self.last_seat += 1;
        let seat = self.last_seat;
        out.push(Action::Spawn {
            seat,
            login: login.clone(),
        });
        out.push(Action::After {
            delay: limit,
            timer: Timer::SignIn { seat },
        });
        seat
    }

    fn sign_in(
        &mut self,
        login: Login,
        attempt: u32,
        resume: Option<Box<Playback>>,
        out: &mut Vec<Action>,
    ) {
        let seat = self.spawn(&login, RESIDENT_LIMIT, out);
        self.resident = Resident::SigningIn {
            seat,
            login,
            attempt,
            resume,
        };
    }

    fn add_user(&mut self, ticket: Ticket, login: Login, out: &mut Vec<Action>) {
        // The newest wish counts; whoever is still at the door gives way.
        self.turn_away(out);
        if let Some(check) = self.check.take() {
            out.push(Action::Answer {
                ticket: check.ticket,
                ok: false,
            });
        }
        if let Resident::Seated {
            seat,
            login: seated,
            ..
        } = &self.resident
            && seated.user == login.user
        {
            out.push(Action::Tell {
                seat: *seat,
                command: Command::Check { id: ticket },
            });
            out.push(Action::After {
                delay: CHECK_LIMIT,
                timer: Timer::Check { ticket },
            });
            self.check = Some(Check { ticket, login });
            return;
        }
        self.admit(ticket, login, out);
    }

    /// Tries a login beside whoever is signed in.
    fn admit(&mut self, ticket: Ticket, login: Login, out: &mut Vec<Action>) {
        let seat = self.spawn(&login, GUEST_LIMIT, out);
        self.guest = Some(Guest {
            seat,
            login,
            ticket,
        });
    }

    fn turn_away(&mut self, out: &mut Vec<Action>) {
        if let Some(guest) = self.guest.take() {
            out.push(Action::Answer {
                ticket: guest.ticket,
                ok: false,
            });
            out.push(Action::Kill { seat: guest.seat });
        }
    }

    fn reset(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        self.turn_away(out);
        match std::mem::take(&mut self.resident) {
            Resident::Seated { seat, login, .. } => {
                out.push(Action::Retire { seat });
                out.push(Action::Forget { user: login.user });
            }
            Resident::SigningIn { seat, login, .. } => {
                out.push(Action::Kill { seat });
                out.push(Action::Forget { user: login.user });
            }
            Resident::Waiting { login, .. } => out.push(Action::Forget { user: login.user }),
            Resident::Nobody | Resident::Refused => {}
        }
        out.push(Action::ActiveUser(None));
        out.extend(trouble::OF_ACCOUNTS.map(Action::Clear));
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        out.push(Action::Answer { ticket, ok: true });
    }

    fn event(&mut self, seat: Seat, event: Event, now: Now, out: &mut Vec<Action>) {
        if self.guest.as_ref().is_some_and(|guest| guest.seat == seat) {
            self.guest_event(event, now, out);
        } else if self.seat() == Some(seat) {
            self.resident_event(seat, event, now, out);
        }
    }

    /// The resident's engine, while there is one.
    fn seat(&self) -> Option<Seat> {
        match &self.resident {
            Resident::SigningIn { seat, .. } | Resident::Seated { seat, .. } => Some(*seat),
            _ => None,
        }
    }

    fn guest_event(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Ready { login, country } => {
                let Some(guest) = self.guest.take() else {
                    return;
                };
                let resume = self.make_way(&login, now, out);
                self.take_seat(guest.seat, login, country, resume, now, out);
                out.push(Action::Answer {
                    ticket: guest.ticket,
                    ok: true,
                });
            }
            Event::Refused { refusal } => {
                if let Some(guest) = &self.guest {
                    out.push(Action::Raise(trouble::guest_refused(
                        &guest.login,
                        &refusal,
                    )));
                }
                self.turn_away(out);
            }
            Event::Lost { why } => self.guest_lost(&why, out),
            Event::Raised { condition } if condition.code == ConditionCode::NoCertificates => {
                out.push(Action::Raise(condition));
            }
            _ => {}
        }
    }

    fn guest_lost(&mut self, why: &str, out: &mut Vec<Action>) {
        self.turn_away(out);
        if !matches!(self.resident, Resident::Seated { .. }) {
            out.push(Action::Raise(trouble::unreachable(why)));
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
                out.push(Action::Retire { seat });
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

    fn take_seat(
        &mut self,
        seat: Seat,
        login: Login,
        country: Option<String>,
        resume: Option<Box<Playback>>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        out.push(Action::Keep {
            login: login.clone(),
            country,
        });
        out.push(Action::ActiveUser(Some(login.user.clone())));
        out.extend(trouble::OF_ACCOUNTS.map(Action::Clear));
        // What the engine before this one had to tell.
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        if let Some(then) = resume.clone() {
            out.push(Action::Tell {
                seat,
                command: Command::Restore(then),
            });
        }
        self.resident = Resident::Seated {
            seat,
            login,
            since_ms: now.ms,
            playback: resume,
        };
    }

    fn resident_event(&mut self, seat: Seat, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Ready { login, country } => {
                if let Resident::SigningIn { resume, .. } = &mut self.resident {
                    let resume = resume.take();
                    out.push(Action::ActiveUser(Some(login.user.clone())));
                    self.take_seat(seat, login, country, resume, now, out);
                }
            }
            Event::Refused { refusal } => self.resident_refused(&refusal, now, out),
            Event::Lost { why } => {
                out.push(Action::Retire { seat });
                self.lost(trouble::unreachable(&why), now, out);
            }
            Event::Checked { id, alive } => self.checked(id, alive, out),
            Event::Playback(playback) => {
                out.push(Action::Show(playback.clone()));
                if let Resident::Seated {
                    playback: known, ..
                } = &mut self.resident
                {
                    *known = Some(playback);
                }
            }
            Event::Raised { condition } => out.push(Action::Raise(condition)),
            Event::Cleared { code } => out.push(Action::Clear(code)),
            Event::Hello { .. } | Event::Pairing(_) => {}
        }
    }

    fn resident_refused(&mut self, refusal: &Refusal, now: Now, out: &mut Vec<Action>) {
        out.push(Action::ActiveUser(None));
        let final_word = !matches!(refusal, Refusal::Other { .. });
        if final_word {
            self.resident = Resident::Refused;
            out.push(Action::Raise(trouble::login_refused(refusal)));
        } else {
            self.lost(trouble::login_refused(refusal), now, out);
        }
    }

    /// The resident's engine or session is gone: again, at once at first, then ever more slowly.
    fn lost(&mut self, why: Condition, now: Now, out: &mut Vec<Action>) {
        let (login, attempt, resume) = match std::mem::take(&mut self.resident) {
            Resident::Seated {
                login,
                playback,
                since_ms,
                ..
            } => {
                // A session that broke as soon as it stood is not worth a race.
                let attempt = if now.ms - since_ms < SETTLED_MS { 2 } else { 1 };
                (
                    login,
                    attempt,
                    playback.and_then(|playback| broken_off(*playback, now.ms)),
                )
            }
            Resident::SigningIn {
                login,
                attempt,
                resume,
                ..
            } => (login, attempt + 1, resume),
            other => {
                self.resident = other;
                return;
            }
        };
        // The reason first, so that no status line says in between that all is well.
        out.push(Action::Raise(why));
        out.push(Action::ActiveUser(None));
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        if let Some(check) = self.check.take() {
            self.admit(check.ticket, check.login, out);
        }
        out.push(Action::After {
            delay: trouble::back_off(attempt, now.dice),
            timer: Timer::Retry,
        });
        self.resident = Resident::Waiting {
            login,
            attempt,
            resume,
        };
    }

    fn checked(&mut self, id: Ticket, alive: bool, out: &mut Vec<Action>) {
        let Some(check) = self.check.take_if(|check| check.ticket == id) else {
            return;
        };
        if alive {
            out.push(Action::Answer {
                ticket: check.ticket,
                ok: true,
            });
        } else {
            self.admit(check.ticket, check.login, out);
        }
    }

    fn ended(&mut self, seat: Seat, how: String, now: Now, out: &mut Vec<Action>) {
        if self.guest.as_ref().is_some_and(|guest| guest.seat == seat) {
            self.guest_lost(&format!("the engine ended ({how})"), out);
        } else if self.seat() == Some(seat) {
            self.lost(trouble::engine_lost(&how), now, out);
        }
    }

    fn timer(&mut self, timer: Timer, now: Now, out: &mut Vec<Action>) {
        match timer {
            Timer::Retry => {
                if let Resident::Waiting {
                    login,
                    attempt,
                    resume,
                } = &mut self.resident
                {
                    let (login, attempt, resume) = (login.clone(), *attempt, resume.take());
                    self.sign_in(login, attempt, resume, out);
                }
            }
            Timer::SignIn { seat } => {
                let late = "the sign-in took too long";
                if self.guest.as_ref().is_some_and(|guest| guest.seat == seat) {
                    self.guest_lost(late, out);
                } else if matches!(&self.resident, Resident::SigningIn { seat: mine, .. } if *mine == seat)
                {
                    out.push(Action::Kill { seat });
                    self.lost(trouble::unreachable(late), now, out);
                }
            }
            Timer::Check { ticket } => self.checked(ticket, false, out),
        }
    }

    fn renew(&mut self, now: Now, out: &mut Vec<Action>) {
        // Whoever is at the door was let in by the old settings; he would bring them along.
        if let Some(guest) = self.guest.take() {
            out.push(Action::Kill { seat: guest.seat });
            self.admit(guest.ticket, guest.login, out);
        }
        match std::mem::take(&mut self.resident) {
            Resident::Seated {
                seat,
                login,
                playback,
                ..
            } => {
                out.push(Action::Retire { seat });
                let resume = playback.and_then(|playback| broken_off(*playback, now.ms));
                self.sign_in(login, 1, resume, out);
            }
            Resident::SigningIn {
                seat,
                login,
                resume,
                ..
            } => {
                out.push(Action::Kill { seat });
                self.sign_in(login, 1, resume, out);
            }
            other => self.resident = other,
        }
    }
}

/// What is worth taking up again: playback that was under way, at the place it was heard last.
fn broken_off(mut playback: Playback, now_ms: i64) -> Option<Box<Playback>> {
    let under_way =
        playback.active && playback.state != PlayState::Stopped && playback.track.is_some();
    if !under_way {
        return None;
    }
    playback.position_ms = playback.position_at(now_ms);
    playback.at_ms = now_ms;
    Some(Box::new(playback))
}

//! Who plays on the speaker, and what happens next: one pure function, [`Seats::step`].
//!
//! Two chairs: the *resident*, whose account is signed in, and the *guest at the door*, whose login
//! is being tried. Whoever is let in becomes the resident, and only then is the old one asked to
//! leave; one who is refused changes nothing. No socket, no clock, no process here: actions are data.
//!
//! Whose speaker it is:
//! - The *household* is who is remembered on this machine (see `accounts`), and whoever signs in at
//!   the machine itself: by a code, a browser, or as a remembered account. Everybody else is a
//!   *stranger*.
//! - A stranger who takes the seat from somebody sits as a *visitor*, and the speaker remembers its
//!   *owner*: who sat before him. A visitor who leaves, because he was idle for long, was forgotten
//!   or is refused, brings the owner back. He is known from then on like everybody who ever signed in.
//! - With no visitor, whoever sits is the owner.
//!
//! Who may come at all is decided before, in [`super::policy`].

mod door;
mod seat;

use std::time::Duration;

use crate::{
    engine::messages::{Command, Event},
    model::{CameBy, Condition, ConditionCode, KeyAnswer, Login, PlayState, Playback},
};

use super::{policy::Who, trouble};

/// Names one engine process, never used twice.
pub type Seat = u64;
/// Names one question that waits for its answer; 0 is nobody's.
pub type Ticket = u64;
/// What became of a wish; why not, and what to do, in words.
pub type Answer = Result<(), String>;

/// A guest's sign-in must be decided before the phone's own limit of 10 s.
const GUEST_LIMIT: Duration = Duration::from_secs(9);
/// A session that lasted this long (ms) was a good one: the next attempt comes at once.
const SETTLED_MS: i64 = 2_000;
/// However often one breaks sooner, the attempt after it is not later than the one of this number...
const SOON: u32 = 4;
/// ...unless that is so for minutes: then nobody listens any more, and Spotify is not to suffer.
const FLAPS: u32 = 30;
const LATER: u32 = 8;

/// The number of the attempt to begin with, after so many that broke as soon as they stood.
fn after_flaps(flaps: u32) -> u32 {
    if flaps < FLAPS {
        (1 + flaps).min(SOON)
    } else {
        LATER
    }
}

/// What a guest's failed sign-in says about the way to Spotify is believed for so long, where nobody
/// else tries it.
const BELIEVED: Duration = Duration::from_secs(60);
/// A sign-in that nobody waits for.
const RESIDENT_LIMIT: Duration = Duration::from_secs(40);
/// How long a living session may take to prove that it lives.
const CHECK_LIMIT: Duration = Duration::from_millis(1_800);
/// From one attempt to sign in to the next (ms), whoever asks for it: Spotify shuts accounts out
/// that try in haste.
const BETWEEN_SIGN_INS_MS: i64 = 1_000;

#[derive(Debug)]
pub enum Input {
    /// Who sat here at the last end, and whose speaker it is if that was a visitor.
    Start {
        login: Option<Login>,
        owner: Option<Login>,
    },
    AddUser {
        ticket: Ticket,
        login: Login,
        arrival: Arrival,
    },
    /// An account was forgotten, all of them when `None`.
    Forget {
        ticket: Ticket,
        user: Option<String>,
    },
    /// The visitor has been idle for long enough.
    VisitOver,
    Engine {
        seat: Seat,
        event: Event,
    },
    Ended {
        seat: Seat,
        how: String,
    },
    Timer(Timer),
    /// What played on this seat's account when the daemon before this one died.
    LeftBehind {
        seat: Seat,
        playback: Box<Playback>,
    },
    /// The settings changed: the same account goes on in a fresh engine.
    Renew,
}

/// How somebody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// `None`: with a login that was kept here.
    pub came_by: Option<CameBy>,
    /// Not of the household.
    pub stranger: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Retry,
    /// The sign-in on this seat may begin.
    Begin {
        seat: Seat,
    },
    SignIn {
        seat: Seat,
    },
    Check {
        ticket: Ticket,
    },
    /// What a guest's sign-in on this seat said of the way to Spotify is old.
    Forgive {
        seat: Seat,
    },
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
        answer: Answer,
    },
    /// Somebody was let in: keep the lasting credential.
    Keep {
        login: Login,
        country: Option<String>,
        came_by: Option<CameBy>,
    },
    /// Keep who sits here, and whose speaker it is if that is a visitor.
    KeepSeat {
        user: Option<String>,
        owner: Option<String>,
    },
    Forget {
        user: String,
    },
    /// The account is not Premium any more.
    Lapsed {
        user: String,
    },
    /// What Spotify calls the account where people see it.
    Named {
        user: String,
        name: String,
    },
    /// What Spotify said when the account asked for an audio key.
    Keys {
        user: String,
        answer: KeyAnswer,
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
        /// Nothing gets as far as Spotify, says the engine, which waits until something does.
        unheard: bool,
    },
    Seated {
        seat: Seat,
        login: Login,
        since_ms: i64,
        playback: Option<Box<Playback>>,
        /// What was heard last of its audio keys.
        keys: Option<KeyAnswer>,
        /// The engine lost its session and is making another one.
        interrupted: bool,
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

impl Resident {
    pub fn login(&self) -> Option<&Login> {
        match self {
            Self::SigningIn { login, .. }
            | Self::Seated { login, .. }
            | Self::Waiting { login, .. } => Some(login),
            Self::Nobody | Self::Refused => None,
        }
    }

    /// Whether music plays, or is about to go on.
    fn plays(&self) -> bool {
        let plays = |playback: &Playback| {
            playback.active && matches!(playback.state, PlayState::Playing | PlayState::Loading)
        };
        match self {
            Self::Seated { playback, .. } => playback.as_deref().is_some_and(plays),
            Self::SigningIn { resume, .. } | Self::Waiting { resume, .. } => {
                resume.as_deref().is_some_and(plays)
            }
            Self::Nobody | Self::Refused => false,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Guest {
    seat: Seat,
    login: Login,
    ticket: Ticket,
    arrival: Arrival,
    /// When he came: whoever waits for the answer counts from there.
    came_ms: i64,
}

/// Somebody who is signed in already was handed over again; his session proves that it lives.
#[derive(Debug, PartialEq)]
struct Check {
    ticket: Ticket,
    login: Login,
    arrival: Arrival,
    came_ms: i64,
}

#[derive(Debug, Default)]
pub struct Seats {
    resident: Resident,
    guest: Option<Guest>,
    check: Option<Check>,
    /// To whom the speaker goes back; set exactly while a visitor sits.
    owner: Option<Login>,
    last_seat: Seat,
    /// When the last attempt to sign in was made.
    last_sign_in_ms: Option<i64>,
    /// How often in a row a session or an engine was lost as soon as it stood.
    flaps: u32,
    /// Seats whose sign-in waits for its turn.
    to_begin: Vec<(Seat, Login)>,
}

/// What a step may look at besides its input.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// In ms on a clock that is never set (see [`super::clock`]); so is everything that is compared
    /// with it, the time in a [`Playback`] too.
    pub ms: i64,
    /// 0.0 to 1.0, for jitter.
    pub dice: f64,
}

impl Seats {
    pub fn resident(&self) -> &Resident {
        &self.resident
    }

    /// Whether the engine that sits is making another session by itself.
    pub fn is_interrupted(&self) -> bool {
        matches!(
            self.resident,
            Resident::Seated {
                interrupted: true,
                ..
            }
        )
    }

    /// What `user` is to this speaker; `remembered` says whether the house knows him.
    pub fn who(&self, user: &str, remembered: bool) -> Who {
        let owner = self.owner.as_ref().or(self.resident.login());
        match owner {
            Some(owner) if owner.user == user => Who::Owner,
            _ if remembered => Who::Member,
            _ => Who::Stranger,
        }
    }

    /// Whether music plays, or is about to go on after a loss.
    pub fn is_playing(&self) -> bool {
        self.resident.plays()
    }

    /// Whether a visitor sits here and plays nothing.
    pub fn visitor_is_idle(&self) -> bool {
        self.owner.is_some() && !self.is_playing()
    }

    /// Who sits here, if anybody.
    pub fn user(&self) -> Option<&str> {
        self.resident.login().map(|login| login.user.as_str())
    }

    /// The only place where people come and go.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Start { login, owner } => {
                if let Some(login) = login {
                    self.owner = owner.filter(|owner| owner.user != login.user);
                    self.sign_in(login, 1, None, now, &mut out);
                }
            }
            Input::AddUser {
                ticket,
                login,
                arrival,
            } => self.add_user(ticket, login, arrival, now, &mut out),
            Input::Forget { ticket, user } => self.forget(ticket, user.as_deref(), now, &mut out),
            Input::VisitOver => self.visit_over(now, &mut out),
            Input::Engine { seat, event } => self.event(seat, event, now, &mut out),
            Input::Ended { seat, how } => self.ended(seat, how, now, &mut out),
            Input::Timer(timer) => self.timer(timer, now, &mut out),
            Input::LeftBehind { seat, playback } => self.left_behind(seat, *playback, now),
            Input::Renew => self.renew(now, &mut out),
        }
        out
    }

    /// Plans an engine for a login that is to be decided within `limit`.
    fn spawn(&mut self, login: &Login, limit: Duration, now: Now, out: &mut Vec<Action>) -> Seat {
        self.last_seat += 1;
        let seat = self.last_seat;
        self.begin(seat, login.clone(), now, out);
        out.push(Action::After {
            delay: limit,
            timer: Timer::SignIn { seat },
        });
        seat
    }

    /// Starts a sign-in, or lets it wait for its turn.
    fn begin(&mut self, seat: Seat, login: Login, now: Now, out: &mut Vec<Action>) {
        let since = self.last_sign_in_ms.map(|last| now.ms - last);
        let early = since.filter(|since| (0..BETWEEN_SIGN_INS_MS).contains(since));
        if let Some(since) = early {
            let delay = Duration::from_millis((BETWEEN_SIGN_INS_MS - since).unsigned_abs());
            let timer = Timer::Begin { seat };
            self.to_begin.push((seat, login));
            out.push(Action::After { delay, timer });
        } else {
            self.last_sign_in_ms = Some(now.ms);
            out.push(Action::Spawn { seat, login });
        }
    }

    fn event(&mut self, seat: Seat, event: Event, now: Now, out: &mut Vec<Action>) {
        if self.at_door(seat) {
            self.guest_event(event, now, out);
        } else if self.seat() == Some(seat) {
            self.resident_event(seat, event, now, out);
        }
    }

    fn ended(&mut self, seat: Seat, how: String, now: Now, out: &mut Vec<Action>) {
        if self.at_door(seat) {
            self.guest_lost(trouble::engine_lost(&how), out);
        } else if self.seat() == Some(seat) {
            self.lost(trouble::engine_lost(&how), now, out);
        }
    }

    fn at_door(&self, seat: Seat) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.seat == seat)
    }

    /// The resident's engine, while there is one.
    fn seat(&self) -> Option<Seat> {
        match &self.resident {
            Resident::SigningIn { seat, .. } | Resident::Seated { seat, .. } => Some(*seat),
            _ => None,
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
                    self.sign_in(login, attempt, resume, now, out);
                }
            }
            Timer::Begin { seat } => {
                let waiting = self.to_begin.iter().position(|(known, _)| *known == seat);
                let turn = waiting.map(|at| self.to_begin.swap_remove(at));
                // Whoever gave up meanwhile is not tried any more.
                if let Some((seat, login)) = turn
                    && (self.at_door(seat) || self.seat() == Some(seat))
                {
                    self.begin(seat, login, now, out);
                }
            }
            Timer::SignIn { seat } => {
                let late = "the sign-in took too long";
                if self.at_door(seat) {
                    self.guest_lost(trouble::unreachable(late), out);
                } else if self.waits_for_line(seat) {
                    let delay = RESIDENT_LIMIT;
                    out.push(Action::After { delay, timer });
                } else if matches!(&self.resident, Resident::SigningIn { seat: mine, .. } if *mine == seat)
                {
                    out.push(Action::Kill { seat });
                    self.lost(trouble::unreachable(late), now, out);
                }
            }
            Timer::Check { ticket } => self.checked(ticket, false, now, out),
            Timer::Forgive { seat } => {
                let nobody = matches!(self.resident, Resident::Nobody | Resident::Refused);
                if nobody && self.last_seat == seat {
                    out.push(Action::Clear(ConditionCode::SpotifyUnreachable));
                    out.push(Action::Clear(ConditionCode::EngineLost));
                }
            }
        }
    }

    /// Whether the engine on this seat has said since it was asked last that it waits for a way to
    /// Spotify: it is better at that than one that is started anew.
    fn waits_for_line(&mut self, of: Seat) -> bool {
        match &mut self.resident {
            Resident::SigningIn { seat, unheard, .. } if *seat == of => std::mem::take(unheard),
            _ => false,
        }
    }

    fn left_behind(&mut self, by: Seat, mut playback: Playback, now: Now) {
        if let Resident::SigningIn { seat, resume, .. } = &mut self.resident
            && *seat == by
            && resume.is_none()
        {
            // It was silent since.
            playback.at_ms = now.ms;
            *resume = broken_off(playback, now.ms);
        }
    }

    fn renew(&mut self, now: Now, out: &mut Vec<Action>) {
        // Whoever is at the door was let in by the old settings; he would bring them along.
        if let Some(guest) = self.guest.take() {
            out.push(Action::Kill { seat: guest.seat });
            self.admit(
                guest.ticket,
                guest.login,
                guest.arrival,
                guest.came_ms,
                now,
                out,
            );
        }
        match std::mem::take(&mut self.resident) {
            Resident::Seated {
                seat,
                login,
                playback,
                ..
            } => {
                out.extend(give_way(seat));
                let resume = playback.and_then(|playback| broken_off(*playback, now.ms));
                self.sign_in(login, 1, resume, now, out);
            }
            Resident::SigningIn {
                seat,
                login,
                resume,
                ..
            } => {
                out.push(Action::Kill { seat });
                self.sign_in(login, 1, resume, now, out);
            }
            other => self.resident = other,
        }
    }
}

/// Lets the engine of this seat leave for another one of the same account. Both are the same device
/// to Spotify: a goodbye that came after the other's sign-in would take that one off the picker.
fn give_way(seat: Seat) -> [Action; 2] {
    let command = Command::GiveWay;
    [Action::Tell { seat, command }, Action::Retire { seat }]
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

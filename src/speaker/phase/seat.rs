//! The one who sits here: his sign-in, his session, and its loss.

use super::{
    Action, FLAPS, Now, RESIDENT_LIMIT, Resident, SETTLED_MS, Seat, Seats, Timer, after_flaps,
    broken_off,
};
use crate::{
    engine::{back_off, messages::Event},
    model::{Condition, ConditionCode, KeyAnswer, Login, PlayState, Playback, Refusal, Track},
    speaker::trouble,
};

impl Seats {
    pub(super) fn sign_in(
        &mut self,
        login: Login,
        attempt: u32,
        resume: Option<Box<Playback>>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let seat = self.spawn(&login, RESIDENT_LIMIT, now, out);
        self.resident = Resident::SigningIn {
            seat,
            login,
            attempt,
            resume,
            unheard: false,
        };
    }

    pub(super) fn resident_event(
        &mut self,
        seat: Seat,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::Ready { login, country } => {
                if let Resident::SigningIn { resume, .. } = &mut self.resident {
                    let resume = resume.take();
                    self.take_seat(seat, login, country, None, resume, now, out);
                }
            }
            Event::Refused { refusal } => self.resident_refused(&refusal, now, out),
            Event::Lost { why } => {
                out.push(Action::Retire { seat });
                self.lost(trouble::unreachable(&why), now, out);
            }
            Event::Broken { why } => {
                out.push(Action::Retire { seat });
                self.lost(trouble::engine_lost(&why), now, out);
            }
            Event::Interrupted { why, .. } => self.interrupted(&why, now, out),
            Event::Resumed => self.resumed(out),
            Event::Checked { id, alive, .. } => self.checked(id, alive, now, out),
            Event::Playback(playback) => self.playback(playback, out),
            Event::Keys(answer) => self.keys(answer, out),
            Event::LoggedOut => {
                if let Some(user) = self.user().map(str::to_owned) {
                    out.push(Action::Forget { user });
                }
                self.vacate(now, out);
            }
            Event::Named { name } => {
                if let Some(user) = self.user().map(str::to_owned) {
                    out.push(Action::Named { user, name });
                }
            }
            Event::Raised { condition } => out.push(Action::Raise(condition)),
            Event::Cleared { code } => out.push(Action::Clear(code)),
            // Whoever asked is told by the speaker itself.
            Event::Hello { .. }
            | Event::Pairing(_)
            | Event::Done { .. }
            | Event::Told { .. }
            | Event::Measured { .. }
            | Event::Holding { .. }
            | Event::Sound(_)
            | Event::Devices { .. }
            | Event::Renamed { .. }
            | Event::Outputs { .. } => {}
        }
    }

    /// The session is lost; the engine plays on and signs in by itself. Whoever sits here stays.
    fn interrupted(&mut self, why: &str, now: Now, out: &mut Vec<Action>) {
        let waits = match &mut self.resident {
            Resident::Seated { interrupted, .. } => Some(interrupted),
            Resident::SigningIn { unheard, .. } => Some(unheard),
            _ => None,
        };
        if let Some(waits) = waits {
            *waits = true;
            // The engine tries about now: whoever comes to the door waits for his turn.
            self.last_sign_in_ms = Some(now.ms);
            out.push(Action::Raise(trouble::unreachable(why)));
        }
    }

    fn resumed(&mut self, out: &mut Vec<Action>) {
        if let Resident::Seated { interrupted, .. } = &mut self.resident {
            *interrupted = false;
            out.push(Action::Clear(ConditionCode::SpotifyUnreachable));
        }
    }

    fn playback(&mut self, new: Box<Playback>, out: &mut Vec<Action>) {
        out.push(Action::Show(new.clone()));
        let Resident::Seated { playback, .. } = &mut self.resident else {
            return;
        };
        let played = |known: &Playback| known.active && known.state == PlayState::Playing;
        if new.active {
            if playback.as_ref().is_some_and(|known| !known.active) {
                out.push(Action::Clear(ConditionCode::StreamTaken));
            }
        } else if playback.as_deref().is_some_and(played) {
            out.push(Action::Raise(trouble::stream_taken()));
        }
        // Music that is heard was opened with a key.
        let of_spotify = |track: &Track| track.uri.starts_with("spotify:track:");
        let heard =
            played(&new) && new.position_ms > 0 && new.track.as_ref().is_some_and(of_spotify);
        *playback = Some(new);
        if heard {
            self.keys(KeyAnswer::Given, out);
        }
    }

    fn keys(&mut self, answer: KeyAnswer, out: &mut Vec<Action>) {
        if let Resident::Seated { login, keys, .. } = &mut self.resident
            && *keys != Some(answer)
        {
            *keys = Some(answer);
            let user = login.user.clone();
            out.push(Action::Keys { user, answer });
        }
    }

    fn resident_refused(&mut self, refusal: &Refusal, now: Now, out: &mut Vec<Action>) {
        out.push(Action::ActiveUser(None));
        if let (Refusal::NotPremium { .. }, Some(user)) = (refusal, self.user()) {
            let user = user.to_owned();
            out.push(Action::Lapsed { user });
        }
        if !refusal.is_final() {
            self.lost(trouble::login_refused(refusal), now, out);
            return;
        }
        self.resident = Resident::Refused;
        out.push(Action::Raise(trouble::login_refused(refusal)));
        // Nothing is tried any more: what was in the way of it would hide the cure.
        out.extend(trouble::OF_TRYING.map(Action::Clear));
        out.extend(trouble::OF_ENGINE.map(Action::Clear));
        if let Some(check) = self.check.take() {
            self.admit_checked(check, now, out);
        }
        // A visitor who may not stay leaves the speaker to its owner.
        if let Some(owner) = self.owner.take() {
            self.sign_in(owner, 1, None, now, out);
        }
    }

    /// The resident's engine or session is gone: again, at once at first, then ever more slowly.
    pub(super) fn lost(&mut self, why: Condition, now: Now, out: &mut Vec<Action>) {
        let (login, attempt, resume) = match std::mem::take(&mut self.resident) {
            Resident::Seated {
                login,
                playback,
                since_ms,
                ..
            } => {
                // What breaks as soon as it stands is not worth a race.
                self.flaps = match now.ms - since_ms < SETTLED_MS {
                    true => (self.flaps + 1).min(FLAPS),
                    false => 0,
                };
                (
                    login,
                    after_flaps(self.flaps),
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
            self.admit_checked(check, now, out);
        }
        out.push(Action::After {
            delay: back_off(attempt, now.dice),
            timer: Timer::Retry,
        });
        self.resident = Resident::Waiting {
            login,
            attempt,
            resume,
        };
    }
}

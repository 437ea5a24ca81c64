//! The heartbeat of the engine that plays, and of its session.
//!
//! A process that lives may still hang, and a link that stands may lead nowhere: both are asked. An
//! engine that does not answer is ended, and mended like one that ended by itself. A session that
//! does not answer for a while is replaced by the engine, while music plays from what it has.
//! [`Pulse`] decides and is pure.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{
    News, Speaker,
    phase::{Input, Resident, Seat, Timer},
};
use crate::engine::messages::Command;

/// From one answer to the next question. (Its session is asked every other time: see [`TRUST`].)
const EVERY: Duration = Duration::from_secs(10);
/// An engine that has not answered by then hangs. Its session has 3.2 s of this at most.
const HANGS: Duration = Duration::from_secs(10);
/// The same while music plays, so that silence is over within ten seconds or so.
const EVERY_MUSIC: Duration = Duration::from_secs(3);
const HANGS_MUSIC: Duration = Duration::from_secs(7);
/// The engine is asked more often than its session need be.
const TRUST: Duration = Duration::from_secs(15);
/// A session that did not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a session may not answer before it is replaced: slow links recover within it.
const PATIENCE: Duration = Duration::from_secs(8);
/// The same when the addresses of the machine have changed, and it is most likely dead.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// Whoever looks so much later than he meant to has stood still himself: a container was paused, or the
/// machine had too much to do. The engine gets its time anew.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// Beats are counted from here, tickets of people from 1.
const FIRST: u64 = 1 << 62;

/// Whether the answer to question `id` is a beat.
pub(super) fn is_beat(id: u64) -> bool {
    id >= FIRST
}

/// What an engine answered.
pub(super) struct Beat {
    pub id: u64,
    pub alive: bool,
    pub dealer: Option<bool>,
    pub listed: Option<bool>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    Ask { seat: Seat, id: u64 },
    Replace { seat: Seat },
}

#[derive(Debug, Default)]
pub(super) struct Pulse {
    seat: Option<Seat>,
    last: u64,
    /// The question that waits for its answer, or when to ask the next.
    asked: bool,
    due: Option<Instant>,
    /// Since when the session does not answer.
    silent: Option<Instant>,
    impatient: bool,
    /// Music plays.
    plays: bool,
}

impl Pulse {
    /// Who sits now, and whether music plays; somebody else begins anew.
    pub(super) fn sits(&mut self, seat: Option<Seat>, plays: bool, now: Instant) {
        if self.seat != seat {
            let last = self.last;
            *self = Self {
                seat,
                last,
                due: seat.map(|_| now + EVERY),
                ..Self::default()
            };
        }
        self.plays = plays;
        if plays && !self.asked && self.due.is_some() {
            self.due = self.due.min(Some(now + EVERY_MUSIC));
        }
    }

    fn every(&self) -> Duration {
        if self.plays { EVERY_MUSIC } else { EVERY }
    }

    fn hangs(&self) -> Duration {
        if self.plays { HANGS_MUSIC } else { HANGS }
    }

    /// How old an answer of the session may be (ms).
    fn trust_ms(&self) -> u32 {
        let trust = match self.silent {
            None => TRUST,
            Some(_) => Duration::ZERO,
        };
        u32::try_from(trust.as_millis()).unwrap_or(0)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is time: for a question, or because one was not answered.
    pub(super) fn on_time(&mut self, now: Instant) -> Option<Do> {
        let seat = self.seat?;
        let late = self
            .due
            .map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if self.asked && late > STOOD_STILL {
            self.due = Some(now + self.hangs());
            return None;
        }
        if self.asked {
            // Nobody is asked again before somebody else sits here.
            self.due = None;
            return Some(Do::Replace { seat });
        }
        self.last = (self.last + 1).max(FIRST);
        self.asked = true;
        self.due = Some(now + self.hangs());
        Some(Do::Ask {
            seat,
            id: self.last,
        })
    }

    /// The engine answered. True when its session has not for too long.
    pub(super) fn answered(&mut self, seat: Seat, id: u64, alive: bool, now: Instant) -> bool {
        if self.seat != Some(seat) || !self.asked || id != self.last {
            return false;
        }
        self.asked = false;
        if alive {
            self.silent = None;
            self.impatient = false;
            self.due = Some(now + self.every());
            return false;
        }
        let since = *self.silent.get_or_insert(now);
        self.due = Some(now + AGAIN);
        let patience = if self.impatient { IMPATIENCE } else { PATIENCE };
        now.duration_since(since) >= patience
    }

    /// The machine's addresses are others: asks at once, unless an answer is waited for anyway.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.impatient = true;
        if self.seat.is_some() && !self.asked {
            self.due = Some(now);
        }
    }

    fn is_impatient(&self) -> bool {
        self.impatient
    }
}

impl Speaker {
    pub(super) async fn feel_pulse(&mut self) {
        match self.pulse.on_time(Instant::now()) {
            None => {}
            Some(Do::Ask { seat, id }) => {
                let command = match self.pulse.is_impatient() {
                    true => Command::NetworkChanged { id },
                    false => Command::Check {
                        id,
                        trust_ms: self.pulse.trust_ms(),
                    },
                };
                self.tell(seat, command);
            }
            Some(Do::Replace { seat }) => {
                let limit = self.pulse.hangs();
                warn!("an engine did not answer for {limit:?} and is replaced");
                // Dropping kills, also one that was stopped.
                drop(self.engines.remove(&seat));
                self.nothing_more(seat).await;
                self.tell_all(News::Pulse {
                    engine: false,
                    session: None,
                    dealer: None,
                    listed: None,
                })
                .await;
                let how = format!("it hung: no answer within {} s", limit.as_secs());
                let input = Input::Ended { seat, how };
                if let Some(cut) = self.cut(&input) {
                    self.tell_all(News::Cut(cut)).await;
                }
                self.step(input).await;
            }
        }
    }

    pub(super) async fn beat(&mut self, seat: Seat, beat: Beat) {
        let Beat {
            id,
            alive,
            dealer,
            listed,
        } = beat;
        // An engine that signs in again by itself needs no help.
        let well = alive || self.seats.is_interrupted();
        let over = self.pulse.answered(seat, id, well, Instant::now());
        self.tell_all(News::Pulse {
            engine: true,
            session: Some(alive),
            dealer,
            listed,
        })
        .await;
        if over {
            // Has the session replaced; the music goes on.
            self.tell(seat, Command::NetworkChanged { id });
        }
    }

    pub(super) async fn surroundings_changed(&mut self) {
        self.pulse.hurry(Instant::now());
        // Whoever waits for a way to Spotify looks now. (Nobody waits for the answer.)
        let waits = match self.seats.resident() {
            Resident::SigningIn { seat, .. } => Some(*seat),
            Resident::Seated {
                seat,
                interrupted: true,
                ..
            } => Some(*seat),
            _ => None,
        };
        if let Some(seat) = waits {
            self.tell(seat, Command::NetworkChanged { id: 0 });
        }
        // Means something only while an attempt is waited for; the pace between attempts holds.
        self.step(Input::Timer(Timer::Retry)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beating() -> (Pulse, Instant) {
        let mut pulse = Pulse::default();
        let now = Instant::now();
        pulse.sits(Some(3), false, now);
        assert_eq!(pulse.due(), Some(now + EVERY));
        (pulse, now + EVERY)
    }

    fn asked(pulse: &mut Pulse, now: Instant) -> u64 {
        match pulse.on_time(now) {
            Some(Do::Ask { seat: 3, id }) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_engine_that_does_not_answer_is_replaced_once() {
        let (mut pulse, now) = beating();
        let id = asked(&mut pulse, now);
        assert!(is_beat(id));
        assert_eq!(pulse.due(), Some(now + HANGS));
        assert_eq!(pulse.on_time(now + HANGS), Some(Do::Replace { seat: 3 }));
        assert_eq!(pulse.due(), None);
        pulse.sits(Some(4), false, now);
        assert!(
            !pulse.answered(3, id, false, now),
            "an answer of the old one"
        );
    }

    #[test]
    fn a_daemon_that_stood_still_itself_gives_the_engine_its_time_anew() {
        let (mut pulse, now) = beating();
        let id = asked(&mut pulse, now);
        let resumed = now + HANGS + Duration::from_secs(60);
        assert_eq!(pulse.on_time(resumed), None);
        assert_eq!(pulse.due(), Some(resumed + HANGS));
        assert!(!pulse.answered(3, id, true, resumed));
        let id = asked(&mut pulse, resumed + EVERY);
        assert!(is_beat(id));
        let late = resumed + EVERY + HANGS;
        assert_eq!(pulse.on_time(late), Some(Do::Replace { seat: 3 }));
    }

    #[test]
    fn a_session_is_given_up_after_a_minute_of_silence_or_soon_when_addresses_changed() {
        for (hurried, limit) in [(false, PATIENCE), (true, IMPATIENCE)] {
            let (mut pulse, begun) = beating();
            let mut now = begun;
            if hurried {
                pulse.hurry(now);
                assert_eq!(pulse.due(), Some(now));
            }
            loop {
                let id = asked(&mut pulse, now);
                if pulse.answered(3, id, false, now) {
                    break;
                }
                now += AGAIN;
            }
            let took = now - begun;
            assert!(took >= limit && took < limit + AGAIN, "{took:?}");
        }
    }

    #[test]
    fn while_music_plays_an_engine_that_hangs_is_noticed_within_ten_seconds() {
        let (mut pulse, _) = beating();
        let begun = Instant::now();
        pulse.sits(Some(3), true, begun);
        let due = pulse.due().expect("soon");
        assert!(due <= begun + EVERY_MUSIC);
        let id = asked(&mut pulse, due);
        assert!(pulse.trust_ms() > 0, "its session is not asked each time");
        assert!(pulse.due() <= Some(begun + Duration::from_secs(10)));
        pulse.sits(Some(3), true, due);
        assert!(!pulse.answered(3, id, true, due));
        assert_eq!(pulse.due(), Some(due + EVERY_MUSIC));
        pulse.sits(Some(3), false, due);
        let id = asked(&mut pulse, due + EVERY_MUSIC);
        assert!(!pulse.answered(3, id, true, due));
        assert_eq!(pulse.due(), Some(due + EVERY), "silence can wait");
    }

    #[test]
    fn one_answer_makes_good_for_the_silence_before() {
        let (mut pulse, mut now) = beating();
        for alive in [false, true, false, true] {
            let id = asked(&mut pulse, now);
            assert!(!pulse.answered(3, id, alive, now));
            now += PATIENCE;
        }
    }
}

//! The sleep timer: when the music pauses by itself, and how it fades before that.
//!
//! What fades is the player's. Here it is said where the silence lies: at a time, however often
//! music stops and starts until then and whatever plays; or at the end of the track, wherever in it
//! somebody goes. A fade that begins late, or anew after a seek, takes what is left.

use super::{Action, Connect, LoadId, Phase, replies::Answer};
use crate::model::{Dim, LONGEST_SLEEP_S, SleepTimer};

/// A sleep timer runs no longer than that.
const LONGEST_MS: u64 = LONGEST_SLEEP_S as u64 * 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Never,
    At { tick_ms: u64 },
    EndOfTrack,
}

/// What the player was told of a fade, or is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fade {
    None,
    Until {
        tick_ms: u64,
        over_ms: u32,
    },
    With {
        id: LoadId,
        end_ms: u32,
        over_ms: u32,
    },
}

/// The timer.
#[derive(Debug)]
pub(super) struct Rest {
    when: When,
    /// As it was asked for.
    fade_ms: u32,
    /// Where nobody asks, for a timer that ends at a time.
    default_ms: u32,
    /// How long it takes at the end of this track, now that it is known.
    over: Option<(LoadId, u32)>,
    /// `None`: anew, in any case.
    told: Option<Fade>,
}

impl Rest {
    pub(super) fn new(default_ms: u32) -> Self {
        Self {
            when: When::Never,
            fade_ms: 0,
            default_ms,
            over: None,
            told: Some(Fade::None),
        }
    }

    pub(super) fn is_off(&mut self) {
        self.when = When::Never;
    }

    /// Nothing follows the track that plays.
    pub(super) fn ends_with_the_track(&self) -> bool {
        self.when == When::EndOfTrack
    }

    /// The track is over: whether that was the end. Once.
    pub(super) fn is_due_at_the_end(&mut self) -> bool {
        let due = self.ends_with_the_track();
        if due {
            self.is_off();
        }
        due
    }

    /// How long it fades, in ms; 0 when it does not, or when there is no timer.
    pub(super) fn fade_ms(&self) -> u32 {
        match self.when {
            When::Never => 0,
            _ => self.fade_ms,
        }
    }

    /// Somebody has moved within the track: the fade takes what is left.
    pub(super) fn begin_anew(&mut self) {
        self.over = None;
    }

    /// Music goes on after a silence, in which the player counted nothing: it is told how long it is
    /// to the end.
    pub(super) fn tell_anew(&mut self) {
        if matches!(self.told, Some(Fade::Until { .. })) {
            self.told = None;
        }
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self, now: u64) -> Option<u64> {
        let When::At { tick_ms } = self.when else {
            return None;
        };
        let fades_at = tick_ms.saturating_sub(self.fade_ms.into());
        Some(if fades_at > now { fades_at } else { tick_ms })
    }
}

impl Connect {
    /// `None` fades as configured: before a time, never at the end of a track, which has an end of its
    /// own.
    pub(super) fn sleep_at(&mut self, timer: SleepTimer, fade_ms: Option<u32>) -> Answer {
        let in_ms = |ms: u64| {
            let ms = ms.min(LONGEST_MS);
            let fade_ms = fade_ms.unwrap_or(self.rest.default_ms);
            let fade_ms = u32::try_from(ms).unwrap_or(u32::MAX).min(fade_ms);
            let tick_ms = self.now.tick_ms + ms;
            (When::At { tick_ms }, fade_ms)
        };
        let (when, fade_ms) = match timer {
            SleepTimer::Off => (When::Never, 0),
            SleepTimer::EndOfTrack => (When::EndOfTrack, fade_ms.unwrap_or(0)),
            SleepTimer::In { ms } => in_ms(ms),
            SleepTimer::At { unix_ms } => {
                in_ms(u64::try_from(unix_ms - self.now.unix_ms).unwrap_or(0))
            }
        };
        self.rest.when = when;
        self.rest.fade_ms = fade_ms;
        self.rest.over = None;
        self.touched = true;
        Answer::Yes
    }

    /// The timer, as everybody is shown it.
    pub(super) fn sleep_timer(&self) -> SleepTimer {
        match self.rest.when {
            When::Never => SleepTimer::Off,
            When::EndOfTrack => SleepTimer::EndOfTrack,
            When::At { tick_ms } => {
                let left = tick_ms.saturating_sub(self.now.tick_ms);
                let left = i64::try_from(left).unwrap_or(0);
                SleepTimer::At {
                    unix_ms: self.now.unix_ms + left,
                }
            }
        }
    }

    pub(super) fn fall_asleep(&mut self) {
        if let When::At { tick_ms } = self.rest.when
            && tick_ms <= self.now.tick_ms
        {
            self.rest.is_off();
            self.touched = true;
            self.pause();
        }
    }

    /// Tells the player how music is to fade, if there is news.
    pub(super) fn dim(&mut self) {
        if self.phase == Phase::Playing && !self.want_play {
            // It is falling silent: it must not come back for that.
            return;
        }
        let fade = self.fade();
        if self.rest.told == Some(fade) {
            return;
        }
        self.rest.told = Some(fade);
        let dim = match fade {
            Fade::None => None,
            Fade::Until { tick_ms, over_ms } => {
                let left = tick_ms.saturating_sub(self.now.tick_ms);
                let left_ms = u32::try_from(left).unwrap_or(u32::MAX);
                Some(Dim::In { left_ms, over_ms })
            }
            Fade::With {
                id,
                end_ms,
                over_ms,
            } => Some(Dim::At {
                track: id,
                end_ms,
                over_ms,
            }),
        };
        self.push(Action::Dim(dim));
    }

    fn fade(&mut self) -> Fade {
        let over_ms = self.rest.fade_ms;
        match self.rest.when {
            _ if over_ms == 0 => Fade::None,
            When::Never => Fade::None,
            When::At { tick_ms } => {
                let begun = tick_ms <= self.now.tick_ms + u64::from(over_ms);
                match begun {
                    true => Fade::Until { tick_ms, over_ms },
                    false => Fade::None,
                }
            }
            When::EndOfTrack => self.fade_with_the_track(over_ms),
        }
    }

    fn fade_with_the_track(&mut self, wanted_ms: u32) -> Fade {
        let loaded = matches!(self.phase, Phase::Loading | Phase::Playing | Phase::Paused);
        let end_ms = self.described.as_ref().map_or(0, |track| track.duration_ms);
        if !loaded || end_ms == 0 {
            return Fade::None;
        }
        let id = self.load;
        let left = end_ms.saturating_sub(self.position_ms());
        let known = self.rest.over.filter(|(of, _)| *of == id);
        let (_, over_ms) = *self
            .rest
            .over
            .insert(known.unwrap_or((id, wanted_ms.min(left))));
        Fade::With {
            id,
            end_ms,
            over_ms,
        }
    }
}

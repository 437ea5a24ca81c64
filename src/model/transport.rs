//! What a remote control asks of a speaker, and why it may not be done.

use serde::{Deserialize, Serialize};

use super::{Link, Percent, Repeat};

/// One wish about what plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Transport {
    /// Goes on. Where nothing is loaded, what played last, or plays elsewhere, comes here.
    Play,
    Pause,
    /// Pause while music plays, else play.
    Toggle,
    /// Falls silent and is not the active device any more; another may take over.
    Stop,
    Next,
    /// Back to the beginning of the track, or to the one before it.
    Previous,
    Seek {
        position_ms: u32,
    },
    /// From where the music is; before the beginning is the beginning.
    SeekBy {
        ms: i64,
    },
    Volume {
        percent: Percent,
    },
    /// Points of a hundred, up or down.
    VolumeBy {
        points: i8,
    },
    /// `None`: the other way round. Unmuted, it is as loud as before.
    Mute {
        on: Option<bool>,
    },
    Shuffle {
        on: bool,
    },
    Repeat {
        mode: Repeat,
    },
    /// Plays something else.
    Load(Box<Load>),
    /// Plays this track or episode after the current one.
    Enqueue {
        link: Link,
    },
    /// Moves playback here from wherever it is.
    Pull,
    /// Moves playback to another device of the account, by its name or id.
    Send {
        device: String,
    },
    Sleep {
        timer: SleepTimer,
        /// How long it grows quieter before that; `None`: as the speaker is configured.
        fade_ms: Option<u32>,
    },
}

/// A sleep timer runs no longer than a day.
pub const LONGEST_SLEEP_S: u32 = 24 * 60 * 60;

/// Nor does music take longer than an hour to fade before it.
pub const LONGEST_FADE_S: u32 = 60 * 60;

impl Transport {
    /// What is wished for, in a word.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Pause => "pause",
            Self::Toggle => "toggle",
            Self::Stop => "stop",
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Seek { .. } | Self::SeekBy { .. } => "seek",
            Self::Volume { .. } | Self::VolumeBy { .. } => "volume",
            Self::Mute { .. } => "mute",
            Self::Shuffle { .. } => "shuffle",
            Self::Repeat { .. } => "repeat",
            Self::Load(_) => "load",
            Self::Enqueue { .. } => "enqueue",
            Self::Pull => "pull",
            Self::Send { .. } => "send",
            Self::Sleep { .. } => "sleep",
        }
    }

    /// A timer as remotes ask for it: in so many seconds, or at the end of the track; neither takes
    /// it back.
    ///
    /// # Errors
    /// What is wrong, and what to send instead.
    pub fn sleep(
        after_s: Option<u32>,
        end_of_track: bool,
        fade_s: Option<u32>,
    ) -> Result<Self, (&'static str, &'static str)> {
        let timer = match (after_s, end_of_track) {
            (Some(seconds @ 1..=LONGEST_SLEEP_S), false) => SleepTimer::In {
                ms: u64::from(seconds) * 1_000,
            },
            (None, true) => SleepTimer::EndOfTrack,
            (None, false) => SleepTimer::Off,
            _ => {
                let help = "send one of both, or none of them to take the timer back";
                return Err(("it takes after_s (1 to 86400) or end_of_track", help));
            }
        };
        let fade_ms = match fade_s {
            None => None,
            Some(_) if timer == SleepTimer::Off => {
                let help = "say a time, or the end of the track, with it";
                return Err(("there is no timer to fade before", help));
            }
            Some(seconds) if seconds > LONGEST_FADE_S => {
                return Err(("the fade is too long", "it takes an hour (3600 s) at most"));
            }
            Some(seconds) if after_s.is_some_and(|after_s| seconds > after_s) => {
                let help = "it lies in the last part of that time: make it shorter";
                return Err(("the fade is longer than the time itself", help));
            }
            Some(seconds) => Some(seconds * 1_000),
        };
        Ok(Self::Sleep { timer, fade_ms })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub link: Link,
    /// Where in it to begin: a place, counted from 0, or a track of it.
    pub index: Option<u32>,
    pub track: Option<Link>,
    pub position_ms: u32,
    /// `None`: as it is.
    pub shuffle: Option<bool>,
    pub paused: bool,
}

/// When music is to pause by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SleepTimer {
    #[default]
    Off,
    /// In so many ms, as an order; at this Unix time in ms, as a state.
    In {
        ms: u64,
    },
    At {
        unix_ms: i64,
    },
    EndOfTrack,
}

/// How music grows quieter on its way to silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// Silent in `left_ms`; the whole way takes `over_ms`.
    In { left_ms: u32, over_ms: u32 },
    /// Silent at this place of this track, `over_ms` after it began to.
    At {
        track: u64,
        end_ms: u32,
        over_ms: u32,
    },
}

/// Why a wish has not taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    pub code: Obstacle,
    /// In a sentence.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Another device, or none, is what the listener plays on.
    NotActive,
    /// Not as things stand: there is nothing to play, the queue is full.
    Conflict,
    /// It cannot be played here, or does not exist.
    Unplayable,
    /// Spotify does not allow it at present.
    Restricted,
    /// The account has no such device.
    UnknownDevice,
    /// The sound cannot go there.
    NoOutput,
    /// Nobody is signed in.
    Nobody,
    /// There is no session with Spotify at the moment.
    NoSession,
    /// Not within the limit. It may take effect yet.
    TooLate,
}

impl Unmet {
    pub fn new(code: Obstacle, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { code, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_goes_with_a_timer_and_fits_into_it() {
        let timer = |after_s, end, fade_s| Transport::sleep(after_s, end, fade_s);
        assert_eq!(
            timer(Some(1_800), false, Some(120)),
            Ok(Transport::Sleep {
                timer: SleepTimer::In { ms: 1_800_000 },
                fade_ms: Some(120_000),
            })
        );
        assert!(timer(Some(60), false, Some(60)).is_ok());
        assert!(timer(None, true, Some(3_600)).is_ok());
        assert!(timer(None, true, Some(0)).is_ok());
        for (after_s, end, fade_s) in [
            (Some(60), false, Some(61)),
            (Some(86_400), false, Some(3_601)),
            (None, false, Some(5)),
            (Some(60), true, None),
            (Some(0), false, None),
            (Some(86_401), false, None),
        ] {
            assert!(
                timer(after_s, end, fade_s).is_err(),
                "{after_s:?} {fade_s:?}"
            );
        }
    }
}

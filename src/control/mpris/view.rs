//! One speaker as MPRIS shows it: properties and the hand of the clock, made from the state alone.

use tokio::time::Instant;

use super::{
    lines::{Lines, NO_TRACK},
    value::{Facts, Value},
};
use crate::model::{Forbidden, Phase, PlayState, Playback, Repeat, SpeakerState};

/// A track that loads is shown as playing: it does so between any two tracks. One that takes
/// longer than this is waited for, and nothing sounds.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub tick: Instant,
    pub unix_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Playing,
    Paused,
    Stopped,
}

/// Where the music is and whether it goes on; steps of the wall clock do not move it.
#[derive(Debug, Clone, Copy)]
pub struct Hand {
    pub at: Instant,
    pub ms: u32,
    pub runs: bool,
    /// The end of the track; 0: not known.
    pub end_ms: u32,
}

/// What the state said about the position, to tell whether it says something else.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    state: PlayState,
    position_ms: u32,
    at_ms: i64,
    uri: Option<String>,
}

#[derive(Debug, Clone)]
pub struct View {
    identity: String,
    pub status: Status,
    repeat: Repeat,
    shuffle: bool,
    /// The last level known; stays while nobody is signed in.
    percent: u8,
    signed_in: bool,
    pub context: Option<String>,
    pub lines: Lines,
    /// What Spotify does not allow at present.
    forbidden: Vec<Forbidden>,
    pub hand: Hand,
    said: Option<Said>,
    loads_since: Option<Instant>,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Playing => "Playing",
            Self::Paused => "Paused",
            Self::Stopped => "Stopped",
        }
    }
}

impl Hand {
    pub fn still(now: Instant) -> Self {
        Self {
            at: now,
            ms: 0,
            runs: false,
            end_ms: 0,
        }
    }

    /// Never past the end.
    pub fn ms(&self, now: Instant) -> u32 {
        let gone = match self.runs {
            true => now.saturating_duration_since(self.at).as_millis(),
            false => 0,
        };
        let ms = self
            .ms
            .saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
        match self.end_ms {
            0 => ms,
            end => ms.min(end),
        }
    }
}

impl View {
    pub fn new(now: Instant) -> Self {
        Self {
            identity: String::new(),
            status: Status::Stopped,
            repeat: Repeat::Off,
            shuffle: false,
            percent: 0,
            signed_in: false,
            context: None,
            lines: Lines::default(),
            forbidden: Vec::new(),
            hand: Hand::still(now),
            said: None,
            loads_since: None,
        }
    }

    /// Takes over what is so now.
    pub fn follow(&mut self, speaker: &SpeakerState, now: Now) {
        self.identity.clone_from(&speaker.name);
        if let Some(percent) = speaker.volume_percent {
            self.percent = percent.get();
        }
        self.signed_in = speaker.phase == Phase::Online;
        // What plays on another device is none of ours.
        let here = speaker.playback.as_ref().filter(|one| one.active);
        self.lines.follow(here);
        self.context = here.and_then(|one| one.context.clone());
        let restrictions = here.map_or(&[][..], |one| &one.restrictions);
        self.forbidden = restrictions.iter().map(|one| one.what).collect();
        self.repeat = here.map_or(Repeat::Off, |one| one.repeat);
        self.shuffle = here.is_some_and(|one| one.shuffle);
        let state = here.map_or(PlayState::Stopped, |one| one.state);
        self.loads_since = match state {
            PlayState::Loading => self.loads_since.or(Some(now.tick)),
            _ => None,
        };
        self.status = match state {
            PlayState::Playing => Status::Playing,
            PlayState::Paused => Status::Paused,
            PlayState::Stopped => Status::Stopped,
            PlayState::Loading if self.settles_at().is_some_and(|at| now.tick < at) => {
                Status::Playing
            }
            PlayState::Loading => Status::Paused,
        };
        self.point(here, now);
    }

    /// Sets the hand where the state says something new about it.
    fn point(&mut self, here: Option<&Playback>, now: Now) {
        let said = here.map(|one| Said {
            state: one.state,
            position_ms: one.position_ms,
            at_ms: one.at_ms,
            uri: one.track.as_ref().map(|track| track.uri.clone()),
        });
        let end_ms = self.length_ms();
        if self.said != said {
            self.said = said;
            self.hand = Hand {
                at: now.tick,
                ms: here.map_or(0, |one| one.position_at(now.unix_ms)),
                runs: here.is_some_and(|one| one.state == PlayState::Playing),
                end_ms,
            };
        }
        self.hand.end_ms = end_ms;
        if self.status == Status::Stopped {
            self.hand = Hand::still(now.tick);
        }
    }

    /// Whether a track is waited for, so that nothing sure can be said about the position.
    pub fn is_unsettled(&self) -> bool {
        self.loads_since.is_some() && self.status == Status::Playing
    }

    /// When a track that loads is not to be shown as playing any more.
    pub fn settles_at(&self) -> Option<Instant> {
        self.loads_since.map(|since| since + GRACE)
    }

    /// Of the current track; 0: not known.
    pub fn length_ms(&self) -> u32 {
        let known = self.lines.playing().and_then(|line| line.known.as_ref());
        known.map_or(0, |track| track.duration_ms)
    }

    /// `org.mpris.MediaPlayer2`.
    pub fn root(&self) -> Facts {
        let schemes = ["spotify", "https"].map(str::to_owned).to_vec();
        vec![
            ("CanQuit", Value::Bool(false)),
            ("CanRaise", Value::Bool(false)),
            ("HasTrackList", Value::Bool(true)),
            ("Identity", Value::text(&self.identity)),
            ("SupportedUriSchemes", Value::Texts(schemes)),
            ("SupportedMimeTypes", Value::Texts(Vec::new())),
        ]
    }

    /// `org.mpris.MediaPlayer2.Player`, but for the position, which is never told unasked.
    pub fn player(&self) -> Facts {
        let here = self.lines.playing();
        let some = here.is_some();
        let follows = self.lines.current.map_or(0, |at| at + 1) < self.lines.all.len();
        let may = |what| some && !self.forbidden.contains(&what);
        let nothing = || vec![("mpris:trackid", Value::Path(NO_TRACK.to_owned()))];
        let repeat = match self.repeat {
            Repeat::Off => "None",
            Repeat::Track => "Track",
            Repeat::Context => "Playlist",
        };
        vec![
            ("PlaybackStatus", Value::text(self.status.word())),
            ("LoopStatus", Value::text(repeat)),
            ("Rate", Value::Float(1.0)),
            ("Shuffle", Value::Bool(self.shuffle)),
            (
                "Metadata",
                Value::Facts(here.map_or_else(nothing, |line| line.facts())),
            ),
            ("Volume", Value::Float(f64::from(self.percent) / 100.0)),
            ("MinimumRate", Value::Float(1.0)),
            ("MaximumRate", Value::Float(1.0)),
            ("CanGoNext", Value::Bool(follows && may(Forbidden::Next))),
            // Back to the beginning, if nothing else.
            ("CanGoPrevious", Value::Bool(may(Forbidden::Previous))),
            // What plays elsewhere, or played last, is asked to come here.
            ("CanPlay", Value::Bool(self.signed_in)),
            ("CanPause", Value::Bool(may(Forbidden::Pause))),
            (
                "CanSeek",
                Value::Bool(self.length_ms() > 0 && may(Forbidden::Seek)),
            ),
            ("CanControl", Value::Bool(true)),
        ]
    }

    /// `org.mpris.MediaPlayer2.TrackList`.
    pub fn tracks(&self) -> Facts {
        vec![
            ("CanEditTracks", Value::Bool(self.lines.current.is_some())),
            ("Tracks", Value::Paths(self.lines.ids())),
        ]
    }
}

//! What the daemon and its engine say to each other: one JSON object a line, either way.
//!
//! Commands go to the child's standard input, events come from its standard output. Credentials
//! travel only here: never in arguments, never in the environment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    config,
    model::{
        Condition, ConditionCode, Cut, DeviceId, KeyAnswer, Known, Login, Measures, OutputChoice,
        Pairing, Peer, Playback, Query, Refusal, Secret, Sound, Transport, Unmet, Volume, Way,
    },
};

/// Raised when a message changes its meaning. Both sides are the same binary, except while one is
/// being replaced under a running daemon.
pub const PROTOCOL: u32 = 7;

/// No honest line is longer; a longer one ends the conversation.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// Daemon → engine. `Start`, `Warm` and then `Start`, or `Pair` comes first and once; after `Pair` only `Pasted` and `Stop` mean
/// anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Start(Box<Start>),
    /// Make ready what needs no account: `Start` may follow, or `Stop`.
    Warm(Box<Warm>),
    /// Nothing is played: an account is to be signed in without a phone on the local network.
    Pair(Box<Pair>),
    /// The address that the browser was led to, with its one-time code in it.
    Pasted {
        address: Secret,
    },
    /// Ask whether the session is alive; answered by [`Event::Checked`] with the same number. An
    /// answer of the session that is not older than `trust_ms` will do.
    Check {
        id: u64,
        #[serde(default)]
        trust_ms: u32,
    },
    /// The addresses of this machine are others now: links may be dead without knowing it. Answered
    /// like `Check`.
    NetworkChanged {
        id: u64,
    },
    /// Take playback up again after a loss, as the only active device.
    Restore(Box<Playback>),
    /// Say what plays, and how loud; answered by [`Event::Playback`].
    Show,
    /// A wish about what plays; answered by [`Event::Done`] with the same number, within 2.5 s.
    Order {
        id: u64,
        order: Transport,
    },
    /// Music that waits may be heard: see [`Event::Holding`].
    LetPlay,
    /// Answered by [`Event::Measured`] with the same number, if at all.
    Measure {
        id: u64,
    },
    /// Somebody wants to see something that only Spotify has; answered by [`Event::Told`] with the
    /// same number, within 3.5 s. Playback does not wait for it.
    Ask {
        id: u64,
        query: Query,
    },
    /// The sound goes elsewhere from now on, from the place where it is. With a number, answered by
    /// [`Event::Done`]; when it cannot go there, it goes where it went before.
    Output {
        id: Option<u64>,
        output: config::Output,
    },
    /// What phones are shown from now on.
    Rename {
        name: String,
    },
    /// How much is to be logged from now on; heeded at once, whatever the engine is at.
    Log {
        level: config::LogLevel,
    },
    /// Nothing is played: what cards there are, told by [`Event::Outputs`], and that is all.
    Outputs(Outputs),
    /// Fade out and end without a goodbye: another engine is the same device of the same account, and
    /// would be the one to leave the phone's picker.
    GiveWay,
    /// Leave the phone's picker, fade out, and end. Answered by the end of the process.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub protocol: u32,
    pub device: DeviceId,
    pub speaker: config::Speaker,
    pub network: config::Network,
    pub log: config::LogLevel,
    /// Level to begin with, already the remembered one where there is one.
    pub volume: Volume,
    pub login: Login,
    /// Unix time in ms before which no audio key is to be asked for: Spotify refused them to this
    /// account less than a day ago.
    #[serde(default)]
    pub keys_from_ms: Option<i64>,
    /// How long music that begins after a silence waits for [`Command::LetPlay`] at most, in ms;
    /// `None`: not at all.
    #[serde(default)]
    pub hold_ms: Option<u32>,
    /// Where audio files are kept, its path given; `None`: nowhere.
    #[serde(default)]
    pub cache: Option<config::Cache>,
    /// Where to leave a note, should the daemon die: see [`super::note`]. `None`: nowhere.
    #[serde(default)]
    pub note: Option<PathBuf>,
    /// Process id of the daemon: whose standard output a `pipe` output without a path writes to.
    pub daemon_pid: u32,
}

/// What an engine is told that has nobody to sign in yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warm {
    pub protocol: u32,
    pub device: DeviceId,
    pub speaker: config::Speaker,
    pub network: config::Network,
    pub log: config::LogLevel,
}

/// What a child that only signs somebody in is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub protocol: u32,
    /// The id that the lasting credential is made for.
    pub device: DeviceId,
    /// Name of the speaker, for the log.
    pub name: String,
    pub network: config::Network,
    pub log: config::LogLevel,
    /// The OAuth client to be; `None`: the one that librespot signs in with.
    pub client_id: Option<String>,
    pub way: Way,
}

/// What a child that only looks for sound cards is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    pub protocol: u32,
    pub log: config::LogLevel,
}

impl From<Outputs> for Command {
    fn from(outputs: Outputs) -> Self {
        Self::Outputs(outputs)
    }
}

impl From<Start> for Command {
    fn from(start: Start) -> Self {
        Self::Start(Box::new(start))
    }
}

impl From<Warm> for Command {
    fn from(warm: Warm) -> Self {
        Self::Warm(Box::new(warm))
    }
}

impl From<Pair> for Command {
    fn from(pair: Pair) -> Self {
        Self::Pair(Box::new(pair))
    }
}

/// Engine → daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First line: the protocol it speaks.
    Hello {
        protocol: u32,
    },
    /// Signed in, Premium, and listed by connect-state (after `Start`). `login` is the lasting
    /// credential to keep.
    Ready {
        login: Login,
        country: Option<String>,
    },
    /// Spotify does not let the account in. The engine ends after this.
    Refused {
        refusal: Refusal,
    },
    /// Spotify could not be reached for the first sign-in. The engine ends after this.
    Lost {
        why: String,
    },
    /// Something in the engine is broken, and Spotify has nothing to do with it. It ends after this.
    Broken {
        why: String,
    },
    /// The session is lost, and another is being made, for as long as it takes; said again when
    /// there is another reason. The music goes on meanwhile, as far as it can. Before `Ready`:
    /// nothing gets as far as Spotify, and the engine waits until something does; said again at
    /// least every 20 s.
    Interrupted {
        why: String,
        /// What the session was lost by; `None` when this is about an attempt to have another.
        #[serde(default)]
        cut: Option<Cut>,
    },
    /// After `Interrupted`: a new session stands, and connect-state lists the speaker again.
    Resumed,
    Checked {
        id: u64,
        /// The link to the access point answers.
        alive: bool,
        /// The dealer's connection stands, as far as is known.
        #[serde(default)]
        dealer: Option<bool>,
        /// connect-state has taken the state of the speaker.
        #[serde(default)]
        listed: Option<bool>,
    },
    /// What Spotify calls the account where people see it. Comes some time after `Ready`, or never.
    Named {
        name: String,
    },
    /// What became of an audio key that was asked for: refused by Spotify in so many words, or
    /// granted. Time-outs and lost links are neither. Enough is the first of a session, and each
    /// change after that.
    Keys(KeyAnswer),
    /// Somebody took the account off this device, in an app.
    LoggedOut,
    /// Somebody wants this speaker to be called so, in an app. Answered by [`Command::Rename`], if it
    /// can be.
    Renamed {
        name: String,
    },
    /// A new truth about playback.
    Playback(Box<Playback>),
    /// An order has taken effect, or why not. Comes after the truth that it made.
    Done {
        id: u64,
        result: Result<(), Unmet>,
    },
    /// Music waits to be heard, or does not any more.
    Holding {
        on: bool,
    },
    /// What this engine knows of itself.
    Measured {
        id: u64,
        measures: Box<Measures>,
    },
    /// What was asked for, or why it cannot be had, in words.
    Told {
        id: u64,
        result: Result<Known, String>,
    },
    /// Sound goes there now.
    Sound(Sound),
    /// The other devices of the account are these now.
    Devices {
        devices: Vec<Peer>,
    },
    /// The sound cards that there are.
    Outputs {
        cards: Vec<OutputChoice>,
    },
    /// How a sign-in that was asked for with `Pair` stands. `Ready` is never said: the lasting
    /// credential comes as [`Event::Ready`], and whoever has kept it may say so.
    Pairing(Pairing),
    Raised {
        condition: Condition,
    },
    Cleared {
        code: ConditionCode,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_a_sign_in_survives_the_way_through_a_line() {
        let states = [
            Pairing::Asking { trouble: None },
            Pairing::Waiting {
                code: "ABCD12".into(),
                address: "https://spotify.com/pair".into(),
                complete_address: "https://spotify.com/pair?code=ABCD12".into(),
                expires_at_ms: 1_234,
                trouble: Some("no answer".into()),
            },
            Pairing::failed("denied", "ask again"),
            Pairing::Cancelled,
        ];
        for state in states {
            let event = Event::Pairing(state);
            let line = serde_json::to_string(&event).expect("plain values");
            assert_eq!(
                serde_json::from_str::<Event>(&line).expect("our own"),
                event,
                "{line}"
            );
        }
    }
}

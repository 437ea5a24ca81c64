//! What the daemon and its engine say to each other: one JSON object a line, either way.
//!
//! Commands go to the child's standard input, events come from its standard output. Credentials
//! travel only here: never in arguments, never in the environment.

use serde::{Deserialize, Serialize};

use crate::{
    config,
    model::{Condition, ConditionCode, DeviceId, Login, Playback, Refusal, Repeat, Volume},
};

/// Raised when a message changes its meaning. Both sides are the same binary, except while one is
/// being replaced under a running daemon.
pub const PROTOCOL: u32 = 1;

/// No honest line is longer; a longer one ends the conversation.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// Daemon → engine. `Start` comes first and once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Start(Box<Start>),
    /// Ask whether the session is alive; answered by [`Event::Checked`] with the same number.
    Check {
        id: u64,
    },
    /// Take playback up again after a loss, as the only active device.
    Restore(Box<Playback>),
    Play,
    Pause,
    Next,
    Previous,
    Seek {
        position_ms: u32,
    },
    SetVolume {
        volume: Volume,
    },
    Shuffle {
        on: bool,
    },
    Repeat {
        mode: Repeat,
    },
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
    /// Process id of the daemon: whose standard output a `pipe` output without a path writes to.
    pub daemon_pid: u32,
}

/// Engine → daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First line: the protocol it speaks.
    Hello {
        protocol: u32,
    },
    /// Signed in, Premium, and listed by connect-state. `login` is the lasting credential to keep.
    Ready {
        login: Login,
        country: Option<String>,
    },
    /// Spotify does not let the account in. The engine ends after this.
    Refused {
        refusal: Refusal,
    },
    /// Spotify cannot be reached, or the session is lost. The engine ends after this.
    Lost {
        why: String,
    },
    Checked {
        id: u64,
        alive: bool,
    },
    /// What Spotify calls the account where people see it. Comes some time after `Ready`, or never.
    Named {
        name: String,
    },
    /// What became of an audio key that was asked for: refused by Spotify in so many words, or
    /// granted. Time-outs and lost links are neither. Enough is the first of a session, and each
    /// change after that.
    Keys {
        refused: bool,
    },
    /// A new truth about playback.
    Playback(Box<Playback>),
    Raised {
        condition: Condition,
    },
    Cleared {
        code: ConditionCode,
    },
}

//! What is to be done about it.

use crate::model::{Condition, ConditionCode, Dim, Peer, Playback, Unmet, Volume};

use super::{
    input::{LoadId, Ticket},
    uri::Uri,
};

/// One deed. They are to be carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Play or hold this track from `position_ms`; what sounded before ends. When `id` is the one
    /// that was prepared, it takes that.
    Load {
        id: LoadId,
        uri: Uri,
        position_ms: u32,
        play: bool,
    },
    /// This comes next: have it ready, and join it when the current one ends. Replaces the one
    /// prepared before.
    Prepare {
        id: LoadId,
        uri: Uri,
    },
    /// Nothing comes next any more.
    DropNext,
    Play,
    Pause,
    Seek {
        position_ms: u32,
    },
    /// Fall silent and let go of the track.
    Stop,
    /// Grow quieter like that from now on, whatever plays, and whatever the volume is; `None`: be as
    /// loud as ever again.
    Dim(Option<Dim>),
    SetVolume(Volume),
    /// Ask how a track is called that waits without being loaded; answered by `Track`, if it is known.
    Describe {
        uri: Uri,
    },
    /// Ask what a context holds; answered by `Resolved` with this ticket.
    ResolveContext {
        ticket: Ticket,
        uri: String,
    },
    /// Ask for more of it; answered by `Paged`.
    ResolvePage {
        ticket: Ticket,
        url: String,
    },
    /// Ask what goes on after it; answered by `Autoplay`.
    ResolveAutoplay {
        ticket: Ticket,
        uri: String,
        /// Played lately, oldest first.
        recent: Vec<Uri>,
    },
    /// Tell connect-state; [`super::Connect::shown`] is what. `number` comes back with the answer.
    Put {
        number: u64,
        reason: PutReason,
    },
    /// Tell connect-state that this device does not play any more.
    PutInactive,
    /// Leave the picker.
    Delete,
    /// The answer to a command, with the reason when it is "no".
    Reply {
        ticket: Ticket,
        result: Result<(), String>,
    },
    /// The answer to an order of this house.
    Done {
        ticket: Ticket,
        result: Result<(), Unmet>,
    },
    /// The truth about playback has changed.
    Publish(Box<Playback>),
    /// Come back with `Timer` at this tick; replaces the time set before.
    SetTimer {
        tick_ms: u64,
    },
    /// connect-state lists this device for the first time.
    Listed,
    /// Ask the service to move playback here from wherever it is.
    FetchPlayback,
    /// Ask the service to move playback to this device.
    SendTo {
        device: String,
    },
    /// The other devices of the account are these now.
    Devices(Vec<Peer>),
    /// The account is to be forgotten.
    LoggedOut,
    Raise(Condition),
    Clear(ConditionCode),
    /// A line for the log.
    Note(String),
}

impl Action {
    /// Whether it is to be answered about a context.
    #[cfg(any(test, fuzzing))]
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            Self::ResolveContext { .. } | Self::ResolvePage { .. } | Self::ResolveAutoplay { .. }
        )
    }
}

/// Why a state is put, as connect-state counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PutReason {
    StateChanged,
    VolumeChanged,
    NewDevice,
}

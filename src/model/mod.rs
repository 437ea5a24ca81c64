//! Plain values that the whole house shares. No I/O, no tokio, no librespot.

mod account;
mod condition;
mod device;
mod examination;
mod frames;
mod link;
mod login;
mod measures;
mod moment;
mod output;
mod pairing;
mod peer;
mod playback;
mod presence;
mod query;
mod state;
mod transport;
mod volume;

pub use account::{Account, CameBy, KeyAnswer};
pub use condition::{Condition, ConditionCode, Conditions, Severity, Standing};
pub use device::{DeviceId, DeviceIdError, DeviceType};
pub use examination::{Examination, Finding};
pub use frames::{CHANNELS, RATE, duration_of, frames_of, ms_of};
pub use link::{Link, LinkError, LinkKind};
pub use login::{Login, Refusal, Secret, masked};
pub use measures::{BOUNDS_MS, Cut, Histogram, Measures};
pub use moment::{local_date, local_minute, unix_ms, unix_ms_of};
pub use output::{AS_CONFIGURED, OutputChoice, Sound};
pub use pairing::{Pairing, Way};
pub use peer::{MAX_PEERS, Peer};
pub use playback::{
    Codec, Forbidden, MAX_NEIGHBOURS, MAX_TOLD, Neighbour, Place, PlayState, Playback, Repeat,
    Restriction, Source, Stream, Track, TrackKind,
};
pub use presence::{Layer, LayerState, Presence};
pub use query::{Known, MAX_NAMES, MAX_PICTURE, Picture, Query};
pub use state::{House, Phase, SpeakerState};
pub use transport::{
    Dim, LONGEST_FADE_S, LONGEST_SLEEP_S, Load, Obstacle, SleepTimer, Transport, Unmet,
};
pub use volume::{Percent, Volume};

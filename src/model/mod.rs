//! Plain values that the whole house shares. No I/O, no tokio, no librespot.

mod account;
mod condition;
mod device;
mod frames;
mod link;
mod login;
mod moment;
mod pairing;
mod playback;
mod presence;
mod query;
mod state;
mod transport;
mod volume;

pub use account::{Account, CameBy};
pub use condition::{Condition, ConditionCode, Conditions, Severity, Standing};
pub use device::{DeviceId, DeviceIdError, DeviceType};
pub use frames::{CHANNELS, RATE, duration_of, frames_of, ms_of};
pub use link::{Link, LinkError, LinkKind};
pub use login::{Login, Refusal, Secret, masked};
pub use moment::{local_date, local_minute, unix_ms};
pub use pairing::{Pairing, Way};
pub use playback::{
    MAX_NEIGHBOURS, MAX_TOLD, Neighbour, Place, PlayState, Playback, Repeat, Source, Track,
};
pub use presence::{Layer, LayerState, Presence};
pub use query::{Known, MAX_NAMES, MAX_PICTURE, Picture, Query};
pub use state::{House, Phase, SpeakerState};
pub use transport::{Load, Obstacle, SleepTimer, Transport, Unmet};
pub use volume::{Percent, Volume};

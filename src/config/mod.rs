//! From file, environment and flags to one checked [`Config`].
//!
//! What is here cannot be wrong any more: every value was checked when it was read.

mod settings;

pub use settings::{
    Audio, Autoplay, Bitrate, Config, Curve, LogLevel, Network, Normalisation, NormalisationMethod,
    Output, SampleFormat, Speaker, VolumeSettings,
};

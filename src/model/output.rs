//! Where the sound of a speaker goes, and could go.

use serde::{Deserialize, Serialize};

/// What stands for "as configured" where an output is chosen.
pub const AS_CONFIGURED: &str = "default";

/// One of the places that sound can be led to while it plays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct OutputChoice {
    /// What to choose it by: [`AS_CONFIGURED`], or as `siskin devices` names it.
    pub name: String,
    /// What it is, for people.
    #[serde(default)]
    pub about: String,
    /// It is what is used.
    pub chosen: bool,
}

/// What was opened last, as the device takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Sound {
    /// The card's name, or the path.
    pub device: String,
    /// Frames per second.
    pub rate: u32,
    /// Sample format, in ALSA's words.
    pub format: String,
}

//! What the output tells the engine.

use crate::model::{Condition, ConditionCode};

/// News from the output, for the engine to turn into conditions, pauses and resumptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Sound goes there from now on.
    Opened(Opened),
    /// There is no output until `Back`; it tries again by itself, and what waits is kept.
    Lost(Condition),
    /// There is an output again: music that was not paused goes on where it broke off.
    Back,
    /// Music waits to be heard after a silence: see [`super::Output::ask`].
    Holding,
    /// How often the device ran out of samples or the music out of time, since the start.
    Xrun { count: u64 },
}

/// What was opened, for logs and `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The card's name, or the path.
    pub device: String,
    /// Frames per second as the device takes them.
    pub rate: u32,
    /// Sample format as the device takes it.
    pub format: String,
}

/// An output that is not there.
pub(super) fn lost(
    what: impl Into<String>,
    why: impl Into<String>,
    cure: impl Into<String>,
) -> Condition {
    Condition::new(ConditionCode::OutputLost, what, why, cure)
}

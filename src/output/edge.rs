//! What the player says that matters to the samples: where one track ends and another begins.
//!
//! Pure translation, so that the reel can be tested without a player.

use librespot_playback::player::PlayerEvent;

/// One event that changes what the samples written next belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// A track was ordered. Anything of another track that is not at its end is unwanted from now on.
    Load,
    /// Samples of `track` follow, from about this position.
    Start { track: u64, position_ms: u32 },
    /// Samples from another place follow; those still waiting are unwanted.
    Jump { track: u64, position_ms: u32 },
    /// The next sample is exactly at this position.
    Exact { track: u64, position_ms: u32 },
    /// Every sample of the track has been written.
    End,
    /// Nothing follows until further notice; the listener should see this position.
    Rest { track: u64, position_ms: u32 },
}

impl Edge {
    pub(super) fn of(event: &PlayerEvent) -> Option<Self> {
        Some(match *event {
            PlayerEvent::PlayRequestIdChanged { .. } => Self::Load,
            PlayerEvent::Playing {
                play_request_id: track,
                position_ms,
                ..
            } => Self::Start { track, position_ms },
            PlayerEvent::Seeked {
                play_request_id: track,
                position_ms,
                ..
            } => Self::Jump { track, position_ms },
            PlayerEvent::PositionCorrection {
                play_request_id: track,
                position_ms,
                ..
            } => Self::Exact { track, position_ms },
            PlayerEvent::Paused {
                play_request_id: track,
                position_ms,
                ..
            } => Self::Rest { track, position_ms },
            PlayerEvent::EndOfTrack { .. } => Self::End,
            _ => return None,
        })
    }
}

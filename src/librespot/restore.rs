//! Taking playback up again after a loss: what to ask of librespot so that it sounds as before.

use librespot_connect::{
    LoadContextOptions, LoadRequest, LoadRequestOptions, Options, PlayingTrack,
};

use crate::model::{PlayState, Playback, Repeat};

/// The request that brings `then` back at `now_ms`, or `None` when nothing was playing.
/// What played is not moved on by the time nobody heard it: music goes on where it broke off.
pub fn request(then: &Playback) -> Option<LoadRequest> {
    let track = then.track.as_ref()?;
    if then.state == PlayState::Stopped {
        return None;
    }
    let options = LoadRequestOptions {
        start_playing: then.state != PlayState::Paused,
        seek_to: then.position_ms,
        context_options: Some(LoadContextOptions::Options(Options {
            shuffle: then.shuffle,
            repeat: then.repeat == Repeat::Context,
            repeat_track: then.repeat == Repeat::Track,
        })),
        playing_track: Some(PlayingTrack::Uri(track.uri.clone())),
    };
    Some(match &then.context {
        Some(context) => LoadRequest::from_context_uri(context.clone(), options),
        None => LoadRequest::from_tracks(vec![track.uri.clone()], options),
    })
}

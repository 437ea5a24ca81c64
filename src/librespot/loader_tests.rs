//! What is opened again when a track runs dry.

use librespot_core::{Session, SessionConfig};

use super::*;
use crate::{
    config::{self, Audio, VolumeSettings},
    output::Output,
    player::PlayerSettings,
};

#[tokio::test]
async fn an_episode_that_somebody_began_anew_does_not_jump_away_when_it_runs_dry() {
    let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
    let (reports, _heard) = mpsc::channel(8);
    let output = Output::open(&config::Output::Null, volume.clone(), reports, 0);
    let settings = PlayerSettings::of(&Audio::default());
    let (player, _events) = Player::start(output.inlet(), settings).expect("a thread");
    // Nothing is opened: no task gets a turn in this test.
    let session = Session::new(SessionConfig::default(), None);
    let (mut loader, _opened) = Loader::new(Tools {
        current: Current::only(session),
        player,
        clock: output.clock(),
        dimmer: output.dimmer(),
        volume,
        bitrate: Bitrate::Kbps320,
        cache: None,
        keys_from_ms: None,
    });
    let uri: Uri = Uri::new("spotify:episode:512ojhOuo1ktJprKbVcKyQ");
    loader.load(1, &uri, 5_000, true);
    loader.seek(0);
    let dry = player::Why::Source("nothing comes".into());
    loader.failed(1, &dry);
    let left = Outcome {
        id: 1,
        opened: Err(Unopened::Failed(Failure::KeyRefused)),
        left_ms: Some(60_000),
    };
    loader.opened(left);
    assert_eq!(loader.current.as_ref().map(|slot| slot.begin_ms), Some(0));
}

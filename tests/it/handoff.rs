//! The main job: found, handed over, listed, played.

use spotify_sim::{
    PlayOptions,
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::world::{scenario, shows};

#[test]
fn a_phone_finds_the_speaker_hands_an_account_over_and_hears_its_music() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let daemon = world.start_on(&fifo);
        let found = world.find().await;
        let info = world.info(&found).await;
        assert_eq!(info.faults(), Vec::<String>::new());
        assert_eq!(info.active_user, "");
        let app = world.sign_in("kim").await;
        assert_eq!(world.info(&found).await.active_user, "kim");
        let album = world.sim.catalogue().titled("Tones").uri();
        let reply = app
            .play(&album, PlayOptions::default())
            .await
            .expect("an answer");
        assert!(reply.success);
        shows(&app, "a playing track", |state| state.playing).await;
        let (status, log) = daemon.stop().await;
        assert!(status.success(), "{status}: {log:?}");
    });
}

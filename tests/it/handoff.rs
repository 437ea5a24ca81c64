//! The main job: found, handed over, listed, played.

use std::time::{Duration, Instant};

use spotify_sim::{
    PlayOptions,
    listen::{Placement, clipped, recognise},
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    tape::{FADE, Tape, decoded, frames},
    world::{hears, scenario, shows},
};

/// A packet of Vorbis holds no more frames than this.
const PACKET: usize = 2_048;

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
        let album = world.sim.catalogue().titled("Tones").clone();
        let asked = Instant::now();
        let reply = app
            .play(&album.uri(), PlayOptions::default())
            .await
            .expect("an answer");
        assert!(reply.success);
        shows(&app, "a playing track", |state| state.playing).await;
        hears(&fifo, frames(700)).await;
        let (status, log) = daemon.stop().await;
        assert!(status.success(), "{status}: {log:?}");

        let tape = Tape::new(&fifo, &[decoded(&album.tracks[0], 4)]);
        let first = tape.moment_of(0) - asked;
        eprintln!("the first sample came {first:?} after the order to play");
        assert!(first < Duration::from_secs(2), "{first:?}");
        let window = &tape.capture[frames(300)..frames(500)];
        let heard = recognise(window, world.sim.catalogue()).expect("a known sound");
        assert_eq!(heard.track.title, album.tracks[0].title);
        assert_eq!(heard.placement, Placement::Straight);
        assert_eq!(tape.stretches[0].at, 0, "{:#?}", tape.stretches);
        assert_eq!(tape.stretches[0].from, 0, "{:#?}", tape.stretches);
        tape.assert_seamless();
    });
}

#[test]
fn the_last_tracks_of_an_album_come_out_sample_by_sample_and_then_it_is_over() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let _daemon = world.start_on(&fifo);
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Short").clone();
        app.play(&album.uri(), PlayOptions::from_index(4))
            .await
            .expect("an answer");
        let last = album.tracks[5].uri();
        shows(&app, "the last track", |state| state.track_uri == last).await;
        shows(&app, "that nothing plays", |state| {
            !state.playing && !state.loading
        })
        .await;
        let source = |index: usize| decoded(&album.tracks[index], 5);
        hears(&fifo, 2 * frames(4_000) - PACKET).await;
        let sources = [source(4), source(5)];
        let heard = fifo.capture().len();
        let length = album.tracks[4].frames() + album.tracks[5].frames();
        let length = usize::try_from(length).expect("frames");
        // Whatever is still in the pipe, and nothing after it.
        hears(&fifo, length).await;
        tokio::time::sleep(Duration::from_millis(300)).await;

        let tape = Tape::new(&fifo, &sources);
        assert_eq!(tape.capture.len(), length);
        eprintln!("{heard} of {length} frames were out when the app showed the end");
        let pieces = &tape.stretches;
        assert_eq!(pieces.len(), 2, "{pieces:#?}");
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!((piece.source, piece.from), (index, 0), "{pieces:#?}");
            assert_eq!(piece.frames, sources[index].len(), "{pieces:#?}");
        }
    });
}

#[test]
fn a_track_at_full_scale_is_neither_clipped_nor_changed() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let _daemon = world.start_on(&fifo);
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Loud").clone();
        app.play(&album.uri(), PlayOptions::default())
            .await
            .expect("an answer");
        hears(&fifo, frames(1_500)).await;
        let capture = fifo.capture();
        let source = decoded(&album.tracks[0], 4);
        let peak = |of: &[[f32; 2]]| of.iter().flatten().fold(0f32, |peak, s| peak.max(s.abs()));
        eprintln!("peak {}, of the source {}", peak(&capture), peak(&source));
        assert!(peak(&capture) > 0.99, "it is loud");
        assert_eq!(clipped(&capture), clipped(&source[..capture.len()]));
        let tape = Tape::new(&fifo, &[source]);
        assert_eq!(tape.stretches.len(), 1, "{:#?}", tape.stretches);
        let whole = tape.stretches[0];
        assert_eq!((whole.at, whole.from), (0, 0));
        assert!(tape.capture.len() - whole.frames <= FADE);
    });
}

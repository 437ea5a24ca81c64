//! Where one track goes over into the next there is nothing: no gap, no overlap, no click.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use spotify_sim::{
    Controller, PlayOptions,
    listen::{Frame, clicks, joint, read_wav},
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    tape::{FADE, Tape, decoded, frames, glances, stretches},
    world::{PATIENCE, World, hears, scenario, shows},
};

/// Plays the two halves of one sweep, from shortly before the joint.
async fn play_halves(world: &World) -> Controller {
    let app = world.sign_in("kim").await;
    let album = world.sim.catalogue().titled("Halves").clone();
    let from = PlayOptions {
        seek_to: Some(4_500),
        ..PlayOptions::default()
    };
    assert!(
        app.play(&album.uri(), from)
            .await
            .expect("an answer")
            .success
    );
    let second = album.tracks[1].uri();
    shows(&app, "the second half", |state| {
        state.playing && state.track_uri == second
    })
    .await;
    app
}

/// Two halves of one sound must come out as one.
fn assert_joined(world: &World, capture: &[Frame]) {
    let album = world.sim.catalogue().titled("Halves");
    let [first, second] = [0, 1].map(|half| album.tracks[half].samples());
    let joint = joint(capture, &first, &second).expect("both halves");
    assert_eq!(joint.added, 0, "{joint:?}");
    let at = usize::try_from(joint.expected).expect("heard");
    let around = &capture[at - frames(200)..at + frames(200)];
    assert_eq!(clicks(around, 0.01), []);
    // An independent decoder's samples of both, one after the other.
    let halves = [0, 1].map(|half| decoded(&album.tracks[half], 7));
    let pieces = stretches(capture, &halves);
    assert_eq!(pieces.len(), 2, "{pieces:#?}");
    assert_eq!(
        (pieces[0].end(), pieces[0].to()),
        (at, first.len()),
        "{pieces:#?}"
    );
    assert_eq!((pieces[1].at, pieces[1].from), (at, 0), "{pieces:#?}");
    assert!(capture.len() - pieces[1].end() <= FADE, "{pieces:#?}");
}

#[test]
fn two_halves_of_one_sound_come_out_of_the_pipe_as_one() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let _daemon = world.start_on(&fifo);
        let app = play_halves(&world).await;
        hears(&fifo, fifo.capture().len() + frames(600)).await;
        let seen = glances(&app).await;
        app.pause().await.expect("an answer");
        shows(&app, "a pause", |state| state.paused).await;
        assert_joined(&world, &fifo.capture());
        let album = world.sim.catalogue().titled("Halves");
        let tape = Tape::new(&fifo, &[0, 1].map(|half| decoded(&album.tracks[half], 7)));
        eprintln!(
            "after a joint the app is {:+.1} ms ahead",
            tape.ahead_ms(&seen)
        );
    });
}

#[test]
fn two_halves_of_one_sound_are_one_in_a_wav_file() {
    scenario(async |world| {
        let path = world.dir().join("out.wav");
        let settings = wav_to(&path);
        let daemon = world.start(&world.settings(&settings));
        let app = play_halves(&world).await;
        let size = || std::fs::metadata(&path).map_or(0, |file| file.len());
        let enough = size() + 4 * frames(1_000) as u64;
        let until = Instant::now() + PATIENCE;
        while size() < enough {
            assert!(Instant::now() < until, "the file does not grow");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(app);
        let (status, log) = daemon.stop().await;
        assert!(status.success(), "{status}: {log:?}");
        let (capture, rate) = read_wav(&path).expect("a WAV file");
        assert_eq!(rate, 44_100);
        assert_joined(&world, &capture);
    });
}

fn wav_to(path: &Path) -> String {
    format!(
        "[output]\nkind = \"wav\"\npath = \"{}\"\n[volume]\nstart = 100\n",
        path.display()
    )
}

//! The remote control: what the app asks for is what is heard, and what it shows is true.

use std::time::{Duration, Instant};

use spotify_sim::{
    Controller, PlayOptions,
    catalogue::Album,
    listen::{Frame, level_db, playing},
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    tape::{FADE, Glance, Tape, assert_timing, decoded, frames, glances, ms, timed},
    world::{Daemon, PATIENCE, World, hears, scenario, shows},
};

/// The app and the ears agree to this.
const IN_STEP_MS: f64 = 50.0;

/// Nobody reads for so long while music plays.
const QUIET: Duration = Duration::from_millis(150);

/// A speaker on a FIFO that is read as fast as music is played, and the app of its user.
struct Stage {
    daemon: Daemon,
    fifo: Fifo,
    app: Controller,
}

impl Stage {
    async fn set(world: &World) -> Self {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let daemon = world.start_on(&fifo);
        let app = world.sign_in("kim").await;
        Self { daemon, fifo, app }
    }

    fn heard(&self) -> usize {
        self.fifo.capture().len()
    }

    /// Waits until so many ms more were heard.
    async fn listen(&self, ms: i64) {
        hears(&self.fifo, self.heard() + frames(ms)).await;
    }

    /// Plays from this track of the album on, and waits for the sound.
    async fn play(&self, album: &Album, options: PlayOptions) {
        let reply = self.app.play(&album.uri(), options).await;
        assert!(reply.expect("an answer").success);
        shows(&self.app, "a playing track", |state| state.playing).await;
    }

    /// Waits until this track is shown as playing.
    async fn plays(&self, uri: &str) {
        shows(&self.app, uri, |state| {
            state.playing && state.track_uri == uri
        })
        .await;
    }

    /// Waits until nothing more comes, and returns what was heard by then.
    async fn falls_silent(&self) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard();
            tokio::time::sleep(QUIET).await;
            if self.heard() == heard {
                return heard;
            }
            assert!(Instant::now() < until, "it goes on and on");
        }
    }

    /// Pauses; returns what was heard by then, once the app shows that very position.
    async fn pause(&self, from_ms: f64) -> usize {
        assert!(self.app.pause().await.expect("an answer").success);
        let heard = self.falls_silent().await;
        let wanted = from_ms + ms(heard);
        shows(&self.app, &format!("a pause at {wanted} ms"), |state| {
            state.paused && (state.position_ms as f64 - wanted).abs() <= IN_STEP_MS
        })
        .await;
        heard
    }

    async fn resume(&self) {
        assert!(self.app.resume().await.expect("an answer").success);
        shows(&self.app, "that it plays on", |state| state.playing).await;
    }

    async fn glances(&self) -> Vec<Glance> {
        glances(&self.app).await
    }

    fn tape(&self, sources: &[Vec<Frame>]) -> Tape {
        Tape::new(&self.fifo, sources)
    }
}

fn staircase(world: &World) -> Album {
    world.sim.catalogue().titled("Staircase").clone()
}

#[test]
fn a_pause_is_heard_at_once_and_loses_and_repeats_nothing() {
    timed(async |world| {
        let stage = Stage::set(&world).await;
        let album = staircase(&world);
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(500).await;
        let playing = stage.glances().await;
        let asked = Instant::now();
        let first = stage.pause(0.0).await;
        let paused = stage.app.state();
        stage.resume().await;
        stage.listen(400).await;
        let resumed = stage.glances().await;
        let second = stage.pause(0.0).await;
        stage.resume().await;
        stage.listen(300).await;

        let tape = stage.tape(&[decoded(&album.tracks[0], 8)]);
        tape.assert_in_step("playing", &playing);
        tape.assert_in_step("after a pause", &resumed);
        let silent_after = tape.moment_of(first - 1) - asked;
        eprintln!("silent {silent_after:?} after the order to pause");
        eprintln!(
            "paused at {} ms, heard {:.1} ms",
            paused.position_ms,
            ms(first)
        );
        assert_timing(silent_after < Duration::from_millis(300), || {
            format!("silent {silent_after:?} after the order to pause")
        });
        tape.assert_seamless();
        let pieces = &tape.stretches;
        assert_eq!(pieces.len(), 3, "{pieces:#?}");
        for piece in pieces {
            assert_eq!(
                piece.from, piece.at,
                "as if there had been no pause: {pieces:#?}"
            );
        }
        for (piece, stop) in pieces.iter().zip([first, second]) {
            assert!(stop - piece.end() <= FADE, "{pieces:#?}");
        }
    });
}

#[test]
fn a_seek_lands_where_it_was_asked_to_playing_and_paused() {
    timed(async |world| {
        let stage = Stage::set(&world).await;
        let album = staircase(&world);
        stage
            .play(
                &album,
                PlayOptions {
                    seek_to: Some(2_000),
                    ..PlayOptions::default()
                },
            )
            .await;
        stage.listen(300).await;
        let mut seen = vec![("from the middle", stage.glances().await)];
        for (what, to) in [("forward", 20_000), ("back", 7_000)] {
            assert!(stage.app.seek(to).await.expect("an answer").success);
            let near = i64::from(to)..i64::from(to) + 1_000;
            shows(&stage.app, "the new place", |state| {
                near.contains(&state.position_ms)
            })
            .await;
            stage.listen(300).await;
            seen.push((what, stage.glances().await));
        }
        stage.app.pause().await.expect("an answer");
        let heard = stage.falls_silent().await;
        assert!(stage.app.seek(12_000).await.expect("an answer").success);
        shows(&stage.app, "the new place", |state| {
            state.paused && (state.position_ms as f64 - 12_000.0).abs() <= IN_STEP_MS
        })
        .await;
        assert_eq!(stage.falls_silent().await, heard, "paused is paused");
        stage.resume().await;
        stage.listen(300).await;
        seen.push(("while paused", stage.glances().await));

        let tape = stage.tape(&[decoded(&album.tracks[0], 24)]);
        for (what, glances) in &seen {
            tape.assert_in_step(what, glances);
        }
        tape.assert_seamless();
        let begun: Vec<_> = tape.stretches.iter().map(|piece| ms(piece.from)).collect();
        eprintln!("asked for 2000, 20000, 7000, 12000 ms, got {begun:?}");
        assert_eq!(begun.len(), 4, "{:#?}", tape.stretches);
        for (landed, wanted) in begun.iter().zip([2_000.0, 20_000.0, 7_000.0, 12_000.0]) {
            assert!(
                (landed - wanted).abs() <= IN_STEP_MS,
                "{landed} ms instead of {wanted}"
            );
        }
    });
}

#[test]
fn next_previous_and_a_track_of_the_list_begin_at_their_first_sample() {
    timed(async |world| {
        let stage = Stage::set(&world).await;
        let album = world.sim.catalogue().titled("Short").clone();
        let uri = |index: usize| album.tracks[index].uri();
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(400).await;
        let mut seen = Vec::new();
        let mut asked = Vec::new();
        asked.push(Instant::now());
        stage.app.next().await.expect("an answer");
        stage.plays(&uri(1)).await;
        stage.listen(300).await;
        seen.push(("next", stage.glances().await));
        asked.push(Instant::now());
        stage.app.previous().await.expect("an answer");
        stage.plays(&uri(0)).await;
        stage.listen(300).await;
        seen.push(("previous", stage.glances().await));
        asked.push(Instant::now());
        stage.app.next_to(&uri(3)).await.expect("an answer");
        stage.plays(&uri(3)).await;
        stage.listen(300).await;
        seen.push(("a track of the list", stage.glances().await));
        let shown = stage.app.state();
        assert_eq!(shown.next, [uri(4), uri(5)]);
        // Three seconds into a track, "previous" is its beginning.
        hears(
            &stage.fifo,
            stage.heard() + frames(3_100 - shown.position_ms),
        )
        .await;
        asked.push(Instant::now());
        stage.app.previous().await.expect("an answer");
        shows(&stage.app, "the beginning", |state| {
            state.position_ms < 1_000
        })
        .await;
        stage.listen(300).await;
        seen.push(("the beginning", stage.glances().await));

        let sources: Vec<_> = album.tracks[..4]
            .iter()
            .map(|track| decoded(track, 4))
            .collect();
        let tape = stage.tape(&sources);
        let order: Vec<_> = tape.stretches.iter().map(|piece| piece.source).collect();
        assert_eq!(order, [0, 1, 0, 3, 3], "{:#?}", tape.stretches);
        for (what, glances) in &seen {
            tape.assert_in_step(what, glances);
        }
        tape.assert_seamless();
        for (piece, asked) in tape.stretches[1..].iter().zip(asked) {
            eprintln!(
                "the first sample came {:?} after the order",
                tape.moment_of(piece.at) - asked
            );
            // The first ones are silent, so equal to the end of the fade before.
            assert!(piece.from <= FADE, "{:#?}", tape.stretches);
        }
    });
}

#[test]
fn half_the_slider_is_half_the_range_and_full_is_untouched_again() {
    scenario(async |world| {
        let stage = Stage::set(&world).await;
        let album = staircase(&world);
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(300).await;
        stage.app.volume(32_768).await.expect("shown");
        let from = stage.heard() + frames(150);
        hears(&stage.fifo, from + frames(200)).await;
        stage.app.volume(0).await.expect("shown");
        let mute = stage.heard() + frames(150);
        hears(&stage.fifo, mute + frames(100)).await;
        stage.app.volume(u16::MAX).await.expect("shown");
        let full = stage.heard() + frames(150);
        hears(&stage.fifo, full + frames(300)).await;
        assert_eq!(stage.app.state().volume, Some(u16::MAX));

        let capture = stage.fifo.capture();
        let source = decoded(&album.tracks[0], 6);
        let level =
            |of: &[Frame], at: usize| level_db(of[at..at + frames(200)].iter().flatten().copied());
        let quieter = level(&capture, from) - level(&source, from);
        eprintln!("half the slider is {quieter:.2} dB");
        assert!(
            (quieter + 30.0).abs() < 0.1,
            "{quieter} dB at half of 60 dB"
        );
        assert!(playing(&capture[mute..mute + frames(100)]).is_empty());
        let tape = stage.tape(&[source]);
        tape.assert_no_click();
        let last = tape.stretches.last().expect("music");
        assert!(
            last.at <= full && last.from == last.at,
            "{:#?}",
            tape.stretches
        );
    });
}

#[test]
fn repeats_queue_and_shuffle_play_in_the_order_that_the_app_shows() {
    scenario(async |world| {
        let stage = Stage::set(&world).await;
        let (app, fifo) = (&stage.app, &stage.fifo);
        let album = world.sim.catalogue().titled("Short").clone();
        let uris: Vec<_> = album.tracks.iter().map(|track| track.uri()).collect();
        let tune = world.sim.catalogue().titled("Dozen").tracks[0].clone();

        // The last track of an album that is repeated is followed by the first.
        stage.play(&album, PlayOptions::from_index(5)).await;
        assert!(app.repeat_context(true).await.expect("an answer").success);
        shows(app, "that the album repeats", |state| {
            state.repeat_context && !state.repeat_track
        })
        .await;
        stage.listen(200).await;
        app.seek(3_000).await.expect("an answer");
        stage.plays(&uris[0]).await;
        stage.listen(300).await;

        // A track that is repeated begins again, and is not left behind.
        assert!(app.repeat_track(true).await.expect("an answer").success);
        shows(app, "that the track repeats", |state| state.repeat_track).await;
        app.seek(3_000).await.expect("an answer");
        shows(app, "its end", |state| state.position_ms >= 3_000).await;
        shows(app, "its beginning", |state| state.position_ms < 2_000).await;
        stage.listen(300).await;
        assert_eq!(app.state().track_uri, uris[0]);
        assert!(app.repeat_track(false).await.expect("an answer").success);

        // What is queued comes first, then the album goes on where it was.
        assert!(
            app.add_to_queue(&tune.uri())
                .await
                .expect("an answer")
                .success
        );
        let queued = shows(app, "the queue", |state| !state.queued.is_empty()).await;
        assert_eq!(queued.queued, [tune.uri()]);
        assert_eq!(queued.next[..2], [tune.uri(), uris[1].clone()]);
        app.next().await.expect("an answer");
        stage.plays(&tune.uri()).await;
        stage.listen(300).await;
        app.next().await.expect("an answer");
        stage.plays(&uris[1]).await;
        stage.listen(300).await;

        // Shuffle changes what follows, not what plays.
        let heard = fifo.capture().len();
        assert!(app.shuffle(true).await.expect("an answer").success);
        let shuffled = shows(app, "shuffle", |state| state.shuffle).await;
        assert_eq!(shuffled.track_uri, uris[1]);
        let mut rest: Vec<_> = shuffled
            .next
            .iter()
            .filter(|uri| uri.starts_with("spotify:track:"))
            .collect();
        rest.sort();
        rest.dedup();
        let mut wanted: Vec<_> = uris.iter().collect();
        wanted.sort();
        rest.push(&uris[1]);
        rest.sort();
        rest.dedup();
        assert_eq!(rest, wanted, "everything comes");
        hears(fifo, heard + frames(300)).await;
        let next = app.state().next[0].clone();
        app.next().await.expect("an answer");
        stage.plays(&next).await;
        stage.listen(300).await;
        assert!(app.shuffle(false).await.expect("an answer").success);
        let plain = shows(app, "no shuffle", |state| !state.shuffle).await;
        assert_eq!(plain.track_uri, next);

        let mut sources: Vec<_> = album.tracks.iter().map(|track| decoded(track, 4)).collect();
        sources.push(decoded(&tune, 4));
        let tape = stage.tape(&sources);
        let order: Vec<_> = tape.stretches.iter().map(|piece| piece.source).collect();
        let shuffled = uris
            .iter()
            .position(|uri| *uri == next)
            .expect("of the album");
        assert_eq!(
            order,
            [5, 5, 0, 0, 0, 6, 1, shuffled],
            "{:#?}",
            tape.stretches
        );
        tape.assert_seamless();
        drop(stage.daemon);
    });
}

#[test]
fn music_moves_to_the_phone_and_back_with_its_place() {
    timed(async |world| {
        let stage = Stage::set(&world).await;
        let app = &stage.app;
        let album = staircase(&world);
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(500).await;
        app.transfer_away()
            .await
            .expect("the speaker says that it does not play");
        let away = stage.falls_silent().await;
        let shown = app.state();
        assert!(
            !shown
                .devices
                .iter()
                .any(|device| device.name == "Kitchen" && device.is_active)
        );

        app.play_on_phone(&album.uri(), 0, 15_000)
            .await
            .expect("the phone plays");
        assert!(
            app.transfer_here("Kitchen")
                .await
                .expect("an answer")
                .success
        );
        let shown = shows(app, "that the speaker plays", |state| state.playing).await;
        assert_eq!(shown.active.expect("a device").name, "Kitchen");
        assert_eq!(shown.context_uri, album.uri());
        stage.listen(400).await;
        let here = stage.glances().await;

        // What is paused stays paused until somebody plays.
        app.transfer_away()
            .await
            .expect("the speaker says that it does not play");
        app.play_on_phone(&album.uri(), 0, 5_000)
            .await
            .expect("the phone plays");
        app.pause_on_phone(true);
        let silent = stage.falls_silent().await;
        assert!(
            app.transfer_here("Kitchen")
                .await
                .expect("an answer")
                .success
        );
        let paused = shows(app, "a pause on the speaker", |state| {
            state.paused
                && state
                    .active
                    .as_ref()
                    .is_some_and(|device| device.name == "Kitchen")
        })
        .await;
        assert!(
            (paused.position_ms - 5_000).abs() <= 100,
            "{}",
            paused.position_ms
        );
        assert_eq!(stage.falls_silent().await, silent);
        stage.resume().await;
        stage.listen(300).await;
        let resumed = stage.glances().await;

        let tape = stage.tape(&[decoded(&album.tracks[0], 20)]);
        tape.assert_in_step("transferred", &here);
        tape.assert_in_step("transferred and resumed", &resumed);
        tape.assert_seamless();
        let pieces = &tape.stretches;
        assert_eq!(pieces.len(), 3, "{pieces:#?}");
        assert!(away - pieces[0].end() <= FADE, "{pieces:#?}");
        let landed = ms(pieces[1].from);
        eprintln!("15000 ms and a moment on the phone, {landed:.0} ms on the speaker");
        assert!((15_000.0..15_500.0).contains(&landed), "{landed} ms");
    });
}

#[test]
fn a_speaker_that_is_switched_off_fades_out_first() {
    scenario(async |world| {
        let stage = Stage::set(&world).await;
        let album = staircase(&world);
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(500).await;
        let asked = Instant::now();
        let (status, log) = stage.daemon.stop().await;
        eprintln!("ended {:?} after SIGTERM", asked.elapsed());
        assert!(status.success(), "{status}: {log:?}");

        let tape = Tape::new(&stage.fifo, &[decoded(&album.tracks[0], 8)]);
        tape.assert_seamless();
        assert_eq!(tape.stretches.len(), 1, "{:#?}", tape.stretches);
        let last = tape.capture[tape.capture.len() - 10..].iter().flatten();
        let loudest = last.fold(0f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest < 0.05, "it broke off at {loudest}");
    });
}

#[test]
fn a_flurry_of_orders_ends_where_the_last_one_led() {
    timed(async |world| {
        let stage = Stage::set(&world).await;
        let album = world.sim.catalogue().titled("Short").clone();
        let sources: Vec<_> = album.tracks.iter().map(|track| decoded(track, 4)).collect();
        stage.play(&album, PlayOptions::default()).await;
        stage.listen(200).await;
        for turn in 0..4 {
            for order in [
                stage.app.next().await,
                stage.app.seek(1_000 + 100 * turn).await,
                stage.app.previous().await,
                stage.app.next().await,
            ] {
                assert!(order.expect("an answer").success);
            }
        }
        stage.plays(&album.tracks[4].uri()).await;
        stage.listen(300).await;
        let seen = stage.glances().await;

        let tape = stage.tape(&sources);
        let last = tape.stretches.last().expect("music");
        assert_eq!(last.source, 4, "{:#?}", tape.stretches);
        tape.assert_in_step("after the flurry", &seen);
        tape.assert_no_click();
    });
}

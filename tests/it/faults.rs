//! Trouble with the music: every fault that other receivers lose a track over, shown gone.

use std::time::{Duration, Instant};

use serde_json::json;
use spotify_sim::{AppState, Controller, Fault, Place, PlayOptions, Reply, Spoilt, Then};

use crate::{
    booth::{Booth, assert_in_time, assert_yes, file_of, uris},
    tape::{FADE, decoded, frames, ms, stretches},
    world::{PATIENCE, World, hears, scenario, shows},
};

/// What the first server may do to the first request of a track.
fn bad_answers() -> Vec<Then> {
    let (status, body) = (|code| Then::Status(code, None), Then::Body);
    vec![
        status(503),
        status(403),
        status(404),
        status(410),
        Then::Status(429, Some(Duration::from_secs(1))),
        Then::Drop,
        Then::Garbage,
        Then::Truncate(9_000),
        body(Spoilt::WrongRange),
        body(Spoilt::Whole),
        body(Spoilt::Moved),
        body(Spoilt::Packed),
        body(Spoilt::HangAfter(9_000)),
        Then::Stall,
    ]
}

#[test]
fn one_bad_answer_of_an_audio_server_costs_moments_and_not_the_track() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        for (track, then) in album.tracks.iter().zip(bad_answers()) {
            let what = format!("{then:?}");
            let from = booth.heard();
            world.sim.faults().add(Fault::on(Place::Cdn).then(then));
            let took = booth.sounds(&track.uri(), PlayOptions::default()).await;
            eprintln!("{what}: sound after {took:?}");
            assert!(world.sim.faults().is_empty(), "{what}: never met");
            assert!(took < Duration::from_secs(5), "{what}: {took:?}");
            booth.listen(400).await;
            booth.hush().await;
            booth.assert_begins(from, track, 400, &what);
        }
    });
}

/// Six tracks in a row, each with a trouble of its own somewhere between the question for its name
/// and its last byte: what comes out are six tracks.
#[test]
fn an_album_full_of_trouble_plays_to_the_last_sample() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Short").clone();
        let faults = world.sim.faults();
        let on = |place: Place, track: usize| Fault::on(place).at(&file_of(&album.tracks[track]));
        faults.add(on(Place::Cdn, 0).then(Then::Truncate(20_000)));
        faults.add(on(Place::Cdn, 0).then(Then::Truncate(5_000)));
        faults.add(on(Place::Cdn, 1).then(Then::Body(Spoilt::HangAfter(20_000))));
        faults.add(on(Place::Cdn, 2).times(3).then(Then::Status(503, None)));
        faults.add(on(Place::Storage, 3).then(Then::Body(Spoilt::Empty)));
        faults.add(on(Place::Storage, 4).then(Then::Status(503, None)));
        faults.add(on(Place::Cdn, 4).then(Then::Status(410, None)));
        faults.add(on(Place::Cdn, 5).then(Then::Body(Spoilt::Trickle(1))));
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        let sources: Vec<_> = album.tracks.iter().map(|track| decoded(track, 4)).collect();
        let length: usize = sources.iter().map(Vec::len).sum();
        hears(&booth.fifo, length / 2).await;
        hears(&booth.fifo, length - FADE).await;
        booth.falls_silent().await;
        assert!(faults.is_empty(), "{faults:?}");
        booth.assert_whole(0, &sources);
        let state = booth.app.state();
        assert!(!state.playing && !state.loading, "{state:?}");
    });
}

#[test]
fn a_request_that_hangs_in_mid_track_is_left_for_another() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        let source = decoded(&album.tracks[0], 90);
        for (place, then) in [
            (70_000, Then::Stall),
            (20_000, Then::Body(Spoilt::HangAfter(1_000))),
            (50_000, Then::Body(Spoilt::Trickle(1))),
        ] {
            let what = format!("{then:?}");
            let from = booth.heard();
            // Whatever is fetched first after this play is hit, and nothing is kept from before.
            world
                .sim
                .faults()
                .add(Fault::on(Place::Cdn).then(then.clone()));
            world
                .sim
                .faults()
                .add(Fault::on(Place::Cdn).after(1).then(then));
            let seek_to = PlayOptions {
                seek_to: Some(place),
                ..PlayOptions::default()
            };
            let took = booth.sounds(&album.uri(), seek_to).await;
            eprintln!("{what} twice: sound after {took:?}");
            assert!(took < Duration::from_secs(12), "{what}: {took:?}");
            booth.listen(400).await;
            booth.hush().await;
            world.sim.faults().clear();
            let pieces = stretches(&booth.fifo.capture()[from..], std::slice::from_ref(&source));
            let landed = pieces.iter().any(|piece| {
                (ms(piece.from) - f64::from(place)).abs() < 50.0 && piece.frames >= frames(300)
            });
            assert!(landed, "{what}: {pieces:#?}");
        }
    });
}

#[test]
fn names_places_and_keys_that_come_late_or_at_the_second_try_are_good_enough() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let status = |code| Then::Status(code, None);
        let cases = [
            (Place::Storage, Then::Body(Spoilt::Empty)),
            (Place::Storage, status(503)),
            (Place::Storage, Then::Stall),
            (Place::Metadata, status(503)),
            (Place::Metadata, Then::Truncate(20)),
            (Place::Metadata, Then::Stall),
            (Place::AudioKey, Then::Delay(Duration::from_secs(3))),
            (Place::AudioKey, Then::Refuse),
            (Place::AudioKey, Then::Stall),
        ];
        for (track, (place, then)) in album.tracks.iter().zip(cases) {
            let what = format!("{place:?} {then:?}");
            let from = booth.heard();
            world.sim.faults().add(Fault::on(place).then(then));
            let took = booth.sounds(&track.uri(), PlayOptions::default()).await;
            eprintln!("{what}: sound after {took:?}");
            assert!(world.sim.faults().is_empty(), "{what}: never met");
            assert!(took < Duration::from_secs(7), "{what}: {took:?}");
            booth.listen(400).await;
            booth.hush().await;
            booth.assert_begins(from, track, 400, &what);
        }
    });
}

#[test]
fn a_named_track_sounds_while_nobody_knows_yet_what_follows_it() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let uri = |index: usize| album.tracks[index].uri();
        let slow = Then::Delay(Duration::from_secs(4));
        world.sim.faults().add(Fault::on(Place::Context).then(slow));
        let took = booth
            .sounds(&album.uri(), PlayOptions::from_track(&uri(2)))
            .await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        // All else goes on beside the open question.
        for (what, reply) in [
            ("volume", booth.app.volume(60_000).await),
            ("pause", booth.app.pause().await),
            ("resume", booth.app.resume().await),
            ("seek", booth.app.seek(1_000).await),
        ] {
            let reply = reply.expect("an answer");
            assert!(
                reply.success && reply.latency < Duration::from_millis(700),
                "{what}: {reply:?}"
            );
        }
        // What follows comes when it is known, and in time.
        let shown = shows(&booth.app, "what follows", |state| state.next.len() == 9).await;
        assert_eq!(shown.next[..2], [uri(3), uri(4)]);
        assert_yes(&booth.app.seek(9_500).await.expect("an answer"), "seek");
        shows(&booth.app, "the next track", |state| {
            state.playing && state.track_uri == uri(3)
        })
        .await;
    });
}

#[test]
fn the_rest_of_a_list_comes_after_an_outage_of_the_service_that_tells_it() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let uri = |index: usize| album.tracks[index].uri();
        let away = Fault::on(Place::Context).times(6);
        world.sim.faults().add(away.then(Then::Status(503, None)));
        // One track lasts ten seconds; it is heard again and again until more is known.
        let mut begin = PlayOptions::from_track(&uri(2));
        begin.repeat_track = Some(true);
        booth.sounds(&album.uri(), begin).await;
        let is_known = |state: &AppState| state.next.len() == 9;
        let shown = booth.app.wait_until(3 * PATIENCE, is_known).await;
        let shown = shown.expect("what follows");
        assert_eq!(shown.next[..2], [uri(3), uri(4)]);
    });
}

#[test]
fn what_is_to_begin_paused_is_silent_until_somebody_plays() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        let paused = PlayOptions {
            paused: true,
            seek_to: Some(9_000),
            ..PlayOptions::default()
        };
        let reply = booth.app.play(&album.uri(), paused).await;
        assert_yes(&reply.expect("an answer"), "play");
        let uri = album.tracks[0].uri();
        let shown = shows(&booth.app, "a pause", |state| {
            state.paused && state.track_uri == uri && state.duration_ms > 0
        })
        .await;
        assert!((shown.position_ms - 9_000).abs() < 50, "{shown:?}");
        assert_eq!(booth.falls_silent().await, 0);
        assert_yes(&booth.app.resume().await.expect("an answer"), "resume");
        booth.listen(400).await;
        let pieces = stretches(&booth.fifo.capture(), &[decoded(&album.tracks[0], 12)]);
        assert!((ms(pieces[0].from) - 9_000.0).abs() < 20.0, "{pieces:#?}");
    });
}

#[test]
fn old_news_that_overtakes_a_command_ends_nothing() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let albums = ["Tones", "Dozen", "Short"].map(|title| world.sim.catalogue().titled(title));
        for (turn, album) in albums.iter().cycle().take(9).enumerate() {
            booth.app.transfer_away().await.expect("the phone plays");
            let old = booth.app.news_of_now();
            // The answers of connect-state are slow, so that the news has time to come in between.
            let slow = Then::Delay(Duration::from_millis(300));
            world
                .sim
                .faults()
                .add(Fault::on(Place::ConnectState).times(2).then(slow));
            booth.app.deliver_late(&old);
            let (uri, options) = (album.uri(), PlayOptions::default());
            let play = booth.app.play(&uri, options);
            let late = async {
                for pause in [0, 5, 50, 200, 400] {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    booth.app.deliver_late(&old);
                }
            };
            let (reply, ()) = tokio::join!(play, late);
            assert_yes(&reply.expect("an answer"), "play");
            let from = booth.heard();
            hears(&booth.fifo, from + frames(300)).await;
            let state = shows(&booth.app, "that it plays", |state| state.playing).await;
            assert_eq!(state.track_uri, album.tracks[0].uri(), "turn {turn}");
            world.sim.faults().clear();
        }
    });
}

/// In which state a command comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    /// Nothing was ever played.
    Idle,
    /// The phone itself plays.
    Elsewhere,
    Loading,
    Playing,
    Paused,
}

const MOODS: [Mood; 5] = [
    Mood::Idle,
    Mood::Elsewhere,
    Mood::Loading,
    Mood::Playing,
    Mood::Paused,
];

const COMMANDS: [&str; 14] = [
    "pause",
    "resume",
    "seek_to",
    "skip_next",
    "skip_to",
    "skip_prev",
    "set_shuffling_context",
    "set_repeating_context",
    "set_repeating_track",
    "set_options",
    "add_to_queue",
    "set_queue",
    "update_context",
    "dance",
];

async fn get_into(world: &World, app: &Controller, mood: Mood) {
    let album = world.sim.catalogue().titled("Dozen").uri();
    let from = PlayOptions::from_index(4);
    match mood {
        Mood::Idle => {}
        Mood::Elsewhere => {
            app.play_on_phone(&album, 0, 1_000)
                .await
                .expect("the phone plays");
        }
        Mood::Loading => {
            let stuck = Fault::on(Place::Cdn).forever().then(Then::Stall);
            world.sim.faults().add(stuck);
            // One that is not kept from before.
            let album = world.sim.catalogue().titled("Tones").clone();
            app.transfer_away().await.expect("the phone plays");
            let from = PlayOptions::from_index(1);
            let reply = app.play(&album.uri(), from).await;
            assert_yes(&reply.expect("an answer"), "play");
            let uri = album.tracks[1].uri();
            shows(app, "that it loads", |state| {
                state.loading && state.track_uri == uri && state.next.len() == 4
            })
            .await;
        }
        Mood::Playing | Mood::Paused => {
            assert_yes(&app.play(&album, from).await.expect("an answer"), "play");
            shows(app, "that it plays", |state| state.playing).await;
            if mood == Mood::Paused {
                assert_yes(&app.pause().await.expect("an answer"), "pause");
                shows(app, "a pause", |state| state.paused).await;
            }
        }
    }
}

async fn give(world: &World, app: &Controller, name: &str) -> Reply {
    let tune = world.sim.catalogue().titled("Tune").tracks[0].uri();
    let state = app.state();
    let given = match name {
        "seek_to" => app.seek(2_000).await,
        "skip_to" => {
            let third = state.next.get(2).cloned().unwrap_or_else(|| tune.clone());
            app.next_to(&third).await
        }
        "set_shuffling_context" => app.shuffle(true).await,
        "set_repeating_context" => app.repeat_context(true).await,
        "set_repeating_track" => app.repeat_track(true).await,
        "set_options" => {
            let options = json!({ "endpoint": name, "shuffling_context": false });
            app.command(options).await
        }
        "add_to_queue" => app.add_to_queue(&tune).await,
        "set_queue" => app.set_queue(&[tune], &app.next_places()).await,
        "update_context" => {
            let tracks = uris(&world.sim, "Dozen");
            app.update_context(&state.context_uri, &tracks).await
        }
        plain => app.command(json!({ "endpoint": plain })).await,
    };
    given.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_command_is_answered_in_time_and_truly_whatever_the_speaker_does() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(crate::lan::NULL));
        let app = world.sign_in("kim").await;
        for mood in MOODS {
            for name in COMMANDS {
                world.sim.faults().clear();
                if !matches!(mood, Mood::Idle | Mood::Elsewhere) || name == COMMANDS[0] {
                    get_into(&world, &app, mood).await;
                }
                let what = format!("{name} while {mood:?}");
                let before = app.state();
                let reply = give(&world, &app, name).await;
                assert_in_time(&reply, &what);
                let wanted = !matches!(mood, Mood::Idle | Mood::Elsewhere) && name != "dance";
                assert_eq!(reply.success, wanted, "{what}: {before:#?}");
                if !wanted {
                    continue;
                }
                let tune = world.sim.catalogue().titled("Tune").tracks[0].uri();
                shows(&app, &what, |state| match name {
                    "pause" => state.paused,
                    "resume" if mood == Mood::Loading => state.loading,
                    "resume" => state.playing,
                    "seek_to" => (2_000..4_000).contains(&state.position_ms),
                    "skip_next" => state.track_uri == before.next[0],
                    "skip_to" => state.track_uri == before.next[2],
                    "skip_prev" => before.previous.last() == Some(&state.track_uri),
                    "set_shuffling_context" => state.shuffle,
                    "set_repeating_context" => state.repeat_context,
                    "set_repeating_track" => state.repeat_track,
                    "set_options" => !state.shuffle,
                    "add_to_queue" | "set_queue" => state.queued == [tune.clone()],
                    _ => true,
                })
                .await;
            }
        }
    });
}

#[test]
fn a_slow_connect_state_delays_no_command() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        for delay in [300, 3_000] {
            let slow = Then::Delay(Duration::from_millis(delay));
            let slow = Fault::on(Place::ConnectState).forever().then(slow);
            world.sim.faults().add(slow);
            for turn in 0..4 {
                let replies = [
                    ("pause", booth.app.pause().await),
                    ("resume", booth.app.resume().await),
                    ("next", booth.app.next().await),
                    ("seek", booth.app.seek(500 + turn).await),
                    ("repeat", booth.app.repeat_context(turn % 2 == 0).await),
                ];
                for (what, reply) in replies {
                    let reply = reply.expect("an answer");
                    let quick = reply.latency < Duration::from_millis(1_000);
                    assert!(reply.success && quick, "{what}: {reply:?}");
                }
            }
            world.sim.faults().clear();
            let wanted = album.tracks[if delay == 300 { 4 } else { 8 }].uri();
            shows(&booth.app, "where it led", |state| {
                state.playing && state.track_uri == wanted && !state.repeat_context
            })
            .await;
        }
    });
}

#[test]
fn the_newest_state_arrives_after_connect_state_was_busy() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        shows(&booth.app, "that it plays", |state| state.playing).await;
        let busy = [
            Then::Status(429, Some(Duration::from_secs(1))),
            Then::Status(503, None),
        ];
        for (then, wanted) in busy.into_iter().zip([2, 4]) {
            let pause = matches!(then, Then::Status(429, _));
            let fault = Fault::on(Place::ConnectState).times(2).then(then);
            world.sim.faults().add(fault);
            let mark = world.sim.record().mark();
            let asked = Instant::now();
            assert_yes(&booth.app.next().await.expect("an answer"), "next");
            assert_yes(&booth.app.next().await.expect("an answer"), "next");
            let wanted = album.tracks[wanted].uri();
            shows(&booth.app, "the newest", |state| {
                state.playing && state.track_uri == wanted
            })
            .await;
            let took = asked.elapsed();
            eprintln!("shown {took:?} after the first order");
            if pause {
                assert!(took >= Duration::from_secs(1), "{took:?}");
            }
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert!(world.sim.faults().is_empty());
            let puts = world.sim.record().since(mark);
            let puts = puts.iter().filter(|it| it.place == Place::ConnectState);
            assert!(puts.count() <= 5);
        }
    });
}

#[test]
fn a_flurry_of_changes_is_told_at_most_five_times_a_second() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        let mark = world.sim.record().mark();
        let begun = Instant::now();
        let mut turn = 0;
        while begun.elapsed() < Duration::from_millis(2_500) {
            turn += 1;
            assert_yes(
                &booth.app.shuffle(turn % 2 == 1).await.expect("an answer"),
                "shuffle",
            );
            assert_yes(
                &booth.app.seek(100 * (turn % 9)).await.expect("an answer"),
                "seek",
            );
        }
        assert_yes(
            &booth.app.shuffle(false).await.expect("an answer"),
            "shuffle",
        );
        shows(&booth.app, "the last word", |state| {
            !state.shuffle && state.playing
        })
        .await;
        let record = world.sim.record().since(mark);
        let puts: Vec<_> = record
            .iter()
            .filter(|it| it.place == Place::ConnectState)
            .map(|it| it.at)
            .collect();
        eprintln!("{turn} turns, {} PUTs", puts.len());
        // Two in a row may arrive closer than they were sent; that evens out.
        let span = puts[puts.len() - 1] - puts[0];
        let most = 1 + (span + Duration::from_millis(150)).as_millis() / 200;
        assert!(
            puts.len() as u128 <= most,
            "{} in {span:?}: {puts:?}",
            puts.len()
        );
    });
}

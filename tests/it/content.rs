//! What there is besides ordinary albums: talk, tracks that moved or may not be played, files of
//! the phone, lists without end, and ends.

use std::time::Duration;

use protobuf::UnknownValueRef;
use serde_json::{Value, json};
use spotify_sim::{
    LeftAt, PlayOptions, SimOptions,
    catalogue::{Catalogue, Track},
    listen::{Frame, magnitude_at},
};

use crate::{
    booth::{Booth, assert_yes, uris},
    lan::{one_engine, resident_kb, until},
    tape::{FADE, decoded, frames, ms, stretches},
    world::{PATIENCE, hears, scenario, scenario_on, shows},
};

/// How much of a channel is this pitch: 1 for a pure tone.
fn purity(heard: &[Frame], channel: usize, hz: f64) -> f64 {
    let samples: Vec<f32> = heard.iter().map(|frame| frame[channel]).collect();
    let power = samples.iter().map(|it| f64::from(it * it)).sum::<f64>() / samples.len() as f64;
    magnitude_at(&samples, hz) / (2.0 * power).sqrt()
}

#[test]
fn an_episode_goes_on_where_its_listener_left_it_and_spotify_is_told_where_that_is_now() {
    scenario(async |world| {
        let show = world.sim.catalogue().shows[0].clone();
        let [first, second] = [0, 1].map(|number| show.episodes[number].uri());
        world.sim.leave("kim", &first, LeftAt::Second(3));
        world.sim.leave("kim", &second, LeftAt::Second(2));
        let booth = Booth::open(&world).await;
        booth.sounds(&show.uri(), PlayOptions::default()).await;
        let begun = shows(&booth.app, "the first episode", |state| state.playing).await;
        assert!((3_000..4_500).contains(&begun.position_ms), "{begun:?}");
        // Something else than what it began with.
        world.sim.leave("kim", &first, LeftAt::Second(0));
        let told = || match world.sim.left_at("kim", &first) {
            Some(LeftAt::Second(second)) => (3..6).contains(&second),
            _ => false,
        };
        booth.hush().await;
        until("the pause is told", PATIENCE, told).await;
        // The one that follows was made ready from its own place on.
        let end = show.episodes[0].duration_ms() - 2_000;
        assert_yes(&booth.app.seek(end).await.expect("an answer"), "seek");
        assert_yes(&booth.app.resume().await.expect("an answer"), "resume");
        let next = shows(&booth.app, "the second episode", |state| {
            state.playing && state.track_uri == second
        })
        .await;
        assert!((2_000..4_000).contains(&next.position_ms), "{next:?}");
        let over = || world.sim.left_at("kim", &first) == Some(LeftAt::Finished);
        until("the first episode is over", PATIENCE, over).await;
        // Who names a place gets it.
        let options = PlayOptions {
            seek_to: Some(1_000),
            ..PlayOptions::default()
        };
        booth.sounds(&show.uri(), options).await;
        let begun = shows(&booth.app, "the first episode", |state| state.playing).await;
        assert!((1_000..2_500).contains(&begun.position_ms), "{begun:?}");
        // One that plays alone is over at its end, too; what is shown then is its beginning.
        let last = show.episodes[2].uri();
        let alone = [last.clone()];
        let reply = booth.app.play_tracks(&alone, PlayOptions::default()).await;
        assert_yes(&reply.expect("an answer"), "play");
        shows(&booth.app, "the last episode", |state| {
            state.playing && state.track_uri == last
        })
        .await;
        let over = || world.sim.left_at("kim", &last) == Some(LeftAt::Finished);
        until("the last episode is over", PATIENCE, over).await;
    });
}

#[test]
fn a_sleep_timer_set_in_the_phone_is_shown_there_and_ends_the_music() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").uri();
        booth.sounds(&album, PlayOptions::default()).await;
        let set = async |timer: Value| {
            let command = json!({"endpoint": "set_sleep_timer", "timer_type": timer});
            booth.app.command(command).await.expect("an answer")
        };
        let shown = || {
            let puts = world.sim.puts("kim");
            let state = &puts.last().expect("a state").1.device.player_state;
            let fields = state.special_fields.unknown_fields();
            match fields.get(38) {
                Some(UnknownValueRef::LengthDelimited(bytes)) => bytes.to_vec(),
                _ => Vec::new(),
            }
        };
        assert_yes(&set(json!({"type": "end_of_track"})).await, "end of track");
        until("the end of the track is shown", PATIENCE, || {
            shown() == [0x1a, 0]
        })
        .await;
        assert_yes(&set(json!({"type": "clear"})).await, "clear");
        until("no timer is shown", PATIENCE, || shown().is_empty()).await;
        assert_yes(
            &set(json!({"type": "duration", "duration_s": 2})).await,
            "two seconds",
        );
        until("a moment is shown", PATIENCE, || {
            shown().first() == Some(&0x12)
        })
        .await;
        shows(&booth.app, "a pause", |state| state.paused).await;
        until("the timer is over", PATIENCE, || shown().is_empty()).await;
        assert!(!set(json!({"type": "moonrise"})).await.success);
    });
}

#[test]
fn episodes_play_whether_they_come_as_vorbis_or_as_mp3() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let show = world.sim.catalogue().shows[0].clone();
        booth.sounds(&show.uri(), PlayOptions::default()).await;
        booth.listen(400).await;
        booth.assert_begins(0, &show.episodes[0], 300, "the first episode");
        for (number, [left, right]) in [(1, [1_700.0, 4_700.0]), (2, [1_660.0, 1_660.0])] {
            let episode = &show.episodes[number];
            assert_yes(&booth.app.next().await.expect("an answer"), "next");
            let shown = shows(&booth.app, "the next episode", |state| {
                state.playing && state.track_uri == episode.uri()
            })
            .await;
            let off = shown.duration_ms - i64::from(episode.duration_ms());
            assert!(off.abs() < 100, "{shown:?}");
            let from = booth.heard();
            booth.listen(500).await;
            // To somewhere in the middle, which MP3 has no table for.
            assert_yes(&booth.app.seek(4_000).await.expect("an answer"), "seek");
            shows(&booth.app, "the middle", |state| {
                (4_000..5_500).contains(&state.position_ms)
            })
            .await;
            let middle = booth.heard() + frames(100);
            hears(&booth.fifo, middle + frames(300)).await;
            let capture = booth.fifo.capture();
            for at in [from + frames(100), middle] {
                let window = &capture[at..at + frames(250)];
                for (channel, hz) in [left, right].into_iter().enumerate() {
                    let purity = purity(window, channel, hz);
                    assert!(purity > 0.95, "episode {number}, {hz} Hz: {purity}");
                }
            }
        }
        // Six seconds and no more: the end of a show is the end.
        shows(&booth.app, "the end", |state| {
            !state.playing && !state.loading
        })
        .await;
    });
}

#[test]
fn what_may_not_be_played_is_skipped_with_a_reason_and_what_moved_is_found() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Guarded").clone();
        let again = world.sim.catalogue().titled("Guarded Again").tracks[0].clone();
        let shown = |index: usize| {
            let uri = album.tracks[index].uri();
            async {
                shows(&booth.app, "the right track", move |state| {
                    state.playing && state.track_uri == uri
                })
                .await
            }
        };
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        shown(0).await;
        booth.listen(300).await;
        booth.assert_begins(0, &album.tracks[0], 200, "an explicit one");
        // The second is for another country: the third follows, under another id.
        assert_yes(&booth.app.next().await.expect("an answer"), "next");
        shown(2).await;
        let from = booth.heard();
        booth.listen(500).await;
        let capture = booth.fifo.capture();
        let pieces = stretches(&capture[from..], &[decoded(&again, 5)]);
        assert!(
            pieces.iter().any(|it| it.frames > frames(200)),
            "{pieces:#?}"
        );
        booth.daemon.says("Spotify does not offer it here").await;
        // And the fourth has no files: this is the end.
        assert_yes(&booth.app.seek(4_700).await.expect("an answer"), "seek");
        shows(&booth.app, "the end", |state| {
            !state.playing && !state.loading
        })
        .await;
        // Who does not want explicit lyrics hears none.
        world.sim.toggle_attribute("kim", "filter-explicit-content");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let reply = booth.app.play(&album.uri(), PlayOptions::default()).await;
        reply.expect("an answer");
        shown(2).await;
        booth
            .daemon
            .says("the account filters explicit music")
            .await;
    });
}

#[test]
fn files_of_the_phone_are_passed_over() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let short = uris(&world.sim, "Short");
        let local = "spotify:local:Somebody:Some+Album:Some+Song:200".to_owned();
        let list = [&local, &short[0], &local, &short[1]].map(String::clone);
        let reply = booth.app.play_tracks(&list, PlayOptions::default()).await;
        assert_yes(&reply.expect("an answer"), "play");
        for (number, wanted) in short[..2].iter().enumerate() {
            shows(&booth.app, wanted, |state| {
                state.playing && state.track_uri == *wanted
            })
            .await;
            if number == 0 {
                booth.listen(200).await;
                assert_yes(&booth.app.next().await.expect("an answer"), "next");
            }
        }
    });
}

#[test]
fn a_list_of_ten_thousand_tracks_plays_in_little_more_memory_than_a_short_one() {
    let mut catalogue = Catalogue::standard();
    catalogue.add_album("Endless", 10_000);
    let options = SimOptions {
        catalogue,
        ..SimOptions::default()
    };
    scenario_on(options, async |world| {
        let booth = Booth::open(&world).await;
        let short = world.sim.catalogue().titled("Short").uri();
        booth.sounds(&short, PlayOptions::default()).await;
        booth.listen(500).await;
        let engine = one_engine(&booth.daemon).await;
        let before = resident_kb(engine);
        let list = world.sim.catalogue().titled("Endless").clone();
        let uri = |index: usize| list.tracks[index].uri();
        let reply = booth
            .app
            .play(&list.uri(), PlayOptions::from_index(7))
            .await;
        assert_yes(&reply.expect("an answer"), "play");
        let shown = shows(&booth.app, "the eighth", |state| {
            state.playing && state.track_uri == uri(7)
        })
        .await;
        assert_eq!(shown.next[..2], [uri(8), uri(9)]);
        assert!(shown.next.len() <= 200, "{}", shown.next.len());
        // Deep in the list, in any order, and back in the right one.
        let deep = PlayOptions::from_track(&uri(9_000));
        assert_yes(
            &booth.app.play(&list.uri(), deep).await.expect("an answer"),
            "play",
        );
        shows(&booth.app, "the 9001st and what follows", |state| {
            state.playing
                && state.track_uri == uri(9_000)
                && state.next.first() == Some(&uri(9_001))
        })
        .await;
        for _ in 0..10 {
            assert_yes(
                &booth.app.shuffle(true).await.expect("an answer"),
                "shuffle",
            );
            assert_yes(
                &booth.app.shuffle(false).await.expect("an answer"),
                "shuffle",
            );
        }
        let shown = shows(&booth.app, "its order", |state| {
            !state.shuffle && state.next.first() == Some(&uri(9_001))
        })
        .await;
        assert_eq!(shown.previous.last(), Some(&uri(8_999)));
        booth.listen(300).await;
        let after = resident_kb(engine);
        eprintln!("{before} kB with a short album, {after} kB with 10,000 tracks");
        assert!(after - before < 12_000, "{before} kB, then {after} kB");
    });
}

#[test]
fn the_queue_is_ordered_skipped_in_and_changed_as_the_app_says() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let app = &booth.app;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let uri = |index: usize| album.tracks[index].uri();
        let [tune, short] = ["Tune", "Short"].map(|title| uris(&world.sim, title)[0].clone());
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        shows(app, "what follows", |state| state.next.len() == 11).await;
        // Two are queued, then turned around, and the list goes on with the fourth.
        for queued in [&tune, &short] {
            assert_yes(&app.add_to_queue(queued).await.expect("an answer"), "queue");
        }
        shows(app, "the queue", |state| {
            state.queued == [tune.clone(), short.clone()]
        })
        .await;
        let places: Vec<_> = app.next_places().split_off(2);
        let reply = app.set_queue(&[short.clone(), tune.clone()], &places).await;
        assert_yes(&reply.expect("an answer"), "set_queue");
        let shown = shows(app, "the other order", |state| {
            state.queued == [short.clone(), tune.clone()]
        })
        .await;
        assert_eq!(shown.next[2..4], [uri(3), uri(4)]);
        // To a place of the list, past the queue.
        let (to, uid) = places[3].clone();
        assert_eq!(to, uri(6));
        assert_yes(
            &app.next_to_place(&to, &uid).await.expect("an answer"),
            "skip",
        );
        let shown = shows(app, "the seventh", |state| {
            state.playing && state.track_uri == uri(6)
        })
        .await;
        eprintln!("queued after a jump: {:?}", shown.queued);
        // The queue is emptied, and the playlist loses its end and gains another track.
        let places = app.next_places();
        assert_yes(
            &app.set_queue(&[], &places).await.expect("an answer"),
            "set_queue",
        );
        shows(app, "no queue", |state| state.queued.is_empty()).await;
        let changed = [uri(5), uri(6), uri(8), tune.clone()];
        let reply = app.update_context(&album.uri(), &changed).await;
        assert_yes(&reply.expect("an answer"), "update_context");
        let shown = shows(app, "the changed list", |state| state.next.len() == 2).await;
        assert_eq!(shown.track_uri, uri(6));
        assert_eq!(shown.next, [uri(8), tune.clone()]);
        assert_eq!(shown.previous.last(), Some(&uri(5)));
        assert_yes(&app.next().await.expect("an answer"), "next");
        shows(app, "the ninth", |state| {
            state.playing && state.track_uri == uri(8)
        })
        .await;
        booth.listen(300).await;
        let pieces = stretches(
            &booth.fifo.capture(),
            &[
                decoded(&album.tracks[0], 10),
                decoded(&album.tracks[6], 10),
                decoded(&album.tracks[8], 10),
            ],
        );
        assert_eq!(pieces.last().map(|it| it.source), Some(2), "{pieces:#?}");
    });
}

/// What happens after the last track: silence and the first one waiting; with the account's wish
/// for more, more.
#[test]
fn an_album_ends_and_goes_on_with_similar_music_only_if_the_account_wants_that() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let app = &booth.app;
        let album = world.sim.catalogue().titled("Short").clone();
        let uri = |index: usize| album.tracks[index].uri();
        let last = PlayOptions {
            index: Some(5),
            seek_to: Some(3_000),
            ..PlayOptions::default()
        };
        booth.sounds(&album.uri(), last.clone()).await;
        shows(app, "the end, at the first track", |state| {
            !state.playing && !state.loading && state.track_uri == uri(0)
        })
        .await;
        let end = booth.falls_silent().await;
        assert!(
            (frames(1_000) - FADE..=frames(1_000) + FADE).contains(&end),
            "{end}"
        );
        // Play is play, from the first one on.
        assert_yes(&app.resume().await.expect("an answer"), "resume");
        shows(app, "the first", |state| {
            state.playing && state.track_uri == uri(0)
        })
        .await;
        booth.listen(300).await;
        booth.assert_begins(end, &album.tracks[0], 200, "after the end");

        world.sim.toggle_attribute("kim", "autoplay");
        tokio::time::sleep(Duration::from_millis(300)).await;
        booth.sounds(&album.uri(), last).await;
        let shown = shows(app, "something else", |state| {
            state.playing
                && !state.track_uri.is_empty()
                && !album.tracks.iter().any(|it| it.uri() == state.track_uri)
        })
        .await;
        let first = uris(&world.sim, "Tones")[0].clone();
        assert_eq!(shown.track_uri, first);
        assert_eq!(shown.context_uri, album.uri());
    });
}

/// Where a track would have begun in the capture, had all of it been heard; it is looked for from
/// `after` on.
fn begin_of(booth: &Booth, track: &Track, after: usize) -> i64 {
    let capture = booth.fifo.capture();
    let pieces = stretches(&capture[after..], &[decoded(track, 10)]);
    let piece = pieces
        .iter()
        .max_by_key(|it| it.frames)
        .expect("some of it");
    assert!(piece.frames > frames(200), "{pieces:#?}");
    (after + piece.at) as i64 - piece.from as i64
}

#[test]
fn a_crossfade_overlaps_strangers_and_leaves_an_album_alone() {
    scenario(async |world| {
        let booth = Booth::open_with(&world, "[audio]\ncrossfade = 3\n").await;
        let (app, sim) = (&booth.app, &world.sim);
        let list = [uris(sim, "Dozen")[0].clone(), uris(sim, "Tune")[0].clone()];
        let from = PlayOptions {
            seek_to: Some(5_000),
            ..PlayOptions::default()
        };
        let reply = app.play_tracks(&list, from).await;
        assert_yes(&reply.expect("an answer"), "play");
        // Five seconds of the first are left; the second begins after two of them.
        hears(&booth.fifo, frames(5_600)).await;
        let tune = sim.catalogue().titled("Tune").tracks[0].clone();
        let begun = begin_of(&booth, &tune, frames(5_050));
        assert!(begun.abs_diff(frames(2_000) as i64) <= 44, "{begun}");
        let both = &booth.fifo.capture()[frames(3_300)..frames(3_700)];
        let left = purity(both, 0, 300.0 + 60.0 * 12.0);
        assert!(
            (0.2..0.98).contains(&left),
            "{left} of it is the first track"
        );
        assert_eq!(spotify_sim::listen::clicks(&booth.fifo.capture(), 0.02), []);
        let shown = shows(app, "the second", |state| {
            state.playing && state.track_uri == list[1]
        })
        .await;
        let heard = booth.heard() as i64 - begun;
        let ahead = shown.position_ms - ms(usize::try_from(heard).expect("heard")) as i64;
        assert!(ahead.abs() < 300, "{ahead} ms ahead");

        booth.hush().await;
        let halves = sim.catalogue().titled("Halves").clone();
        let from = PlayOptions {
            seek_to: Some(5_000),
            ..PlayOptions::default()
        };
        let at = booth.heard();
        booth.sounds(&halves.uri(), from).await;
        let cut = halves.tracks[0].frames() as usize - frames(5_000);
        hears(&booth.fifo, at + cut + frames(700)).await;
        let sources = [0, 1].map(|half| decoded(&halves.tracks[half], 7));
        let pieces = stretches(&booth.fifo.capture()[at..], &sources);
        assert_eq!(pieces.len(), 2, "{pieces:#?}");
        assert_eq!(pieces[0].to(), halves.tracks[0].frames() as usize);
        assert_eq!((pieces[1].at, pieces[1].from), (pieces[0].end(), 0));
    });
}

#[test]
fn the_phone_is_shown_the_level_that_the_cap_leaves() {
    scenario(async |world| {
        let own = "[[account]]\nuser = \"kim\"\nmax_volume = 25\n";
        let settings = world.settings(crate::lan::NULL) + own;
        let _daemon = world.start(&settings);
        let app = crate::lan::plays(&world, "kim", "Tones").await;
        let cap = u16::MAX / 4;
        let is_capped = || {
            let level = app.state().volume.unwrap_or_default();
            level.abs_diff(cap) <= u16::MAX / 100
        };
        until("a first level under the cap", PATIENCE, || {
            app.state()
                .volume
                .is_some_and(|level| level <= cap + u16::MAX / 100)
        })
        .await;
        for asked in [u16::MAX, 40_000] {
            // What is shown is what holds, so this order is never seen to be obeyed.
            let hasty = app.within(Duration::from_millis(500));
            assert!(hasty.volume(asked).await.is_err(), "{asked} is shown");
            until("the cap in the app", PATIENCE, is_capped).await;
        }
        app.volume(5_000).await.expect("a level under the cap");
    });
}

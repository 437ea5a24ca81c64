//! What is not played and is shown all the same: in its place, grey, with the reason told. And what is
//! shown before it is played.

use serde_json::Value;
use spotify_sim::{Place, PlayOptions};

use crate::{
    ask::ask,
    booth::{assert_yes, uris},
    lan::{NULL, count},
    world::{scenario, shows},
};

const FILE: &str = "spotify:local:Somebody:Some+Album:Some+Song:200";

#[test]
fn a_file_of_the_phone_and_a_track_for_another_country_are_shown_grey_where_they_stand() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let short = uris(&world.sim, "Short");
        let foreign = uris(&world.sim, "Guarded")[1].clone();
        let list = [&short[0], FILE, &short[1], &foreign, &short[2]].map(str::to_owned);
        let reply = app.play_tracks(&list, PlayOptions::default()).await;
        assert_yes(&reply.expect("an answer"), "play");
        shows(&app, "the file in grey", |state| {
            state.playing && state.next == list[1..] && state.greyed == [FILE]
        })
        .await;
        // Over the file; what it is about the other one is found out before its turn.
        assert_yes(&app.next().await.expect("an answer"), "next");
        shows(&app, "both in grey", |state| {
            state.playing
                && state.track_uri == short[1]
                && state.previous == list[..2]
                && state.next == list[3..]
                && state.greyed == [FILE, foreign.as_str()]
        })
        .await;
        assert!(!app.next_to(&foreign).await.expect("an answer").success);
        assert_yes(&app.next().await.expect("an answer"), "next");
        shows(&app, "the last one", |state| {
            state.playing && state.track_uri == short[2] && state.previous == list[..4]
        })
        .await;
        assert_yes(&app.previous().await.expect("an answer"), "previous");
        shows(&app, "the one before, over the grey one", |state| {
            state.playing && state.track_uri == short[1] && state.next == list[3..]
        })
        .await;
        assert_eq!(count(&daemon, "Spotify does not offer it here"), 1);
    });
}

#[test]
fn an_explicit_track_is_shown_grey_in_an_account_that_filters_them() {
    scenario(async |world| {
        world.sim.users().change("kim", |user| {
            let filter = ("filter-explicit-content".to_owned(), "1".to_owned());
            user.attributes.extend([filter]);
        });
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let short = uris(&world.sim, "Short");
        let explicit = uris(&world.sim, "Guarded")[0].clone();
        let list = [&short[0], &explicit, &short[1]].map(Clone::clone);
        let reply = app.play_tracks(&list, PlayOptions::default()).await;
        assert_yes(&reply.expect("an answer"), "play");
        shows(&app, "it in grey", |state| {
            state.playing && state.next == list[1..] && state.greyed == [explicit.as_str()]
        })
        .await;
        assert_yes(&app.next().await.expect("an answer"), "next");
        shows(&app, "the one after", |state| {
            state.playing && state.track_uri == short[1]
        })
        .await;
        assert_eq!(count(&daemon, "the account filters explicit music"), 1);
    });
}

#[test]
fn the_track_that_waits_after_the_end_has_its_title_and_length_and_no_sound_of_it_is_fetched() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Short").clone();
        let mark = world.sim.record().mark();
        let last = PlayOptions {
            index: Some(5),
            seek_to: Some(3_000),
            ..PlayOptions::default()
        };
        assert_yes(
            &app.play(&album.uri(), last).await.expect("an answer"),
            "play",
        );
        let first = &album.tracks[0];
        shows(&app, "the first track and its length", |state| {
            !state.playing
                && !state.loading
                && state.track_uri == first.uri()
                && state.duration_ms == i64::from(first.duration_ms())
        })
        .await;
        let told = ask(&world, "GET", "/api/v1/speakers/main", None).await;
        let track = &told.json["playback"]["track"];
        assert_eq!(track["title"], Value::from(first.title.as_str()));
        assert_eq!(track["duration_ms"], Value::from(first.duration_ms()));
        world.sim.record().assert_count(mark, Place::Storage, 1);
    });
}

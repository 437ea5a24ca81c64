//! What plays, asked for over the socket: each order has its effect in the sound and in the app, and
//! one that cannot be carried out says why and changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    ask::{Answer, ask, siskin, status_says},
    lan::{NULL, fifo, play, plays},
    world::{World, hears, scenario, shows},
};

/// Gives an order to the one speaker.
async fn order(world: &World, what: &str, body: Value) -> Answer {
    let route = format!("/api/v1/speakers/main/{what}");
    ask(world, "POST", &route, Some(body)).await
}

/// One that must be obeyed.
async fn obeyed(world: &World, what: &str, body: Value) {
    let answer = order(world, what, body.clone()).await;
    assert_eq!(
        (answer.status, &answer.json),
        (200, &json!({"done": true})),
        "{what} {body}"
    );
}

async fn refused(world: &World, what: &str, body: Value, status: u16, code: &str) {
    let answer = order(world, what, body.clone()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (status, code),
        "{what} {body}: {:?}",
        answer.json
    );
}

/// The speaker's playback, as it is told right now.
async fn playback(world: &World) -> Value {
    let mut answer = ask(world, "GET", "/api/v1/speakers/main", None).await;
    answer.json["playback"].take()
}

#[test]
fn each_order_has_its_effect_and_the_state_shows_it_at_once() {
    scenario(async |world| {
        let fifo = fifo();
        let _daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Dozen").await;
        hears(&fifo, 44_100).await;
        let first = app.state().track_uri;

        obeyed(&world, "pause", json!({})).await;
        assert_eq!(playback(&world).await["state"], "paused");
        shows(&app, "a pause", |state| state.paused).await;
        let heard = fifo.capture().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(fifo.capture().len() <= heard + 8_820, "it is silent");
        obeyed(&world, "toggle", json!({})).await;
        assert_eq!(playback(&world).await["state"], "playing");
        let heard = fifo.capture().len();
        hears(&fifo, heard + 22_050).await;

        obeyed(&world, "seek", json!({"position_ms": 3_000})).await;
        let position = playback(&world).await["position_ms"]
            .as_u64()
            .expect("a place");
        assert!((2_900..4_500).contains(&position), "{position}");
        obeyed(&world, "seek", json!({"by_ms": -60_000})).await;
        let position = playback(&world).await["position_ms"]
            .as_u64()
            .expect("a place");
        assert!(position < 1_500, "{position}");

        obeyed(&world, "next", json!({})).await;
        let second = shows(&app, "another track", |state| state.track_uri != first).await;
        assert_eq!(
            playback(&world).await["track"]["uri"],
            second.track_uri.as_str()
        );
        obeyed(&world, "previous", json!({})).await;
        shows(&app, "the first track", |state| state.track_uri == first).await;

        obeyed(&world, "shuffle", json!({"on": true})).await;
        assert_eq!(playback(&world).await["shuffle"], true);
        shows(&app, "shuffle", |state| state.shuffle).await;
        obeyed(&world, "shuffle", json!({"on": false})).await;
        for (mode, context, track) in [
            ("context", true, false),
            ("track", false, true),
            ("off", false, false),
        ] {
            obeyed(&world, "repeat", json!({"mode": mode})).await;
            assert_eq!(playback(&world).await["repeat"], mode);
            shows(&app, mode, |state| {
                (state.repeat_context, state.repeat_track) == (context, track)
            })
            .await;
        }
        obeyed(&world, "sleep", json!({"end_of_track": true})).await;
        assert_eq!(playback(&world).await["sleep"], "end_of_track");
        obeyed(&world, "sleep", json!({})).await;
        obeyed(&world, "sleep", json!({"after_s": 1})).await;
        shows(&app, "a pause in a second", |state| state.paused).await;
        obeyed(&world, "play", json!({})).await;
        obeyed(&world, "stop", json!({})).await;
        assert_eq!(playback(&world).await["active"], false);
        shows(&app, "no active device", |state| state.active.is_none()).await;
        let told = ask(&world, "GET", "/api/v1/status", None).await;
        assert!(
            !told.json.to_string().contains("stream_taken"),
            "nobody took it"
        );
    });
}

#[test]
fn volume_is_set_changed_and_muted_with_memory_also_while_nothing_plays() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let percent = async || {
            let answer = ask(&world, "GET", "/api/v1/speakers/main", None).await;
            answer.json["volume_percent"].clone()
        };
        for (what, body, expected) in [
            ("volume", json!({"percent": 40}), 40),
            ("volume", json!({"by": 5}), 45),
            ("mute", json!({}), 0),
            ("mute", json!({"on": true}), 0),
            ("mute", json!({"on": false}), 45),
            ("volume", json!({"by": -100}), 0),
            ("volume", json!({"percent": 100}), 100),
            ("volume", json!({"by": 5}), 100),
        ] {
            obeyed(&world, what, body.clone()).await;
            assert_eq!(percent().await, expected, "{what} {body}");
        }
        let full = |device: &spotify_sim::DeviceShown| device.volume == 65_535;
        shows(&app, "the level", |state| state.devices.iter().any(full)).await;
    });
}

#[test]
fn an_idle_speaker_loads_what_it_is_told_and_queues_after_that() {
    scenario(async |world| {
        let fifo = fifo();
        let _daemon = world.start_on(&fifo);
        let app = world.sign_in("kim").await;
        status_says(&world, "ready").await;
        refused(&world, "pause", json!({}), 409, "not_active").await;
        refused(&world, "next", json!({}), 409, "not_active").await;
        let album = world.sim.catalogue().titled("Dozen");
        let uri = album.uri();
        let id = uri.rsplit(':').next().expect("an id").to_owned();
        let link = format!("https://open.spotify.com/intl-de/album/{id}?si=x");
        obeyed(&world, "play", json!({"uri": link, "index": 1})).await;
        let told = playback(&world).await;
        assert_eq!(
            (&told["active"], &told["context"]),
            (&json!(true), &json!(uri))
        );
        let state = shows(&app, "music", |state| state.playing).await;
        assert_eq!(state.context_uri, uri);
        hears(&fifo, 22_050).await;

        let queued = state
            .previous
            .first()
            .cloned()
            .unwrap_or(state.track_uri.clone());
        obeyed(&world, "queue", json!({"uri": queued})).await;
        shows(&app, "the queue", |state| state.queued == [queued.clone()]).await;
        let queue = ask(&world, "GET", "/api/v1/speakers/main/queue", None).await;
        assert_eq!(
            queue.json["next"][0],
            json!({"uri": queued, "source": "queue"})
        );
        assert_eq!(queue.json["current"]["uri"], state.track_uri.as_str());
        assert!(
            queue.json["previous"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        );

        // One track alone, and held.
        obeyed(
            &world,
            "play",
            json!({"uri": state.track_uri, "paused": true, "position_ms": 1_000}),
        )
        .await;
        let told = playback(&world).await;
        assert_eq!(
            (&told["state"], &told["track"]["uri"]),
            (&json!("paused"), &json!(state.track_uri))
        );
    });
}

#[test]
fn playback_is_pulled_from_another_device_and_given_back() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Dozen").await;
        app.transfer_away().await.expect("an answer");
        status_says(&world, "ready").await;
        refused(&world, "pause", json!({}), 409, "not_active").await;
        refused(&world, "seek", json!({"position_ms": 5}), 409, "not_active").await;
        obeyed(&world, "pull", json!({})).await;
        assert_eq!(playback(&world).await["active"], true);
        shows(&app, "the speaker", |state| {
            state
                .active
                .as_ref()
                .is_some_and(|device| device.name == "Kitchen")
        })
        .await;
    });
}

#[test]
fn wrong_orders_are_told_why_and_change_nothing() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        status_says(&world, "Kitchen").await;
        refused(&world, "play", json!({}), 409, "nobody_signed_in").await;
        let app = world.sign_in("kim").await;
        play(&world, &app, "Dozen").await;
        hears(&fifo, 22_050).await;
        let track = playback(&world).await["track"]["uri"].clone();
        let wrong = [
            ("seek", json!({})),
            ("seek", json!({"position_ms": -1})),
            ("seek", json!({"position_ms": 1e20})),
            ("seek", json!({"position_ms": 1, "by_ms": 1})),
            ("volume", json!({"percent": 101})),
            ("volume", json!({"percent": -1})),
            ("volume", json!({"by": 101})),
            ("volume", json!({"percent": "loud"})),
            ("shuffle", json!({"on": 1})),
            ("repeat", json!({"mode": "twice"})),
            ("pause", json!({"now": true})),
            ("pause", json!([])),
            ("play", json!({"uri": "Staircase"})),
            (
                "play",
                json!({"uri": "https://evil.example/album/0000000000000000000001"}),
            ),
            ("play", json!({"uri": "spotify:track:../../x"})),
            ("play", json!({"index": 3})),
            ("queue", json!({"uri": app.state().context_uri})),
            ("sleep", json!({"after_s": 0})),
            ("sleep", json!({"after_s": 90_000})),
            ("sleep", json!({"after_s": 60, "fade_s": 61})),
            ("sleep", json!({"end_of_track": true, "fade_s": 3_601})),
            ("sleep", json!({"fade_s": 5})),
        ];
        for (what, body) in wrong {
            refused(&world, what, body, 422, "invalid").await;
        }
        let route = "/api/v1/speakers/attic/pause";
        let answer = ask(&world, "POST", route, Some(json!({}))).await;
        assert_eq!((answer.status, answer.code()), (404, "unknown_speaker"));
        let told = playback(&world).await;
        assert_eq!(
            (&told["track"]["uri"], &told["state"]),
            (&track, &json!("playing"))
        );
        let heard = fifo.capture().len();
        hears(&fifo, heard + 22_050).await;
        // Without an engine there is nobody to carry it out.
        daemon.stop().await;
        let said = siskin(&world, &["pause"]).await;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("no siskin runs here"), "{said:?}");
    });
}

#[test]
fn the_command_line_is_a_remote_control() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let say = async |words: &str| {
            let words: Vec<_> = words.split(' ').collect();
            let said = siskin(&world, &words).await;
            assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
            said.out
        };
        let album = world.sim.catalogue().titled("Dozen").uri();
        say(&format!("play {album} --from 2")).await;
        let state = shows(&app, "music", |state| state.playing).await;
        say("volume 40").await;
        say("volume -5").await;
        status_says(&world, "volume 35 %").await;
        say("seek 0:02").await;
        say("shuffle on").await;
        say("shuffle off").await;
        say("repeat context").await;
        shows(&app, "repeat", |state| state.repeat_context).await;
        let listed = say("queue").await;
        assert!(
            listed.contains(&format!("> {}", state.track_uri)),
            "{listed}"
        );
        say(&format!("queue add {}", state.track_uri)).await;
        assert!(say("queue").await.contains("(queued)"));
        say("pause").await;
        status_says(&world, "Kitchen: paused").await;
        say("toggle").await;
        say("next").await;
        say("prev --speaker kit").await;
        say("mute").await;
        status_says(&world, "volume 0 %").await;
        say("mute off").await;
        say("sleep 30").await;
        say("stop").await;
        status_says(&world, "Kitchen: ready").await;
        for (words, code) in [
            (&["volume", "loud"][..], 64),
            (&["seek", "x"], 64),
            (&["play", "Dozen"], 64),
            (&["pause", "--speaker", "attic"], 1),
            (&["pause"], 1),
        ] {
            let said = siskin(&world, words).await;
            assert_eq!(said.code, Some(code), "{words:?} {said:?}");
            assert!(said.err.contains("\n  help: "), "{said:?}");
        }
    });
}

//! What a listener chooses besides the music: the speaker's name, the device that plays, how much is
//! logged; and what Spotify does not allow.

use std::time::Duration;

use serde_json::{Value, json};
use spotify_sim::SimOptions;

use crate::{
    ask::{ask, siskin, status_says},
    lan::{NULL, count, one_engine, plays, until},
    world::{PATIENCE, World, scenario, scenario_on, shows},
};

async fn order(world: &World, what: &str, body: Value) -> (u16, Value) {
    let route = format!("/api/v1/speakers/main/{what}");
    let answer = ask(world, "POST", &route, Some(body)).await;
    (answer.status, answer.json)
}

async fn state(world: &World) -> Value {
    ask(world, "GET", "/api/v1/speakers/main", None).await.json
}

#[test]
fn a_new_name_is_shown_everywhere_at_once_and_kept() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Dozen").await;
        let engine = one_engine(&daemon).await;
        assert_eq!(order(&world, "name", json!({"name": "Den"})).await.0, 200);
        assert_eq!(state(&world).await["name"], "Den");
        app.wait_for_device("Den", PATIENCE)
            .await
            .expect("the picker shows it");
        let found = world
            .phone
            .wait_for(|found| found.instance.contains("Den"), PATIENCE);
        let found = found.await.expect("mDNS shows it");
        let info = world.info(&found).await;
        assert!(info.answer.json.to_string().contains("\"Den\""), "{info:?}");
        assert_eq!(one_engine(&daemon).await, engine, "the music goes on");
        assert_eq!(state(&world).await["playback"]["state"], "playing");

        for (name, status, code) in [
            (json!("x".repeat(65)), 422, "invalid"),
            (json!("a\u{7}b"), 422, "invalid"),
            (json!(5), 422, "invalid"),
        ] {
            let (found, json) = order(&world, "name", json!({ "name": name })).await;
            assert_eq!((found, &json["error"]["code"]), (status, &json!(code)));
        }
        daemon.stop().await;
        let _daemon = world.start(&world.settings(NULL));
        status_says(&world, "Den").await;
        let said = siskin(&world, &["rename", ""]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(state(&world).await["name"], "Kitchen");
    });
}

#[test]
fn a_name_given_in_an_app_is_kept_and_one_that_cannot_be_changes_nothing() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Dozen").await;
        app.rename("Attic").await.expect("shown by that name");
        let found = world
            .phone
            .wait_for(|found| found.instance.contains("Attic"), PATIENCE);
        found.await.expect("mDNS shows it");
        let long = "x".repeat(65);
        let patient = app.within(Duration::from_millis(300));
        for (name, why) in [
            (long.as_str(), "65 bytes long"),
            ("a\nb", "control character"),
        ] {
            patient.rename(name).await.expect_err(why);
            until(why, PATIENCE, || count(&daemon, why) > 0).await;
        }
        assert_eq!(state(&world).await["name"], "Attic");
        assert_eq!(state(&world).await["playback"]["state"], "playing");
        daemon.stop().await;
        let _daemon = world.start(&world.settings(NULL));
        status_says(&world, "Attic").await;
    });
}

#[test]
fn playback_is_sent_to_another_device_that_the_state_lists() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Dozen").await;
        app.transfer_away().await.expect("an answer");
        assert_eq!(order(&world, "pull", json!({})).await.0, 200);
        let told = state(&world).await;
        let devices = told["devices"].as_array().expect("devices").clone();
        let phone = devices
            .iter()
            .find(|one| one["id"] == app.phone_id())
            .unwrap_or_else(|| panic!("{devices:?}"));
        assert_eq!(phone["active"], false);
        assert!(phone["type"].is_string(), "{phone}");
        let (status, no) = order(&world, "send", json!({"device": "Attic"})).await;
        assert_eq!(
            (status, &no["error"]["code"]),
            (404, &json!("unknown_device"))
        );
        let name = phone["name"].as_str().expect("a name");
        let said = siskin(&world, &["send", name]).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        let told = state(&world).await;
        assert_eq!(told["playback"]["active"], false);
        shows(&app, "the phone", |state| {
            state
                .active
                .as_ref()
                .is_some_and(|active| active.id == app.phone_id())
        })
        .await;
        let (status, no) = order(&world, "send", json!({"device": app.phone_id()})).await;
        assert_eq!((status, &no["error"]["code"]), (409, &json!("not_active")));
    });
}

#[test]
fn what_spotify_forbids_stands_in_the_state_and_is_answered_with_the_reason() {
    let forbidden = ["disallow_skipping_next_reasons", "disallow_seeking_reasons"];
    let options = SimOptions {
        forbidden: forbidden.map(|key| ("Dozen".into(), key.into())).into(),
        ..SimOptions::default()
    };
    scenario_on(options, async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        status_says(&world, "ready").await;
        let uri = world.sim.catalogue().titled("Dozen").uri();
        assert_eq!(order(&world, "play", json!({"uri": uri})).await.0, 200);
        let playing = shows(&app, "music", |state| state.playing).await;
        let route = "/api/v1/speakers/main";
        let mut told = Value::Null;
        for _ in 0..200 {
            told = ask(&world, "GET", route, None).await.json["playback"].take();
            if told["restrictions"].is_array() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let expected = json!([
            {"what": "seek", "why": "license"},
            {"what": "next", "why": "license"},
        ]);
        assert_eq!(told["restrictions"], expected);
        assert_eq!(told["context_name"], "Dozen");
        assert_eq!(told["track"]["kind"], "track");
        assert_eq!(told["track"]["stream"]["codec"], "vorbis");
        assert!(told["queue_revision"].is_string());
        for what in [("next", json!({})), ("seek", json!({"position_ms": 5_000}))] {
            let (status, no) = order(&world, what.0, what.1).await;
            let error = &no["error"];
            assert_eq!(
                (status, &error["code"]),
                (409, &json!("restricted")),
                "{no}"
            );
            assert!(error["message"].to_string().contains("license"), "{no}");
        }
        assert_eq!(app.state().track_uri, playing.track_uri);
        assert_eq!(order(&world, "pause", json!({})).await.0, 200);
        drop(daemon);
    });
}

#[test]
fn the_log_tells_more_while_the_daemon_runs() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        for (level, code) in [("loud", Some(1)), ("debug", Some(0)), ("warn", Some(0))] {
            let said = siskin(&world, &["log-level", level]).await;
            assert_eq!(said.code, code, "{said:?}");
        }
        until("a word about it", PATIENCE, || {
            daemon
                .log()
                .iter()
                .any(|line| line.contains("the log tells"))
        })
        .await;
        let answer = ask(&world, "POST", "/api/v1/log", Some(json!({"level": 3}))).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid"));
    });
}

#[test]
fn an_engine_that_plays_logs_more_or_less_at_once_as_well() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Dozen").await;
        let engine = one_engine(&daemon).await;
        // What only an engine says, and only to whoever looks closer.
        let asked = "an app asks";
        let level = async |level: &str| {
            let said = siskin(&world, &["log-level", level]).await;
            assert_eq!(said.code, Some(0), "{said:?}");
        };
        let press = async || {
            app.pause().await.expect("an answer");
            shows(&app, "a pause", |state| state.paused).await;
            app.resume().await.expect("an answer");
            shows(&app, "music", |state| state.playing).await;
        };
        press().await;
        assert_eq!(count(&daemon, asked), 0);
        level("debug").await;
        press().await;
        daemon.says(asked).await;
        level("warn").await;
        press().await;
        let before = count(&daemon, asked);
        press().await;
        assert_eq!(count(&daemon, asked), before);
        // And what was read off librespot's log still is: a session that is lost is noticed.
        assert_eq!(one_engine(&daemon).await, engine);
        assert_eq!(state(&world).await["playback"]["state"], "playing");
    });
}

//! A sleep timer that fades: what is heard on the way to silence, and after it.

use std::time::Duration;

use serde_json::{Value, json};
use spotify_sim::{PlayOptions, listen::Frame};

use crate::{
    ask::{ask, siskin, status_says},
    booth::Booth,
    lan::until,
    tape::{frames, stretches},
    world::{PATIENCE, World, hears, scenario, shows},
};

/// Long enough for a wave of any of the tones, short enough for a curve.
const BLOCK_MS: i64 = 100;

/// How loud each tenth of a second is.
fn levels(capture: &[Frame]) -> Vec<f32> {
    let blocks = capture.chunks_exact(frames(BLOCK_MS));
    blocks
        .map(|block| {
            let power: f32 = block.iter().map(|frame| frame[0] * frame[0]).sum();
            (power / block.len() as f32).sqrt()
        })
        .collect()
}

async fn tell(world: &World, body: Value) {
    let route = "/api/v1/speakers/main/sleep";
    let answer = ask(world, "POST", route, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
}

async fn playback(world: &World) -> Value {
    let told = ask(world, "GET", "/api/v1/speakers/main", None).await;
    told.json["playback"].clone()
}

/// What is heard from there on is the music itself, after a moment.
fn assert_full_level(booth: &Booth, from: usize, source: &[Frame], what: &str) {
    let capture = booth.fifo.capture();
    let pieces = stretches(&capture[from..], &[source.to_vec()]);
    assert!(
        pieces
            .iter()
            .any(|piece| piece.to() - piece.from >= frames(300)),
        "{what}: {pieces:#?}"
    );
}

/// Over the last seconds it grows quieter with each tenth of a second, to nothing.
#[track_caller]
fn assert_fades(heard: &[Frame], ms: i64) {
    let levels = levels(&heard[heard.len() - frames(ms)..]);
    let falls = levels.windows(2).all(|two| two[1] <= two[0] * 1.001);
    assert!(falls, "{levels:?}");
    let full = self::levels(&heard[..heard.len() - frames(ms + 500)]);
    let full = full.last().copied().expect("heard before");
    assert!(levels[0] > 0.8 * full, "{full} and then {levels:?}");
    let half = levels[levels.len() / 2] / full;
    assert!((0.15..0.35).contains(&half), "{half}: {levels:?}");
    assert!(levels.last() < Some(&(0.01 * full)), "{levels:?}");
}

#[test]
fn a_timer_fades_over_its_last_seconds_and_the_next_play_is_at_full_level() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        let loud = ask(&world, "GET", "/api/v1/speakers/main", None).await;
        let before = loud.json["volume_percent"].clone();
        let said = siskin(&world, &["sleep", "4s", "--fade", "3s"]).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert_eq!(playback(&world).await["sleep_fade_ms"], 3_000);
        status_says(&world, "fading over the last 3 s").await;
        shows(&booth.app, "a pause", |state| state.paused).await;
        booth.falls_silent().await;
        let heard = booth.fifo.capture();
        assert_fades(&heard, 3_000);
        let now = ask(&world, "GET", "/api/v1/speakers/main", None).await;
        assert_eq!(now.json["volume_percent"], before, "no slider has moved");
        assert_eq!(now.json["playback"]["sleep"], "off");
        assert_eq!(now.json["playback"]["sleep_fade_ms"], 0);

        let from = booth.heard();
        let reply = booth.app.resume().await.expect("an answer");
        assert!(reply.success);
        booth.listen(600).await;
        let source = crate::tape::decoded(&album.tracks[0], 20);
        assert_full_level(&booth, from, &source, "after the timer");
    });
}

#[test]
fn a_fade_that_is_called_off_brings_the_music_back_within_a_second() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        booth.listen(300).await;
        let full = levels(&booth.fifo.capture()[frames(50)..])[0];
        tell(&world, json!({"after_s": 3, "fade_s": 3})).await;
        until("it is quieter", PATIENCE, || {
            let capture = booth.fifo.capture();
            let last = &capture[capture.len() - frames(BLOCK_MS)..];
            levels(last)[0] < 0.3 * full
        })
        .await;
        tell(&world, json!({})).await;
        let from = booth.heard();
        booth.listen(2_000).await;
        let capture = booth.fifo.capture();
        let back = levels(&capture[from..]);
        let rises = back.windows(2).all(|two| two[1] >= two[0] * 0.99);
        assert!(rises && back[12] > 0.99 * full, "{full}: {back:?}");
        let source = crate::tape::decoded(&album.tracks[0], 20);
        assert_full_level(&booth, from + frames(1_300), &source, "called off");
        assert_eq!(playback(&world).await["state"], "playing");
    });
}

#[test]
fn at_the_end_of_a_track_its_last_seconds_fade_and_the_next_one_begins_at_full_level() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").clone();
        let near = PlayOptions {
            seek_to: Some(14_000),
            ..PlayOptions::default()
        };
        booth.sounds(&album.uri(), near).await;
        tell(&world, json!({"end_of_track": true, "fade_s": 4})).await;
        let told = playback(&world).await;
        assert_eq!(
            (&told["sleep"], &told["sleep_fade_ms"]),
            (&json!("end_of_track"), &json!(4_000))
        );
        let second = album.tracks[1].uri();
        shows(&booth.app, "a pause before the next track", |state| {
            state.paused && state.track_uri == second
        })
        .await;
        booth.falls_silent().await;
        assert_fades(&booth.fifo.capture(), 4_000);
        let from = booth.heard();
        let reply = booth.app.resume().await.expect("an answer");
        assert!(reply.success);
        hears(&booth.fifo, from + frames(600)).await;
        booth.assert_begins(from, &album.tracks[1], 400, "the next track");
    });
}

#[test]
fn a_timer_outlives_an_engine_that_is_killed() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").uri();
        booth.sounds(&album, PlayOptions::default()).await;
        tell(&world, json!({"after_s": 3_600, "fade_s": 60})).await;
        let before = playback(&world).await["sleep"]["at"]["unix_ms"].as_i64();
        let engine = crate::lan::one_engine(&booth.daemon).await;
        let pid = nix::unistd::Pid::from_raw(engine as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let told = playback(&world).await;
            let after = told["sleep"]["at"]["unix_ms"].as_i64();
            let is_back = crate::lan::one_engine(&booth.daemon).await != engine;
            if is_back && told["state"] == "playing" {
                let (before, after) = (before.expect("set"), after.expect("still set"));
                assert!(before.abs_diff(after) < 1_000, "{before} and {after}");
                assert_eq!(told["sleep_fade_ms"], 60_000);
                break;
            }
            assert!(std::time::Instant::now() < end, "never came back: {told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

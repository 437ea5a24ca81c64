//! What a card hears: the right tone in the right place, without clicks and without gaps.

use std::{process::Command, time::Duration};

use serde_json::json;
use spotify_sim::{
    AppState, Controller, PlayOptions,
    listen::{Frame, clicks, dominant, joint, magnitude_at, playing, which_track},
    rigs::{FakeDac, State, monotonic},
};

use super::{Rig, SECOND, TENTH, hears, on_card, plays, since, start, until};
use crate::{
    ask::ask,
    world::{binary, scenario, shows},
};

/// From the press of pause to silence at the card.
const PAUSE_LIMIT: Duration = Duration::from_millis(250);

/// A second of the other card.
const DAC48: usize = 48_000;

/// A card starves on a machine that is busy with other tests, and then it clicks by rights. What
/// siskin does wrong, it does wrong every time: one good try of three is enough.
async fn in_three_tries(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let mut failed = Vec::new();
    for _ in 0..3 {
        match attempt().await {
            Ok(()) => return,
            Err(why) => failed.push(why),
        }
    }
    panic!("three tries failed: {failed:#?}");
}

fn ensure(right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(what()) }
}

#[test]
fn pause_resume_seek_and_skip_are_heard_at_once_and_do_not_click() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        let kim = rig.world.sign_in("kim").await;
        in_three_tries(async || gestures(&rig, &kim).await).await;
    });
}

async fn gestures(rig: &Rig, kim: &Controller) -> Result<(), String> {
    let (card, begun) = (rig.card(), rig.card().heard());
    plays(&rig.world, kim, "Tones", 0).await;
    hears(card, begun + SECOND as u64 / 4, SECOND / 2).await;

    let (pressed, mark) = (monotonic(), card.heard());
    kim.pause().await.expect("an answer");
    let mut end = 0;
    until("silence", || {
        let capture = since(card, mark);
        end = playing(&capture).last().map_or(0, |run| run.to);
        end + TENTH < capture.len()
    })
    .await;
    let end = mark + end as u64;
    let silent = card
        .time_of(end)
        .expect("it played")
        .saturating_sub(pressed);
    println!("pause: silent after {silent:?}");
    ensure(silent < PAUSE_LIMIT, || format!("silent after {silent:?}"))?;
    shows(kim, "a pause", |state| state.paused).await;

    let pressed = monotonic();
    kim.resume().await.expect("an answer");
    hears(card, end, SECOND / 2).await;
    let from = end + playing(&since(card, end))[0].from as u64;
    let heard = card
        .time_of(from)
        .expect("it plays")
        .saturating_sub(pressed);
    println!("resume: heard after {heard:?}");
    ensure(heard < PAUSE_LIMIT, || format!("heard after {heard:?}"))?;

    let mark = card.heard();
    kim.seek(10_000).await.expect("an answer");
    hears(card, mark + SECOND as u64 / 4, SECOND / 4).await;
    let mark = card.heard();
    kim.next().await.expect("an answer");
    until("the next track", || {
        let capture = since(card, mark);
        let end = capture.len().saturating_sub(TENTH);
        let track = which_track(&capture[end..], rig.world.sim.catalogue());
        track.is_some_and(|track| track.title == "Tone 2")
    })
    .await;
    hears(card, card.heard(), SECOND / 4).await;
    let found = clicks(&since(card, begun), 0.01);
    ensure(found.is_empty(), || format!("{found:?}"))
}

#[test]
fn after_a_jump_in_a_pause_the_app_is_shown_the_new_place_and_never_the_old_one() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        let kim = rig.orders("kim", "Staircase", 0).await;
        for place_ms in [30_000, 60_000] {
            hears(rig.card(), rig.card().heard(), SECOND / 2).await;
            kim.pause().await.expect("an answer");
            shows(&kim, "a pause", |state| state.paused).await;
            kim.seek(place_ms).await.expect("an answer");
            let there = place_ms.into()..i64::from(place_ms) + 3_000;
            let is_there = |state: &AppState| there.contains(&state.position_ms);
            shows(&kim, "the new place", is_there).await;
            kim.resume().await.expect("an answer");
            let state = shows(&kim, "music", |state| state.playing).await;
            assert!(is_there(&state), "{place_ms}: {}", state.position_ms);
        }
    });
}

#[test]
fn two_halves_of_one_sweep_meet_at_the_card_without_a_sample_too_many_or_too_few() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        let halves = &rig.world.sim.catalogue().titled("Halves").tracks;
        let (first, second) = (halves[0].samples(), halves[1].samples());
        let kim = rig.world.sign_in("kim").await;
        in_three_tries(async || {
            let mark = rig.card().heard();
            plays(&rig.world, &kim, "Halves", 3_500).await;
            until("both halves", || {
                rig.card().heard() > mark + 5 * SECOND as u64
            })
            .await;
            let capture = since(rig.card(), mark);
            let met = joint(&capture, &first, &second).map_err(|error| error.to_string())?;
            ensure(met.added == 0, || format!("{met:?}"))?;
            let found = clicks(&capture, 0.02);
            ensure(found.is_empty(), || format!("{found:?}"))
        })
        .await;
    });
}

#[test]
fn a_card_that_takes_only_48_khz_gets_a_clean_tone() {
    on_card(State::Ok, "device = \"dac48\"", async |rig| {
        let card = rig.dac.dac48();
        let kim = rig.world.sign_in("kim").await;
        // 1020 Hz on the left of one, 7 kHz on the right of the other.
        for (album, channel, hz) in [("Dozen", 0, 1_020.0), ("Staircase", 1, 7_000.0)] {
            in_three_tries(async || {
                // Whatever played before is over by then.
                let mark = card.heard() + DAC48 as u64 / 4;
                plays(&rig.world, &kim, album, 1_000).await;
                until("a second of it", || card.heard() > mark + DAC48 as u64).await;
                let heard = since(card, mark);
                let tone: Vec<_> = heard.iter().map(|frame| frame[channel]).collect();
                // A bad conversion is heard in every quarter, a card that ran dry in some.
                let quarters = tone
                    .chunks_exact(DAC48 / 4)
                    .map(|quarter| judge(quarter, hz));
                quarters
                    .reduce(Result::or)
                    .unwrap_or_else(|| Err("nothing".into()))
            })
            .await;
        }
        let events = card.events();
        let prepared = events.iter().rfind(|event| event.what == "prepare");
        let prepared = &prepared.expect("it was opened").detail;
        assert!(prepared.contains("rate=48000 format=S32_LE"), "{prepared}");
    });
}

/// Whether this sound at 48 kHz holds nothing but the one tone, to 80 dB.
fn judge(tone: &[f32], hz: f64) -> Result<(), String> {
    // The ears take every capture for one at 44.1 kHz.
    let scale = 44_100.0 / DAC48 as f64;
    let pitch = dominant(tone).ok_or("silence")? / scale;
    ensure((pitch - hz).abs() < 0.5, || {
        format!("{pitch} instead of {hz} Hz")
    })?;
    let signal = magnitude_at(tone, hz * scale);
    // Nearer to it lie sounds of the codec's own, 73 dB down without any card.
    let beside = (1..238).map(|n| f64::from(n) * 100.0 + 20.0);
    let (noise, at) = beside
        .filter(|beside| (beside - hz).abs() > 500.0)
        .map(|beside| (magnitude_at(tone, beside * scale), beside))
        .fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
    let clean = 20.0 * (signal / noise).log10();
    println!("{hz} Hz: the loudest beside it, at {at} Hz, is {clean:.1} dB lower");
    ensure(clean > 80.0, || {
        format!("{hz} Hz: {clean:.1} dB at {at} Hz")
    })
}

#[test]
fn a_card_plays_by_the_name_that_is_listed_with_the_host_before_it_and_as_the_default() {
    scenario(async |world| {
        let dac = FakeDac::build().unwrap_or_else(|error| panic!("{error}"));
        let config = dac.alsa_config();
        let listed = tokio::task::spawn_blocking(|| {
            let mut command = Command::new(binary());
            command.arg("devices").env("ALSA_CONFIG_PATH", config);
            command.output().expect("it runs")
        });
        let listed = listed.await.expect("it ran");
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let at = lines.iter().position(|line| line.contains("Fake USB DAC"));
        let name = lines[at.unwrap_or_else(|| panic!("not listed:\n{text}")) - 1];
        let complaint = String::from_utf8_lossy(&listed.stderr);
        assert!(complaint.is_empty(), "{complaint}");
        assert_eq!(dac.usbdac().count("open"), 0, "listing opens nothing");

        let card = dac.usbdac();
        let mut kim = None;
        for device in [name, "device = \"alsa:usbdac\"", ""] {
            let daemon = start(&world, &dac, device);
            let app = match kim {
                None => world.sign_in("kim").await,
                Some(()) => world.listed("kim").await,
            };
            kim = Some(());
            let mark = card.heard();
            let album = world.sim.catalogue().titled("Tones").uri();
            let reply = app.play(&album, PlayOptions::from_index(2)).await;
            assert!(reply.expect("an answer").success);
            let heard = hears(card, mark, SECOND / 4).await;
            let track = which_track(&heard[TENTH..], world.sim.catalogue());
            assert_eq!(track.expect("a track").title, "Tone 3", "{device}");
            let (status, _) = daemon.stop().await;
            assert!(status.success());
        }
    });
}

/// How loud each tenth of a second is at most. Where a card starved, the rest of the tenth counts.
fn peaks(capture: &[Frame]) -> Vec<f32> {
    let tenths = capture.chunks_exact(TENTH);
    tenths
        .map(|tenth| {
            tenth
                .iter()
                .fold(0.0, |most, frame| frame[0].abs().max(most))
        })
        .collect()
}

#[test]
fn a_sleep_timer_fades_at_the_card_and_the_next_play_is_as_loud_as_before() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        let kim = rig.world.sign_in("kim").await;
        in_three_tries(async || falls_asleep(&rig, &kim).await).await;
    });
}

async fn falls_asleep(rig: &Rig, kim: &Controller) -> Result<(), String> {
    let (card, begun) = (rig.card(), rig.card().heard());
    plays(&rig.world, kim, "Tones", 0).await;
    let before = peaks(&hears(card, begun, SECOND).await);
    let full = before.iter().copied().fold(0.0, f32::max);
    let route = "/api/v1/speakers/main/sleep";
    let body = Some(json!({"after_s": 3, "fade_s": 2}));
    assert_eq!(ask(&rig.world, "POST", route, body).await.status, 200);
    shows(kim, "a pause", |state| state.paused).await;

    let mut capture = since(card, begun);
    let end = capture.iter().rposition(|frame| frame[0] != 0.0);
    capture.truncate(end.expect("it was heard") + 1);
    let fade = peaks(&capture[capture.len() - 2 * SECOND..]);
    let told = || format!("{full}: {fade:?}");
    ensure(fade[0] > 0.8 * full, told)?;
    let mut twos = fade.windows(2);
    ensure(twos.all(|two| two[1] <= two[0] * 1.001), told)?;
    ensure(fade.last() < Some(&(0.02 * full)), told)?;

    let mark = card.heard();
    assert!(kim.resume().await.expect("an answer").success);
    let after = peaks(&hears(card, mark, SECOND / 2).await);
    let loud = after[1..].iter().all(|&peak| peak > 0.98 * full);
    ensure(loud, || format!("{full}: {after:?}"))
}

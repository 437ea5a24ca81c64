//! Cards that are not there, or not any more: told in plain words, and music goes on by itself.

use std::time::{Duration, Instant};

use spotify_sim::{listen::position_of, rigs::State};

use super::{OVER, SECOND, TENTH, count, hears, last_position, on_card, plays, since, told, until};
use crate::{
    ask::{siskin, status_says},
    booth::{assert_in_time, assert_yes},
    world::shows,
};

const DEVICE: &str = "device = \"usbdac\"";

/// Music may begin again a bit earlier or later than it broke off, in seconds.
const NEAR: f64 = 0.5;

/// The phone counts on by itself; on a machine so busy that the card runs dry, the music lags.
/// librespot corrects the phone beyond one second.
const ON_THE_PHONE: f64 = 1.5;

/// The card cannot be opened at first, then it can.
fn plays_as_soon_as_it_can(state: State, device: &'static str, words: &'static str) {
    on_card(state, device, async move |rig| {
        let kim = rig.orders("kim", "Staircase", 10_000).await;
        told(&rig.daemon, words, 1).await;
        shows(&kim, "a pause", |state| state.paused).await;
        assert_eq!(rig.card().heard(), 0);
        rig.dac.set(State::Ok);
        let heard = hears(rig.card(), 0, TENTH).await;
        let position = position_of(&heard).expect("the staircase");
        assert!((position - 10.05).abs() < NEAR, "from {position} s");
        shows(&kim, "a playing track", |state| state.playing).await;
        told(&rig.daemon, OVER, 1).await;
        hears(rig.card(), 0, SECOND).await;
        assert_eq!(count(&rig.daemon, "condition"), 2, "told once, over once");
    });
}

#[test]
fn a_card_that_is_plugged_in_after_the_order_plays_it() {
    plays_as_soon_as_it_can(State::Absent, DEVICE, "the sound card usbdac is not there");
}

#[test]
fn the_default_card_is_waited_for_as_well() {
    plays_as_soon_as_it_can(State::Absent, "", "the default sound card is not there");
}

#[test]
fn a_card_that_another_program_lets_go_of_plays_the_order() {
    plays_as_soon_as_it_can(State::Busy, DEVICE, "is used by another program");
}

#[test]
fn a_card_that_may_not_be_used_is_told_of_with_the_group_to_join() {
    plays_as_soon_as_it_can(State::Perm, DEVICE, "group `audio`");
}

#[test]
fn a_sound_server_that_a_service_cannot_reach_is_no_matter_of_cables() {
    let words = "the sound server behind the default sound card cannot be reached";
    plays_as_soon_as_it_can(State::Down, "", words);
}

#[test]
fn the_doctor_tells_the_same_of_it_with_both_ways_out() {
    on_card(State::Down, "", async |rig| {
        status_says(&rig.world, "Kitchen").await;
        let said = siskin(&rig.world, &["doctor"]).await;
        for words in [
            "the sound server behind the default sound card cannot be reached [output_lost]",
            "name a card itself, as `siskin devices` shows them",
            "systemctl --user enable --now siskin",
        ] {
            assert!(said.out.contains(words), "{}", said.out);
        }
        assert!(!said.out.contains("cable"), "{}", said.out);
    });
}

/// The card breaks while it plays, then it works again.
fn goes_on_where_it_broke_off(state: State, words: &'static str) {
    on_card(State::Ok, DEVICE, async move |rig| {
        let kim = rig.orders("kim", "Staircase", 10_000).await;
        hears(rig.card(), 0, SECOND).await;
        rig.dac.set(state);
        told(&rig.daemon, words, 1).await;
        shows(&kim, "a pause", |state| state.paused).await;
        let before = last_position(&rig.dac.capture()).expect("the staircase");
        let mark = rig.card().heard();
        let mended = Instant::now();
        rig.dac.set(State::Ok);
        let heard = hears(rig.card(), mark, TENTH).await;
        let mended = mended.elapsed();
        let gone = position_of(&heard).expect("the staircase") - before;
        println!(
            "{state:?}: goes on {gone:.3} s after it broke off, {mended:?} after it was mended"
        );
        assert!((gone - 0.1).abs() < NEAR, "{gone} s further on");
        shows(&kim, "a playing track", |state| state.playing).await;
        told(&rig.daemon, OVER, 1).await;
        hears(rig.card(), mark, SECOND).await;
        let (capture, shown) = (rig.dac.capture(), kim.state().position_ms);
        let played = last_position(&capture).expect("the staircase") + 0.05;
        let ahead = shown as f64 / 1000.0 - played;
        println!("{state:?}: the phone is {ahead:.3} s ahead");
        assert!(ahead.abs() < ON_THE_PHONE, "the phone is {ahead} s ahead");
    });
}

#[test]
fn an_unplugged_card_pauses_and_goes_on_when_it_is_back() {
    goes_on_where_it_broke_off(State::Gone, "was unplugged");
}

#[test]
fn a_card_that_stalls_is_noticed_and_opened_anew() {
    goes_on_where_it_broke_off(State::Stall, "has stopped taking sound");
}

#[test]
fn a_card_with_input_output_errors_is_opened_anew() {
    goes_on_where_it_broke_off(State::Eio, "reports an input/output error");
}

/// A driver that does not return from a call holds the output's thread, and nothing else.
#[test]
fn a_card_that_hangs_in_the_middle_is_told_of_and_plays_on_when_it_lets_go() {
    goes_on_where_it_broke_off(State::Hang, "output_lost");
}

#[test]
fn a_card_that_hangs_when_it_is_opened_is_told_of_and_plays_the_order_when_it_lets_go() {
    plays_as_soon_as_it_can(State::Hang, DEVICE, "the sound output does not answer");
}

#[test]
fn who_listens_to_a_card_that_hangs_is_answered_and_obeyed_by_the_same_engine() {
    on_card(State::Ok, DEVICE, async |rig| {
        let kim = rig.orders("kim", "Tones", 0).await;
        hears(rig.card(), 0, SECOND / 2).await;
        let engines = rig.daemon.engines();
        rig.dac.set(State::Hang);
        told(&rig.daemon, "output_lost", 1).await;
        for level in [20_000, 65_535] {
            assert_yes(&kim.volume(level).await.expect("an answer"), "a level");
        }
        let first = kim.state().track_uri;
        assert_in_time(&kim.next().await.expect("an answer"), "the next track");
        shows(&kim, "the next track", |state| state.track_uri != first).await;
        assert_in_time(&kim.resume().await.expect("an answer"), "to go on");
        let mark = rig.card().heard();
        rig.dac.set(State::Ok);
        told(&rig.daemon, OVER, 1).await;
        kim.resume().await.expect("an answer");
        let heard = hears(rig.card(), mark, TENTH).await;
        let track =
            spotify_sim::listen::which_track(&heard[TENTH / 4..], rig.world.sim.catalogue());
        assert_eq!(track.expect("a track").title, "Tone 2");
        assert_eq!(rig.daemon.engines(), engines, "the same engine");
    });
}

#[test]
fn what_was_touched_while_the_card_was_away_stays_as_it_is() {
    on_card(State::Ok, DEVICE, async |rig| {
        let kim = rig.orders("kim", "Tones", 0).await;
        hears(rig.card(), 0, SECOND / 2).await;
        rig.dac.set(State::Gone);
        told(&rig.daemon, "was unplugged", 1).await;
        let first = shows(&kim, "a pause", |state| state.paused).await;
        kim.next().await.expect("an answer");
        shows(&kim, "the next track, paused", |state| {
            state.paused && state.track_uri != first.track_uri
        })
        .await;
        let mark = rig.card().heard();
        rig.dac.set(State::Ok);
        told(&rig.daemon, OVER, 1).await;
        // The card is open and hears silence: what would have begun by itself would be in there.
        until("half a second of silence", || {
            rig.card().heard() >= mark + SECOND as u64 / 2
        })
        .await;
        assert!(spotify_sim::listen::playing(&since(rig.card(), mark)).is_empty());
        assert!(kim.state().paused);
        kim.resume().await.expect("an answer");
        let heard = hears(rig.card(), mark, TENTH).await;
        let track =
            spotify_sim::listen::which_track(&heard[TENTH / 4..], rig.world.sim.catalogue());
        assert_eq!(track.expect("a track").title, "Tone 2");
    });
}

/// Two things break at the same time, and nobody has paused.
fn plays_on_after_its_engine_died_too(state: State) {
    on_card(State::Ok, DEVICE, async move |rig| {
        let kim = rig.orders("kim", "Staircase", 10_000).await;
        hears(rig.card(), 0, SECOND).await;
        rig.dac.set(state);
        told(&rig.daemon, "output_lost", 1).await;
        shows(&kim, "a pause", |state| state.paused).await;
        let before = last_position(&rig.dac.capture()).expect("the staircase");
        let engine = crate::lan::one_engine(&rig.daemon).await;
        let engine = nix::unistd::Pid::from_raw(engine.cast_signed());
        nix::sys::signal::kill(engine, nix::sys::signal::Signal::SIGKILL).expect("an engine");
        rig.daemon.says("taking playback up").await;
        told(&rig.daemon, "output_lost", 2).await;
        let mark = rig.card().heard();
        rig.dac.set(State::Ok);
        let heard = hears(rig.card(), mark, TENTH).await;
        let gone = position_of(&heard).expect("the staircase") - before;
        assert!((gone - 0.1).abs() < 2.0 * NEAR, "{gone} s further on");
        shows(&kim, "a playing track", |state| state.playing).await;
    });
}

#[test]
fn music_goes_on_when_its_engine_dies_while_the_card_is_unplugged() {
    plays_on_after_its_engine_died_too(State::Gone);
}

#[test]
fn music_goes_on_when_its_engine_dies_while_the_card_hangs() {
    plays_on_after_its_engine_died_too(State::Hang);
}

#[test]
fn music_that_is_ordered_while_the_card_is_away_plays_when_it_is_back() {
    on_card(State::Ok, DEVICE, async |rig| {
        let kim = rig.orders("kim", "Tones", 0).await;
        hears(rig.card(), 0, SECOND / 2).await;
        kim.pause().await.expect("an answer");
        shows(&kim, "a pause", |state| state.paused).await;
        rig.dac.set(State::Gone);
        // Nobody misses a card in a pause; the next order does.
        plays(&rig.world, &kim, "Staircase", 10_000).await;
        told(&rig.daemon, "is not there", 1).await;
        shows(&kim, "a pause", |state| state.paused).await;
        // One who presses play again means it.
        plays(&rig.world, &kim, "Staircase", 40_000).await;
        shows(&kim, "the other place, paused", |state| {
            state.paused && state.position_ms >= 40_000
        })
        .await;
        let mark = rig.card().heard();
        rig.dac.set(State::Ok);
        let heard = hears(rig.card(), mark, TENTH).await;
        let position = position_of(&heard).expect("the staircase");
        assert!((position - 40.05).abs() < NEAR, "from {position} s");
    });
}

#[test]
fn a_card_that_is_handed_from_user_to_user_is_missed_for_a_moment_at_most() {
    on_card(State::Ok, DEVICE, async |rig| {
        for (turn, user) in ["kim", "alex", "kim", "sam"].into_iter().enumerate() {
            let seek_to = turn as u32 * 20_000;
            rig.orders(user, "Staircase", seek_to).await;
            let (ordered, from) = (Instant::now(), f64::from(seek_to) / 1000.0);
            let mut missed = Duration::ZERO;
            let mut since = None;
            until("the music of the new user", || {
                let lost = count(&rig.daemon, "the sound card") > count(&rig.daemon, OVER);
                match (lost, since) {
                    (true, None) => since = Some(Instant::now()),
                    (false, Some(begun)) => {
                        missed += begun.elapsed();
                        since = None;
                    }
                    _ => {}
                }
                let position = last_position(&rig.dac.capture());
                !lost && position.is_some_and(|at| (from..from + 10.0).contains(&at))
            })
            .await;
            println!(
                "{user}: heard after {:?}, the card missed for {missed:?}",
                ordered.elapsed()
            );
            assert!(missed < Duration::from_secs(1), "{missed:?}");
            assert!(ordered.elapsed() < Duration::from_secs(4));
            hears(rig.card(), rig.card().heard(), SECOND / 2).await;
        }
    });
}

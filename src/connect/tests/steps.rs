//! Steps from where the listener is: what he sees counts, not where the player is on its way.

use super::rig::{ALBUM, Rig, listing, play};
use crate::connect::{Action, Command, Heard, Input, Order, Settings};

const TEN: i64 = 10_000;

fn loading() -> Rig {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 2))));
    rig.resolve(listing(ALBUM, 0..10));
    rig.out.clear();
    rig
}

fn position(rig: &Rig) -> u32 {
    rig.connect.shown().position_ms
}

fn seek(rig: &mut Rig, position_ms: u32) {
    rig.command(Command::SeekTo { position_ms });
}

/// Where a step by this leads.
fn step(rig: &mut Rig, ms: i64) -> u32 {
    rig.out.clear();
    rig.step(Input::Order(Order::SeekBy { ms }));
    let mut seeks = rig.out.iter().filter_map(|action| match action {
        Action::Seek { position_ms } => Some(*position_ms),
        _ => None,
    });
    seeks.next().expect("a seek")
}

fn says(rig: &mut Rig, heard: impl FnOnce(u64) -> Heard) {
    let (id, _) = rig.loaded.clone().expect("a track");
    rig.step(Input::Player(heard(id)));
}

fn started(rig: &mut Rig, position_ms: u32) {
    says(rig, |id| Heard::Started { id, position_ms });
}

fn sought(rig: &mut Rig, position_ms: u32) {
    says(rig, |id| Heard::Seeked { id, position_ms });
}

#[test]
fn a_step_while_a_track_loads_counts_from_where_it_is_to_begin() {
    let mut rig = loading();
    assert_eq!(step(&mut rig, TEN), 10_000);
    assert_eq!(step(&mut rig, TEN), 20_000);
    assert_eq!(step(&mut rig, -TEN), 10_000);
    // Loading takes time in which no music is heard.
    rig.wait(5_000);
    assert_eq!(step(&mut rig, TEN), 20_000);
}

#[test]
fn a_player_that_begins_before_it_heard_of_the_seek_leads_nobody_astray() {
    let mut rig = loading();
    rig.sound();
    let mut rig = loading();
    seek(&mut rig, 60_000);
    // It began at the beginning, a moment before the seek reached it.
    started(&mut rig, 120);
    assert_eq!(position(&rig), 60_000);
    assert_eq!(step(&mut rig, TEN), 70_000);
    sought(&mut rig, 60_000);
    assert_eq!(step(&mut rig, TEN), 80_000, "the second step is on its way");
    sought(&mut rig, 70_000);
    sought(&mut rig, 80_000);
    assert_eq!(position(&rig), 80_000);
}

#[test]
fn what_the_clock_says_on_the_way_to_another_place_is_of_before() {
    let mut rig = Rig::playing(0..10, 2);
    rig.wait(8_000);
    seek(&mut rig, 100_000);
    let (id, _) = rig.loaded.clone().expect("a track");
    let position_ms = 8_010;
    rig.step(Input::Clock { id, position_ms });
    assert_eq!(step(&mut rig, -TEN), 90_000);
    sought(&mut rig, 90_000);
    rig.wait(1_000);
    let position_ms = 91_200;
    rig.step(Input::Clock { id, position_ms });
    assert_eq!(position(&rig), 91_200, "from then on the clock is right");
}

#[test]
fn a_player_that_never_gets_there_is_believed_in_the_end() {
    let mut rig = Rig::playing(0..10, 2);
    seek(&mut rig, 100_000);
    let (id, _) = rig.loaded.clone().expect("a track");
    rig.wait(1_900);
    let position_ms = 1_900;
    rig.step(Input::Clock { id, position_ms });
    assert_eq!(position(&rig), 101_900);
    rig.wait(200);
    let position_ms = 2_100;
    rig.step(Input::Clock { id, position_ms });
    assert_eq!(position(&rig), 2_100);
}

#[test]
fn the_next_track_knows_nothing_of_it() {
    let mut rig = Rig::playing(0..10, 2);
    seek(&mut rig, 100_000);
    rig.command(Command::SkipNext { track: None });
    assert_eq!(position(&rig), 0);
    rig.sound();
    started(&mut rig, 3_000);
    assert_eq!(position(&rig), 3_000);
}

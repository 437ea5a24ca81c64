//! Tracks that do not play.

use super::rig::{ALBUM, Rig, listing, play, track, uri};
use crate::{
    connect::{Action, Command, Heard, Input, Settings, Uri, Why},
    model::{ConditionCode, PlayState},
};

#[test]
fn a_missing_track_is_passed_over_and_told() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 1))));
    rig.resolve(listing(ALBUM, 0..4));
    rig.fail(Why::Unavailable);
    assert!(rig.did(|a| matches!(a, Action::Note(line) if line.contains(&uri(1)))));
    assert_eq!(rig.reply(ticket), None, "the next one may play");
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.current(), Some(2));
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(0), "it is not tried again");
}

#[test]
fn the_only_track_that_is_missing_is_a_refusal() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 1))));
    rig.resolve(listing(ALBUM, 1..2));
    rig.fail(Why::Unavailable);
    assert!(rig.reply(ticket).expect("an answer").is_err());
    assert_eq!(rig.loaded, None);
}

#[test]
fn three_tracks_that_fail_for_one_cause_pause_where_that_began() {
    let mut rig = Rig::playing(0..9, 2);
    rig.end();
    rig.command(Command::SkipNext { track: None });
    rig.fail(Why::Keys);
    rig.fail(Why::Keys);
    assert_eq!(rig.current(), Some(6));
    rig.out.clear();
    rig.fail(Why::Network);
    let raised = rig.out.iter().find_map(|action| match action {
        Action::Raise(condition) => Some(condition.code),
        _ => None,
    });
    assert_eq!(raised, Some(ConditionCode::KeysRefused));
    assert_eq!(rig.current(), Some(4), "nothing of the list is lost");
    assert!(rig.did(|a| *a == Action::Stop) && rig.loaded.is_none());
    assert_eq!(
        rig.published.as_ref().map(|p| p.state),
        Some(PlayState::Paused)
    );
    rig.command(Command::Resume);
    rig.sound();
    assert!(rig.did(|a| *a == Action::Clear(ConditionCode::KeysRefused)));
    assert_eq!(rig.current(), Some(4));
}

#[test]
fn a_long_row_of_missing_tracks_pauses_and_play_goes_on_behind_it() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(listing(ALBUM, 0..60));
    let fail_until_it_stops = |rig: &mut Rig| {
        let mut count = 0;
        while rig.loaded.is_some() && rig.current() < Some(40) {
            rig.fail(Why::Unavailable);
            count += 1;
        }
        count
    };
    assert_eq!(fail_until_it_stops(&mut rig), 25);
    assert!(rig.reply(ticket).expect("an answer").is_err());
    let raised = rig.out.iter().find_map(|action| match action {
        Action::Raise(condition) => Some(condition.clone()),
        _ => None,
    });
    let condition = raised.expect("a condition");
    assert_eq!(condition.code, ConditionCode::TracksFail);
    assert!(condition.why.contains("25 tracks"), "{condition:?}");
    rig.command(Command::Resume);
    fail_until_it_stops(&mut rig);
    rig.sound();
    assert_eq!((rig.current(), rig.sounding), (Some(40), true));
    assert!(rig.did(|a| *a == Action::Clear(ConditionCode::TracksFail)));
}

#[test]
fn a_single_track_that_the_network_does_not_bring_waits_for_another_try() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 1))));
    rig.resolve(listing(ALBUM, 1..2));
    rig.fail(Why::Network);
    assert!(rig.reply(ticket).expect("an answer").is_err());
    assert_eq!(rig.current(), Some(1));
    let ticket = rig.command(Command::Resume);
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
}

#[test]
fn a_prepared_track_that_is_missing_is_exchanged_while_music_plays() {
    let mut rig = Rig::playing(0..5, 0);
    let (id, _) = rig.next.clone().expect("a next one");
    rig.step(Input::Player(Heard::Failed {
        id,
        why: Why::NotPlayable,
    }));
    let (_, next) = rig.next.clone().expect("another one");
    assert_eq!(next, Uri::new(&uri(2)));
    rig.end();
    assert_eq!(rig.current(), Some(2));
}

#[test]
fn explicit_music_is_passed_over_when_the_account_says_so() {
    let mut rig = Rig::new(Settings {
        filter_explicit: true,
        ..Settings::default()
    });
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(listing(ALBUM, 0..5));
    let (id, name) = rig.loaded.clone().expect("a track");
    let explicit = track(&name, true);
    rig.step(Input::Player(Heard::Described {
        id,
        track: explicit,
    }));
    assert_eq!(rig.current(), Some(1));
    rig.sound();
    let (id, name) = rig.next.clone().expect("a next one");
    let explicit = track(&name, true);
    rig.step(Input::Player(Heard::Described {
        id,
        track: explicit,
    }));
    assert_eq!(rig.upcoming()[0], 3);
}

//! Tracks that do not play.

use super::rig::{ALBUM, Rig, listing, play, track, uri};
use crate::{
    connect::{Action, Command, Entry, Heard, Input, Provided, Settings, ShownTrack, Uri, Why},
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
fn tracks_that_no_server_has_stop_the_list_after_three_and_alone_are_skipped() {
    let mut rig = Rig::playing(0..20, 2);
    rig.end();
    rig.fail(Why::Absent);
    assert!(rig.loaded.is_some(), "one is skipped");
    rig.fail(Why::Absent);
    rig.out.clear();
    rig.fail(Why::Absent);
    let raised = rig.out.iter().find_map(|action| match action {
        Action::Raise(condition) => Some(condition.what.clone()),
        _ => None,
    });
    assert!(raised.is_some_and(|what| what.contains("Spotify's servers")));
    assert_eq!(rig.current(), Some(3), "back where it began");
    assert!(rig.loaded.is_none());
    // The last of a list is no reason to wait.
    let mut rig = Rig::playing(0..3, 1);
    rig.end();
    rig.fail(Why::Absent);
    assert!(!rig.did(|a| matches!(a, Action::Raise(_))));
}

#[test]
fn a_next_that_no_server_has_is_not_hunted_through_the_list() {
    let mut rig = Rig::playing(0..20, 2);
    let (id, _) = rig.next.clone().expect("a next one");
    let why = Why::Absent;
    rig.step(Input::Player(Heard::Failed { id, why }));
    assert!(
        rig.next.is_none(),
        "it is tried again when its time has come"
    );
    assert_eq!(rig.upcoming()[0], 3, "and is not marked");
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

#[test]
fn what_is_passed_over_stays_where_it_stands_and_is_marked() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 2))));
    let mut album = listing(ALBUM, 0..6);
    let file = Entry::new("spotify:local:Somebody:Something:Song:210", "f11e");
    album.pages[0].tracks.insert(4, file.clone());
    rig.resolve(album);
    rig.sound();
    let (id, _) = rig.next.clone().expect("the fourth");
    rig.step(Input::Player(Heard::Failed {
        id,
        why: Why::Unavailable,
    }));
    let seen = |tracks: &[ShownTrack]| -> Vec<(String, Option<Why>)> {
        let seen = tracks.iter().map(|it| (it.uri.clone(), it.barred));
        seen.collect()
    };
    let grey = [
        (uri(3), Some(Why::Unavailable)),
        (file.uri.to_string(), Some(Why::Local)),
    ];
    let white = [4, 5].map(|number| (uri(number), None));
    assert_eq!(
        seen(&rig.connect.shown().next),
        [grey.clone(), white].concat()
    );
    assert_eq!(rig.upcoming(), [4, 5]);
    let told = rig.connect.playback().next;
    assert_eq!(told.len(), 2, "the house is told what plays: {told:?}");
    let wish = |number| Command::SkipNext {
        track: Some(Entry::new(&uri(number), "")),
    };
    let ticket = rig.command(wish(3));
    let why = rig
        .reply(ticket)
        .expect("an answer")
        .expect_err("it does not play");
    assert!(why.ends_with("Spotify does not offer it here"), "{why}");
    rig.end();
    assert_eq!(rig.current(), Some(4));
    assert_eq!(seen(&rig.connect.shown().previous)[3..], grey);
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(2), "back over it as well");
}

#[test]
fn an_order_of_what_comes_may_name_what_is_passed_over() {
    let mut rig = Rig::playing(0..6, 1);
    let (id, _) = rig.next.clone().expect("the third");
    rig.step(Input::Player(Heard::Failed {
        id,
        why: Why::Unavailable,
    }));
    let shown = rig.connect.shown().next;
    let order = [3, 0, 1, 2].map(|at: usize| Provided {
        entry: Entry::new(&shown[at].uri, &shown[at].uid),
        queued: false,
    });
    rig.command(Command::SetQueue { next: order.into() });
    assert_eq!(rig.upcoming(), [5, 3, 4]);
    let shown = rig.connect.shown();
    let uris: Vec<_> = shown.next.iter().map(|track| track.uri.clone()).collect();
    assert_eq!(uris, [5, 2, 3, 4].map(uri), "nothing of it is queued");
}

#[test]
fn a_track_that_waits_after_the_end_is_asked_about_and_shown() {
    let mut rig = Rig::playing(0..3, 2);
    rig.end();
    assert_eq!((rig.current(), rig.loaded.clone()), (Some(0), None));
    let asked = Action::Describe {
        uri: Uri::new(&uri(0)),
    };
    let asked = |rig: &Rig| rig.out.iter().filter(|action| **action == asked).count();
    assert_eq!(asked(&rig), 1);
    let told = |number| Input::Track(track(&Uri::new(&uri(number)), false));
    rig.step(told(1));
    assert_eq!(rig.connect.shown().duration_ms, 0, "that is another one");
    rig.step(told(0));
    assert_eq!(rig.connect.shown().duration_ms, 200_000);
    let published = rig.published.clone().and_then(|playback| playback.track);
    assert_eq!(published.map(|track| track.title), Some("T".into()));
    rig.wait(10_000);
    assert_eq!(asked(&rig), 1, "once");
    rig.command(Command::Resume);
    rig.sound();
    assert_eq!((rig.current(), rig.sounding), (Some(0), true));
}

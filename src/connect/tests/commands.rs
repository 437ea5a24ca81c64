//! Every command in every state.

use super::rig::{ALBUM, Rig, entry, listing, missing, play, uri};
use crate::{
    connect::{
        Action, Command, Entry, Heard, Input, Options, Order, Provided, PutReason, Settings, Shown,
        SkipTo, Transfer, Uri,
    },
    model::{PlayState, SleepTimer, Volume},
};

/// The five states a command can meet.
fn states() -> Vec<(&'static str, Rig)> {
    let idle = Rig::new(Settings::default());
    let mut loading = Rig::new(Settings::default());
    loading.command(Command::Play(Box::new(play(ALBUM, 2))));
    loading.resolve(listing(ALBUM, 0..10));
    loading.out.clear();
    let playing = Rig::playing(0..10, 2);
    let mut paused = Rig::playing(0..10, 2);
    paused.command(Command::Pause);
    paused.obey();
    paused.out.clear();
    let mut away = Rig::playing(0..10, 2);
    away.confirmed();
    away.tick += 10;
    away.pushed("phone");
    away.out.clear();
    vec![
        ("idle", idle),
        ("loading", loading),
        ("playing", playing),
        ("paused", paused),
        ("away", away),
    ]
}

fn all_commands() -> Vec<Command> {
    vec![
        Command::Play(Box::new(play(ALBUM, 4))),
        Command::Transfer(Some(Box::new(transfer(4)))),
        Command::Transfer(None),
        Command::Pause,
        Command::Resume,
        Command::SeekTo { position_ms: 9_000 },
        Command::SeekBy { ms: 9_000 },
        Command::SkipNext { track: None },
        Command::SkipNext {
            track: Some(entry(7)),
        },
        Command::SkipPrev,
        Command::Shuffle(true),
        Command::RepeatContext(true),
        Command::RepeatTrack(true),
        Command::Options(Options {
            repeat_context: Some(true),
            ..Options::default()
        }),
        Command::AddToQueue(entry(50)),
        Command::SetQueue { next: Vec::new() },
        Command::UpdateContext(listing(ALBUM, 0..9)),
        Command::Sleep(SleepTimer::EndOfTrack),
        Command::Unknown("dance".into()),
        Command::Malformed("no".into()),
    ]
}

fn transfer(from: usize) -> Transfer {
    Transfer {
        context: listing(ALBUM, 0..0),
        track: Some(entry(from)),
        position_ms: 30_000,
        at_ms: 999_000,
        ..Transfer::default()
    }
}

/// Whether the state shows what the answer says.
fn is_so(command: &Command, before: &Shown, after: &Shown) -> bool {
    let is_on = |number: usize| {
        let track = after.track.as_ref();
        track.is_some_and(|track| track.uri == uri(number))
    };
    match command {
        Command::Play(_) => is_on(4) && after.active && !after.paused,
        Command::Transfer(Some(_)) => is_on(4) && after.active && after.position_ms >= 30_000,
        Command::Transfer(None) => after.active && after.track == before.track,
        Command::Pause => after.paused && after.track == before.track,
        Command::Resume => !after.paused && after.track == before.track,
        Command::SeekTo { position_ms } => after.position_ms == *position_ms,
        Command::SeekBy { ms } => {
            i64::from(after.position_ms) == i64::from(before.position_ms) + ms
        }
        Command::SkipNext { track: None } => after.track.as_ref() == before.next.first(),
        Command::SkipNext { .. } => is_on(7),
        Command::SkipPrev => after.track.as_ref() == before.previous.last(),
        Command::Shuffle(on) => after.modes.shuffle == *on && after.track == before.track,
        Command::RepeatContext(on) => after.modes.repeat_context == *on,
        Command::RepeatTrack(on) => after.modes.repeat_track == *on,
        Command::Options(_) => after.modes.repeat_context,
        Command::AddToQueue(_) => after.next.first().is_some_and(|it| it.uri == uri(50)),
        Command::SetQueue { .. } => after.next.is_empty() && after.track == before.track,
        Command::UpdateContext(_) => after.next.len() == 6,
        Command::Sleep(timer) => after.sleep == *timer,
        Command::Unknown(_) | Command::Malformed(_) => false,
    }
}

#[test]
fn every_command_in_every_state_is_answered_once_and_in_time() {
    for command in all_commands() {
        for (state, mut rig) in states() {
            let before = rig.connect.shown();
            let ticket = rig.command(command.clone());
            rig.sound();
            let after = rig.connect.shown();
            rig.wait(1_800);
            let reply = rig.reply(ticket);
            let reply = reply.unwrap_or_else(|| panic!("{command:?} while {state}: no answer"));
            let starts = matches!(command, Command::Play(_) | Command::Transfer(_));
            let nonsense = matches!(command, Command::Unknown(_) | Command::Malformed(_));
            let expected = !nonsense && (starts || !matches!(state, "idle" | "away"));
            assert_eq!(
                reply.is_ok(),
                expected,
                "{command:?} while {state}: {reply:?}"
            );
            if expected {
                assert!(
                    is_so(&command, &before, &after),
                    "{command:?} while {state}: {after:?}"
                );
                continue;
            }
            if state == "loading" {
                // It has loaded meanwhile.
                continue;
            }
            let same = Shown {
                at_ms: after.at_ms,
                last_command: after.last_command.clone(),
                ..before.clone()
            };
            let (after, same) = (format!("{after:#?}"), format!("{same:#?}"));
            let changed: Vec<_> = after
                .lines()
                .zip(same.lines())
                .filter(|(a, b)| a != b)
                .collect();
            assert!(changed.is_empty(), "{command:?} while {state}: {changed:?}");
        }
    }
}

#[test]
fn a_named_track_starts_at_once_and_its_context_is_asked_for_beside_it() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 3))));
    let load = rig
        .out
        .iter()
        .position(|a| matches!(a, Action::Load { play: true, .. }));
    assert!(load.is_some());
    assert!(rig.did(|a| matches!(a, Action::ResolveContext { uri, .. } if uri == ALBUM)));
    assert_eq!(rig.reply(ticket), None, "nothing is certain yet");
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.upcoming(), [0usize; 0]);
    rig.resolve(listing(ALBUM, 0..6));
    assert_eq!(rig.upcoming(), [4, 5]);
    let shown = rig.connect.shown();
    assert_eq!(shown.index, Some(3));
    assert_eq!(shown.previous.len(), 3);
    let (_, next) = rig.next.clone().expect("the following one is made ready");
    assert_eq!(next.to_string(), uri(4));
}

#[test]
fn a_context_without_a_named_track_begins_when_it_is_known() {
    let mut rig = Rig::new(Settings::default());
    let mut command = play(ALBUM, 0);
    command.skip_to = SkipTo {
        index: Some(2),
        ..SkipTo::default()
    };
    command.seek_to = Some(5_000);
    let ticket = rig.command(Command::Play(Box::new(command)));
    assert_eq!(rig.loaded, None);
    rig.resolve(listing(ALBUM, 0..6));
    assert_eq!(rig.current(), Some(2));
    assert!(rig.did(|a| matches!(
        a,
        Action::Load {
            position_ms: 5_000,
            ..
        }
    )));
    assert_eq!(rig.reply(ticket), None);
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
}

#[test]
fn a_context_that_cannot_be_had_is_refused_and_nothing_stays_active() {
    let mut rig = Rig::new(Settings::default());
    let mut command = play(ALBUM, 0);
    command.skip_to = SkipTo::default();
    let ticket = rig.command(Command::Play(Box::new(command)));
    rig.step(Input::Resolved {
        ticket: 1,
        listing: Err(missing("gone")),
    });
    assert_eq!(rig.reply(ticket), Some(Err("gone".into())));
    assert!(!rig.connect.is_active());
    assert!(rig.did(|a| *a == Action::PutInactive));
}

#[test]
fn a_context_that_is_slow_is_promised_after_two_seconds_and_begins_when_it_comes() {
    let mut rig = Rig::new(Settings::default());
    let mut command = play(ALBUM, 0);
    command.skip_to = SkipTo::default();
    let ticket = rig.command(Command::Play(Box::new(command)));
    rig.wait(1_799);
    assert_eq!(rig.reply(ticket), None);
    rig.wait(1);
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert!(rig.connect.shown().buffering);
    rig.resolve(listing(ALBUM, 0..6));
    assert_eq!(rig.current(), Some(0));
}

#[test]
fn start_paused_is_silent_until_somebody_resumes() {
    let mut rig = Rig::new(Settings::default());
    let mut command = play(ALBUM, 3);
    command.paused = true;
    let ticket = rig.command(Command::Play(Box::new(command)));
    assert!(rig.did(|a| matches!(a, Action::Load { play: false, .. })));
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    let shown = rig.connect.shown();
    assert!(shown.paused && shown.playing && shown.active);
    let ticket = rig.command(Command::Resume);
    assert_eq!(rig.reply(ticket), None);
    rig.obey();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert!(!rig.connect.shown().paused);
}

#[test]
fn a_pause_is_answered_when_it_is_silent_and_denied_when_it_is_not() {
    let mut rig = Rig::playing(0..4, 0);
    let ticket = rig.command(Command::Pause);
    assert_eq!(rig.reply(ticket), None);
    rig.tick += 40;
    rig.obey();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    rig.command(Command::Resume);
    rig.obey();
    rig.out.clear();
    let ticket = rig.command(Command::Pause);
    rig.wait(1_700);
    assert_eq!(rig.reply(ticket), None);
    rig.wait(100);
    assert!(rig.reply(ticket).expect("an answer").is_err());
}

#[test]
fn previous_begins_anew_after_three_seconds_and_goes_back_before() {
    let mut rig = Rig::playing(0..4, 2);
    rig.tick += 3_000;
    rig.command(Command::SkipPrev);
    assert!(rig.did(|a| *a == Action::Seek { position_ms: 0 }));
    assert_eq!(rig.current(), Some(2));
    rig.obey();
    rig.tick += 2_900;
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(1));
    rig.sound();
    rig.command(Command::SkipPrev);
    rig.sound();
    rig.out.clear();
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(0), "before the first there is nothing");
    assert!(rig.did(|a| *a == Action::Seek { position_ms: 0 }));
}

#[test]
fn a_skip_takes_what_was_prepared_and_one_past_the_end_rewinds() {
    let mut rig = Rig::playing(0..3, 1);
    let (prepared, _) = rig.next.clone().expect("a next one");
    rig.command(Command::SkipNext { track: None });
    assert!(rig.did(|a| matches!(a, Action::Load { id, .. } if *id == prepared)));
    rig.sound();
    rig.out.clear();
    let ticket = rig.command(Command::SkipNext { track: None });
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert!(rig.did(|a| *a == Action::Stop));
    let shown = rig.connect.shown();
    assert_eq!((rig.current(), shown.paused), (Some(0), true));
    assert_eq!(
        rig.published.as_ref().map(|p| p.state),
        Some(PlayState::Stopped)
    );
    rig.command(Command::Resume);
    assert!(rig.did(|a| matches!(a, Action::Load { play: true, .. })));
}

#[test]
fn a_skip_to_a_named_track_keeps_the_queue_and_an_unknown_one_is_refused() {
    let mut rig = Rig::playing(0..10, 1);
    rig.command(Command::AddToQueue(entry(90)));
    let ticket = rig.command(Command::SkipNext {
        track: Some(Entry::new(&uri(5), "")),
    });
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!((rig.current(), rig.upcoming()[0]), (Some(5), 90));
    let ticket = rig.command(Command::SkipNext {
        track: Some(Entry::new(&uri(77), "")),
    });
    assert!(rig.reply(ticket).expect("an answer").is_err());
    assert_eq!(rig.current(), Some(5));
}

#[test]
fn the_queue_plays_first_and_has_names_of_its_own() {
    let mut rig = Rig::playing(0..4, 0);
    rig.command(Command::AddToQueue(entry(50)));
    rig.command(Command::AddToQueue(entry(50)));
    assert_eq!(rig.upcoming(), [50, 50, 1, 2, 3]);
    let next = rig.connect.shown().next;
    assert_eq!((next[0].uid.as_str(), next[1].uid.as_str()), ("q0", "q1"));
    rig.end();
    rig.end();
    assert_eq!((rig.current(), rig.upcoming()), (Some(50), vec![1, 2, 3]));
    assert_eq!(rig.connect.shown().index, Some(0));
    rig.end();
    assert_eq!(
        (rig.current(), rig.connect.shown().index),
        (Some(1), Some(1))
    );
    let local = Entry::new("spotify:local:a:b:c:1", "");
    let ticket = rig.command(Command::AddToQueue(local));
    assert!(rig.reply(ticket).expect("an answer").is_err());
}

#[test]
fn a_listener_puts_what_comes_in_order() {
    let mut rig = Rig::playing(0..6, 0);
    rig.command(Command::AddToQueue(entry(50)));
    let shown = rig.connect.shown().next;
    let provided = |at: usize| Provided {
        entry: Entry::new(&shown[at].uri, &shown[at].uid),
        queued: shown[at].uid.starts_with('q'),
    };
    // 50 1 2 3 4 5 becomes 50 3 1 4 5, and 77 is queued besides.
    let mut next: Vec<_> = [0, 3, 1, 4, 5].map(provided).into();
    next.insert(
        1,
        Provided {
            entry: Entry::new(&uri(77), ""),
            queued: true,
        },
    );
    let ticket = rig.command(Command::SetQueue { next });
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.upcoming(), [50, 77, 3, 1, 4, 5]);
    for expected in [50, 77, 3, 1, 4, 5] {
        rig.end();
        assert_eq!(rig.current(), Some(expected));
    }
}

#[test]
fn a_repeated_track_begins_again_until_it_is_skipped() {
    let mut rig = Rig::playing(0..3, 1);
    rig.command(Command::RepeatTrack(true));
    let (_, next) = rig.next.clone().expect("itself");
    assert_eq!(next.to_string(), uri(1));
    rig.end();
    assert_eq!(rig.current(), Some(1));
    rig.command(Command::SkipNext { track: None });
    assert_eq!(rig.current(), Some(2));
    assert!(!rig.connect.modes().repeat_track);
}

#[test]
fn a_command_of_no_known_kind_is_logged_once() {
    let mut rig = Rig::new(Settings::default());
    for _ in 0..3 {
        rig.command(Command::Unknown("dance".into()));
    }
    let notes = rig.out.iter().filter(|a| matches!(a, Action::Note(_)));
    assert_eq!(notes.count(), 1);
}

#[test]
fn a_seek_past_the_end_is_the_end_and_one_while_loading_is_where_it_begins() {
    let mut rig = Rig::playing(0..3, 0);
    rig.command(Command::SeekTo {
        position_ms: 500_000,
    });
    assert_eq!(rig.current(), Some(1));
    rig.command(Command::SeekTo { position_ms: 7_000 });
    assert!(rig.did(|a| *a == Action::Seek { position_ms: 7_000 }));
    assert_eq!(rig.connect.shown().position_ms, 7_000);
}

#[test]
fn volume_is_taken_at_any_time_and_told_with_its_own_reason() {
    for (_, mut rig) in states() {
        rig.step(Input::SetVolume(Volume(1_000)));
        assert!(rig.did(|a| *a == Action::SetVolume(Volume(1_000))));
        let told = |a: &Action| {
            matches!(
                a,
                Action::Put {
                    reason: PutReason::VolumeChanged,
                    ..
                }
            )
        };
        assert!(rig.did(told));
        rig.out.clear();
        rig.step(Input::Level(Volume(1_000)));
        assert!(!rig.did(told), "the same level is no news");
    }
}

#[test]
fn a_transfer_goes_on_where_the_other_device_is_now() {
    let mut rig = Rig::new(Settings::default());
    rig.tick = 4_000;
    let mut from = transfer(2);
    from.at_ms = 1_000_000;
    from.queue = vec![entry(60)];
    from.options.repeat_context = Some(true);
    rig.command(Command::Transfer(Some(Box::new(from.clone()))));
    assert!(rig.did(|a| matches!(
        a,
        Action::Load {
            position_ms: 34_000,
            play: true,
            ..
        }
    )));
    rig.resolve(listing(ALBUM, 0..4));
    rig.sound();
    assert_eq!(rig.upcoming()[..2], [60, 3]);
    assert!(rig.connect.modes().repeat_context);

    from.paused = true;
    rig.out.clear();
    rig.command(Command::Transfer(Some(Box::new(from))));
    assert!(rig.did(|a| matches!(
        a,
        Action::Load {
            position_ms: 30_000,
            play: false,
            ..
        }
    )));
    assert_eq!(rig.upcoming(), [60], "the queue comes with it, once");
}

#[test]
fn a_transfer_of_a_bare_list_or_of_a_queued_track_finds_its_place() {
    let mut rig = Rig::new(Settings::default());
    let mut bare = transfer(2);
    bare.context = listing("-", 0..4);
    rig.command(Command::Transfer(Some(Box::new(bare))));
    rig.sound();
    assert_eq!((rig.current(), rig.upcoming()), (Some(2), vec![3]));
    assert_eq!(rig.connect.shown().context_uri, "spotify:web-api");

    let mut queued = transfer(60);
    queued.playing_queue = true;
    queued.current_uid = Some(entry(1).uid);
    rig.command(Command::Transfer(Some(Box::new(queued))));
    rig.resolve(listing(ALBUM, 0..4));
    rig.sound();
    assert_eq!((rig.current(), rig.upcoming()), (Some(60), vec![2, 3]));
}

#[test]
fn music_moves_away_and_back() {
    let mut rig = Rig::playing(0..6, 2);
    rig.confirmed();
    rig.tick += 10;
    rig.pushed("phone");
    assert!(rig.did(|a| *a == Action::Stop));
    assert!(rig.did(|a| *a == Action::PutInactive));
    assert_eq!(rig.published.as_ref().map(|p| p.active), Some(false));
    rig.tick += 10;
    rig.command(Command::Transfer(Some(Box::new(transfer(3)))));
    rig.resolve(listing(ALBUM, 0..6));
    rig.sound();
    assert_eq!((rig.current(), rig.upcoming()), (Some(3), vec![4, 5]));
    assert!(rig.connect.is_active());
}

#[test]
fn orders_of_the_house_do_as_an_app_would() {
    let mut rig = Rig::playing(0..6, 2);
    rig.step(Input::Order(Order::Next));
    assert_eq!(rig.current(), Some(3));
    rig.sound();
    rig.step(Input::Order(Order::Pause));
    rig.obey();
    assert!(rig.connect.shown().paused);
    rig.step(Input::Order(Order::Leave));
    assert!(rig.did(|a| *a == Action::Delete));
    rig.step(Input::Order(Order::Play));
    assert!(rig.did(|a| *a == Action::FetchPlayback));
}

#[test]
fn late_words_about_an_earlier_track_change_nothing() {
    let mut rig = Rig::playing(0..6, 2);
    let (old, _) = rig.loaded.clone().expect("a track");
    rig.command(Command::SkipNext { track: None });
    rig.step(Input::Player(Heard::Ended { id: old }));
    rig.step(Input::Player(Heard::Paused {
        id: old,
        position_ms: 99,
    }));
    assert_eq!(rig.current(), Some(3));
    assert_eq!(rig.connect.shown().position_ms, 0);
    assert_eq!(Uri::new(&uri(3)), rig.loaded.clone().expect("a track").1);
}

#[test]
fn what_the_next_order_made_pointless_was_obeyed() {
    let mut rig = Rig::playing(0..6, 2);
    // The player hears both before it has done either, and tells of neither.
    let pause = rig.command(Command::Pause);
    let resume = rig.command(Command::Resume);
    assert_eq!(rig.reply(pause), Some(Ok(())));
    let again = rig.command(Command::Pause);
    assert_eq!(rig.reply(resume), Some(Ok(())));
    rig.obey();
    assert_eq!(rig.reply(again), Some(Ok(())));
    assert!(rig.connect.shown().paused);
}

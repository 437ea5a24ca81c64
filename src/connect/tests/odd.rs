//! Commands in the forms that are seldom sent, at moments that seldom come.

use super::rig::{ALBUM, Rig, entry, listing, missing, play, uri};
use crate::{
    connect::{
        Action, Command, Entry, Heard, Input, Listing, Options, Play, Provided, Sender, Settings,
        SkipTo, Transfer, Why,
    },
    model::{PlayState, SleepTimer},
};

fn twice(rig: &mut Rig, message: u32, command: &Command) -> [Option<Result<(), String>>; 2] {
    [900, 901].map(|ticket| {
        let from = Sender {
            device: "phone".into(),
            message,
        };
        let command = command.clone();
        rig.step(Input::Command {
            ticket,
            from,
            command,
        });
        rig.reply(ticket)
    })
}

#[test]
fn a_message_that_comes_twice_is_obeyed_once_and_answered_twice() {
    let skip = Command::SkipNext { track: None };
    let mut rig = Rig::playing(0..9, 2);
    assert_eq!(twice(&mut rig, 7, &skip), [None, None], "both wait");
    rig.sound();
    assert_eq!(rig.current(), Some(3));
    for ticket in [900, 901] {
        assert_eq!(rig.reply(ticket), Some(Ok(())));
    }
    rig.out.clear();
    assert_eq!(twice(&mut rig, 7, &skip), [Some(Ok(())), Some(Ok(()))]);
    assert_eq!(rig.current(), Some(3), "late, and still the same");
    rig.out.clear();
    // Another message; and who does not count means what he says.
    for (message, leads_to) in [(8, 4), (0, 6)] {
        twice(&mut rig, message, &skip);
        rig.sound();
        assert_eq!(rig.current(), Some(leads_to));
        rig.out.clear();
    }
    // A refusal is one the second time, too.
    let queue = Command::AddToQueue(Entry::new("spotify:local:a:b:c:1", ""));
    let [one, two] = twice(&mut rig, 9, &queue);
    assert!(one.expect("an answer").is_err() && two.expect("an answer").is_err());
    rig.out.clear();
    // The same number much later is another message.
    let before = rig.current();
    twice(&mut rig, 10, &skip);
    rig.sound();
    rig.tick += 60_000;
    rig.out.clear();
    twice(&mut rig, 10, &skip);
    rig.sound();
    assert_eq!(rig.current(), before.map(|n| n + 2));
}

#[test]
fn pages_alone_are_enough_to_begin_anywhere_in_them() {
    let names = [
        SkipTo::default(),
        SkipTo {
            uri: Some(entry(3).uri),
            ..SkipTo::default()
        },
        SkipTo {
            uid: Some(entry(3).uid),
            ..SkipTo::default()
        },
        SkipTo {
            index: Some(3),
            ..SkipTo::default()
        },
        // The most exact word counts.
        SkipTo {
            uid: Some(entry(3).uid),
            uri: Some(entry(1).uri),
            index: Some(5),
        },
    ];
    for (context, (row, skip_to)) in ["", "-", "spotify:web-api", "spotify:search:x"]
        .into_iter()
        .flat_map(|uri| names.iter().cloned().enumerate().map(move |it| (uri, it)))
    {
        let mut rig = Rig::new(Settings::default());
        let command = Play {
            context: listing(context, 0..6),
            skip_to,
            ..Play::default()
        };
        let ticket = rig.command(Command::Play(Box::new(command)));
        rig.sound();
        assert_eq!(rig.reply(ticket), Some(Ok(())), "{context}, {row}");
        let begun = if row == 0 { 0 } else { 3 };
        assert_eq!(rig.current(), Some(begun), "{context}, {row}");
        assert_eq!(rig.upcoming(), (begun + 1..6).collect::<Vec<_>>());
        assert!(!rig.did(|a| matches!(a, Action::ResolveContext { .. })));
    }
}

#[test]
fn a_command_that_names_nothing_is_refused_and_what_plays_plays_on() {
    let nothing = [
        Play::default(),
        Play {
            context: listing("-", 0..0),
            ..Play::default()
        },
        Play {
            context: listing("spotify:local-files", 0..0),
            ..Play::default()
        },
    ];
    for play in nothing {
        let mut rig = Rig::playing(0..6, 2);
        let ticket = rig.command(Command::Play(Box::new(play)));
        assert!(rig.reply(ticket).expect("an answer").is_err());
        assert_eq!(rig.current(), Some(2));
        assert!(rig.sounding && rig.connect.is_active());
    }
}

fn transfer(from: usize) -> Transfer {
    Transfer {
        context: listing(ALBUM, 0..0),
        track: Some(entry(from)),
        position_ms: 30_000,
        at_ms: 1_000_000,
        ..Transfer::default()
    }
}

#[test]
fn a_transfer_finds_its_way_whatever_is_on_and_whatever_comes_with_it() {
    // (what, transfer, paused, upcoming)
    let with = |change: fn(&mut Transfer)| {
        let mut it = transfer(2);
        change(&mut it);
        it
    };
    let rows: [(&str, Transfer, bool, Vec<usize>); 5] = [
        ("plain", transfer(2), false, vec![3, 4, 5]),
        ("paused", with(|it| it.paused = true), true, vec![3, 4, 5]),
        (
            "with a queue",
            with(|it| it.queue = vec![entry(60), entry(60), entry(61)]),
            false,
            vec![60, 60, 61, 3, 4, 5],
        ),
        (
            "from the queue",
            with(|it| {
                it.track = Some(entry(70));
                it.playing_queue = true;
                it.current_uid = Some(entry(3).uid);
            }),
            false,
            vec![4, 5],
        ),
        (
            "by the name of its place",
            with(|it| {
                it.track = Some(Entry::new(&uri(2), ""));
                it.current_uid = Some(entry(2).uid);
            }),
            false,
            vec![3, 4, 5],
        ),
    ];
    for (what, transfer, paused, upcoming) in rows {
        let loading = || {
            let mut rig = Rig::new(Settings::default());
            rig.command(Command::Play(Box::new(play("spotify:album:9", 4))));
            rig
        };
        let mut was_paused = Rig::playing(0..9, 1);
        was_paused.command(Command::Pause);
        was_paused.obey();
        let moods = [
            Rig::new(Settings::default()),
            loading(),
            Rig::playing(0..9, 1),
            was_paused,
        ];
        for (mood, mut rig) in moods.into_iter().enumerate() {
            rig.out.clear();
            let ticket = rig.command(Command::Transfer(Some(Box::new(transfer.clone()))));
            rig.resolve(listing(ALBUM, 0..6));
            rig.sound();
            assert_eq!(rig.reply(ticket), Some(Ok(())), "{what}, {mood}");
            assert_eq!(rig.upcoming(), upcoming, "{what}, {mood}");
            let shown = rig.connect.shown();
            assert_eq!((shown.paused, rig.sounding), (paused, !paused), "{what}");
            assert!(shown.position_ms >= 30_000, "{what}: {}", shown.position_ms);
        }
    }
}

#[test]
fn a_transfer_of_a_context_that_nobody_knows_plays_its_track_and_ends() {
    let mut rig = Rig::new(Settings::default());
    let ticket = rig.command(Command::Transfer(Some(Box::new(transfer(2)))));
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    let asked = rig.out.iter().find_map(|action| match action {
        Action::ResolveContext { ticket, .. } => Some(*ticket),
        _ => None,
    });
    rig.step(Input::Resolved {
        ticket: asked.expect("a question"),
        listing: Err(missing("unknown")),
    });
    assert_eq!(rig.current(), Some(2));
    assert!(rig.sounding);
    rig.end();
    let state = rig.published.as_ref().map(|playback| playback.state);
    assert_eq!(state, Some(PlayState::Stopped));
}

#[test]
fn every_mixture_of_options_holds_and_what_is_not_said_stays() {
    let words = [None, Some(true), Some(false)];
    for begin in [true, false] {
        for shuffle in words {
            for repeat_context in words {
                for repeat_track in words {
                    let mut rig = Rig::playing(0..9, 2);
                    rig.command(Command::Options(Options {
                        shuffle: Some(begin),
                        repeat_context: Some(begin),
                        repeat_track: Some(begin),
                    }));
                    let ticket = rig.command(Command::Options(Options {
                        shuffle,
                        repeat_context,
                        repeat_track,
                    }));
                    assert_eq!(rig.reply(ticket), Some(Ok(())));
                    let modes = rig.connect.modes();
                    assert_eq!(modes.shuffle, shuffle.unwrap_or(begin));
                    assert_eq!(modes.repeat_context, repeat_context.unwrap_or(begin));
                    assert_eq!(modes.repeat_track, repeat_track.unwrap_or(begin));
                    assert_eq!(rig.current(), Some(2));
                }
            }
        }
    }
}

#[test]
fn what_was_queued_while_nothing_played_plays_when_somebody_resumes() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Transfer(None));
    let ticket = rig.command(Command::Resume);
    assert!(rig.reply(ticket).expect("an answer").is_err(), "nothing");
    let ticket = rig.command(Command::AddToQueue(entry(50)));
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    let ticket = rig.command(Command::Resume);
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.current(), Some(50));
    assert!(rig.sounding);
}

#[test]
fn a_skip_that_is_refused_changes_nothing() {
    let mut rig = Rig::playing(0..9, 2);
    rig.command(Command::RepeatTrack(true));
    let (_, next) = rig.next.clone().expect("itself");
    let ticket = rig.command(Command::SkipNext {
        track: Some(Entry::new(&uri(77), "")),
    });
    assert!(rig.reply(ticket).expect("an answer").is_err());
    assert!(rig.connect.modes().repeat_track);
    assert_eq!(rig.next.clone().map(|(_, uri)| uri), Some(next));
    // A line between two rounds is no track.
    rig.command(Command::RepeatContext(true));
    let line = Entry::new("spotify:delimiter", "delimiter0");
    let ticket = rig.command(Command::SkipNext { track: Some(line) });
    assert!(rig.reply(ticket).expect("an answer").is_err());
}

#[test]
fn past_the_end_is_the_end_for_the_sleep_timer_and_for_a_repeated_track_too() {
    let past = Command::SeekTo {
        position_ms: 900_000,
    };
    let mut rig = Rig::playing(0..9, 2);
    rig.command(Command::Sleep(SleepTimer::EndOfTrack));
    rig.command(past.clone());
    rig.sound();
    assert_eq!((rig.current(), rig.sounding), (Some(3), false));
    let mut rig = Rig::playing(0..9, 2);
    rig.command(Command::RepeatTrack(true));
    rig.command(past.clone());
    rig.sound();
    assert_eq!((rig.current(), rig.sounding), (Some(2), true));
    assert_eq!(rig.connect.shown().position_ms, 0);
    // While it is paused, what follows waits as well.
    let mut rig = Rig::playing(0..9, 2);
    rig.command(Command::Pause);
    rig.obey();
    rig.command(past);
    rig.sound();
    assert_eq!((rig.current(), rig.sounding), (Some(3), false));
}

#[test]
fn an_order_of_what_comes_may_leave_out_anything() {
    let mut rig = Rig::playing(0..6, 2);
    rig.command(Command::AddToQueue(entry(50)));
    let all = |rig: &Rig| {
        let shown = rig.connect.shown().next.into_iter();
        let provided = shown.map(|track| Provided {
            entry: Entry::new(&track.uri, &track.uid),
            queued: track.uid.starts_with('q'),
        });
        provided.collect::<Vec<_>>()
    };
    // (what of "50 3 4 5" is left, what then comes)
    for (kept, comes) in [
        (vec![1, 2, 3], vec![3, 4, 5]),
        (vec![2], vec![5]),
        (vec![], vec![]),
    ] {
        let before = all(&rig);
        let next = kept
            .iter()
            .filter_map(|at| before.get(*at))
            .cloned()
            .collect();
        let ticket = rig.command(Command::SetQueue { next });
        assert_eq!(rig.reply(ticket), Some(Ok(())));
        assert_eq!((rig.current(), rig.upcoming()), (Some(2), comes));
    }
    // A local file and the current one's own empty name among them.
    let odd = ["spotify:local:a:b:c:1", ""].map(|uri| Provided {
        entry: Entry::new(uri, ""),
        queued: true,
    });
    let ticket = rig.command(Command::SetQueue { next: odd.into() });
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.upcoming(), [2], "dragged: the current one again");
}

#[test]
fn all_that_waits_is_refused_once_when_another_device_takes_over() {
    let mut rig = Rig::playing(0..9, 1);
    rig.confirmed();
    rig.tick += 100;
    let waiting = [
        rig.command(Command::Pause),
        rig.command(Command::SeekTo { position_ms: 5_000 }),
    ];
    let skip = rig.command(Command::SkipNext {
        track: Some(entry(4)),
    });
    rig.pushed("tv");
    rig.wait(3_000);
    for ticket in waiting {
        assert!(rig.reply(ticket).is_some());
    }
    assert!(rig.reply(skip).expect("an answer").is_err());
    // What an app says after that is about a device that plays nothing.
    let late = rig.command(Command::Resume);
    assert!(rig.reply(late).expect("an answer").is_err());
}

#[test]
fn an_album_of_which_nothing_can_be_played_ends_with_a_reason() {
    for autoplay in [false, true] {
        let mut rig = Rig::new(Settings {
            autoplay,
            ..Settings::default()
        });
        let ticket = rig.command(Command::Play(Box::new(play(ALBUM, 0))));
        rig.resolve(listing(ALBUM, 0..4));
        let mut fails = 0;
        while rig.loaded.is_some() {
            rig.fail(Why::Unavailable);
            fails += 1;
        }
        assert_eq!(fails, 4);
        if autoplay {
            rig.following(100..103);
            assert_eq!(rig.current(), Some(100));
        } else {
            assert!(rig.reply(ticket).expect("an answer").is_err());
            let state = rig.published.as_ref().map(|playback| playback.state);
            assert_eq!(state, Some(PlayState::Stopped));
        }
    }
}

#[test]
fn a_station_that_fails_is_the_end_and_none_is_asked_for_when_the_account_wants_none() {
    let asked = |a: &Action| matches!(a, Action::ResolveAutoplay { .. });
    let mut rig = Rig::playing(0..2, 1);
    assert!(!rig.did(asked));
    rig.end();
    let stopped = |rig: &Rig| {
        let state = rig.published.as_ref().map(|playback| playback.state);
        state == Some(PlayState::Stopped)
    };
    assert!(stopped(&rig));
    for listing in [Err(missing("no")), Ok(Listing::default())] {
        let mut rig = Rig::new(Settings {
            autoplay: true,
            ..Settings::default()
        });
        rig.command(Command::Play(Box::new(play(ALBUM, 1))));
        rig.resolve(super::rig::listing(ALBUM, 0..2));
        rig.sound();
        let ticket = rig.out.iter().find_map(|action| match action {
            Action::ResolveAutoplay { ticket, .. } => Some(*ticket),
            _ => None,
        });
        rig.end();
        assert!(rig.connect.shown().buffering);
        let ticket = ticket.expect("a question");
        rig.step(Input::Autoplay { ticket, listing });
        assert!(stopped(&rig));
        assert_eq!(rig.current(), Some(0), "the first waits");
    }
}

#[test]
fn a_place_that_is_shown_never_runs_backwards_nor_past_the_end() {
    let mut rig = Rig::playing(0..9, 2);
    let (id, _) = rig.loaded.clone().expect("a track");
    let mut last = 0;
    for step in 0..2_200u32 {
        rig.tick += 100;
        // A sound card that takes pieces of 50 ms tells of each, a little late.
        let position_ms = (step * 100).saturating_sub(step % 3 * 25).min(200_000);
        rig.step(Input::Clock { id, position_ms });
        let shown = rig.connect.shown().position_ms;
        assert!(shown + 50 >= last, "{last} to {shown}");
        assert!(shown <= 200_000, "{shown}");
        last = last.max(shown);
    }
    rig.step(Input::Player(Heard::Seeked {
        id,
        position_ms: 900_000,
    }));
    assert_eq!(rig.connect.shown().position_ms, 200_000);
}

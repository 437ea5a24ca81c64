//! Orders that come before the one before them has taken effect, and lists that the app knows
//! better, or worse.

use super::rig::{ALBUM, Rig, entry, listing, play, track};
use crate::{
    connect::{
        Action, Cluster, Command, Entry, Heard, Input, Listing, Options, Order, Page, Play,
        Provided, Settings, SkipTo,
    },
    model::Peer,
};

/// What the player was told last of whether it is to sound.
fn last(rig: &Rig) -> Option<&Action> {
    let is_it = |action: &&Action| matches!(action, Action::Play | Action::Pause);
    rig.out.iter().rev().find(is_it)
}

fn paused() -> Rig {
    let mut rig = Rig::playing(0..6, 2);
    rig.command(Command::Pause);
    rig.obey();
    rig.out.clear();
    rig
}

#[test]
fn a_pause_before_the_music_has_gone_on_ends_in_silence() {
    let mut rig = paused();
    rig.command(Command::Resume);
    let ticket = rig.command(Command::Pause);
    assert_eq!(last(&rig), Some(&Action::Pause));
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    rig.obey();
    assert!(rig.connect.shown().paused && !rig.sounding);
}

#[test]
fn two_presses_of_one_button_leave_it_as_it_was() {
    let mut rig = paused();
    rig.step(Input::Order(Order::Toggle));
    rig.step(Input::Order(Order::Toggle));
    assert_eq!(last(&rig), Some(&Action::Pause));
}

#[test]
fn music_that_begins_although_it_is_not_to_is_stopped() {
    let mut rig = paused();
    let (id, _) = rig.loaded.clone().expect("a track");
    let position_ms = 1_000;
    rig.step(Input::Player(Heard::Started { id, position_ms }));
    assert_eq!(last(&rig), Some(&Action::Pause));
    assert!(rig.connect.shown().paused, "as everybody was told");
}

#[test]
fn without_an_output_play_is_refused_and_the_music_waits_for_one() {
    let mut rig = paused();
    let ticket = rig.command(Command::Resume);
    let (id, _) = rig.loaded.clone().expect("a track");
    let position_ms = 1_000;
    rig.step(Input::Player(Heard::Held { id, position_ms }));
    let reply = rig.reply(ticket).expect("an answer");
    assert!(reply.expect_err("no").contains("no output"));
    assert!(rig.connect.shown().paused);
    // A pause now means that it does not go on by itself.
    rig.out.clear();
    rig.command(Command::Pause);
    assert_eq!(last(&rig), Some(&Action::Pause));
}

/// To play these tracks of the album in this order, from the one at this index.
fn told(numbers: &[usize], index: u32) -> Play {
    Play {
        context: listing(ALBUM, numbers.iter().copied()),
        skip_to: SkipTo {
            index: Some(index),
            ..SkipTo::default()
        },
        ..Play::default()
    }
}

#[test]
fn a_list_that_was_sorted_in_the_app_plays_as_it_is_seen_there() {
    for known in [false, true] {
        let mut rig = Rig::new(Settings::default());
        if known {
            rig.begin(0..6, 0);
        }
        rig.command(Command::Play(Box::new(told(&[5, 4, 3, 2, 1, 0], 1))));
        rig.resolve(listing(ALBUM, 0..6));
        rig.sound();
        assert_eq!(rig.current(), Some(4));
        assert_eq!(rig.upcoming(), [3, 2, 1, 0]);
    }
}

#[test]
fn a_part_of_a_list_grows_into_the_whole() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(told(&[2, 3, 4], 1))));
    assert_eq!(rig.current(), Some(3));
    rig.resolve(listing(ALBUM, 0..8));
    assert_eq!(rig.upcoming(), [4, 5, 6, 7]);
}

#[test]
fn a_second_choice_in_a_list_that_is_still_asked_for_does_not_end_it() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(told(&[0, 1, 2], 0))));
    rig.command(Command::Play(Box::new(told(&[0, 1, 2], 1))));
    rig.resolve(listing(ALBUM, 0..8));
    assert_eq!(rig.current(), Some(1));
    assert_eq!(rig.upcoming(), [2, 3, 4, 5, 6, 7]);
}

#[test]
fn an_index_is_of_some_page_when_the_track_is_named() {
    let later = Page {
        url: Some("hm://album/2".into()),
        ..Page::default()
    };
    for told in [false, true] {
        let mut artist = listing(ALBUM, 0..10);
        artist.pages.push(later.clone());
        let context = match told {
            true => artist.clone(),
            false => listing(ALBUM, 0..0),
        };
        let mut rig = Rig::new(Settings::default());
        let mut command = Play {
            context,
            ..play(ALBUM, 22)
        };
        command.skip_to.index = Some(2);
        rig.command(Command::Play(Box::new(command)));
        rig.resolve(artist);
        rig.sound();
        assert_eq!(rig.current(), Some(22));
        assert_eq!(rig.upcoming(), [0usize; 0], "its place is not known yet");
        let ticket = rig.out.iter().rev().find_map(|action| match action {
            Action::ResolvePage { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let pages = Ok(listing(ALBUM, 20..24).pages);
        let ticket = ticket.expect("the page is asked for");
        rig.step(Input::Paged { ticket, pages });
        assert_eq!(rig.upcoming(), [23]);
    }
}

#[test]
fn what_is_taken_out_of_the_list_was_not_heard_before() {
    let mut rig = Rig::playing(0..5, 0);
    let next = [1, 3, 4].map(|number| Provided {
        entry: entry(number),
        queued: false,
    });
    rig.command(Command::SetQueue { next: next.into() });
    assert_eq!(rig.upcoming(), [1, 3, 4]);
    assert_eq!(rig.connect.shown().previous, []);
    rig.command(Command::SkipPrev);
    rig.sound();
    assert_eq!(rig.current(), Some(0), "it begins anew");
    rig.command(Command::SkipNext { track: None });
    rig.sound();
    assert_eq!(rig.connect.shown().previous.len(), 1);
}

#[test]
fn a_list_that_the_app_saw_before_the_next_track_began_repeats_nothing() {
    let mut rig = Rig::playing(0..5, 0);
    rig.end();
    assert_eq!(rig.current(), Some(1));
    let mut next = vec![Provided {
        entry: Entry::new(&entry(50).uri.to_string(), ""),
        queued: true,
    }];
    next.extend([1, 2, 3, 4].map(|number| Provided {
        entry: entry(number),
        queued: false,
    }));
    rig.command(Command::SetQueue { next });
    assert_eq!(rig.upcoming(), [50, 2, 3, 4]);
}

#[test]
fn a_queue_is_heard_while_the_rest_of_the_list_is_awaited() {
    let mut whole = listing(ALBUM, 0..1);
    whole.pages[0].next_url = Some("hm://page/1".into());
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(whole);
    rig.sound();
    rig.end();
    assert!(rig.connect.shown().buffering);
    rig.command(Command::AddToQueue(entry(50)));
    assert_eq!(rig.current(), Some(50));
}

#[test]
fn playback_that_was_to_go_elsewhere_and_stays_was_not_sent() {
    let mut rig = Rig::playing(0..5, 0);
    let peer = |id: &str| Peer {
        id: id.into(),
        name: id.into(),
        kind: "tv".into(),
        active: false,
    };
    let cluster = Cluster {
        devices: vec![peer("own"), peer("tv")],
        ..rig.says("own")
    };
    rig.step(Input::Cluster(cluster));
    rig.step(Input::Asked {
        ticket: 9,
        order: Order::Send("tv".into()),
    });
    assert!(rig.did(|action| matches!(action, Action::SendTo { .. })));
    rig.command(Command::Play(Box::new(play(ALBUM, 3))));
    let is_told = |action: &Action| {
        matches!(
            action,
            Action::Done {
                ticket: 9,
                result: Err(_)
            }
        )
    };
    assert!(rig.did(is_told));
}

fn settings(rig: &mut Rig, autoplay: bool, filter_explicit: bool) {
    rig.step(Input::Settings(Settings {
        autoplay,
        filter_explicit,
    }));
}

#[test]
fn autoplay_that_is_switched_off_ends_with_the_list() {
    let mut rig = Rig::new(Settings::default());
    settings(&mut rig, true, false);
    rig.command(Command::Play(Box::new(play(ALBUM, 1))));
    rig.resolve(listing(ALBUM, 0..3));
    rig.sound();
    rig.following(20..24);
    assert_eq!(rig.upcoming(), [2, 20, 21, 22, 23]);
    settings(&mut rig, false, false);
    assert_eq!(rig.upcoming(), [2]);
}

#[test]
fn the_filter_for_explicit_music_holds_for_what_is_ready_and_not_for_what_plays() {
    let mut rig = Rig::playing(0..3, 1);
    let (now, _) = rig.loaded.clone().expect("a track");
    let (next, uri) = rig.next.clone().expect("the next track");
    for (id, uri) in [(now, entry(1).uri), (next, uri)] {
        let track = track(&uri, true);
        rig.step(Input::Player(Heard::Described { id, track }));
    }
    settings(&mut rig, false, true);
    assert_eq!(rig.current(), Some(1));
    assert!(rig.connect.shown().playing);
    assert_eq!(rig.upcoming(), [0usize; 0]);
    assert_eq!(rig.next, None, "it does not follow");
    // Its gain is known now, so it is told of once more.
    let track = track(&entry(1).uri, true);
    rig.step(Input::Player(Heard::Described { id: now, track }));
    assert_eq!(rig.current(), Some(1));
    settings(&mut rig, false, false);
    assert_eq!(rig.upcoming(), [2], "it may play again");
    assert!(rig.next.is_some());
}

#[test]
fn modes_of_the_command_hold_for_a_list_that_was_sorted() {
    let mut rig = Rig::new(Settings::default());
    let mut command = told(&[3, 2, 1], 0);
    command.options = Options {
        repeat_context: Some(true),
        ..Options::default()
    };
    command.context = Listing {
        uri: "spotify:search:x".into(),
        ..command.context
    };
    rig.command(Command::Play(Box::new(command)));
    assert_eq!(rig.upcoming()[..3], [2, 1, 3]);
}

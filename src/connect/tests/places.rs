//! Places in a list of which only a part is known, and lists that change while they play.

use super::rig::{ALBUM, Rig, entry, listing, missing, play};
use crate::connect::{Action, Command, Entry, Input, Missing, Page, Play, Settings, SkipTo};

const PAGE: usize = 100;

/// One page of a context of `all` tracks.
fn page(from: usize, all: usize) -> Page {
    Page {
        tracks: (from..all.min(from + PAGE)).map(entry).collect(),
        url: None,
        next_url: (from + PAGE < all).then(|| format!("hm://page/{}", from + PAGE)),
    }
}

fn first(all: usize) -> crate::connect::Listing {
    let mut first = listing(ALBUM, 0..0);
    first.pages = vec![page(0, all)];
    first
}

fn asked(rig: &mut Rig) -> Option<(u64, usize)> {
    let found = rig.out.iter().rev().find_map(|action| match action {
        Action::ResolvePage { ticket, url } => Some((*ticket, url.clone())),
        _ => None,
    });
    let (ticket, url) = found?;
    rig.out
        .retain(|action| !matches!(action, Action::ResolvePage { .. }));
    let from = url.rsplit('/').next().and_then(|from| from.parse().ok());
    Some((ticket, from.expect("a page")))
}

/// Answers all questions for pages.
fn answer(rig: &mut Rig, make: impl Fn(usize) -> Result<Vec<Page>, Missing>) -> usize {
    let mut count = 0;
    while let Some((ticket, from)) = asked(rig) {
        count += 1;
        let pages = make(from);
        rig.step(Input::Paged { ticket, pages });
    }
    count
}

fn skip_to(uri: bool, uid: bool, index: bool, at: usize) -> SkipTo {
    SkipTo {
        uri: uri.then(|| entry(at).uri),
        uid: uid.then(|| entry(at).uid),
        index: index.then_some(at as u32),
    }
}

#[test]
fn a_track_of_a_later_page_is_followed_by_the_one_after_it() {
    for shuffle in [false, true] {
        let mut rig = Rig::new(Settings::default());
        let mut command = play(ALBUM, 250);
        command.options.shuffle = Some(shuffle);
        rig.command(Command::Play(Box::new(command)));
        rig.resolve(first(600));
        rig.sound();
        assert_eq!(rig.current(), Some(250));
        assert_eq!(rig.upcoming(), [0usize; 0], "it is not known yet");
        assert_eq!(rig.next, None);
        answer(&mut rig, |from| Ok(vec![page(from, 600)]));
        let shown = rig.connect.shown();
        assert_eq!(shown.index, Some(250));
        if !shuffle {
            assert_eq!(rig.upcoming()[..2], [251, 252]);
            assert_eq!(shown.previous.len(), 10);
        }
        assert!(rig.next.is_some());
    }
}

#[test]
fn one_that_ends_before_its_place_is_known_waits_for_it() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 150))));
    rig.resolve(first(300));
    rig.sound();
    rig.end();
    let shown = rig.connect.shown();
    assert!(shown.buffering, "not the first of the list");
    answer(&mut rig, |from| Ok(vec![page(from, 300)]));
    assert_eq!(rig.current(), Some(151));
}

#[test]
fn a_beginning_by_any_name_is_found_in_a_later_page() {
    for (uri, uid, index) in [
        (false, true, false),
        (false, false, true),
        (false, true, true),
    ] {
        let mut rig = Rig::new(Settings::default());
        let command = Play {
            skip_to: skip_to(uri, uid, index, 250),
            seek_to: Some(7_000),
            ..play(ALBUM, 0)
        };
        let ticket = rig.command(Command::Play(Box::new(command)));
        rig.resolve(first(300));
        assert_eq!(rig.loaded, None, "nothing else is played meanwhile");
        assert!(rig.connect.shown().buffering);
        answer(&mut rig, |from| Ok(vec![page(from, 300)]));
        assert_eq!(rig.current(), Some(250));
        assert_eq!(rig.connect.shown().position_ms, 7_000);
        rig.sound();
        assert_eq!(rig.reply(ticket), Some(Ok(())));
        assert_eq!(rig.upcoming()[0], 251);
    }
}

#[test]
fn a_beginning_whose_page_never_comes_is_what_is_known() {
    let mut rig = Rig::new(Settings::default());
    let command = Play {
        skip_to: skip_to(false, false, true, 250),
        ..play(ALBUM, 0)
    };
    let ticket = rig.command(Command::Play(Box::new(command)));
    rig.resolve(first(300));
    rig.wait(1_800);
    assert_eq!(rig.reply(ticket), Some(Ok(())), "it is under way");
    answer(&mut rig, |_| Err(missing("gone")));
    assert_eq!(rig.current(), Some(0));
}

#[test]
fn what_was_asked_for_meanwhile_counts() {
    let mut rig = Rig::new(Settings::default());
    let command = Play {
        skip_to: skip_to(false, false, true, 250),
        ..play(ALBUM, 0)
    };
    rig.command(Command::Play(Box::new(command)));
    rig.resolve(first(300));
    rig.command(Command::SeekTo { position_ms: 9_000 });
    rig.command(Command::Pause);
    answer(&mut rig, |from| Ok(vec![page(from, 300)]));
    rig.sound();
    let shown = rig.connect.shown();
    assert!(shown.paused);
    assert_eq!((rig.current(), shown.position_ms), (Some(250), 9_000));

    rig.command(Command::Play(Box::new(play("spotify:album:2", 3))));
    rig.resolve(listing("spotify:album:2", 0..9));
    rig.sound();
    assert_eq!(rig.current(), Some(3), "the one before is forgotten");
}

#[test]
fn a_list_that_begins_with_hundreds_of_files_of_the_phone_plays_what_comes_after_them() {
    let mut rig = Rig::new(Settings::default());
    let local = |from: usize| {
        let mut page = page(from, 600);
        if from < 400 {
            let file = |n| Entry::new(&format!("spotify:local:a:b:{n}:1"), "");
            page.tracks = (0..PAGE).map(file).collect();
        }
        page
    };
    let command = Play {
        skip_to: SkipTo::default(),
        ..play(ALBUM, 0)
    };
    let ticket = rig.command(Command::Play(Box::new(command)));
    let mut listing = first(600);
    listing.pages = vec![local(0)];
    rig.resolve(listing);
    answer(&mut rig, |from| Ok(vec![local(from)]));
    rig.sound();
    assert_eq!(rig.current(), Some(400));
    assert_eq!(rig.reply(ticket), Some(Ok(())));
}

#[test]
fn a_page_that_does_not_come_in_time_is_waited_for_and_one_that_never_comes_is_the_end() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 99))));
    rig.resolve(first(200));
    rig.sound();
    rig.end();
    assert!(rig.connect.shown().buffering);
    let ticket = rig.command(Command::SkipNext { track: None });
    rig.wait(1_800);
    assert_eq!(rig.reply(ticket), Some(Ok(())), "it is under way");
    let ticket = rig.command(Command::SkipPrev);
    rig.sound();
    assert_eq!(rig.reply(ticket), Some(Ok(())));
    assert_eq!(rig.current(), Some(98), "others are played meanwhile");
    rig.end();
    rig.end();
    answer(&mut rig, |_| Err(missing("gone")));
    let shown = rig.connect.shown();
    assert!(!shown.buffering && shown.paused);
    assert_eq!(rig.current(), Some(0), "the end");
}

/// Of this list in shuffled order: what was played, in order, and what comes.
fn shuffled(count: usize, played: usize) -> (Rig, Vec<usize>, Vec<usize>) {
    let mut rig = Rig::playing(0..count, 0);
    rig.command(Command::Shuffle(true));
    let mut heard = vec![0];
    for _ in 0..played {
        rig.end();
        heard.extend(rig.current());
    }
    let comes = rig.upcoming();
    (rig, heard, comes)
}

#[test]
fn a_shuffled_list_that_changes_repeats_nothing_and_keeps_its_order() {
    for by_command in [false, true] {
        let (mut rig, heard, comes) = shuffled(30, 8);
        let current = rig.current();
        // Two go, one of them was heard already; three are new.
        let (gone_heard, gone) = (heard[3], comes[2]);
        let new: Vec<_> = (0..33)
            .filter(|n| ![gone_heard, gone].contains(n))
            .collect();
        if by_command {
            rig.command(Command::UpdateContext(listing(ALBUM, new)));
        } else {
            rig.step(Input::ContextChanged { uri: ALBUM.into() });
            rig.resolve(listing(ALBUM, new));
        }
        assert_eq!(rig.current(), current);
        let after = rig.upcoming();
        let kept: Vec<_> = comes.iter().copied().filter(|n| *n != gone).collect();
        let old: Vec<_> = after.iter().copied().filter(|n| *n < 30).collect();
        assert_eq!(old, kept, "what was to come comes in its order");
        let mut added: Vec<_> = after.iter().copied().filter(|n| *n >= 30).collect();
        added.sort_unstable();
        assert_eq!(added, [30, 31, 32]);
        let shown = rig.connect.shown();
        assert_eq!(shown.previous.len(), 7, "what was heard stays behind");
        rig.command(Command::Shuffle(false));
        let next = current
            .map(|n| n + 1)
            .filter(|n| *n != gone && *n != gone_heard);
        if next.is_some() {
            assert_eq!(rig.upcoming().first().copied(), next);
        }
    }
}

#[test]
fn a_track_that_is_taken_out_of_a_shuffled_list_plays_on_and_the_rest_comes() {
    let (mut rig, heard, comes) = shuffled(20, 5);
    let current = heard[5];
    rig.command(Command::UpdateContext(listing(
        ALBUM,
        (0..20).filter(|n| *n != current),
    )));
    assert_eq!(
        (rig.current(), rig.upcoming()),
        (Some(current), comes.clone())
    );
    rig.end();
    assert_eq!(rig.current(), Some(comes[0]));
}

#[test]
fn a_list_that_changes_while_it_is_asked_for_is_asked_for_again() {
    let mut rig = Rig::playing(0..6, 2);
    let asked = |rig: &Rig| {
        let tickets = rig.out.iter().filter_map(|action| match action {
            Action::ResolveContext { ticket, .. } => Some(*ticket),
            _ => None,
        });
        tickets.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        rig.step(Input::ContextChanged { uri: ALBUM.into() });
    }
    let tickets = asked(&rig);
    assert_eq!(tickets.len(), 2);
    for (ticket, last) in tickets.into_iter().zip([6, 7]) {
        let listing = Ok(listing(ALBUM, 0..last));
        rig.step(Input::Resolved { ticket, listing });
    }
    assert_eq!(rig.upcoming(), [3, 4, 5, 6]);
}

#[test]
fn a_list_of_ten_thousand_that_grows_while_shuffled_is_mixed_at_once() {
    let (mut rig, _, _) = shuffled(10_000, 2);
    let began = std::time::Instant::now();
    rig.command(Command::UpdateContext(listing(ALBUM, 0..10_001)));
    assert!(began.elapsed().as_secs() < 2);
    assert_eq!(rig.connect.lineup.context.len(), 10_001);
}

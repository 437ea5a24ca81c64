//! The service does not answer for a while: what it was asked is asked again while there is time.

use super::rig::{ALBUM, Rig, entry, listing, missing, play};
use crate::connect::{Action, Command, Input, Listing, Missing, Page, Settings, Ticket, Why};

/// The service cannot tell now.
fn outage() -> Missing {
    Missing {
        may_pass: true,
        ..missing("no answer")
    }
}

/// What was asked last of those that `find` finds; it is not found again.
fn asked(rig: &mut Rig, find: impl Fn(&Action) -> Option<Ticket>) -> Option<Ticket> {
    let ticket = rig.out.iter().rev().find_map(&find);
    rig.out.retain(|action| find(action).is_none());
    ticket
}

fn context(action: &Action) -> Option<Ticket> {
    match action {
        Action::ResolveContext { ticket, .. } => Some(*ticket),
        _ => None,
    }
}

fn page(action: &Action) -> Option<Ticket> {
    match action {
        Action::ResolvePage { ticket, .. } => Some(*ticket),
        _ => None,
    }
}

fn following(action: &Action) -> Option<Ticket> {
    match action {
        Action::ResolveAutoplay { ticket, .. } => Some(*ticket),
        _ => None,
    }
}

fn resolved(rig: &mut Rig, listing: Result<Listing, Missing>) {
    let ticket = asked(rig, context).expect("a question");
    rig.step(Input::Resolved { ticket, listing });
}

fn paged(rig: &mut Rig, pages: Result<Vec<Page>, Missing>) {
    let ticket = asked(rig, page).expect("a question");
    rig.step(Input::Paged { ticket, pages });
}

/// Plays the third track of the album, of which nothing is known.
fn named() -> Rig {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 2))));
    rig.sound();
    rig
}

#[test]
fn the_list_of_a_track_that_plays_is_asked_for_until_it_comes() {
    let mut rig = named();
    for pause in [5_000, 15_000, 30_000, 60_000] {
        resolved(&mut rig, Err(outage()));
        rig.wait(pause - 1);
        assert_eq!(asked(&mut rig, context), None);
        rig.tick += 1;
        rig.step(Input::Timer);
    }
    resolved(&mut rig, Ok(listing(ALBUM, 0..6)));
    assert_eq!(rig.upcoming(), [3, 4, 5]);
    assert!(rig.next.is_some(), "the next one is made ready");
}

#[test]
fn a_list_that_does_not_exist_is_asked_for_once() {
    let mut rig = named();
    resolved(&mut rig, Err(missing("404")));
    rig.wait(600_000);
    assert_eq!(asked(&mut rig, context), None);
}

#[test]
fn at_the_end_of_what_is_known_it_is_asked_once_more_at_once() {
    let mut rig = named();
    resolved(&mut rig, Err(outage()));
    rig.wait(1_000);
    rig.end();
    assert!(rig.connect.shown().buffering);
    resolved(&mut rig, Ok(listing(ALBUM, 0..6)));
    assert_eq!(rig.current(), Some(3));
    // And if that fails as well, it is the end.
    let mut rig = named();
    resolved(&mut rig, Err(outage()));
    rig.end();
    resolved(&mut rig, Err(outage()));
    assert!(!rig.connect.shown().buffering);
    rig.wait(600_000);
    assert_eq!(asked(&mut rig, context), None);
}

#[test]
fn a_page_that_is_late_is_not_left_out() {
    let first = Page {
        tracks: (0..10).map(entry).collect(),
        url: None,
        next_url: Some("hm://page/10".into()),
    };
    let rest = Page {
        tracks: (10..20).map(entry).collect(),
        ..Page::default()
    };
    let mut whole = listing(ALBUM, 0..0);
    whole.pages = vec![first];
    let mut rig = named();
    resolved(&mut rig, Ok(whole));
    paged(&mut rig, Err(outage()));
    assert_eq!(rig.upcoming().len(), 7);
    rig.wait(5_000);
    paged(&mut rig, Ok(vec![rest]));
    assert_eq!(rig.upcoming().len(), 17);
}

#[test]
fn what_follows_the_end_is_asked_for_until_the_end() {
    let mut rig = Rig::new(Settings {
        autoplay: true,
        ..Settings::default()
    });
    rig.command(Command::Play(Box::new(play(ALBUM, 4))));
    rig.resolve(listing(ALBUM, 0..6));
    rig.sound();
    for pause in [5_000, 15_000] {
        let ticket = asked(&mut rig, following).expect("a question");
        let listing = Err(outage());
        rig.step(Input::Autoplay { ticket, listing });
        rig.wait(pause);
    }
    rig.following(20..22);
    assert_eq!(rig.upcoming(), [5, 20, 21]);
}

#[test]
fn a_next_track_that_could_not_be_had_is_made_ready_before_its_time_comes() {
    let mut rig = Rig::playing(0..6, 0);
    for pause in [5_000, 15_000] {
        let (id, _) = rig.next.take().expect("the next track");
        rig.step(Input::Player(crate::connect::Heard::Failed {
            id,
            why: Why::Network,
        }));
        assert_eq!(rig.next, None);
        rig.wait(pause - 1);
        assert_eq!(rig.next, None);
        rig.wait(1);
    }
    let (_, uri) = rig.next.clone().expect("it is tried again");
    assert_eq!(uri, entry(1).uri);
    rig.end();
    assert_eq!(rig.current(), Some(1));
    assert!(rig.connect.shown().playing && !rig.connect.shown().buffering);
}

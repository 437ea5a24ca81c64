//! Shuffle, repeat, pages, what follows the end.

use super::rig::{ALBUM, Rig, entry, listing, number, play, uri};
use crate::connect::{Action, Command, Entry, Input, Page, Settings, SkipTo};

#[test]
fn shuffle_changes_what_follows_and_not_what_plays_and_gives_the_order_back_exactly() {
    let mut rig = Rig::playing(0..40, 10);
    rig.out.clear();
    rig.command(Command::Shuffle(true));
    assert!(!rig.did(|a| matches!(a, Action::Load { .. } | Action::Stop)));
    assert_eq!(rig.current(), Some(10));
    let mut rest = rig.upcoming();
    assert_ne!(rest, (11..40).collect::<Vec<_>>());
    rest.push(10);
    rest.sort_unstable();
    assert_eq!(rest, (0..40).collect::<Vec<_>>(), "everything comes");
    let shown = rig.upcoming()[0];
    rig.end();
    assert_eq!(rig.current(), Some(shown), "in the order that is shown");
    rig.command(Command::Shuffle(false));
    assert_eq!(rig.upcoming(), (shown + 1..40).collect::<Vec<_>>());
    assert_eq!(rig.connect.shown().index, Some(shown as u32));
}

#[test]
fn a_repeated_context_goes_round_and_shows_where() {
    let mut rig = Rig::playing(0..3, 2);
    rig.command(Command::RepeatContext(true));
    let next = rig.connect.shown().next;
    assert_eq!(next.len(), 80);
    assert_eq!(next[0].delimiter, Some(0));
    assert_eq!(next[0].uri, "spotify:delimiter");
    assert_eq!(rig.upcoming()[..4], [0, 1, 2, 0]);
    rig.end();
    assert_eq!(rig.current(), Some(0));
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(2));
}

#[test]
fn what_follows_the_end_is_asked_for_before_it_is_needed() {
    let mut rig = Rig::new(Settings {
        autoplay: true,
        ..Settings::default()
    });
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(listing(ALBUM, 0..8));
    rig.sound();
    let asked = |a: &Action| matches!(a, Action::ResolveAutoplay { .. });
    assert!(!rig.did(asked), "seven are left");
    for _ in 0..3 {
        rig.end();
    }
    assert!(rig.did(asked));
    rig.following(100..110);
    assert_eq!(rig.upcoming()[..6], [4, 5, 6, 7, 100, 101]);
    for _ in 0..5 {
        rig.end();
    }
    let shown = rig.connect.shown();
    assert_eq!((rig.current(), shown.index), (Some(100), None));
    assert_eq!(
        shown.track.map(|it| it.provider),
        Some(crate::connect::Provider::Autoplay)
    );
    assert_eq!(shown.previous.last().map(|it| number(&it.uri)), Some(7));
    rig.command(Command::SkipPrev);
    assert_eq!(rig.current(), Some(7));
}

#[test]
fn an_end_that_may_have_more_is_waited_for() {
    let mut rig = Rig::new(Settings {
        autoplay: true,
        ..Settings::default()
    });
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(listing(ALBUM, 0..1));
    rig.sound();
    rig.end();
    assert!(rig.connect.shown().buffering);
    rig.following(100..102);
    assert_eq!(rig.current(), Some(100));

    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.sound();
    rig.end();
    rig.resolve(listing(ALBUM, 0..3));
    assert_eq!(
        rig.current(),
        Some(1),
        "the context came after the track was over"
    );
}

#[test]
fn a_long_context_is_known_two_pages_ahead() {
    let page = |from: usize| Page {
        tracks: (from..from + 100).map(entry).collect(),
        url: None,
        next_url: (from < 9_900).then(|| format!("hm://page/{}", from + 100)),
    };
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    let mut first = listing(ALBUM, 0..0);
    first.pages = vec![page(0)];
    rig.resolve(first);
    rig.sound();
    let answer_pages = |rig: &mut Rig| {
        while let Some((ticket, url)) = rig.out.iter().find_map(|action| match action {
            Action::ResolvePage { ticket, url } => Some((*ticket, url.clone())),
            _ => None,
        }) {
            let from = url
                .rsplit('/')
                .next()
                .expect("a page")
                .parse()
                .expect("a number");
            rig.out.clear();
            let pages = Ok(vec![page(from)]);
            rig.step(Input::Paged { ticket, pages });
        }
    };
    answer_pages(&mut rig);
    let known = |rig: &Rig| rig.connect.lineup.context.len();
    assert_eq!(known(&rig), 300);
    for step in [250, 500, 2_000, 9_999] {
        while rig.current() != Some(step) {
            let far = rig.upcoming().last().copied().unwrap_or(step).min(step);
            rig.command(Command::SkipNext {
                track: Some(Entry::new(&uri(far), "")),
            });
            rig.sound();
            answer_pages(&mut rig);
        }
        assert!(
            known(&rig) >= (step + 200).min(10_000),
            "{step}: {}",
            known(&rig)
        );
        assert!(known(&rig) <= step + 400, "{step}: {}", known(&rig));
    }
    assert_eq!(known(&rig), 10_000);
}

#[test]
fn what_cannot_be_played_is_passed_over_before_it_comes() {
    let mut tracks = listing(ALBUM, 0..4);
    tracks.pages[0].tracks[1] = Entry::new("spotify:local:a:b:c:1", "");
    tracks.pages[0].tracks[2] = Entry::new("spotify:track:", "");
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(play(ALBUM, 0))));
    rig.resolve(tracks);
    rig.sound();
    assert_eq!(rig.upcoming(), [3]);

    let mut rig = Rig::new(Settings::default());
    let mut command = play(ALBUM, 0);
    command.skip_to = SkipTo::default();
    let ticket = rig.command(Command::Play(Box::new(command)));
    rig.resolve(listing(ALBUM, 0..0));
    assert!(
        rig.reply(ticket).expect("an answer").is_err(),
        "an empty context"
    );
}

#[test]
fn a_changed_playlist_leaves_what_plays_and_changes_what_follows() {
    let mut rig = Rig::playing(0..6, 2);
    rig.step(Input::ContextChanged { uri: ALBUM.into() });
    rig.resolve(listing(ALBUM, [0, 9, 2, 5, 4]));
    assert_eq!((rig.current(), rig.upcoming()), (Some(2), vec![5, 4]));
    rig.command(Command::UpdateContext(listing(ALBUM, [7, 8])));
    assert_eq!(rig.current(), Some(2), "taken out, and plays on");
    rig.end();
    assert_eq!(rig.current(), None.or(Some(7)).or(Some(8)));
}

#[test]
fn the_same_context_is_not_asked_for_twice() {
    let mut rig = Rig::playing(0..6, 2);
    rig.command(Command::Play(Box::new(play(ALBUM, 4))));
    assert!(!rig.did(|a| matches!(a, Action::ResolveContext { .. })));
    assert_eq!(rig.upcoming(), [5]);
}

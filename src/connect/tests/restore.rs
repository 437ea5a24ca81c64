//! Taking up again after a loss.

use super::rig::{ALBUM, Rig, entry, listing};
use crate::{
    connect::{Action, Command, Heard, Input, Listing, Order, Play, Settings},
    model::{PlayState, Playback},
};

/// As the daemon hands it back: through its own messages.
fn handed_back(rig: &Rig) -> Playback {
    let told = rig.published.clone().expect("told");
    let text = serde_json::to_string(&told).expect("JSON");
    serde_json::from_str(&text).expect("the same")
}

fn restored(then: Playback) -> Rig {
    let mut rig = Rig::new(Settings::default());
    rig.step(Input::Order(Order::Restore(Box::new(then))));
    rig
}

#[test]
fn context_place_modes_and_queue_come_back() {
    let mut rig = Rig::playing(0..30, 4);
    rig.command(Command::Shuffle(true));
    rig.command(Command::RepeatContext(true));
    rig.command(Command::AddToQueue(entry(70)));
    rig.end();
    rig.end();
    rig.command(Command::AddToQueue(entry(71)));
    rig.command(Command::SeekTo { position_ms: 5_000 });
    rig.obey();
    let mut again = restored(handed_back(&rig));
    assert!(again.did(|a| matches!(
        a,
        Action::Load {
            position_ms: 5_000,
            play: true,
            ..
        }
    )));
    again.resolve(listing(ALBUM, 0..30));
    again.sound();
    assert_eq!(again.current(), rig.current());
    assert_eq!(again.upcoming(), rig.upcoming(), "the same order");
    assert_eq!(again.connect.modes(), rig.connect.modes());
    assert!(again.connect.is_active());
}

#[test]
fn a_queued_track_comes_back_and_the_context_after_it() {
    let mut rig = Rig::playing(0..6, 2);
    rig.command(Command::AddToQueue(entry(70)));
    rig.end();
    rig.command(Command::Pause);
    rig.obey();
    let mut again = restored(handed_back(&rig));
    assert!(again.did(|a| matches!(a, Action::Load { play: false, .. })));
    again.resolve(listing(ALBUM, 0..6));
    again.sound();
    assert_eq!(
        (again.current(), again.upcoming()),
        (Some(70), vec![3, 4, 5])
    );
    assert_eq!(again.published.map(|p| p.state), Some(PlayState::Paused));
}

#[test]
fn music_that_only_waits_for_an_output_comes_back_playing_and_a_pause_paused() {
    for touched in [
        None,
        Some(Command::Pause),
        Some(Command::SeekTo { position_ms: 9_000 }),
    ] {
        let mut rig = Rig::playing(0..6, 2);
        let id = rig.loaded.clone().expect("a track").0;
        rig.step(Input::Player(Heard::Held {
            id,
            position_ms: 7_000,
        }));
        let goes_on = touched.is_none();
        if let Some(command) = touched {
            rig.command(command);
        }
        let then = handed_back(&rig);
        assert_eq!(then.state, PlayState::Paused, "which is what is heard");
        let again = restored(then);
        assert!(
            again.did(|a| matches!(a, Action::Load { play, .. } if *play == goes_on)),
            "{goes_on}: {:?}",
            again.out
        );
    }
}

#[test]
fn a_bare_list_comes_back_without_asking_anybody() {
    let mut rig = Rig::new(Settings::default());
    let play = Play {
        context: listing("", 0..300),
        ..Play::default()
    };
    rig.command(Command::Play(Box::new(Play {
        skip_to: crate::connect::SkipTo {
            index: Some(200),
            ..Default::default()
        },
        ..play
    })));
    rig.sound();
    let then = handed_back(&rig);
    assert!(then.place.list.len() <= crate::model::MAX_TOLD);
    let again = restored(then);
    assert!(!again.did(|a| matches!(a, Action::ResolveContext { .. })));
    assert_eq!(again.current(), Some(200));
    assert_eq!(again.upcoming()[..3], [201, 202, 203]);
}

#[test]
fn a_list_that_only_the_app_knew_comes_back_in_its_order() {
    let sorted: Vec<usize> = (0..300).rev().collect();
    for context in [ALBUM, "spotify:search:rain"] {
        let mut rig = Rig::new(Settings::default());
        rig.command(Command::Play(Box::new(Play {
            context: listing(context, sorted.iter().copied()),
            skip_to: crate::connect::SkipTo {
                index: Some(100),
                ..Default::default()
            },
            ..Play::default()
        })));
        if context == ALBUM {
            rig.resolve(listing(ALBUM, 0..300));
        }
        rig.sound();
        let again = restored(handed_back(&rig));
        assert!(!again.did(|a| matches!(a, Action::ResolveContext { .. })));
        assert_eq!(again.current(), Some(199));
        assert_eq!(again.upcoming()[..3], [198, 197, 196]);
        assert_eq!(again.connect.shown().context_uri, context);
    }
}

#[test]
fn a_bare_list_behind_a_queued_track_comes_back() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(Play {
        context: listing("", 0..6),
        skip_to: crate::connect::SkipTo {
            index: Some(2),
            ..Default::default()
        },
        ..Play::default()
    })));
    rig.sound();
    rig.command(Command::AddToQueue(entry(70)));
    rig.end();
    rig.obey();
    let again = restored(handed_back(&rig));
    assert_eq!(again.current(), Some(70));
    assert_eq!(again.upcoming(), [3, 4, 5]);
}

#[test]
fn a_short_list_comes_back_shuffled_as_it_was() {
    let mut rig = Rig::new(Settings::default());
    rig.command(Command::Play(Box::new(Play {
        context: listing("", 0..40),
        ..Play::default()
    })));
    rig.sound();
    rig.command(Command::Shuffle(true));
    rig.end();
    rig.obey();
    let again = restored(handed_back(&rig));
    assert_eq!(again.current(), rig.current());
    assert_eq!(again.upcoming(), rig.upcoming());
}

#[test]
fn what_was_over_or_never_began_is_not_taken_up() {
    let mut rig = Rig::playing(0..1, 0);
    rig.end();
    let again = restored(handed_back(&rig));
    assert_eq!(again.current(), None);
    assert!(!again.connect.is_active());
    let _ = Listing::default();
}

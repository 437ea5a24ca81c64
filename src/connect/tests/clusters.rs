//! Taking over, being taken over, and news that comes too late.

use super::rig::{ALBUM, OWN, Rig, entry, listing, play};
use crate::{
    connect::{Action, Command, Input, PutReason, Settings, Transfer},
    model::PlayState,
};

fn put(action: &Action) -> bool {
    matches!(
        action,
        Action::Put {
            reason: PutReason::StateChanged,
            ..
        }
    )
}

#[test]
fn a_cluster_that_was_on_its_way_when_we_began_does_not_stop_the_music() {
    let mut rig = Rig::new(Settings::default());
    rig.pushed("phone");
    let old = rig.says("phone");
    rig.tick += 300;
    rig.command(Command::Play(Box::new(play(ALBUM, 2))));
    rig.step(Input::Cluster(old.clone()));
    assert!(rig.connect.is_active(), "older than our beginning");
    rig.pushed("phone");
    assert!(
        rig.connect.is_active(),
        "the answer to our own word decides"
    );
    rig.tick += 50;
    rig.confirmed();
    rig.step(Input::Cluster(old));
    assert!(rig.connect.is_active());
    assert!(!rig.did(|a| *a == Action::Stop));
}

#[test]
fn a_cluster_that_names_another_device_stops_us_at_once() {
    let mut rig = Rig::playing(0..5, 1);
    rig.confirmed();
    rig.tick += 100;
    rig.out.clear();
    rig.pushed("tv");
    let stop = rig.out.iter().position(|a| *a == Action::Stop);
    let told = rig.out.iter().position(|a| *a == Action::PutInactive);
    assert!(stop.expect("silence") < told.expect("a goodbye"));
    assert!(!rig.did(put), "nothing is claimed any more");
    assert_eq!(
        rig.published.as_ref().map(|p| p.state),
        Some(PlayState::Stopped)
    );
}

#[test]
fn a_command_in_flight_is_refused_when_another_device_takes_over() {
    let mut rig = Rig::playing(0..5, 1);
    rig.confirmed();
    rig.tick += 100;
    let ticket = rig.command(Command::SkipNext {
        track: Some(entry(4)),
    });
    assert_eq!(rig.reply(ticket), None);
    rig.pushed("tv");
    assert!(rig.reply(ticket).expect("an answer").is_err());
    let id = rig.connect.shown().track;
    assert_eq!(id, None);
    rig.sound();
    assert!(
        !rig.connect.is_active(),
        "late words of the player change nothing"
    );
}

#[test]
fn a_new_connection_is_told_the_true_state_and_the_music_goes_on() {
    let mut rig = Rig::playing(0..5, 1);
    rig.confirmed();
    rig.tick += 9_000;
    rig.out.clear();
    rig.step(Input::Connected);
    assert!(rig.did(|a| matches!(
        a,
        Action::Put {
            reason: PutReason::NewDevice,
            ..
        }
    )));
    let shown = rig.connect.shown();
    assert!(shown.active && shown.playing && !shown.paused);
    assert_eq!(shown.position_ms, 9_000);
    // The service forgot us meanwhile.
    rig.pushed("");
    assert!(rig.connect.is_active() && rig.did(put));
    assert!(!rig.did(|a| matches!(a, Action::Stop | Action::Pause)));
}

#[test]
fn news_of_other_devices_is_answered_with_our_state_and_our_own_is_not() {
    let mut rig = Rig::playing(0..5, 1);
    rig.confirmed();
    rig.tick += 100;
    rig.out.clear();
    for (changed, answered) in [(OWN, false), ("tv", true)] {
        let mut cluster = rig.says(OWN);
        cluster.changed = vec![changed.to_owned()];
        rig.step(Input::Cluster(cluster));
        assert_eq!(rig.did(put), answered, "{changed}");
    }
}

#[test]
fn playback_that_was_left_behind_is_taken_up_by_the_one_that_comes() {
    let offer = |rig: &Rig, active: &str| {
        let mut cluster = rig.says(active);
        cluster.offered = Some(Box::new(Transfer {
            context: listing(ALBUM, 0..0),
            track: Some(entry(3)),
            ..Transfer::default()
        }));
        cluster
    };
    let mut rig = Rig::new(Settings::default());
    rig.step(Input::Connected);
    let cluster = offer(&rig, "");
    rig.step(Input::PutAnswered { number: 1, cluster });
    assert!(rig.did(|a| *a == Action::Listed));
    assert_eq!(rig.current(), Some(3));

    let mut rig = Rig::new(Settings::default());
    rig.step(Input::Connected);
    let cluster = offer(&rig, "tv");
    rig.step(Input::PutAnswered { number: 1, cluster });
    assert_eq!(rig.current(), None, "somebody else plays");
}

#[test]
fn logging_out_silences_and_leaves_the_picker() {
    let mut rig = Rig::playing(0..5, 1);
    rig.step(Input::Logout);
    for wanted in [
        Action::Stop,
        Action::PutInactive,
        Action::Delete,
        Action::LoggedOut,
    ] {
        assert!(rig.out.contains(&wanted), "{wanted:?}");
    }
}

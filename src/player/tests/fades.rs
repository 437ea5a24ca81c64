//! Crossfades in which one of the two has nothing for a while, and places sought in them.

use super::*;

const FADING: PlayerSettings = PlayerSettings {
    crossfade_ms: 3000,
    ..PLAIN
};

/// A track of which no more than so many bytes come, for now.
fn held(title: &str, until: &Arc<Mutex<u64>>) -> Opened {
    let memory = Memory {
        until: Some(Arc::clone(until)),
        ..Memory::new(bytes(title))
    };
    from(memory, title)
}

fn loudest(samples: &[f32]) -> f32 {
    samples.iter().fold(0f32, |peak, x| peak.max(x.abs()))
}

/// Where nothing is to be heard for a hundredth of a second.
fn silent(samples: &[f32]) -> bool {
    samples.chunks_exact(882).any(|piece| loudest(piece) < 1e-4)
}

#[test]
fn a_new_track_that_stops_coming_does_not_silence_the_one_that_fades() {
    let mut rig = rig(FADING);
    let until = Arc::new(Mutex::new(10_000));
    rig.load(1, "First Half", 0, true);
    rig.player.order(Order::Next {
        id: 2,
        open: held("Second Half", &until),
        position_ms: 0,
        consecutive: false,
    });
    let one = straight("First Half");
    // To a second before the end of the first, which is heard all the time.
    let heard = rig.hear(one.len() / 2 - 44_100);
    assert!(!silent(&heard[20_000..]));
    *until.lock().expect("no panic") = u64::MAX;
    let rest = rig.hear_until(&Event::Ended { id: 2 });
    let two = straight("Second Half");
    assert!(rest.ends_with(&two[two.len() - 44_100..]));
    assert!(heard.len() + rest.len() > one.len() + two.len() - 3 * 88_200);
}

#[test]
fn an_old_track_that_stops_coming_does_not_hold_up_the_new_one() {
    let mut rig = rig(FADING);
    let all = bytes("First Half").len() as u64;
    // The last second and a half does not come.
    let until = Arc::new(Mutex::new(all * 80 / 100));
    rig.player.order(Order::Load {
        id: 1,
        open: held("First Half", &until),
        position_ms: 0,
        play: true,
    });
    rig.follow(2, "Second Half", false);
    let (one, two) = (straight("First Half"), straight("Second Half"));
    let heard = rig.hear_until(&Event::Ended { id: 2 });
    assert!(heard.ends_with(&two[two.len() - 88_200..]));
    // How long it is says the catalogue, to the millisecond.
    let wanted = one.len() + two.len() - 3 * 88_200;
    assert!(
        heard.len().abs_diff(wanted) <= 100,
        "{} for {wanted}",
        heard.len()
    );
    assert!(!silent(&heard[20_000..heard.len() - 20_000]));
}

#[test]
fn a_place_sought_in_a_pause_is_told_of_the_track_it_was_sought_in() {
    // Within the fade; behind the real end; and with nothing that follows.
    for (ms, follows) in [(500, true), (60_000, true), (60_000, false)] {
        let mut rig = rig(FADING);
        rig.load(1, "First Half", 0, true);
        if follows {
            rig.follow(2, "Second Half", false);
        }
        rig.hear(20_000);
        rig.player.order(Order::Pause);
        rig.hear_until_such(|event| matches!(event, Event::Paused { id: 1, .. }));
        let end = track("First Half").duration_ms();
        let ms = if ms > end { ms } else { end - ms };
        rig.player.order(Order::Seek { ms });
        let told = rig.told(|event| matches!(event, Event::Sought { .. }));
        let wanted = Event::Sought {
            id: 1,
            position_ms: ms,
        };
        assert_eq!(told, wanted, "{follows}");
        rig.player.order(Order::Play);
        let last = if follows { 2 } else { 1 };
        rig.hear_until(&Event::Ended { id: last });
    }
}

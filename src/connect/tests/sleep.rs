//! The sleep timer, and the fade before it.

use super::rig::{ALBUM, Rig, listing, track};
use crate::{
    connect::{Action, Command, Heard, Input, Order, Settings},
    model::{Dim, PlayState, SleepTimer},
};

fn timer(rig: &mut Rig, timer: SleepTimer, fade_ms: u32) {
    let fade_ms = Some(fade_ms);
    rig.step(Input::Order(Order::Sleep { timer, fade_ms }));
}

/// What the player was told of fades since the last look.
fn dims(rig: &mut Rig) -> Vec<Option<Dim>> {
    let told = rig.out.drain(..).filter_map(|action| match action {
        Action::Dim(dim) => Some(dim),
        _ => None,
    });
    told.collect()
}

fn shown(rig: &Rig) -> (SleepTimer, u32) {
    let playback = rig.connect.playback();
    (playback.sleep, playback.sleep_fade_ms)
}

#[test]
fn it_pauses_at_its_time_or_at_the_end_of_the_track() {
    let mut rig = Rig::playing(0..6, 2);
    timer(&mut rig, SleepTimer::In { ms: 5_000 }, 0);
    assert!(rig.did(|a| *a == Action::SetTimer { tick_ms: 5_000 }));
    rig.tick = 4_999;
    rig.step(Input::Timer);
    assert!(rig.sounding);
    rig.wait(1);
    assert!(!rig.sounding);
    rig.obey();
    rig.command(Command::Resume);
    rig.obey();
    timer(&mut rig, SleepTimer::EndOfTrack, 0);
    assert_eq!(rig.next, None, "nothing is to be joined");
    rig.end();
    assert_eq!((rig.current(), rig.sounding), (Some(3), false));
    assert_eq!(dims(&mut rig), [], "nobody asked for a fade");
}

#[test]
fn the_fade_lies_before_the_time_and_ends_when_all_is_silent() {
    let mut rig = Rig::playing(0..6, 2);
    timer(&mut rig, SleepTimer::In { ms: 60_000 }, 20_000);
    let at = SleepTimer::At {
        unix_ms: rig.now().unix_ms + 60_000,
    };
    assert_eq!(shown(&rig), (at, 20_000));
    assert!(rig.did(|a| *a == Action::SetTimer { tick_ms: 40_000 }));
    assert_eq!(dims(&mut rig), []);
    rig.wait(40_000);
    let (left_ms, over_ms) = (20_000, 20_000);
    assert_eq!(dims(&mut rig), [Some(Dim::In { left_ms, over_ms })]);
    rig.wait(20_000);
    assert!(!rig.sounding);
    assert_eq!(dims(&mut rig), [], "still falling silent");
    rig.obey();
    assert_eq!(dims(&mut rig), [None]);
    assert_eq!(shown(&rig), (SleepTimer::Off, 0));
}

#[test]
fn a_timer_that_is_taken_back_or_put_off_brings_the_music_back() {
    let mut rig = Rig::playing(0..6, 2);
    timer(&mut rig, SleepTimer::In { ms: 20_000 }, 20_000);
    rig.wait(5_000);
    assert_eq!(dims(&mut rig).len(), 1);
    timer(&mut rig, SleepTimer::Off, 0);
    assert_eq!(dims(&mut rig), [None]);
    timer(&mut rig, SleepTimer::In { ms: 20_000 }, 20_000);
    rig.wait(5_000);
    assert_eq!(dims(&mut rig).len(), 1);
    timer(&mut rig, SleepTimer::In { ms: 60_000 }, 20_000);
    assert_eq!(dims(&mut rig), [None]);
    rig.wait(40_000);
    let (left_ms, over_ms) = (20_000, 20_000);
    assert_eq!(dims(&mut rig), [Some(Dim::In { left_ms, over_ms })]);
}

#[test]
fn music_that_goes_on_within_the_fade_goes_on_where_the_fade_is_by_then() {
    let mut rig = Rig::playing(0..6, 2);
    timer(&mut rig, SleepTimer::In { ms: 60_000 }, 60_000);
    rig.out.clear();
    rig.command(Command::Pause);
    rig.obey();
    assert_eq!(dims(&mut rig), []);
    rig.wait(30_000);
    rig.command(Command::Resume);
    rig.obey();
    let (left_ms, over_ms) = (30_000, 60_000);
    assert_eq!(
        dims(&mut rig).last(),
        Some(&Some(Dim::In { left_ms, over_ms }))
    );
    // Another track is as quiet as the one before.
    rig.command(Command::SkipNext { track: None });
    rig.sound();
    assert!(!dims(&mut rig).contains(&None));
}

#[test]
fn at_the_end_of_the_track_the_fade_lies_in_its_last_seconds_wherever_somebody_goes() {
    let mut rig = Rig::playing(0..6, 2);
    let id = rig.loaded.clone().expect("a track").0;
    timer(&mut rig, SleepTimer::EndOfTrack, 30_000);
    assert_eq!(shown(&rig), (SleepTimer::EndOfTrack, 30_000));
    let with = |track, over_ms| {
        let end_ms = 200_000;
        Some(Dim::At {
            track,
            end_ms,
            over_ms,
        })
    };
    assert_eq!(dims(&mut rig), [with(id, 30_000)]);
    rig.command(Command::SeekTo {
        position_ms: 190_000,
    });
    rig.obey();
    assert_eq!(dims(&mut rig), [with(id, 10_000)]);
    rig.command(Command::SeekTo {
        position_ms: 20_000,
    });
    rig.obey();
    assert_eq!(dims(&mut rig), [with(id, 30_000)]);
    // Whoever goes on to another track hears it at full level, and it fades at its own end.
    rig.command(Command::SkipNext { track: None });
    assert_eq!(dims(&mut rig), [None]);
    rig.sound();
    let next = rig.loaded.clone().expect("a track").0;
    assert_eq!(dims(&mut rig), [with(next, 30_000)]);
    rig.end();
    assert_eq!((rig.current(), rig.sounding), (Some(4), false));
    assert_eq!(dims(&mut rig), [None]);
    assert_eq!(shown(&rig), (SleepTimer::Off, 0));
}

#[test]
fn a_phone_that_says_nothing_of_fades_gets_the_configured_one_before_a_time() {
    let mut rig = Rig::with_fade(10_000);
    rig.begin(0..6, 2);
    rig.command(Command::Sleep(SleepTimer::In { ms: 60_000 }));
    assert_eq!(shown(&rig).1, 10_000);
    rig.command(Command::Sleep(SleepTimer::In { ms: 3_000 }));
    assert_eq!(shown(&rig).1, 3_000, "no longer than the time itself");
    rig.command(Command::Sleep(SleepTimer::EndOfTrack));
    assert_eq!(shown(&rig), (SleepTimer::EndOfTrack, 0));
    rig.command(Command::Sleep(SleepTimer::Off));
    assert_eq!(shown(&rig), (SleepTimer::Off, 0));
}

#[test]
fn it_outlives_the_engine_and_a_time_that_has_passed_pauses() {
    let mut rig = Rig::playing(0..30, 4);
    timer(&mut rig, SleepTimer::In { ms: 60_000 }, 20_000);
    let told = rig.published.clone().expect("told");
    let mut again = Rig::new(Settings::default());
    again.tick = 50_000;
    again.step(Input::Order(Order::Restore(Box::new(told.clone()))));
    let at = SleepTimer::At {
        unix_ms: rig.now().unix_ms + 60_000,
    };
    assert_eq!(shown(&again), (at, 10_000), "it takes what is left");
    let mut late = Rig::new(Settings::default());
    late.tick = 90_000;
    late.step(Input::Order(Order::Restore(Box::new(told.clone()))));
    late.resolve(listing(ALBUM, 0..30));
    let (id, uri) = late.loaded.clone().expect("a track");
    let track = track(&uri, false);
    late.step(Input::Player(Heard::Described { id, track }));
    assert!(!late.sounding);
    assert_eq!(late.connect.playback().state, PlayState::Paused);
}

//! The player on an output whose device is the test itself.

mod fades;
mod joints;
mod storms;

use std::sync::Mutex;

use spotify_sim::catalogue::Quality;

use super::*;
use crate::{
    config::{Normalisation, NormalisationMethod},
    decode::{
        Kind,
        testing::{self, Bytes, Memory, file, track},
    },
    output::{
        Clock,
        testing::{Taker, output},
    },
};

pub(super) const PLAIN: PlayerSettings = PlayerSettings {
    gapless: true,
    crossfade_ms: 0,
    normalisation: Normalisation::Off,
    method: NormalisationMethod::Basic,
    pregain_db: 0.0,
};
const LIMIT: Duration = Duration::from_secs(10);

struct Rig {
    player: Player,
    news: mpsc::Receiver<Event>,
    taker: Taker,
    clock: Clock,
}

fn rig(settings: PlayerSettings) -> Rig {
    let (inlet, taker, clock) = output();
    let (player, news) = Player::start(inlet, settings).expect("a thread");
    Rig {
        player,
        news,
        taker,
        clock,
    }
}

fn bytes(title: &str) -> Bytes {
    file(title, Quality::Kbps320)
}

pub(super) fn straight(title: &str) -> Vec<f32> {
    testing::all(&mut testing::open(&bytes(title), Kind::Vorbis, 0, 0)).0
}

pub(super) fn opened(title: &str) -> Opened {
    from(Memory::new(bytes(title)), title)
}

fn from(memory: Memory, title: &str) -> Opened {
    Opened {
        source: Box::new(memory),
        kind: Kind::Vorbis,
        duration_ms: track(title).duration_ms(),
        by_album: false,
        gain: Gain::default(),
    }
}

pub(super) fn next(id: u64) -> Order {
    Order::Next {
        id,
        open: opened("Tune"),
        position_ms: 0,
        consecutive: false,
    }
}

pub(super) fn skip(id: u64) -> Order {
    Order::Skip {
        id,
        position_ms: 0,
        play: true,
    }
}

impl Rig {
    fn load(&self, id: u64, title: &str, position_ms: u32, play: bool) {
        self.player.order(Order::Load {
            id,
            open: opened(title),
            position_ms,
            play,
        });
    }

    fn follow(&self, id: u64, title: &str, consecutive: bool) {
        self.player.order(Order::Next {
            id,
            open: opened(title),
            position_ms: 0,
            consecutive,
        });
    }

    /// Takes exactly so many frames, as fast as they come.
    fn hear(&self, frames: usize) -> Vec<f32> {
        let deadline = Instant::now() + LIMIT;
        let mut heard = Vec::new();
        while heard.len() < frames * 2 {
            let left = frames - heard.len() / 2;
            let piece = self.taker.take(left.min(2048));
            if piece.is_empty() {
                assert!(Instant::now() < deadline, "only {} frames", heard.len() / 2);
                thread::sleep(Duration::from_millis(1));
            }
            heard.extend(piece);
        }
        heard
    }

    /// Takes what comes until this happens.
    fn hear_until(&mut self, wanted: &Event) -> Vec<f32> {
        self.hear_until_such(|event| event == wanted)
    }

    fn hear_until_such(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<f32> {
        let deadline = Instant::now() + LIMIT;
        let mut heard = Vec::new();
        let mut seen = Vec::new();
        loop {
            while let Ok(event) = self.news.try_recv() {
                let found = wanted(&event);
                seen.push(event);
                if found {
                    return heard;
                }
            }
            assert!(Instant::now() < deadline, "not told; but {seen:?}");
            let piece = self.taker.take(1024);
            if piece.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            heard.extend(piece);
        }
    }

    /// The next news that are wanted; others are passed over.
    fn told(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        loop {
            match self.news.try_recv() {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => seen.push(event),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
            assert!(Instant::now() < deadline, "not told; but {seen:?}");
        }
    }

    /// Until the player has done all it can.
    fn settle(&self) {
        self.wait("the player sleeps", || self.player.bell.is_idle());
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done() {
            assert!(Instant::now() < deadline, "never: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_track_comes_out_as_it_was_decoded_and_every_step_is_told() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Tune", 0, true);
    let heard = rig.hear_until(&Event::Ended { id: 1 });
    assert!(heard == straight("Tune"));
    assert!(rig.news.try_recv().is_err());
    assert_eq!(rig.clock.now().position_ms, 8000);
    assert!(!rig.taker.status().running, "the device is free for others");
}

#[test]
fn the_ring_is_half_filled_until_the_first_sample_leaves() {
    let rig = rig(PLAIN);
    rig.load(1, "Long Road", 0, true);
    let stock = |more_than: usize, but_not: usize| {
        rig.settle();
        let stock = rig.clock.stock();
        let (from, to) = (stock.depth * more_than / 10, stock.depth * but_not / 10);
        assert!((from..=to).contains(&stock.frames), "{stock:?}");
    };
    stock(5, 7);
    rig.hear(2048);
    rig.wait("it goes on", || {
        let stock = rig.clock.stock();
        stock.frames > stock.depth * 8 / 10
    });
    stock(9, 10);
}

#[test]
fn two_tracks_join_without_a_sample_between_them() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    rig.follow(2, "Second Half", true);
    let mut heard = rig.hear_until(&Event::Joined { from: 1, to: 2 });
    assert_eq!(rig.clock.now().track, Some(2));
    heard.extend(rig.hear_until(&Event::Ended { id: 2 }));
    let expected = [straight("First Half"), straight("Second Half")].concat();
    assert_eq!(heard.len(), expected.len());
    assert!(heard == expected);
}

#[test]
fn a_pause_loses_nothing_and_goes_on_with_the_next_sample() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    let mut heard = rig.hear(30_000);
    rig.player.order(Order::Pause);
    rig.wait("a pause", || !rig.taker.status().running);
    let rest = rig.taker.take(44_100);
    assert!(rest.len() <= 2 * 220, "a fade and no more");
    heard.extend(rest);
    let Event::Paused { position_ms, .. } = rig.told(|e| matches!(e, Event::Paused { .. })) else {
        unreachable!("asked for");
    };
    let at = heard.len() as u32 / 2 * 10 / 441;
    assert!(position_ms.abs_diff(at) <= 1, "{position_ms} at {at}");
    assert!(rig.taker.take(1000).is_empty());
    rig.player.order(Order::Play);
    let rest = rig.hear_until(&Event::Ended { id: 1 });
    assert_eq!(heard.len() + rest.len(), straight("First Half").len());
    let expected = &straight("First Half")[heard.len()..];
    assert!(rest[2 * 221..] == expected[2 * 221..]);
}

#[test]
fn a_track_that_is_loaded_to_wait_is_told_at_its_beginning_while_the_one_before_fades() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    rig.hear(30_000);
    // Nobody takes the fade: the device is slow.
    rig.load(2, "Tune", 3000, false);
    let paused = rig.told(|event| matches!(event, Event::Paused { id: 2, .. }));
    let Event::Paused { position_ms, .. } = paused else {
        unreachable!("asked for");
    };
    // The fade of what was before is five milliseconds.
    assert!((2995..=3000).contains(&position_ms), "{position_ms}");
}

#[test]
fn a_track_that_is_loaded_to_wait_makes_no_sound_until_it_is_told_to() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Tune", 3000, false);
    let paused = Event::Paused {
        id: 1,
        position_ms: 3000,
    };
    assert!(rig.hear_until(&paused).is_empty());
    assert!(rig.taker.take(10_000).is_empty());
    assert_eq!(rig.clock.now().position_ms, 3000);
    assert_eq!(rig.clock.now().track, Some(1));
    rig.player.order(Order::Play);
    let mut heard = rig.hear_until(&Event::Started { id: 1 });
    heard.extend(rig.hear_until(&Event::Ended { id: 1 }));
    assert_eq!(heard.len(), 5 * 44_100 * 2);
}

#[test]
fn a_seek_drops_what_waits_and_goes_on_exactly_there() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Staircase", 0, true);
    rig.hear(20_000);
    rig.player.order(Order::Seek { ms: 60_000 });
    rig.told(|event| {
        matches!(
            event,
            Event::Sought {
                id: 1,
                position_ms: 60_000
            }
        )
    });
    let heard = rig.hear(10_000);
    let all = straight("Staircase");
    let expected = &all[60_000 * 441 / 10 * 2..];
    // The old place fades for 220 frames, the new one rises for as many.
    assert!(heard[2 * 441..] == expected[2 * 221..heard.len() - 2 * 220]);
    // It counts from when the device took them, and this one is in a hurry.
    rig.wait("the new place", || {
        (60_000..60_250).contains(&rig.clock.now().position_ms)
    });
}

#[test]
fn a_storm_of_seeks_ends_at_the_right_place() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Staircase", 0, true);
    rig.hear(5_000);
    for n in 0..50u32 {
        rig.player.order(Order::Seek {
            ms: n * 7919 % 80_000,
        });
        rig.taker.take(1000);
    }
    rig.player.order(Order::Seek { ms: 81_234 });
    rig.told(|event| {
        matches!(
            event,
            Event::Sought {
                position_ms: 81_234,
                ..
            }
        )
    });
    let heard = rig.hear_until(&Event::Ended { id: 1 });
    let rest = 90 * 44_100 - 81_234 * 441 / 10;
    assert!(
        (heard.len() / 2).abs_diff(rest) <= 220,
        "{}",
        heard.len() / 2
    );
}

#[test]
fn a_storm_of_skips_plays_the_last_one_only() {
    let mut rig = rig(PLAIN);
    for id in 1..30 {
        rig.load(id, "Staircase", 1000, true);
        rig.taker.take(500);
    }
    rig.load(30, "Tune", 0, true);
    rig.settle();
    let heard = rig.hear_until(&Event::Ended { id: 30 });
    let tune = straight("Tune");
    assert!(heard.ends_with(&tune[882..]));
    assert!(heard.len() - tune.len() <= 441, "a fade and no more");
    assert_eq!(rig.clock.now().track, Some(30));
}

#[test]
fn a_seek_just_before_the_joint_stays_in_the_track_that_is_heard() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    rig.follow(2, "Second Half", true);
    let frames = straight("First Half").len() / 2;
    rig.hear(frames - 20_000);
    rig.settle();
    rig.player.order(Order::Seek { ms: 1000 });
    rig.told(|event| matches!(event, Event::Sought { id: 1, .. }));
    let mut heard = rig.hear_until(&Event::Joined { from: 1, to: 2 });
    heard.extend(rig.hear_until(&Event::Ended { id: 2 }));
    let all = frames - 44_100 + straight("Second Half").len() / 2;
    assert!((heard.len() / 2).abs_diff(all) <= 220);
    assert!(heard.ends_with(&straight("Second Half")));
}

#[test]
fn another_next_replaces_one_that_waits_in_the_ring() {
    for drop in [false, true] {
        let mut rig = rig(PLAIN);
        rig.load(1, "First Half", 0, true);
        rig.follow(2, "Staircase", false);
        let all = straight("First Half");
        let mut heard = rig.hear(all.len() / 2 - 20_000);
        rig.settle();
        if drop {
            rig.player.order(Order::DropNext);
            rig.settle();
            heard.extend(rig.hear_until(&Event::Ended { id: 1 }));
            assert!(heard == all);
        } else {
            rig.follow(3, "Second Half", true);
            rig.settle();
            heard.extend(rig.hear_until(&Event::Ended { id: 3 }));
            assert!(heard == [all, straight("Second Half")].concat());
        }
    }
}

#[test]
fn a_crossfade_overlaps_by_its_length_and_the_same_album_is_never_mixed() {
    let settings = PlayerSettings {
        crossfade_ms: 2000,
        ..PLAIN
    };
    let (one, two) = (straight("First Half"), straight("Second Half"));
    for consecutive in [false, true] {
        let mut rig = rig(settings);
        rig.load(1, "First Half", 0, true);
        rig.follow(2, "Second Half", consecutive);
        let heard = rig.hear_until(&Event::Ended { id: 2 });
        let overlap = if consecutive { 0 } else { 88_200 * 2 };
        assert_eq!(heard.len(), one.len() + two.len() - overlap);
        let begin = one.len() - overlap;
        assert!(heard[..begin] == one[..begin]);
        assert!(heard[one.len()..] == two[overlap..]);
        let (middle, half) = (begin + overlap / 2, std::f32::consts::FRAC_1_SQRT_2);
        let mixed = half * (one[middle.min(one.len() - 1)] + two[overlap / 2]);
        assert!(consecutive || (heard[middle] - mixed).abs() < 1e-4);
    }
}

#[test]
fn a_next_that_changes_during_a_crossfade_leaves_no_trace() {
    let settings = PlayerSettings {
        crossfade_ms: 1000,
        ..PLAIN
    };
    let mut rig = rig(settings);
    rig.load(1, "First Half", 0, true);
    rig.follow(2, "Staircase", false);
    let all = straight("First Half");
    let mut heard = rig.hear(all.len() / 2 - 44_100 - 20_000);
    rig.settle();
    rig.player.order(Order::DropNext);
    rig.settle();
    heard.extend(rig.hear_until(&Event::Ended { id: 1 }));
    assert_eq!(heard.len(), all.len());
    assert!(heard == all);
}

#[test]
fn a_slow_source_is_told_of_and_no_sample_is_lost() {
    let mut rig = rig(PLAIN);
    let until = Arc::new(Mutex::new(15_000));
    let memory = Memory {
        until: Some(Arc::clone(&until)),
        ..Memory::new(bytes("First Half"))
    };
    rig.player.order(Order::Load {
        id: 1,
        open: from(memory, "First Half"),
        position_ms: 0,
        play: true,
    });
    let mut heard = rig.hear_until(&Event::Starving { id: 1 });
    assert!(!heard.is_empty());
    *until.lock().expect("no panic") = u64::MAX;
    heard.extend(rig.hear_until(&Event::Flowing { id: 1 }));
    heard.extend(rig.hear_until(&Event::Ended { id: 1 }));
    assert!(heard == straight("First Half"));
}

#[test]
fn a_source_that_fails_is_told_when_what_came_before_was_heard() {
    let mut rig = rig(PLAIN);
    let memory = Memory {
        fails_at: Some(15_000),
        ..Memory::new(bytes("First Half"))
    };
    rig.player.order(Order::Load {
        id: 1,
        open: from(memory, "First Half"),
        position_ms: 0,
        play: true,
    });
    let why = Why::Source("the line is cut".into());
    let heard = rig.hear_until(&Event::Failed { id: 1, why });
    assert!(heard.len() > 44_100);
    // What comes last fades for want of more.
    assert!(straight("First Half").starts_with(&heard[..heard.len() - 2 * 220]));
    let noise = Memory::new(Arc::new(vec![7; 200_000]));
    rig.player.order(Order::Load {
        id: 2,
        open: from(noise, "Tune"),
        position_ms: 0,
        play: true,
    });
    let why = rig.told(|event| matches!(event, Event::Failed { id: 2, .. }));
    assert!(matches!(
        why,
        Event::Failed {
            why: Why::NotAudio(_),
            ..
        }
    ));
}

#[test]
fn a_next_that_cannot_be_played_is_told_early_and_dropped() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Tune", 0, true);
    rig.player.order(Order::Next {
        id: 2,
        open: from(Memory::new(Arc::new(vec![7; 200_000])), "Tune"),
        position_ms: 0,
        consecutive: false,
    });
    rig.told(|event| matches!(event, Event::Failed { id: 2, .. }));
    assert!(rig.hear_until(&Event::Ended { id: 1 }) == straight("Tune"));
}

#[test]
fn a_file_that_breaks_off_is_told_of_and_the_next_one_follows() {
    let mut rig = rig(PLAIN);
    let cut = Arc::new(bytes("First Half")[..15_000].to_vec());
    rig.player.order(Order::Load {
        id: 1,
        open: from(Memory::new(cut), "First Half"),
        position_ms: 0,
        play: true,
    });
    rig.follow(2, "Second Half", true);
    rig.hear_until_such(|event| {
        matches!(
            event,
            Event::BrokenOff {
                id: 1,
                position_ms: 500..
            }
        )
    });
    let heard = rig.hear_until(&Event::Ended { id: 2 });
    assert!(heard.ends_with(&straight("Second Half")));
}

#[test]
fn a_lost_output_holds_the_music_and_a_new_one_gets_the_rest() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    let heard = rig.hear(30_000);
    rig.taker.lose();
    rig.told(|event| *event == Event::OutputLost { id: Some(1) });
    assert!(rig.taker.take(1000).is_empty());
    assert!(rig.taker.status().running, "the device is still wanted");
    rig.taker.come_back();
    rig.told(|event| *event == Event::OutputBack { id: Some(1) });
    let rest = rig.hear_until(&Event::Ended { id: 1 });
    assert_eq!(heard.len() + rest.len(), straight("First Half").len());
}

#[test]
fn a_card_gets_silence_and_fades_where_a_track_is_paused() {
    let rig = rig(PLAIN);
    rig.load(1, "First Half", 1000, true);
    rig.wait("music", || rig.taker.gulp(64).iter().any(|&s| s != 0.0));
    let before = rig.taker.gulp(4096);
    rig.player.order(Order::Pause);
    rig.wait("a pause", || !rig.taker.status().running);
    let after = rig.taker.gulp(4096);
    let step = |samples: &[f32]| {
        let left: Vec<f32> = samples.iter().step_by(2).copied().collect();
        left.windows(2)
            .map(|w| (w[0] - w[1]).abs())
            .fold(0.0, f32::max)
    };
    assert!(step(&[&before[..], &after].concat()) < step(&before) * 1.2 + 0.01);
    assert!(after[2 * 221..].iter().all(|&s| s == 0.0));
}

#[test]
fn other_loudness_holds_from_the_next_sample_on() {
    let mut rig = rig(PlayerSettings {
        normalisation: Normalisation::Track,
        ..PLAIN
    });
    rig.load(1, "Tune", 0, true);
    let heard = rig.hear_until(&Event::Ended { id: 1 });
    let factor = 10f32.powf(-7.0 / 20.0);
    let expected = straight("Tune");
    let same = |(a, b): (&f32, &f32)| (a - b * factor).abs() < 1e-5;
    assert!(heard.iter().zip(&expected).all(same));
}

#[test]
fn stopping_and_dropping_end_at_once() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Staircase", 0, true);
    rig.hear_until(&Event::Started { id: 1 });
    rig.player.order(Order::Stop);
    rig.wait("a stop", || !rig.taker.status().running);
    assert!(rig.taker.take(44_100).len() <= 2 * 220);
    let began = Instant::now();
    drop(rig.player);
    assert!(began.elapsed() < LIMIT);
}

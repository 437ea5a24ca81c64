//! The player on an output whose device is the test itself.

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
    let position = rig.clock.now().position_ms;
    assert!((60_000..60_250).contains(&position), "{position}");
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

const FADING: PlayerSettings = PlayerSettings {
    crossfade_ms: 2000,
    ..PLAIN
};

/// The next track, of which only so many bytes are there.
fn follow_cut(rig: &Rig, title: &str, len: usize) {
    rig.player.order(Order::Next {
        id: 2,
        open: from(Memory::new(Arc::new(bytes(title)[..len].to_vec())), title),
        position_ms: 0,
        consecutive: false,
    });
}

#[test]
fn a_next_that_is_shorter_than_the_crossfade_leaves_the_rest_of_the_one_before() {
    // Some of it; the headers and nothing else; not even those.
    for len in [15_000, 4_400, 300] {
        let mut rig = rig(FADING);
        rig.load(1, "First Half", 0, true);
        follow_cut(&rig, "Second Half", len);
        let one = straight("First Half");
        let over = |event: &Event| match event {
            // What has no sound is told of early, and dropped.
            Event::Ended { id } => *id == if len < 10_000 { 1 } else { 2 },
            _ => false,
        };
        let heard = rig.hear_until_such(over);
        assert_eq!(heard.len(), one.len(), "{len}");
        let begin = one.len() - 88_200 * 2;
        assert!(heard[..begin] == one[..begin], "{len}");
        let peak = heard[one.len() - 200..]
            .iter()
            .fold(0f32, |m, x| m.max(x.abs()));
        assert!(len < 10_000 || peak < 0.05, "it has faded: {peak}");
        assert!(len > 10_000 || heard == one, "{len}: nothing to fade into");
    }
}

#[test]
fn a_next_without_any_sound_that_comes_too_late_to_be_dropped_is_over_at_once() {
    let mut rig = rig(PLAIN);
    rig.load(1, "First Half", 0, true);
    let all = straight("First Half");
    let heard = rig.hear(all.len() / 2 - 2_000);
    rig.settle();
    follow_cut(&rig, "Second Half", 300);
    let rest = rig.hear_until_such(|event| {
        matches!(event, Event::Ended { .. } | Event::Failed { id: 2, .. })
    });
    assert!(heard.len() + rest.len() <= all.len());
    rig.follow(3, "Tune", false);
    let more = rig.hear_until(&Event::Ended { id: 3 });
    assert!(more.ends_with(&straight("Tune")));
}

#[test]
fn a_pause_in_a_crossfade_loses_nothing_and_a_skip_in_one_begins_the_next_anew() {
    let (one, two) = (straight("First Half"), straight("Second Half"));
    let middle = one.len() / 2 - 44_100;
    let fading = || {
        let rig = rig(FADING);
        rig.load(1, "First Half", 0, true);
        rig.follow(2, "Second Half", false);
        rig
    };
    let mut plain = fading();
    let wanted = plain.hear_until(&Event::Ended { id: 2 });

    let mut rig = fading();
    let mut heard = rig.hear(middle);
    rig.player.order(Order::Pause);
    heard.extend(rig.hear_until_such(|event| matches!(event, Event::Paused { id: 2, .. })));
    rig.player.order(Order::Play);
    heard.extend(rig.hear_until(&Event::Ended { id: 2 }));
    assert_eq!(heard.len(), wanted.len(), "no sample more or less");

    let mut rig = fading();
    rig.hear(middle);
    rig.settle();
    rig.player.order(Order::Skip {
        id: 2,
        position_ms: 0,
        play: true,
    });
    rig.settle();
    let heard = rig.hear_until(&Event::Ended { id: 2 });
    // Before it comes the fade of what was heard.
    assert!(heard.ends_with(&two[882..]));
    assert!(heard.len() - two.len() <= 441);

    // Back into what fades, while it fades: both begin where they should.
    let mut rig = fading();
    rig.hear(one.len() / 2 - 88_200 - 4_000);
    rig.settle();
    rig.player.order(Order::Seek { ms: 500 });
    rig.told(|event| matches!(event, Event::Sought { id: 1, .. }));
    let mut heard = rig.hear_until(&Event::Joined { from: 1, to: 2 });
    heard.extend(rig.hear_until(&Event::Ended { id: 2 }));
    assert!(heard.ends_with(&wanted[wanted.len() - two.len()..]));
}

#[test]
fn tracks_of_other_rates_and_in_mono_join_without_a_gap() {
    // A second of a tone at each rate; an episode at 48 kHz among music at 44.1, and back.
    let tone = |rate: u32| -> Vec<f32> {
        let step = 440.0 * std::f32::consts::TAU / rate as f32;
        (0..rate).map(|n| 0.5 * (n as f32 * step).sin()).collect()
    };
    let file = |rate: u32, channels: usize| {
        let file = testing::encode(rate, &vec![tone(rate); channels]);
        Opened {
            source: Box::new(Memory::new(Arc::new(file))),
            kind: Kind::Vorbis,
            duration_ms: 1_000,
            by_album: false,
            gain: Gain::default(),
        }
    };
    let mut rig = rig(PLAIN);
    let kinds = [
        (44_100, 2),
        (48_000, 2),
        (48_000, 1),
        (44_100, 1),
        (22_050, 2),
        (44_100, 2),
    ];
    let mut heard = Vec::new();
    for (id, (rate, channels)) in (1..).zip(kinds) {
        let (open, position_ms) = (file(rate, channels), 0);
        if id == 1 {
            let play = true;
            rig.player.order(Order::Load {
                id,
                open,
                position_ms,
                play,
            });
            continue;
        }
        let consecutive = true;
        rig.player.order(Order::Next {
            id,
            open,
            position_ms,
            consecutive,
        });
        let joint = Event::Joined {
            from: id - 1,
            to: id,
        };
        heard.extend(rig.hear_until(&joint));
    }
    heard.extend(rig.hear_until(&Event::Ended { id: 6 }));
    let frames = heard.len() / 2;
    assert!(frames.abs_diff(6 * 44_100) <= 6, "{frames}");
    // Nowhere is it silent: not at the joints either.
    let quiet = |window: &[f32]| window.iter().fold(0f32, |most, x| most.max(x.abs())) < 0.3;
    let middle = &heard[2_000..heard.len() - 2_000];
    assert!(!middle.chunks(400).any(quiet));
}

#[test]
fn a_seek_in_the_moment_of_a_joint_tells_of_the_joint_first() {
    let (inlet, taker, _) = output();
    let mut deck = Deck::new(inlet, PLAIN);
    let open = || opened("First Half");
    deck.order(Order::Load {
        id: 1,
        open: open(),
        position_ms: 0,
        play: true,
    });
    deck.order(Order::Next {
        id: 2,
        open: open(),
        position_ms: 0,
        consecutive: true,
    });
    let deadline = Instant::now() + LIMIT;
    // The listener has passed the joint, and nobody has looked yet.
    while deck
        .tail
        .as_ref()
        .is_none_or(|tail| deck.inlet.look().heard <= tail.index)
    {
        deck.pump();
        taker.take(1024);
        assert!(Instant::now() < deadline, "no joint");
    }
    deck.order(Order::Seek { ms: 1000 });
    while !deck
        .news
        .iter()
        .any(|news| matches!(news, Event::Sought { .. }))
    {
        deck.pump();
        assert!(Instant::now() < deadline, "no place");
    }
    let told: Vec<_> = deck.news.drain(..).collect();
    let sought = Event::Sought {
        id: 2,
        position_ms: 1000,
    };
    assert_eq!(told, [Event::Joined { from: 1, to: 2 }, sought]);
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
    rig.hear(1000);
    rig.player.order(Order::Stop);
    rig.wait("a stop", || !rig.taker.status().running);
    assert!(rig.taker.take(44_100).len() <= 2 * 220);
    let began = Instant::now();
    drop(rig.player);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(rig.news.try_recv(), Ok(Event::Started { id: 1 }));
}

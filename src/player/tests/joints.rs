//! Where one track becomes another, at odd moments and with odd tracks.

use super::*;

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
        // As slowly as a device takes it: the player falls asleep after every piece.
        let mut heard = Vec::new();
        while heard.len() < one.len() - 10_000 {
            heard.extend(rig.hear(2_000));
            rig.settle();
        }
        heard.extend(rig.hear_until_such(over));
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
fn an_end_that_fills_the_ring_to_its_last_frame_is_an_end_like_any_other() {
    let all = straight("Tune");
    let mut rig = rig(PLAIN);
    rig.load(1, "Tune", 0, true);
    rig.follow(2, "First Half", false);
    rig.hear(30_000);
    rig.player.order(Order::Pause);
    rig.hear_until_such(|event| matches!(event, Event::Paused { .. }));
    // The ring is empty after this, and holds a second.
    rig.player.order(Order::Seek { ms: 7_000 });
    rig.told(|event| matches!(event, Event::Sought { .. }));
    rig.settle();
    assert_eq!(rig.clock.stock().frames, rig.clock.stock().depth);
    rig.player.order(Order::Play);
    let mut heard = rig.hear_until(&Event::Joined { from: 1, to: 2 });
    heard.extend(rig.hear_until(&Event::Ended { id: 2 }));
    let expected = [&all[7 * 88_200 + 441..], &straight("First Half")].concat();
    assert!(heard[441..] == expected);
}

#[test]
fn whoever_plays_on_behind_the_end_is_told_of_the_end_again() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Tone 7", 3_900, true);
    rig.hear_until(&Event::Ended { id: 1 });
    rig.player.order(Order::Pause);
    rig.told(|event| matches!(event, Event::Paused { .. }));
    rig.player.order(Order::Play);
    rig.told(|event| *event == Event::Ended { id: 1 });
    assert!(!rig.taker.status().running, "the device is free for others");
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
fn the_end_of_a_track_is_told_as_its_own_though_the_next_one_has_followed_in_the_ring() {
    let mut rig = rig(PLAIN);
    rig.load(1, "Tune", 7500, true);
    rig.follow(2, "Tone 7", false);
    rig.settle();
    rig.hear(2048);
    assert_eq!(rig.told(|_| true), Event::Started { id: 1 });
    rig.hear_until(&Event::Joined { from: 1, to: 2 });
}

//! Whole files: against another decoder, sought in, damaged, cut.

use std::sync::Arc;

use proptest::prelude::*;
use spotify_sim::catalogue::{Quality, SERVICE_PAGE_LEN};

use crate::{
    decode::{
        DecodeError, Decoder, Ending, Kind, Progress,
        testing::{
            Bytes, Memory, all, encode, file, open, reference, some, track, without_service_page,
        },
    },
    fuzz::sound::check,
};

fn decoder(bytes: &Bytes, title: &str, start_ms: u32) -> Decoder {
    open(bytes, Kind::Vorbis, track(title).duration_ms(), start_ms)
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn every_sample_is_that_of_another_decoder() {
    for (title, quality) in [
        ("Tune", Quality::Kbps96),
        ("Tune", Quality::Kbps160),
        ("Full Scale", Quality::Kbps320),
        ("First Half", Quality::Kbps320),
    ] {
        let bytes = file(title, quality);
        let (ours, ending) = all(&mut decoder(&bytes, title, 0));
        let theirs = reference(without_service_page(&bytes));
        assert_eq!(ending, Ending::Whole);
        assert_eq!(ours.len() as u64 / 2, track(title).frames());
        let worst = worst(&ours, &theirs) * 32_768.0;
        assert!(worst < 0.1, "{title}: {worst} steps of 16 bit");
    }
}

#[test]
fn two_halves_of_one_sweep_are_together_exactly_as_long_and_join_smoothly() {
    let half = |title| all(&mut decoder(&file(title, Quality::Kbps320), title, 0)).0;
    let (one, two) = (half("First Half"), half("Second Half"));
    let frames = track("First Half").frames() + track("Second Half").frames();
    assert_eq!((one.len() + two.len()) as u64, frames * 2);
    let joined: Vec<f32> = one.iter().chain(&two).step_by(2).copied().collect();
    let at = one.len() / 2;
    let steepest = |range: std::ops::Range<usize>| {
        joined[range]
            .windows(2)
            .map(|w| (w[0] - w[1]).abs())
            .fold(0.0, f32::max)
    };
    let (here, around) = (steepest(at - 8..at + 8), steepest(at - 4000..at + 4000));
    assert!(here < around * 1.1 && around < 0.3, "{here} in {around}");
}

/// Targets all over a track, its first and last 100 ms included.
fn targets(ms: u32, count: u32) -> Vec<u32> {
    let step = u64::from(ms) / u64::from(count);
    let mut targets: Vec<u32> = (0..count)
        .map(|n| (u64::from(n) * step + u64::from(n * 7919) % step.max(1)) as u32)
        .collect();
    targets.extend([1, 40, 69, 70, 71, 100, ms - 100, ms - 30, ms - 1]);
    targets
}

fn seeks(bytes: &Bytes, duration_ms: u32, most: usize) {
    let straight = all(&mut open(bytes, Kind::Vorbis, duration_ms, 0)).0;
    let (mut worst, mut fetched) = (0, 0);
    for ms in targets(duration_ms, 40) {
        let memory = Memory::new(Arc::clone(bytes));
        let log = Arc::clone(&memory.log);
        let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, duration_ms, 0);
        some(&mut decoder, 100);
        let before = log.lock().expect("no panic").requests.clone();
        decoder.seek(ms);
        let (heard, _) = some(&mut decoder, 5000);
        let at = ms as usize * 441 / 10;
        let expected = &straight[at * 2..(at * 2 + heard.len()).min(straight.len())];
        assert!(heard == expected, "not the samples at {ms} ms");
        let after = log.lock().expect("no panic").requests.clone();
        worst = worst.max(after.len() - before.len());
        let sum = |r: &[(u64, u64)]| r.iter().map(|(from, to)| to - from).sum::<u64>();
        fetched = fetched.max(sum(&after) - sum(&before));
    }
    assert!(worst <= most, "{worst} requests for one seek");
    println!("worst: {worst} requests, {fetched} bytes");
}

#[test]
fn a_seek_with_the_services_table_is_exact_and_takes_one_request() {
    for title in ["Long Road", "Staircase"] {
        let bytes = file(title, Quality::Kbps320);
        seeks(&bytes, track(title).duration_ms(), 1);
    }
}

#[test]
fn a_seek_without_a_table_is_exact_and_takes_two_requests() {
    for (title, quality) in [
        ("Long Road", Quality::Kbps96),
        ("Staircase", Quality::Kbps160),
    ] {
        let bytes = file(title, quality);
        let bytes = Arc::new(without_service_page(&bytes).to_vec());
        seeks(&bytes, track(title).duration_ms(), 2);
    }
}

#[test]
fn a_lying_or_empty_table_costs_a_request_but_no_accuracy() {
    let good = file("Staircase", Quality::Kbps160);
    let clean = without_service_page(&good).to_vec();
    for step in [0u8, 3, 200] {
        let mut packet = vec![0x81, 110, 0, 0];
        packet.extend(((track("Staircase").frames()) as u32).to_le_bytes());
        packet.extend((clean.len() as u32).to_le_bytes());
        packet.push(0);
        // All zero; implausible; plausible but wrong: everything lies in the first half.
        packet.extend((0..100).map(|n| if n < 50 { step } else { 0 }));
        let bytes = Arc::new([page(&packet), clean.clone()].concat());
        seeks(&bytes, track("Staircase").duration_ms(), 6);
    }
}

/// A page of its own around a packet.
fn page(packet: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0\x06".to_vec();
    page.extend([0; 20]);
    page.extend([1, packet.len() as u8]);
    page.extend(packet);
    let sum = page.iter().fold(0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |s, _| match s >> 31 {
            0 => s << 1,
            _ => s << 1 ^ 0x04c1_1db7,
        })
    });
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

#[test]
fn a_start_in_the_middle_takes_the_headers_and_one_request_more() {
    let bytes = file("Long Road", Quality::Kbps320);
    let memory = Memory::new(Arc::clone(&bytes));
    let log = Arc::clone(&memory.log);
    let duration_ms = track("Long Road").duration_ms();
    let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, duration_ms, 100_000);
    some(&mut decoder, 1);
    let requests = log.lock().expect("no panic").requests.clone();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(decoder.position() >= 4_410_000 && decoder.position() < 4_420_000);
    let gains = decoder.gains().expect("gains");
    assert_eq!((gains.track_db, gains.album_db), (-7.0, -4.5));
}

#[test]
fn the_first_samples_need_the_beginning_of_the_file_and_nothing_else() {
    let bytes = file("Long Road", Quality::Kbps320);
    let memory = Memory::new(Arc::clone(&bytes));
    let log = Arc::clone(&memory.log);
    let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, 0, 0);
    some(&mut decoder, 1);
    let requests = log.lock().expect("no panic").requests.clone();
    assert!(
        requests.len() == 1 && requests[0].1 <= 32_768,
        "{requests:?}"
    );
}

#[test]
fn seeking_back_and_forth_within_what_was_played_is_exact() {
    let bytes = file("Staircase", Quality::Kbps160);
    let straight = all(&mut decoder(&bytes, "Staircase", 0)).0;
    let memory = Memory::new(Arc::clone(&bytes));
    let log = Arc::clone(&memory.log);
    let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, 0, 0);
    some(&mut decoder, 44_100 * 30);
    let played = log.lock().expect("no panic").requests.clone();
    for ms in [20_000, 500, 29_000, 12_345, 0, 3] {
        decoder.seek(ms);
        assert_eq!(decoder.position(), u64::from(ms) * 441 / 10);
        let (heard, _) = some(&mut decoder, 3000);
        let at = ms as usize * 441 / 10 * 2;
        assert!(heard == straight[at..at + heard.len()], "{ms} ms");
    }
    assert_eq!(log.lock().expect("no panic").requests.len(), played.len());
}

#[test]
fn a_seek_behind_the_end_is_the_end_and_one_back_works_again() {
    let bytes = file("Tune", Quality::Kbps160);
    let mut decoder = decoder(&bytes, "Tune", 0);
    for ms in [8_000, 8_500, 100_000, u32::MAX] {
        decoder.seek(ms);
        assert_eq!(all(&mut decoder), (vec![], Ending::Whole), "{ms}");
    }
    decoder.seek(7_900);
    let (rest, ending) = all(&mut decoder);
    assert_eq!((rest.len(), ending), (4410 * 2, Ending::Whole));
}

#[test]
fn a_source_that_hesitates_changes_no_sample() {
    let bytes = file("Tune", Quality::Kbps160);
    let straight = all(&mut decoder(&bytes, "Tune", 0)).0;
    for (most, not_yet) in [(1000, 2), (4096, 3), (77, 2)] {
        let memory = Memory {
            most,
            not_yet,
            ..Memory::new(Arc::clone(&bytes))
        };
        let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, 8000, 0);
        assert!(all(&mut decoder).0 == straight);
        decoder.seek(5000);
        assert!(all(&mut decoder).0 == straight[220_500 * 2..]);
    }
}

#[test]
fn a_source_that_fails_is_passed_on_after_what_came_before() {
    let bytes = file("Tune", Quality::Kbps160);
    let memory = Memory {
        fails_at: Some(60_000),
        ..Memory::new(Arc::clone(&bytes))
    };
    let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, 8000, 0);
    let mut out = Vec::new();
    let error = loop {
        match decoder.decode(&mut out, std::time::Duration::ZERO) {
            Ok(Progress::More) => {}
            other => break other,
        }
    };
    assert_eq!(error, Err(DecodeError::Source("the line is cut".into())));
    assert!(out.len() > 44_100);
}

#[test]
fn mono_and_other_rates_come_out_as_stereo_at_ours() {
    let tone = |rate: u32| -> Vec<f32> {
        (0..rate * 2)
            .map(|n| (n as f32 * 500.0 / rate as f32 * std::f32::consts::TAU).sin() * 0.4)
            .collect()
    };
    for rate in [22_050, 44_100, 48_000] {
        let bytes = Arc::new(encode(rate, &[tone(rate)]));
        let mut decoder = open(&bytes, Kind::Vorbis, 0, 0);
        let (out, ending) = all(&mut decoder);
        assert_eq!((out.len(), ending), (88_200 * 2, Ending::Whole), "{rate}");
        assert!(out.chunks(2).all(|frame| frame[0] == frame[1]));
        let left: Vec<f32> = out.iter().step_by(2).copied().collect();
        let wanted = tone(44_100);
        assert!(worst(&left[4410..80_000], &wanted[4410..80_000]) < 0.05);
        decoder.seek(1000);
        let rest = all(&mut decoder).0;
        assert_eq!(rest.len(), 44_100 * 2);
        assert!(worst(&rest[4410..40_000], &out[88_200 + 4410..88_200 + 40_000]) < 0.001);
    }
}

#[test]
fn a_lost_page_is_silence_and_the_position_is_right_behind_it() {
    // Dense enough for pages of a tenth of a second.
    let hiss = |seed: u32| -> Vec<f32> {
        (0..200_000u32)
            .map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 1e8 - 0.08)
            .collect()
    };
    let bytes = Arc::new(encode(44_100, &[hiss(1), hiss(77)]));
    let straight = all(&mut open(&bytes, Kind::Vorbis, 0, 0)).0;
    let mut damaged = bytes.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let (out, ending) = all(&mut open(&Arc::new(damaged), Kind::Vorbis, 0, 0));
    assert_eq!((out.len(), ending), (straight.len(), Ending::Whole));
    let differ = out.iter().zip(&straight).filter(|(a, b)| a != b).count();
    assert!((2000..2 * 40_000).contains(&differ), "{differ}");
    assert!(out.iter().all(|sample| sample.abs() < 1.0));
    let tail = out.len() - 20_000;
    assert!(out[tail..] == straight[tail..]);
}

#[test]
fn a_file_that_is_no_music_is_refused_without_reading_all_of_it() {
    let noise: Vec<u8> = (0..2_000_000u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let memory = Memory::new(Arc::new(noise));
    let log = Arc::clone(&memory.log);
    let mut decoder = Decoder::open(Box::new(memory), Kind::Vorbis, 0, 0);
    let answer = decoder.decode(&mut Vec::new(), std::time::Duration::ZERO);
    assert!(
        matches!(answer, Err(DecodeError::NotAudio(_))),
        "{answer:?}"
    );
    let read = log.lock().expect("no panic").requests[0].1;
    assert!(read < 100_000, "{read} bytes");
}

/// Decodes whatever it is; says how much came out and how it ended.
fn survive(bytes: Vec<u8>, duration_ms: u32, start_ms: u32) -> (Vec<f32>, Option<Ending>) {
    let mut decoder = open(&Arc::new(bytes), Kind::Vorbis, duration_ms, start_ms);
    let mut out = Vec::new();
    loop {
        let begin = out.len();
        let came = decoder.decode(&mut out, std::time::Duration::ZERO);
        check(&out[begin..]);
        match came {
            Ok(Progress::More) => {}
            Ok(Progress::End(ending)) => return (out, Some(ending)),
            Err(_) => return (out, None),
        }
        assert!(out.len() < 44_100 * 2 * 60, "it never ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_file_cut_anywhere_plays_as_far_as_it_goes(share in 0.0f64..1.0) {
        let bytes = file("Tune", Quality::Kbps160);
        let straight = reference(without_service_page(&bytes));
        let len = (bytes.len() as f64 * share) as usize;
        let (out, ending) = survive(bytes[..len].to_vec(), 8000, 0);
        prop_assert!(out.len() <= straight.len());
        prop_assert!(ending != Some(Ending::Whole));
        prop_assert!(worst(&out, &straight[..out.len()]) < 1e-5);
        prop_assert!(out.len() as f64 > (share - 0.15) * straight.len() as f64);
    }

    #[test]
    fn flipped_bits_cost_their_page_and_nothing_else(
        flips in proptest::collection::vec((0.2f64..1.0, 0u8..8), 1..6),
    ) {
        let bytes = file("Tune", Quality::Kbps160);
        let straight = reference(without_service_page(&bytes));
        let mut damaged = bytes.to_vec();
        for (share, bit) in flips {
            let at = (damaged.len() as f64 * share) as usize;
            damaged[at] ^= 1 << bit;
        }
        let (out, _) = survive(damaged, 8000, 0);
        prop_assert!(out.len() <= straight.len());
        let wrong = |n: &usize| (out[*n] - straight[*n]).abs() > 1e-5;
        let silent = |n: &usize| out[*n].abs() <= straight[*n].abs() + 0.5;
        prop_assert!((0..out.len()).filter(wrong).all(|n| silent(&n)));
        let spoilt = (0..out.len()).filter(wrong).count();
        prop_assert!(spoilt < 6 * 2 * 70_000, "{spoilt}");
    }

    #[test]
    fn damaged_packets_behind_a_good_checksum_never_become_noise(
        seed in any::<u64>(),
    ) {
        let bytes = file("Tune", Quality::Kbps160);
        let mut damaged = bytes.to_vec();
        let mut random = seed | 1;
        rewrite_pages(&mut damaged, |body| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 33) as usize % body.len().max(1);
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << (random % 8);
            }
        });
        let (out, ending) = survive(damaged, 8000, 0);
        if ending.is_some() {
            prop_assert_eq!(out.len() as u64 / 2, track("Tune").frames());
        }
    }

    #[test]
    fn random_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
        magic in proptest::collection::vec(0usize..20_000, 0..40),
        start in 0u32..100_000,
    ) {
        for at in magic {
            if let Some(place) = bytes.get_mut(at..at + 6) {
                place.copy_from_slice(b"OggS\0\0");
            }
        }
        survive(bytes, 8000, start);
    }

    #[test]
    fn random_bytes_behind_good_headers_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
        start in 0u32..10_000,
    ) {
        let good = file("Tune", Quality::Kbps160);
        let file = [&good[..12_000], &bytes, &good[12_000..40_000]].concat();
        survive(file, 8000, start);
    }
}

/// Changes the bodies of the audio pages and makes their checksums good again.
fn rewrite_pages(file: &mut [u8], mut change: impl FnMut(&mut [u8])) {
    let mut at = SERVICE_PAGE_LEN;
    let mut number = 0;
    while at + 27 <= file.len() {
        let segments = usize::from(file[at + 26]);
        let body: usize = file[at + 27..at + 27 + segments]
            .iter()
            .map(|&l| usize::from(l))
            .sum();
        let (head, end) = (at + 27 + segments, at + 27 + segments + body);
        if number > 3 {
            change(&mut file[head..end]);
            file[at + 22..at + 26].fill(0);
            let sum = file[at..end].iter().fold(0u32, |sum, &byte| {
                (0..8).fold(sum ^ u32::from(byte) << 24, |s, _| match s >> 31 {
                    0 => s << 1,
                    _ => s << 1 ^ 0x04c1_1db7,
                })
            });
            file[at + 22..at + 26].copy_from_slice(&sum.to_le_bytes());
        }
        number += 1;
        at = end;
    }
}

use super::*;
use crate::catalogue::tests::decode;
use crate::catalogue::{Catalogue, Quality, Song};

const TENTH: usize = 4_410;

fn source(album: &str, number: usize) -> Vec<Frame> {
    Catalogue::standard().titled(album).tracks[number]
        .samples()
        .to_vec()
}

fn scaled(frames: &[Frame], by: f32) -> Vec<Frame> {
    frames.iter().map(|f| f.map(|s| s * by)).collect()
}

fn silence(frames: usize) -> Vec<Frame> {
    vec![[0.0; 2]; frames]
}

#[test]
fn raw_captures_are_read_to_the_last_whole_frame() {
    assert_eq!(from_s16(&[0, 0x40, 0, 0xc0, 1]), [[0.5, -0.5]]);
    assert_eq!(from_s32(&[0, 0, 0, 0x40, 0, 0, 0, 0x80]), [[0.5, -1.0]]);
    assert_eq!(
        from_f32(&[0.25f32.to_le_bytes(), (-1.5f32).to_le_bytes()].concat()),
        [[0.25, -1.5]]
    );
}

fn wav(kind: u16, channels: u16, bits: u16, size: u32, data: &[u8]) -> Vec<u8> {
    let rate = 48_000u32;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(kind.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend([0; 6]);
    file.extend(bits.to_le_bytes());
    file.extend(b"LIST\x03\0\0\0abc\0data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn wav_files_are_read_in_the_usual_kinds() {
    assert_eq!(
        parse_wav(&wav(1, 2, 16, 4, &[0, 0x40, 0, 0xc0])).unwrap(),
        (vec![[0.5, -0.5]], 48_000)
    );
    assert_eq!(
        parse_wav(&wav(1, 1, 24, 3, &[0, 0, 0x40])).unwrap().0,
        [[0.5, 0.5]]
    );
    assert_eq!(
        parse_wav(&wav(3, 2, 32, 8, &[0; 8])).unwrap().0,
        [[0.0, 0.0]]
    );
    // A recorder that was killed leaves a length of nought, or far too much.
    assert_eq!(parse_wav(&wav(1, 2, 16, 0, &[0; 8])).unwrap().0.len(), 2);
    assert_eq!(
        parse_wav(&wav(1, 2, 16, u32::MAX, &[0; 8]))
            .unwrap()
            .0
            .len(),
        2
    );
    assert!(
        parse_wav(&wav(1, 2, 8, 4, &[0; 4]))
            .unwrap_err()
            .to_string()
            .contains("8 bits")
    );
    assert!(parse_wav(b"nonsense").is_err());
}

#[test]
fn sound_and_silence_are_told_apart_at_the_frame() {
    let tone = vec![[0.5, 0.5]; 3_000];
    let capture = [
        silence(1_000),
        tone.clone(),
        silence(500),
        tone,
        silence(2_000),
    ]
    .concat();
    let found = playing(&capture);
    let bounds: Vec<_> = found.iter().map(|r| (r.from, r.to)).collect();
    assert_eq!(bounds, [(1_000, 4_000), (4_500, 7_500)]);
    assert_eq!(runs(&capture, 0.001, 441).len(), 5);
    // A gap shorter than asked for is none.
    assert_eq!(
        runs(&capture, 0.001, 600)
            .iter()
            .filter(|r| r.sound)
            .count(),
        1
    );
    assert!(playing(&silence(1_000)).is_empty());
}

#[test]
fn a_pitch_is_found_to_a_part_of_a_hertz() {
    for hz in [300.0, 997.0, 4_400.0, 7_000.3] {
        let tone: Vec<f32> = (0..TENTH)
            .map(|i| (0.01 * (std::f64::consts::TAU * hz * i as f64 / 44_100.0).sin()) as f32)
            .collect();
        let found = dominant(&tone).unwrap();
        assert!((found - hz).abs() < 0.2, "{hz}: {found}");
        let level = magnitude_at(&tone, hz);
        assert!((level - 0.01).abs() < 1e-4, "{level}");
        assert!(magnitude_at(&tone, hz + 200.0) < 1e-4);
    }
    assert_eq!(dominant(&vec![0.0; TENTH]), None);
}

#[test]
fn the_level_is_that_of_a_meter() {
    assert!((level_db([1.0, -1.0].into_iter()) - 0.0).abs() < 1e-9);
    assert!((level_db([0.1, -0.1].into_iter()) + 20.0).abs() < 1e-4);
}

#[test]
fn every_tone_track_is_recognised_from_fifty_milliseconds_at_any_volume() {
    let catalogue = Catalogue::standard();
    for track in catalogue
        .tracks()
        .filter(|t| matches!(t.song, Song::Tones { .. } | Song::FullScale { .. }))
    {
        let samples = track.samples();
        let window = scaled(&samples[30_000..32_205], 0.05);
        let heard = recognise(&window, &catalogue).unwrap();
        assert_eq!(
            (heard.track.uri(), heard.placement),
            (track.uri(), Placement::Straight)
        );
    }
}

#[test]
fn the_other_tracks_are_recognised_too() {
    let catalogue = Catalogue::standard();
    for (title, number, at) in [
        ("Staircase", 0, 100_000),
        ("Halves", 0, 200_000),
        ("Halves", 1, 20_000),
        ("Tune", 0, 50_000),
        ("Long", 0, 3_000_000),
    ] {
        let track = catalogue.titled(title).tracks[number].clone();
        let window = track.samples()[at..at + 33_000].to_vec();
        let heard = which_track(&window, &catalogue).map(|t| t.title.clone());
        assert_eq!(heard.as_deref(), Some(track.title.as_str()));
    }
    assert!(which_track(&silence(TENTH), &catalogue).is_none());
}

#[test]
fn swapped_and_mixed_channels_are_noticed() {
    let catalogue = Catalogue::standard();
    let window = source("Tones", 2)[50_000..55_000].to_vec();
    let swapped: Vec<_> = window.iter().map(|f| [f[1], f[0]]).collect();
    assert_eq!(
        recognise(&swapped, &catalogue).unwrap().placement,
        Placement::Swapped
    );
    let mono: Vec<_> = window.iter().map(|f| [f[0], f[0]]).collect();
    assert_eq!(
        recognise(&mono, &catalogue).unwrap().placement,
        Placement::Mono
    );
}

#[test]
fn a_tenth_of_a_second_of_the_staircase_tells_the_position_to_two_milliseconds() {
    let samples = source("Staircase", 0);
    for at in [5_000usize, 44_100, 777_777, 2_000_001, 3_900_000] {
        for length in [TENTH, 4 * TENTH] {
            let position = position_of(&scaled(&samples[at..at + length], 0.2)).unwrap();
            let wanted = (at + length / 2) as f64 / 44_100.0;
            assert!(
                (position - wanted).abs() < 0.002,
                "{wanted} heard as {position}"
            );
        }
    }
    assert_eq!(position_of(&source("Short", 0)[..TENTH]), None);
}

#[test]
fn a_source_is_found_at_the_frame_wherever_it_begins() {
    for (album, number) in [("Short", 3), ("Tune", 0), ("Halves", 0)] {
        let samples = source(album, number);
        let late = [silence(12_345), scaled(&samples, 0.3), silence(777)].concat();
        let found = align(&late, &samples).unwrap();
        assert_eq!(found.lag, 12_345, "{album}");
        let difference = compare(&late, &samples, found.lag);
        assert_eq!(difference.frames, samples.len());
        assert!(
            (difference.gain - 0.3).abs() < 1e-6 && difference.max_error < 1e-6,
            "{difference:?}"
        );
    }
    // The capture began when the music was already playing.
    let samples = source("Tune", 0);
    assert_eq!(align(&samples[10_000..], &samples).unwrap().lag, -10_000);
}

#[test]
fn another_track_is_not_mistaken_for_the_source() {
    let wrong = align(&source("Short", 1), &source("Short", 2)).unwrap_err();
    assert!(matches!(wrong, ListenError::NotThere { .. }), "{wrong}");
    assert!(
        align(&silence(10), &source("Short", 2))
            .unwrap_err()
            .to_string()
            .contains("too few")
    );
}

#[test]
fn a_wrong_sample_is_pointed_at() {
    let samples = source("Short", 0);
    let mut capture = samples.clone();
    capture[70_000][1] += 0.2;
    let difference = compare(&capture, &samples, 0);
    assert_eq!(difference.worst_at, 70_000);
    assert!((difference.max_error - 0.2).abs() < 0.001, "{difference:?}");
}

#[test]
fn missing_and_added_frames_at_a_joint_are_counted() {
    let (first, second) = (source("Halves", 0), source("Halves", 1));
    let judged = |middle: &[Frame], cut: usize| {
        let capture = [
            silence(500),
            first.clone(),
            middle.to_vec(),
            second[cut..].to_vec(),
        ]
        .concat();
        joint(&capture, &first, &second[cut..]).map(|j| (j.expected, j.added))
    };
    let end = 500 + first.len() as i64;
    assert_eq!(judged(&[], 0).unwrap(), (end, 0));
    assert_eq!(judged(&silence(128), 0).unwrap(), (end, 128));
    // The first 64 frames of the second half were swallowed.
    let capture = [&first[..], &second[64..]].concat();
    let found = joint(&capture, &first, &second[64..]).unwrap();
    assert_eq!(found.added, 0);
    let swallowed = [&first[..first.len() - 64], &second[..]].concat();
    assert!(joint(&swallowed, &first, &second).is_ok_and(|j| j.added < 0));
}

#[test]
fn a_click_is_found_and_music_has_none() {
    for (album, number) in [
        ("Short", 0),
        ("Dozen", 11),
        ("Staircase", 0),
        ("Halves", 0),
        ("Tune", 0),
    ] {
        let samples = &source(album, number)[..150_000];
        assert_eq!(clicks(samples, 0.01), [], "{album}");
    }
    let mut broken = source("Short", 0);
    broken.drain(60_000..60_030);
    let found = clicks(&broken, 0.01);
    assert!(
        !found.is_empty() && found.iter().all(|c| c.at.abs_diff(60_000) < 5),
        "{found:?}"
    );
    let mut hole = source("Tones", 0)[..100_000].to_vec();
    hole[50_000..50_400].fill([0.0; 2]);
    assert!(!clicks(&hole, 0.01).is_empty());
}

#[test]
fn a_wave_that_touches_full_scale_is_not_clipped_but_one_beyond_is() {
    let samples = source("Loud", 0);
    assert_eq!(clipped(&samples), 0);
    let cut: Vec<_> = samples
        .iter()
        .map(|f| f.map(|s| (s * 1.2).clamp(-1.0, 1.0)))
        .collect();
    assert!(clipped(&cut) > 1_000);
}

#[test]
fn all_of_it_holds_for_music_that_went_through_the_codec() {
    let catalogue = Catalogue::standard();
    for quality in [Quality::Kbps96, Quality::Kbps320] {
        let track = |title: &str, number: usize| catalogue.titled(title).tracks[number].clone();
        let played = |title, number| decode(&track(title, number).plain_file(quality));
        for number in [0, 5] {
            let music = played("Short", number);
            assert_eq!(clicks(&music, 0.01), [], "{quality:?}");
            let heard = which_track(&music[80_000..84_410], &catalogue).unwrap();
            assert_eq!(heard.uri(), track("Short", number).uri());
            assert_eq!(
                align(&music, &track("Short", number).samples())
                    .unwrap()
                    .lag,
                0
            );
        }
        let music = played("Staircase", 0);
        for at in [100_000, 2_000_000, 3_800_000] {
            let position = position_of(&music[at..at + TENTH]).unwrap();
            let wanted = (at + TENTH / 2) as f64 / 44_100.0;
            assert!(
                (position - wanted).abs() < 0.005,
                "{quality:?} {wanted} heard as {position}"
            );
        }
        let (first, second) = (track("Halves", 0).samples(), track("Halves", 1).samples());
        let music = [played("Halves", 0), played("Halves", 1)].concat();
        let met = joint(&music, &first, &second).unwrap();
        assert_eq!(
            (met.expected, met.added),
            (first.len() as i64, 0),
            "{quality:?}"
        );
        assert_eq!(clicks(&music, 0.02), [], "{quality:?}");
    }
}

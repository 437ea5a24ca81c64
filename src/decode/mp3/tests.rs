//! Episodes: as long as they should be, sought in, damaged.

use std::sync::Arc;

use proptest::prelude::*;
use symphonia_core::{
    codecs::audio::{AudioDecoder, AudioDecoderOptions},
    formats::{FormatOptions, FormatReader},
    io::MediaSourceStream,
};

use super::*;
use crate::{
    decode::{
        Decoder, Kind,
        testing::{Bytes, Memory, all, open, some},
    },
    fuzz::sound::check,
};

const CONSTANT: &[u8] = include_bytes!("../../../tests/fixtures/audio/constant.mp3");
const VARIABLE: &[u8] = include_bytes!("../../../tests/fixtures/audio/variable.mp3");
const MONO_22: &[u8] = include_bytes!("../../../tests/fixtures/audio/mono22.mp3");
const STEREO_48: &[u8] = include_bytes!("../../../tests/fixtures/audio/stereo48.mp3");

fn mp3(bytes: &Bytes) -> Decoder {
    open(bytes, Kind::Mp3, 0, 0)
}

/// A frame with information before the file, as LAME writes it.
fn with_info(name: &[u8; 4], file: &[u8], delay: u32, padding: u32) -> Vec<u8> {
    let first = Frame::parse(file).expect("a frame");
    let mut frames = 0;
    let mut at = 0;
    let mut starts = Vec::new();
    while let Some(frame) = file.get(at..).and_then(Frame::parse) {
        starts.push(at + first.len);
        at += frame.len;
        frames += 1u32;
    }
    let total = (file.len() + first.len) as u32;
    let mut info = file[..4].to_vec();
    info[1] |= 1;
    info.extend([0; 32]);
    info.extend(name);
    info.extend(7u32.to_be_bytes());
    info.extend(frames.to_be_bytes());
    info.extend(total.to_be_bytes());
    info.extend((0..100).map(|k| (starts[k * starts.len() / 100] * 256 / total as usize) as u8));
    info.extend(b"LAME3.100");
    info.extend([0; 12]);
    info.extend(&(delay << 12 | padding).to_be_bytes()[1..]);
    info.resize(first.len, 0);
    [&info, file].concat()
}

/// What the library's own reader makes of it, at the file's rate, in stereo.
fn reference(bytes: &Bytes) -> Vec<f32> {
    let file = std::io::Cursor::new(bytes.to_vec());
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let mut reader = symphonia_bundle_mp3::MpaReader::try_new(stream, FormatOptions::default())
        .expect("an MP3 file");
    let params = reader.tracks()[0].codec_params.clone().expect("known");
    let params = params.audio().expect("audio").clone();
    let mut codec = MpaDecoder::try_new(&params, &AudioDecoderOptions::default()).expect("MP3");
    let mut out = Vec::new();
    while let Some(packet) = reader.next_packet().expect("a packet") {
        if let Ok(GenericAudioBufferRef::F32(buffer)) = codec.decode(&packet) {
            interleave(buffer, &mut out);
        }
    }
    out
}

#[test]
fn every_sample_is_that_of_the_librarys_own_reader() {
    for file in [CONSTANT, VARIABLE] {
        let bytes = Arc::new(file.to_vec());
        let (out, ending) = all(&mut mp3(&bytes));
        assert_eq!(ending, Ending::Whole);
        // The library guesses how long a file without information is, and cuts it there.
        let theirs = reference(&bytes);
        assert!(theirs.len() > 100_000 && out.len() >= theirs.len());
        assert!(out[..theirs.len()] == theirs);
    }
}

#[test]
fn delay_and_padding_are_left_out_when_the_encoder_tells_them() {
    let bytes = Arc::new(with_info(b"Info", CONSTANT, 576, 1000));
    let (out, ending) = all(&mut mp3(&bytes));
    let plain = all(&mut mp3(&Arc::new(CONSTANT.to_vec()))).0;
    assert_eq!(ending, Ending::Whole);
    let (delay, padding) = (576 + 529, 1000 - 529);
    assert_eq!(out.len(), plain.len() - (delay + padding) * 2);
    assert!(out == plain[delay * 2..plain.len() - padding * 2]);
    assert!(out == reference(&bytes));
    let cut = Arc::new(bytes[..bytes.len() / 2].to_vec());
    assert_eq!(all(&mut mp3(&cut)).1, Ending::BrokenOff);
}

#[test]
fn a_seek_at_a_constant_bitrate_is_exact_and_takes_one_request() {
    for file in [CONSTANT.to_vec(), with_info(b"Info", CONSTANT, 576, 1000)] {
        let bytes = Arc::new(file);
        let straight = all(&mut mp3(&bytes)).0;
        for ms in [1, 100, 261, 777, 1500, 2345, 2800, 2990] {
            let memory = Memory {
                most: 500,
                ..Memory::new(Arc::clone(&bytes))
            };
            let log = Arc::clone(&memory.log);
            let mut decoder = Decoder::open(Box::new(memory), Kind::Mp3, 0, 0);
            some(&mut decoder, 1);
            decoder.seek(ms);
            assert_eq!(decoder.position(), u64::from(ms) * 441 / 10);
            let (rest, _) = all(&mut decoder);
            let at = ms as usize * 441 / 10 * 2;
            assert!(rest == straight[at..], "not the samples at {ms} ms");
            assert!(log.lock().expect("no panic").requests.len() <= 2);
        }
    }
}

#[test]
fn a_seek_at_a_variable_bitrate_is_exact_where_it_was_played_and_near_elsewhere() {
    let bytes = Arc::new(with_info(b"Xing", VARIABLE, 576, 1000));
    let straight = all(&mut mp3(&bytes)).0;
    let mut decoder = mp3(&bytes);
    decoder.seek(2000);
    let rest = all(&mut decoder).0;
    let wanted = straight.len() - 88_200 * 2;
    assert!(
        rest.len().abs_diff(wanted) < 2000 * 2,
        "{} for {wanted}",
        rest.len()
    );
    let mut decoder = mp3(&bytes);
    all(&mut decoder);
    for ms in [2500, 10, 1234] {
        decoder.seek(ms);
        let rest = all(&mut decoder).0;
        assert!(rest == straight[ms as usize * 441 / 10 * 2..], "{ms}");
    }
}

/// A quarter of an hour or so in little: the table is as coarse for it.
fn long() -> (Bytes, Vec<f32>) {
    let bytes = Arc::new(with_info(b"Xing", &VARIABLE.repeat(20), 576, 1000));
    let straight = all(&mut mp3(&bytes)).0;
    (bytes, straight)
}

#[test]
fn whatever_was_sought_in_an_episode_of_many_bitrates_its_end_is_heard() {
    let (bytes, straight) = long();
    let mut decoder = mp3(&bytes);
    all(&mut decoder);
    let end = decoder.position();
    for ms in [5_000, 13_000, 31_000, 44_444, 58_000] {
        let mut decoder = mp3(&bytes);
        decoder.seek(ms);
        let (rest, ending) = all(&mut decoder);
        assert_eq!(ending, Ending::Whole);
        let tail = 60_000;
        assert!(
            rest[rest.len() - tail..] == straight[straight.len() - tail..],
            "{ms}"
        );
        assert_eq!(decoder.position(), end, "{ms}");
        // The table is good for 1/256 of the file; half of that when the average is used as well.
        let wanted = straight.len() - ms as usize * 441 / 10 * 2;
        let error = rest.len().abs_diff(wanted);
        assert!(error < straight.len() / 256, "{ms}: {error}");
    }
}

#[test]
fn a_place_that_is_in_memory_is_exact_at_any_bitrate() {
    let (bytes, straight) = long();
    let half = bytes.len() as u64 / 2;
    for (ms, requests) in [(10_000, 1), (25_000, 1), (45_000, 2)] {
        let memory = Memory {
            at_hand: half,
            ..Memory::new(Arc::clone(&bytes))
        };
        let log = Arc::clone(&memory.log);
        let mut decoder = Decoder::open(Box::new(memory), Kind::Mp3, 0, 0);
        some(&mut decoder, 44_100);
        decoder.seek(ms);
        let rest = all(&mut decoder).0;
        let is_exact = rest == straight[ms as usize * 441 / 10 * 2..];
        assert_eq!(is_exact, requests == 1, "{ms}");
        assert_eq!(log.lock().expect("no panic").requests.len(), requests);
    }
}

#[test]
fn steps_from_a_place_that_was_guessed_are_exact_among_themselves() {
    let (bytes, straight) = long();
    let mut decoder = mp3(&bytes);
    decoder.seek(44_444);
    let (there, _) = some(&mut decoder, 5 * 44_100);
    // Where that is in truth.
    let begins = |sound: &[f32], at: usize| straight[at..].starts_with(sound);
    let step = 44_100 * 2;
    let begin = (0..straight.len() - there.len())
        .step_by(2)
        .find(|at| begins(&there[..step], *at))
        .expect("sound of this file");
    for ms in [48_844, 45_544, 46_144] {
        decoder.seek(ms);
        let (heard, _) = some(&mut decoder, 44_100);
        let at = begin + (ms as usize - 44_444) * 441 / 10 * 2;
        assert!(begins(&heard[..step], at), "{ms}");
    }
}

#[test]
fn what_is_played_after_a_look_at_the_end_is_remembered_too() {
    let (bytes, straight) = long();
    let mut decoder = mp3(&bytes);
    decoder.seek((straight.len() / 2 / 44_100) as u32 * 1000 - 200);
    all(&mut decoder);
    decoder.seek(0);
    some(&mut decoder, 50 * 44_100);
    decoder.seek(44_444);
    let rest = all(&mut decoder).0;
    assert!(rest == straight[44_444 * 441 / 10 * 2..]);
}

#[test]
fn near_the_end_a_place_is_exact_again() {
    let (bytes, straight) = long();
    let seconds = straight.len() / 2 / 44_100;
    let ms = seconds as u32 * 1000 - 200;
    let mut decoder = mp3(&bytes);
    decoder.seek(ms);
    let rest = all(&mut decoder).0;
    assert!(rest == straight[ms as usize * 441 / 10 * 2..]);
}

#[test]
fn a_file_that_opens_with_silence_is_not_taken_for_one_of_one_bitrate() {
    let frame = Frame::parse(CONSTANT).expect("a frame").len;
    let bytes = [&CONSTANT[..20 * frame], &VARIABLE.repeat(10)].concat();
    let bytes = Arc::new(bytes);
    let straight = all(&mut mp3(&bytes)).0;
    let duration = (straight.len() / 2 * 10 / 441) as u32;
    let mut decoder = open(&bytes, Kind::Mp3, duration, 0);
    decoder.seek(20_000);
    let rest = all(&mut decoder).0;
    let wanted = straight.len() - 20_000 * 441 / 10 * 2;
    let error = rest.len().abs_diff(wanted) as f64 / straight.len() as f64;
    assert!(error < 0.05, "{error}");
}

#[test]
fn mono_and_other_rates_come_out_as_stereo_at_ours() {
    for (file, rate) in [(MONO_22, 22_050), (STEREO_48, 48_000)] {
        let bytes = Arc::new(file.to_vec());
        let out = all(&mut mp3(&bytes)).0;
        let native = reference(&bytes).len() as u64 / 2;
        assert_eq!(out.len() as u64 / 2, scaled(native, rate, RATE));
        let loudest = out.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        assert!((0.3..0.5).contains(&loudest), "{loudest}");
    }
}

#[test]
fn tags_before_and_behind_the_music_are_no_music() {
    let mut tagged = b"ID3\x04\0\0\0\0\x02\x01".to_vec();
    tagged.extend([0xff; 257]);
    tagged.extend(CONSTANT);
    tagged.extend(b"TAG");
    tagged.extend([b' '; 125]);
    let out = all(&mut mp3(&Arc::new(tagged))).0;
    assert!(out == reference(&Arc::new(CONSTANT.to_vec())));
}

#[test]
fn a_damaged_stretch_at_a_constant_bitrate_moves_nothing_behind_it() {
    let mut damaged = CONSTANT.to_vec();
    damaged[8000..9000].fill(0);
    let straight = all(&mut mp3(&Arc::new(CONSTANT.to_vec()))).0;
    let out = all(&mut mp3(&Arc::new(damaged))).0;
    let missing = (straight.len() - out.len()) / 2;
    assert!(missing <= 6 * 1152, "{missing}");
    let tail = 40_000;
    assert!(out[out.len() - tail..] == straight[straight.len() - tail..]);
}

fn survive(bytes: Vec<u8>, start_ms: u32) -> Vec<f32> {
    let mut decoder = open(&Arc::new(bytes), Kind::Mp3, 3000, start_ms);
    let mut out = Vec::new();
    while let Ok(Progress::More) = decoder.decode(&mut out, std::time::Duration::ZERO) {}
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..6000),
        start in 0u32..4000,
    ) {
        let out = survive(bytes.clone(), start);
        check(&out);
        // The same with heads where frames would be.
        for at in (0..bytes.len().saturating_sub(4)).step_by(417) {
            bytes[at..at + 4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        }
        let out = survive(bytes, start);
        check(&out);
    }

    #[test]
    fn flipped_bits_never_panic_and_never_become_noise(
        flips in proptest::collection::vec((0usize..20_000, 0u8..8), 1..40),
        start in 0u32..4000,
        variable in any::<bool>(),
    ) {
        let mut bytes = if variable { VARIABLE } else { CONSTANT }.to_vec();
        for (at, bit) in flips {
            let len = bytes.len();
            bytes[at % len] ^= 1 << bit;
        }
        let out = survive(bytes, start);
        check(&out);
    }

    #[test]
    fn a_file_cut_anywhere_plays_as_far_as_it_goes(len in 0usize..24_000) {
        let straight = reference(&Arc::new(CONSTANT.to_vec()));
        let len = len.min(CONSTANT.len());
        let out = survive(CONSTANT[..len].to_vec(), 0);
        prop_assert!(out.len() <= straight.len());
        prop_assert!(out[..] == straight[..out.len()]);
    }
}

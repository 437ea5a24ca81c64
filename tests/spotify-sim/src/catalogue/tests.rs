use std::collections::HashSet;
use std::io::Cursor;

use librespot_core::SpotifyId;
use symphonia::core::{
    audio::SampleBuffer,
    codecs::DecoderOptions,
    formats::{FormatOptions, FormatReader},
    io::MediaSourceStream,
};
use symphonia::default::{codecs::VorbisDecoder, formats::OggReader};

use super::*;
use symphonia::core::codecs::Decoder;

/// What a player hands on, by way of an independent decoder.
pub(crate) fn decode(file: &[u8]) -> Vec<[f32; 2]> {
    let source = MediaSourceStream::new(
        Box::new(Cursor::new(file[SERVICE_PAGE_LEN..].to_vec())),
        Default::default(),
    );
    let mut reader = OggReader::try_new(
        source,
        &FormatOptions {
            enable_gapless: true,
            ..Default::default()
        },
    )
    .unwrap();
    let mut decoder = VorbisDecoder::try_new(
        &reader.default_track().unwrap().codec_params,
        &DecoderOptions::default(),
    )
    .unwrap();
    let mut frames = Vec::new();
    while let Ok(packet) = reader.next_packet() {
        let decoded = decoder.decode(&packet).unwrap();
        let mut buffer = SampleBuffer::<f32>::new(decoded.capacity() as u64, *decoded.spec());
        buffer.copy_interleaved_ref(decoded);
        frames.extend(buffer.samples().chunks(2).map(|f| [f[0], f[1]]));
    }
    frames
}

#[test]
fn ids_are_written_as_spotify_writes_them() {
    for gid in [
        [0; 16],
        [0xff; 16],
        [7; 16],
        Catalogue::standard().albums[0].gid,
    ] {
        let text = encode_base62(gid);
        assert_eq!(
            text,
            SpotifyId::from_raw(&gid).unwrap().to_base62().unwrap()
        );
        assert_eq!(decode_base62(&text), Some(gid));
    }
    assert_eq!(decode_base62("ZZZZZZZZZZZZZZZZZZZZZZ"), None);
    assert_eq!(decode_base62("7"), None);
}

#[test]
fn everything_is_found_by_the_names_it_hands_out() {
    let catalogue = Catalogue::standard();
    let mut ids = HashSet::new();
    for album in &catalogue.albums {
        assert_eq!(
            catalogue.context_tracks(&album.uri()).unwrap().len(),
            album.tracks.len()
        );
        for track in &album.tracks {
            assert_eq!(catalogue.track(&track.uri()).unwrap().gid, track.gid);
            for quality in Quality::ALL {
                let (found, at) = catalogue.by_file_id(track.file_id(quality)).unwrap();
                assert_eq!((found.gid, at), (track.gid, quality));
                assert!(ids.insert(track.file_id(quality)));
            }
        }
    }
    let playlist = &catalogue.playlists[0];
    assert_eq!(catalogue.context_tracks(&playlist.uri()).unwrap().len(), 5);
    assert!(
        catalogue
            .context_tracks("spotify:album:0000000000000000000000")
            .is_none()
    );
}

#[test]
fn a_file_decodes_to_exactly_the_length_of_its_source() {
    for (title, number) in [("Short", 0), ("Halves", 0), ("Halves", 1)] {
        let track = Catalogue::standard().titled(title).tracks[number].clone();
        let decoded = decode(&track.plain_file(Quality::Kbps160));
        assert_eq!(decoded.len() as u64, track.frames(), "{title} {number}");
        assert_eq!(track.samples().len() as u64, track.frames());
    }
}

#[test]
fn a_file_sounds_like_its_source() {
    let track = Catalogue::standard().titled("Halves").tracks[0].clone();
    let decoded = decode(&track.plain_file(Quality::Kbps320));
    let source = track.samples();
    let error: f64 = decoded
        .iter()
        .zip(source.iter())
        .map(|(d, s)| f64::from(d[0] - s[0]).powi(2))
        .sum();
    let rms = (error / source.len() as f64).sqrt();
    assert!(rms < 0.01, "rms error {rms}");
}

#[test]
fn the_two_halves_are_one_piece() {
    let catalogue = Catalogue::standard();
    let halves = &catalogue.titled("Halves").tracks;
    let whole = Song::Sweep {
        from: 0,
        to: Song::SWEEP_FRAMES,
    }
    .samples();
    let joined = [&halves[0].samples()[..], &halves[1].samples()[..]].concat();
    assert!(joined == whole);
    assert_eq!(halves[0].frames() % 2, 1);
}

#[test]
fn nothing_is_louder_than_half_but_the_track_that_is_meant_to_be() {
    for album in &Catalogue::standard().albums {
        for track in album
            .tracks
            .iter()
            .take(2)
            .filter(|t| t.frames() < 100 * 44_100)
        {
            let peak = track
                .samples()
                .iter()
                .flatten()
                .fold(0.0f32, |p, s| p.max(s.abs()));
            assert!(
                peak <= track.song.peak() + 1e-6,
                "{} peaks at {peak}",
                track.title
            );
            assert!(peak > 0.3, "{} is too quiet: {peak}", track.title);
        }
    }
}

#[test]
fn the_service_page_is_an_ogg_page_with_table_and_gains() {
    let track = Catalogue::standard().titled("Short").tracks[1].clone();
    let file = track.plain_file(Quality::Kbps160);
    let page = &file[..SERVICE_PAGE_LEN];
    assert_eq!(&page[..4], b"OggS");
    assert_eq!(&file[SERVICE_PAGE_LEN..SERVICE_PAGE_LEN + 4], b"OggS");
    let mut blank = page.to_vec();
    blank[22..26].fill(0);
    assert_eq!(service_page::checksum(&blank).to_le_bytes(), page[22..26]);
    let float = |at: usize| f32::from_le_bytes(page[at..at + 4].try_into().unwrap());
    let gains = [float(144), float(148), float(152), float(156)];
    let wanted = track.gains;
    assert_eq!(
        gains,
        [
            wanted.track_db,
            wanted.track_peak,
            wanted.album_db,
            wanted.album_peak
        ]
    );
    assert_eq!(page[28], 0x81);
    let samples = u32::from_le_bytes(page[32..36].try_into().unwrap());
    assert_eq!(u64::from(samples), track.frames());
}

#[test]
fn a_file_on_disk_is_used_again() {
    let track = Catalogue::standard().titled("Short").tracks[2].clone();
    let first = file::load_or_make(&track, Quality::Kbps96);
    assert!(first == file::load_or_make(&track, Quality::Kbps96));
}

#[test]
fn the_seek_table_leads_close_to_a_place_and_never_behind_it() {
    let track = Catalogue::standard().titled("Long").tracks[0].clone();
    let file = track.plain_file(Quality::Kbps160);
    let steps = service_page::steps();
    let pages = service_page::granules(&file[SERVICE_PAGE_LEN..]);
    let size = file.len() - SERVICE_PAGE_LEN;
    let mut share = 0u64;
    for (k, index) in (1u64..).zip(&file[41..141]) {
        share += u64::from(steps[index]);
        let byte = share as usize * size / 65_536;
        let there = pages
            .iter()
            .rfind(|(end, _)| *end <= byte)
            .map_or(0, |(_, granule)| *granule);
        let wanted = track.frames() * k / 100;
        assert!(
            there <= wanted,
            "entry {k} lands at {there}, behind {wanted}"
        );
        assert!(
            wanted - there < track.frames() / 20,
            "entry {k} lands at {there}, far before {wanted}"
        );
    }
}

#[test]
fn the_long_track_costs_about_as_many_bits_as_music() {
    let track = Catalogue::standard().titled("Long").tracks[0].clone();
    let kbps = track.plain_file(Quality::Kbps160).len() as u64 * 8 / u64::from(track.duration_ms());
    assert!((110..=220).contains(&kbps), "{kbps} kbit/s");
}

//! What is in the standard catalogue.

use std::sync::{Arc, Mutex, Weak};

use super::{Album, Catalogue, Gains, Playlist, Show, Song, Terms, Track, digest, first16};

const ARTIST: &str = "The Generators";

pub(super) fn standard() -> Catalogue {
    // One running number for all tone tracks: no two of them share a pitch on
    // either channel, so one channel alone tells the track.
    let mut pitch = 0..;
    let mut tones = |seconds: &[u32]| -> Vec<(String, Song)> {
        seconds
            .iter()
            .zip(&mut pitch)
            .map(|(seconds, n)| {
                let song = Song::tone_pair(n, f64::from(*seconds));
                (format!("Tone {}", n + 1), song)
            })
            .collect()
    };
    let albums = vec![
        album("Tones", tones(&[20, 22, 24, 26, 28, 30])),
        album("Short", tones(&[4; 6])),
        album("Dozen", tones(&[10; 12])),
        album(
            "Halves",
            vec![
                ("First Half".into(), Song::FIRST_HALF),
                ("Second Half".into(), Song::SECOND_HALF),
            ],
        ),
        album(
            "Staircase",
            vec![("Staircase".into(), Song::Staircase { seconds: 90 })],
        ),
        album(
            "Long",
            vec![("Long Road".into(), Song::Road { seconds: 264 })],
        ),
        album("Tune", vec![("Tune".into(), Song::Tune)]),
        album(
            "Loud",
            vec![("Full Scale".into(), Song::FullScale { seconds: 10 })],
        ),
    ];
    let again = album("Guarded Again", tones(&[5]));
    let guarded = guarded(tones(&[5; 4]), &again.tracks[0]);
    let albums = [albums, vec![guarded, again]].concat();
    let pick = |title: &str, n: usize| -> Arc<Track> {
        let album = albums
            .iter()
            .find(|a| a.title == title)
            .expect("an album listed above");
        album.tracks[n].clone()
    };
    let playlist = Playlist {
        gid: gid("playlist", "Mixed"),
        title: "Mixed".into(),
        tracks: vec![
            pick("Short", 0),
            pick("Tune", 0),
            pick("Dozen", 3),
            pick("Tones", 1),
            pick("Short", 4),
        ],
    };
    Catalogue {
        albums,
        playlists: vec![playlist],
        shows: vec![show()],
    }
}

/// An explicit track, one for another country, one that has moved to another id, and one that has
/// no files.
fn guarded(songs: Vec<(String, Song)>, again: &Arc<Track>) -> Album {
    let terms = [
        Terms {
            explicit: true,
            ..Terms::default()
        },
        Terms {
            countries: Some("USCA"),
            ..Terms::default()
        },
        Terms {
            empty: true,
            moved_to: Some(again.clone()),
            ..Terms::default()
        },
        Terms {
            empty: true,
            ..Terms::default()
        },
    ];
    album_on("Guarded", songs.into_iter().zip(terms).collect())
}

/// A podcast: one episode as Vorbis, one as MP3, one as MP3 in mono at half the sample rate.
///
/// The MP3 files are tones of a steady pitch: 1700 Hz left and 4700 Hz right, and 1660 Hz.
fn show() -> Show {
    const TITLE: &str = "Talk of the House";
    const STEREO: &[u8] = include_bytes!("../../fixtures/episode-96-stereo.mp3");
    const MONO: &[u8] = include_bytes!("../../fixtures/episode-24-mono.mp3");
    let tone = |left, right| Song::Tones {
        left,
        right,
        frames: 6 * u64::from(super::SAMPLE_RATE),
    };
    let of = |mp3| Terms {
        show: Some(TITLE.into()),
        mp3,
        ..Terms::default()
    };
    let songs = vec![
        (
            ("Spoken in Vorbis".into(), Song::Staircase { seconds: 20 }),
            of(None),
        ),
        (
            ("Spoken in MP3".into(), tone(1_700.0, 4_700.0)),
            of(Some(STEREO)),
        ),
        (
            ("Spoken Softly".into(), tone(1_660.0, 1_660.0)),
            of(Some(MONO)),
        ),
    ];
    Show {
        gid: gid("show", TITLE),
        title: TITLE.into(),
        episodes: album_on(TITLE, songs).tracks,
    }
}

/// Four seconds each; their pitches come round again.
pub(super) fn long(title: &str, tracks: u32) -> Album {
    let songs = (0..tracks).map(|n| (format!("{title} {}", n + 1), Song::tone_pair(n % 28, 4.0)));
    album(title, songs.collect())
}

/// An album of tracks that sound like those of a shorter one, and that one.
pub(super) fn evening(title: &str, tracks: u32) -> [Album; 2] {
    let roads = [47, 52, 58, 61, 66, 71, 77].map(|seconds| {
        let song = Song::Road { seconds };
        (format!("{seconds} Seconds"), song)
    });
    let few = album(&format!("Few of {title}"), roads.to_vec());
    let like = few.tracks.iter().cycle().zip(1..=tracks);
    let songs = like.map(|(track, n)| {
        let terms = Terms {
            sounds_like: Some(track.clone()),
            ..Terms::default()
        };
        ((format!("{title} {n}"), track.song), terms)
    });
    let many = album_on(title, songs.collect());
    [many, few]
}

fn gid(kind: &str, name: &str) -> [u8; 16] {
    first16(digest(kind, name.as_bytes()))
}

fn album(title: &str, songs: Vec<(String, Song)>) -> Album {
    let songs = songs.into_iter().map(|song| (song, Terms::default()));
    album_on(title, songs.collect())
}

fn album_on(title: &str, songs: Vec<((String, Song), Terms)>) -> Album {
    let album_gid = gid("album", title);
    let album_peak = songs
        .iter()
        .map(|((_, song), _)| song.peak())
        .fold(0.0, f32::max);
    let track = |(index, ((name, song), terms)): (usize, ((String, Song), Terms))| {
        let number = index as u32 + 1;
        Arc::new(Track {
            gid: gid("track", &format!("{title}/{number}")),
            title: name,
            number,
            artist: ARTIST.into(),
            artist_gid: gid("artist", ARTIST),
            album_title: title.into(),
            album_gid,
            // Different for each track of an album, so that a test can tell
            // track gain from album gain and one track's from the next one's.
            gains: Gains {
                track_db: -8.0 + number as f32,
                track_peak: song.peak(),
                album_db: -4.5,
                album_peak,
            },
            song,
            terms,
            samples: Mutex::new(Weak::new()),
            files: Default::default(),
        })
    };
    Album {
        gid: album_gid,
        title: title.into(),
        artist: ARTIST.into(),
        tracks: songs.into_iter().enumerate().map(track).collect(),
    }
}

//! What plays in the format of shairport-sync: items of a type, a code and data. Pure.
//!
//! The format is that of shairport-sync's `metadata_write` (README of shairport-sync-metadata-reader):
//! type and code are four letters in hexadecimal, data is base64. `core` items say what plays, `ssnc`
//! items what happens: `pbeg` and `pend` around everything, `pfls` as it pauses and `prsm` as it goes
//! on, `mdst` and `mden` around what is said of a track, `prgr` with its frames, `pvol` with the
//! level, `pcst` and `pcen` around the cover (`PICT`), which is empty where there is none.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::model::{PlayState, SpeakerState, Track};

/// A pipe takes so much at once, or nothing of it: an item is never cut.
pub const WHOLE: usize = 4096;
/// Of a text, so that its item is whole.
const TEXT: usize = 2900;
/// A place that is so much (ms) away from where it was expected is a jump.
const JUMP: i64 = 1_500;
/// Frames in a ms times ten: the clock of `prgr` runs at 44 100 Hz.
const FRAMES_IN_10_MS: u64 = 441;

/// The cover of a track, or that it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// Its URI.
    pub track: String,
    pub address: Option<String>,
}

/// What a display shows of a speaker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    sound: Sound,
    track: Option<Track>,
    position_ms: u32,
    /// Unix time in ms at which that was so.
    at_ms: i64,
    volume_percent: Option<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sound {
    Playing,
    Paused,
    #[default]
    Stopped,
}

impl Shown {
    /// What is shown now, after `self`. While nothing is known, `held` says whether that stays.
    pub fn then(&self, speaker: Option<&SpeakerState>, held: bool) -> Self {
        let Some((speaker, playback)) =
            speaker.and_then(|speaker| Some((speaker, speaker.playback.as_ref()?)))
        else {
            return match held {
                true => self.clone(),
                false => Self::default(),
            };
        };
        let sound = match playback.state {
            _ if !playback.active => Sound::Stopped,
            PlayState::Playing => Sound::Playing,
            PlayState::Paused => Sound::Paused,
            PlayState::Stopped => Sound::Stopped,
            PlayState::Loading => self.sound,
        };
        // One without a name is not known yet.
        let known = |track: &&Track| !track.title.is_empty() || sound == Sound::Playing;
        Self {
            sound,
            track: playback.track.as_ref().filter(known).cloned(),
            position_ms: playback.position_ms,
            at_ms: playback.at_ms,
            volume_percent: speaker.volume_percent.map(|percent| percent.get()),
        }
    }

    fn position_at(&self, now_ms: i64) -> i64 {
        let gone = match self.sound {
            Sound::Playing => (now_ms - self.at_ms).max(0),
            _ => 0,
        };
        i64::from(self.position_ms) + gone
    }

    /// The cover that is to be seen; the largest, or one that fits a small pipe. `None`: nothing is
    /// to be seen, or not known yet.
    pub fn cover(&self, small: bool) -> Option<Cover> {
        let track = self.track.as_ref()?;
        let at = if small { track.covers.len() / 2 } else { 0 };
        let seen = self.sound != Sound::Stopped && !track.title.is_empty();
        seen.then(|| Cover {
            track: track.uri.clone(),
            address: track.covers.get(at).cloned(),
        })
    }

    fn uri(&self) -> Option<&str> {
        self.track.as_ref().map(|track| track.uri.as_str())
    }
}

/// Everything there is to say, for somebody who knows nothing.
pub fn snapshot(now: &Shown) -> Vec<Vec<u8>> {
    changes(&Shown::default(), now)
}

/// What is different.
pub fn changes(old: &Shown, new: &Shown) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    let begins = old.sound == Sound::Stopped && new.sound != Sound::Stopped;
    if begins {
        items.push(ssnc(b"pbeg", b""));
    }
    let track = new.track.as_ref().filter(|_| new.sound != Sound::Stopped);
    let other = begins || old.track != new.track;
    if let Some(track) = track.filter(|_| other) {
        bundle(track, new.at_ms, &mut items);
    }
    let expected = old.position_at(new.at_ms);
    let jumps = (expected - i64::from(new.position_ms)).abs() > JUMP;
    let resumes = new.sound == Sound::Playing && old.sound != Sound::Playing;
    if let Some(track) = track.filter(|_| begins || jumps || resumes || old.uri() != new.uri()) {
        items.push(progress(track, new.position_ms));
    }
    if new.volume_percent != old.volume_percent
        && let Some(percent) = new.volume_percent
    {
        items.push(volume(percent));
    }
    match (old.sound, new.sound) {
        (Sound::Paused, Sound::Playing) => items.push(ssnc(b"prsm", b"")),
        (Sound::Playing | Sound::Stopped, Sound::Paused) => items.push(ssnc(b"pfls", b"")),
        (Sound::Playing | Sound::Paused, Sound::Stopped) => items.push(ssnc(b"pend", b"")),
        _ => {}
    }
    items
}

/// A cover with what stands around it. Longer than [`WHOLE`]; without bytes, it takes the one before
/// away.
pub fn picture(bytes: &[u8], shown: &Shown) -> Vec<u8> {
    let stamp = stamp(shown.at_ms);
    let around = |code| ssnc(code, stamp.as_bytes());
    [around(b"pcst"), ssnc(b"PICT", bytes), around(b"pcen")].concat()
}

/// Both ends of a bundle carry the same, so that readers can pair them.
fn stamp(at_ms: i64) -> String {
    let frames = (at_ms.unsigned_abs().wrapping_mul(FRAMES_IN_10_MS) / 10) as u32;
    frames.to_string()
}

/// All that is said of a track.
fn bundle(track: &Track, at_ms: i64, items: &mut Vec<Vec<u8>>) {
    let stamp = stamp(at_ms);
    items.push(ssnc(b"mdst", stamp.as_bytes()));
    items.push(core(b"asal", text(&track.album)));
    if !track.album_artists.is_empty() {
        items.push(core(b"asaa", text(&track.album_artists.join(", "))));
    }
    items.push(core(b"asar", text(&track.artists.join(", "))));
    items.push(core(b"minm", text(&track.title)));
    items.push(core(b"astm", &track.duration_ms.to_be_bytes()));
    items.push(ssnc(b"mden", stamp.as_bytes()));
}

/// The first frame, the one that is heard, and the last one.
fn progress(track: &Track, position_ms: u32) -> Vec<u8> {
    let frames = |ms: u32| u64::from(ms) * FRAMES_IN_10_MS / 10;
    let (now, end) = (frames(position_ms), frames(track.duration_ms));
    ssnc(b"prgr", format!("0/{now}/{}", end.max(now)).as_bytes())
}

/// As AirPlay counts: −30 to 0 dB, and −144 for silence. What the card does is not told.
fn volume(percent: u8) -> Vec<u8> {
    let level = match percent {
        0 => -144.0,
        percent => (f64::from(percent.min(100)) - 100.0) * 0.3,
    };
    ssnc(b"pvol", format!("{level:.2},0.00,0.00,0.00").as_bytes())
}

fn text(text: &str) -> &[u8] {
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

fn core(code: &[u8; 4], data: &[u8]) -> Vec<u8> {
    item(b"core", code, data)
}

fn ssnc(code: &[u8; 4], data: &[u8]) -> Vec<u8> {
    item(b"ssnc", code, data)
}

fn item(kind: &[u8; 4], code: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let (kind, code) = (u32::from_be_bytes(*kind), u32::from_be_bytes(*code));
    let length = data.len();
    let mut item =
        format!("<item><type>{kind:x}</type><code>{code:x}</code><length>{length}</length>");
    if !data.is_empty() {
        item.push_str("\n<data encoding=\"base64\">\n");
        STANDARD.encode_string(data, &mut item);
        item.push_str("</data>");
    }
    item.push_str("</item>\n");
    item.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Percent, Playback, Volume};

    fn track(title: &str) -> Track {
        Track {
            uri: format!("spotify:track:{title}"),
            title: title.into(),
            artists: vec!["One".into(), "Two".into()],
            album: "Album".into(),
            duration_ms: 200_000,
            explicit: false,
            covers: Vec::new(),
            ..Track::default()
        }
    }

    fn speaker(state: PlayState, title: &str, position_ms: u32, at_ms: i64) -> SpeakerState {
        SpeakerState {
            volume_percent: Percent::new(50),
            playback: Some(Playback {
                state,
                active: true,
                track: Some(track(title)),
                position_ms,
                at_ms,
                ..Playback::silent(Volume::FULL)
            }),
            ..SpeakerState::default()
        }
    }

    /// Codes, with what stands behind those that carry text.
    fn read(items: &[Vec<u8>]) -> Vec<String> {
        let between = |text: &str, from: &str, to: &str| {
            let rest = text.split_once(from).map(|(_, rest)| rest.to_owned());
            rest.and_then(|rest| Some(rest.split_once(to)?.0.to_owned()))
        };
        items
            .iter()
            .map(|item| {
                assert!(item.len() <= WHOLE && item.ends_with(b"</item>\n"));
                let item = String::from_utf8(item.clone()).expect("text");
                let code = between(&item, "<code>", "</code>").expect("a code");
                let code = u32::from_str_radix(&code, 16).expect("hexadecimal");
                let mut said = String::from_utf8_lossy(&code.to_be_bytes()).into_owned();
                if let Some(data) = between(&item, "base64\">\n", "</data>") {
                    let data = STANDARD.decode(data).expect("base64");
                    let length = between(&item, "<length>", "</length>").expect("a length");
                    assert_eq!(length, data.len().to_string());
                    said = format!("{said} {}", String::from_utf8_lossy(&data));
                }
                said
            })
            .collect()
    }

    #[test]
    fn an_item_is_written_as_shairport_sync_writes_it() {
        let said = String::from_utf8(core(b"minm", b"Hey")).expect("text");
        assert_eq!(
            said,
            "<item><type>636f7265</type><code>6d696e6d</code><length>3</length>\n\
             <data encoding=\"base64\">\nSGV5</data></item>\n"
        );
        let said = String::from_utf8(ssnc(b"pbeg", b"")).expect("text");
        let bare = "<item><type>73736e63</type><code>70626567</code><length>0</length></item>\n";
        assert_eq!(said, bare);
    }

    #[test]
    fn a_cover_is_of_what_is_seen_and_has_a_beginning_and_an_end() {
        let mut plays = speaker(PlayState::Playing, "A", 0, 1_000);
        let track = plays.playback.as_mut().and_then(|one| one.track.as_mut());
        track.expect("a track").covers = ["large", "medium", "small"].map(str::to_owned).into();
        let seen = |speaker: &SpeakerState, small| {
            let shown = Shown::default().then(Some(speaker), true);
            shown.cover(small).map(|cover| cover.address)
        };
        assert_eq!(seen(&plays, false), Some(Some("large".into())));
        assert_eq!(seen(&plays, true), Some(Some("medium".into())));
        assert_eq!(
            seen(&speaker(PlayState::Paused, "A", 0, 0), false),
            Some(None)
        );
        assert_eq!(seen(&speaker(PlayState::Stopped, "A", 0, 0), false), None);
        let shown = Shown::default().then(Some(&plays), true);
        let text = String::from_utf8(picture(b"jpeg", &shown)).expect("text");
        let items: Vec<_> = text
            .split_inclusive("</item>\n")
            .map(|item| item.as_bytes().to_vec())
            .collect();
        assert_eq!(read(&items), ["pcst 44100", "PICT jpeg", "pcen 44100"]);
        let none = String::from_utf8(picture(b"", &shown)).expect("text");
        assert!(none.contains("<code>50494354</code><length>0</length></item>"));
    }

    #[test]
    fn an_evening_is_told_in_order() {
        let silent = Shown::default();
        let plays = silent.then(Some(&speaker(PlayState::Playing, "A", 0, 0)), true);
        let told = read(&changes(&silent, &plays));
        let duration = String::from_utf8_lossy(&200_000_u32.to_be_bytes()).into_owned();
        let expected = [
            "pbeg",
            "mdst 0",
            "asal Album",
            "asar One, Two",
            "minm A",
            &format!("astm {duration}"),
            "mden 0",
            "prgr 0/0/8820000",
            "pvol -15.00,0.00,0.00,0.00",
        ];
        assert_eq!(told, expected);
        let later = plays.then(Some(&speaker(PlayState::Playing, "A", 5_000, 5_100)), true);
        assert_eq!(read(&changes(&plays, &later)), [""; 0], "time passes");
        let jumped = plays.then(Some(&speaker(PlayState::Playing, "A", 90_000, 5_100)), true);
        assert_eq!(read(&changes(&plays, &jumped)), ["prgr 0/3969000/8820000"]);
        let paused = later.then(Some(&speaker(PlayState::Paused, "A", 6_000, 6_100)), true);
        assert_eq!(read(&changes(&later, &paused)), ["pfls"]);
        let again = paused.then(Some(&speaker(PlayState::Playing, "A", 6_000, 60_000)), true);
        let told = read(&changes(&paused, &again));
        assert_eq!(told, ["prgr 0/264600/8820000", "prsm"]);
        let next = again.then(Some(&speaker(PlayState::Loading, "B", 0, 70_000)), true);
        let told = read(&changes(&again, &next));
        assert_eq!(told[3], "minm B");
        assert!(
            !told
                .iter()
                .any(|item| item.starts_with('p') && item.len() == 4),
            "{told:?}"
        );
        let held = next.then(Some(&SpeakerState::default()), true);
        assert_eq!(held, next, "a session that is being mended");
        let gone = next.then(Some(&SpeakerState::default()), false);
        assert_eq!(read(&changes(&next, &gone)), ["pend"]);
    }

    #[test]
    fn somebody_who_comes_late_hears_all_of_it_also_while_it_pauses() {
        let paused = speaker(PlayState::Paused, "A", 1_000, 9);
        let now = Shown::default().then(Some(&paused), true);
        let told = read(&snapshot(&now));
        assert_eq!(told.first().map(String::as_str), Some("pbeg"));
        assert_eq!(told.last().map(String::as_str), Some("pfls"));
        assert_eq!(read(&snapshot(&Shown::default())), [""; 0]);
    }

    #[test]
    fn no_text_is_too_long_for_an_item() {
        let long = speaker(PlayState::Playing, &"ü".repeat(5_000), 0, 0);
        let now = Shown::default().then(Some(&long), true);
        assert!(read(&snapshot(&now))[4].len() > 2_800);
    }
}

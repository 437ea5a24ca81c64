//! From what somebody published to what he wishes. Pure.
//!
//! | command | payload |
//! | --- | --- |
//! | `play`, `pause`, `toggle`, `stop`, `next`, `previous`, `pull` | none, or `PRESS` |
//! | `seek` | ms from the beginning, or `+10000`, `-10000` from where it is |
//! | `volume` | 0 to 100, or `+5`, `-5` |
//! | `mute` | `ON`, `OFF`; none or `TOGGLE`: the other way round |
//! | `shuffle` | `ON`, `OFF` |
//! | `repeat` | `off`, `context`, `track` |
//! | `load` | a Spotify URI or link, or `{"uri", "index", "track", "position_ms", "shuffle", "paused"}` |
//! | `queue` | a Spotify URI or link of a track or episode |
//! | `sleep` | seconds (1 to 86400), `end_of_track`, or `off`; or `{"after_s", "end_of_track", "fade_s"}` |
//! | `send` | the name or id of another device of the account |
//! | `name` | what the speaker is to be called; none: as configured |
//! | `output` | the name of one of those that are listed; `default`: as configured |

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    bus::{Order, Reason, Unable},
    control::wanted::{Field, SLEEP, Takes, Wanted, may, must, wrong},
    model::{Link, Load, Percent, Repeat, Transport},
};

/// No honest payload is longer.
const LONGEST: usize = 2_048;
/// No state of Home Assistant is longer, so no name is that could be chosen there.
pub const LONGEST_NAME: usize = 255;

/// What to play, in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    uri: Link,
    index: Option<u32>,
    track: Option<Link>,
    position_ms: Option<u32>,
    shuffle: Option<bool>,
    paused: Option<bool>,
}

impl Wanted for Piece {
    const FIELDS: &'static [Field] = &[
        must("uri", Takes::Link),
        may("index", Takes::Whole(0, u32::MAX as i64)),
        may("track", Takes::Link),
        may("position_ms", Takes::Whole(0, u32::MAX as i64)),
        may("shuffle", Takes::Switch),
        may("paused", Takes::Switch),
    ];
}

/// When to pause, in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    after_s: Option<u32>,
    end_of_track: Option<bool>,
    fade_s: Option<u32>,
}

impl Wanted for Rest {
    const FIELDS: &'static [Field] = &SLEEP;
}

/// What `command` asks of `speaker` with `payload`.
///
/// # Errors
/// Why that is no order.
pub fn order(speaker: &str, command: &str, payload: &[u8]) -> Result<Order, Unable> {
    let speaker = speaker.to_owned();
    match command {
        "output" => output(text(payload)?).map(|device| Order::Output { speaker, device }),
        "name" => {
            let name = text(payload)?.to_owned();
            Ok(Order::Name { speaker, name })
        }
        _ => wish(command, payload).map(|wish| Order::Transport { speaker, wish }),
    }
}

fn text(payload: &[u8]) -> Result<&str, Unable> {
    if payload.len() > LONGEST {
        let what = format!("a payload of {} bytes is too long", payload.len());
        return Err(invalid(what, "no command takes more than 2048"));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|_| invalid("the payload is no UTF-8", "send plain text"))?;
    Ok(text.trim())
}

/// What `command` asks for with `payload`, where that is about what plays.
///
/// # Errors
/// Why that is no wish.
pub fn wish(command: &str, payload: &[u8]) -> Result<Transport, Unable> {
    let text = text(payload)?;
    let bare = |wish: Transport| match text.to_ascii_uppercase().as_str() {
        "" | "PRESS" => Ok(wish),
        _ => Err(invalid(
            format!("{command} takes no payload"),
            "send none, or PRESS",
        )),
    };
    match command {
        "play" => bare(Transport::Play),
        "pause" => bare(Transport::Pause),
        "toggle" => bare(Transport::Toggle),
        "stop" => bare(Transport::Stop),
        "next" => bare(Transport::Next),
        "previous" => bare(Transport::Previous),
        "pull" => bare(Transport::Pull),
        "send" => send(text),
        "seek" => seek(text),
        "volume" => volume(text),
        "mute" => match text.to_ascii_uppercase().as_str() {
            "" | "TOGGLE" => Ok(Transport::Mute { on: None }),
            _ => switch(text).map(|on| Transport::Mute { on: Some(on) }),
        },
        "shuffle" => switch(text).map(|on| Transport::Shuffle { on }),
        "repeat" => repeat(text),
        "load" => load(text),
        "queue" => queue(text),
        "sleep" => sleep(text),
        _ => Err(invalid(
            "there is no such command",
            "it is play, pause, toggle, stop, next, previous, pull, seek, volume, mute, shuffle, \
             send, repeat, load, queue, sleep, name or output",
        )),
    }
}

fn seek(text: &str) -> Result<Transport, Unable> {
    let wrong = || {
        let help = "send ms from the beginning (90000), or from where it is (+10000, -10000)";
        invalid("seek takes a number of ms", help)
    };
    let ms = whole(text).ok_or_else(wrong)?;
    if is_relative(text) {
        return Ok(Transport::SeekBy { ms });
    }
    let position_ms = u32::try_from(ms).map_err(|_| wrong())?;
    Ok(Transport::Seek { position_ms })
}

fn volume(text: &str) -> Result<Transport, Unable> {
    let wrong = || {
        let help = "send 0 to 100, or a change from -100 to +100, with its sign";
        invalid("volume takes a percentage", help)
    };
    let number = whole(text)
        .and_then(|number| i8::try_from(number).ok())
        .ok_or_else(wrong)?;
    if is_relative(text) {
        let in_range = (-100..=100).contains(&number);
        return in_range
            .then_some(Transport::VolumeBy { points: number })
            .ok_or_else(wrong);
    }
    let percent = u8::try_from(number).ok().and_then(Percent::new);
    percent
        .map(|percent| Transport::Volume { percent })
        .ok_or_else(wrong)
}

fn switch(text: &str) -> Result<bool, Unable> {
    match text.to_ascii_uppercase().as_str() {
        "ON" | "TRUE" | "1" => Ok(true),
        "OFF" | "FALSE" | "0" => Ok(false),
        _ => Err(invalid("it is a switch", "send ON or OFF")),
    }
}

fn repeat(text: &str) -> Result<Transport, Unable> {
    let mode = match text.to_ascii_lowercase().as_str() {
        "off" => Repeat::Off,
        "context" => Repeat::Context,
        "track" => Repeat::Track,
        _ => {
            let help = "send off, context or track";
            return Err(invalid("there is no such way to repeat", help));
        }
    };
    Ok(Transport::Repeat { mode })
}

fn load(text: &str) -> Result<Transport, Unable> {
    let help = r#"send a Spotify URI or link, or {"uri": …} with index, track, position_ms, shuffle or paused"#;
    let piece = if text.starts_with('{') {
        object(text, help)?
    } else {
        Piece {
            uri: Link::parse(text).map_err(|why| invalid(why.to_string(), help))?,
            index: None,
            track: None,
            position_ms: None,
            shuffle: None,
            paused: None,
        }
    };
    if piece.track.as_ref().is_some_and(|track| !track.is_single()) {
        let help = "name one of what uri holds";
        return Err(invalid("track is no track or episode", help));
    }
    Ok(Transport::Load(Box::new(Load {
        link: piece.uri,
        index: piece.index,
        track: piece.track,
        position_ms: piece.position_ms.unwrap_or(0),
        shuffle: piece.shuffle,
        paused: piece.paused.unwrap_or(false),
    })))
}

fn queue(text: &str) -> Result<Transport, Unable> {
    let help = "send the Spotify URI or link of a track or episode";
    let link = Link::parse(text).map_err(|why| invalid(why.to_string(), help))?;
    if !link.is_single() {
        let what = "only a track or an episode can be queued";
        return Err(invalid(what, "load an album or a playlist instead"));
    }
    Ok(Transport::Enqueue { link })
}

fn sleep(text: &str) -> Result<Transport, Unable> {
    let help = r#"send 1 to 86400 (s), end_of_track, off, or {"after_s": …} with fade_s"#;
    if text.starts_with('{') {
        let rest: Rest = object(text, help)?;
        let end_of_track = rest.end_of_track == Some(true);
        return Transport::sleep(rest.after_s, end_of_track, rest.fade_s)
            .map_err(|(what, help)| invalid(what, help));
    }
    let (after_s, end_of_track) = match text.to_ascii_lowercase().as_str() {
        "off" => (None, false),
        "end_of_track" => (None, true),
        _ => {
            let seconds = whole(text).and_then(|seconds| u32::try_from(seconds).ok());
            let seconds = seconds.ok_or_else(|| invalid("sleep takes a length of time", help))?;
            (Some(seconds), false)
        }
    };
    Transport::sleep(after_s, end_of_track, None)
        .map_err(|_| invalid("sleep takes a length of time", help))
}

fn object<T: DeserializeOwned + Wanted>(text: &str, help: &str) -> Result<T, Unable> {
    serde_json::from_str(text).map_err(|error| {
        let given = serde_json::from_str(text).ok();
        let told = given.and_then(|given| wrong(T::FIELDS, &given));
        let (what, help) = told.unwrap_or_else(|| (error.to_string(), help.to_owned()));
        invalid(what, help)
    })
}

/// Whether there is such a one, the daemon knows.
fn output(name: &str) -> Result<String, Unable> {
    named(name).ok_or_else(|| {
        let help = "send the name of an output as the topic outputs lists it, or default";
        invalid("that is no name of an output", help)
    })
}

fn send(name: &str) -> Result<Transport, Unable> {
    let device = named(name).ok_or_else(|| {
        let help = "send the name or id of another device of the account";
        invalid("that is no name of a device", help)
    })?;
    Ok(Transport::Send { device })
}

fn named(name: &str) -> Option<String> {
    let could_be =
        !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::is_control);
    could_be.then(|| name.to_owned())
}

fn is_relative(text: &str) -> bool {
    text.starts_with(['+', '-'])
}

/// A whole number; sliders of other programs may write it as `40.0`.
fn whole(text: &str) -> Option<i64> {
    let number = text.strip_suffix(".0").unwrap_or(text);
    number.parse().ok()
}

fn invalid(what: impl Into<String>, help: impl Into<String>) -> Unable {
    Unable::new(Reason::Invalid, what, help)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::SleepTimer;

    const TRACK: &str = "spotify:track:4uLU6hMCjMI75M1A2tKUQC";
    const ALBUM: &str = "spotify:album:4uLU6hMCjMI75M1A2tKUQC";

    fn percent(value: u8) -> Percent {
        Percent::new(value).expect("in range")
    }

    #[test]
    fn each_command_is_the_wish_it_says() {
        let link = Link::parse(TRACK).expect("a link");
        for (command, payload, expected) in [
            ("play", "", Transport::Play),
            ("pause", "PRESS", Transport::Pause),
            ("toggle", " press\n", Transport::Toggle),
            (
                "seek",
                "90000",
                Transport::Seek {
                    position_ms: 90_000,
                },
            ),
            ("seek", "-5000", Transport::SeekBy { ms: -5_000 }),
            ("seek", "+5000", Transport::SeekBy { ms: 5_000 }),
            (
                "volume",
                "40",
                Transport::Volume {
                    percent: percent(40),
                },
            ),
            (
                "volume",
                "40.0",
                Transport::Volume {
                    percent: percent(40),
                },
            ),
            ("volume", "+5", Transport::VolumeBy { points: 5 }),
            ("volume", "-100", Transport::VolumeBy { points: -100 }),
            ("mute", "", Transport::Mute { on: None }),
            ("mute", "ON", Transport::Mute { on: Some(true) }),
            ("shuffle", "off", Transport::Shuffle { on: false }),
            (
                "repeat",
                "track",
                Transport::Repeat {
                    mode: Repeat::Track,
                },
            ),
            ("queue", TRACK, Transport::Enqueue { link }),
            ("pull", "", Transport::Pull),
            (
                "send",
                "Kim's phone",
                Transport::Send {
                    device: "Kim's phone".into(),
                },
            ),
            (
                "sleep",
                "60",
                Transport::Sleep {
                    timer: SleepTimer::In { ms: 60_000 },
                    fade_ms: None,
                },
            ),
            (
                "sleep",
                "off",
                Transport::Sleep {
                    timer: SleepTimer::Off,
                    fade_ms: None,
                },
            ),
            (
                "sleep",
                r#"{"after_s": 60, "fade_s": 20}"#,
                Transport::Sleep {
                    timer: SleepTimer::In { ms: 60_000 },
                    fade_ms: Some(20_000),
                },
            ),
            (
                "sleep",
                "end_of_track",
                Transport::Sleep {
                    timer: SleepTimer::EndOfTrack,
                    fade_ms: None,
                },
            ),
        ] {
            assert_eq!(
                wish(command, payload.as_bytes()),
                Ok(expected),
                "{command} {payload}"
            );
        }
        let piece = format!(r#"{{"uri": "{ALBUM}", "index": 2, "paused": true}}"#);
        match wish("load", piece.as_bytes()) {
            Ok(Transport::Load(load)) => {
                assert_eq!(
                    (load.link.uri(), load.index, load.paused),
                    (ALBUM, Some(2), true)
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_wish_is_told_why() {
        let long = "x".repeat(LONGEST + 1);
        for (command, payload) in [
            ("dance", ""),
            ("", ""),
            ("pause", r#"{"now": true}"#),
            ("play", TRACK),
            ("seek", ""),
            ("seek", "1e20"),
            ("seek", "99999999999"),
            ("seek", "soon"),
            ("volume", "101"),
            ("volume", "+101"),
            ("volume", "99999999999999999999"),
            ("volume", "40.5"),
            ("volume", "loud"),
            ("volume", "NaN"),
            ("shuffle", ""),
            ("shuffle", "maybe"),
            ("repeat", "twice"),
            ("load", ""),
            ("load", "Staircase"),
            ("load", "https://evil.example/album/0000000000000000000001"),
            ("load", r#"{"index": 3}"#),
            ("load", r#"{"uri": 7}"#),
            ("load", "{"),
            ("queue", ALBUM),
            ("sleep", "0"),
            ("sleep", "90000"),
            ("sleep", "-5"),
            ("send", ""),
            ("sleep", r#"{"after_s": 60, "fade_s": 61}"#),
            ("sleep", r#"{"fade_s": 5}"#),
            ("sleep", r#"{"after_s": 60, "fade": 5}"#),
            ("play", long.as_str()),
        ] {
            let unable = wish(command, payload.as_bytes()).expect_err(payload);
            assert_eq!(unable.code, Reason::Invalid, "{command} {payload}");
            assert!(!unable.message.is_empty() && !unable.help.is_empty());
        }
        assert!(wish("volume", &[0xff, 0xfe]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_published_is_a_wish_within_its_limits_or_is_answered(
            command in "play|seek|volume|mute|shuffle|repeat|load|queue|sleep|\\PC{0,8}",
            payload in prop_oneof![
                "[+-]?[0-9]{1,20}(\\.[0-9])?".prop_map(String::into_bytes),
                "\\PC{0,40}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..40),
            ],
        ) {
            crate::fuzz::control::within_limits(&order("main", &command, &payload));
        }
    }
}

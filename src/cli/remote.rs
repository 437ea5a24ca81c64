//! What plays, from the command line: each command is one order to the daemon.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    args::Door,
    client::{Client, Method},
    door::{self, Failure, told},
    pick::pick,
    status::plain,
};
use crate::model::{
    House, LONGEST_FADE_S, LONGEST_SLEEP_S, Link, Neighbour, OutputChoice, Source, SpeakerState,
};

/// A speaker, and how to reach the daemon that has it.
#[derive(Debug, Clone, Default, Args)]
pub struct At {
    /// Which one, where there are several: name or id, or how that begins
    #[arg(long)]
    pub speaker: Option<String>,
    #[command(flatten)]
    pub door: Door,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Remote {
    /// Go on, or play something else: a Spotify URI or link
    #[command(hide = true)]
    Play {
        /// Track, album, artist, playlist, show, episode or collection
        uri: Option<String>,
        /// Begin at this place of it, counted from 1, or at this track of it
        #[arg(long, requires = "uri", value_name = "PLACE")]
        from: Option<String>,
        /// Begin there in the track: 90 or 1:30
        #[arg(long, requires = "uri", value_name = "TIME")]
        position: Option<String>,
        #[arg(long, requires = "uri")]
        shuffle: bool,
        /// Have it ready, and wait
        #[arg(long, requires = "uri")]
        paused: bool,
        #[command(flatten)]
        at: At,
    },
    /// Pause
    #[command(hide = true)]
    Pause {
        #[command(flatten)]
        at: At,
    },
    /// Pause while music plays, else play
    #[command(hide = true)]
    Toggle {
        #[command(flatten)]
        at: At,
    },
    /// Fall silent and leave playback to other devices
    #[command(hide = true)]
    Stop {
        #[command(flatten)]
        at: At,
    },
    /// To the next track
    #[command(hide = true)]
    Next {
        #[command(flatten)]
        at: At,
    },
    /// To the beginning of the track, or to the one before
    #[command(hide = true)]
    Prev {
        #[command(flatten)]
        at: At,
    },
    /// To another place: 90, 1:30, +15 or -15 (seconds)
    #[command(hide = true)]
    Seek {
        #[arg(allow_hyphen_values = true)]
        to: String,
        #[command(flatten)]
        at: At,
    },
    /// Louder or softer: 40, +5 or -5 (percent)
    #[command(hide = true)]
    Volume {
        #[arg(allow_hyphen_values = true)]
        to: String,
        #[command(flatten)]
        at: At,
    },
    /// Mute, or as loud as before
    #[command(hide = true)]
    Mute {
        /// Without it: the other way round
        on: Option<OnOff>,
        #[command(flatten)]
        at: At,
    },
    /// Play in a shuffled order
    #[command(hide = true)]
    Shuffle {
        on: OnOff,
        #[command(flatten)]
        at: At,
    },
    /// Repeat all, or one track
    #[command(hide = true)]
    Repeat {
        mode: Mode,
        #[command(flatten)]
        at: At,
    },
    /// Show what was and what comes, or add a track to it
    #[command(hide = true)]
    Queue {
        #[command(subcommand)]
        what: Option<Queue>,
        #[command(flatten)]
        at: At,
    },
    /// Move playback here from another device
    #[command(hide = true)]
    Pull {
        #[command(flatten)]
        at: At,
    },
    /// Move playback to another device of the account
    #[command(hide = true)]
    Send {
        /// Its name or id
        device: String,
        #[command(flatten)]
        at: At,
    },
    /// Show where the sound can go, or lead it there: a name, or "default"
    #[command(hide = true)]
    Output {
        device: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Give the speaker another name; "" takes it away again
    #[command(hide = true)]
    Rename {
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// Pause later: in 30m or 1h30m, after this "track", or "off"
    #[command(hide = true)]
    Sleep {
        /// A bare number is minutes
        when: String,
        /// Grow quieter before that: 20s, 2m; 0s to stop all at once
        #[arg(long, value_name = "TIME")]
        fade: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Queue {
    /// Play this track or episode after the current one
    Add { uri: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnOff {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Mode {
    Off,
    /// The album or playlist
    Context,
    Track,
}

/// What is sent: the last part of the route, and the body. No body: it is only looked at.
type Sent = (&'static str, Option<Value>);

pub fn run(what: Remote) -> ExitCode {
    let (at, sent) = understand(what);
    let sent = match sent {
        Ok(sent) => sent,
        Err((what, help)) => return super::failed(super::exit::USAGE, &what, &help),
    };
    door::ask(&at.door, async |client| {
        let speaker = speaker(&client, at.speaker.as_deref()).await?;
        let route = ["speakers", &speaker.id, sent.0];
        let Some(body) = sent.1 else {
            let found: Value = client.get(&route).await.map_err(told)?;
            return Ok(match sent.0 {
                "outputs" => outputs(&found),
                _ => listed(&found, &speaker),
            });
        };
        let _: Value = client
            .send(Method::POST, &route, Some(&body))
            .await
            .map_err(told)?;
        Ok(String::new())
    })
}

fn understand(what: Remote) -> (At, Result<Sent, Failure>) {
    let plain = |route| Ok((route, Some(json!({}))));
    match what {
        Remote::Play { uri: None, at, .. } => (at, plain("play")),
        Remote::Play {
            uri: Some(uri),
            from,
            position,
            shuffle,
            paused,
            at,
        } => {
            let body = load(&uri, from.as_deref(), position.as_deref());
            let body = body.map(|mut body| {
                for (key, on) in [("shuffle", shuffle), ("paused", paused)] {
                    if on {
                        body[key] = json!(true);
                    }
                }
                ("play", Some(body))
            });
            (at, body)
        }
        Remote::Pause { at } => (at, plain("pause")),
        Remote::Toggle { at } => (at, plain("toggle")),
        Remote::Stop { at } => (at, plain("stop")),
        Remote::Next { at } => (at, plain("next")),
        Remote::Prev { at } => (at, plain("previous")),
        Remote::Pull { at } => (at, plain("pull")),
        Remote::Send { device, at } => (at, Ok(("send", Some(json!({ "device": device }))))),
        Remote::Output { device: None, at } => (at, Ok(("outputs", None))),
        Remote::Output {
            device: Some(device),
            at,
        } => (at, Ok(("output", Some(json!({ "device": device }))))),
        Remote::Rename { name, at } => (at, Ok(("name", Some(json!({ "name": name }))))),
        Remote::Seek { to, at } => (at, seek(&to).map(|body| ("seek", Some(body)))),
        Remote::Volume { to, at } => (at, volume(&to).map(|body| ("volume", Some(body)))),
        Remote::Mute { on, at } => {
            let body = on.map_or(json!({}), |on| json!({"on": is_on(on)}));
            (at, Ok(("mute", Some(body))))
        }
        Remote::Shuffle { on, at } => (at, Ok(("shuffle", Some(json!({"on": is_on(on)}))))),
        Remote::Repeat { mode, at } => {
            let mode = match mode {
                Mode::Off => "off",
                Mode::Context => "context",
                Mode::Track => "track",
            };
            (at, Ok(("repeat", Some(json!({ "mode": mode })))))
        }
        Remote::Queue { what: None, at } => (at, Ok(("queue", None))),
        Remote::Queue {
            what: Some(Queue::Add { uri }),
            at,
        } => {
            let body = link(&uri).map(|uri| ("queue", Some(json!({ "uri": uri }))));
            (at, body)
        }
        Remote::Sleep { when, fade, at } => {
            let body = sleep(&when, fade.as_deref());
            (at, body.map(|body| ("sleep", Some(body))))
        }
    }
}

fn is_on(on: OnOff) -> bool {
    matches!(on, OnOff::On)
}

fn link(text: &str) -> Result<String, Failure> {
    let help = "copy it from the Spotify app: Share, Copy link";
    let parsed = Link::parse(text).map(String::from);
    parsed.map_err(|why| (why.to_string(), help.to_owned()))
}

fn load(uri: &str, from: Option<&str>, position: Option<&str>) -> Result<Value, Failure> {
    let mut body = json!({ "uri": link(uri)? });
    match from.map(|from| (from, from.parse::<u32>())) {
        None => {}
        Some((_, Ok(place @ 1..))) => body["index"] = json!(place - 1),
        Some((from, Ok(_))) => {
            let help = "places are counted from 1".to_owned();
            return Err((format!("{from:?} is no place in it"), help));
        }
        Some((from, Err(_))) => body["track"] = json!(link(from)?),
    }
    if let Some(position) = position {
        let place = seek(position)?;
        let ms = place.get("position_ms").cloned().ok_or_else(|| {
            let what = format!("{position:?} is no place in a track");
            (what, "write 90 or 1:30".to_owned())
        })?;
        body["position_ms"] = ms;
    }
    Ok(body)
}

fn seek(text: &str) -> Result<Value, Failure> {
    let wrong = || {
        let what = format!("{text:?} is no place in a track");
        (what, "write 90, 1:30, +15 or -15 (seconds)".to_owned())
    };
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", rest)) => (Some(1), rest),
        Some(("-", rest)) => (Some(-1), rest),
        _ => (None, text),
    };
    let mut seconds = 0_u32;
    for (at, part) in digits.split(':').enumerate() {
        let value: u32 = part.parse().map_err(|_| wrong())?;
        if at > 2 || at > 0 && value > 59 || part.starts_with('+') {
            return Err(wrong());
        }
        let sum = seconds
            .checked_mul(60)
            .and_then(|sum| sum.checked_add(value));
        seconds = sum.filter(|sum| *sum < 1_000_000).ok_or_else(wrong)?;
    }
    Ok(match sign {
        Some(sign) => json!({"by_ms": sign * i64::from(seconds) * 1_000}),
        None => json!({"position_ms": seconds * 1_000}),
    })
}

fn volume(text: &str) -> Result<Value, Failure> {
    let text = text.trim_end_matches('%');
    let value = text.parse::<i16>().ok().filter(|value| value.abs() <= 100);
    match value {
        Some(value) if text.starts_with(['+', '-']) => Ok(json!({ "by": value })),
        Some(value) => Ok(json!({ "percent": value })),
        None => Err((
            format!("{text:?} is no volume"),
            "write 0 to 100, or +5 or -5 (percent)".to_owned(),
        )),
    }
}

/// A bare number is minutes.
fn sleep(text: &str, fade: Option<&str>) -> Result<Value, Failure> {
    let mut body = match (text, text.parse::<u32>()) {
        ("off", _) => json!({}),
        ("track", _) => json!({"end_of_track": true}),
        (_, Ok(minutes @ 1..=1440)) => json!({"after_s": minutes * 60}),
        _ => match seconds(text) {
            Some(seconds @ 1..=LONGEST_SLEEP_S) => json!({ "after_s": seconds }),
            _ => {
                let help = "write 30m, 1h30m, up to 24h, track, or off";
                return Err((format!("{text:?} is no time to sleep"), help.to_owned()));
            }
        },
    };
    if let Some(fade) = fade {
        let fade_s = seconds(fade).filter(|seconds| *seconds <= LONGEST_FADE_S);
        let Some(fade_s) = fade_s else {
            let help = "write 20s, 2m or 1m30s, up to 1h, or 0s for none";
            return Err((format!("{fade:?} is no length of a fade"), help.to_owned()));
        };
        body["fade_s"] = json!(fade_s);
    }
    Ok(body)
}

/// `1h30m`, `90s`: numbers with their units, the greatest first.
fn seconds(text: &str) -> Option<u32> {
    let mut rest = text;
    let mut sum = 0_u32;
    for (unit, worth) in [('h', 3_600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part = number.parse::<u32>().ok()?.checked_mul(worth)?;
        sum = sum.checked_add(part)?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

/// The one that is meant.
pub async fn speaker(client: &Client, given: Option<&str>) -> Result<SpeakerState, Failure> {
    let mut house: House = client.get(&["status"]).await.map_err(told)?;
    let at = match (given, house.speakers.len()) {
        (None, 1) => 0,
        (None, _) => {
            let names = house.speakers.iter().map(|speaker| plain(&speaker.name));
            let names: Vec<_> = names.collect();
            let what = "there are several speakers".to_owned();
            let help = format!("say which, with --speaker: {}", names.join(", "));
            return Err((what, help));
        }
        (Some(given), _) => pick("speaker", given, &house.speakers, |speaker| {
            [&speaker.name, &speaker.id]
        })?,
    };
    Ok(house.speakers.swap_remove(at))
}

/// A line each; the one that is used stands out.
fn outputs(found: &Value) -> String {
    let all: Vec<OutputChoice> =
        serde_json::from_value(found["outputs"].clone()).unwrap_or_default();
    let lines = all.iter().map(|one| {
        let mark = if one.chosen { ">" } else { " " };
        format!("{mark} {}  {}\n", plain(&one.name), plain(&one.about))
    });
    lines.collect()
}

/// A line each: what was, what is, what comes.
fn listed(queue: &Value, speaker: &SpeakerState) -> String {
    let mut text = String::new();
    let of = |key: &str| -> Vec<Neighbour> {
        serde_json::from_value(queue[key].clone()).unwrap_or_default()
    };
    for before in of("previous") {
        text += &format!("  {}\n", plain(&before.uri));
    }
    let playback = speaker.playback.as_ref();
    match playback.and_then(|playback| playback.track.as_ref()) {
        Some(track) => text += &format!("> {}  {}\n", plain(&track.uri), plain(&track.title)),
        None => text += "> nothing\n",
    }
    for next in of("next") {
        let source = match next.source {
            Source::Context => "",
            Source::Queue => "  (queued)",
            Source::Autoplay => "  (chosen by Spotify)",
        };
        text += &format!("  {}{source}\n", plain(&next.uri));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_volumes_and_times_are_read_as_people_write_them() {
        assert_eq!(seek("90").ok(), Some(json!({"position_ms": 90_000})));
        assert_eq!(seek("1:30").ok(), Some(json!({"position_ms": 90_000})));
        assert_eq!(
            seek("1:00:01").ok(),
            Some(json!({"position_ms": 3_601_000}))
        );
        assert_eq!(seek("-15").ok(), Some(json!({"by_ms": -15_000})));
        assert_eq!(seek("+1:00").ok(), Some(json!({"by_ms": 60_000})));
        for wrong in [
            "",
            "x",
            "1:60",
            "1:2:3:4",
            "--5",
            "+-5",
            "1e9",
            "99999999999",
            "1:",
        ] {
            assert!(seek(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(volume("40%").ok(), Some(json!({"percent": 40})));
        assert_eq!(volume("-5").ok(), Some(json!({"by": -5})));
        assert_eq!(volume("+5").ok(), Some(json!({"by": 5})));
        assert!(volume("101").is_err() && volume("loud").is_err());
    }

    #[test]
    fn what_to_play_says_where_to_begin_by_number_or_by_name() {
        let (album, track) = ("spotify:album:", "spotify:track:");
        let id = "4uLU6hMCjMI75M1A2tKUQC";
        let (album, track) = (format!("{album}{id}"), format!("{track}{id}"));
        let begins = |from, position| load(&album, from, position).ok();
        assert_eq!(begins(None, None), Some(json!({ "uri": album })));
        assert_eq!(
            begins(Some("3"), Some("1:05")),
            Some(json!({"uri": album, "index": 2, "position_ms": 65_000}))
        );
        assert_eq!(
            begins(Some(&track), None),
            Some(json!({"uri": album, "track": track}))
        );
        for (from, position) in [
            (Some("0"), None),
            (Some("-1"), None),
            (Some("first"), None),
            (None, Some("+5")),
            (None, Some("soon")),
        ] {
            assert!(begins(from, position).is_none(), "{from:?} {position:?}");
        }
    }

    #[test]
    fn a_timer_is_read_in_minutes_or_with_units_and_a_fade_with_units_only() {
        for (text, after_s) in [
            ("30", 1_800),
            ("30m", 1_800),
            ("1h30m", 5_400),
            ("1h1s", 3_601),
            ("90s", 90),
            ("24h", 86_400),
        ] {
            let read = sleep(text, None).ok();
            assert_eq!(read, Some(json!({ "after_s": after_s })), "{text}");
        }
        assert_eq!(
            sleep("track", None).ok(),
            Some(json!({"end_of_track": true}))
        );
        let long = sleep("30m", Some("2m")).ok();
        assert_eq!(long, Some(json!({"after_s": 1_800, "fade_s": 120})));
        let none = sleep("30m", Some("0s")).ok();
        assert_eq!(none, Some(json!({"after_s": 1_800, "fade_s": 0})));
        for wrong in [
            "0",
            "0s",
            "1441",
            "25h",
            "m",
            "30m1h",
            "1h30",
            "+5m",
            "-5m",
            "",
            "99999999999h",
        ] {
            assert!(sleep(wrong, None).is_err(), "{wrong:?}");
        }
        for wrong in ["20", "2h", "", "s", "x"] {
            assert!(sleep("24h", Some(wrong)).is_err(), "{wrong:?}");
        }
    }
}

//! `siskin status`: the state of the house in plain words, or as JSON.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    client::{Client, ClientError},
    pick::pick,
};
use crate::model::{
    Account, Conditions, House, LayerState, Pairing, Phase, PlayState, Playback, Repeat, Severity,
    SleepTimer, SpeakerState, Track, unix_ms,
};

/// Characters of the position bar.
const BAR: usize = 30;

/// What is to be printed.
///
/// # Errors
/// What went wrong and what to do about it.
pub async fn status(
    client: &Client,
    speaker: Option<&str>,
    json: bool,
) -> Result<String, (String, String)> {
    let both = |error: ClientError| (error.to_string(), error.help().to_owned());
    let mut value: Value = client.get(&["status"]).await.map_err(both)?;
    let house: House = serde_json::from_value(value.clone()).map_err(|why| {
        let why = why.to_string();
        both(ClientError::Strange { why })
    })?;
    let at = match speaker {
        Some(given) => Some(pick("speaker", given, &house.speakers, |speaker| {
            [&speaker.name, &speaker.id]
        })?),
        None => None,
    };
    if json {
        if let Some(at) = at {
            value = value["speakers"][at].take();
        }
        return Ok(format!("{value:#}\n"));
    }
    Ok(match at {
        Some(at) => of_speaker(&house.speakers[at], unix_ms()),
        None => of_house(&house, unix_ms()),
    })
}

fn of_house(house: &House, now_ms: i64) -> String {
    let speakers = house.speakers.iter();
    let mut parts: Vec<_> = speakers
        .map(|speaker| of_speaker(speaker, now_ms))
        .collect();
    let mut own = String::new();
    conditions(&house.conditions, now_ms, &mut own);
    if !own.is_empty() {
        parts.push(format!("The daemon itself:\n{own}"));
    }
    parts.join("\n")
}

fn of_speaker(speaker: &SpeakerState, now_ms: i64) -> String {
    let mut text = format!("{}: {}\n", plain(&speaker.name), doing(speaker));
    if let Some(playback) = &speaker.playback {
        playing(playback, now_ms, &mut text);
    }
    if let Some(pairing) = &speaker.pairing {
        // Writing to a String does not fail, here and below.
        let _ = pairing_line(pairing, &mut text);
    }
    let addresses: Vec<_> = speaker.addresses.iter().map(ToString::to_string).collect();
    if addresses.is_empty() {
        text += "  not announced on any network\n";
    } else {
        let _ = writeln!(text, "  announced at {}", addresses.join(", "));
    }
    for (name, layer) in speaker.presence.layers() {
        if layer.state == LayerState::Failed {
            let since = ago(now_ms - layer.since_ms);
            let why = layer.why.as_deref().unwrap_or("being repaired");
            let _ = writeln!(text, "  {name} failed (since {since}): {}", plain(why));
        }
    }
    conditions(&speaker.conditions, now_ms, &mut text);
    text
}

fn doing(speaker: &SpeakerState) -> String {
    let who = speaker.account.as_ref().map_or("somebody".into(), called);
    let state = speaker.playback.as_ref().map(|playback| playback.state);
    match (speaker.phase, state) {
        (Phase::Nobody, _) => "waiting to be picked in the Spotify app".into(),
        (Phase::SigningIn, _) => format!("signing {who} in"),
        (Phase::Retrying, _) => format!("signing {who} in again, as soon as that is possible"),
        (Phase::Refused, _) => "nobody is signed in: Spotify refused the stored login".into(),
        (Phase::Online, Some(PlayState::Playing)) => format!("playing, {who} is signed in"),
        (Phase::Online, Some(PlayState::Loading)) => format!("loading, {who} is signed in"),
        (Phase::Online, Some(PlayState::Paused)) => format!("paused, {who} is signed in"),
        (Phase::Online, _) => format!("ready, {who} is signed in"),
    }
}

/// What a speaker does, in one line.
pub fn line(speaker: &SpeakerState, now_ms: i64) -> String {
    let playback = speaker.playback.as_ref();
    let track = playback.and_then(|playback| Some((playback, playback.track.as_ref()?)));
    let shown = track.filter(|(it, track)| is_shown(it, track));
    let Some((playback, track)) = shown else {
        return format!("{}: {}", speaker.name, doing(speaker));
    };
    let position = playback.position_at(now_ms);
    let mark = match playback.state {
        PlayState::Playing => ">",
        PlayState::Loading => "~",
        _ => "=",
    };
    format!(
        "{mark} [{}] {} / {}  {} - {}  {} %",
        bar(position, track.duration_ms),
        time(position),
        time(track.duration_ms),
        track.title,
        track.artists.join(", "),
        playback.volume.percent().get()
    )
}

/// A sign-in that is under way; how one ended is told where it was asked for.
fn pairing_line(pairing: &Pairing, text: &mut String) -> std::fmt::Result {
    match pairing {
        Pairing::Waiting { code, address, .. } => {
            let (code, address) = (plain(code), plain(address));
            writeln!(text, "  somebody may sign in: type {code} at {address}")
        }
        Pairing::Asking { .. } | Pairing::Browser { .. } | Pairing::SigningIn { .. } => {
            writeln!(text, "  somebody is signing in with siskin pair or login")
        }
        Pairing::Ready { .. } | Pairing::Failed { .. } | Pairing::Cancelled => Ok(()),
    }
}

/// What people call an account, with its user where that is something else.
pub fn called(account: &Account) -> String {
    with_id(&account.name, &account.user)
}

/// A name, and what it stands for where nobody would guess that.
pub fn with_id(name: &str, id: &str) -> String {
    if name.to_lowercase() == id.to_lowercase() {
        plain(name)
    } else {
        plain(&format!("{name} ({id})"))
    }
}

/// Of a track that is only about to be looked up, there is nothing to say yet.
fn is_shown(playback: &Playback, track: &Track) -> bool {
    playback.state != PlayState::Stopped && !track.title.is_empty()
}

fn playing(playback: &Playback, now_ms: i64, text: &mut String) {
    if let Some(track) = playback
        .track
        .as_ref()
        .filter(|track| is_shown(playback, track))
    {
        let _ = write!(text, "  {}", plain(&track.title));
        if !track.artists.is_empty() {
            let _ = write!(text, " by {}", plain(&track.artists.join(", ")));
        }
        if !track.album.is_empty() {
            let _ = write!(text, ", from {}", plain(&track.album));
        }
        let position = playback.position_at(now_ms);
        let _ = writeln!(
            text,
            "\n  [{}]  {} / {}",
            bar(position, track.duration_ms),
            time(position),
            time(track.duration_ms)
        );
    }
    let _ = write!(text, "  volume {} %", playback.volume.percent().get());
    if playback.shuffle {
        *text += ", shuffled";
    }
    *text += match playback.repeat {
        Repeat::Off => "",
        Repeat::Context => ", repeated from the beginning",
        Repeat::Track => ", this track repeated",
    };
    text.push('\n');
    sleep(playback, now_ms, text);
}

fn sleep(playback: &Playback, now_ms: i64, text: &mut String) {
    let when = match playback.sleep {
        SleepTimer::Off => return,
        SleepTimer::EndOfTrack => "after this track".to_owned(),
        SleepTimer::At { unix_ms } => format!("in {}", ago(unix_ms - now_ms)),
        SleepTimer::In { ms } => format!("in {}", ago(i64::try_from(ms).unwrap_or(i64::MAX))),
    };
    let _ = write!(text, "  pauses {when}");
    if playback.sleep_fade_ms > 0 {
        let fade = ago(playback.sleep_fade_ms.into());
        let _ = write!(text, ", fading over the last {fade}");
    }
    text.push('\n');
}

/// `=====>----`, as far as the track has come.
fn bar(position_ms: u32, duration_ms: u32) -> String {
    let share = f64::from(position_ms) / f64::from(duration_ms.max(1));
    let done = ((share * BAR as f64) as usize).min(BAR - 1);
    format!("{}>{}", "=".repeat(done), "-".repeat(BAR - 1 - done))
}

fn time(ms: u32) -> String {
    let seconds = ms / 1000;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn conditions(all: &Conditions, now_ms: i64, text: &mut String) {
    for (since_ms, condition) in all.iter() {
        let mark = match condition.code.severity() {
            Severity::Trouble => '!',
            Severity::Notice => '-',
        };
        let since = ago(now_ms - since_ms);
        let (what, why, cure) = (&condition.what, &condition.why, &condition.cure);
        let _ = writeln!(text, "  {mark} {} (since {since})", plain(what));
        let _ = writeln!(text, "      why:  {}", plain(why));
        let _ = writeln!(text, "      help: {}", plain(cure));
    }
}

fn ago(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Titles and names come from strangers: nothing in them may steer the terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            // What turns the direction of writing would turn everything behind it, too.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CameBy, Condition, ConditionCode, Percent};

    fn kitchen() -> SpeakerState {
        let mut playback = Playback::silent(Percent::clamped(40).volume());
        playback.state = PlayState::Playing;
        playback.position_ms = 60_000;
        playback.at_ms = 1_000_000;
        playback.track = Some(Track {
            uri: "spotify:track:1".into(),
            title: "Blue \x1b[31mNote".into(),
            artists: vec!["A".into(), "B".into()],
            album: "Night".into(),
            duration_ms: 180_000,
            explicit: false,
            covers: Vec::new(),
            ..Track::default()
        });
        SpeakerState {
            id: "main".into(),
            name: "Kitchen".into(),
            phase: Phase::Online,
            account: Some(Account {
                user: "31xy".into(),
                name: "Kim".into(),
                premium: Some(true),
                country: None,
                came_by: CameBy::Phone,
                last_used_ms: 0,
                keys_refused_ms: None,
                keys_refused_code: None,
            }),
            playback: Some(playback),
            addresses: vec![([192, 168, 1, 20], 4070).into()],
            ..SpeakerState::default()
        }
    }

    #[test]
    fn what_plays_is_told_with_a_bar_that_moves() {
        let text = of_speaker(&kitchen(), 1_030_000);
        assert_eq!(
            text,
            "Kitchen: playing, Kim (31xy) is signed in\n  \
             Blue \u{fffd}[31mNote by A, B, from Night\n  \
             [===============>--------------]  1:30 / 3:00\n  \
             volume 40 %\n  \
             announced at 192.168.1.20:4070\n"
        );
        assert_eq!(bar(0, 0).len(), BAR);
        assert_eq!(bar(180_000, 180_000), format!("{}>", "=".repeat(BAR - 1)));
        assert_eq!(time(3_723_000), "1:02:03");
    }

    #[test]
    fn a_timer_is_told_with_its_fade() {
        let mut speaker = kitchen();
        let mut told = |sleep, fade_ms| {
            let playback = speaker.playback.as_mut().expect("one");
            (playback.sleep, playback.sleep_fade_ms) = (sleep, fade_ms);
            of_speaker(&speaker, 1_000_000)
        };
        let at = SleepTimer::At { unix_ms: 2_800_000 };
        let text = told(at, 120_000);
        assert!(
            text.contains("\n  pauses in 30 min, fading over the last 2 min\n"),
            "{text}"
        );
        assert!(told(SleepTimer::EndOfTrack, 0).contains("\n  pauses after this track\n"));
        assert!(!told(SleepTimer::Off, 0).contains("pauses"));
    }

    #[test]
    fn a_track_without_a_name_yet_takes_no_lines() {
        let mut speaker = kitchen();
        let playback = speaker.playback.as_mut().expect("it plays");
        playback.state = PlayState::Loading;
        let track = playback.track.as_mut().expect("a track");
        track.title.clear();
        track.artists.clear();
        let text = of_speaker(&speaker, 1_030_000);
        assert!(
            text.starts_with("Kitchen: loading, Kim (31xy) is signed in\n  volume"),
            "{text}"
        );
        assert_eq!(
            line(&speaker, 1_030_000),
            "Kitchen: loading, Kim (31xy) is signed in"
        );
    }

    #[test]
    fn foreign_words_stay_in_their_line_and_in_their_direction() {
        assert_eq!(plain("one\ntwo\u{202e}three"), "one two\u{fffd}three");
    }

    #[test]
    fn a_code_that_may_be_typed_is_told_until_it_is_of_no_use() {
        let mut speaker = kitchen();
        speaker.pairing = Some(Pairing::Waiting {
            code: "AB12".into(),
            address: "https://spotify.com/pair".into(),
            complete_address: "https://spotify.com/pair?code=AB12".into(),
            expires_at_ms: 0,
            trouble: None,
        });
        let text = of_speaker(&speaker, 0);
        assert!(
            text.contains("type AB12 at https://spotify.com/pair\n"),
            "{text}"
        );
        speaker.pairing = Some(Pairing::Cancelled);
        assert!(!of_speaker(&speaker, 0).contains("sign in"));
    }

    #[test]
    fn trouble_is_told_with_its_reason_and_its_cure() {
        let mut house = House {
            speakers: vec![SpeakerState {
                name: "Bath".into(),
                ..SpeakerState::default()
            }],
            ..House::default()
        };
        let lost = Condition::new(ConditionCode::OutputLost, "no sound", "gone", "plug it in");
        house.speakers[0].conditions.raise(lost, 0);
        let wrong = Condition::new(ConditionCode::ConfigRejected, "old settings", "bad", "mend");
        house.conditions.raise(wrong, 0);
        assert_eq!(
            of_house(&house, 240_000),
            "Bath: waiting to be picked in the Spotify app\n  \
             not announced on any network\n  \
             ! no sound (since 4 min)\n      why:  gone\n      help: plug it in\n\n\
             The daemon itself:\n  \
             - old settings (since 4 min)\n      why:  bad\n      help: mend\n"
        );
    }
}

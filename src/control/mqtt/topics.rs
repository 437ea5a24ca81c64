//! From the state of the house to what stands on the broker. Pure.
//!
//! `<prefix>/<node>/availability` is `online` or `offline`. Below `<prefix>/<node>/<speaker>/`, each
//! retained, and absent while there is nothing true to say:
//!
//! | topic | payload |
//! | --- | --- |
//! | `state` | `waiting` (for somebody to sign in), `signing_in`, `retrying`, `refused`, `idle`, `loading`, `playing`, `paused` |
//! | `playing`, `selectable`, `problem` | `ON`, `OFF` |
//! | `title`, `artist`, `album`, `uri`, `context`, `context_name` | text, of what plays here |
//! | `kind` | `track`, `episode` |
//! | `explicit` | `ON`, `OFF` |
//! | `cover` | the address of the largest picture |
//! | `covers` | `["https://…", …]`, all sizes, the largest first |
//! | `duration` | ms |
//! | `position` | `{"position_ms", "at_ms", "duration_ms", "playing"}`: where the music was at the Unix time `at_ms`. Told when it goes on otherwise than it did, not every second |
//! | `shuffle`, `mute` | `ON`, `OFF` |
//! | `repeat` | `off`, `context`, `track` |
//! | `volume` | 0 to 100 |
//! | `output` | where the sound goes: one of `outputs` |
//! | `outputs` | `{"outputs": [{"name", "about", "chosen"}, …]}`, what there is to choose from |
//! | `account` | what people call whoever is signed in |
//! | `condition` | the code of what is wrong: of the speaker before the house's, trouble before notices |
//! | `conditions` | `{"conditions": […]}`, all of them, each with reason and cure |
//! | `json` | [`SpeakerState`], less what only siskin itself needs |
//!
//! And `<discovery prefix>/device/siskin_<node>_<speaker>/config`, see [`super::discovery`]. Commands
//! are taken at `<prefix>/<node>/<speaker>/set/<command>`, see [`super::commands`]; what is wrong
//! with one is told, once, at `<prefix>/<node>/<speaker>/error`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{commands, discovery};
use crate::{
    config::Mqtt,
    model::{
        ConditionCode, House, LayerState, Pairing, Phase, Place, PlayState, Playback, Repeat,
        Severity, SpeakerState, Standing, TrackKind,
    },
};

pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";
/// As Home Assistant writes switches.
pub const ON: &str = "ON";
pub const OFF: &str = "OFF";

/// What the place of music may be off from what follows from the last one told, in ms.
const DRIFT_MS: i64 = 1_000;

/// What is to be retained, by topic. Nothing is empty: that would remove the topic.
pub type Topics = BTreeMap<String, String>;

/// Where everything of this siskin stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// `<prefix>/<node>`
    base: String,
    node: String,
    discovery: Option<String>,
}

/// What stands at a topic of ours that somebody else published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant<'a> {
    /// Home Assistant says how it is.
    Home,
    Availability,
    Command {
        speaker: &'a str,
        command: &'a str,
    },
    /// What we, or who had our name before, told of a speaker.
    Told {
        speaker: &'a str,
    },
    Nothing,
}

impl Tree {
    pub fn new(settings: &Mqtt) -> Self {
        Self {
            base: format!("{}/{}", settings.prefix, settings.node),
            node: settings.node.clone(),
            discovery: settings.discovery_prefix.clone(),
        }
    }

    /// Names this siskin to the broker, and its speakers to Home Assistant.
    pub fn client_id(&self) -> String {
        format!("siskin_{}", self.node)
    }

    /// Names a speaker among all devices of a house.
    pub fn id(&self, speaker: &str) -> String {
        format!("siskin_{}_{speaker}", self.node)
    }

    pub fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    pub fn of(&self, speaker: &str, what: &str) -> String {
        format!("{}/{speaker}/{what}", self.base)
    }

    pub fn command(&self, speaker: &str, command: &str) -> String {
        format!("{}/{speaker}/set/{command}", self.base)
    }

    /// Where a speaker is described to Home Assistant, if it is.
    pub fn description(&self, speaker: &str) -> Option<String> {
        let prefix = self.discovery.as_ref()?;
        Some(format!("{prefix}/device/{}/config", self.id(speaker)))
    }

    /// What is listened to at all times.
    pub fn filters(&self) -> Vec<String> {
        let home = self
            .discovery
            .iter()
            .map(|prefix| format!("{prefix}/status"));
        [format!("{}/+/set/+", self.base), self.availability()]
            .into_iter()
            .chain(home)
            .collect()
    }

    /// Everything that was ever told of speakers.
    pub fn everything(&self) -> String {
        format!("{}/+/+", self.base)
    }

    pub fn meant<'a>(&self, topic: &'a str) -> Meant<'a> {
        let home = self.discovery.as_ref();
        if home.is_some_and(|prefix| topic.strip_prefix(prefix.as_str()) == Some("/status")) {
            return Meant::Home;
        }
        let below = topic
            .strip_prefix(self.base.as_str())
            .and_then(|rest| rest.strip_prefix('/'));
        let levels: Vec<&str> = below.unwrap_or_default().split('/').collect();
        match levels[..] {
            ["availability"] => Meant::Availability,
            [speaker, "set", command] => Meant::Command { speaker, command },
            [speaker, _] if !speaker.is_empty() => Meant::Told { speaker },
            _ => Meant::Nothing,
        }
    }
}

/// Looks at the house, and keeps in mind where it last told the music to be.
#[derive(Debug, Default)]
pub struct Sight {
    spots: BTreeMap<String, Spot>,
}

/// Where the music was at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Spot {
    #[serde(skip)]
    uri: String,
    position_ms: u32,
    /// Unix time in ms.
    at_ms: i64,
    duration_ms: u32,
    playing: bool,
}

impl Spot {
    fn of(playback: &Playback) -> Option<Self> {
        let track = playback.track.as_ref()?;
        Some(Self {
            uri: track.uri.clone(),
            position_ms: playback.position_ms,
            at_ms: playback.at_ms,
            duration_ms: track.duration_ms,
            playing: playback.state == PlayState::Playing,
        })
    }

    /// Whether who knows this one finds the music where `new` says it is.
    fn leads_to(&self, new: &Self) -> bool {
        let same =
            (&self.uri, self.duration_ms, self.playing) == (&new.uri, new.duration_ms, new.playing);
        let gone = if self.playing {
            new.at_ms - self.at_ms
        } else {
            0
        };
        let expected = i64::from(self.position_ms) + gone;
        same && (expected - i64::from(new.position_ms)).abs() <= DRIFT_MS
    }
}

impl Sight {
    /// Everything that is to stand on the broker now, but the availability.
    pub fn topics(&mut self, tree: &Tree, house: &House, version: &str) -> Topics {
        self.spots.retain(|id, _| house.speaker(id).is_some());
        let mut topics = Topics::new();
        for speaker in &house.speakers {
            let mut shown = plain(speaker);
            self.settle(&mut shown);
            for (what, payload) in told(house, &shown) {
                if !payload.is_empty() {
                    topics.insert(tree.of(&speaker.id, what), payload);
                }
            }
            if let Some(topic) = tree.description(&speaker.id) {
                let device = discovery::device(tree, speaker, version);
                topics.insert(topic, device.to_string());
            }
        }
        topics
    }

    /// Where the music goes on as it was told, it is left where that was.
    fn settle(&mut self, speaker: &mut SpeakerState) {
        let new = here(speaker).and_then(Spot::of);
        let known = self.spots.get(&speaker.id);
        let spot = match (known, new) {
            (_, None) => {
                self.spots.remove(&speaker.id);
                return;
            }
            (Some(known), Some(new)) if known.leads_to(&new) => known.clone(),
            (_, Some(new)) => new,
        };
        if let Some(playback) = &mut speaker.playback {
            playback.position_ms = spot.position_ms;
            playback.at_ms = spot.at_ms;
        }
        self.spots.insert(speaker.id.clone(), spot);
    }
}

/// A speaker without what nobody else can use, or should see on a shared broker.
fn plain(speaker: &SpeakerState) -> SpeakerState {
    let mut shown = speaker.clone();
    shown.pairing = None::<Pairing>;
    if let Some(playback) = &mut shown.playback {
        playback.place = Place::default();
        playback.queue.clear();
    }
    shown
}

/// What plays on this very speaker; it goes on while the session under it is made anew.
fn here(speaker: &SpeakerState) -> Option<&Playback> {
    let playback = speaker.playback.as_ref();
    playback.filter(|playback| playback.active)
}

fn told(house: &House, speaker: &SpeakerState) -> Vec<(&'static str, String)> {
    let playing = here(speaker);
    let track = playing.and_then(|playback| playback.track.as_ref());
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let is_playing = playing.is_some_and(|playback| playback.state == PlayState::Playing);
    let standing = standing(house, speaker);
    let trouble = standing
        .iter()
        .any(|found| found.severity == Severity::Trouble);
    let volume = speaker.volume_percent.map(|percent| percent.get());
    let outputs = &speaker.outputs;
    let output = outputs.iter().find(|output| output.chosen);
    vec![
        ("state", state(speaker).to_owned()),
        ("playing", switch(is_playing)),
        ("selectable", switch(is_selectable(speaker))),
        ("problem", switch(trouble)),
        ("title", text(track.map(|track| &track.title))),
        (
            "artist",
            track.map_or_else(String::new, |track| track.artists.join(", ")),
        ),
        ("album", text(track.map(|track| &track.album))),
        ("uri", text(track.map(|track| &track.uri))),
        (
            "context",
            text(playing.and_then(|playback| playback.context.as_ref())),
        ),
        (
            "context_name",
            text(playing.and_then(|playback| playback.context_name.as_ref())),
        ),
        (
            "kind",
            track.map_or_else(String::new, |track| kind(track.kind).to_owned()),
        ),
        (
            "explicit",
            track.map_or_else(String::new, |track| switch(track.explicit)),
        ),
        ("cover", text(track.and_then(|track| track.covers.first()))),
        (
            "covers",
            track.map_or_else(String::new, |track| json!(track.covers).to_string()),
        ),
        (
            "duration",
            track.map_or_else(String::new, |track| track.duration_ms.to_string()),
        ),
        (
            "position",
            playing
                .and_then(Spot::of)
                .map_or_else(String::new, |spot| json!(spot).to_string()),
        ),
        (
            "shuffle",
            playing.map_or_else(String::new, |playback| switch(playback.shuffle)),
        ),
        (
            "repeat",
            playing.map_or_else(String::new, |playback| repeat(playback.repeat).to_owned()),
        ),
        (
            "volume",
            volume.map_or_else(String::new, |percent| percent.to_string()),
        ),
        (
            "mute",
            volume.map_or_else(String::new, |percent| switch(percent == 0)),
        ),
        ("output", text(output.map(|output| &output.name))),
        ("outputs", json!({ "outputs": outputs }).to_string()),
        (
            "account",
            speaker
                .account
                .as_ref()
                .map_or_else(String::new, |account| account.name.clone()),
        ),
        (
            "condition",
            first(&standing).map_or_else(String::new, |code| code.key().to_owned()),
        ),
        ("conditions", json!({ "conditions": standing }).to_string()),
        ("json", json!(speaker).to_string()),
    ]
}

fn switch(on: bool) -> String {
    if on { ON } else { OFF }.to_owned()
}

/// Names of what the sound can be led to, as Home Assistant can show and send them.
pub fn choices(speaker: &SpeakerState) -> Vec<&str> {
    let names = speaker.outputs.iter().map(|output| output.name.as_str());
    let mut choices = Vec::new();
    for name in names.filter(|name| name.len() <= commands::LONGEST_NAME) {
        if !choices.contains(&name) {
            choices.push(name);
        }
    }
    choices
}

fn kind(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Track => "track",
        TrackKind::Episode => "episode",
    }
}

fn repeat(mode: Repeat) -> &'static str {
    match mode {
        Repeat::Off => "off",
        Repeat::Context => "context",
        Repeat::Track => "track",
    }
}

/// Every word of the topic `state`.
pub const STATES: [&str; 8] = [
    "waiting",
    "signing_in",
    "retrying",
    "refused",
    "idle",
    "loading",
    "playing",
    "paused",
];

fn state(speaker: &SpeakerState) -> &'static str {
    match (speaker.phase, here(speaker).map(|playback| playback.state)) {
        (Phase::Nobody, _) => "waiting",
        (Phase::SigningIn, _) => "signing_in",
        (Phase::Retrying, _) => "retrying",
        (Phase::Refused, _) => "refused",
        (Phase::Online, None | Some(PlayState::Stopped)) => "idle",
        (Phase::Online, Some(PlayState::Loading)) => "loading",
        (Phase::Online, Some(PlayState::Playing)) => "playing",
        (Phase::Online, Some(PlayState::Paused)) => "paused",
    }
}

/// In the picker of a phone: of anybody's in the house, or of the account's that is signed in.
fn is_selectable(speaker: &SpeakerState) -> bool {
    let presence = &speaker.presence;
    let fails = |state: LayerState| state == LayerState::Failed;
    let found = !speaker.addresses.is_empty()
        && !fails(presence.announced.state)
        && !fails(presence.endpoint.state);
    found || speaker.phase == Phase::Online
}

/// What is wrong, of the speaker and of the house around it. What this very surface has to say of
/// itself is over where it can be read.
fn standing(house: &House, speaker: &SpeakerState) -> Vec<Standing> {
    let own = Vec::<Standing>::from(speaker.conditions.clone());
    let around = Vec::<Standing>::from(house.conditions.clone());
    own.into_iter()
        .chain(around)
        .filter(|found| found.code != ConditionCode::MqttUnreachable)
        .collect()
}

fn first(standing: &[Standing]) -> Option<ConditionCode> {
    let trouble = standing
        .iter()
        .find(|found| found.severity == Severity::Trouble);
    trouble.or(standing.first()).map(|found| found.code)
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;

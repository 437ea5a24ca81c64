//! The one truth about the house, as every surface shows it. Events only say that it changed.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Account, Conditions, OutputChoice, Pairing, Peer, Percent, Playback, Presence, Sound};

/// Everything that can be said about the daemon and its speakers at one moment. Holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct House {
    /// Grows by one with every change; starts anew with the daemon.
    pub version: u64,
    /// What is wrong with the daemon itself: network, configuration, certificates.
    #[cfg_attr(test, schema(value_type = Vec<super::condition::Standing>))]
    pub conditions: Conditions,
    /// In the order of the configuration.
    pub speakers: Vec<SpeakerState>,
}

/// One speaker of the house.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct SpeakerState {
    /// As in the configuration; stays while the name may change.
    pub id: String,
    /// What phones show.
    pub name: String,
    pub phase: Phase,
    /// Whom the speaker belongs to at the moment, signed in or on the way there.
    pub account: Option<Account>,
    /// The last truth of the engine; `None` while nobody is signed in.
    pub playback: Option<Playback>,
    /// How loud, in percent; `None` while nobody is signed in.
    #[serde(default)]
    pub volume_percent: Option<Percent>,
    /// Where the sound goes: `card`, `pipe`, `wav` or `null`.
    #[serde(default)]
    pub output: String,
    /// Where it could go, what is used among them. Sound cards are looked for when somebody asks
    /// for the outputs.
    #[serde(default)]
    pub outputs: Vec<OutputChoice>,
    /// What was opened last for sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<Sound>,
    /// The other devices of the account; empty while nobody is signed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Peer>,
    /// What is streamed at most, in kbit/s.
    #[serde(default)]
    pub bitrate: u16,
    /// Music that is decoded and waits to be heard, in ms. Measured for whoever asks for the state;
    /// not told in events, which it would be by the second, and not while nothing plays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_ms: Option<u32>,
    /// Music waits for hooks that come before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holding: bool,
    #[cfg_attr(test, schema(value_type = Vec<super::condition::Standing>))]
    pub conditions: Conditions,
    /// The sign-in by a code or a browser that is under way, or how the last one ended.
    #[serde(default)]
    pub pairing: Option<Pairing>,
    /// Where phones are told to find it; empty while it is not announced.
    #[cfg_attr(test, schema(value_type = Vec<String>))]
    pub addresses: Vec<SocketAddr>,
    /// Whether a phone could pick it now.
    #[serde(default)]
    pub presence: Presence,
}

/// Where a speaker stands with Spotify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Announced; somebody must pick it.
    #[default]
    Nobody,
    SigningIn,
    /// Signed in: the Spotify app of the account lists the speaker.
    Online,
    /// The session is lost, or could not be had; it is tried again without being asked.
    Retrying,
    /// Spotify refused the stored login: only a new one helps.
    Refused,
}

impl House {
    pub fn speaker(&self, id: &str) -> Option<&SpeakerState> {
        self.speakers.iter().find(|speaker| speaker.id == id)
    }

    /// Whether both say the same, at whatever version.
    pub fn is_as(&self, other: &Self) -> bool {
        self.conditions == other.conditions && self.speakers == other.speakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, ConditionCode, Volume};

    #[test]
    fn the_state_survives_the_way_through_json() {
        let mut speaker = SpeakerState {
            id: "kitchen".into(),
            name: "Kitchen".into(),
            phase: Phase::Retrying,
            playback: Some(Playback::silent(Volume::FULL)),
            addresses: vec![([127, 0, 0, 1], 4070).into()],
            ..SpeakerState::default()
        };
        let lost = Condition::new(ConditionCode::OutputLost, "no sound", "gone", "plug it in");
        speaker.conditions.raise(lost, 7);
        let house = House {
            version: 3,
            speakers: vec![speaker],
            ..House::default()
        };
        let text = serde_json::to_string(&house).expect("plain values");
        assert!(text.contains(r#""phase":"retrying""#), "{text}");
        let lost = r#"{"code":"output_lost","severity":"trouble","since_ms":7,"what":"no sound""#;
        assert!(text.contains(lost), "{text}");
        assert_eq!(serde_json::from_str::<House>(&text).expect("ours"), house);
    }
}

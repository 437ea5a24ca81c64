//! How a speaker is described to Home Assistant: one message a device. Pure.
//!
//! Home Assistant knows no media player over MQTT, so a speaker is taken apart into sensors,
//! buttons, switches and the like. An empty topic is nothing to it, not "unknown": templates turn
//! the one into the other. See Home Assistant's "MQTT" integration, "device discovery payload".

use serde_json::{Value, json};

use super::topics::{STATES, Tree, choices};
use crate::model::SpeakerState;

/// Nothing is told: Home Assistant then knows nothing, instead of the last that was.
const OR_NONE: &str = "{{ value or 'None' }}";
/// The same; and no state of Home Assistant is longer.
const TEXT: &str = "{{ value[:255] or 'None' }}";

/// The payload that makes Home Assistant show the speaker.
pub fn device(tree: &Tree, speaker: &SpeakerState, version: &str) -> Value {
    let (id, name) = (speaker.id.as_str(), &speaker.name);
    let mut components = serde_json::Map::new();
    let mut all = components_of(tree, id);
    all.push(("output", output(tree, speaker)));
    for (what, mut component) in all {
        component["unique_id"] = json!(format!("{}_{what}", tree.id(id)));
        components.insert(what.to_owned(), component);
    }
    json!({
        "device": {
            "identifiers": [tree.id(id)],
            "name": name,
            "manufacturer": "siskin",
            "model": "Spotify Connect speaker",
            "sw_version": version,
        },
        "origin": {
            "name": "siskin",
            "sw_version": version,
            "support_url": env!("CARGO_PKG_REPOSITORY"),
        },
        "availability": [{ "topic": tree.availability() }],
        "components": components,
    })
}

/// Each with the topic it is about, which names it.
fn components_of(tree: &Tree, speaker: &str) -> Vec<(&'static str, Value)> {
    let of = |what: &str| tree.of(speaker, what);
    let set = |command: &str| tree.command(speaker, command);
    let sensor = |what: &'static str, name: &str, icon: &str| {
        let sensor = json!({
            "platform": "sensor",
            "name": name,
            "icon": icon,
            "state_topic": of(what),
            "value_template": TEXT,
        });
        (what, sensor)
    };
    let button = |what: &'static str, name: &str, icon: &str| {
        let button = json!({
            "platform": "button",
            "name": name,
            "icon": icon,
            "command_topic": set(what),
        });
        (what, button)
    };
    let switch = |what: &'static str, name: &str, icon: &str| {
        let switch = json!({
            "platform": "switch",
            "name": name,
            "icon": icon,
            "state_topic": of(what),
            "value_template": OR_NONE,
            "command_topic": set(what),
        });
        (what, switch)
    };
    let binary = |what: &'static str, name: &str, class: Option<&str>| {
        let mut binary = json!({
            "platform": "binary_sensor",
            "name": name,
            "state_topic": of(what),
        });
        match class {
            Some(class) => {
                binary["device_class"] = json!(class);
                binary["entity_category"] = json!("diagnostic");
            }
            None => binary["icon"] = json!("mdi:music-note"),
        }
        (what, binary)
    };

    let (_, mut account) = sensor("account", "Account", "mdi:account");
    account["entity_category"] = json!("diagnostic");
    let (_, mut condition) = sensor("condition", "Condition", "mdi:stethoscope");
    condition["entity_category"] = json!("diagnostic");
    condition["json_attributes_topic"] = json!(of("conditions"));

    vec![
        ("state", state(tree, speaker)),
        sensor("title", "Title", "mdi:music"),
        sensor("artist", "Artist", "mdi:account-music"),
        sensor("album", "Album", "mdi:album"),
        ("account", account),
        ("condition", condition),
        binary("playing", "Playing", None),
        binary("selectable", "Selectable", Some("connectivity")),
        binary("problem", "Problem", Some("problem")),
        ("volume", volume(tree, speaker)),
        ("repeat", repeat(tree, speaker)),
        switch("shuffle", "Shuffle", "mdi:shuffle-variant"),
        switch("mute", "Mute", "mdi:volume-off"),
        button("play", "Play", "mdi:play"),
        button("pause", "Pause", "mdi:pause"),
        button("next", "Next", "mdi:skip-next"),
        button("previous", "Previous", "mdi:skip-previous"),
        ("cover", cover(tree, speaker)),
    ]
}

/// The word, with where the music is beside it.
fn state(tree: &Tree, speaker: &str) -> Value {
    json!({
        "platform": "sensor",
        "name": "State",
        "icon": "mdi:speaker",
        "device_class": "enum",
        "options": STATES,
        "state_topic": tree.of(speaker, "state"),
        "json_attributes_topic": tree.of(speaker, "position"),
        "json_attributes_template": "{{ value or '{}' }}",
    })
}

fn volume(tree: &Tree, speaker: &str) -> Value {
    json!({
        "platform": "number",
        "name": "Volume",
        "icon": "mdi:volume-high",
        "min": 0,
        "max": 100,
        "step": 1,
        "mode": "slider",
        "unit_of_measurement": "%",
        "state_topic": tree.of(speaker, "volume"),
        "value_template": OR_NONE,
        "command_topic": tree.command(speaker, "volume"),
    })
}

fn repeat(tree: &Tree, speaker: &str) -> Value {
    json!({
        "platform": "select",
        "name": "Repeat",
        "icon": "mdi:repeat",
        "options": ["off", "context", "track"],
        "state_topic": tree.of(speaker, "repeat"),
        "value_template": OR_NONE,
        "command_topic": tree.command(speaker, "repeat"),
    })
}

/// The list is as long as what was found when it was last looked for sound cards.
fn output(tree: &Tree, speaker: &SpeakerState) -> Value {
    json!({
        "platform": "select",
        "name": "Output",
        "icon": "mdi:speaker-wireless",
        "entity_category": "config",
        "options": choices(speaker),
        "state_topic": tree.of(&speaker.id, "output"),
        "value_template": OR_NONE,
        "command_topic": tree.command(&speaker.id, "output"),
        "json_attributes_topic": tree.of(&speaker.id, "outputs"),
    })
}

/// Without a cover, the entity is not available: an address that is empty is an error there, and
/// the picture of before would stay. What is shown as an address then is never asked for.
fn cover(tree: &Tree, speaker: &str) -> Value {
    let topic = tree.of(speaker, "cover");
    json!({
        "platform": "image",
        "name": "Cover",
        "url_topic": topic,
        "url_template": "{{ value or 'http://localhost/' }}",
        "availability_mode": "all",
        "availability": [
            { "topic": tree.availability() },
            { "topic": topic, "value_template": "{{ 'online' if value else 'offline' }}" },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Mqtt, model::OutputChoice};

    const GOLDEN: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/mqtt/home-assistant.json"
    );

    fn speaker(id: &str, name: &str) -> SpeakerState {
        let output = |name: &str, about: &str, chosen| OutputChoice {
            name: name.into(),
            about: about.into(),
            chosen,
        };
        SpeakerState {
            id: id.into(),
            name: name.into(),
            outputs: vec![
                output("default", "the default sound card", true),
                output("hw:CARD=DAC,DEV=0", "USB DAC", false),
                output("hw:CARD=DAC,DEV=0", "the same again", false),
                output(&"x".repeat(300), "too long for a state", false),
            ],
            ..SpeakerState::default()
        }
    }

    #[test]
    fn a_speaker_is_described_as_it_was_agreed() {
        let tree = Tree::new(&Mqtt {
            node: "attic".into(),
            ..Mqtt::default()
        });
        let device = device(&tree, &speaker("kitchen", "Küche"), "1.2.3");
        let told = serde_json::to_string_pretty(&device).expect("plain values") + "\n";
        if std::env::var_os("SISKIN_TEST_BLESS").is_some() {
            std::fs::write(GOLDEN, &told).expect("written");
        }
        let expected = std::fs::read_to_string(GOLDEN).unwrap_or_default();
        assert_eq!(told, expected);
    }

    #[test]
    fn every_entity_has_a_name_of_its_own_and_a_topic_that_is_told_or_heard() {
        let tree = Tree::new(&Mqtt::default());
        let device = device(&tree, &speaker("main", "Kitchen"), "1");
        let components = device["components"].as_object().expect("components");
        assert_eq!(components.len(), 19);
        let mut ids: Vec<_> = components
            .values()
            .map(|it| it["unique_id"].as_str())
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), components.len());
        for (what, component) in components {
            if let Some(topic) = component["command_topic"].as_str() {
                let payload = match what.as_str() {
                    "volume" => "7",
                    "repeat" => "off",
                    "output" => "default",
                    "shuffle" | "mute" => "ON",
                    _ => "PRESS",
                };
                let (_, command) = topic.rsplit_once('/').expect("levels");
                let order = super::super::commands::order("main", command, payload.as_bytes());
                assert!(order.is_ok(), "{what}: {order:?}");
            }
        }
    }
}

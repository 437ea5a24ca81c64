//! What stands on the broker for which state of the house.

use super::*;
use crate::model::{Account, Condition, OutputChoice, Track, Volume};

fn tree() -> Tree {
    Tree::new(&Mqtt {
        node: "attic".into(),
        ..Mqtt::default()
    })
}

fn playing() -> Playback {
    Playback {
        state: PlayState::Playing,
        track: Some(Track {
            uri: "spotify:track:1".into(),
            title: "Staircase".into(),
            artists: vec!["Kim".into(), "Alex".into()],
            album: "House".into(),
            duration_ms: 200_000,
            explicit: false,
            covers: vec!["https://large".into(), "https://small".into()],
            ..Track::default()
        }),
        context_name: Some("House, remastered".into()),
        position_ms: 10_000,
        at_ms: 1_000_000,
        active: true,
        ..Playback::silent(Volume::FULL)
    }
}

fn house(playback: Option<Playback>) -> House {
    House {
        speakers: vec![SpeakerState {
            id: "main".into(),
            name: "Kitchen".into(),
            phase: Phase::Online,
            account: Some(Account::of("kim".into())),
            volume_percent: playback.as_ref().map(|it| it.volume.percent()),
            playback,
            outputs: ["default", "hw:1"]
                .map(|name| OutputChoice {
                    name: name.into(),
                    chosen: name == "hw:1",
                    ..OutputChoice::default()
                })
                .into(),
            ..SpeakerState::default()
        }],
        ..House::default()
    }
}

fn told_of(sight: &mut Sight, house: &House) -> Topics {
    sight.topics(&tree(), house, "1")
}

#[track_caller]
fn says(topics: &Topics, what: &str, expected: &str) {
    let payload = topics.get(&format!("siskin/attic/main/{what}"));
    assert_eq!(payload.map_or("", String::as_str), expected, "{what}");
}

#[test]
fn what_plays_is_told_field_by_field() {
    let topics = told_of(&mut Sight::default(), &house(Some(playing())));
    for (what, expected) in [
        ("state", "playing"),
        ("playing", "ON"),
        ("selectable", "ON"),
        ("problem", "OFF"),
        ("title", "Staircase"),
        ("artist", "Kim, Alex"),
        ("album", "House"),
        ("context_name", "House, remastered"),
        ("kind", "track"),
        ("explicit", "OFF"),
        ("cover", "https://large"),
        ("covers", r#"["https://large","https://small"]"#),
        ("output", "hw:1"),
        ("duration", "200000"),
        ("shuffle", "OFF"),
        ("repeat", "off"),
        ("volume", "100"),
        ("mute", "OFF"),
        ("account", "kim"),
        ("condition", ""),
        ("conditions", r#"{"conditions":[]}"#),
    ] {
        says(&topics, what, expected);
    }
    let json = &topics["siskin/attic/main/json"];
    assert_eq!(
        serde_json::from_str::<SpeakerState>(json).expect("ours"),
        house(Some(playing())).speakers[0]
    );
    let description = &topics["homeassistant/device/siskin_attic_main/config"];
    assert!(description.contains(r#""name":"Kitchen""#), "{description}");
    let options = r#""options":["default","hw:1"]"#;
    assert!(description.contains(options), "{description}");
    let outputs = &topics["siskin/attic/main/outputs"];
    assert!(outputs.contains(r#""chosen":true"#), "{outputs}");
}

#[test]
fn what_does_not_play_here_leaves_no_topic_behind() {
    for (playback, state) in [
        (None, "idle"),
        (
            Some(Playback {
                active: false,
                ..playing()
            }),
            "idle",
        ),
        (
            Some(Playback {
                state: PlayState::Paused,
                ..playing()
            }),
            "paused",
        ),
    ] {
        let topics = told_of(&mut Sight::default(), &house(playback));
        says(&topics, "state", state);
        says(&topics, "playing", "OFF");
        says(
            &topics,
            "title",
            if state == "idle" { "" } else { "Staircase" },
        );
        assert!(topics.values().all(|payload| !payload.is_empty()));
    }
    let mut alone = house(Some(playing()));
    alone.speakers[0].phase = Phase::Nobody;
    alone.speakers[0].account = None;
    let topics = told_of(&mut Sight::default(), &alone);
    says(&topics, "state", "waiting");
    says(&topics, "account", "");
    says(&topics, "selectable", "OFF");
    assert_eq!(
        told_of(&mut Sight::default(), &House::default()),
        Topics::new()
    );
}

#[test]
fn music_that_goes_on_as_it_was_told_is_not_told_again() {
    let mut sight = Sight::default();
    let first = told_of(&mut sight, &house(Some(playing())));
    let later = |position_ms, at_ms| {
        house(Some(Playback {
            position_ms,
            at_ms,
            ..playing()
        }))
    };
    assert_eq!(told_of(&mut sight, &later(15_200, 1_005_000)), first);
    assert_eq!(told_of(&mut sight, &later(69_500, 1_060_000)), first);
    let jump = told_of(&mut sight, &later(120_000, 1_061_000));
    assert_ne!(jump, first);
    says(
        &jump,
        "position",
        r#"{"at_ms":1061000,"duration_ms":200000,"playing":true,"position_ms":120000}"#,
    );
    let paused = Playback {
        state: PlayState::Paused,
        position_ms: 120_000,
        at_ms: 1_061_000,
        ..playing()
    };
    let held = told_of(&mut sight, &house(Some(paused.clone())));
    assert_ne!(held, jump);
    let later = Playback {
        at_ms: 1_900_000,
        ..paused
    };
    assert_eq!(
        told_of(&mut sight, &house(Some(later))),
        held,
        "a pause stands still"
    );
}

#[test]
fn the_worst_that_is_wrong_names_the_condition() {
    let mut wrong = house(None);
    let of = |code| Condition::new(code, "what", "why", "cure");
    let own = &mut wrong.speakers[0].conditions;
    own.raise(of(ConditionCode::GuestRefused), 1);
    says(
        &told_of(&mut Sight::default(), &wrong),
        "condition",
        "guest_refused",
    );
    says(&told_of(&mut Sight::default(), &wrong), "problem", "OFF");
    wrong.conditions.raise(of(ConditionCode::NoNetwork), 2);
    wrong
        .conditions
        .raise(of(ConditionCode::MqttUnreachable), 3);
    let topics = told_of(&mut Sight::default(), &wrong);
    says(&topics, "condition", "no_network");
    says(&topics, "problem", "ON");
    let all = &topics["siskin/attic/main/conditions"];
    assert!(
        all.contains("guest_refused") && all.contains(r#""cure":"cure""#),
        "{all}"
    );
    assert!(!all.contains("mqtt"), "{all}");
}

#[test]
fn a_topic_means_what_it_was_made_for() {
    let tree = tree();
    let command = tree.command("main", "volume");
    let wanted = Meant::Command {
        speaker: "main",
        command: "volume",
    };
    assert_eq!(tree.meant(&command), wanted);
    assert_eq!(tree.meant(&tree.availability()), Meant::Availability);
    assert_eq!(tree.meant("homeassistant/status"), Meant::Home);
    assert_eq!(
        tree.meant("siskin/attic/main/title"),
        Meant::Told { speaker: "main" }
    );
    for nothing in [
        "siskin/cellar/main/set/play",
        "siskin/attic/main/set/play/now",
        "siskin/attic",
        "siskin/attic//title",
        "homeassistant/device/x/config",
        "",
    ] {
        assert_eq!(tree.meant(nothing), Meant::Nothing, "{nothing}");
    }
    let silent = Tree::new(&Mqtt {
        discovery_prefix: None,
        ..Mqtt::default()
    });
    assert_eq!(silent.description("main"), None);
    assert_eq!(silent.meant("homeassistant/status"), Meant::Nothing);
}

#[test]
fn music_goes_on_being_told_while_the_session_under_it_is_made_anew() {
    let mut sight = Sight::default();
    let mut house = house(Some(playing()));
    let before = told_of(&mut sight, &house);
    house.speakers[0].phase = Phase::Retrying;
    let after = told_of(&mut sight, &house);
    let is_other = |topic: &String| before.get(topic) != after.get(topic);
    let changed: Vec<_> = after.keys().filter(|topic| is_other(topic)).collect();
    assert!(changed.iter().any(|topic| topic.ends_with("/state")));
    for topic in ["playing", "title", "position"] {
        let end = format!("/{topic}");
        assert!(!changed.iter().any(|it| it.ends_with(&end)), "{topic}");
    }
}

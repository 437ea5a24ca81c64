//! The sound is led to another card while it plays, and goes on where it was.

use serde_json::{Value, json};
use spotify_sim::{
    listen::{playing, position_of},
    rigs::State,
};

use super::{Rig, SECOND, TENTH, hears, last_position, on_card, start, until};
use crate::{
    ask::{Answer, ask, siskin, status_says},
    broker::{Broker, Home},
};

/// A second of the other card.
const DAC48: usize = 48_000;

/// A card, and a broker beside it.
const ON_BROKER: &str =
    "device = \"usbdac\"\n[mqtt]\nbroker = \"mqtt://127.0.0.1:1883\"\nnode = \"attic\"\n";

async fn leads(rig: &Rig, device: &str) -> Answer {
    let route = "/api/v1/speakers/main/output";
    ask(&rig.world, "POST", route, Some(json!({ "device": device }))).await
}

async fn state(rig: &Rig) -> Value {
    ask(&rig.world, "GET", "/api/v1/speakers/main", None)
        .await
        .json
}

/// The names of the outputs in the state, and the one that is used.
fn named(state: &Value) -> (Vec<String>, String) {
    let all = state["outputs"].as_array().expect("outputs");
    let name = |one: &Value| one["name"].as_str().expect("a name").to_owned();
    let chosen = all.iter().find(|one| one["chosen"] == true);
    (
        all.iter().map(name).collect(),
        name(chosen.expect("one is used")),
    )
}

#[test]
fn the_doctors_tone_is_heard_at_the_daemons_card() {
    // The daemon alone knows of this card: whoever asks is not told where ALSA's settings are.
    on_card(State::Ok, "device = \"alsa:usbdac\"", async |rig| {
        status_says(&rig.world, "Kitchen").await;
        let said = siskin(&rig.world, &["doctor", "--test-tone"]).await;
        assert!(
            said.out.contains("the sound card opens (alsa:usbdac)"),
            "{said:?}"
        );
        assert!(
            said.out.contains("a tone was played for a second"),
            "{said:?}"
        );
        hears(rig.card(), 0, SECOND / 2).await;
        let before = rig.card().heard();
        let said = siskin(&rig.world, &["doctor"]).await;
        assert!(
            said.out.contains("the sound card opens (alsa:usbdac)"),
            "{said:?}"
        );
        assert_eq!(rig.card().heard(), before, "only when asked");
    });
}

#[test]
fn the_doctors_tone_is_heard_at_a_card_that_takes_neither_its_rate_nor_its_samples() {
    on_card(State::Ok, "device = \"dac48\"", async |rig| {
        status_says(&rig.world, "Kitchen").await;
        let said = siskin(&rig.world, &["doctor", "--test-tone"]).await;
        assert!(
            said.out.contains("the sound card opens (dac48)"),
            "{said:?}"
        );
        assert!(
            said.out.contains("a tone was played for a second"),
            "{said:?}"
        );
        hears(rig.dac.dac48(), 0, DAC48 / 2).await;
    });
}

#[test]
fn music_goes_on_at_the_same_place_on_another_card_and_comes_back() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        rig.orders("kim", "Staircase", 0).await;
        hears(rig.card(), 0, SECOND).await;
        let route = "/api/v1/speakers/main/outputs";
        let told = ask(&rig.world, "GET", route, None).await;
        assert_eq!(told.status, 200, "{told:?}");
        let (names, chosen) = named(&told.json);
        assert_eq!((names[0].as_str(), chosen.as_str()), ("default", "default"));
        assert!(names.contains(&"dac48".to_owned()), "{names:?}");
        assert_eq!(
            rig.dac.dac48().count("open"),
            0,
            "nothing is opened for a list"
        );

        let done = leads(&rig, "dac48").await;
        assert_eq!(done.status, 200, "{done:?}");
        let told = state(&rig).await;
        assert_eq!(named(&told).1, "dac48");
        assert_eq!(told["sound"]["rate"], 48_000);
        assert_eq!(told["playback"]["state"], "playing");
        let left = last_position(&rig.card().capture()).expect("the staircase");
        hears(rig.dac.dac48(), 0, DAC48).await;

        let mark = rig.card().heard();
        assert_eq!(leads(&rig, "default").await.status, 200);
        let back = hears(rig.card(), mark, SECOND / 2).await;
        let between = playing(&rig.dac.dac48().capture());
        let frames: usize = between.iter().map(|run| run.frames()).sum();
        let expected = left + frames as f64 / DAC48 as f64;
        let found = position_of(&back[..TENTH]).expect("the staircase");
        println!("left at {left:.2} s, back at {found:.2} s, expected {expected:.2} s");
        assert!((found - expected).abs() < 0.5, "{found} for {expected}");
        assert_eq!(rig.daemon.engines().len(), 1);
        assert_eq!(named(&state(&rig).await).1, "default");
    });
}

#[test]
fn a_card_that_does_not_open_is_refused_and_the_music_goes_on_where_it_went() {
    on_card(State::Busy, "device = \"dac48\"", async |rig| {
        rig.orders("kim", "Staircase", 0).await;
        hears(rig.dac.dac48(), 0, DAC48 / 2).await;
        for (device, words) in [("nonsense", "nonsense"), ("usbdac", "cannot go there")] {
            let no = leads(&rig, device).await;
            assert_eq!((no.status, no.code()), (422, "no_output"), "{no:?}");
            assert!(no.json.to_string().contains(words), "{no:?}");
        }
        let mark = rig.dac.dac48().heard();
        hears(rig.dac.dac48(), mark, DAC48 / 2).await;
        let told = state(&rig).await;
        assert_eq!(named(&told).1, "default");
        until("no condition", || {
            rig.daemon
                .log()
                .iter()
                .any(|line| line.contains("over: output lost"))
                || !rig
                    .daemon
                    .log()
                    .iter()
                    .any(|line| line.contains("output_lost"))
        })
        .await;
    });
}

#[test]
fn the_choice_outlives_the_daemon_and_is_made_without_anybody_signed_in() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        status_says(&rig.world, "Kitchen").await;
        assert_eq!(leads(&rig, "dac48").await.status, 200);
        let said = siskin(&rig.world, &["output"]).await;
        assert!(said.out.contains("> dac48"), "{said:?}");
        let Rig { daemon, dac, world } = rig;
        daemon.stop().await;
        let daemon = start(&world, &dac, "device = \"usbdac\"");
        let rig = Rig { daemon, dac, world };
        rig.orders("kim", "Staircase", 0).await;
        hears(rig.dac.dac48(), 0, DAC48 / 2).await;
        assert_eq!(named(&state(&rig).await).1, "dac48");
        let said = siskin(&rig.world, &["output", "default"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let mark = rig.card().heard();
        hears(rig.card(), mark, SECOND / 2).await;
    });
}

#[test]
fn home_assistant_lists_the_cards_and_leads_the_sound_to_another() {
    on_card(State::Ok, ON_BROKER, async |rig| {
        let _broker = Broker::start(&rig.world).await;
        let home = Home::enter().await;
        rig.orders("kim", "Staircase", 0).await;
        hears(rig.card(), 0, SECOND).await;
        let of = |what: &str| format!("siskin/attic/main/{what}");
        home.says(&of("output"), "default").await;
        let description = "homeassistant/device/siskin_attic_main/config";
        home.reads(description, |text| text.contains("\"dac48\""))
            .await;
        let select = home.json(description)["components"]["output"].clone();
        assert_eq!(select["platform"], "select");
        assert_eq!(select["options"][0], "default");
        assert_eq!(select["state_topic"], of("output"));
        let set = select["command_topic"].as_str().expect("a topic");
        assert_eq!(set, of("set/output"));
        let listed = home.json(&of("outputs"));
        assert!(
            listed["outputs"][0]["about"].to_string().contains("usbdac"),
            "{listed}"
        );

        home.say(set, "dac48").await;
        home.says(&of("output"), "dac48").await;
        hears(rig.dac.dac48(), 0, DAC48).await;
        assert_eq!(named(&state(&rig).await).1, "dac48");
        for (payload, code) in [("nonsense", "no_output"), ("", "invalid")] {
            home.say(set, payload).await;
            home.reads(&of("error"), |error| error.contains(code)).await;
        }
        assert_eq!(home.last(&of("output")), "dac48");
        let mark = rig.card().heard();
        home.say(set, "default").await;
        home.says(&of("output"), "default").await;
        hears(rig.card(), mark, SECOND / 2).await;
        // What somebody else chooses is shown there, too.
        assert_eq!(leads(&rig, "dac48").await.status, 200);
        home.says(&of("output"), "dac48").await;
    });
}

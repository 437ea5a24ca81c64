//! MQTT with a real broker: what plays stands there, commands take effect, Home Assistant finds the
//! speakers, and whoever goes (the broker, the daemon, a speaker) leaves nothing false behind.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    ask::{ask, has_no_secret, siskin, status_says},
    broker::{Broker, Home, TLS_PORT, on_broker, retained, retains},
    lan::{NULL, count, plays},
    world::{Daemon, PATIENCE, World, scenario, shows},
};

const ONLINE: &str = "siskin/attic/availability";
const DESCRIPTION: &str = "homeassistant/device/siskin_attic_main/config";

fn of(what: &str) -> String {
    format!("siskin/attic/main/{what}")
}

fn set(command: &str) -> String {
    format!("siskin/attic/main/set/{command}")
}

/// A speaker that is heard nowhere but on the broker.
fn settings(world: &World, more: &str) -> String {
    world.settings(&format!("{NULL}{}", on_broker(more)))
}

fn reload(world: &World, daemon: &Daemon, settings: &str) {
    fs::write(world.dir().join("config.toml"), settings).expect("written");
    daemon.signal(Signal::SIGHUP);
}

#[test]
fn a_speaker_is_found_by_home_assistant_and_what_plays_stands_on_the_broker() {
    scenario(async |world| {
        let _broker = Broker::start(&world).await;
        let home = Home::enter().await;
        let daemon = world.start(&settings(&world, ""));
        home.says(ONLINE, "online").await;
        home.says(&of("state"), "waiting").await;
        home.says(&of("selectable"), "ON").await;
        let device: Value = home.json(DESCRIPTION);
        assert_eq!(device["device"]["name"], "Kitchen");
        assert_eq!(device["components"]["title"]["state_topic"], of("title"));

        let app = plays(&world, "kim", "Staircase").await;
        home.says(&of("state"), "playing").await;
        home.says(&of("playing"), "ON").await;
        home.says(&of("uri"), &app.state().track_uri).await;
        home.says(&of("title"), &app.state().title).await;
        home.reads(&of("cover"), |cover| cover.starts_with("http"))
            .await;
        home.reads(&of("artist"), |artist| !artist.is_empty()).await;
        home.says(&of("account"), "Kim").await;
        home.says(&of("volume"), "30").await;
        home.says(&of("repeat"), "off").await;
        home.says(&of("problem"), "OFF").await;
        let json = home.json(&of("json"));
        assert_eq!(json["playback"]["track"]["uri"], app.state().track_uri);

        // Music that just goes on is nothing new.
        let told = || home.count(&of("position")) + home.count(&of("json"));
        let before = told();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(told() <= before + 3, "{} messages", told() - before);
        let position = home.json(&of("position"));
        assert_eq!(position["playing"], true);

        // Somebody who comes later finds all of it.
        let standing = retained().await;
        assert_eq!(standing[&of("title")], app.state().title);
        assert!(standing.contains_key(DESCRIPTION));
        for payload in standing.values() {
            has_no_secret(&world, payload);
        }

        // Home Assistant that begins anew is told everything anew.
        let told = home.count(DESCRIPTION);
        home.say("homeassistant/status", "online").await;
        home.hears("another description", |_| home.count(DESCRIPTION) > told)
            .await;

        // Who is forgotten leaves nothing behind.
        let said = siskin(&world, &["accounts", "forget", "--all"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        home.says(&of("state"), "waiting").await;
        let gone = ["title", "artist", "album", "cover", "uri", "account"].map(of);
        let standing = retains("cleaned", |standing| {
            gone.iter().all(|topic| !standing.contains_key(topic))
        })
        .await;
        assert_eq!(standing[&of("playing")], "OFF");
        assert!(
            !standing[&of("json")].contains("kim"),
            "{}",
            standing[&of("json")]
        );

        let (status, _) = daemon.stop().await;
        assert!(status.success());
        home.says(ONLINE, "offline").await;
        assert_eq!(retained().await[ONLINE], "offline");
    });
}

#[test]
fn each_command_takes_effect_and_shows_up() {
    scenario(async |world| {
        let _broker = Broker::start(&world).await;
        let home = Home::enter().await;
        let daemon = world.start(&settings(&world, "version = \"5\""));
        let app = plays(&world, "kim", "Tones").await;
        home.says(&of("state"), "playing").await;
        let first = app.state().track_uri;

        for (command, payload, topic, shown) in [
            ("pause", "PRESS", "state", "paused"),
            ("play", "", "state", "playing"),
            ("toggle", "", "state", "paused"),
            ("toggle", "", "state", "playing"),
            ("volume", "40", "volume", "40"),
            ("volume", "+5", "volume", "45"),
            ("mute", "ON", "mute", "ON"),
            ("mute", "OFF", "volume", "45"),
            ("shuffle", "ON", "shuffle", "ON"),
            ("shuffle", "OFF", "shuffle", "OFF"),
            ("repeat", "track", "repeat", "track"),
            ("repeat", "context", "repeat", "context"),
            ("repeat", "off", "repeat", "off"),
        ] {
            home.say(&set(command), payload).await;
            home.says(&of(topic), shown).await;
        }
        shows(&app, "the volume", |state| {
            state
                .volume
                .is_some_and(|volume| (29_000..30_000).contains(&volume))
        })
        .await;
        home.say(&set("next"), "PRESS").await;
        home.reads(&of("uri"), |uri| uri != first).await;
        home.say(&set("previous"), "PRESS").await;
        home.says(&of("uri"), &first).await;
        shows(&app, "the first track", |state| {
            state.playing && state.track_uri == first
        })
        .await;
        // One after the other: the second seek begins where the first has led to.
        home.say(&set("seek"), "3000").await;
        home.say(&set("seek"), "+2000").await;
        let position = home
            .reads(&of("position"), |text| {
                let position: Value = serde_json::from_str(text).unwrap_or_default();
                (4_900..7_000).contains(&position["position_ms"].as_i64().unwrap_or_default())
            })
            .await;
        assert!(position.contains("at_ms"), "{position}");

        let dozen = world.sim.catalogue().titled("Dozen").uri();
        home.say(&set("load"), &dozen).await;
        home.says(&of("context"), &dozen).await;
        home.says(&of("state"), "playing").await;
        home.say(&set("queue"), &first).await;
        shows(&app, "the queue", |state| state.queued == [first.clone()]).await;
        home.say(&set("sleep"), "end_of_track").await;
        home.reads(&of("json"), |json| json.contains("end_of_track"))
            .await;
        home.say(&set("stop"), "").await;
        home.says(&of("state"), "idle").await;
        home.says(&of("title"), "").await;
        home.say(&set("pull"), "").await;
        home.reads(&of("state"), |state| state != "idle").await;
        assert_eq!(home.last(&of("error")), "");
        let (status, log) = daemon.stop().await;
        assert!(status.success(), "{log:?}");
        home.says(ONLINE, "offline").await;
    });
}

#[test]
fn wrong_commands_are_told_why_and_change_nothing() {
    scenario(async |world| {
        let _broker = Broker::start(&world).await;
        let home = Home::enter().await;
        // A wish of yesterday is none of now.
        home.publish(&set("pause"), b"PRESS", true).await;
        let _daemon = world.start(&settings(&world, ""));
        home.says(&of("state"), "waiting").await;
        home.say(&set("pause"), "").await;
        home.reads(&of("error"), |error| error.contains("nobody_signed_in"))
            .await;
        let app = plays(&world, "kim", "Staircase").await;
        home.says(&of("state"), "playing").await;
        let standing = || {
            let topics = [
                "state", "uri", "volume", "mute", "shuffle", "repeat", "context",
            ];
            topics.map(|what| home.last(&of(what)))
        };
        let before = standing();
        let mut errors = home.count(&of("error"));
        let long = "x".repeat(70_000);
        let wrong: [(&str, &[u8]); 13] = [
            ("volume", b"101"),
            ("volume", b"loud"),
            ("volume", &[0xff, 0xfe]),
            ("seek", b"1e20"),
            ("seek", b"99999999999999999999"),
            ("shuffle", b""),
            ("repeat", b"twice"),
            ("load", b"Staircase"),
            ("load", b"{\"uri\": [[[["),
            ("queue", b"spotify:track:../../x"),
            ("sleep", b"90000"),
            ("dance", b""),
            ("play", long.as_bytes()),
        ];
        for (command, payload) in wrong {
            home.publish(&set(command), payload, false).await;
            errors += 1;
            home.hears(command, |_| home.count(&of("error")) >= errors)
                .await;
            let error = home.json(&of("error"));
            assert_eq!(
                (&error["code"], &error["command"]),
                (&Value::from("invalid"), &Value::from(command))
            );
            let words = |key: &str| error[key].as_str().is_some_and(|text| text.len() > 10);
            assert!(words("message") && words("help"), "{error}");
        }
        home.say("siskin/attic/cellar/set/pause", "").await;
        home.reads("siskin/attic/cellar/error", |error| {
            error.contains("unknown_speaker")
        })
        .await;
        let same = home.count(&of("error"));
        assert_eq!(same, errors, "each is answered once");
        assert_eq!(standing(), before);
        assert!(app.state().playing);
        assert!(!retained().await.contains_key(&of("error")));
    });
}

#[test]
fn a_broker_that_goes_is_a_condition_and_finds_everything_again_when_it_is_back() {
    for version in ["3.1.1", "5"] {
        scenario(async move |world| {
            let mut broker = Broker::start(&world).await;
            let home = Home::enter().await;
            let daemon = world.start(&settings(&world, &format!("version = \"{version}\"")));
            let app = plays(&world, "kim", "Staircase").await;
            home.says(&of("state"), "playing").await;
            broker.end();
            daemon.says("mqtt_unreachable").await;
            let status = ask(&world, "GET", "/api/v1/status", None).await;
            let told = status.json["conditions"].to_string();
            assert!(told.contains("mqtt_unreachable"), "{told}");
            assert!(told.contains("127.0.0.1:1883"), "{told}");
            assert!(app.state().playing, "music knows nothing of it");

            broker.begin().await;
            daemon.says("over: mqtt unreachable").await;
            let uri = app.state().track_uri;
            let standing = retains("everything", |standing| {
                standing.get(&of("uri")) == Some(&uri) && standing.contains_key(DESCRIPTION)
            })
            .await;
            assert_eq!(standing[ONLINE], "online");
            let home = Home::enter().await;
            home.say(&set("pause"), "").await;
            home.says(&of("state"), "paused").await;
        });
    }
}

#[test]
fn a_broker_that_comes_late_is_found_and_costs_nothing_until_then() {
    scenario(async |world| {
        let daemon = world.start(&settings(&world, ""));
        daemon.says("mqtt_unreachable").await;
        let _app = plays(&world, "kim", "Staircase").await;
        let _broker = Broker::start(&world).await;
        daemon.says("connected to the MQTT broker").await;
        let home = Home::enter().await;
        home.says(&of("state"), "playing").await;
        assert_eq!(count(&daemon, "is not connected"), 1, "told once");
    });
}

#[test]
fn a_daemon_that_is_killed_is_not_available_any_more() {
    scenario(async |world| {
        let _broker = Broker::start(&world).await;
        let home = Home::enter().await;
        let mut daemon = world.start(&settings(&world, ""));
        home.says(ONLINE, "online").await;
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE).await;
        home.says(ONLINE, "offline").await;
        assert_eq!(retained().await[ONLINE], "offline");
        let _daemon = world.start(&settings(&world, ""));
        home.says(ONLINE, "online").await;
        // A will that the broker publishes late is corrected.
        let told = home.count(ONLINE);
        home.publish(ONLINE, b"offline", true).await;
        home.hears("a correction", |_| {
            home.count(ONLINE) >= told + 2 && home.last(ONLINE) == "online"
        })
        .await;
        assert_eq!(retained().await[ONLINE], "online");
    });
}

#[test]
fn a_wrong_password_is_a_condition_and_the_right_one_is_taken_up_by_itself() {
    scenario(async |world| {
        let users = world.dir().join("users");
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(&users)
            .args(["siskin", "hush-hush"])
            .status();
        assert!(made.expect("mosquitto_passwd runs").success());
        let more = format!("allow_anonymous false\npassword_file {}\n", users.display());
        let _broker = Broker::start_with(&world, &more).await;
        let file = world.dir().join("password");
        let login = format!("user = \"siskin\"\npassword_file = \"{}\"", file.display());
        let daemon = world.start(&settings(&world, &login));
        let line = daemon.says("mqtt_refused").await;
        assert!(line.contains("may read it"), "there is no file: {line}");
        fs::write(&file, "wrong-hush\n").expect("written");
        daemon.says("does not accept this user").await;
        let status = siskin(&world, &["status"]).await;
        assert_eq!(status.code, Some(0), "{status:?}");
        fs::write(&file, "hush-hush\n").expect("written");
        daemon.says("over: mqtt refused").await;
        let home = Home::enter_as(Some(("siskin", "hush-hush"))).await;
        home.says(ONLINE, "online").await;

        // The same in the configuration, which shows it to nobody.
        let login = "user = \"siskin\"\npassword = \"hush-hush\"\nversion = \"5\"";
        reload(&world, &daemon, &settings(&world, login));
        daemon.says("the configuration is taken over").await;
        home.hears("offline and online again", |_| {
            home.count(ONLINE) >= 3 && home.last(ONLINE) == "online"
        })
        .await;
        let explained = siskin(&world, &["check", "--explain"]).await;
        assert!(
            explained.out.contains("mqtt.password = \"***\""),
            "{explained:?}"
        );
        let all = daemon.log().join("\n") + &explained.out + &status.out;
        assert!(!all.contains("hush"), "{all}");
    });
}

#[test]
fn what_does_not_hold_any_more_is_taken_away() {
    scenario(async |world| {
        let _broker = Broker::start(&world).await;
        let section = |id: &str, name: &str| {
            format!(
                "[[speaker]]\nid = \"{id}\"\nname = \"{name}\"\n[speaker.output]\nkind = \"null\"\n"
            )
        };
        let with =
            |speakers: &str, more: &str| world.settings(&format!("{}{speakers}", on_broker(more)));
        let (kitchen, bath) = (section("kitchen", "Kitchen"), section("bath", "Bath"));
        let both = format!("{kitchen}{bath}");
        let speaks_of = |standing: &BTreeMap<String, String>, id: &str| {
            standing.keys().any(|topic| topic.contains(id))
        };
        let daemon = world.start(&with(&both, ""));
        retains("both", |all| {
            speaks_of(all, "kitchen") && speaks_of(all, "bath")
        })
        .await;

        // A speaker that leaves the configuration.
        reload(&world, &daemon, &with(&kitchen, ""));
        retains("one", |all| {
            speaks_of(all, "kitchen") && !speaks_of(all, "bath")
        })
        .await;

        // One that leaves it while nobody runs.
        daemon.stop().await;
        assert!(speaks_of(&retained().await, "kitchen"));
        let daemon = world.start(&with(&bath, ""));
        retains("the other", |all| {
            !speaks_of(all, "kitchen") && speaks_of(all, "bath")
        })
        .await;

        // Another name for the house; then no discovery; then nothing at all.
        reload(&world, &daemon, &with(&bath, "prefix = \"house/music\""));
        retains("the new prefix", |all| {
            let old = all.keys().any(|topic| topic.starts_with("siskin/"));
            !old && all.contains_key("house/music/attic/bath/state")
        })
        .await;
        reload(&world, &daemon, &with(&bath, "discovery_prefix = \"none\""));
        retains("no description", |all| {
            speaks_of(all, "bath") && all.keys().all(|topic| topic.starts_with("siskin/"))
        })
        .await;
        reload(&world, &daemon, &with(&bath, "broker = \"\""));
        retains("nothing", |all| all.is_empty()).await;
        status_says(&world, "Bath").await;
    });
}

/// An authority, and a certificate of it for `localhost` with its key; all in PEM.
pub fn certificates() -> [String; 3] {
    certificates_until(4096)
}

/// The same, no longer valid from the beginning of that year on.
pub fn certificates_until(year: i32) -> [String; 3] {
    certificates_until_day(year, 1, 1)
}

/// The same, no longer valid from the beginning of that day on.
pub fn certificates_until_day(year: i32, month: u8, day: u8) -> [String; 3] {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::new(Vec::new()).expect("no names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec!["localhost".into()]).expect("a name");
    leaf.not_after = rcgen::date_time_ymd(year, month, day);
    let issuer = Issuer::new(root, root_key);
    let certificate = leaf.signed_by(&key, &issuer).expect("a leaf");
    [
        root_certificate.pem(),
        certificate.pem(),
        key.serialize_pem(),
    ]
}

#[test]
fn an_encrypted_connection_holds_the_broker_to_its_certificate() {
    scenario(async |world| {
        let [root, leaf, key] = certificates();
        let file = |name: &str, text: &str| {
            let path = world.dir().join(name);
            fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (root, leaf, key) = (
            file("root.pem", &root),
            file("leaf.pem", &leaf),
            file("key.pem", &key),
        );
        let more = format!(
            "allow_anonymous true\nlistener {TLS_PORT} 127.0.0.1\n\
             certfile {leaf}\nkeyfile {key}\nallow_anonymous true\n"
        );
        let _broker = Broker::start_with(&world, &more).await;
        let home = Home::enter().await;
        let other = file("other.pem", &certificates()[0]);
        let with = |ca_file: &str| {
            let broker = format!("broker = \"mqtts://localhost:{TLS_PORT}\"");
            settings(&world, &format!("{broker}\nca_file = \"{ca_file}\""))
        };
        let daemon = world.start(&with(&other));
        let line = daemon.says("mqtt_unreachable").await;
        assert!(line.contains("ertificate"), "{line}");
        reload(&world, &daemon, &with(&root));
        home.says(ONLINE, "online").await;
        home.says(&of("state"), "waiting").await;
        daemon.says("over: mqtt unreachable").await;
    });
}

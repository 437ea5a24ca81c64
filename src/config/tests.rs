//! The configuration as a whole: every mistake in the fixtures, the layers, the example.

use std::{ffi::OsString, fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::model::{DeviceType, Percent};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/invalid");
const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A machine called kitchen with nothing set.
fn bare() -> Surroundings {
    Surroundings {
        variables: Vec::new(),
        host: "kitchen.home.arpa".into(),
        etc: "/nonexistent".into(),
    }
}

fn with(variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    Surroundings {
        variables,
        ..bare()
    }
}

/// Loads `text` as if it were the file.
fn load_text(text: &str, around: &Surroundings, flags: Vec<Flag>) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    fs::write(&file, text).expect("written");
    let request = Request {
        file: Some(file),
        flags,
    };
    load(&request, around)
}

fn flag(flag: &'static str, key: &'static str, value: &str) -> Flag {
    Flag {
        flag,
        key,
        value: value.into(),
    }
}

fn defaults() -> Config {
    Config {
        speakers: vec![Speaker {
            id: "main".into(),
            name: "kitchen".into(),
            device_type: DeviceType::Speaker,
            port: 0,
            audio: Audio::default(),
            output: Output::default(),
            volume: VolumeSettings::default(),
            household: Household::default(),
        }],
        network: Network::default(),
        log: LogLevel::Info,
        pairing: Pairing::default(),
        state_dir: None,
        socket: Socket::Usual,
        http: Http::default(),
        mpris: Mpris::default(),
        mqtt: Mqtt {
            node: "kitchen".into(),
            ..Mqtt::default()
        },
        account_key_file: None,
        cache: None,
        cache_path: None,
        hooks: Vec::new(),
        metadata: Vec::new(),
    }
}

#[test]
fn nothing_at_all_is_a_whole_configuration() {
    let loaded = load(&Request::default(), &bare()).expect("defaults");
    assert_eq!(loaded.config, defaults());
    assert_eq!(loaded.file, None);
}

#[test]
fn every_mistake_is_told_with_place_and_cure() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(FIXTURES).expect("fixtures") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|kind| kind != "toml") {
            continue;
        }
        seen += 1;
        let request = Request {
            file: Some(path.clone()),
            flags: Vec::new(),
        };
        let told = match load(&request, &bare()) {
            Ok(_) => "(nothing wrong)\n".to_owned(),
            Err(problems) => format!("{problems}\n").replace(&format!("{FIXTURES}/"), ""),
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("SISKIN_TEST_BLESS").is_some() {
            fs::write(&expected, &told).expect("written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if told != expected {
            wrong.push(format!("told:\n{told}expected:\n{expected}"));
        }
    }
    assert!(seen > 50, "only {seen} fixtures were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_example_is_the_built_in_defaults_as_it_stands_and_uncommented() {
    let as_it_stands = load_text(EXAMPLE, &bare(), Vec::new()).expect("valid");
    assert_eq!(as_it_stands.config, defaults());

    let uncommented = settings_uncommented(EXAMPLE);
    let loaded = load_text(&uncommented, &bare(), Vec::new()).expect("valid");
    assert_eq!(loaded.config, defaults());
    for key in schema::KEYS {
        let shown = loaded.explained.to_string();
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{} = ", key.path)));
        let line = line.unwrap_or_else(|| panic!("{} is not explained", key.path));
        // An empty name is the host name, and says so.
        let given = line.contains("config.toml:") || key.path == "name";
        assert!(given, "{} is not in the example: {line}", key.path);
    }
}

#[test]
fn the_several_speakers_of_the_example_are_valid() {
    let example: String = EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = load_text(&example, &bare(), Vec::new())
        .expect("valid")
        .config;
    assert_eq!(config.speakers.len(), 2);
    let caps = config.speakers.iter().map(|it| it.household.accounts.len());
    assert_eq!(caps.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(config.hooks.len(), 2);
}

/// Takes the `# ` away from lines that read `# key = value`.
fn settings_uncommented(example: &str) -> String {
    let is_key = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| {
            key.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
    };
    example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if is_key(setting) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let file = "name = \"file\"\n[audio]\nbitrate = 96\n[volume]\nstart = 1\n";
    let around = with(&[("SISKIN_NAME", "env"), ("SISKIN_AUDIO_BITRATE", "160")]);
    let flags = vec![flag("--name", "name", "flag")];
    let loaded = load_text(file, &around, flags).expect("valid");
    let speaker = &loaded.config.speakers[0];
    assert_eq!(speaker.name, "flag");
    assert_eq!(speaker.audio.bitrate, Bitrate::Kbps160);
    assert_eq!(Some(speaker.volume.start), Percent::new(1));

    let explained = loaded.explained.to_string();
    let origin = |key: &str| {
        let line = explained.lines().find(|line| line.starts_with(key));
        let line = line.expect("explained");
        line.split_once("# ").expect("an origin").1.to_owned()
    };
    assert_eq!(origin("name"), "flag --name");
    assert_eq!(origin("audio.bitrate"), "environment SISKIN_AUDIO_BITRATE");
    assert!(origin("volume.start").ends_with("config.toml:5"));
    assert_eq!(origin("volume.curve"), "default");
}

#[test]
fn every_setting_for_the_whole_daemon_can_come_from_the_environment() {
    let around = with(&[
        ("SISKIN_LOG", "debug"),
        ("SISKIN_STATE_DIR", "/srv/siskin"),
        ("SISKIN_PAIRING", "never"),
        ("SISKIN_CLIENT_ID", "00000000000000000000000000000ABC"),
        ("SISKIN_SOCKET", "/run/siskin.sock"),
        ("SISKIN_NETWORK_ALLOW", "lo, eth*,10.0.0.0/8"),
        ("SISKIN_NETWORK_DENY", "wg0"),
        ("SISKIN_NETWORK_IPV6", "yes"),
        ("SISKIN_NETWORK_PORT", "4070"),
        ("SISKIN_NETWORK_ADVERTISE", "192.168.1.4"),
        ("SISKIN_NETWORK_SHOW_ACTIVE_USER", "false"),
        ("SISKIN_NETWORK_PROXY", "http://127.0.0.1:3128"),
        ("SISKIN_NETWORK_AP_PORT", "443"),
        ("SISKIN_OUTPUT_KIND", "pipe"),
        ("SISKIN_OUTPUT_PATH", "-"),
        ("SISKIN_OUTPUT_FORMAT", "s24_3"),
        ("SISKIN_VOLUME_CURVE", ""),
        ("OTHER_NAME", "not ours"),
    ]);
    let config = load(&Request::default(), &around).expect("valid").config;
    let network = Network {
        allow: vec!["lo".into(), "eth*".into(), "10.0.0.0/8".into()],
        deny: vec!["wg0".into()],
        ipv6: true,
        advertise: vec!["192.168.1.4".parse().expect("an address")],
        hide_active_user: true,
        proxy: Some("http://127.0.0.1:3128".into()),
        ap_port: Some(443),
    };
    assert_eq!(config.network, network);
    assert_eq!(config.log, LogLevel::Debug);
    let pairing = Pairing {
        offer: Offer::Never,
        client_id: Some("00000000000000000000000000000abc".into()),
    };
    assert_eq!(config.pairing, pairing);
    assert_eq!(config.state_dir, Some("/srv/siskin".into()));
    assert_eq!(config.socket, Socket::At("/run/siskin.sock".into()));
    assert_eq!(config.speakers[0].port, 4070);
    let output = Output::Pipe {
        path: None,
        format: SampleFormat::S24In3,
    };
    assert_eq!(config.speakers[0].output, output);
}

#[test]
fn a_wrong_variable_or_flag_is_told_by_its_name() {
    let around = with(&[("SISKIN_AUDIO_BITRAT", "1"), ("SISKIN_VOLUME_START", "x")]);
    let request = Request {
        file: None,
        flags: vec![flag("--bitrate", "audio.bitrate", "300")],
    };
    let problems = load(&request, &around).expect_err("three mistakes");
    assert_eq!(
        problems.to_string(),
        "SISKIN_AUDIO_BITRAT: there is no such setting\n  help: did you mean SISKIN_AUDIO_BITRATE?\n\
         SISKIN_VOLUME_START: volume.start is \"x\", not a whole number\n  help: use 0 to 100 (%)\n\
         --bitrate: audio.bitrate is 300, which Spotify does not stream\n  \
         help: use 96, 160 or 320 (kbit/s)"
    );
    // Nothing near is no guess.
    let around = with(&[("SISKIN_FOO", "1")]);
    let problems = load(&Request::default(), &around).expect_err("no such setting");
    assert!(
        problems.to_string().contains("help: unset it"),
        "{problems}"
    );
}

#[test]
fn what_an_orchestrator_sets_is_passed_over_and_a_mistake_beside_it_is_not() {
    let set = [
        ("SISKIN_PORT", "tcp://10.0.0.5:7070"),
        ("SISKIN_SERVICE_HOST", "10.0.0.5"),
        ("SISKIN_NAME", "Kitchen"),
    ];
    let loaded = load(&Request::default(), &with(&set)).expect("no mistake");
    assert_eq!(loaded.config.speakers[0].name, "Kitchen");
    assert_eq!(loaded.passed_over, ["SISKIN_PORT", "SISKIN_SERVICE_HOST"]);
    let wrong = [&set[..], &[("SISKIN_PORT", "7070")]].concat();
    let problems = load(&Request::default(), &with(&wrong[1..])).expect_err("a mistake");
    assert!(
        problems.to_string().starts_with("SISKIN_PORT: "),
        "{problems}"
    );
    assert!(!problems.to_string().contains("SERVICE"), "{problems}");
}

#[test]
fn speakers_inherit_what_they_do_not_say() {
    let text = r#"
        device_type = "avr"
        [audio]
        bitrate = 160
        [output]
        format = "f32"
        [[speaker]]
        name = "Kitchen"
        output.device = "hw:0"
        [[speaker]]
        id = "bath"
        name = "Bath"
        port = 4444
        [speaker.audio]
        bitrate = 96
        [speaker.output]
        kind = "pipe"
        path = "/run/bath"
    "#;
    let config = load_text(text, &bare(), Vec::new()).expect("valid").config;
    let [kitchen, bath] = &config.speakers[..] else {
        panic!("two speakers");
    };
    assert_eq!((kitchen.id.as_str(), bath.id.as_str()), ("1", "bath"));
    assert_eq!(kitchen.device_type, DeviceType::Avr);
    assert_eq!(kitchen.audio.bitrate, Bitrate::Kbps160);
    assert_eq!(bath.audio.bitrate, Bitrate::Kbps96);
    assert_eq!((kitchen.port, bath.port), (0, 4444));
    let piped = Output::Pipe {
        path: Some("/run/bath".into()),
        format: SampleFormat::F32,
    };
    assert_eq!(bath.output, piped);
}

#[test]
fn an_account_has_settings_of_its_own_on_every_speaker_or_on_one() {
    let text = r#"
        guests = "household"
        quiet_hours = "22:00-07:00"
        [[speaker]]
        id = "kitchen"
        name = "Kitchen"
        output.device = "hw:0"
        guests = "idle-only"
        guest_timeout = "10m"
        [[speaker]]
        id = "bath"
        name = "Bath"
        output.device = "hw:1"
        [[account]]
        user = "kim"
        max_volume = 40
        bitrate = 96
        [[account]]
        user = "alex"
        speaker = "bath"
        normalisation = "auto"
    "#;
    let loaded = load_text(text, &bare(), Vec::new()).expect("valid");
    let [kitchen, bath] = &loaded.config.speakers[..] else {
        panic!("two speakers");
    };
    assert_eq!(kitchen.household.guests, Guests::IdleOnly);
    assert_eq!(bath.household.guests, Guests::Household);
    let minutes = kitchen.household.guest_timeout.map(|it| it.as_secs() / 60);
    assert_eq!(minutes, Some(10));
    let quiet = kitchen.household.quiet_hours;
    assert!(quiet.is_some() && quiet == bath.household.quiet_hours);
    let users = |speaker: &Speaker| {
        let accounts = speaker.household.accounts.iter();
        accounts.map(|it| it.user.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (users(kitchen), users(bath)),
        (vec!["kim".into()], vec!["kim".into(), "alex".into()])
    );
    let kim = &kitchen.household.accounts[0];
    assert_eq!(
        (kim.max_volume, kim.bitrate),
        (Percent::new(40), Some(Bitrate::Kbps96))
    );
    let explained = loaded.explained.to_string();
    assert!(
        explained.contains("# account 2 (alex)\nuser = \"alex\""),
        "{explained}"
    );
}

#[test]
fn a_device_from_a_stronger_layer_means_a_card_and_leaves_the_pipe_behind() {
    let file = "[output]\nkind = \"pipe\"\npath = \"/run/music\"\n";
    let flags = vec![flag("--device", "output.device", "hw:0")];
    let config = load_text(file, &bare(), flags).expect("valid").config;
    let card = Output::Card {
        device: Some("hw:0".into()),
        buffer_ms: BUFFER_MS,
    };
    assert_eq!(config.speakers[0].output, card);

    let flags = vec![flag("--output", "output.kind", "null")];
    let config = load_text(file, &bare(), flags).expect("valid").config;
    assert_eq!(config.speakers[0].output, Output::Null);
}

#[test]
fn the_file_is_looked_for_at_home_and_then_in_etc() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |place: &Path, name: &str| {
        fs::create_dir_all(place).expect("made");
        fs::write(place.join("config.toml"), format!("name = {name:?}")).expect("written");
    };
    let home = folder.path().join("home");
    let around = Surroundings {
        etc: folder.path().join("etc"),
        ..with(&[("HOME", &home.to_string_lossy())])
    };
    let name = || {
        let loaded = load(&Request::default(), &around).expect("valid");
        loaded.config.speakers[0].name.clone()
    };
    assert_eq!(name(), "kitchen");
    write(&folder.path().join("etc"), "etc");
    assert_eq!(name(), "etc");
    write(&home.join(".config/siskin"), "home");
    assert_eq!(name(), "home");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let request = Request {
        file: Some("/nonexistent/siskin.toml".into()),
        flags: Vec::new(),
    };
    let problems = load(&request, &bare()).expect_err("no such file");
    let told = problems.to_string();
    assert!(
        told.starts_with("/nonexistent/siskin.toml: cannot be read"),
        "{told}"
    );
}

#[test]
fn a_proxy_may_have_a_name_or_an_address() {
    let list = ["music.example", "192.168.1.20", "fd00::20"];
    let text = format!("[http]\nnames = {list:?}\n");
    let loaded = load_text(&text, &bare(), Vec::new()).expect("fine");
    assert_eq!(loaded.config.http.names, list);
    for wrong in ["music.example:80", "[fd00::20]", "fd00::20::1", ""] {
        let text = format!("[http]\nnames = [{wrong:?}]\n");
        assert!(load_text(&text, &bare(), Vec::new()).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_machine_without_a_name_is_called_siskin() {
    for (host, name) in [
        ("", "siskin"),
        ("localhost", "siskin"),
        ("localhost.localdomain", "siskin"),
        ("den.lan", "den"),
    ] {
        let host = host.to_owned();
        assert_eq!(Surroundings { host, ..bare() }.default_name(), name);
    }
}

proptest! {
    #[test]
    fn no_bytes_whatever_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut problems = Vec::new();
        let document = file::parse(Path::new("x"), &bytes, &mut problems);
        let layers = layers::Layers { document, ..Default::default() };
        build::build(&layers, "x", &mut problems);
    }

    #[test]
    fn no_line_of_toml_makes_the_reader_panic(
        lines in prop::collection::vec("(\\[{0,2}(audio|output|speaker|network|account)?\\.?(output)?\\]{0,2}|(name|kind|path|device|bitrate|allow|speaker|id|ap_port|user|guests|quiet_hours|guest_timeout|max_volume) ?= ?(\"[a-z/ü]*\"|-?[0-9]{0,22}|\\[.*\\]|\\{.*\\}|true|nan))", 0..8)
    ) {
        let mut problems = Vec::new();
        let text = lines.join("\n");
        let document = file::parse(Path::new("x"), text.as_bytes(), &mut problems);
        let layers = layers::Layers { document, ..Default::default() };
        build::build(&layers, "x", &mut problems);
    }
}

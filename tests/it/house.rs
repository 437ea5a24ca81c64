//! The rules of the house, read from the source itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Which rooms a room may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("accounts", &["model", "config"]),
    ("gate", &[]),
    ("discovery", &["model", "config", "accounts", "gate"]),
    ("engine", &["model", "config"]),
    ("output", &["model", "config"]),
    ("decode", &["model"]),
    ("player", &["model", "config", "decode", "output"]),
    ("fetch", &["model", "decode"]),
    ("connect", &["model"]),
    (
        "librespot",
        &[
            "model", "config", "engine", "output", "fetch", "connect", "decode", "player",
        ],
    ),
    ("speaker", &["model", "config", "accounts", "engine"]),
    ("tally", &["model"]),
    ("bus", &["model", "tally"]),
    ("control", &["model", "config", "bus", "tally", "gate"]),
    (
        "daemon",
        &[
            "model",
            "config",
            "accounts",
            "discovery",
            "engine",
            // To clear what is not kept any more.
            "fetch",
            "output",
            "librespot",
            "speaker",
            "bus",
            "tally",
            "control",
        ],
    ),
    // What reads the bytes of others; no part of the program.
    (
        "fuzz",
        &[
            "model",
            "config",
            "accounts",
            "discovery",
            "engine",
            "decode",
            "fetch",
            "connect",
            "librespot",
            "bus",
            "control",
        ],
    ),
    // librespot to be the engine, output to list the cards, accounts for when no daemon runs,
    // discovery to look at the network as a phone does, fetch to count what is kept.
    (
        "cli",
        &[
            "daemon",
            "discovery",
            "fetch",
            "librespot",
            "output",
            "accounts",
            "config",
            "model",
        ],
    ),
];

/// In which places a foreign crate may be named. A name that ends in `_` stands for all that
/// begin so.
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "librespot_",
        &["librespot", "discovery/blob", "fuzz/dealer"],
    ),
    ("mdns_sd", &["discovery/advert"]),
    ("socket2", &["discovery/probe"]),
    ("rodio", &["output"]),
    ("cpal", &["output"]),
    ("alsa", &["output"]),
    ("rubato", &["output", "decode"]),
    ("symphonia_", &["decode"]),
    ("siskin_sound", &["decode", "output"]),
    ("axum", &["control", "fuzz/control"]),
    (
        "hyper",
        &[
            "control",
            "discovery/endpoint",
            "cli/client",
            "librespot",
            "fuzz/control",
        ],
    ),
    (
        "hyper_util",
        &[
            "control",
            "discovery/endpoint",
            "cli/client",
            "fuzz/control",
        ],
    ),
    (
        "http_body_util",
        &[
            "control",
            "discovery/endpoint",
            "cli/client",
            "librespot",
            "fuzz/control",
        ],
    ),
    ("rumqttc", &["control/mqtt"]),
    ("subtle", &["control/http/guard"]),
    ("tokio_rustls", &["control/http/tls"]),
    ("oauth2", &["librespot/pair"]),
    ("qrcode", &["cli/pair/show", "control/http/qr"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("tracing_subscriber", &["cli/logging"]),
    ("tracing_journald", &["cli/logging"]),
    ("tracing_log", &["cli/logging", "librespot/telltale"]),
    ("toml", &["config"]),
    ("sd_notify", &["daemon"]),
    ("chrono", &["model/moment"]),
    ("zbus", &["control/mpris"]),
    ("chacha20poly1305", &["accounts/seal"]),
];

/// Code of one file, without comments and without its tests.
struct Source {
    /// Below `src/`, without `.rs`.
    place: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(ROOT).join("src");
    let mut found = Vec::new();
    for path in rust_files(&src) {
        let place = path
            .strip_prefix(&src)
            .expect("below src")
            .with_extension("");
        let place = place.to_string_lossy().into_owned();
        if place.ends_with("/tests") || place.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        let code = text
            .lines()
            .take_while(|line| *line != "mod tests {")
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        found.push(Source { place, code });
    }
    assert!(found.len() > 20, "the source was not found");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// What stands after each `crate::`: one name, or the names of a group.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            named.insert(identifier(rest));
            continue;
        }
        let (mut depth, mut begins) = (0, false);
        for (at, c) in rest.char_indices() {
            match c {
                '{' => (depth, begins) = (depth + 1, true),
                '}' => depth -= 1,
                ',' => begins = true,
                c if c.is_whitespace() => {}
                _ if begins && depth == 1 => {
                    named.insert(identifier(&rest[at..]));
                    begins = false;
                }
                _ => begins = false,
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Whether `name` (or, ending in `_`, anything that begins so) stands before a `::` or after
/// `use`, as the name of a crate does.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && !"_:\"".contains(c));
        let whole = identifier(&code[at..]);
        let rest = &code[at + whole.len()..];
        let fits = whole == name || name.ends_with('_');
        let is_path = rest.starts_with("::");
        let is_use = code[..at].ends_with("use ") && (rest.starts_with(';') || is_path);
        // Inside our own groups, `librespot::` is the room of that name.
        begins && fits && (is_path || is_use)
    })
}

fn is_below(place: &str, room: &str) -> bool {
    place
        .strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let mut wrong = Vec::new();
    for Source { place, code } in sources() {
        let room = place.split('/').next().unwrap_or_default();
        if room == "lib" || room == "main" {
            continue;
        }
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{place}: the room {room} is not in the table"));
            continue;
        };
        for named in rooms_named(&code) {
            let is_room = ROOMS.iter().any(|(name, _)| *name == named);
            if is_room && named != room && !may.contains(&named.as_str()) {
                wrong.push(format!("{place} names {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for Source { place, code } in sources() {
        for (name, rooms) in FOREIGN {
            let allowed = rooms.iter().any(|room| is_below(&place, room));
            if !allowed && names_crate(&code, name) {
                wrong.push(format!("{place} names {name}"));
            }
        }
        let is_plain = is_below(&place, "model") || is_below(&place, "config");
        if is_plain && names_crate(&code, "tokio") {
            wrong.push(format!("{place} names tokio"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_main_ends_the_process() {
    for Source { place, code } in sources() {
        let ends = ["process::exit", "process::abort", "exit_group"];
        let ended = place != "main" && ends.iter().any(|end| code.contains(end));
        assert!(!ended, "{place} ends the process");
    }
}

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    for folder in ["src", "sound", "tests"] {
        for path in rust_files(&Path::new(ROOT).join(folder)) {
            let lines = fs::read_to_string(&path).expect("readable").lines().count();
            assert!(lines <= 600, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn no_word_of_unsafe_code_is_allowed() {
    for lib in ["src/lib.rs", "sound/src/lib.rs"] {
        let lib = fs::read_to_string(Path::new(ROOT).join(lib)).expect("readable");
        assert!(lib.contains("#![forbid(unsafe_code)]"));
    }
}

/// Names of the crates that the binary is made of.
fn dependencies() -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "siskin"])
        .args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8_lossy(&tree.stdout);
    let crates: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect();
    assert!(crates.contains("librespot-core"), "not our tree: {tree}");
    crates
}

#[test]
fn the_dependency_tree_holds_no_c_but_alsa() {
    let crates = dependencies();
    // The one library of C, and one that only describes the kernel.
    let known = ["alsa-sys", "linux-raw-sys"];
    let unwanted: Vec<_> = crates
        .iter()
        .filter(|name| {
            let foreign = name.ends_with("-sys") && !known.contains(&name.as_str());
            foreign || ["aws-lc-rs", "openssl", "cmake", "bindgen"].contains(&name.as_str())
        })
        .collect();
    assert!(unwanted.is_empty(), "{unwanted:?}");
}

#[test]
fn the_way_of_the_music_is_our_own() {
    let crates = dependencies();
    let parts = ["connect", "playback", "audio", "metadata"];
    for part in parts.map(|part| format!("librespot-{part}")) {
        assert!(!crates.contains(&part), "{part}");
    }
}

#[test]
fn every_feature_is_looked_at_alone() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join(file)).expect("readable");
    let (cargo, make) = (read("Cargo.toml"), read("Makefile"));
    let (_, section) = cargo.split_once("[features]\n").expect("features");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let keys = lines.filter_map(|line| Some(line.split_once(" = ")?.0));
    let features: BTreeSet<_> = keys.filter(|key| *key != "default").collect();
    let linted = make
        .lines()
        .find_map(|line| line.strip_prefix("FEATURES := "));
    let linted: BTreeSet<_> = linted.expect("a list").split(' ').collect();
    assert_eq!(features, linted);
    assert!(features.contains("http"), "{features:?}");
}

#[test]
fn the_rules_see_what_they_are_to_see() {
    let code = "use crate::{config::{self, Output}, model::Login};\ncrate::daemon::run()";
    let named: Vec<_> = rooms_named(code).into_iter().collect();
    assert_eq!(named, ["config", "daemon", "model"]);
    assert!(names_crate("use librespot_core::Session;", "librespot_"));
    assert!(names_crate("toml::from_str(x)", "toml"));
    assert!(!names_crate("let from_toml = 1;", "toml"));
    assert!(!names_crate("value::toml::x", "toml"));
}

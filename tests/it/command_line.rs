//! What the binary says and how it exits before there is a daemon.

use std::{fs, process::Command};

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs siskin on a machine where nothing is configured, except what `variables` say.
fn siskin(arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
    let home = tempfile::tempdir().expect("a folder");
    let done = Command::new(env!("CARGO_BIN_EXE_siskin"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .envs(variables.iter().copied())
        .output()
        .expect("siskin runs");
    Answer {
        code: done.status.code(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

#[test]
fn the_version_names_the_librespot_it_speaks() {
    let answer = siskin(&["--version"], &[]);
    assert_eq!(answer.code, Some(0));
    assert_eq!(answer.out, "siskin 0.1.0 (librespot 0.8.0)\n");
}

#[test]
fn help_fits_a_terminal_of_24_lines_by_80() {
    for arguments in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let answer = siskin(arguments, &[]);
        assert_eq!(answer.code, Some(0));
        let lines: Vec<_> = answer.out.lines().collect();
        let widest = lines.iter().map(|line| line.chars().count()).max();
        assert!(lines.len() <= 24 && widest <= Some(80), "{}", answer.out);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_exits_64_and_says_what_to_do() {
    let answer = siskin(&["run", "--bitrat", "96"], &[]);
    assert_eq!(answer.code, Some(64));
    assert!(
        answer
            .err
            .starts_with("siskin: unexpected argument '--bitrat'")
    );
    assert!(answer.err.contains("\n  help: "), "{}", answer.err);
    assert_eq!(siskin(&[], &[]).code, Some(64));
    let help = siskin(&["help", "sleep"], &[]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("siskin sleep"), "{}", help.out);
}

#[test]
fn a_wrong_configuration_exits_78_with_every_problem() {
    let answer = siskin(
        &["run", "--bitrate", "300"],
        &[("SISKIN_VOLUME_START", "101")],
    );
    assert_eq!(answer.code, Some(78));
    assert_eq!(
        answer.err,
        "SISKIN_VOLUME_START: volume.start is 101, out of range\n  help: use 0 to 100 (%)\n\
         --bitrate: audio.bitrate is 300, which Spotify does not stream\n  \
         help: use 96, 160 or 320 (kbit/s)\n"
    );
}

#[test]
fn check_explains_where_each_value_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("siskin.toml");
    fs::write(&file, "name = \"Kitchen\"\n").expect("written");
    let file = file.to_string_lossy();
    let answer = siskin(
        &["check", "--explain", "--port", "4444"],
        &[("SISKIN_CONFIG", &file)],
    );
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let origin = |start: &str| {
        let line = answer.out.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start} in {}", answer.out));
        line.split_once("# ").expect("an origin").1.to_owned()
    };
    assert_eq!(origin("name = \"Kitchen\""), format!("{file}:1"));
    assert_eq!(origin("network.port = 4444"), "flag --port");
    assert_eq!(origin("volume.curve = \"log\""), "default");
}

#[test]
fn completions_and_manual_page_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = siskin(&["completions", shell], &[]);
        assert!(answer.code == Some(0) && answer.out.contains("explain"));
    }
    let page = siskin(&["man"], &[]);
    assert!(page.code == Some(0) && page.out.contains(".TH siskin"));
}

#[test]
fn a_remote_control_says_what_it_does_not_understand_and_where_nobody_answers() {
    for words in [
        &["seek", "soon"][..],
        &["volume", "101"],
        &["sleep", "long"],
        &["repeat", "x"],
    ] {
        let answer = siskin(words, &[]);
        assert_eq!(answer.code, Some(64), "{words:?}: {}", answer.err);
        assert!(answer.err.contains("\n  help: "), "{}", answer.err);
    }
    for words in [
        &["pause"][..],
        &["events"],
        &["queue"],
        &["status", "--watch"],
    ] {
        // Not at the usual places: this machine may have a siskin of its own.
        let words = [words, &["--socket", "/nonexistent/siskin.sock"]].concat();
        let answer = siskin(&words, &[]);
        assert_eq!(answer.code, Some(1), "{words:?}: {}", answer.err);
        assert!(answer.err.contains("no siskin runs here"), "{}", answer.err);
    }
    let answer = siskin(&["token", "--state-dir", "/nonexistent"], &[]);
    assert_eq!((answer.code, answer.out.as_str()), (Some(1), ""));
}

//! The systemd unit: valid, and as closed as sound cards and the network allow.

use std::{fs, process::Command};

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/contrib/systemd/siskin.service"
);

fn systemd_analyze(arguments: &[&str]) -> (bool, String) {
    let done = Command::new("systemd-analyze")
        .args(arguments)
        .output()
        .expect("systemd-analyze is there: scripts/setup.sh test installs it");
    let told = [done.stdout, done.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (done.status.success(), told)
}

#[test]
fn the_unit_is_valid() {
    // `verify` looks at the program, too: ours stands elsewhere until it is installed.
    let unit = fs::read_to_string(UNIT).expect("readable");
    let here = unit.replace("/usr/bin/siskin", env!("CARGO_BIN_EXE_siskin"));
    assert_ne!(unit, here);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("siskin.service");
    fs::write(&file, here).expect("written");
    let (valid, told) = systemd_analyze(&["verify", "--man=no", &file.to_string_lossy()]);
    // It tells of lines it does not know without failing.
    let ours: Vec<_> = told
        .lines()
        .filter(|line| line.contains("siskin"))
        .collect();
    assert!(valid && ours.is_empty(), "{told}");
}

#[test]
fn the_unit_is_exposed_to_two_points_at_most() {
    let (closed, told) = systemd_analyze(&[
        "security",
        "--offline=true",
        "--threshold=20",
        "--no-pager",
        UNIT,
    ]);
    assert!(closed, "{told}");
}

//! As a service: the systemd unit, what systemd is told, and how the daemon ends.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::net::UnixDatagram;

use crate::{
    lan::{NULL, count, fifo, one_engine, play, plays, sees, until},
    world::{PATIENCE, hears, scenario},
};

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/contrib/systemd/siskin.service"
);

const OF_A_PERSON: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/contrib/systemd/user/siskin.service"
);

fn systemd_analyze(arguments: &[&str]) -> (bool, String) {
    let done = Command::new("systemd-analyze")
        .args(arguments)
        // A person's manager is asked for, and a person has this.
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .output()
        .expect("systemd-analyze is there: scripts/setup.sh test installs it");
    let told = [done.stdout, done.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (done.status.success(), told)
}

#[test]
fn the_unit_is_valid() {
    is_valid(UNIT, "--system");
}

#[test]
fn the_unit_for_a_persons_session_is_valid_and_ends_like_the_other() {
    is_valid(OF_A_PERSON, "--user");
    let lines = |unit: &str| -> Vec<String> {
        let unit = fs::read_to_string(unit).expect("readable");
        let ends = |line: &&str| {
            let words = [
                "Type=", "Exec", "Restart=", "RestartP", "KillM", "Watch", "TimeoutS",
            ];
            words.iter().any(|word| line.starts_with(word))
        };
        unit.lines().filter(ends).map(str::to_owned).collect()
    };
    assert_eq!(lines(UNIT), lines(OF_A_PERSON));
}

#[test]
fn whoever_upgrades_is_told_to_start_the_new_one_and_everybody_else_to_switch_it_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let systemctl = folder.path().join("systemctl");
    for (runs, words) in [
        ("0", "sudo systemctl restart siskin"),
        ("3", "sudo systemctl enable --now siskin"),
    ] {
        fs::write(&systemctl, format!("#!/bin/sh\nexit {runs}\n")).expect("written");
        fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).expect("a program");
        let path = std::env::var("PATH").unwrap_or_default();
        let done = Command::new("make")
            .args(["--silent", "-C", env!("CARGO_MANIFEST_DIR"), "installed"])
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .output()
            .expect("make is there");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains(words), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

fn is_valid(unit: &str, manager: &str) {
    // `verify` looks at the program, too: ours stands elsewhere until it is installed.
    let unit = fs::read_to_string(unit).expect("readable");
    let here = unit.replace("/usr/bin/siskin", env!("CARGO_BIN_EXE_siskin"));
    assert_ne!(unit, here);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("siskin.service");
    fs::write(&file, here).expect("written");
    let file = file.to_string_lossy();
    let (valid, told) = systemd_analyze(&[manager, "verify", "--man=no", &file]);
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

/// The value of a line of the unit, if it is there.
fn unit_says(key: &str) -> Option<String> {
    let unit = fs::read_to_string(UNIT).expect("readable");
    let line = unit.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.strip_prefix('='))
        .map(str::to_owned)
}

#[test]
fn an_engine_that_the_kernel_ends_does_not_end_the_service() {
    assert_eq!(unit_says("OOMPolicy").as_deref(), Some("continue"));
}

/// Who holds a card stands in /proc/asound, and what that program is called in its own folder.
#[test]
fn the_unit_lets_siskin_see_who_holds_a_card() {
    for hides in [
        "ProcSubset",
        "ProtectProc",
        "InaccessiblePaths",
        "PrivatePIDs",
    ] {
        assert_eq!(unit_says(hides), None, "{hides}");
    }
}

/// What a service manager was told, in order.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    /// Listens at `path` in place of systemd.
    pub fn at(path: &Path) -> Self {
        let told = Self::default();
        let (socket, into) = (UnixDatagram::bind(path).expect("a socket"), told.clone());
        tokio::spawn(async move {
            let mut datagram = vec![0; 4096];
            while let Ok(length) = socket.recv(&mut datagram).await {
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                into.0
                    .lock()
                    .expect("alone")
                    .push(text.trim_end().to_owned());
            }
        });
        told
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("alone").clone()
    }

    pub fn count(&self, words: &str) -> usize {
        self.all()
            .iter()
            .filter(|line| line.contains(words))
            .count()
    }

    async fn wait_for(&self, words: &str) {
        until(words, PATIENCE, || self.count(words) > 0).await;
    }
}

#[test]
fn systemd_is_told_what_the_daemon_does() {
    scenario(async |world| {
        let socket = world.dir().join("notify");
        let told = Told::at(&socket);
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command
                .env("NOTIFY_SOCKET", &socket)
                .env("WATCHDOG_USEC", "400000");
        });
        told.wait_for("READY=1").await;
        told.wait_for("STATUS=Kitchen: waiting to be picked").await;
        let app = world.sign_in("kim").await;
        told.wait_for("STATUS=Kitchen: ready").await;
        play(&world, &app, "Staircase").await;
        told.wait_for("STATUS=Kitchen: playing").await;
        app.pause().await.expect("an answer");
        told.wait_for("STATUS=Kitchen: paused").await;
        let engine = one_engine(&daemon).await;
        let environment = fs::read_to_string(format!("/proc/{engine}/environ")).expect("readable");
        for private in ["NOTIFY_SOCKET", "WATCHDOG"] {
            assert!(
                !environment.contains(private),
                "the engine inherited {private}"
            );
        }
        // Twice within its limit, also when there is no news.
        let begun = told.count("WATCHDOG=1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let alive = told.count("WATCHDOG=1") - begun;
        assert!(
            (4..=6).contains(&alive),
            "{alive} signs of life in a second"
        );
        // Trouble is told before anything else.
        world.sim.go_dark().await;
        told.wait_for("STATUS=Spotify cannot be reached").await;
        world.sim.come_back().await.expect("the port is free");
        daemon.says("over: spotify unreachable").await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        told.wait_for("STOPPING=1").await;
        let all = told.all();
        assert!(all.iter().all(|said| !said.contains('\n')), "{all:?}");
        let at = |words: &str| all.iter().position(|line| line.contains(words));
        assert_eq!(
            all.iter().filter(|line| *line == "READY=1").count(),
            1,
            "{all:?}"
        );
        assert!(at("READY=1") < at("STATUS=Kitchen: playing"), "{all:?}");
        assert_eq!(
            all.iter()
                .filter(|line| line.contains("STOPPING=1"))
                .count(),
            1
        );
    });
}

#[test]
fn what_a_container_orchestrator_sets_is_named_once_and_stops_nothing() {
    scenario(async |world| {
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command
                .env("SISKIN_SERVICE_HOST", "10.0.0.5")
                .env("SISKIN_SERVICE_PORT", "7070")
                .env("SISKIN_PORT", "tcp://10.0.0.5:7070")
                .env("SISKIN_PORT_7070_TCP_ADDR", "10.0.0.5");
        });
        let told = daemon.says("passed over").await;
        assert!(told.contains("SISKIN_PORT_7070_TCP_ADDR"), "{told}");
        daemon.says("is announced").await;
        assert_eq!(world.hand_over(&world.find().await, "kim").await, 101);
        assert_eq!(count(&daemon, "passed over"), 1);
    });
}

#[test]
fn without_a_watchdog_no_signs_of_life_are_sent() {
    scenario(async |world| {
        let socket = world.dir().join("notify");
        let told = Told::at(&socket);
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command.env("NOTIFY_SOCKET", &socket);
        });
        told.wait_for("READY=1").await;
        daemon.stop().await;
        told.wait_for("STOPPING=1").await;
        assert_eq!(told.count("WATCHDOG"), 0);
    });
}

#[test]
fn an_order_to_stop_ends_the_music_softly_and_leaves_nothing_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        scenario(async move |world| {
            let fifo = fifo();
            let mut daemon = world.start_on(&fifo);
            let app = plays(&world, "kim", "Staircase").await;
            hears(&fifo, 44_100).await;
            let engine = one_engine(&daemon).await;
            let mut watch = world.phone.watch().expect("a phone that looks");
            let found = sees(&mut watch, |_| true).await;
            let asked = Instant::now();
            daemon.signal(signal);
            let status = daemon.ended(Duration::from_secs(5)).await;
            println!("{signal}: ended after {:?}", asked.elapsed());
            assert_eq!(status.code(), Some(0), "{signal}");
            assert!(!lives(engine));
            let limit = Duration::from_secs(2);
            watch
                .until_gone(&found.instance, limit)
                .await
                .expect("a goodbye");
            let gone = app.wait_until_gone("Kitchen", limit).await;
            gone.unwrap_or_else(|error| panic!("{error}"));
            let capture = fifo.capture();
            let last = capture.last().expect("music");
            assert!(
                last[0].abs() < 0.01 && last[1].abs() < 0.01,
                "it ends in a click: {last:?}"
            );
            let cut = spotify_sim::listen::clicks(&capture[capture.len() - 22_050..], 0.02);
            assert_eq!(cut.len(), 0, "{cut:?}");
        });
    }
}

#[test]
fn it_stops_in_time_although_spotify_does_not_answer() {
    scenario(async |world| {
        let mut daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        world.sim.freeze();
        daemon.signal(Signal::SIGTERM);
        let status = daemon.ended(Duration::from_secs(5)).await;
        assert_eq!(status.code(), Some(0));
        assert!(!lives(engine));
    });
}

#[test]
fn an_engine_does_not_outlive_a_daemon_that_was_killed() {
    for frozen in [false, true] {
        scenario(async move |world| {
            let mut daemon = world.start(&world.settings(NULL));
            plays(&world, "kim", "Staircase").await;
            let engine = one_engine(&daemon).await;
            if frozen {
                world.sim.freeze();
            }
            daemon.signal(Signal::SIGKILL);
            let killed = Instant::now();
            daemon.ended(PATIENCE).await;
            let limit = Duration::from_secs(4);
            until("the engine ends", limit, || !lives(engine)).await;
            println!("the engine ended {:?} after its daemon", killed.elapsed());
            world.sim.thaw();
            // Nothing of it stands in the way of the next one.
            let _again = world.start(&world.settings(NULL));
            world.listed("kim").await;
        });
    }
}

#[test]
fn standard_input_and_output_are_left_alone() {
    scenario(async |world| {
        let (mut unread, mut typed) = std::io::pipe().expect("a pipe");
        let (mut printed, out) = std::io::pipe().expect("a pipe");
        typed.write_all(b"typed ahead").expect("room");
        let stdin = unread.try_clone().expect("a second end");
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command.stdin(stdin).stdout(out);
        });
        plays(&world, "kim", "Tones").await;
        drop(typed);
        world.hand_over(&world.find().await, "alex").await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        let mut text = String::new();
        unread.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "typed ahead");
        text.clear();
        printed.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "");
    });
}

/// Whether the process runs. One that has ended and waits to be reaped does not.
fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}

/// Of the program's code, in kB, read into memory by a daemon that nobody has picked yet: half as much
/// again as was measured, since the state of the page cache decides about some of it.
const IDLE_CODE_KB: u64 = 8_500;

#[test]
fn a_daemon_that_waits_keeps_little_of_its_code_in_memory() {
    if !functions_are_ordered() {
        println!("passed over: this machine's linker does not order functions");
        return;
    }
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        daemon.says("is announced").await;
        world.find().await;
        let resident = resident_code_kb(daemon.pid());
        println!("{resident} kB of code");
        assert!(
            (1..=IDLE_CODE_KB).contains(&resident),
            "{resident} kB of code are resident; `make order` makes a fresh list of functions"
        );
        assert!(daemon.stop().await.0.success());
    });
}

/// Whether the build of the binary under test left word that it did.
fn functions_are_ordered() -> bool {
    let built = std::env::var_os("SISKIN_BIN").map(std::path::PathBuf::from);
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/siskin");
    let built = built.unwrap_or(release);
    let folders = built
        .parent()
        .and_then(|at| fs::read_dir(at.join("build")).ok());
    let mut folders = folders.into_iter().flatten().flatten();
    folders.any(|folder| folder.path().join("out/functions-are-ordered").exists())
}

/// The resident part of the executable mappings of a process's own program.
fn resident_code_kb(pid: u32) -> u64 {
    let program = fs::read_link(format!("/proc/{pid}/exe")).expect("a process");
    let program = program.display().to_string();
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("readable");
    let mut ours = false;
    let mut sum = 0;
    for line in maps.lines() {
        if line.contains(" r-xp ") || line.contains(" r--p ") || line.contains(" rw-p ") {
            ours = line.contains(" r-xp ") && line.ends_with(&program);
        }
        let resident = line.strip_prefix("Rss:").filter(|_| ours);
        let words = resident.and_then(|rest| rest.split_whitespace().next());
        sum += words.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    sum
}

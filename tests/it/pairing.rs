//! Signing in by a code typed elsewhere, or in a browser: `siskin pair` and `siskin login`, with and
//! without a daemon.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use spotify_sim::{Authorization, Fault, Place, Then};

use crate::world::{PATIENCE, World, binary, scenario};

const NULL: &str = "[output]\nkind = \"null\"\n";

/// A `siskin` that somebody watches. Dropped, it is killed.
struct Watched {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// Starts it on the settings of `world`, with its standard input open.
    fn start(world: &World, arguments: &[&str]) -> Self {
        let file = world.dir().join("config.toml");
        if !file.exists() {
            fs::write(&file, world.settings(NULL)).expect("written");
        }
        let mut child = Command::new(binary())
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .env_clear()
            .env("HOME", world.dir())
            .envs(world.sim.env())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("siskin starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        for pipe in pipes {
            let into = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    into.lock().expect("the lines").push(line);
                }
            });
        }
        Self { child, lines }
    }

    fn said(&self) -> String {
        self.lines.lock().expect("the lines").join("\n")
    }

    async fn says(&self, words: &str) -> String {
        let until = Instant::now() + 2 * PATIENCE;
        loop {
            let lines = self.lines.lock().expect("the lines").clone();
            if let Some(line) = lines.iter().rev().find(|line| line.contains(words)) {
                return line.clone();
            }
            assert!(
                Instant::now() < until,
                "never said “{words}”:\n{}",
                lines.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it lives");
    }

    fn type_in(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Its exit code.
    async fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.code();
            }
            assert!(Instant::now() < until, "it did not end:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The listener, with codes that are asked about every second.
fn listener(world: &World) -> Authorization {
    let listener = world.sim.authorization();
    listener.codes(Duration::from_secs(60), Duration::from_secs(1));
    listener
}

async fn code(listener: &Authorization) -> String {
    let code = listener.code(PATIENCE).await;
    code.unwrap_or_else(|error| panic!("{error}"))
}

/// How many accounts lie in the state directory.
fn accounts(world: &World) -> usize {
    fs::read_dir(world.dir().join("state/accounts")).map_or(0, Iterator::count)
}

/// Everything below `dir`, as bytes.
fn all_files(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            bytes.extend(all_files(&path));
        } else if let Ok(read) = fs::read(&path) {
            bytes.extend(read);
        }
    }
    bytes
}

#[test]
fn a_code_approved_elsewhere_signs_the_next_start_in() {
    scenario(async |world| {
        let listener = listener(&world);
        let mut pair = Watched::start(&world, &["pair"]);
        let code = code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        pair.says(&format!("https://spotify.com/pair?code={code}"))
            .await;
        listener.approve(&code, "kim");
        pair.says("approved").await;
        pair.says("ready as Kim").await;
        assert_eq!(pair.ended().await, Some(0));
        assert_eq!(accounts(&world), 1);
        assert_eq!(listener.asked_too_early(), 0);
        let kept = all_files(&world.dir().join("state"));
        for secret in listener.secrets() {
            let found = kept
                .windows(secret.len())
                .any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "a token is kept");
            assert!(!pair.said().contains(&secret), "a token is shown");
        }

        let daemon = world.start(&world.settings(NULL));
        world.listed("kim").await;
        drop(daemon);
    });
}

#[test]
fn the_pace_follows_the_server_and_a_no_ends_it() {
    scenario(async |world| {
        let listener = listener(&world);
        listener.slow_down(2);
        let mut pair = Watched::start(&world, &["pair"]);
        let code = code(&listener).await;
        listener.deny(&code);
        pair.says("denied").await;
        assert_eq!(pair.ended().await, Some(1));
        assert!(pair.said().contains("help: "), "{}", pair.said());
        // 1 s, then 6 s, then 11 s: had it asked any sooner, it would have been counted.
        assert_eq!(world.sim.record().count(Place::Token), 3);
        assert_eq!(listener.asked_too_early(), 0);
        assert_eq!(accounts(&world), 0);
    });
}

#[test]
fn an_ended_code_is_followed_by_a_fresh_one() {
    scenario(async |world| {
        let listener = world.sim.authorization();
        listener.codes(Duration::from_secs(2), Duration::from_secs(1));
        let mut pair = Watched::start(&world, &["pair"]);
        let first = code(&listener).await;
        pair.says(&first).await;
        listener.expire(&first);
        listener.codes(Duration::from_secs(60), Duration::from_secs(1));
        let second = code(&listener).await;
        pair.says(&format!("code: {second}")).await;
        listener.approve(&second, "kim");
        assert_eq!(pair.ended().await, Some(0));
        assert_eq!(accounts(&world), 1);
    });
}

#[test]
fn a_server_that_is_down_or_talks_nonsense_is_asked_again_and_said_so() {
    scenario(async |world| {
        let listener = listener(&world);
        let fault = |place, then| world.sim.faults().add(Fault::on(place).then(then));
        fault(Place::Authorize, Then::Status(503, None));
        fault(Place::Authorize, Then::Garbage);
        fault(Place::Token, Then::Garbage);
        fault(Place::Token, Then::Drop);
        let mut pair = Watched::start(&world, &["pair"]);
        pair.says("trouble: Spotify answered 503").await;
        pair.says("makes no sense").await;
        let code = code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        let record = world.sim.record();
        let token = |entry: &spotify_sim::Entry| entry.place == Place::Token;
        let asked = record.wait_for(PATIENCE, record.mark(), token);
        asked.await.unwrap_or_else(|error| panic!("{error}"));
        world.sim.go_dark().await;
        pair.says("onnection refused").await;
        world.sim.come_back().await.expect("the port is free");
        listener.approve(&code, "kim");
        pair.says("ready as Kim").await;
        assert_eq!(pair.ended().await, Some(0));
    });
}

#[test]
fn an_approved_sign_in_outlives_a_bad_line_to_the_access_point() {
    scenario(async |world| {
        let listener = listener(&world);
        // One attempt tries six access points twice each.
        let lost = Fault::on(Place::ApConnect).times(13).then(Then::Drop);
        world.sim.faults().add(lost);
        let mut pair = Watched::start(&world, &["pair"]);
        listener.approve(&code(&listener).await, "kim");
        pair.says("trouble: ").await;
        pair.says("ready as Kim").await;
        assert_eq!(pair.ended().await, Some(0));
    });
}

#[test]
fn a_client_that_spotify_does_not_admit_is_told_what_can_be_set() {
    scenario(async |world| {
        let other = "0123456789abcdef0123456789abcdef";
        let listener = listener(&world);
        listener.admit(other);
        let mut pair = Watched::start(&world, &["pair"]);
        pair.says("unauthorized_client").await;
        assert_eq!(pair.ended().await, Some(1));
        assert!(pair.said().contains("client_id"), "{}", pair.said());

        let settings = format!("client_id = \"{other}\"\n{NULL}");
        fs::write(world.dir().join("config.toml"), world.settings(&settings)).expect("written");
        let mut pair = Watched::start(&world, &["pair"]);
        listener.approve(&code(&listener).await, "kim");
        pair.says("ready as Kim").await;
        assert_eq!(pair.ended().await, Some(0));
    });
}

#[test]
fn a_free_account_is_told_so_and_not_kept() {
    scenario(async |world| {
        let listener = listener(&world);
        let mut pair = Watched::start(&world, &["pair"]);
        listener.approve(&code(&listener).await, "fred");
        pair.says("Premium").await;
        assert_eq!(pair.ended().await, Some(1));
        assert_eq!(accounts(&world), 0);
    });
}

#[test]
fn ctrl_c_cancels_and_a_kill_leaves_nothing_half_kept() {
    scenario(async |world| {
        let listener = listener(&world);
        let mut pair = Watched::start(&world, &["pair"]);
        let first = code(&listener).await;
        pair.says(&first).await;
        pair.signal(Signal::SIGINT);
        pair.says("cancelled; nothing was kept").await;
        assert_eq!(pair.ended().await, Some(130));
        assert_eq!(accounts(&world), 0);

        // Killed where it hurts most: approved, and the access point does not answer yet.
        world
            .sim
            .faults()
            .add(Fault::on(Place::ApLogin).then(Then::Stall));
        listener.expire(&first);
        let mut pair = Watched::start(&world, &["pair"]);
        listener.approve(&code(&listener).await, "kim");
        pair.says("approved").await;
        pair.signal(Signal::SIGKILL);
        pair.ended().await;
        assert_eq!(accounts(&world), 0);
        world.sim.faults().clear();

        // The lock died with it, and a daemon finds nothing wrong.
        let daemon = world.start(&world.settings(NULL));
        world.find().await;
        let log = daemon.log().join("\n");
        assert!(!log.contains("state_damaged"), "{log}");
    });
}

#[test]
fn a_running_daemon_does_it_itself_and_one_at_a_time() {
    scenario(async |world| {
        let listener = listener(&world);
        let daemon = world.start(&world.settings(&format!("log = \"trace\"\n{NULL}")));
        world.find().await;
        let mut pair = Watched::start(&world, &["pair"]);
        pair.says("code: ").await;
        let code = code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        let asked_by: String = daemon.engines().into_iter().map(of_process).collect();
        assert!(asked_by.contains("siskin\0engine"), "{asked_by}");
        let status = Watched::start(&world, &["status"]);
        status.says(&format!("type {code} at")).await;
        let mut second = Watched::start(&world, &["pair", "kitchen"]);
        second.says("under way already").await;
        assert_eq!(second.ended().await, Some(1));
        listener.approve(&code, "kim");
        pair.says("ready as Kim").await;
        assert_eq!(pair.ended().await, Some(0));
        world.listed("kim").await;
        assert_eq!(world.info(&world.find().await).await.active_user, "kim");
        assert_eq!(daemon.engines().len(), 1, "the child that asked is gone");
        let kim = Watched::start(&world, &["accounts"]).says("Kim: ").await;
        assert!(kim.contains("by a code"), "{kim}");

        // Another one, cancelled: kim stays.
        let mut pair = Watched::start(&world, &["pair"]);
        let code = self::code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        pair.signal(Signal::SIGINT);
        assert_eq!(pair.ended().await, Some(130), "{}", pair.said());
        assert_eq!(daemon.engines().len(), 1);
        assert_eq!(world.info(&world.find().await).await.active_user, "kim");

        let mut told = daemon.log().join("\n") + &pair.said() + &asked_by;
        told += &status.said();
        let kim = world.sim.users().get("kim").expect("a user");
        let mut secrets = listener.secrets();
        secrets.push(BASE64.encode(kim.stored_credential()));
        for secret in secrets {
            assert!(!told.contains(&secret), "a secret is told at trace level");
        }
    });
}

#[test]
fn a_sign_in_that_is_under_way_logs_more_at_once_as_well() {
    scenario(async |world| {
        let listener = listener(&world);
        let daemon = world.start(&world.settings(NULL));
        world.find().await;
        let pair = Watched::start(&world, &["pair"]);
        let code = code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        let said = crate::ask::siskin(&world, &["log-level", "debug"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let told = daemon.says("nobody has approved the code yet").await;
        assert!(told.contains("Kitchen"), "{told}");
        let log = daemon.log().join("\n");
        assert!(!log.contains(&code), "the code is a secret of the screen");
    });
}

#[test]
fn a_daemon_that_stops_takes_the_sign_in_along_and_keeps_nothing() {
    scenario(async |world| {
        let listener = listener(&world);
        let daemon = world.start(&world.settings(NULL));
        world.find().await;
        let mut pair = Watched::start(&world, &["pair"]);
        let code = code(&listener).await;
        pair.says(&format!("code: {code}")).await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        assert_eq!(pair.ended().await, Some(1));
        assert!(pair.said().contains("nothing was kept"), "{}", pair.said());
        listener.approve(&code, "kim");

        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "");
        assert_eq!(accounts(&world), 0);
        drop(daemon);
    });
}

#[test]
fn a_refused_login_is_told_with_a_code_and_mended_by_it() {
    scenario(async |world| {
        let listener = listener(&world);
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        drop(daemon.stop().await);
        world.sim.users().revoke("kim");
        let daemon = world.start(&world.settings(NULL));
        let code = code(&listener).await;
        let told = daemon.says(&code).await;
        assert!(told.contains("login_refused"), "{told}");
        assert!(told.contains("https://spotify.com/pair"), "{told}");
        listener.approve(&code, "kim");
        daemon.says("over: login refused").await;
        world.listed("kim").await;
        assert_eq!(daemon.engines().len(), 1);
    });
}

#[test]
fn no_code_is_offered_where_that_is_not_wanted_or_a_phone_came_first() {
    scenario(async |world| {
        let listener = listener(&world);
        let never = world.settings(&format!("pairing = \"never\"\n{NULL}"));
        let daemon = world.start(&never);
        world.sign_in("kim").await;
        drop(daemon.stop().await);
        world.sim.users().revoke("kim");
        let daemon = world.start(&never);
        daemon.says("login_refused").await;
        drop(daemon.stop().await);
        assert_eq!(world.sim.record().count(Place::Authorize), 0);

        let daemon = world.start(&world.settings(NULL));
        let code = code(&listener).await;
        daemon.says(&code).await;
        world.sign_in("kim").await;
        let until = Instant::now() + PATIENCE;
        while daemon.engines().len() > 1 {
            assert!(Instant::now() < until, "the code is still asked about");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_browser_on_the_machine_is_led_back_and_signs_in() {
    scenario(async |world| {
        let listener = world.sim.authorization();
        let mut login = Watched::start(&world, &["login", "--browser"]);
        let address = login.says("https://accounts.spotify.com/authorize?").await;
        let led = listener.browse(&address, "kim").expect("a proper address");
        let answer = visit(&led);
        assert!(answer.contains("Thank you"), "{answer}");
        login.says("ready as Kim").await;
        assert_eq!(login.ended().await, Some(0));
        assert_eq!(accounts(&world), 1);
    });
}

#[test]
fn where_the_browser_is_elsewhere_its_last_address_is_pasted() {
    scenario(async |world| {
        let listener = world.sim.authorization();
        let daemon = world.start(&world.settings(NULL));
        world.find().await;
        let mut login = Watched::start(&world, &["login", "--paste"]);
        let address = login.says("https://accounts.spotify.com/authorize?").await;
        login.type_in("http://127.0.0.1:5588/login?code=made-up&state=of-another");
        login.says("does not belong").await;
        let led = listener.browse(&address, "kim").expect("a proper address");
        login.type_in(&led);
        login.says("ready as Kim").await;
        assert_eq!(login.ended().await, Some(0));
        world.listed("kim").await;
        let log = daemon.log().join("\n");
        for secret in listener.secrets() {
            assert!(!log.contains(&secret), "a secret is logged");
        }
    });
}

/// Arguments and environment of a process.
fn of_process(pid: u32) -> String {
    let read = |what| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
}

/// What a browser shows that was led to `address`.
fn visit(address: &str) -> String {
    let rest = address.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(host).expect("somebody listens");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

//! All faces at once: many who read what happens, some of whom never do, and orders without a pause.
//!
//! Who gives orders and who reads have threads of their own: what is slow here would look like a
//! slow daemon. `SISKIN_LOAD_S` has it last longer (a minute is what is promised),
//! `SISKIN_LOAD_RATE` gives another number of orders a second; 0: as many as are answered.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;
use spotify_sim::{listen::playing, rigs::Fifo};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream, unix::pipe},
    sync::mpsc,
    task::JoinSet,
};
use zbus::OwnedVariant;

use crate::{
    ask::{ask, siskin, socket, status_says},
    broker::{Broker, Home, on_broker},
    dbus::{BusDaemon, OPEN, PLAYER, Remote, SISKIN, bus_at, text},
    http,
    lan::{fifo, one_engine, plays, resident_kb},
    tape::{assert_timing, timed},
    world::{Daemon, PATIENCE, World, hears, pipe_to},
};

const READERS: usize = 50;
const DEAF: usize = 10;
/// Connections that orders come by; every other one over TCP. The other faces have theirs beside.
const HANDS: usize = 8;
/// Orders a second, of all hands together.
const RATE: f64 = 200.0;
const LASTS_S: f64 = 10.0;
/// The last level that is ordered; no other order names it.
const LAST: u8 = 77;
/// Between two orders of the other faces.
const BESIDE: Duration = Duration::from_millis(100);
/// Neither the daemon's own copy of the world nor the engine's grows with the number of orders.
const GROWTH_KB: i64 = 16 * 1024;

/// Where and how programs get in.
#[derive(Clone)]
struct Doors {
    socket: PathBuf,
    port: u16,
    token: String,
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Doors {
    async fn open(&self, number: usize) -> Box<dyn Wire> {
        match number.is_multiple_of(2) {
            true => Box::new(UnixStream::connect(&self.socket).await.expect("open")),
            false => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
                Box::new(stream.expect("open"))
            }
        }
    }

    fn head(&self, method: &str, route: &str) -> String {
        format!(
            "{method} /api/v1/{route} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {}\r\n",
            self.token
        )
    }
}

fn setting(name: &str, default: f64) -> f64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// A thread with a runtime of its own, in the network of this one.
fn beside<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(work())
    })
}

/// Waits for a thread while the simulation goes on.
async fn end_of<T: Send + 'static>(thread: JoinHandle<T>) -> T {
    let joined = tokio::task::spawn_blocking(|| thread.join());
    joined.await.expect("no panic").expect("no panic there")
}

/// What came of the orders.
struct Answers {
    /// How many were answered like that.
    by_status: BTreeMap<u16, usize>,
    /// How long each took, the shortest first.
    took: Vec<Duration>,
    lasted: Duration,
}

/// Gives orders through all hands, each at its own times.
async fn orders(doors: Doors, rate: f64, lasts: Duration) -> Answers {
    let begun = Instant::now();
    let mut hands = JoinSet::new();
    for hand in 0..HANDS {
        let doors = doors.clone();
        let every = Duration::from_secs_f64(if rate > 0.0 { HANDS as f64 / rate } else { 0.0 });
        // Over TCP nobody may ask as often as he likes.
        let number = if rate > 0.0 { hand } else { 2 * hand };
        hands.spawn(async move {
            let mut wire = tokio::io::BufReader::new(doors.open(number).await);
            let mut told = Vec::new();
            let mut due = begun + every.mul_f64(hand as f64 / HANDS as f64);
            while due < begun + lasts && begun.elapsed() < 2 * lasts {
                tokio::time::sleep_until(due.into()).await;
                // What could not be given in time is made up for.
                due = if rate > 0.0 {
                    due + every
                } else {
                    Instant::now()
                };
                let (route, body) = order(hand, told.len());
                let head = doors.head("POST", &format!("speakers/main/{route}"));
                let request = format!(
                    "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let given = Instant::now();
                wire.write_all(request.as_bytes()).await.expect("sent");
                let status = answered(&mut wire).await;
                told.push((status, given.elapsed()));
            }
            told
        });
    }
    let told: Vec<_> = hands.join_all().await.into_iter().flatten().collect();
    let mut by_status = BTreeMap::new();
    for (status, _) in &told {
        *by_status.entry(*status).or_insert(0) += 1;
    }
    let mut took: Vec<_> = told.into_iter().map(|(_, took)| took).collect();
    took.sort();
    let lasted = begun.elapsed();
    Answers {
        by_status,
        took,
        lasted,
    }
}

/// What the hand wishes next: each time something else than before.
fn order(hand: usize, count: usize) -> (&'static str, String) {
    let (route, body) = match (count + hand) % 4 {
        0 => ("volume", json!({"percent": 40 + count % 30})),
        1 => {
            let mode = ["off", "context"][count / 4 % 2];
            ("repeat", json!({ "mode": mode }))
        }
        2 => ("sleep", json!({"after_s": 3_600 + count})),
        _ => {
            let by = if count % 8 < 4 { 1 } else { -1 };
            ("volume", json!({ "by": by }))
        }
    };
    (route, body.to_string())
}

/// Reads one answer; its status, or 0 where it does not say what it should.
async fn answered(wire: &mut tokio::io::BufReader<Box<dyn Wire>>) -> u16 {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).await.expect("an answer");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.parse().expect("a length");
        } else if line.starts_with("http/1.1 ") {
            let word = line.split(' ').nth(1).expect("a status");
            status = word.parse().expect("a number");
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    wire.read_exact(&mut body).await.expect("a body");
    match (status, body.as_slice()) {
        (200, br#"{"done":true}"#) | (201.., _) => status,
        _ => 0,
    }
}

/// Reads on all of them until each was told of the last level; how many events that were in all.
async fn read_all(doors: Doors, ready: mpsc::Sender<()>) -> usize {
    let mut readers = JoinSet::new();
    for number in 0..READERS - DEAF {
        let mut wire = doors.open(number).await;
        let head = doors.head("GET", "events");
        wire.write_all(format!("{head}\r\n").as_bytes())
            .await
            .expect("sent");
        readers.spawn(async move {
            let mut lines = tokio::io::BufReader::with_capacity(64 * 1024, wire).lines();
            let last = format!("\"volume_percent\":{LAST},");
            let mut events = 0;
            while let Some(line) = lines.next_line().await.expect("events") {
                if line.starts_with("data: ") {
                    events += 1;
                    if line.contains(&last) {
                        return events;
                    }
                }
            }
            panic!("the events ended");
        });
    }
    ready.send(()).await.expect("somebody waits");
    readers.join_all().await.into_iter().sum()
}

/// Processor time of a process so far, in seconds.
fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|field| field.parse::<f64>().expect("a number"))
        .sum::<f64>()
        / 100.0
}

/// A speaker with every face it has, and music.
struct Stage {
    daemon: Daemon,
    doors: Doors,
    fifo: Fifo,
    home: Home,
    remote: Remote,
    _servers: (Broker, BusDaemon),
}

impl Stage {
    async fn set(world: &World) -> Self {
        let fifo = fifo();
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let broker = Broker::start(world).await;
        let bus = BusDaemon::start(world, OPEN).await;
        let faces = format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n{}[metadata]\npipe = \"{}\"\n\
             [mpris]\nbus = \"session\"\n{}[[hook]]\non = [\"volume\"]\nrun = [\"/bin/true\"]\n",
            pipe_to(fifo.path()),
            world.dir().join("metadata").display(),
            on_broker("")
        );
        let daemon = world.start_with(&world.settings(&faces), bus_at(&bus.address()));
        status_says(world, "Kitchen").await;
        http::answers(port).await;
        let token = http::token(world).await;
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let home = Home::enter().await;
        home.says("siskin/attic/availability", "online").await;
        plays(world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let doors = Doors {
            socket: socket(world),
            port,
            token,
        };
        Self {
            daemon,
            doors,
            fifo,
            home,
            remote,
            _servers: (broker, bus),
        }
    }

    /// What the other faces do meanwhile: orders by MQTT, D-Bus and the command line, curves that are
    /// asked for, and a display that reads. How many orders and questions that were.
    async fn beside(&self, world: &World, lasts: Duration) -> usize {
        let display = pipe::OpenOptions::new()
            .open_receiver(world.dir().join("metadata"))
            .expect("it is there");
        let shown = tokio::spawn(async move {
            let mut lines = tokio::io::BufReader::new(display).lines();
            let mut items = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                items += usize::from(line.starts_with("<item>"));
                assert!(items > 0, "it begins with an item: {line}");
            }
        });
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < lasts {
            match count % 4 {
                0 => self.home.say("siskin/attic/main/set/volume", "35").await,
                1 => self.remote.set("Volume", 0.36).await.expect("obeyed"),
                2 => {
                    let said = siskin(world, &["volume", "37"]).await;
                    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
                }
                _ => {
                    let told = ask(world, "GET", "/metrics", None).await;
                    assert_eq!(told.status, 200);
                }
            }
            count += 1;
            tokio::time::sleep(BESIDE).await;
        }
        assert!(!shown.is_finished(), "the display is told on and on");
        shown.abort();
        assert_eq!(self.home.last("siskin/attic/main/error"), "");
        count
    }

    /// Who asks for events and never reads them.
    async fn deaf(&self) -> Vec<Box<dyn Wire>> {
        let mut deaf = Vec::new();
        for number in 0..DEAF {
            let mut wire = self.doors.open(number).await;
            let head = self.doors.head("GET", "events");
            wire.write_all(format!("{head}\r\n").as_bytes())
                .await
                .expect("sent");
            deaf.push(wire);
        }
        deaf
    }
}

#[test]
fn orders_without_a_pause_through_all_faces_leave_no_gap_and_none_is_lost() {
    timed(async |world| {
        let lasts = Duration::from_secs_f64(setting("SISKIN_LOAD_S", LASTS_S));
        let rate = setting("SISKIN_LOAD_RATE", RATE);
        let stage = Stage::set(&world).await;
        let deaf = stage.deaf().await;
        let (ready, mut is_ready) = mpsc::channel(1);
        let doors = stage.doors.clone();
        let readers = beside(async move || read_all(doors, ready).await);
        is_ready.recv().await.expect("readers");

        let (pid, engine) = (stage.daemon.pid(), one_engine(&stage.daemon).await);
        let (before, used) = (resident_kb(pid), cpu_s(pid));
        let engine_before = resident_kb(engine);
        let begun = stage.fifo.capture().len();
        let doors = stage.doors.clone();
        let hands = end_of(beside(async move || orders(doors, rate, lasts).await));
        let (answers, others) = tokio::join!(hands, stage.beside(&world, lasts));
        let (grown, used) = (resident_kb(pid) - before, cpu_s(pid) - used);
        let engine_grown = resident_kb(engine) - engine_before;
        let count = answers.took.len();
        let part = |of: usize| answers.took[(count * of / 100).min(count - 1)];
        println!(
            "{count} orders in {:.1} s, answers {:?}, half of them within {:?}, 95 % within {:?}, \
             all within {:?}; {others} through the other faces; the daemon was busy for {used:.1} s, \
             and has grown by {grown} kB, the engine by {engine_grown} kB",
            answers.lasted.as_secs_f64(),
            answers.by_status,
            part(50),
            part(95),
            part(100),
        );
        let kinds: Vec<_> = answers.by_status.keys().collect();
        assert_eq!(kinds, [&200], "every order was obeyed");
        assert!(grown < GROWTH_KB, "the daemon has grown by {grown} kB");
        assert!(engine_grown < GROWTH_KB, "and the engine by {engine_grown}");

        // Who reads is told of the last one, by every face.
        let body = Some(json!({ "percent": LAST }));
        let done = ask(&world, "POST", "/api/v1/speakers/main/volume", body).await;
        assert_eq!(done.status, 200);
        let events = tokio::time::timeout(PATIENCE, end_of(readers)).await;
        println!("{} events were read", events.expect("every reader is told"));
        let level = LAST.to_string();
        stage.home.says("siskin/attic/main/volume", &level).await;
        let shown: OwnedVariant = stage.remote.get(PLAYER, "Volume").await;
        assert_eq!(text(&shown), format!("F64(0.{level})"));
        let runs = playing(&stage.fifo.capture().split_off(begun));
        assert_eq!(runs.len(), 1, "music without a gap: {runs:?}");
        drop(deaf);
        let given = count as f64 / answers.lasted.as_secs_f64();
        assert_timing(given >= 0.75 * rate, || {
            format!("{given:.0} orders a second")
        });
    });
}

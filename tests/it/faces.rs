//! Every order through every face has the same effect, and shows up in every other face.
//!
//! A face is a row of [`FACES`]: a name, and how it gives an [`Order`]. A new one (a message broker, a
//! session bus) takes a variant of [`Face`] and an arm in [`Stage::give`]; where it also tells what
//! happens, an arm in [`Stage::shows`].

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    ask::{ask, siskin, socket, status_says},
    lan::{NULL, plays},
    world::{Daemon, PATIENCE, World, scenario},
};

/// How an order comes in.
#[derive(Debug, Clone, Copy)]
enum Face {
    Socket,
    Tcp,
    CommandLine,
}

const FACES: [Face; 3] = [Face::Socket, Face::Tcp, Face::CommandLine];

/// One order, in the words of each face, and what the state says once it has taken effect.
struct Order {
    route: &'static str,
    body: Value,
    words: &'static [&'static str],
    /// A place in the state of the speaker, and what stands there.
    shown: &'static str,
    is: Value,
}

/// In this order they follow on each other, whatever was before.
fn orders() -> Vec<Order> {
    let order = |route, body, words, shown, is| Order {
        route,
        body,
        words,
        shown,
        is,
    };
    let state = "/playback/state";
    vec![
        order("pause", json!({}), &["pause"], state, json!("paused")),
        order("play", json!({}), &["play"], state, json!("playing")),
        order("toggle", json!({}), &["toggle"], state, json!("paused")),
        // While it is paused, the track stays at its beginning.
        order("next", json!({}), &["next"], "/playback/index", json!(1)),
        order(
            "previous",
            json!({}),
            &["prev"],
            "/playback/index",
            json!(0),
        ),
        order("toggle", json!({}), &["toggle"], state, json!("playing")),
        order(
            "volume",
            json!({"percent": 40}),
            &["volume", "40"],
            "/volume_percent",
            json!(40),
        ),
        order(
            "volume",
            json!({"by": 5}),
            &["volume", "+5"],
            "/volume_percent",
            json!(45),
        ),
        order(
            "mute",
            json!({"on": true}),
            &["mute", "on"],
            "/volume_percent",
            json!(0),
        ),
        order(
            "mute",
            json!({"on": false}),
            &["mute", "off"],
            "/volume_percent",
            json!(45),
        ),
        order(
            "shuffle",
            json!({"on": true}),
            &["shuffle", "on"],
            "/playback/shuffle",
            json!(true),
        ),
        order(
            "shuffle",
            json!({"on": false}),
            &["shuffle", "off"],
            "/playback/shuffle",
            json!(false),
        ),
        order(
            "repeat",
            json!({"mode": "context"}),
            &["repeat", "context"],
            "/playback/repeat",
            json!("context"),
        ),
        order(
            "repeat",
            json!({"mode": "off"}),
            &["repeat", "off"],
            "/playback/repeat",
            json!("off"),
        ),
        order(
            "sleep",
            json!({"end_of_track": true}),
            &["sleep", "track"],
            "/playback/sleep",
            json!("end_of_track"),
        ),
        order(
            "sleep",
            json!({}),
            &["sleep", "off"],
            "/playback/sleep",
            json!("off"),
        ),
        order(
            "name",
            json!({"name": "Den"}),
            &["rename", "Den"],
            "/name",
            json!("Den"),
        ),
        order(
            "name",
            json!({"name": ""}),
            &["rename", ""],
            "/name",
            json!("Kitchen"),
        ),
    ]
}

struct Stage {
    world: World,
    _daemon: Daemon,
    port: u16,
    token: String,
    readers: Vec<(Face, Reader)>,
}

/// Somebody who reads the events, and what they said of the speaker last.
struct Reader {
    lines: Lines<BufReader<Box<dyn tokio::io::AsyncRead + Unpin + Send>>>,
    speaker: Value,
    kind: String,
}

impl Reader {
    async fn open(
        mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        token: &str,
    ) -> Self {
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let from: Box<dyn tokio::io::AsyncRead + Unpin + Send> = Box::new(stream);
        Self {
            lines: BufReader::new(from).lines(),
            speaker: Value::Null,
            kind: String::new(),
        }
    }

    /// Reads until the speaker is shown like that.
    async fn until(&mut self, place: &str, is: &Value) {
        while self.speaker.pointer(place) != Some(is) {
            let line = self.lines.next_line().await.expect("events");
            let line = line.expect("they go on");
            if let Some(kind) = line.strip_prefix("event: ") {
                self.kind = kind.to_owned();
            }
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            let told: Value = serde_json::from_str(data).expect("JSON");
            match self.kind.as_str() {
                "snapshot" => self.speaker = told["speakers"][0].clone(),
                "speaker" => self.speaker = told,
                _ => {}
            }
        }
    }
}

impl Stage {
    async fn set(world: World) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let daemon = world.start(&world.settings(&(http + NULL)));
        status_says(&world, "Kitchen").await;
        let token = siskin(&world, &["token"]).await.out.trim().to_owned();
        plays(&world, "kim", "Dozen").await;
        let local = UnixStream::connect(socket(&world)).await.expect("open");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
        let readers = vec![
            (Face::Socket, Reader::open(local, "").await),
            (Face::Tcp, Reader::open(tcp, &token).await),
        ];
        Self {
            world,
            _daemon: daemon,
            port,
            token,
            readers,
        }
    }

    /// Gives an order and waits until it is answered with "done".
    async fn give(&self, face: Face, order: &Order) {
        let route = format!("/api/v1/speakers/main/{}", order.route);
        match face {
            Face::Socket => {
                let answer = ask(&self.world, "POST", &route, Some(order.body.clone())).await;
                assert_eq!(answer.status, 200, "{face:?} {route}: {answer:?}");
            }
            Face::Tcp => {
                let body = order.body.to_string();
                let request = format!(
                    "POST {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                     Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    self.token,
                    body.len()
                );
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
                let mut stream = stream.expect("open");
                stream.write_all(request.as_bytes()).await.expect("sent");
                let mut answer = String::new();
                let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
                read.expect("in time").expect("an answer");
                assert!(
                    answer.starts_with("HTTP/1.1 200"),
                    "{face:?} {route}: {answer}"
                );
            }
            Face::CommandLine => {
                let said = siskin(&self.world, order.words).await;
                assert_eq!(
                    (said.code, said.err.as_str()),
                    (Some(0), ""),
                    "{:?}",
                    order.words
                );
            }
        }
    }

    /// Waits until every face shows it; how long that took.
    async fn shows(&mut self, order: &Order) -> Duration {
        let since = Instant::now();
        for (face, reader) in &mut self.readers {
            let read = timeout(PATIENCE, reader.until(order.shown, &order.is)).await;
            assert!(
                read.is_ok(),
                "{face:?} never showed {} as {}",
                order.shown,
                order.is
            );
        }
        let latest = since.elapsed();
        let route = "/api/v1/speakers/main";
        let asked = ask(&self.world, "GET", route, None).await;
        assert_eq!(asked.json.pointer(order.shown), Some(&order.is));
        let said = siskin(&self.world, &["status", "--json"]).await;
        let told: Value = serde_json::from_str(&said.out).expect("JSON");
        let speaker = &told["speakers"][0];
        assert_eq!(speaker.pointer(order.shown), Some(&order.is), "{told}");
        latest
    }
}

#[test]
fn every_order_through_every_face_has_the_same_effect_and_shows_up_in_every_other() {
    scenario(async |world| {
        let mut stage = Stage::set(world).await;
        for face in FACES {
            let mut slowest = (Duration::ZERO, "");
            let (mut sum, mut count) = (Duration::ZERO, 0);
            for order in orders() {
                let given = Instant::now();
                stage.give(face, &order).await;
                let answered = given.elapsed();
                let shown = stage.shows(&order).await;
                slowest = slowest.max((shown, order.route));
                (sum, count) = (sum + answered, count + 1);
            }
            println!(
                "{face:?}: answered after {:?} on average, shown everywhere else {:?} after that at \
                 the latest ({})",
                sum / count,
                slowest.0,
                slowest.1
            );
        }
    });
}

#[test]
fn an_order_is_answered_once_the_state_shows_it_and_soon() {
    scenario(async |world| {
        let stage = Stage::set(world).await;
        let mut took = Vec::new();
        for percent in 0..60 {
            let order = Order {
                route: "volume",
                body: json!({ "percent": percent }),
                words: &[],
                shown: "/volume_percent",
                is: json!(percent),
            };
            let given = Instant::now();
            stage.give(Face::Socket, &order).await;
            took.push(given.elapsed());
            let told = ask(&stage.world, "GET", "/api/v1/speakers/main", None).await;
            assert_eq!(told.json["volume_percent"], percent);
        }
        took.sort();
        println!(
            "order to echo: median {:?}, 95 % {:?}",
            took[took.len() / 2],
            took[took.len() * 95 / 100]
        );
    });
}

//! Every order through every face has the same effect, and shows up in every other face at once.
//!
//! A face is a row of [`FACES`]: a name, and how it gives an [`Order`]. A new one takes a variant of
//! [`Face`] and an arm in [`Stage::give`]; where it also tells what happens, a look in
//! [`Stage::shows`]. What a face has no word for is given over the socket, so that the next order
//! finds what it needs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spotify_sim::Controller;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};
use zbus::{ObjectPath, OwnedVariant};

use crate::{
    ask::{ask, siskin, socket, status_says},
    broker::{Broker, Home, on_broker},
    dbus::{BusDaemon, OPEN, PLAYER, ROOT, Remote, SISKIN, bus_at, text},
    lan::{NULL, plays},
    tape::{assert_timing, timed},
    world::{Daemon, PATIENCE, World, scenario, shows},
};

/// What one face does shows up in all others within this.
const ECHO: Duration = Duration::from_millis(100);

/// The other device of the account, as the simulated app calls it.
const PHONE: &str = "kim's phone";

/// How an order comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Socket,
    Tcp,
    CommandLine,
    Mqtt,
    Mpris,
}

const FACES: [Face; 5] = [
    Face::Socket,
    Face::Tcp,
    Face::CommandLine,
    Face::Mqtt,
    Face::Mpris,
];

/// One order, in the words of each face, and what the state says once it has taken effect.
struct Order {
    route: &'static str,
    body: Value,
    words: Vec<String>,
    /// Command and payload, where there is one.
    topic: Option<(&'static str, String)>,
    /// The same on D-Bus.
    call: Option<Call>,
    /// A place in the state of the speaker, and what stands there.
    shown: &'static str,
    is: Value,
}

/// A method of a media player, or a property and what it is set to.
#[derive(Debug, Clone)]
enum Call {
    Method(&'static str),
    /// In microseconds.
    SeekTo(i64),
    SeekBy(i64),
    Open(String),
    Volume(f64),
    Shuffle(bool),
    Loop(&'static str),
}

impl Order {
    fn new(
        (route, body): (&'static str, Value),
        words: &[&str],
        (shown, is): (&'static str, Value),
    ) -> Self {
        Self {
            route,
            body,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            topic: None,
            call: None,
            shown,
            is,
        }
    }

    fn on_mqtt(mut self, command: &'static str, payload: &str) -> Self {
        self.topic = Some((command, payload.to_owned()));
        self
    }

    fn on_mpris(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    /// Whether `face` has words for it.
    fn can_come_by(&self, face: Face) -> bool {
        match face {
            Face::Mqtt => self.topic.is_some(),
            Face::Mpris => self.call.is_some(),
            Face::Socket | Face::Tcp | Face::CommandLine => true,
        }
    }
}

/// In this order they follow on each other, whatever was before.
fn orders(world: &World) -> Vec<Order> {
    let plain = |route, words: &[&str], shown, is, method| {
        Order::new((route, json!({})), words, (shown, is))
            .on_mqtt(route, "")
            .on_mpris(Call::Method(method))
    };
    let state = "/playback/state";
    let index = "/playback/index";
    let loud = |body, words: &[&str], percent: u8| {
        Order::new(("volume", body), words, ("/volume_percent", json!(percent)))
    };
    let mute = |on: bool, words: &[&str], percent: u8| {
        let shown = ("/volume_percent", json!(percent));
        let payload = if on { "ON" } else { "OFF" };
        Order::new(("mute", json!({ "on": on })), words, shown).on_mqtt("mute", payload)
    };
    let shuffle = |on: bool, words: &[&str]| {
        let shown = ("/playback/shuffle", json!(on));
        Order::new(("shuffle", json!({ "on": on })), words, shown)
            .on_mqtt("shuffle", if on { "ON" } else { "OFF" })
            .on_mpris(Call::Shuffle(on))
    };
    let repeat = |mode: &'static str, words: &[&str], word| {
        let shown = ("/playback/repeat", json!(mode));
        Order::new(("repeat", json!({ "mode": mode })), words, shown)
            .on_mqtt("repeat", mode)
            .on_mpris(Call::Loop(word))
    };
    let sleep = |body, words: &[&str], is: &'static str| {
        Order::new(("sleep", body), words, ("/playback/sleep", json!(is))).on_mqtt("sleep", is)
    };
    let name = |name: &str, words: &[&str], is: &str| {
        Order::new(
            ("name", json!({ "name": name })),
            words,
            ("/name", json!(is)),
        )
        .on_mqtt("name", name)
    };
    let (dozen, tones) = (
        world.sim.catalogue().titled("Dozen").uri(),
        world.sim.catalogue().titled("Tones").uri(),
    );
    let load = |uri: &str| {
        let shown = ("/playback/context", json!(uri));
        Order::new(("play", json!({ "uri": uri })), &["play", uri], shown)
            .on_mqtt("load", uri)
            .on_mpris(Call::Open(uri.to_owned()))
    };
    let seek = |body, words: &[&str], payload, call, ms: u32| {
        let shown = ("/playback/position_ms", json!(ms));
        Order::new(("seek", body), words, shown)
            .on_mqtt("seek", payload)
            .on_mpris(call)
    };
    let queued = world.sim.catalogue().titled("Halves").tracks[0].uri();
    let track = "/playback/track/uri";
    vec![
        // A speaker that is stopped plays again, as far as somebody says what.
        plain("stop", &["stop"], "/playback/active", json!(false), "Stop"),
        load(&tones),
        Order::new(
            ("send", json!({ "device": PHONE })),
            &["send", PHONE],
            ("/playback/active", json!(false)),
        )
        .on_mqtt("send", PHONE),
        Order::new(
            ("pull", json!({})),
            &["pull"],
            ("/playback/active", json!(true)),
        )
        .on_mqtt("pull", ""),
        plain("pause", &["pause"], state, json!("paused"), "Pause"),
        seek(
            json!({"position_ms": 12_000}),
            &["seek", "0:12"],
            "12000",
            Call::SeekTo(12_000_000),
            12_000,
        ),
        seek(
            json!({"by_ms": -7_000}),
            &["seek", "-7"],
            "-7000",
            Call::SeekBy(-7_000_000),
            5_000,
        ),
        Order::new(
            ("queue", json!({ "uri": queued })),
            &["queue", "add", &queued],
            ("/playback/next/0/uri", json!(queued)),
        )
        .on_mqtt("queue", &queued),
        plain("next", &["next"], track, json!(queued), "Next"),
        load(&dozen),
        plain("pause", &["pause"], state, json!("paused"), "Pause"),
        plain("play", &["play"], state, json!("playing"), "Play"),
        plain("toggle", &["toggle"], state, json!("paused"), "PlayPause"),
        // While it is paused, the track stays at its beginning.
        plain("next", &["next"], index, json!(1), "Next"),
        plain("previous", &["prev"], index, json!(0), "Previous"),
        plain("toggle", &["toggle"], state, json!("playing"), "PlayPause"),
        loud(json!({"percent": 40}), &["volume", "40"], 40)
            .on_mqtt("volume", "40")
            .on_mpris(Call::Volume(0.4)),
        loud(json!({"by": 5}), &["volume", "+5"], 45).on_mqtt("volume", "+5"),
        mute(true, &["mute", "on"], 0),
        mute(false, &["mute", "off"], 45),
        shuffle(true, &["shuffle", "on"]),
        shuffle(false, &["shuffle", "off"]),
        repeat("context", &["repeat", "context"], "Playlist"),
        repeat("track", &["repeat", "track"], "Track"),
        repeat("off", &["repeat", "off"], "None"),
        sleep(
            json!({"end_of_track": true}),
            &["sleep", "track"],
            "end_of_track",
        ),
        sleep(json!({}), &["sleep", "off"], "off"),
        Order::new(
            ("sleep", json!({"after_s": 3_600, "fade_s": 90})),
            &["sleep", "1h", "--fade", "1m30s"],
            ("/playback/sleep_fade_ms", json!(90_000)),
        )
        .on_mqtt("sleep", r#"{"after_s": 3600, "fade_s": 90}"#),
        sleep(json!({}), &["sleep", "off"], "off"),
        name("Den", &["rename", "Den"], "Den"),
        name("", &["rename", ""], "Kitchen"),
    ]
}

struct Stage {
    world: World,
    _daemon: Daemon,
    app: Controller,
    port: u16,
    token: String,
    readers: Vec<(Face, Reader)>,
    _broker: Broker,
    home: Home,
    _bus: BusDaemon,
    remote: Remote,
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
        let broker = Broker::start(&world).await;
        let bus = BusDaemon::start(&world, OPEN).await;
        let faces = format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n{NULL}[mpris]\nbus = \"session\"\n{}",
            on_broker("")
        );
        let daemon = world.start_with(&world.settings(&faces), bus_at(&bus.address()));
        status_says(&world, "Kitchen").await;
        let home = Home::enter().await;
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let token = siskin(&world, &["token"]).await.out.trim().to_owned();
        let app = plays(&world, "kim", "Dozen").await;
        // It is a device of the account once it has played.
        app.transfer_away().await.expect("an answer");
        let route = "/api/v1/speakers/main/pull";
        let pulled = ask(&world, "POST", route, Some(json!({}))).await;
        assert_eq!(pulled.status, 200, "{pulled:?}");
        home.says("siskin/attic/main/state", "playing").await;
        let local = UnixStream::connect(socket(&world)).await.expect("open");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
        let readers = vec![
            (Face::Socket, Reader::open(local, "").await),
            (Face::Tcp, Reader::open(tcp, &token).await),
        ];
        Self {
            world,
            _daemon: daemon,
            app,
            port,
            token,
            readers,
            _broker: broker,
            home,
            _bus: bus,
            remote,
        }
    }

    /// Playback is sent away as the service knows it, which is told five times a second at most.
    async fn is_known_to_the_service(&self) {
        let (_, reader) = &self.readers[0];
        let context = &reader.speaker["playback"]["context"];
        shows(&self.app, "what plays", |state| {
            context == &state.context_uri && state.playing
        })
        .await;
    }

    /// Gives an order and waits until it is answered with "done", where the face answers.
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
                let words: Vec<_> = order.words.iter().map(String::as_str).collect();
                let said = siskin(&self.world, &words).await;
                assert_eq!(
                    (said.code, said.err.as_str()),
                    (Some(0), ""),
                    "{:?}",
                    order.words
                );
            }
            Face::Mqtt => {
                let (command, payload) = order.topic.as_ref().expect("a command");
                let topic = format!("siskin/attic/main/set/{command}");
                self.home.say(&topic, payload).await;
            }
            Face::Mpris => match order.call.clone().expect("a call") {
                Call::Method(name) => self.remote.obeyed(name, &()).await,
                Call::SeekTo(us) => {
                    let here = self.remote.metadata("mpris:trackid").await;
                    let here = ObjectPath::try_from(here).expect("a path");
                    self.remote.obeyed("SetPosition", &(&here, us)).await;
                }
                Call::SeekBy(us) => self.remote.obeyed("Seek", &us).await,
                Call::Open(uri) => self.remote.obeyed("OpenUri", &uri).await,
                Call::Volume(level) => self.remote.set("Volume", level).await.expect("obeyed"),
                Call::Shuffle(on) => self.remote.set("Shuffle", on).await.expect("obeyed"),
                Call::Loop(word) => self.remote.set("LoopStatus", word).await.expect("obeyed"),
            },
        }
    }

    /// Waits until every face shows it; how long that took since it was answered, or, where the
    /// face answers nothing, since the first one showed it.
    async fn shows(&mut self, given: Face, order: &Order) -> Duration {
        let mut since = Instant::now();
        for (face, reader) in &mut self.readers {
            let read = timeout(PATIENCE, reader.until(order.shown, &order.is)).await;
            assert!(
                read.is_ok(),
                "by {given:?}: {face:?} never showed {} as {}, but {}",
                order.shown,
                order.is,
                reader.speaker["playback"]
            );
            if (given, *face) == (Face::Mqtt, Face::Socket) {
                since = Instant::now();
            }
        }
        let is_so = |text: &str| {
            let speaker: Value = serde_json::from_str(text).unwrap_or_default();
            speaker.pointer(order.shown) == Some(&order.is)
        };
        self.home.reads("siskin/attic/main/json", is_so).await;
        self.player_shows(order).await;
        let latest = since.elapsed();
        let route = "/api/v1/speakers/main";
        let asked = ask(&self.world, "GET", route, None).await;
        assert_eq!(asked.json.pointer(order.shown), Some(&order.is));
        let said = siskin(&self.world, &["status", "--json"]).await;
        let told: Value = serde_json::from_str(&said.out).expect("JSON");
        let speaker = &told["speakers"][0];
        assert_eq!(speaker.pointer(order.shown), Some(&order.is), "{told}");
        assert_eq!(self.home.last("siskin/attic/main/error"), "");
        latest
    }

    /// Waits until the media player on D-Bus shows it, where that has a property for it.
    async fn player_shows(&self, order: &Order) {
        let word = order.is.as_str().unwrap_or_default();
        let (interface, name, wanted) = match order.shown {
            "/playback/state" if word == "paused" => (PLAYER, "PlaybackStatus", "Paused".into()),
            "/playback/state" => (PLAYER, "PlaybackStatus", "Playing".into()),
            "/playback/shuffle" => (PLAYER, "Shuffle", format!("Bool({})", order.is)),
            "/playback/repeat" => {
                let words = [("off", "None"), ("context", "Playlist"), ("track", "Track")];
                let found = words.iter().find(|(ours, _)| *ours == word);
                let (_, theirs) = found.expect("a mode");
                (PLAYER, "LoopStatus", (*theirs).to_owned())
            }
            "/volume_percent" => {
                let level = order.is.as_f64().expect("a number") / 100.0;
                (PLAYER, "Volume", format!("F64({level:?})"))
            }
            "/name" => (ROOT, "Identity", word.to_owned()),
            "/playback/index" => return self.player_shows_the_track().await,
            _ => return,
        };
        let end = Instant::now() + PATIENCE;
        loop {
            let value: OwnedVariant = self.remote.get(interface, name).await;
            let told = text(&value);
            if told == wanted {
                return;
            }
            assert!(Instant::now() < end, "{name} is {told}, never {wanted}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn player_shows_the_track(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let url = self.remote.metadata("xesam:url").await;
            let uri = self.home.last("siskin/attic/main/uri");
            let id = |address: &str| address.rsplit([':', '/']).next().map(str::to_owned);
            if !uri.is_empty() && id(&url) == id(&uri) {
                return;
            }
            assert!(Instant::now() < end, "{url} is shown, never {uri}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[test]
fn every_order_through_every_face_has_the_same_effect_and_shows_up_in_every_other() {
    timed(async |world| {
        let mut stage = Stage::set(world).await;
        for face in FACES {
            let mut slowest = (Duration::ZERO, "");
            let (mut sum, mut count) = (Duration::ZERO, 0);
            for order in orders(&stage.world) {
                if order.route == "send" {
                    stage.is_known_to_the_service().await;
                }
                if !order.can_come_by(face) {
                    stage.give(Face::Socket, &order).await;
                    stage.shows(Face::Socket, &order).await;
                    continue;
                }
                let given = Instant::now();
                stage.give(face, &order).await;
                let answered = given.elapsed();
                let shown = stage.shows(face, &order).await;
                slowest = slowest.max((shown, order.route));
                (sum, count) = (sum + answered, count + 1);
            }
            println!(
                "{face:?}: {count} orders, given within {:?} on average, shown everywhere else {:?} \
                 after that at the latest ({})",
                sum / count,
                slowest.0,
                slowest.1
            );
            assert_timing(slowest.0 <= ECHO, || {
                let (took, order) = slowest;
                format!("{order} through {face:?} was shown everywhere after {took:?} only")
            });
        }
    });
}

#[test]
fn an_order_is_answered_once_the_state_shows_it_and_soon() {
    scenario(async |world| {
        let stage = Stage::set(world).await;
        let mut took = Vec::new();
        for percent in 0..60 {
            let shown = ("/volume_percent", json!(percent));
            let order = Order::new(("volume", json!({ "percent": percent })), &[], shown);
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

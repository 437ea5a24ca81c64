//! The orders, in the words of each face. Pure.

use serde_json::{Value, json};
use spotify_sim::catalogue::Catalogue;

use super::{Face, stage::PHONE};

/// One order, and what the state says once it has taken effect.
pub struct Order {
    pub name: &'static str,
    pub method: &'static str,
    /// Below `/api/v1/`.
    pub route: String,
    pub body: Value,
    pub typed: Option<Typed>,
    /// Command and payload on MQTT.
    pub topic: Option<(&'static str, String)>,
    pub call: Option<Call>,
    pub act: Option<Act>,
    /// Places in the state of the speaker, and what stands there.
    pub shown: Vec<(&'static str, Value)>,
    /// It takes effect on the way to its answer, or after it: what counts is when the first face
    /// shows it.
    pub slow: bool,
}

/// What is done at a terminal.
pub enum Typed {
    Words(Vec<String>),
    /// A command that goes on until it is interrupted.
    Begin(&'static str),
    Interrupt,
}

/// A method of a media player, or a property and what it is set to.
#[derive(Debug, Clone)]
pub enum Call {
    Method(&'static str),
    /// In microseconds.
    SeekTo(i64),
    SeekBy(i64),
    Open(String),
    Add(String),
    Volume(f64),
    Shuffle(bool),
    Loop(&'static str),
}

/// What a hand does on the page; elements by their selectors.
#[derive(Debug, Clone)]
pub enum Act {
    Press(&'static str),
    /// A slider, or a list to choose from.
    Set(&'static str, String),
    /// A link is typed, and the button pressed.
    Link(String, &'static str),
    /// A button that asks something before; what is typed, where something is to be.
    Asked(&'static str, Option<&'static str>),
}

impl Order {
    fn new(name: &'static str, body: Value, words: &str, shown: &[(&'static str, Value)]) -> Self {
        let words = words.split(' ').filter(|word| !word.is_empty());
        let words: Vec<_> = words
            .map(|word| word.replace('_', " ").replace("''", ""))
            .collect();
        Self {
            name,
            method: "POST",
            route: format!("speakers/main/{name}"),
            body,
            typed: (!words.is_empty()).then_some(Typed::Words(words)),
            topic: None,
            call: None,
            act: None,
            shown: shown.to_vec(),
            slow: false,
        }
    }

    fn at(mut self, method: &'static str, route: &str) -> Self {
        (self.method, self.route) = (method, route.to_owned());
        self
    }

    fn mqtt(mut self, command: &'static str, payload: impl Into<String>) -> Self {
        self.topic = Some((command, payload.into()));
        self
    }

    fn mpris(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    fn page(mut self, act: Act) -> Self {
        self.act = Some(act);
        self
    }

    fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    fn typed(mut self, typed: Typed) -> Self {
        self.typed = Some(typed);
        self
    }

    /// Whether `face` has words for it.
    pub fn can_come_by(&self, face: Face) -> bool {
        match face {
            Face::Socket | Face::Tcp => true,
            Face::CommandLine => self.typed.is_some(),
            Face::Mqtt => self.topic.is_some(),
            Face::Mpris => self.call.is_some(),
            Face::Page => self.act.is_some(),
        }
    }
}

const STATE: &str = "/playback/state";
const INDEX: &str = "/playback/index";
const TRACK: &str = "/playback/track/uri";
const ACTIVE: &str = "/playback/active";
const CONTEXT: &str = "/playback/context";
const POSITION: &str = "/playback/position_ms";

/// One that has no more to say than its name.
fn plain(name: &'static str, method: &'static str, shown: (&'static str, Value)) -> Order {
    let word = if name == "previous" { "prev" } else { name };
    Order::new(name, json!({}), word, &[shown])
        .mqtt(name, "")
        .mpris(Call::Method(method))
}

pub fn volume(percent: u8) -> Order {
    let words = format!("volume {percent}");
    let shown = ("/volume_percent", json!(percent));
    Order::new("volume", json!({ "percent": percent }), &words, &[shown])
        .mqtt("volume", percent.to_string())
        .mpris(Call::Volume(f64::from(percent) / 100.0))
        .page(Act::Set("#volume", percent.to_string()))
}

/// What is about the music. In this order they follow on each other, whatever was before.
pub fn orders(catalogue: &Catalogue) -> Vec<Order> {
    let mut all = places(catalogue);
    all.extend(loads(catalogue));
    all.extend(settings());
    all
}

fn load(uri: &str, context: &str) -> Order {
    let shown = (CONTEXT, json!(context));
    let words = format!("play {uri}");
    Order::new("play", json!({ "uri": uri }), &words, &[shown])
        .mqtt("load", uri)
        .mpris(Call::Open(uri.to_owned()))
        .page(Act::Link(uri.to_owned(), "#load [type=submit]"))
}

/// Where playback is, and where in it.
fn places(catalogue: &Catalogue) -> Vec<Order> {
    let tones = catalogue.titled("Tones").uri();
    let dozen = catalogue.titled("Dozen").uri();
    let link = dozen.replace("spotify:album:", "https://open.spotify.com/album/") + "?si=x";
    let queued = catalogue.titled("Halves").tracks[0].uri();
    let toggle = || Act::Press("#toggle");
    let seek = |body, words: &str, payload, call, ms: u32| {
        Order::new("seek", body, words, &[(POSITION, json!(ms))])
            .mqtt("seek", payload)
            .mpris(call)
    };
    let (away, here) = ((ACTIVE, json!(false)), (ACTIVE, json!(true)));
    vec![
        // A speaker that is stopped plays again, as far as somebody says what.
        plain("stop", "Stop", away.clone()),
        load(&tones, &tones),
        Order::new(
            "send",
            json!({ "device": PHONE }),
            &format!("send {}", PHONE.replace(' ', "_")),
            &[away],
        )
        .mqtt("send", PHONE),
        Order::new("pull", json!({}), "pull", &[here, (CONTEXT, json!(tones))])
            .mqtt("pull", "")
            .mpris(Call::Method("Play"))
            .page(toggle()),
        plain("pause", "Pause", (STATE, json!("paused"))).page(toggle()),
        seek(
            json!({"position_ms": 12_000}),
            "seek 0:12",
            "12000",
            Call::SeekTo(12_000_000),
            12_000,
        )
        .page(Act::Set("#seek", "12000".into())),
        seek(
            json!({"by_ms": -7_000}),
            "seek -7",
            "-7000",
            Call::SeekBy(-7_000_000),
            5_000,
        ),
        Order::new(
            "queue",
            json!({ "uri": queued }),
            &format!("queue add {queued}"),
            &[("/playback/next/0/uri", json!(queued))],
        )
        .mqtt("queue", &queued)
        .mpris(Call::Add(queued.clone()))
        .page(Act::Link(queued.clone(), "#enqueue")),
        plain("next", "Next", (TRACK, json!(queued))).page(Act::Press("#next")),
        load(&link, &dozen),
        plain("pause", "Pause", (STATE, json!("paused"))).page(toggle()),
        plain("play", "Play", (STATE, json!("playing"))).page(toggle()),
        plain("toggle", "PlayPause", (STATE, json!("paused"))).page(toggle()),
        // While it is paused, the track stays at its beginning.
        plain("next", "Next", (INDEX, json!(1))).page(Act::Press("#next")),
        plain("previous", "Previous", (INDEX, json!(0))).page(Act::Press("#previous")),
        plain("toggle", "PlayPause", (STATE, json!("playing"))).page(toggle()),
    ]
}

/// Everything that can be said of where to begin, and how.
fn loads(catalogue: &Catalogue) -> Vec<Order> {
    let dozen = catalogue.titled("Dozen");
    let (uri, third) = (dozen.uri(), dozen.tracks[2].uri());
    let by_place =
        json!({"uri": uri, "index": 3, "position_ms": 2_000, "shuffle": false, "paused": true});
    let by_name = json!({"uri": uri, "track": third, "shuffle": true});
    vec![
        Order::new(
            "play",
            by_place.clone(),
            &format!("play {uri} --from 4 --position 0:02 --paused"),
            &[
                (INDEX, json!(3)),
                (POSITION, json!(2_000)),
                (STATE, json!("paused")),
            ],
        )
        .mqtt("load", by_place.to_string()),
        Order::new(
            "play",
            by_name.clone(),
            &format!("play {uri} --from {third} --shuffle"),
            &[
                (TRACK, json!(third)),
                ("/playback/shuffle", json!(true)),
                (STATE, json!("playing")),
            ],
        )
        .mqtt("load", by_name.to_string()),
    ]
}

/// How it plays, how loud, how long, and under which name.
fn settings() -> Vec<Order> {
    let level = |name, body, words: &str, percent: u8| {
        Order::new(name, body, words, &[("/volume_percent", json!(percent))])
    };
    let mute = |on: bool, percent: u8| {
        let (word, payload) = if on { ("on", "ON") } else { ("off", "OFF") };
        level(
            "mute",
            json!({ "on": on }),
            &format!("mute {word}"),
            percent,
        )
        .mqtt("mute", payload)
        .page(Act::Press("#mute"))
    };
    let other_way = |percent| level("mute", json!({}), "mute", percent).mqtt("mute", "TOGGLE");
    let shuffle = |on: bool| {
        let word = if on { "on" } else { "off" };
        let shown = ("/playback/shuffle", json!(on));
        Order::new(
            "shuffle",
            json!({ "on": on }),
            &format!("shuffle {word}"),
            &[shown],
        )
        .mqtt("shuffle", word)
        .mpris(Call::Shuffle(on))
        .page(Act::Press("#shuffle"))
    };
    let repeat = |mode: &'static str, word| {
        let shown = ("/playback/repeat", json!(mode));
        Order::new(
            "repeat",
            json!({ "mode": mode }),
            &format!("repeat {mode}"),
            &[shown],
        )
        .mqtt("repeat", mode)
        .mpris(Call::Loop(word))
        .page(Act::Press("#repeat"))
    };
    let sleep = |body, word: &str, is: &'static str, value: &str| {
        let shown = ("/playback/sleep", json!(is));
        Order::new("sleep", body, &format!("sleep {word}"), &[shown])
            .mqtt("sleep", is)
            .page(Act::Set("#sleep", value.into()))
    };
    let name = |name: &'static str, word: &str, is: &str| {
        Order::new(
            "name",
            json!({ "name": name }),
            word,
            &[("/name", json!(is))],
        )
        .mqtt("name", name)
        .page(Act::Asked("#rename", Some(name)))
    };
    let after = json!({"after_s": 3_600, "fade_s": 90});
    vec![
        volume(40),
        level("volume", json!({"by": 5}), "volume +5", 45).mqtt("volume", "+5"),
        level("volume", json!({"by": -2}), "volume -2", 43).mqtt("volume", "-2"),
        mute(true, 0),
        mute(false, 43),
        other_way(0),
        other_way(43),
        shuffle(false),
        shuffle(true),
        shuffle(false),
        repeat("context", "Playlist"),
        repeat("track", "Track"),
        repeat("off", "None"),
        sleep(
            json!({"end_of_track": true}),
            "track",
            "end_of_track",
            "end",
        ),
        sleep(json!({}), "off", "off", "off"),
        Order::new(
            "sleep",
            after.clone(),
            "sleep 1h --fade 1m30s",
            &[("/playback/sleep_fade_ms", json!(90_000))],
        )
        .mqtt("sleep", after.to_string()),
        sleep(json!({}), "off", "off", "off"),
        name("Den", "rename Den", "Den"),
        name("", "rename ''", "Kitchen"),
    ]
}

/// Kim sits here, and Alex is known; in the end he is not. Neither MQTT nor MPRIS have words for it.
pub fn people() -> Vec<Order> {
    let called = |name: &'static str, words: &str, is: &str| {
        let shown = ("/account/name", json!(is));
        Order::new("rename", json!({ "name": name }), words, &[shown])
            .at("PATCH", "accounts/kim")
            .page(Act::Asked("[data-does='rename kim']", Some(name)))
    };
    let step = |is: &str| [("/pairing/step", json!(is))];
    vec![
        called("Mum", "accounts rename kim Mum", "Mum"),
        called("", "accounts rename kim ''", "Kim"),
        Order::new("pairing", json!({"way": "code"}), "", &step("waiting"))
            .typed(Typed::Begin("pair"))
            .page(Act::Press("#pairing button"))
            .slow(),
        Order::new("pairing", json!({}), "", &step("cancelled"))
            .at("DELETE", "speakers/main/pairing")
            .typed(Typed::Interrupt)
            .page(Act::Press("#pairing button.quiet"))
            .slow(),
        Order::new(
            "account",
            json!({"user": "alex"}),
            "accounts use alex",
            &[
                ("/account/user", json!("alex")),
                ("/phase", json!("online")),
            ],
        )
        .page(Act::Press("[data-does='use alex']"))
        .slow(),
        Order::new(
            "forget",
            json!({}),
            "accounts forget alex",
            &[("/account", Value::Null)],
        )
        .at("DELETE", "accounts/alex")
        .page(Act::Asked("[data-does='forget alex']", None))
        .slow(),
    ]
}

/// On a machine with two cards. MPRIS has no words for it.
pub fn outputs() -> Vec<Order> {
    let lead = |name: &str, rate: u32| {
        let shown = [
            ("/outputs/0/chosen", json!(name == "default")),
            ("/sound/rate", json!(rate)),
        ];
        Order::new(
            "output",
            json!({ "device": name }),
            &format!("output {name}"),
            &shown,
        )
        .mqtt("output", name)
        .page(Act::Set("#output", name.into()))
    };
    vec![lead("dac48", 48_000), lead("default", 44_100)]
}

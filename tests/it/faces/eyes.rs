//! How each face shows what has happened.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, Lines},
    time::timeout,
};
use zbus::{ObjectPath, OwnedVariant};

use super::{Face, stage::Stage, table::Order};
use crate::{
    ask::{ask, siskin},
    dbus::{PLAYER, ROOT, TRACKS, text},
    world::PATIENCE,
};

const SPEAKER: &str = "siskin/attic/main";

/// Somebody who reads the events, and what they said of the speaker last.
pub struct Reader {
    lines: Lines<BufReader<Box<dyn AsyncRead + Unpin + Send>>>,
    speaker: Value,
    kind: String,
}

fn all_hold(speaker: &Value, shown: &[(&'static str, Value)]) -> bool {
    let mut shown = shown.iter();
    shown.all(|(place, is)| speaker.pointer(place) == Some(is))
}

impl Reader {
    pub async fn open(
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        token: &str,
    ) -> Self {
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let from: Box<dyn AsyncRead + Unpin + Send> = Box::new(stream);
        Self {
            lines: BufReader::new(from).lines(),
            speaker: Value::Null,
            kind: String::new(),
        }
    }

    /// Reads until the speaker is shown like that.
    async fn until(&mut self, shown: &[(&'static str, Value)]) {
        while !all_hold(&self.speaker, shown) {
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
    /// Waits until every face shows it; how long that took since it was answered, or, where the
    /// face answers nothing or too late, since the first one showed it.
    pub async fn shows(&mut self, given: Face, order: &Order) -> Duration {
        let mut since = Instant::now();
        let is_unanswered = order.slow || matches!(given, Face::Mqtt | Face::Page);
        for (face, reader) in &mut self.readers {
            let read = timeout(PATIENCE, reader.until(&order.shown)).await;
            assert!(
                read.is_ok(),
                "{} by {given:?}: {face:?} never showed {:?}, but {}",
                order.name,
                order.shown,
                reader.speaker
            );
            if is_unanswered && *face == Face::Socket {
                since = Instant::now();
            }
        }
        self.home_shows(order).await;
        self.player_shows(order).await;
        self.page_shows(order).await;
        let latest = since.elapsed();
        let told = ask(&self.world, "GET", "/api/v1/speakers/main", None).await;
        assert!(all_hold(&told.json, &order.shown), "{}", told.json);
        let said = siskin(&self.world, &["status", "--json"]).await;
        let told: Value = serde_json::from_str(&said.out).expect("JSON");
        assert!(all_hold(&told["speakers"][0], &order.shown), "{told}");
        if order.name == "queue" {
            self.lists_show(order).await;
        }
        assert_eq!(self.home.last(&format!("{SPEAKER}/error")), "");
        latest
    }

    async fn home_shows(&self, order: &Order) {
        // How somebody signs in is not for everybody on a broker.
        let told = order
            .shown
            .iter()
            .filter(|(at, _)| !at.starts_with("/pairing"));
        let told: Vec<_> = told.cloned().collect();
        let is_so = |text: &str| all_hold(&serde_json::from_str(text).unwrap_or_default(), &told);
        self.home.reads(&format!("{SPEAKER}/json"), is_so).await;
        for (place, is) in &order.shown {
            let topic = match *place {
                "/name" | "/phase" => continue,
                "/account/name" => "account",
                "/volume_percent" => "volume",
                "/playback/shuffle" => "shuffle",
                "/playback/repeat" => "repeat",
                "/playback/context" => "context",
                "/playback/track/uri" => "uri",
                _ => continue,
            };
            let is = match is {
                Value::Bool(true) => "ON".to_owned(),
                Value::Bool(false) => "OFF".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            self.home.says(&format!("{SPEAKER}/{topic}"), &is).await;
        }
    }

    /// Those who ask what comes find it in the list.
    async fn lists_show(&self, order: &Order) {
        let (_, uri) = &order.shown[0];
        let uri = uri.as_str().expect("a URI");
        let told = ask(&self.world, "GET", "/api/v1/speakers/main/queue", None).await;
        assert_eq!(told.json["next"][0]["uri"], uri, "{}", told.json);
        assert!(told.json["current"].is_object() && told.json["previous"].is_array());
        let said = siskin(&self.world, &["queue"]).await;
        assert!(said.out.contains(uri), "{}", said.out);
        let lines = self.remote.lines().await;
        let lines = lines.iter().map(|line| line.as_str().try_into());
        let lines: Vec<ObjectPath> = lines.map(|line| line.expect("a path")).collect();
        let known = self.remote.call(TRACKS, "GetTracksMetadata", &lines).await;
        let known = known.expect("an answer").body();
        let known: Vec<std::collections::BTreeMap<String, OwnedVariant>> =
            known.deserialize().expect("facts");
        let (_, id) = uri.rsplit_once(':').expect("an id");
        let mut urls = known.iter().filter_map(|facts| facts.get("xesam:url"));
        assert!(urls.any(|url| text(url).ends_with(id)), "{known:?}");
    }

    /// Waits until the media player on D-Bus shows it, where that has a property for it.
    async fn player_shows(&self, order: &Order) {
        for (place, is) in &order.shown {
            let word = is.as_str().unwrap_or_default();
            let (interface, name, wanted) = match *place {
                "/playback/state" if word == "paused" => {
                    (PLAYER, "PlaybackStatus", "Paused".into())
                }
                "/playback/state" => (PLAYER, "PlaybackStatus", "Playing".into()),
                "/playback/shuffle" => (PLAYER, "Shuffle", format!("Bool({is})")),
                "/playback/repeat" => {
                    let words = [("off", "None"), ("context", "Playlist"), ("track", "Track")];
                    let found = words.iter().find(|(ours, _)| *ours == word);
                    let (_, theirs) = found.expect("a mode");
                    (PLAYER, "LoopStatus", (*theirs).to_owned())
                }
                "/volume_percent" => {
                    let level = is.as_f64().expect("a number") / 100.0;
                    (PLAYER, "Volume", format!("F64({level:?})"))
                }
                "/name" => (ROOT, "Identity", word.to_owned()),
                "/playback/index" | "/playback/track/uri" => {
                    self.player_shows_the_track().await;
                    continue;
                }
                _ => continue,
            };
            let end = Instant::now() + PATIENCE;
            loop {
                let value: OwnedVariant = self.remote.get(interface, name).await;
                let told = text(&value);
                if told == wanted {
                    break;
                }
                assert!(Instant::now() < end, "{name} is {told}, never {wanted}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    async fn player_shows_the_track(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let url = self.remote.metadata("xesam:url").await;
            let uri = self.home.last(&format!("{SPEAKER}/uri"));
            let id = |address: &str| address.rsplit([':', '/']).next().map(str::to_owned);
            if !uri.is_empty() && id(&url) == id(&uri) {
                return;
            }
            assert!(Instant::now() < end, "{url} is shown, never {uri}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the page shows it, where somebody looks at one.
    async fn page_shows(&self, order: &Order) {
        let Some(page) = &self.page else {
            return;
        };
        for (place, is) in &order.shown {
            let word = is.as_str().unwrap_or_default();
            let says = |css: &str, words: &str| {
                format!("document.querySelector({css:?})?.textContent.includes({words:?})")
            };
            let button = |css: &str, name: &str| {
                format!("document.querySelector({css:?}).ariaLabel == {name:?}")
            };
            let looked = match *place {
                "/playback/state" if word == "paused" => button("#toggle", "Play"),
                "/playback/state" => button("#toggle", "Pause"),
                "/playback/shuffle" => {
                    format!("document.querySelector('#shuffle').ariaPressed == '{is}'")
                }
                "/playback/repeat" => {
                    let words = [("off", "off"), ("context", "all"), ("track", "this track")];
                    let found = words.iter().find(|(ours, _)| *ours == word);
                    let (_, theirs) = found.expect("a mode");
                    button("#repeat", &format!("Repeat: {theirs}"))
                }
                "/volume_percent" => format!("document.querySelector('#volume').value == {is}"),
                "/playback/active" if *is == false => {
                    "!document.querySelector('#state').textContent.startsWith('Playing')".into()
                }
                "/name" => says("#name", word),
                "/account/user" => {
                    format!(
                        "document.querySelector('[data-does=\"rename {word}\"]') && \
                        !document.querySelector('[data-does=\"use {word}\"]')"
                    )
                }
                "/account/name" => says("#accounts", word),
                "/pairing/step" if word == "waiting" => "document.querySelector('#code')".into(),
                "/outputs/0/chosen" => {
                    format!("(document.querySelector('#output').value == 'default') == {is}")
                }
                _ => continue,
            };
            let what = format!("{} shown as {place}: {is}", order.name);
            page.until(&what, &looked).await;
        }
    }
}

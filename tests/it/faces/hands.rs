//! How each face gives an order.

use std::process::Stdio;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::timeout,
};
use zbus::ObjectPath;

use super::{
    Face,
    stage::Stage,
    table::{Act, Call, Order, Typed},
};
use crate::{
    ask::{ask, siskin},
    dbus::TRACKS,
    world::{PATIENCE, binary},
};

impl Stage {
    /// Gives an order and waits until it is answered with "done", where the face answers.
    pub async fn give(&mut self, face: Face, order: &Order) {
        match face {
            Face::Socket => {
                let route = format!("/api/v1/{}", order.route);
                let body = Some(order.body.clone());
                let answer = ask(&self.world, order.method, &route, body).await;
                assert_eq!(answer.status, 200, "{face:?} {route}: {answer:?}");
            }
            Face::Tcp => self.over_tcp(order).await,
            Face::CommandLine => self.by_words(order).await,
            Face::Mqtt => {
                let (command, payload) = order.topic.as_ref().expect("a command");
                let topic = format!("siskin/attic/main/set/{command}");
                self.home.say(&topic, payload).await;
            }
            Face::Mpris => self.on_the_bus(order).await,
            Face::Page => self.on_the_page(order).await,
        }
    }

    async fn over_tcp(&self, order: &Order) {
        let (method, route, body) = (order.method, &order.route, order.body.to_string());
        let request = format!(
            "{method} /api/v1/{route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
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
        assert!(answer.starts_with("HTTP/1.1 200"), "{route}: {answer}");
    }

    async fn by_words(&mut self, order: &Order) {
        match order.typed.as_ref().expect("words") {
            Typed::Words(words) => {
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                let said = siskin(&self.world, &words).await;
                assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
            }
            Typed::Begin(word) => {
                let config = self.world.dir().join("config.toml");
                let begun = Command::new(binary())
                    .args([word, "--config"])
                    .arg(config)
                    .env_clear()
                    .stdout(Stdio::null())
                    .kill_on_drop(true)
                    .spawn();
                self.begun = Some(begun.expect("siskin runs"));
            }
            Typed::Interrupt => {
                let mut begun = self.begun.take().expect("begun before");
                let pid = begun.id().expect("it runs");
                kill(Pid::from_raw(pid as i32), Signal::SIGINT).expect("it runs");
                let ended = timeout(PATIENCE, begun.wait()).await.expect("it ends");
                assert_eq!(ended.expect("a status").code(), Some(130));
            }
        }
    }

    async fn on_the_bus(&self, order: &Order) {
        let remote = &self.remote;
        match order.call.clone().expect("a call") {
            Call::Method(name) => remote.obeyed(name, &()).await,
            Call::SeekTo(us) => {
                let here = remote.metadata("mpris:trackid").await;
                let here = ObjectPath::try_from(here).expect("a path");
                remote.obeyed("SetPosition", &(&here, us)).await;
            }
            Call::SeekBy(us) => remote.obeyed("Seek", &us).await,
            Call::Open(uri) => remote.obeyed("OpenUri", &uri).await,
            Call::Add(uri) => {
                let nowhere = "/org/mpris/MediaPlayer2/TrackList/NoTrack";
                let nowhere = ObjectPath::try_from(nowhere).expect("a path");
                let what = (&uri, &nowhere, false);
                let added = remote.call(TRACKS, "AddTrack", &what).await;
                added.expect("obeyed");
            }
            Call::Volume(level) => remote.set("Volume", level).await.expect("obeyed"),
            Call::Shuffle(on) => remote.set("Shuffle", on).await.expect("obeyed"),
            Call::Loop(word) => remote.set("LoopStatus", word).await.expect("obeyed"),
        }
    }

    /// What a finger finds, and that it can be pressed, `web` has looked at: here it is done at once.
    async fn on_the_page(&self, order: &Order) {
        let page = self.page.as_ref().expect("a page");
        let find = |css: &str| format!("document.querySelector({css:?})");
        let can = async |css: &str| {
            let it = find(css);
            let ready = format!("{it} && !{it}.disabled && {it}.ariaBusy != 'true'");
            page.until(&format!("{css} can be pressed"), &ready).await;
            it
        };
        match order.act.as_ref().expect("an act") {
            Act::Press(css) => {
                let it = can(css).await;
                page.value(&format!("{it}.click()")).await;
            }
            Act::Set(css, value) => {
                let it = can(css).await;
                let has = format!(
                    "{it}.tagName != 'SELECT' || [...{it}.options].some((one) => one.value == {value:?})"
                );
                page.until(&format!("{css} has {value}"), &has).await;
                let change =
                    format!("({it}.value = {value:?}, {it}.dispatchEvent(new Event('change')))");
                page.value(&change).await;
            }
            Act::Link(link, css) => {
                let it = can(css).await;
                let typed = format!("({}.value = {link:?}, {it}.click())", find("#link"));
                page.value(&typed).await;
            }
            Act::Asked(css, text) => {
                let it = can(css).await;
                page.value(&format!("{it}.click()")).await;
                let asks = find("#dialog[open]");
                page.until("it asks", &asks).await;
                if let Some(text) = text {
                    let field = find("#dialog input");
                    page.value(&format!("{field}.value = {text:?}")).await;
                }
                let yes = find("#dialog [value=yes]");
                page.value(&format!("{yes}.click()")).await;
            }
        }
    }
}

//! What programs and people of the house send: HTTP, MQTT, links, and a certificate of theirs.

use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};

use super::chosen;
use crate::{
    bus::{self, Reason, Unable},
    control::http,
    model::Link,
};

pub(super) fn control(bytes: &[u8]) {
    match chosen(bytes, 4) {
        Some((0, request)) => HOUSE.with(|house| house.ask(request)),
        Some((1, message)) => published(message),
        Some((2, text)) => link(&String::from_utf8_lossy(text)),
        Some((_, certificate)) => certified(certificate),
        None => {}
    }
}

/// A link leads to a URI that is a link to the same, and that nothing can hide in.
fn link(text: &str) {
    let Ok(link) = Link::parse(text) else {
        return;
    };
    let uri = link.uri();
    assert!(
        uri.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
    );
    assert_eq!(Link::parse(uri).as_ref(), Ok(&link));
}

#[cfg(not(feature = "http"))]
fn certified(_: &[u8]) {}

#[cfg(feature = "http")]
fn certified(certificate: &[u8]) {
    http::validity::Validity::of(certificate);
}

#[cfg(not(feature = "mqtt"))]
fn published(_: &[u8]) {}

/// A topic and what was published there, parted by a line.
#[cfg(feature = "mqtt")]
fn published(message: &[u8]) {
    use crate::{
        config,
        control::mqtt::{commands, topics},
    };
    let end = message.iter().position(|&byte| byte == b'\n');
    let (topic, payload) = message.split_at(end.unwrap_or(message.len()));
    let tree = topics::Tree::new(&config::Mqtt {
        node: "kitchen".into(),
        ..config::Mqtt::default()
    });
    let topic = format!("siskin/kitchen/{}", String::from_utf8_lossy(topic));
    if let topics::Meant::Command { speaker, command } = tree.meant(&topic) {
        let payload = payload.get(1..).unwrap_or_default();
        within_limits(&commands::order(speaker, command, payload));
    }
}

/// What is asked for can be, or was refused with a cure.
#[cfg(feature = "mqtt")]
pub(crate) fn within_limits(order: &Result<bus::Order, Unable>) {
    use crate::model::{SleepTimer, Transport};
    match order {
        Ok(bus::Order::Transport { wish, .. }) => match wish {
            Transport::VolumeBy { points } => assert!((-100..=100).contains(points)),
            Transport::Sleep {
                timer: SleepTimer::In { ms },
                ..
            } => assert!((1_000..=86_400_000).contains(ms)),
            Transport::Enqueue { link } => assert!(link.is_single()),
            Transport::Send { device } => assert!(!device.is_empty() && device.len() <= 255),
            _ => {}
        },
        Ok(_) => {}
        Err(unable) => {
            assert_eq!(unable.code, Reason::Invalid);
            assert!(!unable.message.is_empty() && !unable.help.is_empty());
        }
    }
}

thread_local! {
    static HOUSE: House = House::new();
}

/// The routes, and a daemon behind them that has something against everything.
struct House {
    runtime: Runtime,
    routes: TowerToHyperService<axum::Router>,
}

impl House {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let (bus, mut desk) = bus::open();
        runtime.spawn(async move {
            loop {
                let asked = desk.next().await;
                let no = Unable::new(Reason::Conflict, "not now", "ask later");
                let _ = asked.answer.send(Err(no));
            }
        });
        let routes = TowerToHyperService::new(http::routes(bus));
        Self { runtime, routes }
    }

    /// Method and path in a line, the body behind it. The answer never blames the daemon, and a no
    /// says why.
    fn ask(&self, request: &[u8]) {
        let end = request.iter().position(|&byte| byte == b'\n');
        let (line, body) = request.split_at(end.unwrap_or(request.len()));
        let line = String::from_utf8_lossy(line);
        let (method, path) = line.split_once(' ').unwrap_or(("POST", &line));
        let body = body.get(1..).unwrap_or_default().to_vec();
        let asked = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let Ok(asked) = asked else {
            return;
        };
        // One answer goes on for ever.
        if asked.uri().path().contains("events") {
            return;
        }
        self.runtime.block_on(async {
            let Ok(answer) = self.routes.call(asked).await;
            let status = answer.status();
            let body = answer.into_body().collect().await.expect("in memory");
            // Nothing is fit while nobody is announced.
            let fit = status.as_u16() == 503 && path.contains("readyz");
            assert!(!status.is_server_error() || fit, "{status}: {line}");
            if status.is_client_error() && method != "HEAD" {
                let said: serde_json::Value =
                    serde_json::from_slice(&body.to_bytes()).expect("JSON");
                assert!(said["error"]["help"].is_string(), "{said}");
            }
        });
    }
}

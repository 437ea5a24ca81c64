//! A real MQTT broker of a test's own, and a listener who hears everything on it.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, World};

/// The network belongs to the test, and so does every port of it.
pub const PORT: u16 = 1883;
pub const TLS_PORT: u16 = 8883;

/// mosquitto, which keeps nothing when it ends.
pub struct Broker {
    config: PathBuf,
    child: Option<Child>,
}

impl Broker {
    /// Starts it, open to everybody.
    pub async fn start(world: &World) -> Self {
        Self::start_with(world, "allow_anonymous true\n").await
    }

    /// Starts it with these lines in its configuration.
    pub async fn start_with(world: &World, more: &str) -> Self {
        let config = world.dir().join("mosquitto.conf");
        let text = format!("listener {PORT} 127.0.0.1\nuser root\npersistence false\n{more}");
        fs::write(&config, text).expect("written");
        let mut broker = Self {
            config,
            child: None,
        };
        broker.begin().await;
        broker
    }

    /// Starts it again.
    pub async fn begin(&mut self) {
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed (scripts/setup.sh test)");
        self.child = Some(child);
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            assert!(Instant::now() < until, "the broker does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it, as by a loss of power.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// One message.
#[derive(Debug, Clone)]
pub struct Told {
    pub topic: String,
    pub payload: String,
    /// It stood there before we came.
    pub retained: bool,
}

/// Somebody who hears everything and says what he likes.
pub struct Home {
    client: AsyncClient,
    heard: Arc<Mutex<Vec<Told>>>,
    task: JoinHandle<()>,
}

impl Home {
    pub async fn enter() -> Self {
        Self::enter_as(None).await
    }

    pub async fn enter_as(login: Option<(&str, &str)>) -> Self {
        let name = format!("home-{:x}", rand::random::<u64>());
        let mut options = MqttOptions::new(name, "127.0.0.1", PORT);
        options.set_max_packet_size(1 << 20, 1 << 20);
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, mut wire) = AsyncClient::new(options, 16);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        let task = tokio::spawn(async move {
            while let Ok(event) = wire.poll().await {
                if let Event::Incoming(Packet::Publish(message)) = event {
                    into.lock().expect("no panic").push(Told {
                        topic: message.topic,
                        payload: String::from_utf8_lossy(&message.payload).into_owned(),
                        retained: message.retain,
                    });
                }
            }
        });
        client
            .subscribe("#", QoS::AtLeastOnce)
            .await
            .expect("listens");
        let home = Self {
            client,
            heard,
            task,
        };
        // What is retained comes before what is said after that.
        home.say("home/here", "yes").await;
        home.hears("the broker", |told| told.topic == "home/here")
            .await;
        home
    }

    pub async fn say(&self, topic: &str, payload: &str) {
        self.publish(topic, payload.as_bytes(), false).await;
    }

    pub async fn publish(&self, topic: &str, payload: &[u8], retained: bool) {
        let published = self
            .client
            .publish(topic, QoS::AtLeastOnce, retained, payload)
            .await;
        published.expect("the broker is there");
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Told> {
        self.heard.lock().expect("no panic").clone()
    }

    /// How much so far.
    pub fn count(&self, topic: &str) -> usize {
        let heard = self.heard.lock().expect("no panic");
        heard.iter().filter(|told| told.topic == topic).count()
    }

    /// What was said last at `topic`; empty where nothing was.
    pub fn last(&self, topic: &str) -> String {
        let heard = self.heard.lock().expect("no panic");
        let last = heard.iter().rev().find(|told| told.topic == topic);
        last.map(|told| told.payload.clone()).unwrap_or_default()
    }

    pub fn json(&self, topic: &str) -> Value {
        serde_json::from_str(&self.last(topic)).unwrap_or(Value::Null)
    }

    /// Waits until `topic` says what is wanted.
    pub async fn reads(&self, topic: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let last = self.last(topic);
            if wanted(&last) {
                return last;
            }
            if Instant::now() >= until {
                panic!("{topic} says {last:?}; heard was {:#?}", self.brief());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until `topic` says exactly this; nothing: it has been taken away, or never was.
    pub async fn says(&self, topic: &str, wanted: &str) {
        self.reads(topic, |last| last == wanted).await;
    }

    /// Waits for a message.
    pub async fn hears(&self, what: &str, wanted: impl Fn(&Told) -> bool) -> Told {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(told) = self.heard().into_iter().find(&wanted) {
                return told;
            }
            if Instant::now() >= until {
                panic!("{what} was not heard in {:#?}", self.brief());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn brief(&self) -> Vec<String> {
        let short = |told: Told| {
            let payload: String = told.payload.chars().take(60).collect();
            format!("{} {payload}", told.topic)
        };
        self.heard().into_iter().map(short).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything that is retained on the broker now.
pub async fn retained() -> BTreeMap<String, String> {
    let home = Home::enter().await;
    let standing = home.heard().into_iter().filter(|told| told.retained);
    standing.map(|told| (told.topic, told.payload)).collect()
}

/// Waits until what is retained is as wanted.
pub async fn retains(
    what: &str,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let standing = retained().await;
        if wanted(&standing) {
            return standing;
        }
        assert!(Instant::now() < until, "not {what}: {standing:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Settings that lead to the broker, as `attic`; more lines of `[mqtt]` may follow.
pub fn on_broker(more: &str) -> String {
    let broker = match more.contains("broker = ") {
        true => String::new(),
        false => format!("broker = \"mqtt://127.0.0.1:{PORT}\"\n"),
    };
    format!("[mqtt]\nnode = \"attic\"\n{broker}{more}\n")
}

//! MQTT: the state of every speaker on the house's broker, orders from there, and a description by
//! which Home Assistant finds the speakers.
//!
//! What is told and where, and which commands there are, stands in [`topics`], [`commands`] and
//! [`discovery`], which are pure; [`client`] is one connection, `session` what is done while it
//! stands. This file owns the task that connects, for ever, and says when it cannot.
//! Start at [`Mqtt::start`].

pub mod client;
pub mod commands;
pub mod discovery;
mod session;
pub mod topics;

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use self::{
    client::{Heard, Trouble},
    session::{Over, Session},
    topics::Tree,
};
use super::Notice;
use crate::{
    bus::Bus,
    config::{self, Broker},
    model::{Condition, ConditionCode},
};

/// The longest pause between two attempts.
const SLOWEST: Duration = Duration::from_secs(30);
/// A connection that held for so long was one: the next attempt is the first again.
const HELD: Duration = Duration::from_secs(10);
/// For the end of the task, after its last words.
const CLOSING: Duration = Duration::from_millis(200);

/// What becomes of that which stands on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It stays, marked as not available.
    Leave,
    /// It is taken away: we shall not come back there.
    Forget,
}

impl End {
    /// For the last words. A daemon that stops has other things to do, and there is the will.
    fn patience(self) -> Duration {
        match self {
            Self::Leave => Duration::from_millis(400),
            Self::Forget => Duration::from_secs(2),
        }
    }
}

/// The surface while it runs. Dropped without [`Mqtt::stop`], it leaves.
pub struct Mqtt {
    stop: oneshot::Sender<End>,
    task: JoinHandle<()>,
}

impl Mqtt {
    /// Connects to `broker`, again and again. That this does not succeed is a notice.
    pub fn start(
        settings: config::Mqtt,
        broker: Broker,
        bus: Bus,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let face = Face {
            tree: Tree::new(&settings),
            settings,
            broker,
            bus,
            notices,
        };
        let task = tokio::spawn(face.run(stopped));
        Self { stop, task }
    }

    pub async fn stop(mut self, end: End) {
        let _ = self.stop.send(end);
        let limit = end.patience() + CLOSING;
        if timeout(limit, &mut self.task).await.is_err() {
            warn!("the connection to the MQTT broker did not end in order");
            self.task.abort();
        }
    }
}

struct Face {
    settings: config::Mqtt,
    broker: Broker,
    tree: Tree,
    bus: Bus,
    notices: mpsc::Sender<Notice>,
}

impl Face {
    async fn run(self, mut stop: oneshot::Receiver<End>) {
        let mut attempt = 0;
        loop {
            let begun = Instant::now();
            let trouble = match self.connect(&mut stop).await {
                Over::Told => return,
                Over::Lost(trouble) => trouble,
            };
            if begun.elapsed() >= HELD {
                attempt = 0;
            }
            self.tell(Notice::Raised(self.condition(&trouble)));
            let pause = back_off(attempt, rand::random());
            attempt = attempt.saturating_add(1);
            if timeout(pause, &mut stop).await.is_ok() {
                return;
            }
        }
    }

    /// One connection, from its first packet to its end.
    async fn connect(&self, stop: &mut oneshot::Receiver<End>) -> Over {
        let opened = client::open(&self.settings, &self.broker, &self.tree).await;
        let (mouth, mut ears) = match opened {
            Ok(line) => line,
            Err(trouble) => return Over::Lost(trouble),
        };
        loop {
            tokio::select! {
                _ = &mut *stop => return Over::Told,
                heard = ears.next() => match heard {
                    Heard::Up => break,
                    Heard::Down(trouble) => return Over::Lost(trouble),
                    _ => {}
                },
            }
        }
        let Broker { host, port, .. } = &self.broker;
        info!("connected to the MQTT broker at {host}:{port}");
        self.tell(Notice::Cleared(ConditionCode::MqttUnreachable));
        self.tell(Notice::Cleared(ConditionCode::MqttRefused));
        let session = Session::new(&self.tree, self.bus.clone(), mouth, ears);
        let deaf = || self.tell(Notice::Raised(deaf(&self.settings)));
        session.run(stop, deaf).await
    }

    fn tell(&self, notice: Notice) {
        // Never waited for: the daemon may be waiting for us to end. It is told again next time.
        let _ = self.notices.try_send(notice);
    }

    fn condition(&self, trouble: &Trouble) -> Condition {
        let Broker { tls, host, port } = &self.broker;
        let what = format!("siskin is not connected to the MQTT broker at {host}:{port}");
        match trouble {
            Trouble::Away(why) => Condition::new(
                ConditionCode::MqttUnreachable,
                what,
                why,
                match tls {
                    true => {
                        "check that it runs, mqtt.broker and mqtt.ca_file; siskin keeps trying. \
                         Two siskins on one broker need a mqtt.node each"
                    }
                    false => {
                        "check that it runs, and mqtt.broker; siskin keeps trying. Two siskins on \
                         one broker need a mqtt.node each"
                    }
                },
            ),
            Trouble::Refused(why) => Condition::new(
                ConditionCode::MqttRefused,
                what,
                why,
                "set mqtt.user and mqtt.password_file as the broker knows them; siskin keeps trying",
            ),
            Trouble::Unreadable(why) => Condition::new(
                ConditionCode::MqttRefused,
                what,
                why,
                "see to it that siskin's user may read it (the service by LoadCredential=, as \
                 config.example.toml shows); siskin keeps trying",
            ),
        }
    }
}

fn deaf(settings: &config::Mqtt) -> Condition {
    let config::Mqtt { prefix, node, .. } = settings;
    Condition::new(
        ConditionCode::MqttRefused,
        "the MQTT broker does not let siskin listen, so it takes no orders there",
        format!("a subscription below {prefix}/{node}/ was refused"),
        "let this user read and write there in the access list of the broker, then restart it",
    )
}

/// How long to wait after so many attempts in a row that failed: half a second, doubling up to half
/// a minute. `dice` (0.0 to 1.0) spreads the devices of a house whose broker comes back.
fn back_off(attempt: u32, dice: f64) -> Duration {
    let full = Duration::from_millis(500 << attempt.min(6)).min(SLOWEST);
    full.mul_f64(0.5 + 0.5 * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pause_is_short_and_none_is_longer_than_half_a_minute() {
        assert_eq!(back_off(0, 0.0), Duration::from_millis(250));
        assert_eq!(back_off(3, 1.0), Duration::from_secs(4));
        assert_eq!(back_off(u32::MAX, 1.0), SLOWEST);
        assert!(back_off(40, 0.0) < SLOWEST);
    }
}

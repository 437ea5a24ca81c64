//! The surfaces of the house while they run: started, moved, stopped.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use super::places;
#[cfg(feature = "http")]
use super::tcp;
#[cfg(feature = "mpris")]
use crate::control::mpris::Mpris;
#[cfg(feature = "mqtt")]
use crate::control::mqtt::{End, Mqtt};
#[cfg(not(all(feature = "http", feature = "mpris")))]
use crate::model::Condition;
use crate::{
    bus::Bus,
    config::{self, Config},
    control::{Notice, hooks::Hooks, http::Http, metadata::Metadata},
    model::ConditionCode,
};

pub struct Surfaces {
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    /// Where it was asked for, and what serves it.
    socket: Option<(PathBuf, Http)>,
    /// As configured; `None` there while it cannot be served.
    #[cfg(feature = "http")]
    tcp: Option<(config::Http, Option<Http>)>,
    /// On D-Bus, as configured.
    #[cfg(feature = "mpris")]
    mpris: Option<(config::Mpris, Mpris)>,
    /// As configured; `None` there while it is off.
    #[cfg(feature = "mqtt")]
    mqtt: Option<(config::Mqtt, Option<Mqtt>)>,
    /// `None` while there never was one.
    hooks: Option<(Vec<config::Hook>, Hooks)>,
    metadata: Option<(Vec<config::Metadata>, Metadata)>,
}

impl Surfaces {
    pub async fn open(config: &Config, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        let mut surfaces = Self {
            bus,
            notices,
            socket: None,
            #[cfg(feature = "http")]
            tcp: None,
            #[cfg(feature = "mpris")]
            mpris: None,
            #[cfg(feature = "mqtt")]
            mqtt: None,
            hooks: None,
            metadata: None,
        };
        surfaces.change(config).await;
        surfaces
    }

    /// Takes a new configuration over: a surface that is to stand where it stands goes on. Returns
    /// what those said of themselves that have moved or gone.
    pub async fn change(&mut self, config: &Config) -> Vec<ConditionCode> {
        let mut moved = Vec::new();
        let wanted = places::socket(config);
        if self.socket.as_ref().map(|(path, _)| path) != wanted.as_ref() {
            moved.push(ConditionCode::NoSocket);
            if let Some((_, http)) = self.socket.take() {
                http.stop().await;
            }
            if let Some(path) = wanted {
                let http = Http::start(path.clone(), self.bus.clone(), self.notices.clone());
                self.socket = Some((path, http.await));
            }
        } else if let Some((_, http)) = &self.socket {
            http.look_again();
        }
        self.change_http(config, &mut moved).await;
        self.change_mpris(config.mpris, &mut moved).await;
        self.change_mqtt(config, &mut moved).await;
        self.change_hooks(config).await;
        let known = self.metadata.as_ref().map(|(known, _)| known.as_slice());
        if known.unwrap_or_default() != config.metadata {
            moved.push(ConditionCode::NoMetadata);
            self.metadata = (!config.metadata.is_empty()).then(|| {
                let metadata = Metadata::start(&config.metadata, &self.bus, &self.notices);
                (config.metadata.clone(), metadata)
            });
        }
        moved
    }

    #[cfg(feature = "http")]
    async fn change_http(&mut self, config: &Config, moved: &mut Vec<ConditionCode>) {
        match &self.tcp {
            Some((known, Some(http))) if *known == config.http => return http.look_again(),
            Some((known, None)) if *known == config.http && known.listen.is_none() => return,
            // Also where there was no token: there may be one now.
            _ => moved.extend([ConditionCode::NoHttp, ConditionCode::CertificateExpires]),
        }
        if let Some((_, Some(http))) = self.tcp.take() {
            http.stop().await;
        }
        let http = tcp::listen(config, &self.bus, &self.notices).await;
        self.tcp = Some((config.http.clone(), http));
    }

    #[cfg(not(feature = "http"))]
    async fn change_http(&mut self, config: &Config, moved: &mut Vec<ConditionCode>) {
        moved.push(ConditionCode::NoHttp);
        // What nobody wrote down, nobody misses.
        if config.http.listen.is_some() && config.http != config::Http::default() {
            let _ = self.notices.try_send(Notice::Raised(no_http()));
        }
    }

    #[cfg(feature = "mpris")]
    async fn change_mpris(&mut self, wanted: config::Mpris, moved: &mut Vec<ConditionCode>) {
        let now = self
            .mpris
            .as_ref()
            .map_or(config::Mpris::Off, |(at, _)| *at);
        if now == wanted {
            return;
        }
        moved.push(ConditionCode::NoMpris);
        if let Some((_, mpris)) = self.mpris.take() {
            mpris.stop().await;
        }
        if wanted != config::Mpris::Off {
            let (bus, notices) = (self.bus.clone(), self.notices.clone());
            self.mpris = Some((wanted, Mpris::start(wanted, bus, notices)));
        }
    }

    #[cfg(not(feature = "mpris"))]
    async fn change_mpris(&mut self, wanted: config::Mpris, moved: &mut Vec<ConditionCode>) {
        moved.push(ConditionCode::NoMpris);
        if wanted != config::Mpris::Off {
            let _ = self.notices.try_send(Notice::Raised(no_mpris()));
        }
    }

    #[cfg(feature = "mqtt")]
    async fn change_mqtt(&mut self, config: &Config, moved: &mut Vec<ConditionCode>) {
        let wanted = &config.mqtt;
        if self.mqtt.as_ref().map(|(old, _)| old) == Some(wanted) {
            return;
        }
        moved.extend([ConditionCode::MqttUnreachable, ConditionCode::MqttRefused]);
        if let Some((old, Some(mqtt))) = self.mqtt.take() {
            let stays = old.broker == wanted.broker
                && (&old.node, &old.prefix) == (&wanted.node, &wanted.prefix)
                && old.discovery_prefix == wanted.discovery_prefix;
            mqtt.stop(if stays { End::Leave } else { End::Forget })
                .await;
        }
        let mqtt = wanted.broker.clone().map(|broker| {
            let (bus, notices) = (self.bus.clone(), self.notices.clone());
            Mqtt::start(wanted.clone(), broker, bus, notices)
        });
        self.mqtt = Some((wanted.clone(), mqtt));
    }

    #[cfg(not(feature = "mqtt"))]
    async fn change_mqtt(&mut self, config: &Config, _: &mut Vec<ConditionCode>) {
        if config.mqtt.broker.is_some() {
            tracing::warn!("mqtt.broker is set, but this siskin was built without MQTT");
        }
    }

    async fn change_hooks(&mut self, config: &Config) {
        match &mut self.hooks {
            Some((known, _)) if *known == config.hooks => {}
            Some((known, hooks)) => {
                known.clone_from(&config.hooks);
                hooks.change(config.hooks.clone()).await;
            }
            None if config.hooks.is_empty() => {}
            None => {
                let mark = places::state_dir(config).join("in-use.json");
                let (bus, notices) = (self.bus.clone(), self.notices.clone());
                let hooks = Hooks::start(config.hooks.clone(), Some(mark), bus, notices);
                self.hooks = Some((config.hooks.clone(), hooks));
            }
        }
    }

    /// The last of the surfaces: hooks have something to do when the music is over.
    pub async fn say_goodbye(self, silent: oneshot::Receiver<()>) {
        if let Some((_, hooks)) = self.hooks {
            hooks.stop(silent).await;
        }
    }

    /// Takes no more orders. Hooks go on.
    pub async fn close(&mut self) {
        #[cfg(feature = "mpris")]
        if let Some((_, mpris)) = self.mpris.take() {
            mpris.stop().await;
        }
        #[cfg(feature = "mqtt")]
        if let Some((_, Some(mqtt))) = self.mqtt.take() {
            mqtt.stop(End::Leave).await;
        }
        if let Some((_, http)) = self.socket.take() {
            http.stop().await;
        }
        #[cfg(feature = "http")]
        if let Some((_, Some(http))) = self.tcp.take() {
            http.stop().await;
        }
    }
}

#[cfg(not(feature = "http"))]
fn no_http() -> Condition {
    Condition::new(
        ConditionCode::NoHttp,
        "siskin cannot be asked over HTTP",
        "this siskin was built without it",
        "build it with the feature http, or set http.listen to \"none\"",
    )
}

#[cfg(not(feature = "mpris"))]
fn no_mpris() -> Condition {
    Condition::new(
        ConditionCode::NoMpris,
        "siskin is not on D-Bus, so MPRIS does not work",
        "this siskin was built without it",
        "build it with the feature mpris, or set mpris.bus to \"off\"",
    )
}

//! stub
use crate::{config, model::*};
use std::net::IpAddr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
pub enum Request {
    AddUser {
        login: Login,
        device_name: Option<String>,
        answer: oneshot::Sender<Verdict>,
    },
    ResetUsers {
        answer: oneshot::Sender<Verdict>,
    },
}
pub enum Verdict {
    Ok,
    LoginFailed,
}
pub struct Identity {
    pub device: DeviceId,
    pub name: String,
    pub device_type: DeviceType,
    pub port: u16,
}
pub enum Notice {
    Announced {
        name: String,
        port: u16,
        addresses: Vec<IpAddr>,
    },
    Skipped {
        interface: String,
        reason: String,
    },
    Raised(Condition),
    Cleared(ConditionCode),
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct DiscoveryError;
pub struct Discovery;
impl Discovery {
    pub async fn start(
        _n: &config::Network,
        _s: Vec<(
            Identity,
            mpsc::Sender<Request>,
            watch::Receiver<Option<String>>,
        )>,
        _t: mpsc::Sender<Notice>,
    ) -> Result<Self, DiscoveryError> {
        Ok(Self)
    }
    pub async fn run(self, stop: CancellationToken) {
        stop.cancelled().await
    }
}

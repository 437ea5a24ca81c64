//! The surfaces of the house while they run: started, moved, stopped.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::places;
use crate::{
    bus::Bus,
    config::Config,
    control::{Notice, http::Http},
};

pub struct Surfaces {
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    /// Where it was asked for, and what serves it.
    http: Option<(PathBuf, Http)>,
}

impl Surfaces {
    pub async fn open(config: &Config, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        let mut surfaces = Self {
            bus,
            notices,
            http: None,
        };
        surfaces.change(config).await;
        surfaces
    }

    /// Takes a new configuration over: a surface that is to stand where it stands goes on. True when
    /// it has moved or gone, and what it said of itself with it.
    pub async fn change(&mut self, config: &Config) -> bool {
        let wanted = places::socket(config);
        let stands = self.http.as_ref().map(|(path, _)| path);
        if stands == wanted.as_ref() {
            return false;
        }
        self.close().await;
        if let Some(path) = wanted {
            let http = Http::start(path.clone(), self.bus.clone(), self.notices.clone());
            self.http = Some((path, http.await));
        }
        true
    }

    pub async fn close(&mut self) {
        if let Some((_, http)) = self.http.take() {
            http.stop().await;
        }
    }
}

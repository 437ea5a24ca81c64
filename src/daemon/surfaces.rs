//! The surfaces of the house while they run: started, moved, stopped.

use std::{io, path::PathBuf};

use tokio::sync::mpsc;

use super::{places, token};
use crate::{
    bus::Bus,
    config::{self, Config},
    control::{
        Notice,
        http::{Http, guard::Guard},
    },
    model::{Condition, ConditionCode, Secret},
};

pub struct Surfaces {
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    /// Where it was asked for, and what serves it.
    socket: Option<(PathBuf, Http)>,
    /// As configured; `None` there while it cannot be served.
    tcp: Option<(config::Http, Option<Http>)>,
}

impl Surfaces {
    pub async fn open(config: &Config, bus: Bus, notices: mpsc::Sender<Notice>) -> Self {
        let mut surfaces = Self {
            bus,
            notices,
            socket: None,
            tcp: None,
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
        }
        if self.tcp.as_ref().map(|(http, _)| http) != Some(&config.http) {
            moved.push(ConditionCode::NoHttp);
            if let Some((_, Some(http))) = self.tcp.take() {
                http.stop().await;
            }
            let http = self.listen(config).await;
            self.tcp = Some((config.http.clone(), http));
        }
        moved
    }

    async fn listen(&self, config: &Config) -> Option<Http> {
        let at = config.http.listen?;
        let dir = places::state_dir(config);
        let made = tokio::task::spawn_blocking(move || token::read_or_make(&dir)).await;
        let token = match made.map_err(io::Error::other) {
            Ok(Ok(token)) => token,
            Ok(Err(error)) | Err(error) => {
                // Without a token nobody could be let in.
                let _ = self.notices.try_send(Notice::Raised(no_token(&error)));
                return None;
            }
        };
        let guard = guard(token, &config.http);
        let (bus, notices) = (self.bus.clone(), self.notices.clone());
        Some(Http::start_tcp(at, guard, config.http.page, bus, notices).await)
    }

    pub async fn close(&mut self) {
        if let Some((_, http)) = self.socket.take() {
            http.stop().await;
        }
        if let Some((_, Some(http))) = self.tcp.take() {
            http.stop().await;
        }
    }
}

/// The machine's own name counts, also as phones and desktops look it up.
fn guard(token: Secret, http: &config::Http) -> Guard {
    let uname = rustix::system::uname();
    let own = uname.nodename().to_string_lossy();
    let mut names = http.names.clone();
    if let Some(first) = own.split('.').next().filter(|first| !first.is_empty()) {
        names.extend([first.to_owned(), format!("{first}.local"), own.to_string()]);
    }
    Guard::new(token, &names, &http.origins)
}

fn no_token(error: &io::Error) -> Condition {
    Condition::new(
        ConditionCode::NoHttp,
        "siskin cannot be asked over HTTP: there is no token",
        error.to_string(),
        "remove the file http-token from the state directory, or make that writable; then reload",
    )
}

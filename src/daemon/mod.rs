//! The composition root: everything is started here, everything is stopped here, in order.
//!
//! [`run`] reads top-down: state, speakers, discovery, then one loop for signals, notices and news.
//! It ends when it is told to, and for nothing else.

mod board;
mod house;
pub mod pairing;
mod service;

use std::{env, net::IpAddr, path::PathBuf, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Interval, interval},
};
use tracing::info;

use crate::{
    accounts::{Store, StoreError},
    config::{Config, Problems},
    discovery::Notice,
    model::{Condition, ConditionCode, unix_ms},
    speaker::News,
};
use board::{Board, Doing, HOUSE, Place};
use house::House;
use service::Service;

/// Why the daemon did not start. Once it runs, nothing ends it but an order.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the signals of this process cannot be listened to: {0}")]
    Signals(#[from] std::io::Error),
}

impl StartError {
    /// What to do; shown after `help:`.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Store(error) => error.help(),
            Self::Signals(_) => "see the reason given; siskin cannot run like this",
        }
    }
}

/// Runs until SIGTERM or SIGINT. `reload` reads the configuration anew on SIGHUP; what it answers
/// when that fails is told as it is.
///
/// # Errors
/// When another daemon uses the same state, or the process lacks what it cannot do without.
pub async fn run(
    config: Config,
    reload: impl Fn() -> Result<Config, Problems>,
) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let mut service = Service::default();
    let mut board = Board::default();
    let store = keep(&config, &mut board)?;
    let (news, mut told) = mpsc::channel(64);
    let (notices, mut noticed) = mpsc::channel(64);
    let mut house = House::new(config, store, news, notices);
    house.open().await;
    introduce(&house, &mut board);
    service.ready();
    let mut watchdog = service.watchdog().map(interval);
    loop {
        service.status(&board.status());
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::Stop => break,
                Wish::Reload => take_over(&mut house, &mut board, &reload).await,
            },
            Some(notice) = noticed.recv() => notice_board(notice, &mut board),
            Some((place, news)) = told.recv() => news_board(&place, news, &house, &mut board),
            () = tick(&mut watchdog) => service.alive(),
        }
    }
    info!("stopping");
    service.stopping();
    // Nobody listens any more, so nobody may wait for being heard.
    drop((told, noticed));
    house.close().await;
    Ok(())
}

/// Opens the state. A disk that takes nothing is a condition; a second daemon is an error.
fn keep(config: &Config, board: &mut Board) -> Result<Option<Arc<Store>>, StoreError> {
    let dir = config.state_dir.clone().unwrap_or_else(state_dir);
    match Store::open(&dir) {
        Ok(store) => Ok(Some(Arc::new(store))),
        Err(error @ StoreError::InUse { .. }) => Err(error),
        Err(error) => {
            let what = "nothing can be kept: after a restart, everybody has to sign in again";
            let code = ConditionCode::StateDamaged;
            let condition = Condition::new(code, what, error.to_string(), error.help());
            board.raise(&HOUSE.into(), condition, unix_ms());
            Ok(None)
        }
    }
}

/// `$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/siskin`, else `~/.local/state/siskin`.
fn state_dir() -> PathBuf {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = env::var_os("STATE_DIRECTORY").filter(|dirs| !dirs.is_empty()) {
        // systemd may name several, separated by colons; ours is the first.
        return env::split_paths(&dir).next().unwrap_or_default();
    }
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("siskin")
}

fn introduce(house: &House, board: &mut Board) {
    for speaker in house.speakers() {
        let doing = board
            .speakers
            .entry(speaker.id.as_str().into())
            .or_default();
        doing.name.clone_from(&speaker.name);
    }
}

async fn take_over(
    house: &mut House,
    board: &mut Board,
    reload: &impl Fn() -> Result<Config, Problems>,
) {
    let place: Place = HOUSE.into();
    match reload() {
        Err(problems) => {
            let why = problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ");
            let what = "the changed configuration was not taken over; the old one stays in force";
            let cure = "correct the file, then reload again";
            let condition = Condition::new(ConditionCode::ConfigRejected, what, why, cure);
            board.raise(&place, condition, unix_ms());
        }
        Ok(config) => {
            for id in house.change(config).await {
                board.remove(&id);
            }
            introduce(house, board);
            board.clear(&place, ConditionCode::ConfigRejected);
            info!("the configuration is taken over");
        }
    }
}

fn notice_board(notice: Notice, board: &mut Board) {
    let place: Place = HOUSE.into();
    match notice {
        Notice::Announced {
            name,
            port,
            addresses,
        } => {
            info!("“{name}” is announced at {}", listed(&addresses, port));
        }
        Notice::Skipped { interface, reason } => info!("not on {interface}: {reason}"),
        Notice::Raised(condition) => board.raise(&place, condition, unix_ms()),
        Notice::Cleared(code) => board.clear(&place, code),
    }
}

fn news_board(place: &Place, news: News, house: &House, board: &mut Board) {
    match news {
        News::Raised(condition) => board.raise(place, condition, unix_ms()),
        News::Cleared(code) => board.clear(place, code),
        News::ActiveUser(user) => {
            let doing: &mut Doing = board.speakers.entry(place.clone()).or_default();
            doing.signed_in = user.is_some();
            house.set_active_user(place, user);
        }
        News::Playback(playback) => {
            board.speakers.entry(place.clone()).or_default().state = Some(playback.state);
        }
    }
}

fn listed(addresses: &[IpAddr], port: u16) -> String {
    let shown: Vec<_> = addresses
        .iter()
        .map(|&ip| std::net::SocketAddr::new(ip, port).to_string())
        .collect();
    shown.join(", ")
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.reload.recv() => Wish::Reload,
        }
    }
}

enum Wish {
    Stop,
    Reload,
}

async fn tick(watchdog: &mut Option<Interval>) {
    match watchdog {
        Some(watchdog) => drop(watchdog.tick().await),
        None => std::future::pending().await,
    }
}

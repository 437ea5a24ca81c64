//! One speaker: who plays on it, the engine behind it, and what to restore after a loss.
//!
//! [`phase`] decides; [`Speaker`] carries out: it owns the engines, the timers and the remembered
//! level. It knows nothing of discovery or of control surfaces: logins come as [`Knock`]s, and what
//! happens goes out as [`News`].

mod phase;
mod shown;
#[cfg(test)]
mod tests;
mod trouble;

use std::{collections::HashMap, io, process, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    accounts::Store,
    config,
    engine::{
        Engine, Heard,
        messages::{Command, PROTOCOL, Start},
    },
    model::{Condition, ConditionCode, DeviceId, Login, Phase, Playback, Volume, masked, unix_ms},
};
use phase::{Action, Input, Now, Seat, Seats, Ticket, Timer};

/// A level is kept on disk when nobody has changed it for this long.
const LEVEL_SETTLES: Duration = Duration::from_secs(2);

/// What comes from outside. Dropping `answer` says no.
#[derive(Debug)]
pub enum Knock {
    AddUser {
        login: Login,
        answer: oneshot::Sender<bool>,
    },
    ResetUsers {
        answer: oneshot::Sender<bool>,
    },
}

/// What others may want to know. State is the truth: a reader that misses some reads the next.
#[derive(Debug)]
pub enum News {
    Raised(Condition),
    Cleared(ConditionCode),
    ActiveUser(Option<String>),
    /// Where the speaker stands, and whom it belongs to.
    Seat(Phase, Option<String>),
    Playback(Box<Playback>),
}

/// Everything an engine of this speaker is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub device: DeviceId,
    pub speaker: config::Speaker,
    pub network: config::Network,
    pub log: config::LogLevel,
}

/// Settings that hold from now on, and whether the engine must be started anew for them.
#[derive(Debug)]
pub struct NewSettings {
    pub settings: Settings,
    pub renew: bool,
}

pub struct Speaker {
    settings: Settings,
    /// `None` when nothing can be kept on this machine.
    store: Option<Arc<Store>>,
    /// Names us in what we tell.
    place: Arc<str>,
    news: mpsc::Sender<(Arc<str>, News)>,
    seats: Seats,
    engines: HashMap<Seat, Engine>,
    answers: HashMap<Ticket, oneshot::Sender<bool>>,
    last_ticket: Ticket,
    timers: JoinSet<Timer>,
    /// Engines on their way out.
    leaving: JoinSet<()>,
    /// Handed to every engine.
    ear: mpsc::Sender<(Seat, Heard)>,
    heard: mpsc::Receiver<(Seat, Heard)>,
    level: Volume,
    /// When the level is to be written, if it has changed.
    keep_level_at: Option<Instant>,
    /// As told last.
    shown: (Phase, Option<String>),
}

impl Speaker {
    pub fn new(
        settings: Settings,
        store: Option<Arc<Store>>,
        place: Arc<str>,
        news: mpsc::Sender<(Arc<str>, News)>,
    ) -> Self {
        let start = settings.speaker.volume.start.volume();
        let (ear, heard) = mpsc::channel(64);
        Self {
            settings,
            store,
            place,
            news,
            seats: Seats::default(),
            engines: HashMap::new(),
            answers: HashMap::new(),
            last_ticket: 0,
            timers: JoinSet::new(),
            leaving: JoinSet::new(),
            ear,
            heard,
            level: start,
            keep_level_at: None,
            shown: Default::default(),
        }
    }

    /// Signs the last account in and serves until `stop`; then every engine has left and the level
    /// is kept.
    pub async fn run(
        mut self,
        mut knocks: mpsc::Receiver<Knock>,
        mut changes: mpsc::Receiver<NewSettings>,
        stop: CancellationToken,
    ) {
        let last = self.recall().await;
        self.step(Input::Start(last)).await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some((seat, heard)) = self.heard.recv() => self.heard(seat, heard).await,
                Some(knock) = knocks.recv() => self.knock(knock).await,
                Some(new) = changes.recv() => self.change(new).await,
                Some(Ok(timer)) = self.timers.join_next() => self.step(Input::Timer(timer)).await,
                Some(_) = self.leaving.join_next() => {}
                () = at(self.keep_level_at) => self.keep_level().await,
            }
        }
        self.close().await;
    }

    async fn close(mut self) {
        for (_, engine) in self.engines.drain() {
            self.leaving.spawn(engine.stop());
        }
        if self.keep_level_at.is_some() {
            self.keep_level().await;
        }
        // Each of them has its own limit.
        while self.leaving.join_next().await.is_some() {}
    }

    /// What an earlier start left: the last account, and how loud it was.
    async fn recall(&mut self) -> Option<Login> {
        let remember = self.settings.speaker.volume.remember;
        let (login, volume) = self
            .on_disk(move |store, speaker| {
                let (login, mut damage) = store.last_login(speaker);
                let (volume, more) = if remember {
                    store.volume(speaker)
                } else {
                    (None, vec![])
                };
                damage.extend(more);
                match damage.first() {
                    Some(damage) => Err(((login, volume), damage.0.clone())),
                    None => Ok((login, volume)),
                }
            })
            .await
            .unwrap_or_default();
        if let Some(volume) = volume {
            self.level = volume;
        }
        if self.settings.speaker.volume.curve == config::Curve::Fixed {
            self.level = Volume::FULL;
        }
        login
    }

    async fn heard(&mut self, seat: Seat, heard: Heard) {
        let input = match heard {
            Heard::Event(event) => Input::Engine { seat, event },
            Heard::Ended { how } => {
                self.engines.remove(&seat);
                Input::Ended { seat, how }
            }
        };
        self.step(input).await;
    }

    async fn knock(&mut self, knock: Knock) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let (input, answer) = match knock {
            Knock::AddUser { login, answer } => (Input::AddUser { ticket, login }, answer),
            Knock::ResetUsers { answer } => (Input::ResetUsers { ticket }, answer),
        };
        self.answers.insert(ticket, answer);
        self.step(input).await;
    }

    async fn change(&mut self, new: NewSettings) {
        self.settings = new.settings;
        if new.renew {
            self.step(Input::Renew).await;
        }
    }

    async fn step(&mut self, input: Input) {
        let now = Now {
            ms: unix_ms(),
            dice: rand::random(),
        };
        for action in self.seats.step(input, now) {
            self.carry_out(action).await;
        }
        // Last, so that nobody reads that something is lost before the reason.
        let shown = shown::seat(self.seats.resident());
        if shown != self.shown {
            self.shown = shown.clone();
            self.tell_all(News::Seat(shown.0, shown.1)).await;
        }
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { seat, login } => self.spawn(seat, login).await,
            Action::Tell { seat, command } => self.tell(seat, command),
            Action::Retire { seat } => {
                if let Some(engine) = self.engines.remove(&seat) {
                    self.leaving.spawn(engine.stop());
                }
            }
            // Dropping kills.
            Action::Kill { seat } => drop(self.engines.remove(&seat)),
            Action::Answer { ticket, ok } => {
                if let Some(answer) = self.answers.remove(&ticket) {
                    // A phone that hung up meanwhile needs no answer.
                    let _ = answer.send(ok);
                }
            }
            Action::Keep { login, country } => {
                info!("{} is signed in", masked(&login.user));
                self.write("the account", move |store, speaker| {
                    store.signed_in(speaker, &login, country)
                })
                .await;
            }
            Action::Forget { user } => {
                self.write(
                    "that the account is to be forgotten",
                    move |store, speaker| store.forget(speaker, &user),
                )
                .await;
            }
            Action::ActiveUser(user) => self.tell_all(News::ActiveUser(user)).await,
            Action::After { delay, timer } => {
                self.timers.spawn(async move {
                    sleep(delay).await;
                    timer
                });
            }
            Action::Raise(condition) => self.tell_all(News::Raised(condition)).await,
            Action::Clear(code) => self.tell_all(News::Cleared(code)).await,
            Action::Show(playback) => self.show(playback).await,
        }
    }

    async fn spawn(&mut self, seat: Seat, login: Login) {
        let start = Start {
            protocol: PROTOCOL,
            device: self.settings.device.clone(),
            speaker: self.settings.speaker.clone(),
            network: self.settings.network.clone(),
            log: self.settings.log,
            volume: self.level,
            login,
            daemon_pid: process::id(),
        };
        match Engine::spawn(start, self.ear.clone(), move |heard| (seat, heard)) {
            Ok(engine) => drop(self.engines.insert(seat, engine)),
            Err(error) => {
                let how = format!("it could not be started: {error}");
                // Said as if it had ended, so that there is one way back for all losses.
                let _ = self.ear.try_send((seat, Heard::Ended { how }));
            }
        }
    }

    fn tell(&self, seat: Seat, command: Command) {
        if self
            .engines
            .get(&seat)
            .is_some_and(|engine| !engine.send(command))
        {
            warn!("an engine did not take an order");
        }
    }

    async fn show(&mut self, playback: Box<Playback>) {
        if playback.volume != self.level {
            self.level = playback.volume;
            if self.settings.speaker.volume.remember {
                self.keep_level_at = Some(Instant::now() + LEVEL_SETTLES);
            }
        }
        self.tell_all(News::Playback(playback)).await;
    }

    async fn keep_level(&mut self) {
        self.keep_level_at = None;
        let level = self.level;
        self.write("the volume", move |store, speaker| {
            store.keep_volume(speaker, level)
        })
        .await;
    }

    async fn tell_all(&self, news: News) {
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.news.send((self.place.clone(), news)).await;
    }

    async fn write(
        &self,
        what: &'static str,
        job: impl FnOnce(&Store, &str) -> io::Result<()> + Send + 'static,
    ) {
        self.on_disk(move |store, speaker| {
            job(store, speaker).map_err(|error| ((), format!("{what} could not be kept: {error}")))
        })
        .await;
    }

    /// Runs a disk job where it may block. A failure becomes a condition; what could be had all the
    /// same is returned.
    async fn on_disk<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store, &str) -> Result<T, (T, String)> + Send + 'static,
    ) -> Option<T> {
        let store = self.store.clone()?;
        let speaker = self.settings.speaker.id.clone();
        match tokio::task::spawn_blocking(move || job(&store, &speaker))
            .await
            .ok()?
        {
            Ok(value) => Some(value),
            Err((value, why)) => {
                warn!("{why}");
                self.tell_all(News::Raised(Condition::new(
                    ConditionCode::StateDamaged,
                    "something kept on disk could not be read or written",
                    why,
                    "check the disk; if nobody is signed in now, pick the speaker in the app again",
                )))
                .await;
                Some(value)
            }
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

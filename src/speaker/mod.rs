//! One speaker: who plays on it, the engine behind it, and what to restore after a loss.
//!
//! [`policy`] says who may come, [`phase`] who sits; [`Speaker`] carries out: it owns the engines, the
//! timers and (in [`keep`]) what is remembered. It knows nothing of discovery or of control surfaces:
//! wishes come as [`Knock`]s, and what happens goes out as [`News`].

mod asked;
mod clock;
#[cfg(test)]
mod household_tests;
mod keep;
#[cfg(test)]
mod knock_tests;
mod measured;
mod phase;
mod policy;
mod pulse;
mod query;
mod shown;
#[cfg(test)]
mod simulation;
mod spare;
#[cfg(test)]
mod tests;
mod trouble;
mod visitor;

use std::{collections::HashMap, process, sync::Arc, time::SystemTime};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    accounts::Store,
    config,
    engine::{
        Engine, Heard,
        messages::{Command, Event, PROTOCOL, Start},
    },
    model::{
        Account, CameBy, Condition, ConditionCode, Cut, DeviceId, Login, Measures, Peer, Phase,
        Playback, Query, Sound, Transport, Unmet, Volume, unix_ms,
    },
};
use asked::Asked;
pub use asked::Waits;
use clock::{Steady, by_the_wall, steadied};
use measured::Measured;
use phase::{Action, Answer, Arrival, Input, Now, Seat, Seats, Ticket, Timer};
use policy::Who;
use pulse::{Beat, Pulse};
use query::Queries;
pub use query::Wants;
use spare::Spares;

/// What comes from outside. Dropping `answer` says no.
#[derive(Debug)]
pub enum Knock {
    /// A phone on the network hands an account over; the policy of the speaker applies.
    AddUser {
        login: Login,
        answer: oneshot::Sender<bool>,
    },
    /// Somebody on the network wants this user, everybody when `None`, to be forgotten who could sign
    /// in here. `false`: the policy forbids it. Not answered: signed out, but the disk still knows.
    ResetUsers {
        user: Option<String>,
        answer: oneshot::Sender<bool>,
    },
    /// An account that signed in at the machine itself (a code, a browser): of the household, so no
    /// policy applies. Why not, and what to do, in words.
    SignIn {
        login: Login,
        came_by: CameBy,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// A remembered account is to sit here.
    Use {
        user: String,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// Something is to play, or to play otherwise.
    Wish { order: Transport, answer: Waits },
    /// Somebody wants to see something that only Spotify has.
    Ask { query: Query, answer: Wants },
    /// The sound is to go elsewhere. Whoever asked sees to it that the settings say so when it does.
    Output {
        output: config::Output,
        answer: Waits,
    },
    /// An account (all, when `None`) leaves this speaker and is removed from the machine. Every
    /// speaker of the house is to be told.
    Forget {
        user: Option<String>,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// The addresses of the machine, or its clock, are others now: what waits is tried at once, and
    /// what stands proves that it does.
    Surroundings,
    /// Music that waits may be heard.
    LetPlay,
    /// What does the engine that plays measure of itself? Where there is none, nobody answers.
    Measure { answer: oneshot::Sender<Measures> },
}

/// Somebody who waits to hear what became of his wish.
enum Waiting {
    ForYesOrNo(oneshot::Sender<bool>),
    ForWords(oneshot::Sender<Result<(), String>>),
}

/// What others may want to know. State is the truth: a reader that misses some reads the next.
#[derive(Debug)]
pub enum News {
    Raised(Condition),
    Cleared(ConditionCode),
    ActiveUser(Option<String>),
    /// Where the speaker stands, and whom it belongs to.
    Seat {
        phase: Phase,
        account: Option<Account>,
        /// What was told of playback still holds: the engine lives, with a session or without.
        holds: bool,
    },
    Playback(Box<Playback>),
    /// The other devices of the account.
    Devices(Vec<Peer>),
    /// What was opened for sound.
    Sound(Sound),
    /// Whoever sits here wants it to be called so.
    Renamed(String),
    /// Whether the engine answers, and how it finds its links (`None`: not asked).
    Pulse {
        engine: bool,
        session: Option<bool>,
        dealer: Option<bool>,
        listed: Option<bool>,
    },
    /// Music waits to be heard, or does not any more.
    Holding(bool),
    /// A session was lost, by this.
    Cut(Cut),
    /// What became of a wish; to be passed on once everything told before is known.
    Done {
        answer: Waits,
        result: Result<(), Unmet>,
    },
}

/// Everything an engine of this speaker is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub device: DeviceId,
    pub speaker: config::Speaker,
    /// Ids of the other speakers of the house: who sits there is kept when this one forgets everybody.
    pub others: Vec<String>,
    pub network: config::Network,
    pub log: config::LogLevel,
    /// How long music after a silence may be held, in ms; `None`: not at all.
    pub hold_ms: Option<u32>,
    /// Where audio files are kept, its path given; `None`: nowhere.
    pub cache: Option<config::Cache>,
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
    disk: keep::Disk,
    /// Names us in what we tell.
    place: Arc<str>,
    news: mpsc::Sender<(Arc<str>, News)>,
    seats: Seats,
    /// What time the seats are told.
    clock: Steady,
    engines: HashMap<Seat, Engine>,
    spares: Spares,
    /// Somebody on the network asked what the speaker is.
    inquiries: Arc<Notify>,
    answers: HashMap<Ticket, Waiting>,
    last_ticket: Ticket,
    asked: Asked,
    measured: Measured,
    queries: Queries,
    timers: JoinSet<Timer>,
    /// Engines on their way out; those that had to be killed say nothing any more.
    leaving: JoinSet<Option<Seat>>,
    /// Handed to every engine.
    ear: mpsc::Sender<(Seat, Heard)>,
    heard: mpsc::Receiver<(Seat, Heard)>,
    level: Volume,
    /// A level that is to be written.
    unkept: Option<keep::Unkept>,
    /// As told last; `None` when that is not so any more.
    shown: Option<shown::Shown>,
    /// Since when a visitor has been idle, and when to think of him next.
    visitor_idle_since: Option<Instant>,
    look_at_visitor: Option<Instant>,
    pulse: Pulse,
    /// When this daemon began, until it has looked for what the one before left.
    began: Option<SystemTime>,
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
            disk: keep::Disk::default(),
            place,
            news,
            seats: Seats::default(),
            clock: Steady::start(),
            engines: HashMap::new(),
            spares: Spares::default(),
            inquiries: Arc::default(),
            answers: HashMap::new(),
            last_ticket: 0,
            asked: Asked::default(),
            measured: Measured::default(),
            queries: Queries::default(),
            timers: JoinSet::new(),
            leaving: JoinSet::new(),
            ear,
            heard,
            level: start,
            unkept: None,
            shown: None,
            visitor_idle_since: None,
            look_at_visitor: None,
            pulse: Pulse::default(),
            began: Some(SystemTime::now()),
        }
    }

    /// To be notified when somebody on the network asks what the speaker is.
    pub fn asked_by(&self) -> Arc<Notify> {
        self.inquiries.clone()
    }

    /// Signs the last account in and serves until `stop`; then every engine has left and the level
    /// is kept.
    pub async fn run(
        mut self,
        mut knocks: mpsc::Receiver<Knock>,
        mut changes: mpsc::Receiver<NewSettings>,
        stop: CancellationToken,
    ) {
        let start = self.recall().await;
        self.step(start).await;
        let inquiries = self.inquiries.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some((seat, heard)) = self.heard.recv() => self.heard(seat, heard).await,
                Some(knock) = knocks.recv() => self.knock(knock).await,
                Some(new) = changes.recv() => self.change(new).await,
                Some(Ok(timer)) = self.timers.join_next() => self.step(Input::Timer(timer)).await,
                Some(Ok(killed)) = self.leaving.join_next() => self.left(killed).await,
                () = inquiries.notified() => self.asked(),
                () = at(self.spares.until()) => self.spares.dismiss(),
                () = at(self.unkept.as_ref().map(|it| it.at)) => self.keep_level().await,
                () = at(self.look_at_visitor) => self.look_after_visitor().await,
                () = at(self.pulse.due()) => self.feel_pulse().await,
            }
        }
        self.close().await;
    }

    async fn close(mut self) {
        if let Some(spare) = self.spares.take() {
            self.leaving.spawn(asked::leaves(spare, None));
        }
        for (_, engine) in self.engines.drain() {
            self.leaving.spawn(asked::leaves(engine, None));
        }
        self.keep_level().await;
        // Each of them has its own limit.
        while self.leaving.join_next().await.is_some() {}
    }

    async fn heard(&mut self, seat: Seat, heard: Heard) {
        let Some(seat) = self.spares.seat(seat) else {
            if matches!(heard, Heard::Ended { .. }) {
                self.spares.ended(seat);
            }
            return;
        };
        let input = match heard {
            Heard::Event(Event::Checked {
                id,
                alive,
                dealer,
                listed,
            }) if pulse::is_beat(id) => {
                let beat = Beat {
                    id,
                    alive,
                    dealer,
                    listed,
                };
                return self.beat(seat, beat).await;
            }
            Heard::Event(Event::Done { id, result }) => return self.done(seat, id, result).await,
            Heard::Event(Event::Holding { on }) => return self.holding(seat, on).await,
            Heard::Event(Event::Measured { id, measures }) => return self.measured(id, *measures),
            Heard::Event(Event::Told { id, result }) => return self.told(seat, id, result),
            Heard::Event(Event::Sound(sound)) => {
                return self.of_resident(seat, News::Sound(sound)).await;
            }
            Heard::Event(Event::Renamed { name }) => {
                return self.of_resident(seat, News::Renamed(name)).await;
            }
            Heard::Event(Event::Devices { devices }) => {
                return self.of_resident(seat, News::Devices(devices)).await;
            }
            Heard::Event(Event::Playback(told)) => Input::Engine {
                seat,
                event: Event::Playback(steadied(told, unix_ms(), self.clock.now_ms())),
            },
            Heard::Event(event) => {
                if let Event::Ready { login, .. } = &event {
                    self.look_for_note(seat, login.user.clone()).await;
                }
                Input::Engine { seat, event }
            }
            Heard::Ended { how } => {
                self.engines.remove(&seat);
                self.nothing_more(seat).await;
                Input::Ended { seat, how }
            }
        };
        if let Some(cut) = self.cut(&input) {
            self.tell_all(News::Cut(cut)).await;
        }
        self.step(input).await;
    }

    async fn knock(&mut self, knock: Knock) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        match knock {
            Knock::AddUser { login, answer } => {
                self.answers.insert(ticket, Waiting::ForYesOrNo(answer));
                match self.at_the_door(&login).await {
                    Err(denied) => self.deny(ticket, &login, denied).await,
                    Ok(who) => {
                        let arrival = Arrival {
                            came_by: Some(CameBy::Phone),
                            stranger: who == Who::Stranger,
                        };
                        self.add_user(ticket, login, arrival).await;
                    }
                }
            }
            Knock::ResetUsers { user, answer } => self.reset(ticket, user, answer).await,
            Knock::SignIn {
                login,
                came_by,
                answer,
            } => {
                self.answers.insert(ticket, Waiting::ForWords(answer));
                self.of_the_household(ticket, login, Some(came_by)).await;
            }
            Knock::Use { user, answer } => {
                self.answers.insert(ticket, Waiting::ForWords(answer));
                match self.kept_login(&user).await {
                    Ok(login) => self.of_the_household(ticket, login, None).await,
                    Err(why) => self.answer(ticket, Err(why)),
                }
            }
            Knock::Wish { order, answer } => self.wish(order, answer).await,
            Knock::Ask { query, answer } => self.ask(query, answer),
            Knock::Output { output, answer } => self.lead(output, answer).await,
            Knock::Forget { user, answer } => {
                let removed = self.forget(user.clone()).await;
                self.answers.insert(ticket, Waiting::ForWords(answer));
                if let Err(why) = removed {
                    self.answer(ticket, Err(why));
                }
                self.step(Input::Forget { ticket, user }).await;
            }
            Knock::Surroundings => self.surroundings_changed().await,
            Knock::LetPlay => self.let_play(),
            Knock::Measure { answer } => self.measure(answer),
        }
    }

    async fn of_the_household(&mut self, ticket: Ticket, login: Login, came_by: Option<CameBy>) {
        let arrival = Arrival {
            came_by,
            stranger: false,
        };
        self.add_user(ticket, login, arrival).await;
    }

    async fn add_user(&mut self, ticket: Ticket, login: Login, arrival: Arrival) {
        let input = Input::AddUser {
            ticket,
            login,
            arrival,
        };
        self.step(input).await;
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        // Whoever hung up meanwhile needs no answer.
        match self.answers.remove(&ticket) {
            Some(Waiting::ForYesOrNo(waiting)) => drop(waiting.send(answer.is_ok())),
            Some(Waiting::ForWords(waiting)) => drop(waiting.send(answer)),
            None => {}
        }
    }

    async fn change(&mut self, new: NewSettings) {
        let renew = new.renew || self.differs_for_resident(&new.settings.speaker).await;
        let old = std::mem::replace(&mut self.settings, new.settings);
        if old.log != self.settings.log {
            self.tell_log();
        }
        self.spares.dismiss();
        self.plan_look();
        if renew {
            self.step(Input::Renew).await;
        } else {
            self.tell_engines(&old.speaker);
        }
    }

    async fn step(&mut self, input: Input) {
        let now = Now {
            ms: self.clock.now_ms(),
            dice: rand::random(),
        };
        for action in self.seats.step(input, now) {
            self.carry_out(action).await;
        }
        self.mind_visitor();
        let seat = match self.seats.resident() {
            phase::Resident::Seated { seat, .. } => Some(*seat),
            _ => None,
        };
        let plays = self.seats.is_playing();
        self.pulse.sits(seat, plays, Instant::now());
        // Last, so that nobody reads that something is lost before the reason.
        self.show_seat().await;
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { seat, login } => self.spawn(seat, login).await,
            Action::Tell { seat, command } => self.tell(seat, command),
            Action::Retire { seat } => {
                if let Some(engine) = self.engines.remove(&seat) {
                    self.leaving.spawn(asked::leaves(engine, Some(seat)));
                }
            }
            // Dropping kills.
            Action::Kill { seat } => drop(self.engines.remove(&seat)),
            Action::Answer { ticket, answer } => self.answer(ticket, answer),
            Action::Keep {
                login,
                country,
                came_by,
            } => self.keep(login, country, came_by).await,
            Action::KeepSeat { user, owner } => {
                self.write("who sits here", move |store, speaker| {
                    store.take_seat(speaker, user.as_deref(), owner.as_deref())
                })
                .await;
            }
            Action::Forget { user } => {
                if let Err(why) = self.take_off(Some(user)).await {
                    self.damaged(trouble::not_forgotten(&why)).await;
                }
            }
            Action::Lapsed { user } => {
                self.write("what Spotify said of the account", move |store, _| {
                    store.premium_lapsed(&user)
                })
                .await;
                self.shown = None;
            }
            Action::Named { user, name } => {
                self.write("the name of the account", move |store, _| {
                    store.shown_as(&user, &name)
                })
                .await;
                self.shown = None;
            }
            Action::Keys { user, answer } => {
                self.keys(user, answer).await;
                self.shown = None;
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
        let briefing = self.briefing(&login).await;
        let start = Start {
            protocol: PROTOCOL,
            device: self.settings.device.clone(),
            speaker: briefing.speaker,
            network: self.settings.network.clone(),
            log: self.settings.log,
            volume: briefing.level,
            login,
            keys_from_ms: briefing.keys_from_ms,
            hold_ms: self.settings.hold_ms,
            cache: self.settings.cache.clone(),
            note: self.note_file(),
            daemon_pid: process::id(),
        };
        if self.seat_spare(seat, &start) {
            return;
        }
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
        let playback = by_the_wall(playback, unix_ms(), self.clock.now_ms());
        if playback.volume != self.level {
            self.level = playback.volume;
            if self.settings.speaker.volume.remember {
                self.level_changed().await;
            }
        }
        self.tell_all(News::Playback(playback)).await;
    }

    async fn tell_all(&self, news: News) {
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.news.send((self.place.clone(), news)).await;
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

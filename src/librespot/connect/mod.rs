//! The device on the wire: the pure machine of [`crate::connect`] between dealer, service and
//! player.
//!
//! Owns the conversation with the dealer, the PUTs and the questions about contexts. The player is
//! somebody else's: orders go to a [`Deck`], what it does comes back by [`Desk::input`]. Start at
//! [`Desk`]; one select loop runs it:
//!
//! ```text
//! let mut desk = Desk::open(session, device, facts, deck)?;   // before the dealer is started
//! // sign in, then
//! desk.start().await?;
//! loop {
//!     let news = select! {
//!         news = desk.next() => news,                         // dealer, answers, timer
//!         event = player.recv() => desk.input(Input::Player(event)),
//!         command = commands.recv() => desk.order(id, wish),
//!     };
//!     for news in news { … }                                  // Publish, Listed, Raise, …
//! }
//! desk.close(limit).await;
//! ```

pub mod contexts;
pub mod json;
mod newer;
pub mod pump;
pub mod put;
pub mod schedule;
pub mod streams;
pub mod translate;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use hyper::Method;
use librespot_core::{Error, Session, dealer::manager::Reply};
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::{AbortHandle, JoinSet},
    time::{sleep_until, timeout},
};
use tracing::{debug, info};

use super::{
    renewal::dismiss,
    service::{self, JSON},
    session::spotify_ms,
    tracks::look,
};
use crate::{
    connect::{Action, Connect, Device, Heard, Input, LoadId, Now, PutReason, Ticket, Uri},
    model::{
        Condition, ConditionCode, Dim, Obstacle, Peer, PlayState, Playback, Transport, Unmet,
        Volume,
    },
};
use pump::{Pump, ToSpotify};
use put::Facts;
use streams::{Said, Streams};

/// A state that connect-state has not taken after so long is not known there.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// How long the dealer may take to close when everything else is done.
const CLOSE_LIMIT: Duration = Duration::from_millis(300);

/// Whoever sends playback away is told within 2.5 s.
const SEND_LIMIT: Duration = Duration::from_secs(2);

/// What moves is what the service was told last: it is waited for so long that it has heard of the
/// newest.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// Questions that may be open at once, one of each. The machine waits for the answer to the newest
/// only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Track,
    Context,
    Page,
    Following,
    Playback,
    Sending,
}

/// Orders of the daemon that may wait at once.
const ORDERS: usize = 64;

/// Where the orders about sound go. None of them may block.
pub trait Deck {
    /// As [`Action::Load`]. Returns what is to be heard of it at once: that there is no output.
    fn load(&mut self, id: LoadId, uri: &Uri, position_ms: u32, play: bool) -> Option<Heard>;
    /// As [`Action::Prepare`].
    fn prepare(&mut self, id: LoadId, uri: &Uri);
    fn drop_next(&mut self);
    /// While a track still loads: it is to sound when it has. Returns the same as `load`.
    fn play(&mut self) -> Option<Heard>;
    /// While a track still loads: it is to wait when it has.
    fn pause(&mut self);
    /// While a track still loads: it is to begin there.
    fn seek(&mut self, position_ms: u32);
    fn stop(&mut self);
    /// As [`Action::Dim`].
    fn dim(&mut self, dim: Option<Dim>);
    /// Returns the level that holds: a cap may leave less than was asked for.
    fn set_volume(&mut self, volume: Volume) -> Volume;
}

/// What the engine has to hear.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    Playback(Box<Playback>),
    /// The other devices of the account.
    Devices(Vec<Peer>),
    /// The order of this number has taken effect, or why not. Comes after the truth that it made.
    Done {
        id: u64,
        result: Result<(), Unmet>,
    },
    /// connect-state lists the device: for the first time, or over a new session.
    Listed,
    Raised(Condition),
    Cleared(ConditionCode),
    /// The account is to be forgotten.
    LoggedOut,
    /// An app wants the speaker to be called so.
    Renamed(String),
    /// The dealer is gone and does not come back by itself. Said once.
    DealerLost,
}

/// The device at work.
pub struct Desk<D> {
    session: Session,
    machine: Connect,
    facts: Facts,
    deck: D,
    /// `None` when the dealer is gone for good.
    streams: Option<Streams>,
    /// The session before this one and its dealer, until connect-state knows of the new one: what an
    /// app says meanwhile comes this way.
    before: Option<(Session, Option<Streams>)>,
    pump: Pump,
    answers: mpsc::Receiver<Input>,
    questions: JoinSet<Option<Input>>,
    open: HashMap<Question, AbortHandle>,
    owed: HashMap<Ticket, UnboundedSender<Reply>>,
    /// Orders of the daemon that wait, by their own numbers.
    ordered: HashMap<Ticket, u64>,
    tickets: Ticket,
    begin: Instant,
    timer: Option<u64>,
    /// Since when the dealer has not named a connection, after one that was heard to fall.
    dealer_fell: Option<Instant>,
    /// The newest state that was handed over, and when; and the newest that was taken.
    put: (u64, Instant),
    taken: Option<u64>,
}

impl<D: Deck> Desk<D> {
    /// Listens to the dealer, which must not have been started.
    ///
    /// # Errors
    /// When somebody listens already.
    pub fn open(session: Session, device: Device, facts: Facts, deck: D) -> Result<Self, Error> {
        let streams = Streams::listen(session.clone())?;
        let (to, answers) = mpsc::channel(16);
        Ok(Self {
            pump: Pump::start(ToSpotify(session.clone()), to),
            machine: Connect::new(device),
            session,
            facts,
            deck,
            streams: Some(streams),
            before: None,
            answers,
            questions: JoinSet::new(),
            open: HashMap::new(),
            owed: HashMap::new(),
            ordered: HashMap::new(),
            tickets: 0,
            begin: Instant::now(),
            timer: None,
            dealer_fell: None,
            put: (0, Instant::now()),
            taken: None,
        })
    }

    /// Opens the dealer, once the session is signed in. From then on [`Desk::next`] has to be
    /// polled.
    ///
    /// # Errors
    /// When the dealer cannot be opened in time.
    pub async fn start(&mut self) -> Result<Vec<News>, String> {
        if let Some(streams) = &mut self.streams {
            streams.start().await?;
        }
        Ok(self.input(Input::Settings(streams::settings(&self.session))))
    }

    /// Goes on over another session, whose dealer is open: the device is put anew with everything
    /// that it does. [`News::Listed`] follows when connect-state has it.
    pub fn renew(&mut self, session: Session, streams: Streams) -> Vec<News> {
        let (to, answers) = mpsc::channel(16);
        self.pump = Pump::start(ToSpotify(session.clone()), to);
        self.answers = answers;
        // It was opened before it came here; its connection id is the next thing it says.
        self.dealer_fell = None;
        let lost = std::mem::replace(&mut self.session, session);
        let heard = self.streams.replace(streams);
        self.forget_session_before();
        self.before = Some((lost, heard));
        self.input(Input::Settings(streams::settings(&self.session)))
    }

    /// Whether the dealer is open, as far as is known.
    pub fn dealer_is_open(&self) -> bool {
        self.dealer_fell.is_none() && self.streams.is_some()
    }

    /// The log says that the dealer's connection is gone. It names the next one itself.
    pub fn dealer_fell(&mut self) {
        self.dealer_fell.get_or_insert_with(Instant::now);
    }

    /// For how long that is so.
    pub fn dealer_fell_for(&self) -> Duration {
        self.dealer_fell.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Whether connect-state knows how things stand here: it has taken the newest state, or was given
    /// it just now.
    pub fn is_listed(&self) -> bool {
        let (number, at) = self.put;
        let taken = self.taken.is_some_and(|taken| taken >= number);
        taken || self.taken.is_some() && at.elapsed() < TAKEN_WITHIN
    }

    fn forget_session_before(&mut self) -> bool {
        let Some((session, _)) = self.before.take() else {
            return false;
        };
        dismiss(session);
        true
    }

    /// The player's side.
    pub fn deck(&mut self) -> &mut D {
        &mut self.deck
    }

    /// The place that others are shown now, in ms; `None` while nothing plays.
    pub fn shown_position(&self) -> Option<u32> {
        let shown = self.machine.playback();
        let now_ms = spotify_ms(&self.session);
        (shown.state == PlayState::Playing).then(|| shown.position_at(now_ms))
    }

    pub fn machine(&self) -> &Connect {
        &self.machine
    }

    /// Waits for one thing, and does what is to be done about it. May be dropped at any time.
    pub async fn next(&mut self) -> Vec<News> {
        let timer = self.timer;
        let due = self.begin + Duration::from_millis(timer.unwrap_or(0));
        tokio::select! {
            said = next_of(self.streams.as_mut()) => match said {
                Some(said) => self.said(said),
                None => {
                    self.streams = None;
                    vec![News::DealerLost]
                }
            },
            said = next_of(heard_before(&mut self.before)) => match said {
                // Its connection is nobody's any more.
                Some(Said::Connected(_)) => vec![],
                Some(said) => self.said(said),
                None => {
                    if let Some((_, streams)) = &mut self.before {
                        *streams = None;
                    }
                    vec![]
                }
            },
            Some(input) = self.answers.recv() => {
                if let Input::PutAnswered { number, .. } = &input {
                    self.taken = self.taken.max(Some(*number));
                }
                let mut news = self.input(input);
                // The first answer over a new session is to the PUT that made us known.
                if self.forget_session_before() && !news.contains(&News::Listed) {
                    news.push(News::Listed);
                }
                news
            }
            Some(answer) = self.questions.join_next() => match answer {
                Ok(Some(input)) => self.input(input),
                _ => Vec::new(),
            },
            () = sleep_until(due.into()), if timer.is_some() => {
                self.timer = None;
                self.input(Input::Timer)
            }
        }
    }

    fn said(&mut self, said: Said) -> Vec<News> {
        match said {
            Said::Connected(id) => {
                self.dealer_fell = None;
                self.session.set_connection_id(&id);
                self.input(Input::Connected)
            }
            Said::Command {
                from,
                command,
                answer,
            } => {
                self.tickets += 1;
                let ticket = self.tickets;
                self.owed.insert(ticket, answer);
                self.input(Input::Command {
                    ticket,
                    from,
                    command,
                })
            }
            // Kept by the daemon, which says what holds.
            Said::Renamed(name) => vec![News::Renamed(name)],
            Said::Other(input) => self.input(input),
        }
    }

    /// Takes one thing that happened elsewhere: in the player, in the daemon.
    pub fn input(&mut self, input: Input) -> Vec<News> {
        let now = Now {
            unix_ms: spotify_ms(&self.session),
            tick_ms: self.begin.elapsed().as_millis() as u64,
        };
        let actions = self.machine.step(input, now);
        let mut found = Vec::new();
        let mut news = Vec::new();
        for action in actions {
            match action {
                Action::SetVolume(asked) => {
                    // The phone is shown what is heard, not what it asked for.
                    let level = Some(self.deck.set_volume(asked));
                    found.extend(level.filter(|it| *it != asked).map(Input::Level));
                }
                Action::Load {
                    id,
                    uri,
                    position_ms,
                    play,
                } => {
                    let heard = self.deck.load(id, &uri, position_ms, play);
                    found.extend(heard.map(Input::Player));
                }
                Action::Play => found.extend(self.deck.play().map(Input::Player)),
                action => news.extend(self.carry_out(action)),
            }
        }
        for input in found {
            news.extend(self.input(input));
        }
        // Whoever is told that it is done finds it so.
        news.sort_by_key(|news| matches!(news, News::Done { .. }));
        news
    }

    /// A wish of the daemon, answered by [`News::Done`] with its number.
    pub fn order(&mut self, id: u64, wish: Transport) -> Vec<News> {
        if self.ordered.len() >= ORDERS {
            let result = Err(Unmet::new(Obstacle::Conflict, "too much is asked at once"));
            return vec![News::Done { id, result }];
        }
        self.tickets += 1;
        let ticket = self.tickets;
        self.ordered.insert(ticket, id);
        let order = translate::order(wish, &self.session.username());
        self.input(Input::Asked { ticket, order })
    }

    fn carry_out(&mut self, action: Action) -> Option<News> {
        match action {
            Action::Prepare { id, uri } => self.deck.prepare(id, &uri),
            Action::DropNext => self.deck.drop_next(),
            Action::Pause => self.deck.pause(),
            Action::Seek { position_ms } => self.deck.seek(position_ms),
            Action::Stop => self.deck.stop(),
            Action::Dim(dim) => self.deck.dim(dim),
            // Where their outcome is heard: `input`.
            Action::Load { .. } | Action::Play | Action::SetVolume(_) => {}
            Action::Describe { uri } => self.describe(uri),
            Action::ResolveContext { .. } => self.look_up(Question::Context, action),
            Action::ResolvePage { .. } => self.look_up(Question::Page, action),
            Action::ResolveAutoplay { .. } => self.look_up(Question::Following, action),
            Action::Put { number, reason } => {
                let request = put::request(&self.machine.shown(), &self.facts, reason);
                // Since when the oldest that was not taken waits.
                let waits = self.taken < Some(self.put.0);
                self.put = (number, if waits { self.put.1 } else { Instant::now() });
                self.pump.put(reason, number, request);
            }
            Action::PutInactive => {
                let reason = PutReason::StateChanged;
                let request = put::request(&self.machine.shown(), &self.facts, reason);
                self.pump.put_inactive(request);
            }
            Action::Delete => self.pump.delete(),
            Action::Reply { ticket, result } => self.reply(ticket, &result),
            Action::Done { ticket, result } => {
                let id = self.ordered.remove(&ticket)?;
                return Some(News::Done { id, result });
            }
            Action::SetTimer { tick_ms } => self.timer = Some(tick_ms),
            Action::FetchPlayback => self.fetch_playback(),
            Action::SendTo { device } => self.send_to(device),
            Action::Devices(devices) => return Some(News::Devices(devices)),
            Action::Note(line) => info!("{line}"),
            Action::Publish(playback) => return Some(News::Playback(playback)),
            Action::Listed => return Some(News::Listed),
            Action::LoggedOut => return Some(News::LoggedOut),
            Action::Raise(condition) => return Some(News::Raised(condition)),
            Action::Clear(code) => return Some(News::Cleared(code)),
        }
        None
    }

    fn describe(&mut self, uri: Uri) {
        let session = self.session.clone();
        self.ask(Question::Track, async move {
            let track = look(&session, &uri.to_string()).await.ok()?;
            Some(Input::Track(Box::new(track)))
        });
    }

    fn look_up(&mut self, question: Question, action: Action) {
        let answer = contexts::answer(self.session.clone(), action);
        self.ask(question, answer);
    }

    /// An older question of the same kind is dropped: nobody waits for its answer any more.
    fn ask(
        &mut self,
        question: Question,
        answer: impl Future<Output = Option<Input>> + Send + 'static,
    ) {
        let task = self.questions.spawn(answer);
        if let Some(old) = self.open.insert(question, task) {
            old.abort();
        }
    }

    fn reply(&mut self, ticket: Ticket, result: &Result<(), String>) {
        if let Err(why) = result {
            debug!("a command was not carried out: {why}");
        }
        if let Some(answer) = self.owed.remove(&ticket) {
            let reply = match result {
                Ok(()) => Reply::Success,
                Err(_) => Reply::Failure,
            };
            let _ = answer.send(reply);
        }
    }

    /// Asks that playback come here; it does so as a transfer by the dealer. What played last may
    /// have played here: that it stopped is to be known. Where the service does not hear us, it may
    /// know of playback elsewhere all the same, so it is asked in any case.
    fn fetch_playback(&mut self) {
        let session = self.session.clone();
        let known = self.pump.known(KNOWN_WITHIN);
        self.ask(Question::Playback, async move {
            known.await;
            let own = session.device_id().to_owned();
            if let Err(error) = session.spclient().transfer(&own, &own, None).await {
                info!("there is nothing to play, and nothing comes from elsewhere: {error}");
                let why = error.to_string();
                return Some(Input::NotFetched { why });
            }
            None
        });
    }

    /// Asks that playback go to another device; the cluster tells when it has. While the service has
    /// not heard of the newest, something else would go: it stays here then.
    fn send_to(&mut self, device: String) {
        let session = self.session.clone();
        let known = self.pump.known(KNOWN_WITHIN);
        self.ask(Question::Sending, async move {
            let asked = Instant::now();
            if !known.await {
                let why = "it has not heard yet what plays here; try again".to_owned();
                return Some(Input::NotSent { why });
            }
            let own = session.device_id();
            let path = format!("/connect-state/v1/connect/transfer/from/{own}/to/{device}");
            let question = service::Question {
                limit: SEND_LIMIT.saturating_sub(asked.elapsed()),
                ..service::Question::new(Method::POST, path, Vec::new(), JSON)
            };
            let why = service::ask(&session, &question).await.err()?.to_string();
            Some(Input::NotSent { why })
        });
    }

    /// Leaves the picker; false when Spotify did not take the goodbye within `limit`. The sound is
    /// the caller's to fade.
    pub async fn close(mut self, limit: Duration) -> bool {
        self.input(Input::Order(crate::connect::Order::Leave));
        self.questions.abort_all();
        self.forget_session_before();
        let gone = self.pump.gone(limit).await;
        let _ = timeout(CLOSE_LIMIT, self.session.dealer().close()).await;
        gone
    }
}

fn heard_before(before: &mut Option<(Session, Option<Streams>)>) -> Option<&mut Streams> {
    before.as_mut()?.1.as_mut()
}

async fn next_of(streams: Option<&mut Streams>) -> Option<Said> {
    match streams {
        Some(streams) => streams.next().await,
        None => std::future::pending().await,
    }
}

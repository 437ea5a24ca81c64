//! The engine's loop: orders, the dealer, the player and the output, each handed to the machine,
//! and what the machine has to tell, told to the daemon.

use std::time::{Duration, Instant};

use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedReceiver},
        watch,
    },
    task::JoinSet,
    time::sleep_until,
};
use tracing::{debug, info, warn};

use super::{
    connect::{Desk, News},
    current::Holder,
    loader::Loader,
    mending::DEALER_LIMIT,
    opening::Outcome,
    query::Queries,
    renewal::{Flaps, Fresh, Recipe, Renewal},
    resume::{Bookmarks, Teller},
    session::{self, ALIVE_LIMIT, Failure, SURE_LIMIT},
    sound::{Led, Sound},
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    connect::{Heard, Input, Order},
    engine::messages::{Command, Event},
    fetch,
    model::{
        self, Condition, ConditionCode, Cut, KeyAnswer, Measures, Peer, Playback, Volume, ms_of,
    },
    output::{Gate, Report},
    player,
};

/// How often the session is looked at, and the place of the music. The end of a session is read
/// off the log at once; this is for the case that it was not said.
const CHECK: Duration = Duration::from_secs(5);
/// The same while music is to be heard: an output that hangs is to be told of soon.
const CHECK_MUSIC: Duration = Duration::from_secs(2);
/// The player's thread ends when it is told to, or when it panics.
const PLAYER_ENDED: &str = "the thread that plays has ended by an error of its own";
/// Questions to the session that may be open at once; the daemon asks two at most.
const PROBES: usize = 8;

/// Everything that can happen to a stage besides what the dealer says.
pub(super) struct Inputs {
    pub commands: Receiver<Command>,
    pub events: Receiver<player::Event>,
    pub opened: Receiver<Outcome>,
    pub reports: Receiver<Report>,
    pub tells: UnboundedReceiver<Tell>,
    pub level: watch::Receiver<Volume>,
}

/// How a session took the question whether it lives.
pub(super) struct Probed {
    /// Of the daemon's question, if it was one.
    id: Option<u64>,
    alive: bool,
    /// A dead one is to be replaced at once.
    replace: bool,
    /// Which session it was.
    turn: u64,
}

/// Why a stage ends in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to.
    Told,
    /// Its daemon is gone, and had no time to say so.
    Orphaned,
    /// Another engine is the device now.
    Replaced,
}

/// A signed-in account at work.
pub(super) struct Stage<'a> {
    pub reporter: &'a Reporter,
    pub sessions: Holder,
    /// What the next session is made from.
    pub recipe: Recipe,
    /// Since when there is a session, or was.
    pub since: Instant,
    /// Sessions that fell as soon as they stood.
    pub flaps: Flaps,
    /// While a new session is being made.
    pub renewal: Option<Renewal>,
    /// What was lost of the session before, while that is so.
    pub lost: Option<Cut>,
    /// Whether the session answers, asked beside everything else.
    pub probes: JoinSet<Probed>,
    /// When the session answered last.
    pub answered: Option<Instant>,
    /// The output does not answer.
    pub hangs: bool,
    /// When everything is looked at next.
    pub look_at: Instant,
    /// From this number on, a task that reads a link may be one of the session that we use.
    pub link: u64,
    /// The same of a dealer's.
    pub dealer: u64,
    /// The highest number of a task whose dealer fell.
    pub fallen: u64,
    /// The session was lost, and connect-state does not know of a new one yet.
    pub interrupted: bool,
    pub desk: Desk<Loader>,
    pub bookmarks: Bookmarks,
    pub teller: Teller,
    pub sound: Sound,
    /// The other devices of the account, until the daemon may be told.
    pub unsaid: Option<Vec<Peer>>,
    /// Whether a key was granted or refused last.
    pub keys: Option<KeyAnswer>,
    /// Times the card ran dry so far.
    pub xruns: u64,
    /// Before the output, for music after a silence.
    pub gate: Gate,
    /// How long it may stay shut.
    pub hold: Duration,
    /// Until when it does.
    pub held_until: Option<Instant>,
    /// What somebody wants to see.
    pub queries: Queries,
}

impl Stage<'_> {
    /// Waits until connect-state lists the speaker.
    pub(super) async fn listed(&mut self) -> Result<(), Failure> {
        let started = self.desk.start().await.map_err(Failure::Lost)?;
        self.tell(started);
        loop {
            let news = self.desk.next().await;
            if news.contains(&News::DealerLost) {
                return Err(Failure::Lost("the dealer is gone".into()));
            }
            let listed = news.contains(&News::Listed);
            self.tell(news);
            if listed {
                return Ok(());
            }
        }
    }

    /// Serves until told to stop, or until Spotify does not let the account in any more.
    pub(super) async fn serve(&mut self, inputs: &mut Inputs) -> Result<End, Failure> {
        loop {
            let news = tokio::select! {
                command = inputs.commands.recv() => match command {
                    Some(Command::Stop) => return Ok(End::Told),
                    Some(Command::GiveWay) => return Ok(End::Replaced),
                    None => return Ok(End::Orphaned),
                    Some(command) => self.command(command),
                },
                news = self.desk.next() => news,
                event = inputs.events.recv() => match event {
                    Some(event) => self.player(event),
                    None => return Err(Failure::Broken(PLAYER_ENDED.into())),
                },
                Some(outcome) = inputs.opened.recv() => {
                    let heard = self.desk.deck().opened(outcome);
                    heard.into_iter().flat_map(|heard| self.hear(heard)).collect()
                }
                Some(report) = inputs.reports.recv() => {
                    self.output(report);
                    vec![]
                }
                led = self.sound.next() => {
                    self.led(led?);
                    vec![]
                }
                fresh = done(&mut self.renewal) => self.renewed(fresh?),
                Some(tell) = inputs.tells.recv() => self.overheard(&tell),
                Ok(()) = inputs.level.changed() => {
                    let level = *inputs.level.borrow_and_update();
                    self.desk.input(Input::Level(level))
                }
                () = at(self.held_until) => {
                    debug!("the music does not wait any longer");
                    self.let_play();
                    vec![]
                }
                Some(Ok(probed)) = self.probes.join_next() => {
                    self.probed(&probed);
                    vec![]
                }
                () = sleep_until(self.look_at.into()) => self.check(),
            };
            self.tell(news);
        }
    }

    /// The daemon knows who is signed in: it may hear of the account's devices.
    pub(super) fn say(&mut self) {
        if let Some(devices) = self.unsaid.take() {
            self.reporter.report(&Event::Devices { devices });
        }
    }

    /// What plays, as it is heard at this moment.
    pub(super) fn playback(&mut self) -> Playback {
        if let Some((id, position_ms)) = self.desk.deck().place() {
            self.desk.input(Input::Clock { id, position_ms });
        }
        self.desk.machine().playback()
    }

    /// Carries out what was said before serving began.
    pub(super) fn follow(&mut self, command: Command) {
        let news = self.command(command);
        self.tell(news);
    }

    fn check(&mut self) -> Vec<News> {
        let music = self.desk.deck().is_to_sound();
        self.look_at = Instant::now() + if music { CHECK_MUSIC } else { CHECK };
        self.look_at_link();
        let mute =
            music && self.desk.deck().place().is_none() && !self.desk.deck().output_is_lost();
        if mute {
            // A track that does not come, most likely for want of a key: a link that is dead without
            // knowing it is told from a slow service by asking.
            self.probe(None, Some(SURE_LIMIT), Duration::ZERO);
        }
        if self.desk.dealer_fell_for() >= DEALER_LIMIT {
            self.interrupt(Cut::Dealer, "the dealer does not answer");
        }
        let mut news = self.look_at_output();
        if let Some((id, position_ms)) = self.desk.deck().place() {
            news.extend(self.desk.input(Input::Clock { id, position_ms }));
        }
        news
    }

    /// An output that hangs cannot say so itself.
    fn look_at_output(&mut self) -> Vec<News> {
        let hangs = self.desk.deck().output_hangs();
        if self.hangs == hangs {
            return vec![];
        }
        self.hangs = hangs;
        let Some(heard) = self.desk.deck().output_is_stuck(hangs) else {
            return vec![];
        };
        if hangs {
            let condition = Condition::new(
                ConditionCode::OutputLost,
                "the sound output does not answer",
                "it has taken no sound for three seconds, and neither opens nor closes",
                "check the card's cable and power, or restart its sound server; music goes on by itself",
            );
            self.reporter.report(&Event::Raised { condition });
        } else {
            self.cleared(ConditionCode::OutputLost);
        }
        heard
            .into_iter()
            .flat_map(|heard| self.hear(heard))
            .collect()
    }

    /// Asks the session whether it lives; its answer comes to [`Self::probed`]. Nothing waits for it.
    /// One that has not answered after `condemn` is replaced.
    fn probe(&mut self, id: Option<u64>, condemn: Option<Duration>, trust: Duration) {
        let (session, turn) = (self.sessions.session(), self.sessions.turn());
        let known = match self.answered {
            _ if self.interrupted => Some(false),
            Some(at) if at.elapsed() < trust => Some(!session.is_invalid()),
            // What was asked and forgotten would be taken for a hang.
            _ if self.probes.len() >= PROBES => Some(!session.is_invalid()),
            _ => None,
        };
        match known {
            Some(alive) => self.tell_checked(id, alive),
            None => drop(self.probes.spawn(async move {
                let alive = session::is_alive(&session, condemn.unwrap_or(ALIVE_LIMIT)).await;
                Probed {
                    id,
                    alive,
                    replace: condemn.is_some(),
                    turn,
                }
            })),
        }
    }

    fn probed(&mut self, probed: &Probed) {
        let same = probed.turn == self.sessions.turn();
        // A session that came meanwhile has proved itself by that.
        let alive = probed.alive || !same;
        if alive {
            self.answered = Some(Instant::now());
        }
        self.tell_checked(probed.id, alive);
        if !alive && probed.replace {
            // A link that leads nowhere says so after a minute; nobody waits for that.
            self.interrupt(
                Cut::AccessPoint,
                "the link to the access point leads nowhere",
            );
        }
    }

    fn tell_checked(&self, id: Option<u64>, alive: bool) {
        let Some(id) = id else { return };
        self.reporter.report(&Event::Checked {
            id,
            alive,
            dealer: Some(self.desk.dealer_is_open()),
            listed: Some(!self.interrupted && self.desk.is_listed()),
        });
    }

    fn command(&mut self, command: Command) -> Vec<News> {
        match command {
            Command::Check { id, trust_ms } => {
                self.probe(Some(id), None, Duration::from_millis(trust_ms.into()));
                vec![]
            }
            Command::NetworkChanged { id } => {
                if let Some(renewal) = &self.renewal {
                    renewal.hurry();
                }
                self.probe(Some(id), Some(SURE_LIMIT), Duration::ZERO);
                vec![]
            }
            Command::Restore(then) => {
                info!("taking playback up where it broke off");
                self.desk.input(Input::Order(Order::Restore(then)))
            }
            Command::Show => vec![News::Playback(Box::new(self.playback()))],
            Command::Order { id, order } => self.desk.order(id, order),
            Command::LetPlay => {
                self.let_play();
                vec![]
            }
            Command::Measure { id } => {
                let measures = Box::new(self.measures());
                self.reporter.report(&Event::Measured { id, measures });
                vec![]
            }
            Command::Ask { id, query } => {
                let session = self.sessions.session();
                self.queries.take(id, query, session, self.reporter.clone());
                vec![]
            }
            Command::Output { id, output } => {
                let led = self.sound.lead(id, output);
                self.led(led);
                vec![]
            }
            Command::Rename { name } => self.desk.input(Input::Rename(name)),
            Command::Start(_)
            | Command::Warm(_)
            | Command::Pair(_)
            | Command::Pasted { .. }
            | Command::Outputs(_)
            | Command::Log { .. }
            | Command::GiveWay
            | Command::Stop => vec![],
        }
    }

    /// The music waits for a word of the daemon, but not for long.
    fn holding(&mut self) {
        if self.held_until.is_none() {
            self.held_until = Some(Instant::now() + self.hold);
            self.reporter.report(&Event::Holding { on: true });
        }
    }

    fn let_play(&mut self) {
        self.gate.open();
        if self.held_until.take().is_some() {
            self.reporter.report(&Event::Holding { on: false });
        }
    }

    fn measures(&mut self) -> Measures {
        let shown = self.desk.shown_position();
        let deck = self.desk.deck();
        let stock = deck.stock();
        let heard = deck.place().map(|(_, position_ms)| position_ms);
        let drift = heard
            .zip(shown)
            .map(|(heard, shown)| i64::from(heard) - i64::from(shown));
        Measures {
            pid: std::process::id(),
            buffered_ms: ms_of(stock.frames as u64),
            depth_ms: ms_of(stock.depth as u64),
            xruns: self.xruns,
            gaps: stock.gaps,
            drift_ms: drift.and_then(|ms| i32::try_from(ms).ok()),
            fetches: fetch::answers(),
        }
    }

    fn player(&mut self, event: player::Event) -> Vec<News> {
        let heard = self.desk.deck().heard(event);
        heard
            .into_iter()
            .flat_map(|heard| self.hear(heard))
            .collect()
    }

    fn hear(&mut self, heard: Heard) -> Vec<News> {
        if matches!(heard, Heard::Started { .. } | Heard::Joined { .. }) {
            self.keys_are(KeyAnswer::Given);
        }
        self.desk.input(Input::Player(heard))
    }

    /// The first word about keys, and each change.
    fn keys_are(&mut self, answer: KeyAnswer) {
        if self.keys != Some(answer) {
            self.keys = Some(answer);
            self.reporter.report(&Event::Keys(answer));
        }
    }

    /// Answers whoever wanted the sound elsewhere.
    fn led(&mut self, led: Option<Led>) {
        match led {
            Some((Some(id), result)) => self.reporter.report(&Event::Done { id, result }),
            Some((None, Err(unmet))) => warn!("the output was not changed: {}", unmet.why),
            Some((None, Ok(()))) | None => {}
        }
    }

    fn output(&mut self, report: Report) {
        let led = self.sound.hear(&report);
        self.report(report);
        // After the state that it made.
        self.led(led);
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Opened(opened) => {
                info!(
                    "sound goes to {} ({} Hz, {})",
                    opened.device, opened.rate, opened.format
                );
                self.cleared(ConditionCode::OutputLost);
                self.reporter.report(&Event::Sound(model::Sound {
                    device: opened.device,
                    rate: opened.rate,
                    format: opened.format,
                }));
            }
            Report::Lost(condition) => self.reporter.report(&Event::Raised { condition }),
            Report::Back => self.cleared(ConditionCode::OutputLost),
            Report::Holding => self.holding(),
            Report::Xrun { count } => {
                self.xruns = count;
                debug!("the sound card ran dry ({count} times so far)");
            }
        }
    }

    fn cleared(&self, code: ConditionCode) {
        self.reporter.report(&Event::Cleared { code });
    }

    fn overheard(&mut self, tell: &Tell) -> Vec<News> {
        match tell {
            Tell::Lost => self.look_at_link(),
            // One that was let go ends like that.
            Tell::Unread { task } if *task < self.link => {}
            // The session that we use may be meant, and is asked.
            Tell::Unread { .. } => self.probe(None, Some(ALIVE_LIMIT), Duration::ZERO),
            Tell::KeyRefused { code } => self.keys_are(KeyAnswer::Refused { code: *code }),
            // The one before says that it ends.
            Tell::DealerFell { task } | Tell::DealerRefused { task } if *task < self.dealer => {}
            Tell::DealerFell { task } => {
                self.fallen = self.fallen.max(*task);
                self.dealer_fell();
            }
            // librespot would come again in ten seconds, with the same token: a new session has new
            // ones, and its own pace.
            Tell::DealerRefused { .. } => {
                self.interrupt(Cut::Dealer, "the dealer cannot be opened")
            }
            Tell::NotPremium { .. } => {}
        }
        vec![]
    }

    fn tell(&mut self, news: Vec<News>) {
        self.is_whole_again();
        for news in news {
            match news {
                News::Playback(playback) => {
                    self.desk
                        .deck()
                        .set_album_in_order(in_album_order(&playback));
                    for bookmark in self.bookmarks.playback(&playback) {
                        self.teller.tell(bookmark);
                    }
                    self.reporter.report(&Event::Playback(playback));
                }
                News::Devices(devices) => match &mut self.unsaid {
                    Some(unsaid) => *unsaid = devices,
                    None => self.reporter.report(&Event::Devices { devices }),
                },
                News::Raised(condition) => self.reporter.report(&Event::Raised { condition }),
                News::Cleared(code) => self.cleared(code),
                News::Done { id, result } => self.reporter.report(&Event::Done { id, result }),
                News::Listed => self.resumed(),
                News::LoggedOut => self.reporter.report(&Event::LoggedOut),
                News::Renamed(name) => self.reporter.report(&Event::Renamed { name }),
                News::DealerLost => self.interrupt(Cut::Dealer, "the dealer is gone"),
            }
        }
    }
}

/// Whether an album plays in its own order, where the gain of the album is better than each track's
/// own, and nothing is to fade into the next.
fn in_album_order(playback: &Playback) -> bool {
    let album = |uri: &String| uri.starts_with("spotify:album:");
    playback.context.as_ref().is_some_and(album) && !playback.shuffle
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

async fn done(renewal: &mut Option<Renewal>) -> Result<Fresh, Failure> {
    match renewal {
        Some(renewal) => renewal.done().await,
        None => std::future::pending().await,
    }
}

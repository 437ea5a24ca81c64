//! The engine's loop: orders, the dealer, the player and the output, each handed to the machine,
//! and what the machine has to tell, told to the daemon.

use std::time::{Duration, Instant};

use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedReceiver},
        watch,
    },
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

use super::{
    connect::{Desk, News},
    current::Holder,
    loader::{Loader, Outcome},
    renewal::{Fresh, Recipe, Renewal},
    session::{self, Failure},
    sound::{Led, Sound},
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    connect::{Heard, Input, Order},
    engine::messages::{Command, Event},
    model::{self, ConditionCode, Peer, Playback, Volume},
    output::Report,
    player,
};

/// How often the session is looked at, and the place of the music. The end of a session is read
/// off the log at once; this is for the case that it was not said.
const CHECK: Duration = Duration::from_secs(5);

/// Everything that can happen to a stage besides what the dealer says.
pub(super) struct Inputs {
    pub commands: Receiver<Command>,
    pub events: Receiver<player::Event>,
    pub opened: Receiver<Outcome>,
    pub reports: Receiver<Report>,
    pub tells: UnboundedReceiver<Tell>,
    pub level: watch::Receiver<Volume>,
}

/// A signed-in account at work.
pub(super) struct Stage<'a> {
    pub reporter: &'a Reporter,
    pub sessions: Holder,
    /// What the next session is made from.
    pub recipe: Recipe,
    /// Since when there is a session, or was.
    pub since: Instant,
    /// While a new session is being made.
    pub renewal: Option<Renewal>,
    /// The session was lost, and connect-state does not know of a new one yet.
    pub interrupted: bool,
    pub desk: Desk<Loader>,
    pub sound: Sound,
    /// The other devices of the account, until the daemon may be told.
    pub unsaid: Option<Vec<Peer>>,
    /// Whether a key was granted or refused last.
    pub keys: Option<bool>,
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
    pub(super) async fn serve(&mut self, inputs: &mut Inputs) -> Result<(), Failure> {
        let mut check = interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let news = tokio::select! {
                command = inputs.commands.recv() => match command {
                    None | Some(Command::Stop) => return Ok(()),
                    Some(command) => self.command(command).await,
                },
                news = self.desk.next() => news,
                event = inputs.events.recv() => match event {
                    Some(event) => self.player(event),
                    None => return Err(Failure::Lost("the player ended".into())),
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
                _ = check.tick() => self.check(),
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

    /// Carries out what was said before serving began.
    pub(super) async fn follow(&mut self, command: Command) {
        let news = self.command(command).await;
        self.tell(news);
    }

    fn check(&mut self) -> Vec<News> {
        self.look_at_link();
        let Some((id, position_ms)) = self.desk.deck().place() else {
            return vec![];
        };
        self.desk.input(Input::Clock { id, position_ms })
    }

    /// Has a lost session replaced. (The log of a session that was let go says "lost", too.)
    fn look_at_link(&mut self) {
        if self.sessions.session().is_invalid() {
            self.interrupt("the link to the access point is gone");
        }
    }

    /// The session is lost: another one is made while the music goes on.
    fn interrupt(&mut self, why: &str) {
        if self.renewal.is_some() {
            return;
        }
        warn!("the session is lost ({why}); signing in again");
        self.sessions.fell();
        self.interrupted = true;
        let why = why.to_owned();
        self.reporter.report(&Event::Interrupted { why });
        let reporter = self.reporter.clone();
        self.renewal = Some(Renewal::start(self.recipe.clone(), self.since, reporter));
    }

    fn renewed(&mut self, fresh: Fresh) -> Vec<News> {
        self.renewal = None;
        self.since = Instant::now();
        self.recipe.login = fresh.login;
        self.sessions.stands(fresh.session.clone());
        self.desk.renew(fresh.session, fresh.streams)
    }

    async fn command(&mut self, command: Command) -> Vec<News> {
        match command {
            Command::Check { id } | Command::NetworkChanged { id } => {
                let alive = !self.interrupted && session::is_alive(&self.sessions.session()).await;
                self.reporter.report(&Event::Checked { id, alive });
                if !alive && matches!(command, Command::NetworkChanged { .. }) {
                    // A link that leads nowhere says so after a minute; nobody waits for that.
                    self.interrupt("the link to the access point leads nowhere");
                }
                vec![]
            }
            Command::Restore(then) => {
                info!("taking playback up where it broke off");
                self.desk.input(Input::Order(Order::Restore(then)))
            }
            Command::Order { id, order } => self.desk.order(id, order),
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
            | Command::Stop => vec![],
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
            self.keys_are(false);
        }
        self.desk.input(Input::Player(heard))
    }

    /// The first word about keys, and each change.
    fn keys_are(&mut self, refused: bool) {
        if self.keys != Some(refused) {
            self.keys = Some(refused);
            self.reporter.report(&Event::Keys { refused });
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
            Report::Xrun { count } => debug!("the sound card ran dry ({count} times so far)"),
        }
    }

    fn cleared(&self, code: ConditionCode) {
        self.reporter.report(&Event::Cleared { code });
    }

    fn overheard(&mut self, tell: &Tell) -> Vec<News> {
        match tell {
            Tell::Lost => self.look_at_link(),
            Tell::KeyRefused => self.keys_are(true),
            Tell::NotPremium { .. } => {}
        }
        vec![]
    }

    fn tell(&mut self, news: Vec<News>) {
        for news in news {
            match news {
                News::Playback(playback) => {
                    self.desk
                        .deck()
                        .set_album_in_order(in_album_order(&playback));
                    self.reporter.report(&Event::Playback(playback));
                }
                News::Devices(devices) => match &mut self.unsaid {
                    Some(unsaid) => *unsaid = devices,
                    None => self.reporter.report(&Event::Devices { devices }),
                },
                News::Raised(condition) => self.reporter.report(&Event::Raised { condition }),
                News::Cleared(code) => self.cleared(code),
                News::Done { id, result } => self.reporter.report(&Event::Done { id, result }),
                News::Listed => {
                    if std::mem::take(&mut self.interrupted) {
                        self.reporter.report(&Event::Resumed);
                    }
                }
                News::LoggedOut => self.reporter.report(&Event::LoggedOut),
                News::DealerLost => self.interrupt("the dealer is gone"),
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

async fn done(renewal: &mut Option<Renewal>) -> Result<Fresh, Failure> {
    match renewal {
        Some(renewal) => renewal.done().await,
        None => std::future::pending().await,
    }
}

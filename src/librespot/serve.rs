//! The engine's loop: orders, the dealer, the player and the output, each handed to the machine,
//! and what the machine has to tell, told to the daemon.

use std::time::Duration;

use librespot_core::Session;
use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedReceiver},
        watch,
    },
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info};

use super::{
    connect::{Desk, News},
    loader::{Loader, Outcome},
    session::Failure,
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    connect::{Heard, Input, Order},
    engine::messages::{Command, Event},
    model::{ConditionCode, Playback, Volume},
    output::Report,
    player,
};

/// How often the session is looked at, and the place of the music. The end of a session is read
/// off the log at once; this is for the case that it was not said.
const CHECK: Duration = Duration::from_secs(5);

/// How long an answer to "are you alive" may take over the access-point link.
const ALIVE_LIMIT: Duration = Duration::from_millis(1_200);

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
    pub session: &'a Session,
    pub desk: Desk<Loader>,
    /// Whether a key was granted or refused last.
    pub keys: Option<bool>,
}

impl Stage<'_> {
    /// Waits until connect-state lists the speaker.
    pub(super) async fn listed(&mut self) -> Result<(), Failure> {
        let started = self.desk.start().await.map_err(Failure::Lost)?;
        self.tell(started)?;
        loop {
            let news = self.desk.next().await;
            let listed = news.contains(&News::Listed);
            self.tell(news)?;
            if listed {
                return Ok(());
            }
        }
    }

    /// Serves until told to stop, or until the session is lost.
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
                Some(tell) = inputs.tells.recv() => self.overheard(&tell)?,
                Ok(()) = inputs.level.changed() => {
                    let level = *inputs.level.borrow_and_update();
                    self.desk.input(Input::Level(level))
                }
                _ = check.tick() => self.check()?,
            };
            self.tell(news)?;
        }
    }

    fn check(&mut self) -> Result<Vec<News>, Failure> {
        if self.session.is_invalid() {
            return Err(link_gone());
        }
        let Some((id, position_ms)) = self.desk.deck().place() else {
            return Ok(vec![]);
        };
        Ok(self.desk.input(Input::Clock { id, position_ms }))
    }

    async fn command(&mut self, command: Command) -> Vec<News> {
        match command {
            Command::Check { id } => {
                let alive = self.alive().await;
                self.reporter.report(&Event::Checked { id, alive });
                vec![]
            }
            Command::Restore(then) => {
                info!("taking playback up where it broke off");
                self.desk.input(Input::Order(Order::Restore(then)))
            }
            Command::Order { id, order } => self.desk.order(id, order),
            Command::Start(_) | Command::Pair(_) | Command::Pasted { .. } | Command::Stop => vec![],
        }
    }

    /// Whether the access point still answers. Any answer will do, a refusal too.
    async fn alive(&self) -> bool {
        if self.session.is_invalid() {
            return false;
        }
        let Ok(question) = self.session.mercury().get("hm://siskin/alive") else {
            return false;
        };
        timeout(ALIVE_LIMIT, question).await.is_ok() && !self.session.is_invalid()
    }

    fn player(&mut self, event: player::Event) -> Vec<News> {
        match self.desk.deck().heard(event) {
            Some(heard) => self.hear(heard),
            None => vec![],
        }
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

    fn output(&mut self, report: Report) {
        match report {
            Report::Opened(opened) => {
                info!(
                    "sound goes to {} ({} Hz, {})",
                    opened.device, opened.rate, opened.format
                );
                self.cleared(ConditionCode::OutputLost);
            }
            Report::Lost(condition) => self.reporter.report(&Event::Raised { condition }),
            Report::Back => self.cleared(ConditionCode::OutputLost),
            Report::Xrun { count } => debug!("the sound card ran dry ({count} times so far)"),
        }
    }

    fn cleared(&self, code: ConditionCode) {
        self.reporter.report(&Event::Cleared { code });
    }

    fn overheard(&mut self, tell: &Tell) -> Result<Vec<News>, Failure> {
        match tell {
            Tell::Lost => return Err(link_gone()),
            Tell::KeyRefused => self.keys_are(true),
            Tell::NotPremium { .. } => {}
        }
        Ok(vec![])
    }

    fn tell(&mut self, news: Vec<News>) -> Result<(), Failure> {
        for news in news {
            match news {
                News::Playback(playback) => {
                    self.desk
                        .deck()
                        .set_album_in_order(in_album_order(&playback));
                    self.reporter.report(&Event::Playback(playback));
                }
                News::Raised(condition) => self.reporter.report(&Event::Raised { condition }),
                News::Cleared(code) => self.cleared(code),
                News::Done { id, result } => self.reporter.report(&Event::Done { id, result }),
                News::Listed => {}
                News::LoggedOut => self.reporter.report(&Event::LoggedOut),
                News::DealerLost => return Err(Failure::Lost("the dealer is gone".into())),
            }
        }
        Ok(())
    }
}

/// Whether an album plays in its own order, where the gain of the album is better than each track's
/// own, and nothing is to fade into the next.
fn in_album_order(playback: &Playback) -> bool {
    let album = |uri: &String| uri.starts_with("spotify:album:");
    playback.context.as_ref().is_some_and(album) && !playback.shuffle
}

fn link_gone() -> Failure {
    Failure::Lost("the link to the access point is gone".into())
}

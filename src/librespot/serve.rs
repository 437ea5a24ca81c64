//! The engine's loop: orders, the player's events, the output's reports and what librespot tells,
//! each turned into a truth about playback, a condition, or a deed.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use librespot_connect::Spirc;
use librespot_core::{Session, dealer::protocol::Message};
use librespot_playback::player::{Player, PlayerEvent, PlayerEventChannel};
use librespot_protocol::connect::{Cluster, ClusterUpdate};
use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedReceiver},
        watch,
    },
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info, warn};

use super::{
    breaker::{Advice, Breaker},
    follow::Follower,
    restore,
    session::Failure,
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    engine::messages::{Command, Event},
    model::{ConditionCode, PlayState, Playback, Repeat, Volume, unix_ms},
    output::{Clock, Report},
};

/// How often session and player are looked at. Their end is read off the log at once; this is for
/// the case that it was not said.
const SESSION_CHECK: Duration = Duration::from_secs(5);

/// How long an answer to "are you alive" may take over the access-point link.
const CHECK_LIMIT: Duration = Duration::from_millis(1_200);

/// Everything that can happen to a stage.
pub(super) struct Inputs {
    pub commands: Receiver<Command>,
    pub events: PlayerEventChannel,
    pub reports: Receiver<Report>,
    pub tells: UnboundedReceiver<Tell>,
    pub level: watch::Receiver<Volume>,
}

/// A signed-in account at work.
pub(super) struct Stage<'a> {
    pub reporter: &'a Reporter,
    pub spirc: &'a Spirc,
    pub session: &'a Session,
    pub player: &'a Player,
    pub clock: Clock,
    pub follower: Follower,
    pub breaker: Breaker,
    /// The player paused for want of an output, and nobody has touched anything since.
    pub waiting: bool,
    /// Whether "auto" normalisation takes the album's gain now.
    pub by_album: bool,
    pub device: String,
}

impl Stage<'_> {
    /// Serves until told to stop, or until the session is lost.
    pub(super) async fn serve(&mut self, inputs: Inputs) -> Result<(), Failure> {
        let Inputs {
            mut commands,
            mut events,
            mut reports,
            mut tells,
            mut level,
        } = inputs;
        let mut clusters = self
            .session
            .dealer()
            .listen_for(
                "hm://connect-state/v1/cluster",
                Message::from_raw::<ClusterUpdate>,
            )
            .map_err(|error| Failure::Lost(error.to_string()))?;
        let mut check = interval(SESSION_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let changed = tokio::select! {
                command = commands.recv() => match command {
                    None | Some(Command::Stop) => return Ok(()),
                    Some(command) => self.command(command).await,
                },
                event = events.recv() => match event {
                    Some(event) => self.event(&event)?,
                    None => return Err(Failure::Lost("the player ended".into())),
                },
                Some(report) = reports.recv() => self.output(report),
                Some(tell) = tells.recv() => self.tell(tell)?,
                Some(Ok(update)) = clusters.next() => self.cluster(update.cluster.as_ref()),
                Ok(()) = level.changed() => self.level(*level.borrow_and_update()),
                _ = check.tick() => self.check()?,
            };
            if changed {
                self.choose_gain();
                self.publish();
            }
        }
    }

    fn check(&mut self) -> Result<bool, Failure> {
        if self.session.is_invalid() {
            return Err(link_gone());
        }
        if self.player.is_invalid() {
            return Err(Failure::Lost("the player thread ended".into()));
        }
        // While music plays its place is told anew, so that it can be taken up exactly there.
        Ok(self.follower.playback.state == PlayState::Playing)
    }

    async fn command(&mut self, command: Command) -> bool {
        let done = match command {
            Command::Check { id } => {
                let alive = self.alive().await;
                self.reporter.report(&Event::Checked { id, alive });
                Ok(())
            }
            Command::Restore(then) => self.restore(&then),
            Command::Play => self.spirc.play(),
            Command::Pause => {
                self.waiting = false;
                self.spirc.pause()
            }
            Command::Next => self.spirc.next(),
            Command::Previous => self.spirc.prev(),
            Command::Seek { position_ms } => self.spirc.set_position_ms(position_ms),
            Command::SetVolume { volume } => self.spirc.set_volume(volume.0),
            Command::Shuffle { on } => self.spirc.shuffle(on),
            Command::Repeat { mode } => self
                .spirc
                .repeat(mode == Repeat::Context)
                .and_then(|()| self.spirc.repeat_track(mode == Repeat::Track)),
            Command::Start(_) | Command::Pair(_) | Command::Pasted { .. } | Command::Stop => Ok(()),
        };
        if let Err(error) = done {
            warn!("an order could not be passed on: {error}");
        }
        false
    }

    fn restore(&mut self, then: &Playback) -> Result<(), librespot_core::Error> {
        let Some(request) = restore::request(then) else {
            return Ok(());
        };
        info!("taking playback up where it broke off");
        if let Some(context) = then.context.clone() {
            self.follower.context(context);
        }
        self.spirc.activate()?;
        self.spirc.load(request)
    }

    /// Whether the access point still answers. Any answer will do, a refusal too.
    async fn alive(&self) -> bool {
        if self.session.is_invalid() {
            return false;
        }
        let Ok(question) = self.session.mercury().get("hm://siskin/alive") else {
            return false;
        };
        timeout(CHECK_LIMIT, question).await.is_ok() && !self.session.is_invalid()
    }

    fn event(&mut self, event: &PlayerEvent) -> Result<bool, Failure> {
        match event {
            PlayerEvent::SessionDisconnected { .. } if self.session.is_invalid() => {
                // Not a listener's wish but the end of the link: what played is to be taken up again.
                return Err(link_gone());
            }
            PlayerEvent::Unavailable { track_id, .. } => {
                let uri = track_id.to_uri().unwrap_or_default();
                warn!("a track cannot be played ({uri})");
                if let Some(condition) = self.breaker.unavailable(&uri, Instant::now()) {
                    self.reporter.report(&Event::Raised { condition });
                }
            }
            PlayerEvent::Paused { .. } if self.clock.refused() => {
                self.waiting = true;
                // We were busy, and the output is back already.
                if !self.clock.is_lost() {
                    self.go_on();
                }
            }
            // Every order to load says so first; one that finds its track preloaded says only this.
            PlayerEvent::PlayRequestIdChanged { .. } => self.waiting = false,
            PlayerEvent::Loading { .. } if self.breaker.loading(Instant::now()) == Advice::Stop => {
                self.player.stop();
            }
            PlayerEvent::Playing { .. } if self.breaker.playing() => {
                for code in [ConditionCode::KeysRefused, ConditionCode::TracksFail] {
                    self.reporter.report(&Event::Cleared { code });
                }
            }
            PlayerEvent::Seeked { .. }
            | PlayerEvent::Stopped { .. }
            | PlayerEvent::SessionDisconnected { .. } => self.waiting = false,
            _ => {}
        }
        Ok(self.follower.event(event, unix_ms()))
    }

    fn output(&mut self, report: Report) -> bool {
        match report {
            Report::Opened(opened) => {
                info!(
                    "sound goes to {} ({} Hz, {})",
                    opened.device, opened.rate, opened.format
                );
                self.reporter.report(&Event::Cleared {
                    code: ConditionCode::OutputLost,
                });
            }
            Report::Lost(condition) => self.reporter.report(&Event::Raised { condition }),
            Report::Back => {
                self.reporter.report(&Event::Cleared {
                    code: ConditionCode::OutputLost,
                });
                self.go_on();
            }
            Report::Xrun { count } => debug!("the sound card ran dry ({count} times so far)"),
        }
        false
    }

    /// There is an output again: plays, if it was the want of one that paused.
    fn go_on(&mut self) {
        if std::mem::take(&mut self.waiting) {
            let _ = self.spirc.play();
        }
    }

    fn level(&mut self, volume: Volume) -> bool {
        self.follower.playback.volume = volume;
        true
    }

    fn tell(&mut self, tell: Tell) -> Result<bool, Failure> {
        match tell {
            Tell::KeyRefused => self.breaker.key_refused(),
            Tell::Context { uri } => return Ok(self.follower.context(uri)),
            Tell::Lost => return Err(link_gone()),
            Tell::NotPremium { .. } | Tell::Listed => {}
        }
        Ok(false)
    }

    fn cluster(&mut self, cluster: Option<&Cluster>) -> bool {
        let Some(cluster) = cluster.filter(|cluster| cluster.active_device_id == self.device)
        else {
            return false;
        };
        cluster
            .player_state
            .as_ref()
            .is_some_and(|player| self.follower.cluster(player))
    }

    /// What "auto" normalisation goes by; librespot leaves it to us. Holds from the next track that
    /// begins: a context is known here before its first track is loaded.
    fn choose_gain(&mut self) {
        let by_album = self.follower.plays_album_in_order();
        if std::mem::replace(&mut self.by_album, by_album) != by_album {
            self.player.set_auto_normalise_as_album(by_album);
        }
    }

    fn publish(&mut self) {
        let mut playback = self.follower.playback.clone();
        let heard = self.clock.now();
        if playback.state == PlayState::Playing
            && heard.consuming
            && heard.track == self.follower.request()
        {
            playback.position_ms = heard.position_ms;
            playback.at_ms = unix_ms();
        }
        self.reporter.report(&Event::Playback(Box::new(playback)));
    }
}

fn link_gone() -> Failure {
    Failure::Lost("the link to the access point is gone".into())
}

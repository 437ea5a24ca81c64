//! A sound card: opened when something is to be heard, given back when not, looked for when lost.
//!
//! One thread owns the device. It alone opens, watches and drops it; the player's thread never
//! touches ALSA, so a device that hangs cannot hang the player.

mod device;
mod examine;
mod quiet;
mod ring;
mod trouble;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use device::Live;
pub(super) use device::devices;
pub use examine::Examined;
pub(super) use examine::examine;
pub(super) use ring::Ring;
use tracing::info;
use trouble::Trouble;

use super::{
    feed::{Feed, Status},
    outbox::Outbox,
    report::Report,
    retry::Retry,
    volume::VolumeControl,
};
use crate::model::Condition;

/// Others may have the card when nothing was heard for so long.
const GIVE_BACK: Duration = Duration::from_secs(10);
/// A card that asks for no samples for so long is dead. Its longest honest pause is one period.
const STALLED: Duration = Duration::from_secs(2);
/// How often an open card is looked at. Errors wake the owner at once; this finds stalls.
const LOOK: Duration = Duration::from_millis(500);
/// A card that was lost counts as back when it goes on asking for samples after its ring is full.
const PROOF_LIMIT: Duration = STALLED;
/// The longest wait until what a card holds was heard, before it is opened otherwise.
const RENEWAL: Duration = Duration::from_millis(300);
/// A card is handed from one account to the next by two processes. The newer one may be here first;
/// until then nobody needs to hear that the card is busy, and the player need not pause.
const HAND_OVER: Duration = Duration::from_secs(1);

pub(super) struct Owner {
    pub feed: Arc<Feed>,
    pub volume: Arc<VolumeControl>,
    /// As `siskin devices` names it; `None` is the default one.
    pub name: Option<String>,
    pub ring: Ring,
    pub outbox: Outbox,
    /// How many of the feed's gaps have been reported.
    pub gaps: u64,
}

/// Why an open card was closed.
enum End {
    /// Nobody plays.
    Given,
    Lost(Condition),
    /// Its ring was too short.
    TooShort,
}

impl Owner {
    pub(super) fn spawn(self) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("siskin-card".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        // What ALSA prints by itself says nothing to a listener, and goes to stderr without this.
        let _quiet = quiet::Quiet::new();
        let mut retry = Retry::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut busy_since = None;
        loop {
            let status = self.feed.wait(retry.at(), |status| {
                status.closing || (status.wanted && retry.at().is_none())
            });
            if status.closing {
                return;
            }
            if !status.wanted {
                retry.reset();
                busy_since = None;
                continue;
            }
            match self.open() {
                Ok(live) => {
                    retry.reset();
                    busy_since = None;
                    match self.keep(live) {
                        End::Lost(condition) if self.feed.status().running => {
                            self.lose(condition);
                            retry.later();
                        }
                        // One that is lost while nobody plays is missed by nobody: whoever plays
                        // next hears of it.
                        End::Lost(_) | End::Given => self.feed.closed(),
                        End::TooShort => self.feed.renewed(),
                    }
                }
                Err(Trouble::Busy)
                    if !self.outbox.is_lost() && begun(&mut busy_since) < HAND_OVER =>
                {
                    retry.reset();
                    retry.later();
                }
                Err(trouble) => {
                    self.lose(trouble.condition(self.name.as_deref()));
                    retry.later();
                }
            }
        }
    }

    fn lose(&mut self, condition: Condition) {
        self.feed.lose();
        self.outbox.lost(condition);
    }

    /// Opens the card and, when it had been lost, makes sure that it really takes samples.
    fn open(&mut self) -> Result<Live, Trouble> {
        let (name, period) = (self.name.as_deref(), self.ring.period());
        let live = Live::open(&self.feed, &self.volume, name, period)?;
        if self.outbox.is_lost() {
            // Once its ring is full, it has to play before it asks for more.
            let proof = self.feed.status().asked + live.holds() as u64;
            let deadline = Instant::now() + PROOF_LIMIT;
            let proven = |status: &Status| status.asked >= proof;
            while !proven(&self.feed.status()) {
                if let Some(trouble) = live.fault() {
                    return Err(trouble);
                }
                if self.feed.status().closing || Instant::now() >= deadline {
                    return Err(Trouble::Stalled);
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        let was_lost = self.feed.opened(live.holds());
        self.outbox.send(Report::Opened(live.opened()));
        self.outbox.back(was_lost);
        Ok(live)
    }

    /// Watches the open card until it is to be closed.
    fn keep(&mut self, live: Live) -> End {
        loop {
            let look = Instant::now() + LOOK;
            let status = self.feed.wait(Some(look), |status| {
                status.closing || live.fault().is_some()
            });
            let name = self.name.as_deref();
            if let Some(trouble) = live.fault() {
                // Drop first: a dead sound server calls back as fast as it can.
                drop(live);
                return End::Lost(trouble.condition(name));
            }
            if status.last_pull.elapsed() > STALLED {
                drop(live);
                return End::Lost(Trouble::Stalled.condition(name));
            }
            let xruns = live.xruns();
            let gaps = status.gaps - std::mem::replace(&mut self.gaps, status.gaps);
            self.outbox.xruns(xruns + gaps);
            let idle = status
                .idle_since
                .is_some_and(|since| since.elapsed() > GIVE_BACK);
            if status.closing || idle {
                drop(live);
                return End::Given;
            }
            let before = self.ring.ms();
            if xruns > 0 && self.ring.ran_dry(live.period(), Instant::now()) {
                info!(
                    "the sound card ran dry again and again: {} ms lie ready for it from now on, not \
                     {before}",
                    self.ring.ms()
                );
                let held = Duration::from_millis(u64::from(before) + 100);
                self.feed.hush(held.max(RENEWAL));
                drop(live);
                return End::TooShort;
            }
        }
    }
}

/// What ALSA itself calls it: settings may say whose name it is.
fn bare(name: &str) -> &str {
    name.strip_prefix("alsa:").unwrap_or(name)
}

/// How long it has been so, counted from the first call.
fn begun(since: &mut Option<Instant>) -> Duration {
    since.get_or_insert_with(Instant::now).elapsed()
}

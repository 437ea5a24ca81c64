//! From the player's samples to the sound card.
//!
//! Owns the ring of samples, the fades at its edges, the volume, and the device behind them. Knows
//! nothing of sessions, and little of tracks: what happens to the device goes to the engine as a
//! [`Report`], which place is heard is read off the [`Clock`].
//!
//! ```text
//! player's thread              device's thread
//! Inlet ──► Feed { Reel } ──► Tap (volume, resampling) ──► card | pipe | wav | null
//! ```
//!
//! The ring holds a second, and pause, stop, seek and volume act behind it: within the device's own
//! delay, however much waits. That delay is what lies in the card itself (`buffer_ms`). Nothing blocks the player: what does not fit is not taken, and it is
//! woken when there is room. Music that stops or starts in the middle of a track fades for 5 ms;
//! the joint of two tracks is left exactly as it is. A device that goes away loses nothing of what
//! waits, and is tried again for ever.
//!
//! Start at [`Output::open`]; what is faded is decided in `reel`.

mod card;
mod clock;
mod dim;
mod feed;
mod format;
mod inlet;
mod outbox;
mod reel;
mod report;
mod retry;
mod stream;
mod tap;
mod volume;

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

pub use card::Examined;
pub use clock::{Clock, Played, Stock};
pub use inlet::{Inlet, Look};
pub use report::{Opened, Report};
pub use volume::VolumeControl;

use crate::{
    config::{self, SampleFormat},
    model::{Dim, frames_of},
};
use feed::Feed;
use inlet::DEPTH;
use outbox::Outbox;
use report::lost;
use stream::{Null, Pipe, Target, Wav, Writer};

/// The longest wait for the device's thread at the end; a device that hangs is left behind.
const CLOSE_LIMIT: Duration = Duration::from_millis(600);
/// A player that was told to stop fades out, behind what the device holds already: that, and a tenth
/// of a second, within these.
const REST_LIMITS: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1_200)];

/// One output of the settings: a name for `device =`, what it is, and whether it is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLine {
    pub name: String,
    pub description: String,
    pub is_default: bool,
}

/// The cards and other ALSA devices that `device =` can name. Opens none of them.
pub fn devices() -> Vec<DeviceLine> {
    card::devices()
}

/// Opens a card, looks at its mixer, and closes it again; `tone` is heard for a second. For whoever
/// asks why there is no sound, never while something plays on it. Blocks.
pub fn examine(device: Option<&str>, tone: bool) -> Examined {
    card::examine(device, tone)
}

/// Lets music go that waits for somebody's word.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Feed>);

impl Gate {
    pub fn open(&self) {
        self.0.release();
    }
}

/// Lets the music grow quieter, beside the volume: no slider and no mixer moves.
#[derive(Debug, Clone)]
pub struct Dimmer(Arc<Feed>);

impl Dimmer {
    /// From the next sample on. `None`: as loud as ever, within a second while music is heard, and at
    /// once when it begins after a silence.
    pub fn dim(&self, dim: Option<Dim>) {
        self.0.lock().reel.dim(dim);
    }
}

/// The output of one engine.
#[derive(Debug)]
pub struct Output {
    feed: Arc<Feed>,
    volume: Arc<VolumeControl>,
    reports: mpsc::Sender<Report>,
    daemon_pid: u32,
    thread: Option<JoinHandle<()>>,
    /// The longest wait for the music to rest.
    rest: Duration,
}

impl Output {
    /// Never fails: trouble is a report, and comes when something is to be played. The device is
    /// opened at the first sound, not now.
    pub fn open(
        settings: &config::Output,
        volume: Arc<VolumeControl>,
        reports: mpsc::Sender<Report>,
        daemon_pid: u32,
    ) -> Self {
        let mut output = Self {
            feed: Arc::new(Feed::new(depth(settings))),
            volume,
            reports,
            daemon_pid,
            thread: None,
            rest: rest(settings),
        };
        output.own(settings);
        output
    }

    /// Starts the thread that owns the device.
    fn own(&mut self, settings: &config::Output) {
        let owner = Parts {
            feed: Arc::clone(&self.feed),
            volume: Arc::clone(&self.volume),
            outbox: Outbox::new(self.reports.clone()),
        };
        match owner.spawn(settings, self.daemon_pid) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                self.feed.lose();
                let condition = lost(
                    "there is no sound output",
                    format!("the machine gives no thread for it: {error}"),
                    "free some memory; the output is opened anew when somebody picks the speaker \
                     again",
                );
                // Where it is full, others have told of trouble already.
                let _ = self.reports.try_send(Report::Lost(condition));
            }
        }
    }

    /// Leads the sound elsewhere: what is heard fades, the device is closed, and what waits goes on
    /// at the new one from the same sample. Reports tell what comes of it. Blocks for two seconds at
    /// most, one where the device holds less than a third. False: the old device does not let go, and this output is of no use any more.
    pub fn switch(&mut self, settings: &config::Output) -> bool {
        self.feed.hush(self.rest);
        self.rest = rest(settings);
        self.end();
        if self.thread.is_some() {
            return false;
        }
        self.feed.reopen(depth(settings));
        self.own(settings);
        true
    }

    /// Whether music is to be heard, so that the device has to open.
    pub fn is_wanted(&self) -> bool {
        self.feed.status().wanted
    }

    /// Whether the device is open: of the one that was switched to last.
    pub fn is_open(&self) -> bool {
        self.feed.is_open()
    }

    /// The player's end: where samples go. One player an output.
    pub fn inlet(&self) -> Inlet {
        Inlet::new(Arc::clone(&self.feed))
    }

    /// From now on music that begins after a silence waits: [`Report::Holding`] says so, and
    /// [`Gate::open`] lets it go. Whoever asks sets the limit.
    pub fn ask(&self, reports: mpsc::Sender<Report>) {
        self.feed.lock().asks = Some(reports);
    }

    pub fn gate(&self) -> Gate {
        Gate(Arc::clone(&self.feed))
    }

    pub fn dimmer(&self) -> Dimmer {
        Dimmer(Arc::clone(&self.feed))
    }

    pub fn clock(&self) -> Clock {
        Clock {
            feed: Arc::clone(&self.feed),
        }
    }

    /// Closes the device and completes a file. Blocks as long as [`Self::switch`]. Tell the player to stop
    /// before: what it has written is let out and fades.
    pub fn close(mut self) {
        self.feed.rest(self.rest);
        self.end();
    }

    fn end(&mut self) {
        self.feed.close();
        let Some(thread) = &self.thread else {
            return;
        };
        let deadline = Instant::now() + CLOSE_LIMIT;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !thread.is_finished() {
            tracing::warn!("the sound device does not let go; leaving it behind");
        } else if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the output's thread had panicked");
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.end();
    }
}

/// Frames that wait behind this output: a second, and twice what lies in the card itself, which takes
/// half of its own in one go.
fn depth(settings: &config::Output) -> usize {
    match settings {
        config::Output::Card { buffer_ms, .. } => DEPTH.max(2 * frames_of(*buffer_ms) as usize),
        _ => DEPTH,
    }
}

/// How long it may take until all of what this output holds was heard.
fn rest(settings: &config::Output) -> Duration {
    let [least, most] = REST_LIMITS;
    match settings {
        config::Output::Card { buffer_ms, .. } => {
            Duration::from_millis(u64::from(*buffer_ms) + 100).clamp(least, most)
        }
        _ => least,
    }
}

struct Parts {
    feed: Arc<Feed>,
    volume: Arc<VolumeControl>,
    outbox: Outbox,
}

impl Parts {
    fn spawn(self, settings: &config::Output, daemon_pid: u32) -> std::io::Result<JoinHandle<()>> {
        let second = Duration::from_secs(1);
        match settings {
            config::Output::Card { device, buffer_ms } => card::Owner {
                feed: self.feed,
                volume: self.volume,
                name: device.clone(),
                ring: card::Ring::new(*buffer_ms),
                outbox: self.outbox,
                gaps: 0,
            }
            .spawn(),
            config::Output::Pipe { path, format } => {
                let pipe = Pipe::new(path.clone(), daemon_pid, *format);
                // A reader that was just started should not wait for long.
                self.write_to(Box::new(pipe), *format, second / 2)
            }
            config::Output::Wav { path, format } => {
                let wav = Wav::new(path.clone(), *format);
                self.write_to(Box::new(wav), stream::stored(*format), second * 2)
            }
            config::Output::Null => self.write_to(Box::new(Null), SampleFormat::F32, second),
        }
    }

    fn write_to(
        self,
        target: Box<dyn Target>,
        format: SampleFormat,
        patience: Duration,
    ) -> std::io::Result<JoinHandle<()>> {
        Writer {
            feed: self.feed,
            volume: self.volume,
            outbox: self.outbox,
            target,
            format,
            patience,
            bytes: Vec::new(),
            flushes: 0,
        }
        .spawn()
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;

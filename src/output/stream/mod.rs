//! Outputs that are not a card: a pipe, a WAV file, nothing at all.
//!
//! One thread takes samples from the feed and writes them. Music never runs faster than real time,
//! whatever a reader would swallow: position, preloading and the phone go by what has been played.

mod pace;
mod pipe;
mod wav;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use pace::Pacer;
pub(super) use pipe::Pipe;
pub(super) use wav::{Wav, stored};

use super::{
    feed::Feed,
    format::{encode, width},
    outbox::Outbox,
    reel::Pace,
    report::{Opened, Report},
    retry::Retry,
    tap::Tap,
    volume::VolumeControl,
};
use crate::{
    config::SampleFormat,
    model::{CHANNELS, Condition, RATE},
};

/// Frames written at once: 40 ms. Each block is a wake-up; a pause waits for one at most.
const BLOCK: usize = 1764;
/// A reader that takes nothing for so long has stalled.
pub(super) const STALLED: Duration = Duration::from_secs(2);

/// Where bytes go.
pub(super) trait Target: Send {
    /// Opens it, or makes sure that it is open and takes something.
    fn open(&mut self) -> Result<Opened, Condition>;

    /// Writes from the front of `bytes` and removes what was written; after an error, the rest is
    /// for the next call. Never blocks longer than [`STALLED`], nor when `ending`.
    fn write(&mut self, bytes: &mut Vec<u8>, ending: &dyn Fn() -> bool) -> Result<(), Condition>;

    /// Bytes written that nobody has read yet.
    fn unread(&self) -> u64 {
        0
    }

    /// Bytes that complete a frame of which a part was written.
    fn owed(&self) -> usize {
        0
    }

    /// Takes back what nobody has read, but for a fade. False: it could not, and the fade is still
    /// to be written.
    fn retract(&mut self) -> bool {
        false
    }

    /// Leaves a finished file behind.
    fn finish(&mut self) {}
}

/// Takes the music and the time that it lasts, and nothing else.
pub(super) struct Null;

impl Target for Null {
    fn open(&mut self) -> Result<Opened, Condition> {
        Ok(Opened {
            device: "nowhere".into(),
            rate: RATE,
            format: "FLOAT_LE".into(),
        })
    }

    fn write(&mut self, bytes: &mut Vec<u8>, _: &dyn Fn() -> bool) -> Result<(), Condition> {
        bytes.clear();
        Ok(())
    }
}

pub(super) struct Writer {
    pub feed: Arc<Feed>,
    pub volume: Arc<VolumeControl>,
    pub outbox: Outbox,
    pub target: Box<dyn Target>,
    pub format: SampleFormat,
    /// Longest pause between two tries to open the target.
    pub patience: Duration,
    /// Taken from the feed, not yet written: survives a reader that goes away.
    pub bytes: Vec<u8>,
    /// How often what waited had been dropped when they were taken.
    pub flushes: u64,
}

impl Writer {
    pub(super) fn spawn(self) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("siskin-writer".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let mut retry = Retry::new(Duration::from_millis(100), self.patience);
        loop {
            let status = self.feed.wait(retry.at(), |status| {
                status.closing || (status.wanted && retry.at().is_none())
            });
            if status.closing {
                return self.target.finish();
            }
            if !status.wanted {
                retry.reset();
                continue;
            }
            match self.open() {
                Ok(opened) => {
                    retry.reset();
                    let was_lost = self.feed.opened(0);
                    self.outbox.send(Report::Opened(opened));
                    self.outbox.back(was_lost);
                    match self.keep() {
                        Some(condition) if self.feed.status().running => {
                            self.lose(condition);
                            retry.later();
                        }
                        // Nobody misses it. Whoever plays next hears of it.
                        Some(_) => self.feed.closed(),
                        None => {}
                    }
                }
                // Also while the music waits, paused, for exactly this to heal.
                Err(condition) => {
                    self.lose(condition);
                    retry.later();
                }
            }
        }
    }

    /// Opens the target, and writes what is left from before: one that does not take it is not back.
    fn open(&mut self) -> Result<Opened, Condition> {
        let opened = self.target.open()?;
        if self.feed.status().flushes != self.flushes {
            // It belongs to music that nobody waits for any more.
            self.bytes.truncate(self.target.owed());
        }
        self.write()?;
        Ok(opened)
    }

    fn write(&mut self) -> Result<(), Condition> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let feed = Arc::clone(&self.feed);
        let ending = move || feed.status().closing;
        self.target.write(&mut self.bytes, &ending)
    }

    fn lose(&mut self, condition: Condition) {
        self.feed.lose();
        self.outbox.lost(condition);
    }

    /// Writes until the target fails, or the output is closed (`None`).
    fn keep(&mut self) -> Option<Condition> {
        let mut tap = Tap::new(
            Arc::clone(&self.feed),
            Arc::clone(&self.volume),
            Pace::Patient,
            0,
        );
        let mut block = vec![0.0; BLOCK * CHANNELS];
        let mut pacer = Pacer::new(Instant::now());
        let frame = (CHANNELS * width(self.format)) as u64;
        let mut cuts = self.feed.status().cuts;
        loop {
            if let Err(condition) = self.write() {
                return Some(condition);
            }
            let status = self.feed.wait_for_music();
            self.outbox.flush();
            if status.closing {
                return None;
            }
            if !status.ready {
                continue;
            }
            // Wait before taking, so that a skip still catches what is in the queue.
            let now = Instant::now();
            let status = self.feed.wait(Some(now + pacer.due(now)), |status| {
                status.closing || status.cuts != cuts
            });
            if std::mem::replace(&mut cuts, status.cuts) != status.cuts && self.target.retract() {
                self.feed.lock().reel.skip_fade();
                pacer = Pacer::new(Instant::now());
                continue;
            }
            let unread = self.target.unread() / frame;
            tap.set_delay(unread);
            let count = tap.fill(&mut block);
            pacer.took(count, unread);
            self.flushes = status.flushes;
            encode(&block[..count * CHANNELS], self.format, &mut self.bytes);
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;

//! Hears when sound begins and ends, at the far end of a FIFO.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::stat::Mode,
    unistd::mkfifo,
};
use tempfile::TempDir;

/// 44.1 kHz, stereo, 16 bits.
const BYTES_PER_SECOND: f64 = 44_100.0 * 4.0;
/// The smallest pipe the kernel makes: 23 ms.
const PIPE_BYTES: i32 = 4096;
/// About a millisecond and a half at a time, to tell moments that close.
const BLOCK: usize = 256;
/// Quieter samples are silence: what is left of a fade, or dither.
const LOUD: i16 = 16;
/// The left channel has to get past this to count as having changed its sign.
const SWING: i16 = 256;
/// Half a wave of 1378 Hz. Shorter ones are high.
const HIGH_HALF: u32 = 16;
/// So many in a row are a pitch.
const HIGH_RUN: u32 = 3;
/// No sound for so long is a gap.
const GAP: Duration = Duration::from_millis(30);

/// What had gone over the line at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// For audio.
    pub requests: usize,
    /// Of audio.
    pub bytes: u64,
}

/// Reads 16 bit stereo at the speed of a sound card and keeps nothing of it.
pub struct Ear {
    path: PathBuf,
    heard: Arc<Mutex<Heard>>,
    /// Keeps the pipe from ending between tracks, and wakes the reader at the end.
    own_end: Option<File>,
    reader: Option<JoinHandle<()>>,
    spent: Arc<dyn Fn() -> Spent + Send + Sync>,
    _folder: TempDir,
}

#[derive(Default)]
struct Heard {
    bytes: u64,
    first_loud: Option<(Instant, Spent)>,
    last_loud: Option<Instant>,
    awaited: Option<Awaited>,
    came: Option<(Instant, Spent)>,
    stop: bool,
    /// Nothing is read for now.
    stuck: bool,
}

/// What to listen for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A pitch above 1.4 kHz on the left.
    HighPitch,
    /// Sound after a gap of 30 ms.
    EndOfGap,
}

/// Hears whether the left channel has a high pitch, wave by wave.
#[derive(Default)]
struct Pitch {
    positive: bool,
    since: u32,
    run: u32,
}

impl Pitch {
    fn is_high(&mut self, left: i16) -> bool {
        self.since = self.since.saturating_add(1);
        let turned = if self.positive {
            left < -SWING
        } else {
            left > SWING
        };
        if turned {
            self.positive = !self.positive;
            let high = self.since <= HIGH_HALF;
            self.run = if high { self.run + 1 } else { 0 };
            self.since = 0;
        }
        self.run >= HIGH_RUN
    }
}

impl Ear {
    /// `spent` is asked at the moments that matter.
    ///
    /// # Errors
    /// When no FIFO can be made.
    pub fn start(spent: impl Fn() -> Spent + Send + Sync + 'static) -> io::Result<Self> {
        let folder = TempDir::with_prefix("ear-")?;
        let path = folder.path().join("sound");
        mkfifo(&path, Mode::from_bits_truncate(0o600))?;
        let mut ear = Self {
            path,
            heard: Arc::default(),
            own_end: None,
            reader: None,
            spent: Arc::new(spent),
            _folder: folder,
        };
        ear.listen_again()?;
        Ok(ear)
    }

    /// Opens the pipe and reads it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn listen_again(&mut self) -> io::Result<()> {
        // Both ends at once: opening waits for nobody, and nobody has to wait for us.
        let pipe = OpenOptions::new().read(true).write(true).open(&self.path)?;
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES))?;
        // Never waits: nobody reads any more when it is needed last, and the pipe may be full.
        let own_end = OpenOptions::new()
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&self.path)?;
        self.own_end = Some(own_end);
        self.heard().stop = false;
        let (heard, spent) = (self.heard.clone(), self.spent.clone());
        self.reader = Some(thread::spawn(move || listen(pipe, &heard, &*spent)));
        Ok(())
    }

    /// Goes away from the pipe: whoever writes has nobody to write to.
    pub fn leave(&mut self) {
        self.heard().stop = true;
        if let Some(mut own_end) = self.own_end.take() {
            // A full pipe needs no waking, so a short write would do as well.
            let _ = own_end.write(&[0; 4]);
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Reads nothing any more while the pipe stays open, or goes on reading.
    pub fn stick(&self, stuck: bool) {
        self.heard().stuck = stuck;
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seconds of music so far.
    pub fn seconds(&self) -> f64 {
        self.heard().bytes as f64 / BYTES_PER_SECOND
    }

    /// When the first sound came, and at what price.
    pub fn began(&self) -> Option<(Instant, Spent)> {
        self.heard().first_loud
    }

    /// Begins to listen for something.
    pub fn listen_for(&self, what: Awaited) {
        let mut heard = self.heard();
        heard.awaited = Some(what);
        heard.came = None;
    }

    /// When it came, and what had been spent by then.
    pub fn came(&self) -> Option<(Instant, Spent)> {
        self.heard().came
    }

    /// When the last sound came.
    pub fn last(&self) -> Option<Instant> {
        self.heard().last_loud
    }

    /// Waits until nothing has been heard for `still`, and says when the last sound was.
    pub async fn silence(&self, still: Duration, limit: Duration) -> Option<Instant> {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            let last = self.heard().last_loud?;
            if last.elapsed() > still {
                return Some(last);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        held(&self.heard)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.leave();
    }
}

fn listen(mut pipe: File, heard: &Mutex<Heard>, spent: &dyn Fn() -> Spent) {
    let mut block = [0; BLOCK];
    let mut pitch = Pitch::default();
    // Since when the music runs, and the bytes read since then.
    let mut running: Option<(Instant, u64)> = None;
    loop {
        while held(heard).stuck && !held(heard).stop {
            thread::sleep(Duration::from_millis(5));
        }
        let asked = Instant::now();
        let Ok(count) = pipe.read(&mut block) else {
            return;
        };
        let now = Instant::now();
        if now - asked > Duration::from_millis(50) {
            // It was kept waiting: no backlog to make up for.
            running = None;
        }
        {
            let mut heard = held(heard);
            if heard.stop {
                return;
            }
            heard.bytes += count as u64;
            let sample = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
            let block = &block[..count];
            let is_loud = |pair: &[u8]| sample(pair).unsigned_abs() > LOUD.unsigned_abs();
            let loud = block.chunks_exact(2).any(is_loud);
            let mut high = false;
            for frame in block.chunks_exact(4) {
                // Every frame counts: the pitch is told from the ones before.
                high |= pitch.is_high(sample(frame));
            }
            let gap = heard.last_loud.is_some_and(|last| now - last >= GAP);
            let came = match heard.awaited {
                Some(Awaited::HighPitch) => high,
                Some(Awaited::EndOfGap) => loud && gap,
                None => false,
            };
            if came && heard.came.is_none() {
                heard.came = Some((now, spent()));
            }
            if loud {
                heard.first_loud.get_or_insert_with(|| (now, spent()));
                heard.last_loud = Some(now);
            }
        }
        let (since, taken) = running.get_or_insert((now, 0));
        *taken += count as u64;
        let due = Duration::from_secs_f64(*taken as f64 / BYTES_PER_SECOND);
        thread::sleep(due.saturating_sub(since.elapsed()));
    }
}

fn held(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, pitch: &mut Pitch) -> bool {
        (0..2000).any(|n| {
            let wave = (n as f32 / 44_100.0 * hz * std::f32::consts::TAU).sin();
            pitch.is_high((wave * 9000.0) as i16)
        })
    }

    #[test]
    fn a_high_pitch_is_told_from_a_low_one() {
        let mut pitch = Pitch::default();
        assert!(!tone(300.0, &mut pitch));
        assert!(!tone(800.0, &mut pitch));
        assert!(tone(1680.0, &mut pitch));
        assert!(!tone(300.0, &mut Pitch::default()));
        assert!(tone(3300.0, &mut Pitch::default()));
    }
}

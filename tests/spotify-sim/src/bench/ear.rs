//! Hears when sound begins and ends, at the far end of a FIFO.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
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

/// Reads 16 bit stereo at the speed of a sound card and keeps nothing of it.
pub struct Ear {
    path: PathBuf,
    heard: Arc<Mutex<Heard>>,
    /// Keeps the pipe from ending between tracks, and wakes the reader at the end.
    own_end: File,
    reader: Option<JoinHandle<()>>,
    _folder: TempDir,
}

#[derive(Default)]
struct Heard {
    bytes: u64,
    first_loud: Option<Instant>,
    last_loud: Option<Instant>,
    stop: bool,
}

impl Ear {
    /// # Errors
    /// When no FIFO can be made.
    pub fn start() -> io::Result<Self> {
        let folder = TempDir::with_prefix("ear-")?;
        let path = folder.path().join("sound");
        mkfifo(&path, Mode::from_bits_truncate(0o600))?;
        // Both ends at once: opening waits for nobody, and nobody has to wait for us.
        let pipe = OpenOptions::new().read(true).write(true).open(&path)?;
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES))?;
        let own_end = pipe.try_clone()?;
        let heard = Arc::<Mutex<Heard>>::default();
        let into = heard.clone();
        let reader = thread::spawn(move || listen(pipe, &into));
        Ok(Self {
            path,
            heard,
            own_end,
            reader: Some(reader),
            _folder: folder,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seconds of music so far.
    pub fn seconds(&self) -> f64 {
        self.heard().bytes as f64 / BYTES_PER_SECOND
    }

    /// When the first sound came.
    pub fn began(&self) -> Option<Instant> {
        self.heard().first_loud
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
        self.heard().stop = true;
        // A full pipe needs no waking, so a short write would do as well.
        let _ = self.own_end.write(&[0; 4]);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn listen(mut pipe: File, heard: &Mutex<Heard>) {
    let mut block = [0; BLOCK];
    // Since when the music runs, and the bytes read since then.
    let mut running: Option<(Instant, u64)> = None;
    loop {
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
            let is_loud = |sample: &[u8]| {
                i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > LOUD.unsigned_abs()
            };
            if block[..count].chunks_exact(2).any(is_loud) {
                heard.first_loud.get_or_insert(now);
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

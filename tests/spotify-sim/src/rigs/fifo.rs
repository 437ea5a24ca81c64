//! The far end of a named pipe: a reader that takes its time, as a
//! multi-room server does.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::{RigError, wait_until};

/// The smallest pipe the kernel makes: 23 ms of 16 bit stereo.
const PIPE_BYTES: i32 = 4096;
/// How long the reader sleeps when there is nothing to read, or not yet.
const NAP: Duration = Duration::from_millis(2);

/// How fast the reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As a sound card would: 44 100 frames a second from the first byte on.
    RealTime,
    /// As fast as it comes.
    Unpaced,
    /// Not at all: the pipe is open and fills up.
    Stuck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FifoFormat {
    S16,
    S32,
    F32,
}

impl FifoFormat {
    pub fn bytes_per_frame(self) -> usize {
        match self {
            FifoFormat::S16 => 4,
            FifoFormat::S32 | FifoFormat::F32 => 8,
        }
    }
}

/// A named pipe and its reader.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    format: FifoFormat,
    kept: Arc<Mutex<Kept>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    _dir: TempDir,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    intake: Vec<Intake>,
    dry: usize,
    pace: Option<Pace>,
    failed: Option<io::Error>,
}

/// One read that brought something.
#[derive(Debug, Clone, Copy)]
pub struct Intake {
    pub at: Instant,
    /// Bytes read in all, this read included.
    pub total: usize,
}

impl Fifo {
    /// Makes the pipe and starts to read.
    pub fn start(format: FifoFormat, pace: Pace) -> Result<Fifo, RigError> {
        let dir =
            TempDir::with_prefix("fifo-").map_err(RigError::io("make a folder for the pipe"))?;
        let path = dir.path().join("pipe");
        mkfifo(&path, Mode::from_bits_truncate(0o600))
            .map_err(io::Error::from)
            .map_err(RigError::io("make a named pipe"))?;
        let kept = Arc::new(Mutex::new(Kept {
            pace: Some(pace),
            ..Kept::default()
        }));
        let mut fifo = Fifo {
            path,
            format,
            kept,
            stop: Arc::default(),
            reader: None,
            _dir: dir,
        };
        fifo.resume()?;
        Ok(fifo)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the pace from the next read on.
    pub fn set_pace(&self, pace: Pace) {
        self.kept().pace = Some(pace);
    }

    /// Closes the reading end: a writer gets a broken pipe. What was read
    /// stays.
    pub fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Opens the reading end again after [`Fifo::close`].
    pub fn resume(&mut self) -> Result<(), RigError> {
        self.close();
        // Does not wait for a writer, and never blocks the reader.
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&self.path);
        let pipe = pipe.map_err(RigError::io("open the pipe for reading"))?;
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES))
            .map_err(io::Error::from)
            .map_err(RigError::io("make the pipe small"))?;
        self.stop = Arc::default();
        let (kept, stop) = (self.kept.clone(), self.stop.clone());
        let per_second = 44_100 * self.format.bytes_per_frame();
        self.reader = Some(thread::spawn(move || {
            read_on(pipe, &kept, &stop, per_second)
        }));
        Ok(())
    }

    /// Everything read so far.
    pub fn capture(&self) -> Vec<[f32; 2]> {
        let kept = self.kept();
        match self.format {
            FifoFormat::S16 => crate::listen::from_s16(&kept.bytes),
            FifoFormat::S32 => crate::listen::from_s32(&kept.bytes),
            FifoFormat::F32 => crate::listen::from_f32(&kept.bytes),
        }
    }

    /// When the bytes came.
    pub fn intake(&self) -> Vec<Intake> {
        self.kept().intake.clone()
    }

    /// How often a real-time reader found nothing when something was due.
    pub fn dry(&self) -> usize {
        self.kept().dry
    }

    /// Why the reader gave up by itself, if it did.
    pub fn failure(&self) -> Option<String> {
        self.kept().failed.as_ref().map(io::Error::to_string)
    }

    /// Waits until so many frames were read; blocks the thread.
    pub fn wait_frames(&self, frames: usize, limit: Duration) -> Result<(), RigError> {
        let wanted = frames * self.format.bytes_per_frame();
        wait_until(
            &format!("reading {frames} frames from the pipe"),
            limit,
            || (self.kept().bytes.len() >= wanted).then_some(()),
        )
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.close();
    }
}

fn read_on(mut pipe: File, kept: &Mutex<Kept>, stop: &AtomicBool, per_second: usize) {
    let mut block = vec![0; PIPE_BYTES as usize];
    // Since when the music runs, and how many bytes were taken since then.
    let mut running: Option<(Instant, usize)> = None;
    while !stop.load(Ordering::Relaxed) {
        let pace = kept.lock().unwrap_or_else(|e| e.into_inner()).pace;
        if pace == Some(Pace::Stuck) {
            running = None;
        }
        let due = match (pace, running) {
            (Some(Pace::Stuck), _) => 0,
            (Some(Pace::RealTime), Some((since, taken))) => {
                let by_now = (since.elapsed().as_secs_f64() * per_second as f64) as usize;
                by_now.saturating_sub(taken).min(block.len())
            }
            _ => block.len(),
        };
        let read = if due == 0 {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            pipe.read(&mut block[..due])
        };
        let mut kept = kept.lock().unwrap_or_else(|e| e.into_inner());
        match read {
            Ok(n) if n > 0 => {
                let (_, taken) = running.get_or_insert_with(|| (Instant::now(), 0));
                *taken += n;
                kept.bytes.extend(&block[..n]);
                let total = kept.bytes.len();
                kept.intake.push(Intake {
                    at: Instant::now(),
                    total,
                });
                continue;
            }
            // Nobody writes, or nothing is there yet. A real-time reader that
            // has waited for a whole pipe's worth has run dry.
            Ok(_) => {}
            Err(e)
                if e.kind() == io::ErrorKind::WouldBlock
                    || e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                kept.failed = Some(e);
                return;
            }
        }
        if due == block.len() && running.take().is_some() {
            kept.dry += 1;
        }
        drop(kept);
        thread::sleep(NAP);
    }
}

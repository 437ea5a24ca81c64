//! A FIFO, or the daemon's own standard output.
//!
//! Somebody hears at the other end, or a device takes it; an ordinary file that lies at the path would
//! only be filled, with 15 GB a day, and siskin keeps no music.
//!
//! Never blocks on a reader that is not there, and always writes whole frames: half a frame left
//! over from one reader would be white noise to the next.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    io::Errno,
};

use super::{STALLED, Target};
use crate::{
    config::SampleFormat,
    model::{CHANNELS, Condition, RATE},
    output::{
        format::{fade, name, width},
        reel::FADE,
        report::{Opened, lost},
    },
};

/// What a FIFO of ours holds: 93 ms of S16. The kernel's own 64 kB would be 370 ms, heard as lag.
const PIPE_SIZE: usize = 16 * 1024;
/// Other names of standard output. That of this process leads to the daemon, and is not for music.
const STANDARD_OUTPUT: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// The end of the output is looked for this often while a reader is slow.
const LOOK: Duration = Duration::from_millis(100);

pub(in crate::output) struct Pipe {
    path: Option<PathBuf>,
    daemon_pid: u32,
    format: SampleFormat,
    file: Option<File>,
    /// The file is a FIFO, whose unread bytes can be counted.
    fifo: bool,
    /// How much of an unfinished frame has been written.
    broken: usize,
    /// Another reader than the one that got the unfinished frame.
    fresh: bool,
}

impl Pipe {
    /// `None` as path is the standard output of process `daemon_pid`.
    pub(in crate::output) fn new(
        path: Option<PathBuf>,
        daemon_pid: u32,
        format: SampleFormat,
    ) -> Self {
        let is_other = |path: &PathBuf| !STANDARD_OUTPUT.iter().any(|name| path == Path::new(name));
        Self {
            path: path.filter(is_other),
            daemon_pid,
            format,
            file: None,
            fifo: false,
            broken: 0,
            fresh: false,
        }
    }

    fn shown(&self) -> String {
        match &self.path {
            Some(path) => format!("the pipe {}", path.display()),
            None => "standard output".into(),
        }
    }

    /// Where it is opened. Standard output becomes a new open file: ours alone gets `O_NONBLOCK`, the
    /// daemon's stays as it is.
    fn place(&self) -> PathBuf {
        let standard_output = || format!("/proc/{}/fd/1", self.daemon_pid).into();
        self.path.clone().unwrap_or_else(standard_output)
    }

    fn open_file(&self) -> io::Result<File> {
        let path = self.place();
        if self.path.is_some() && !path.exists() {
            let mode = Mode::from_raw_mode(0o660);
            mknodat(CWD, path.as_path(), FileType::Fifo, mode, 0)?;
        }
        // Should it have become a file meanwhile, nothing in it is lost.
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)?;
        if self.path.is_some() && file.metadata().is_ok_and(|m| is_fifo(&m)) {
            // Refused at worst; then the delay is longer.
            let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_SIZE);
        }
        Ok(file)
    }

    fn frame(&self) -> usize {
        CHANNELS * width(self.format)
    }

    fn trouble(&self, error: &io::Error) -> Condition {
        let shown = self.shown();
        match Errno::from_io_error(error) {
            Some(Errno::NXIO) if self.path.is_some() => lost(
                format!("nobody reads {shown}"),
                "no program has it open for reading",
                "start the program that reads it; music goes on by itself",
            ),
            Some(Errno::NXIO) => lost(
                "standard output is no pipe that can be written to",
                "it is a socket, as under systemd",
                "give the output a path: siskin makes a FIFO there",
            ),
            Some(Errno::PIPE) => lost(
                format!("the reader of {shown} went away"),
                "it closed its end",
                "start it again; music goes on by itself",
            ),
            Some(Errno::ACCESS | Errno::PERM) => lost(
                format!("{shown} may not be written to"),
                "permission denied",
                "give siskin's user the right to write to it",
            ),
            _ => lost(
                format!("{shown} cannot be written to"),
                error.to_string(),
                "check the path and the space on the disk; siskin tries again by itself",
            ),
        }
    }

    /// Why what is there is not written to. Where standard output leads is the doing of whoever
    /// started siskin.
    fn no_pipe(&self) -> Option<Condition> {
        let path = self.path.as_ref()?;
        let found = fs::metadata(path).ok()?;
        if takes_a_stream(&found) {
            return None;
        }
        let what = match found.is_file() {
            true => "an ordinary file, which would grow by 15 GB a day",
            false => "neither a FIFO nor a device that takes a stream",
        };
        Some(lost(
            format!("{} is no pipe", path.display()),
            format!("it is {what}"),
            "take it away, and siskin makes a FIFO there for a program to read; or set output.path to \
             another path. kind = \"wav\" writes a file",
        ))
    }

    /// The bytes that the reader has not read. Ours alone are in a FIFO of ours. Taken by one call:
    /// between two, the reader could take what lies in the middle.
    fn read_back(&self) -> io::Result<Vec<u8>> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let mut reader = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mut back = vec![0; usize::try_from(self.unread()).unwrap_or(0)];
        let count = loop {
            match reader.read(&mut back) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The reader was quicker.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                result => break result?,
            }
        };
        back.truncate(count);
        Ok(back)
    }

    fn stalled(&self) -> Condition {
        lost(
            format!("the reader of {} has stopped reading", self.shown()),
            "it took nothing for two seconds",
            "check that program; music goes on when it reads again",
        )
    }
}

impl Target for Pipe {
    fn open(&mut self) -> Result<Opened, Condition> {
        if let Some(file) = &self.file {
            match writable(file, Duration::ZERO) {
                Ok(true) => {}
                Ok(false) => return Err(self.stalled()),
                Err(_) => self.file = None,
            }
        }
        if self.file.is_none() {
            if let Some(condition) = self.no_pipe() {
                return Err(condition);
            }
            let file = self.open_file().map_err(|error| self.trouble(&error))?;
            // A file that was full goes on in the middle of the frame.
            let metadata = file.metadata();
            self.fresh = !metadata.as_ref().is_ok_and(|m| m.is_file());
            self.fifo = metadata.is_ok_and(|m| is_fifo(&m));
            self.file = Some(file);
        }
        Ok(Opened {
            device: self.shown(),
            rate: RATE,
            format: name(self.format).into(),
        })
    }

    fn write(&mut self, bytes: &mut Vec<u8>, ending: &dyn Fn() -> bool) -> Result<(), Condition> {
        let frame = self.frame();
        if std::mem::take(&mut self.fresh) && self.broken > 0 {
            let rest = (frame - self.broken).min(bytes.len());
            bytes.drain(..rest);
            self.broken = 0;
        }
        let mut progress = Instant::now();
        let mut done = 0;
        let error = loop {
            let Some(file) = &mut self.file else {
                break Errno::PIPE.into();
            };
            if done == bytes.len() {
                bytes.clear();
                return Ok(());
            }
            match file.write(&bytes[done..]) {
                Ok(count) => {
                    done += count;
                    self.broken = (self.broken + count) % frame;
                    progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ending() || progress.elapsed() > STALLED {
                        // The same reader goes on exactly here.
                        bytes.drain(..done);
                        return Err(self.stalled());
                    }
                    if let Err(error) = writable(file, LOOK) {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        self.file = None;
        bytes.drain(..done);
        Err(self.trouble(&error))
    }

    fn owed(&self) -> usize {
        match self.broken {
            0 => 0,
            broken => self.frame() - broken,
        }
    }

    fn retract(&mut self) -> bool {
        let frame = self.frame();
        let tail = FADE * frame;
        if self.broken > 0 || self.unread() <= tail as u64 {
            return false;
        }
        let Ok(mut back) = self.read_back() else {
            return false;
        };
        // The reader may have got half a frame.
        let torn = back.len() % frame;
        back.truncate(torn + tail);
        fade(&mut back[torn..], self.format);
        // There is room: all of it was in there before.
        let file = self.file.as_mut();
        let written = file.is_some_and(|file| file.write_all(&back).is_ok());
        written && back.len() > torn
    }

    fn unread(&self) -> u64 {
        self.file
            .as_ref()
            .filter(|_| self.fifo)
            .and_then(|file| rustix::io::ioctl_fionread(file).ok())
            .unwrap_or(0)
    }
}

fn is_fifo(metadata: &Metadata) -> bool {
    metadata.file_type().is_fifo()
}

/// Whether what is written there goes somewhere. (A socket does not open; that is told otherwise.)
fn takes_a_stream(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_fifo() || kind.is_char_device() || kind.is_socket()
}

/// Whether it takes bytes within `limit`. An error when the reader is gone.
fn writable(file: &File, limit: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut fds, Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let found = fds[0].revents();
    if found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
        return Err(Errno::PIPE.into());
    }
    Ok(found.contains(PollFlags::OUT))
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;

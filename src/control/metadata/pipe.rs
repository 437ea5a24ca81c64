//! The FIFO: made, written to without ever waiting, and watched for readers.
//!
//! Its calls concern one small file and do not block, so they are made on the spot.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, OFlags, inotify},
    io::Errno,
    pipe::{fcntl_getpipe_size, fcntl_setpipe_size},
};
use tokio::net::unix::pipe::Receiver;

use super::items::WHOLE;

/// What a pipe with covers is to hold, in bytes: the largest one in base64, and some more. It takes
/// memory only while that waits to be read.
const ROOM: usize = 1024 * 1024;
/// For the daemon's user and group.
const MODE: u32 = 0o660;

#[derive(Debug)]
pub struct Pipe {
    path: PathBuf,
    /// Large items are to fit.
    large: bool,
    /// While somebody reads.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    to: OwnedFd,
    /// In bytes.
    room: usize,
    /// Of a large item: what did not go in with it. Nothing else is written before.
    rest: Vec<u8>,
    inode: u64,
    /// Says when somebody opens or closes it: an inotify, which is read like a pipe.
    watch: Receiver,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Whole,
    /// The reader takes nothing at the moment.
    Full,
    /// Nobody reads any more.
    Gone,
}

impl Pipe {
    /// `large`: covers go through it, too.
    pub fn new(path: PathBuf, large: bool) -> Self {
        let open = None;
        Self { path, large, open }
    }

    pub fn is_read(&self) -> bool {
        self.open.is_some()
    }

    /// Looks for a reader; the FIFO is made where there is none. False: nobody reads.
    ///
    /// # Errors
    /// When there is no FIFO, and none can be made.
    pub fn look(&mut self) -> io::Result<bool> {
        make(&self.path)?;
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let to = match rustix::fs::openat(CWD, &self.path, flags, Mode::empty()) {
            Ok(to) => to,
            Err(Errno::NXIO) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = inotify::init(flags)?;
        let what = inotify::WatchFlags::OPEN
            | inotify::WatchFlags::CLOSE_NOWRITE
            | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&watch, &self.path, what)?;
        let inode = fs::metadata(&self.path)?.ino();
        if self.large {
            // Where that is not allowed, smaller ones have to do.
            let _ = fcntl_setpipe_size(&to, ROOM);
        }
        self.open = Some(Open {
            room: fcntl_getpipe_size(&to).unwrap_or(WHOLE),
            to,
            rest: Vec::new(),
            inode,
            watch: Receiver::from_owned_fd_unchecked(watch)?,
        });
        Ok(true)
    }

    /// Writes one item, all of it or nothing: no longer than [`WHOLE`].
    pub fn send(&mut self, item: &[u8]) -> Sent {
        let Some(open) = &mut self.open else {
            return Sent::Gone;
        };
        debug_assert!(item.len() <= WHOLE);
        let written = open.send_rest().and_then(|done| match done {
            true => rustix::io::write(&open.to, item).map(drop),
            false => Err(Errno::AGAIN),
        });
        self.sent(written)
    }

    fn sent(&mut self, written: Result<(), Errno>) -> Sent {
        match written {
            Ok(()) => Sent::Whole,
            Err(Errno::AGAIN) => Sent::Full,
            Err(_) => {
                self.open = None;
                Sent::Gone
            }
        }
    }

    /// Whether the reader has read everything so far.
    pub fn is_drained(&self) -> bool {
        let open = self.open.as_ref().filter(|open| open.rest.is_empty());
        open.is_some_and(|open| rustix::io::ioctl_fionread(&open.to) == Ok(0))
    }

    /// Whether so many bytes go in at once, while nothing else is in it.
    pub fn takes(&self, bytes: usize) -> bool {
        self.open.as_ref().is_some_and(|open| bytes <= open.room)
    }

    /// Whether the pipe is smaller than the largest cover may be.
    pub fn is_small(&self) -> bool {
        !self.takes(ROOM)
    }

    /// Writes an item of any length that the pipe takes, when it [`Pipe::is_drained`]. The kernel
    /// may run out of memory in the middle of it; the rest follows before anything else then.
    pub fn send_large(&mut self, item: Vec<u8>) -> Sent {
        let Some(open) = &mut self.open else {
            return Sent::Gone;
        };
        open.rest = item;
        let written = open.send_rest().map(drop);
        self.sent(written)
    }

    /// Waits until somebody has come or gone; for ever while nobody reads. Cancel safe.
    pub async fn changed(&mut self) {
        let Some(open) = &self.open else {
            return std::future::pending().await;
        };
        if open.watch.readable().await.is_ok() {
            let mut events = [0_u8; 1024];
            while open.watch.try_read(&mut events).is_ok_and(|read| read > 0) {}
        }
        let same = fs::metadata(&self.path).is_ok_and(|found| found.ino() == open.inode);
        if !same || has_no_reader(&open.to) {
            self.open = None;
        }
    }
}

impl Open {
    /// False: some of it still waits.
    fn send_rest(&mut self) -> Result<bool, Errno> {
        if self.rest.is_empty() {
            return Ok(true);
        }
        let written = rustix::io::write(&self.to, &self.rest)?;
        if written < self.rest.len() {
            self.rest.drain(..written);
            return Ok(false);
        }
        self.rest = Vec::new();
        Ok(true)
    }
}

/// True when the last one has closed it.
fn has_no_reader(to: &OwnedFd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::from_borrowed_fd(to.as_fd(), PollFlags::empty())];
    poll(&mut fds, Some(&at_once)).is_ok_and(|_| fds[0].revents().contains(PollFlags::ERR))
}

fn make(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() => return Ok(()),
        Ok(_) => {
            let what = "there is a file of that name which is no FIFO";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(MODE), 0)?;
    // Whatever the umask says.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::fs::OpenOptionsExt as _, time::Duration};

    use super::*;

    fn reader(path: &Path) -> fs::File {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path);
        opened.expect("it is there")
    }

    #[tokio::test]
    async fn it_is_made_for_user_and_group_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        let mut pipe = Pipe::new(path.clone(), false);
        assert!(!pipe.look().expect("made"));
        let found = fs::metadata(&path).expect("there");
        assert_eq!(found.permissions().mode() & 0o777, MODE);
        assert_eq!(pipe.send(b"x"), Sent::Gone);
        let mut reads = reader(&path);
        assert!(pipe.look().expect("somebody"));
        assert_eq!(pipe.send(b"hello"), Sent::Whole);
        let mut told = [0; 8];
        assert_eq!(reads.read(&mut told).expect("something"), 5);
        while pipe.send(&[7; 4096]) == Sent::Whole {}
        assert!(pipe.is_read(), "slow is not gone");
        drop(reads);
        assert_eq!(pipe.send(b"x"), Sent::Gone);
        assert!(!pipe.is_read());
    }

    #[tokio::test]
    async fn a_large_item_goes_in_whole_once_everything_before_it_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        let mut pipe = Pipe::new(path.clone(), true);
        pipe.look().expect("made");
        let mut reads = reader(&path);
        assert!(pipe.look().expect("somebody") && pipe.is_drained());
        assert_eq!(pipe.send(b"before"), Sent::Whole);
        assert!(!pipe.is_drained());
        let mut told = [0; 8];
        assert_eq!(reads.read(&mut told).expect("something"), 6);
        assert!(pipe.is_drained() && !pipe.is_small() && !pipe.takes(2 * ROOM));
        let large = vec![7; 700_000];
        assert!(pipe.takes(large.len()));
        assert_eq!(pipe.send_large(large.clone()), Sent::Whole);
        assert_eq!(pipe.send(b"after"), Sent::Whole);
        let mut all: Vec<u8> = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(read) = reads.read(&mut piece) {
            all.extend(&piece[..read]);
        }
        assert_eq!(all, [large, b"after".to_vec()].concat());
        drop(reads);
        assert_eq!(pipe.send_large(vec![7; 9]), Sent::Gone);
    }

    #[tokio::test]
    async fn readers_that_take_turns_are_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        let mut pipe = Pipe::new(path.clone(), false);
        pipe.look().expect("made");
        let first = reader(&path);
        assert!(pipe.look().expect("somebody"));
        let second = reader(&path);
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, pipe.changed())
            .await
            .expect("noticed");
        assert!(pipe.is_read());
        drop((first, second));
        tokio::time::timeout(limit, pipe.changed())
            .await
            .expect("noticed");
        assert!(!pipe.is_read());
    }

    #[tokio::test]
    async fn what_is_no_fifo_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "mine").expect("written");
        assert!(Pipe::new(path.clone(), false).look().is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
        assert!(Pipe::new(dir.path().join("no/pipe"), false).look().is_err());
    }
}

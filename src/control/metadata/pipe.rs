//! The FIFO: made, written to without ever waiting, and watched for readers.
//!
//! Whoever comes begins at an item. When the last reader goes, our end is closed, and what was left
//! goes with it. Where another has come by then, he has the pipe of the one before: what is left in
//! it is taken out, and what follows begins on a line of its own, at which readers of this format
//! find their way again. Two at the same time each get some of the bytes; nothing helps them.
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
/// What the kernel says of a file without a name: watch, mask, cookie and length.
const EVENT: usize = 16;
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
    /// Somebody has left, and somebody is there.
    left: bool,
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
            left: false,
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
        let Some(open) = &mut self.open else {
            return std::future::pending().await;
        };
        let took_turns = loop {
            if open.watch.readable().await.is_err() {
                break false;
            }
            // It may be awake for what was read by now.
            if let Some(took_turns) = open.turns() {
                break took_turns;
            }
        };
        let same = fs::metadata(&self.path).is_ok_and(|found| found.ino() == open.inode);
        if took_turns && same && open.empty(&self.path).is_err() {
            self.open = None;
            return;
        }
        if !same || has_no_reader(&open.to) {
            self.open = None;
        }
    }
}

impl Open {
    /// Reads what the watch says: whether somebody has come after somebody had left. `None`: nothing.
    fn turns(&mut self) -> Option<bool> {
        let mut took_turns = None;
        let mut events = [0_u8; 64 * EVENT];
        while let Ok(read @ 1..) = self.watch.try_read(&mut events) {
            for event in events[..read].chunks_exact(EVENT) {
                let mask = event.get(4..8).and_then(|mask| mask.try_into().ok());
                let mask = u32::from_ne_bytes(mask.unwrap_or_default());
                let is = |what: inotify::ReadFlags| mask & what.bits() != 0;
                if is(inotify::ReadFlags::CLOSE_NOWRITE) {
                    self.left = true;
                } else if is(inotify::ReadFlags::OPEN) && self.left {
                    (took_turns, self.left) = (Some(true), false);
                }
                took_turns = took_turns.or(Some(false));
            }
        }
        took_turns
    }

    /// Takes out what somebody has left in it, and ends the line that the next one may have begun to
    /// read.
    fn empty(&mut self, path: &Path) -> Result<(), Errno> {
        let mut found = !self.rest.is_empty();
        self.rest = Vec::new();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let mut piece = vec![0_u8; 64 * 1024];
        // Nobody writes meanwhile: it ends when the pipe is empty.
        while let Ok(1..) = rustix::io::read(&from, &mut piece) {
            found = true;
        }
        drop(from);
        if found {
            rustix::io::write(&self.to, b"\n")?;
        }
        // That we came and went is no news; whoever came with us is told everything in any case.
        // Read past tokio, which has not heard yet that there is something.
        while let Ok(1..) = rustix::io::read(&self.watch, &mut piece) {}
        self.left = false;
        Ok(())
    }

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
    async fn who_comes_after_somebody_gets_nothing_that_was_left() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        let mut pipe = Pipe::new(path.clone(), true);
        pipe.look().expect("made");
        let mut first = reader(&path);
        assert!(pipe.look().expect("somebody"));
        assert_eq!(pipe.send_large(vec![b'x'; 500_000]), Sent::Whole);
        let mut told = vec![0; 9_999];
        assert_eq!(first.read(&mut told).expect("something"), told.len());
        // At once, so that nobody sees that nobody was there.
        drop(first);
        let mut second = reader(&path);
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, pipe.changed())
            .await
            .expect("noticed");
        assert!(pipe.is_read());
        assert_eq!(pipe.send(b"<item>"), Sent::Whole);
        let read = second.read(&mut told).expect("something");
        assert_eq!(&told[..read], b"\n<item>");
        let quiet = tokio::time::timeout(Duration::from_millis(50), pipe.changed());
        assert!(quiet.await.is_err(), "our own look is no news");
        // Slowly: nobody is there in between, and the pipe is a new one.
        assert_eq!(pipe.send_large(vec![b'x'; 500_000]), Sent::Whole);
        drop(second);
        tokio::time::timeout(limit, pipe.changed())
            .await
            .expect("noticed");
        let mut third = reader(&path);
        assert!(pipe.look().expect("somebody"));
        assert_eq!(pipe.send(b"<item>"), Sent::Whole);
        let read = third.read(&mut told).expect("something");
        assert_eq!(&told[..read], b"<item>");
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

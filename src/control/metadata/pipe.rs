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
};
use tokio::net::unix::pipe::Receiver;

use super::items::WHOLE;

/// For the daemon's user and group.
const MODE: u32 = 0o660;

#[derive(Debug)]
pub struct Pipe {
    path: PathBuf,
    /// While somebody reads.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    to: OwnedFd,
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
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None }
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
        self.open = Some(Open {
            to,
            inode,
            watch: Receiver::from_owned_fd_unchecked(watch)?,
        });
        Ok(true)
    }

    /// Writes one item, all of it or nothing: no longer than [`WHOLE`].
    pub fn send(&mut self, item: &[u8]) -> Sent {
        let Some(open) = &self.open else {
            return Sent::Gone;
        };
        debug_assert!(item.len() <= WHOLE);
        match rustix::io::write(&open.to, item) {
            Ok(_) => Sent::Whole,
            Err(Errno::AGAIN) => Sent::Full,
            Err(_) => {
                self.open = None;
                Sent::Gone
            }
        }
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
        let mut pipe = Pipe::new(path.clone());
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
    async fn readers_that_take_turns_are_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        let mut pipe = Pipe::new(path.clone());
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
        assert!(Pipe::new(path.clone()).look().is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
        assert!(Pipe::new(dir.path().join("no/pipe")).look().is_err());
    }
}

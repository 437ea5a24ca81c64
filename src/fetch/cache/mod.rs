//! Audio files kept on disk, so that what plays often is fetched once.
//!
//! They are kept as the audio servers send them: still encrypted. No key is ever kept, so each play
//! still asks Spotify for one, and a file is worth nothing without. [`Cached`] is a [`Line`] like
//! any other, put before the one to the network: it answers from the disk what lies there whole,
//! and has written down what comes from the network from its beginning to its end. Nothing of it
//! may hurt the music: what is damaged is fetched, a disk that fails or hangs is left alone for a
//! while.
//!
//! `shelf` is the folder, `scribe` the thread that writes, `notes` what it is told to.

mod notes;
mod scribe;
mod shelf;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind},
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc::Sender},
    task::spawn_blocking,
    time::timeout,
};
use tracing::info;

use super::{
    head::{Promise, judge},
    line::{Body, Line, LineError, Reply, UrlsError},
};
use notes::{Notes, Record};
pub use scribe::Tell;
use scribe::{Health, REST, Task};
use shelf::{Kept, PIECE, Shelf};
pub use shelf::{Name, Stock, clear, stock};

/// What the address of a kept file begins with.
const HERE: &str = "kept:";
/// A disk that does not answer within this is worse than none. Less than the pump's own patience.
const DISK_PATIENCE: Duration = Duration::from_millis(1_500);
/// Reads at the same time. A dead disk keeps those threads for ever, and names are looked up in the
/// same pool.
const READERS: usize = 2;
/// Bytes read at once.
const READ: u64 = 4 * PIECE;

/// Whether this is the address of a kept file.
pub(super) fn is_here(url: &str) -> bool {
    url.starts_with(HERE)
}

/// The files that are kept. Cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Desk>);

struct Desk {
    shelf: Arc<Shelf>,
    health: Arc<Health>,
    tasks: Sender<Task>,
    readers: Arc<Semaphore>,
}

impl Cache {
    /// Keeps files in `folder`, `limit` bytes of them at most. `tell` hears why nothing can be
    /// kept, and (`None`) when it can again.
    ///
    /// # Errors
    /// When there is no thread to be had. A folder that cannot be used is told, and is no error.
    pub fn open(folder: PathBuf, limit: u64, tell: Tell) -> io::Result<Self> {
        Self::resting(folder, limit, REST, tell)
    }

    fn resting(folder: PathBuf, limit: u64, rest: Duration, tell: Tell) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::new(folder, limit));
        let health = Arc::new(Health::new(rest, tell));
        let tasks = scribe::start(shelf.clone(), health.clone())?;
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Self(Arc::new(Desk {
            shelf,
            health,
            tasks,
            readers,
        })))
    }

    /// Lets go of a file that turned out to be no audio. True when it was kept.
    pub async fn forget(&self, name: Name) -> bool {
        let removing = self.on_disk(move |shelf| Ok(shelf.remove(name)));
        removing.await.unwrap_or(false)
    }

    /// Does something on the disk, if it answers in time.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let desk = &self.0;
        if !desk.health.may_read() {
            return Err(io::Error::other("the disk is left alone"));
        }
        let (shelf, readers) = (desk.shelf.clone(), desk.readers.clone());
        let done = timeout(DISK_PATIENCE, async {
            let turn = readers.acquire_owned().await;
            let work = move || {
                let done = work(&shelf);
                drop(turn);
                done
            };
            spawn_blocking(work).await.map_err(io::Error::other)?
        });
        done.await.unwrap_or_else(|_| {
            let why = format!("{} does not answer", desk.shelf.folder().display());
            desk.health.failed(&why, true);
            Err(ErrorKind::TimedOut.into())
        })
    }
}

/// A line, with the files that are kept before it if there are any.
pub struct Cached<L> {
    line: L,
    keep: Option<Arc<Keep>>,
}

/// What is known of one file.
struct Keep {
    cache: Cache,
    name: Name,
    look: Mutex<Look>,
    record: Mutex<Record>,
}

/// Whether it is kept.
#[derive(Clone)]
enum Look {
    Unknown,
    Here(Arc<Kept>),
    /// It is not, or is damaged.
    Not,
}

impl<L: Line> Cached<L> {
    /// The file of this name over `line`. `None` as cache: nothing is kept or looked for.
    pub fn new(line: L, cache: Option<Cache>, name: Name) -> Self {
        let keep = cache.map(|cache| {
            Arc::new(Keep {
                cache,
                name,
                look: Mutex::new(Look::Unknown),
                record: Mutex::default(),
            })
        });
        Self { line, keep }
    }
}

impl<L: Line> Line for Cached<L> {
    type Body = CachedBody<L::Body>;

    async fn urls(&self) -> Result<Vec<String>, UrlsError> {
        if let Some(keep) = &self.keep
            && keep.is_here().await
        {
            return Ok(vec![format!("{HERE}{}", keep.name)]);
        }
        self.line.urls().await
    }

    async fn get(&self, url: &str, range: Range<u64>) -> Result<Reply<Self::Body>, LineError> {
        let keep = match &self.keep {
            Some(keep) if is_here(url) => return Ok(keep.clone().get(range).await),
            keep => keep,
        };
        let reply = self.line.get(url, range.clone()).await?;
        let notes = match (keep, judge(&reply, &range, None)) {
            // What is just what was asked for may be a part that is taken for the whole.
            (Some(_), Ok(Promise::Part { len, .. })) if range == (0..len) => None,
            (Some(keep), Ok(Promise::Part { end, len })) => {
                keep.notes(range.start..end, range.end, len).await
            }
            _ => None,
        };
        Ok(reply.map(|body| CachedBody(Way::Line { body, notes })))
    }
}

impl<B> Reply<B> {
    fn map<T>(self, body: impl FnOnce(B) -> T) -> Reply<T> {
        Reply {
            status: self.status,
            content_range: self.content_range,
            content_length: self.content_length,
            content_type: self.content_type,
            retry_after: self.retry_after,
            body: body(self.body),
        }
    }
}

impl Keep {
    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks once: a file that was damaged is not hoped for again.
    async fn is_here(&self) -> bool {
        let known = self.look().clone();
        if !matches!(known, Look::Unknown) {
            return matches!(known, Look::Here(_));
        }
        let name = self.name;
        let found = self.cache.on_disk(move |shelf| Ok(shelf.find(name))).await;
        let found = found.ok().flatten();
        let here = found.is_some();
        *self.look() = found.map_or(Look::Not, |kept| Look::Here(Arc::new(kept)));
        here
    }

    /// A part of the kept file; "gone", which leads to the network, when it is not good any more.
    async fn get<B>(self: Arc<Self>, range: Range<u64>) -> Reply<CachedBody<B>> {
        let known = self.look().clone();
        let (status, content_range, body) = match known {
            Look::Here(kept) if range.start >= kept.len => {
                let told = format!("bytes */{}", kept.len);
                (416, Some(told), Way::Nowhere)
            }
            Look::Here(kept) => {
                let (start, end) = (range.start, range.end.min(kept.len));
                match self.read(&kept, start..end).await {
                    Ok(first) => {
                        let told = format!("bytes {start}-{}/{}", end - 1, kept.len);
                        let body = Way::Disk {
                            at: start + first.len() as u64,
                            end,
                            first: Some(first),
                            keep: self,
                            kept,
                        };
                        (206, Some(told), body)
                    }
                    Err(_) => (410, None, Way::Nowhere),
                }
            }
            Look::Unknown | Look::Not => (410, None, Way::Nowhere),
        };
        Reply {
            status,
            content_range,
            content_length: None,
            content_type: None,
            retry_after: None,
            body: CachedBody(body),
        }
    }

    /// The next bytes of the kept file, up to a round place.
    async fn read(&self, kept: &Arc<Kept>, range: Range<u64>) -> io::Result<Vec<u8>> {
        let end = range.end.min((range.start / READ + 1) * READ);
        let (from, here) = (range.start, kept.clone());
        let reading = self.cache.on_disk(move |_| here.read(from..end));
        let read = reading.await;
        if let Err(why) = &read {
            info!("a kept audio file cannot be used ({why}); it is fetched again");
            *self.look() = Look::Not;
            if why.kind() != ErrorKind::TimedOut {
                self.cache.forget(self.name).await;
            }
        }
        read
    }

    fn end(&self, record: u64) {
        if record != 0 {
            // Not taken, it is ended by those that come after it.
            let _ = self.cache.0.tasks.try_send(Task::End { record });
        }
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        let number = self.record().number;
        self.end(number);
    }
}

/// The body of an answer from either place.
pub struct CachedBody<B>(Way<B>);

enum Way<B> {
    Line {
        body: B,
        notes: Option<Notes>,
    },
    Disk {
        keep: Arc<Keep>,
        kept: Arc<Kept>,
        /// Read already.
        first: Option<Vec<u8>>,
        at: u64,
        end: u64,
    },
    Nowhere,
}

/// Bytes from either place.
pub enum Chunk<C> {
    Line(C),
    Disk(Vec<u8>),
}

impl<C: AsRef<[u8]>> AsRef<[u8]> for Chunk<C> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Line(chunk) => chunk.as_ref(),
            Self::Disk(bytes) => bytes,
        }
    }
}

impl<B: Body> Body for CachedBody<B> {
    type Chunk = Chunk<B::Chunk>;

    async fn chunk(&mut self) -> Option<Result<Self::Chunk, LineError>> {
        match &mut self.0 {
            Way::Line { body, notes } => {
                let chunk = body.chunk().await?;
                if let (Ok(chunk), Some(notes)) = (&chunk, notes) {
                    notes.take(chunk.as_ref()).await;
                }
                Some(chunk.map(Chunk::Line))
            }
            Way::Disk { first, .. } if first.is_some() => {
                first.take().map(|bytes| Ok(Chunk::Disk(bytes)))
            }
            Way::Disk {
                keep,
                kept,
                at,
                end,
                ..
            } => {
                let (from, end) = (*at, *end);
                if from >= end {
                    return None;
                }
                let read = keep.read(kept, from..end).await;
                *at += read.as_ref().map_or(0, |bytes| bytes.len() as u64);
                let read = read.map_err(|why| LineError(why.to_string()));
                Some(read.map(Chunk::Disk))
            }
            Way::Nowhere => None,
        }
    }
}

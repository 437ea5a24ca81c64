//! The folder that files are kept in: which of them are whole, and room for the next.
//!
//! A kept file holds the bytes as the audio servers sent them, and behind them a table of checksums,
//! one a piece, so that damage is found before it is heard. Nothing is forced onto the disk: what a
//! power cut leaves is found damaged, and fetched again. What was used last is kept longest; the
//! time of a file's last change is the time of its last use.
//!
//! Several processes may share the folder. Files appear whole, by renaming; who writes one holds a
//! lock on it, and what nobody holds is left over from somebody who is gone.

use std::{
    collections::BinaryHeap,
    fmt,
    fs::{self, DirBuilder, DirEntry, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::decode::checksum;

/// Bytes that one checksum stands for.
pub(super) const PIECE: u64 = 32 * 1024;
/// An episode of a day at the highest rate. What claims to be longer is no audio file.
const LONGEST: u64 = 4 * 1024 * 1024 * 1024;

/// The end of the table: the length of the audio, a checksum of everything before, and this.
const MARK: &[u8; 12] = b"siskin audio";
const FOOT: u64 = 8 + 4 + MARK.len() as u64;

/// Behind the name of a file that is being written.
const DRAFT: &str = ".part";
/// So many of the files that were not used for longest are looked for at once.
const OLDEST: usize = 64;
/// Where locks do not work, a draft that was not written to for so long is left over.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// The id of an audio file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub [u8; 20]);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let mut name = [0; 20];
        if text.len() != 40 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, at) in name.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(name))
    }
}

/// What lies in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    pub files: u64,
    /// Bytes, of drafts as well.
    pub bytes: u64,
}

/// The folder. Cheap to make: nothing is touched before it is used.
pub(super) struct Shelf {
    folder: PathBuf,
    /// Bytes that may lie there.
    limit: u64,
    /// The latest time that any file bears. Clocks of small machines are set back now and then, and
    /// the order in which files were used must not suffer from that.
    newest: Mutex<SystemTime>,
}

impl Shelf {
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            newest: Mutex::new(SystemTime::UNIX_EPOCH),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: Name) -> PathBuf {
        self.folder.join(name.to_string())
    }

    /// A file that is there and whole, as far as can be told without reading all of it. One that is
    /// not goes.
    pub fn find(&self, name: Name) -> Option<Kept> {
        let file = File::open(self.path(name)).ok()?;
        match Kept::of(file, name) {
            Ok(Some(kept)) => {
                self.used(&kept.file);
                Some(kept)
            }
            Ok(None) => {
                self.remove(name);
                None
            }
            Err(_) => None,
        }
    }

    /// True when there was something to remove.
    pub fn remove(&self, name: Name) -> bool {
        fs::remove_file(self.path(name)).is_ok()
    }

    /// Notes the use of a file. Where that cannot be, it goes sooner than it had to.
    fn used(&self, file: &File) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = SystemTime::now().max(*newest + Duration::from_micros(1));
        let _ = file.set_modified(*newest);
    }

    /// Whoever empties a cache may remove its folder as well.
    fn make_folder(&self) -> io::Result<()> {
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.folder)
    }

    /// Makes the folder if there is none, and lets files go until the rest fits the limit, the one
    /// that was not used for longest first. False when it does not fit in spite of that.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn make_room(&self) -> io::Result<bool> {
        self.make_folder()?;
        loop {
            let survey = survey(&self.folder)?;
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            *newest = survey.newest.max(*newest);
            drop(newest);
            let mut total = survey.stock.bytes;
            if total <= self.limit {
                return Ok(true);
            }
            let mut gone = 0;
            for (_, name, bytes) in survey.oldest.into_sorted_vec() {
                if total <= self.limit {
                    break;
                }
                // Somebody else may have been faster; then it is gone all the same.
                let removed = fs::remove_file(self.path(name));
                if removed.is_ok() || removed.is_err_and(|why| why.kind() == ErrorKind::NotFound) {
                    total = total.saturating_sub(bytes);
                    gone += 1;
                }
            }
            if gone == 0 {
                return Ok(false);
            }
        }
    }

    /// Begins to keep a file of `len` bytes, and makes room for it. `None`: there is no room.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn begin(&self, name: Name, len: u64) -> io::Result<Option<Draft>> {
        let whole = len + foot_of(len);
        if len == 0 || len > LONGEST || whole > self.limit {
            return Ok(None);
        }
        self.make_folder()?;
        static TURN: AtomicU64 = AtomicU64::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let draft = format!("{name}.{}-{turn}{DRAFT}", std::process::id());
        let path = self.folder.join(draft);
        let mut new = OpenOptions::new();
        // Of its own making in any case: no link that somebody has laid is followed.
        new.read(true).write(true).create_new(true).mode(0o600);
        let file = new.open(&path)?;
        let draft = Draft {
            name,
            path,
            file,
            len,
            got: Vec::new(),
        };
        // Where locks do not work, its age speaks for it.
        let _ = draft.file.try_lock();
        // Its place is taken from now on, so that two at a time cannot share it.
        draft.file.set_len(whole)?;
        Ok(self.make_room()?.then_some(draft))
    }

    /// Keeps a draft that is whole.
    ///
    /// # Errors
    /// When it could not be written to its end.
    pub fn keep(&self, draft: &Draft) -> io::Result<()> {
        draft.seal()?;
        match fs::rename(&draft.path, self.path(draft.name)) {
            // Taken for left over by somebody; no harm done.
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(()),
            renamed => {
                self.used(&draft.file);
                renamed
            }
        }
    }
}

/// A file that is kept, open: it can be read even when it is let go of meanwhile.
pub(super) struct Kept {
    file: File,
    /// Bytes of audio.
    pub len: u64,
    sums: Vec<u32>,
}

impl Kept {
    fn of(file: File, name: Name) -> io::Result<Option<Self>> {
        let whole = file.metadata()?.len();
        let Some(at) = whole.checked_sub(FOOT) else {
            return Ok(None);
        };
        let mut foot = [0; FOOT as usize];
        file.read_exact_at(&mut foot, at)?;
        let (len, rest) = foot.split_at(8);
        let len = u64::from_le_bytes(len.try_into().unwrap_or_default());
        if &rest[4..] != MARK || len > LONGEST || len + foot_of(len) != whole {
            return Ok(None);
        }
        // 4 bytes for each 32 kB of a file that is as long as that.
        let mut table = vec![0; (at - len) as usize];
        file.read_exact_at(&mut table, len)?;
        if rest[..4] != seal(name, &table, len).to_le_bytes() {
            return Ok(None);
        }
        let (sums, _) = table.as_chunks::<4>();
        let sums = sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
        Ok(Some(Self { file, len, sums }))
    }

    /// The bytes from `range.start` on, up to the end of the range or of the file. Whole pieces are
    /// read for them, and checked.
    ///
    /// # Errors
    /// When they cannot be read or are damaged.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let end = range.end.min(self.len);
        if range.start >= end {
            return Ok(Vec::new());
        }
        let first = range.start / PIECE;
        let from = first * PIECE;
        let to = (end.div_ceil(PIECE) * PIECE).min(self.len);
        let mut bytes = vec![0; (to - from) as usize];
        self.file.read_exact_at(&mut bytes, from)?;
        let pieces = bytes.chunks(PIECE as usize);
        let sums = self.sums.iter().skip(first as usize);
        for (piece, sum) in pieces.zip(sums) {
            if checksum(piece) != *sum {
                return Err(io::Error::new(ErrorKind::InvalidData, "it is damaged"));
            }
        }
        bytes.truncate((end - from) as usize);
        bytes.drain(..(range.start - from) as usize);
        Ok(bytes)
    }
}

/// A file that is being written. Dropped before it is kept, it goes.
pub(super) struct Draft {
    name: Name,
    path: PathBuf,
    file: File,
    len: u64,
    /// What has come, in order, without overlaps.
    got: Vec<Range<u64>>,
}

impl Draft {
    /// Takes bytes that stand at `at` in the file.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let room = self.len.saturating_sub(at);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(bytes, at)?;
        let mut fresh = at..at + bytes.len() as u64;
        self.got.retain(|old| {
            let touches = old.start <= fresh.end && fresh.start <= old.end;
            if touches {
                fresh = fresh.start.min(old.start)..fresh.end.max(old.end);
            }
            !touches
        });
        let before = self.got.partition_point(|old| old.start < fresh.start);
        self.got.insert(before, fresh);
        Ok(())
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_whole(&self) -> bool {
        matches!(&self.got[..], [all] if *all == (0..self.len))
    }

    /// Writes the table of checksums behind the audio.
    fn seal(&self) -> io::Result<()> {
        let mut table = Vec::new();
        let mut piece = vec![0; PIECE as usize];
        for from in (0..self.len).step_by(PIECE as usize) {
            let count = PIECE.min(self.len - from) as usize;
            self.file.read_exact_at(&mut piece[..count], from)?;
            table.extend(checksum(&piece[..count]).to_le_bytes());
        }
        let sum = seal(self.name, &table, self.len);
        table.extend(self.len.to_le_bytes());
        table.extend(sum.to_le_bytes());
        table.extend(MARK);
        self.file.write_all_at(&table, self.len)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Kept, it has another name by now.
        let _ = fs::remove_file(&self.path);
    }
}

/// Bytes behind a file of so many.
fn foot_of(len: u64) -> u64 {
    4 * len.div_ceil(PIECE) + FOOT
}

/// A table that stands behind another file, or behind another length of it, is none.
fn seal(name: Name, table: &[u8], len: u64) -> u32 {
    checksum(&[&name.0[..], table, &len.to_le_bytes()].concat())
}

struct Survey {
    stock: Stock,
    newest: SystemTime,
    /// By their last use, the latest of them on top.
    oldest: BinaryHeap<(SystemTime, Name, u64)>,
}

/// Looks at everything that is ours in the folder, and removes drafts that nobody writes. What else
/// lies there is left alone.
fn survey(folder: &Path) -> io::Result<Survey> {
    let mut survey = Survey {
        stock: Stock::default(),
        newest: SystemTime::UNIX_EPOCH,
        oldest: BinaryHeap::new(),
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some((name, is_draft)) = ours(&entry) else {
            continue;
        };
        // It may have gone since.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if is_draft && is_left_over(&entry.path(), used) {
            let _ = fs::remove_file(entry.path());
            continue;
        }
        survey.stock.bytes += about.len();
        if is_draft {
            continue;
        }
        survey.stock.files += 1;
        survey.newest = survey.newest.max(used);
        survey.oldest.push((used, name, about.len()));
        if survey.oldest.len() > OLDEST {
            survey.oldest.pop();
        }
    }
    Ok(survey)
}

/// What a folder holds of ours. Changes nothing.
///
/// # Errors
/// When it cannot be read.
pub fn stock(folder: &Path) -> io::Result<Stock> {
    let mut stock = Stock::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (Some((_, is_draft)), Ok(about)) = (ours(&entry), entry.metadata()) else {
            continue;
        };
        stock.bytes += about.len();
        stock.files += u64::from(!is_draft);
    }
    Ok(stock)
}

/// Removes what is kept in a folder that is not used any more. What somebody else has put there
/// stays, whatever it is called: a file of ours says so at its end.
///
/// # Errors
/// When the folder cannot be read. One that is not there holds nothing.
pub fn clear(folder: &Path) -> io::Result<Stock> {
    let mut removed = Stock::default();
    let entries = match fs::read_dir(folder) {
        Err(none) if none.kind() == ErrorKind::NotFound => return Ok(removed),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (Some((_, is_draft)), Ok(about)) = (ours(&entry), entry.metadata()) else {
            continue;
        };
        let path = entry.path();
        let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let is_ours = match is_draft {
            true => is_left_over(&path, used),
            false => bears_our_mark(&path, about.len()).unwrap_or(false),
        };
        if is_ours && fs::remove_file(&path).is_ok() {
            removed.bytes += about.len();
            removed.files += 1;
        }
    }
    Ok(removed)
}

fn bears_our_mark(path: &Path, len: u64) -> io::Result<bool> {
    let mut end = [0; MARK.len()];
    let at = len.saturating_sub(MARK.len() as u64);
    File::open(path)?.read_exact_at(&mut end, at)?;
    Ok(end == *MARK)
}

/// The file that an entry is, or is to become.
fn ours(entry: &DirEntry) -> Option<(Name, bool)> {
    let name = entry.file_name();
    let name = name.to_str()?;
    let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
    let (id, rest) = name.split_at_checked(40)?;
    let is_draft = rest.starts_with('.') && rest.ends_with(DRAFT);
    let known = plain && (rest.is_empty() || is_draft);
    Some((Name::parse(id).filter(|_| known)?, is_draft))
}

fn is_left_over(draft: &Path, written: SystemTime) -> bool {
    let Ok(file) = File::open(draft) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => written.elapsed().is_ok_and(|age| age > FORGOTTEN),
    }
}

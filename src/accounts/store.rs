//! The state directory: `lock`, `accounts/<id>.json`, `speakers/<id>/{device,seat,volume,choice,left,level-…}.json`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FlockOperation, flock};
use sha1::{Digest, Sha1};

use super::{
    files,
    key::AccountKey,
    record::{self, Keys, Record, SignedIn},
    words::Damage,
};
use crate::model::{Account, KeyAnswer, Login};

/// The folder with the accounts; where it is, siskin was.
const ACCOUNTS: &str = "accounts";

/// How the files of an account end: as it is kept, set aside, and half written.
const KINDS: [&str; 4] = ["json", "locked", "damaged", "new"];

/// How long (ms) to leave it when Spotify refused an account its audio keys.
const ASK_AGAIN_MS: i64 = 24 * 60 * 60 * 1000;

/// A name that fits a table.
const NAME_BYTES: usize = 64;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another siskin already uses the state in {}", .dir.display())]
    InUse { dir: PathBuf },
    #[error("the state directory {} cannot be used: {source}", .dir.display())]
    Unusable {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// What to do; shown after `help:`.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "stop the other one (systemctl stop siskin), or give this one its own --state-dir"
            }
            Self::Unusable { .. } => {
                "make it writable for the user siskin runs as, or set state_dir"
            }
        }
    }
}

/// The open state directory. The lock is held as long as this lives.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    key: AccountKey,
    /// Held while a file of an account is read and written anew: speakers share them.
    writing: Mutex<()>,
    _lock: File,
}

impl Store {
    /// Opens the directory with plain files; see [`Store::open_with`].
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, AccountKey::Off)
    }

    /// Opens the directory, makes it if need be, and locks it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another daemon has it; [`StoreError::Unusable`] when it cannot be
    /// made or written.
    pub fn open_with(dir: &Path, key: AccountKey) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable {
            dir: dir.to_owned(),
            source,
        };
        // Everything in it that is nobody's business lies in these two: the folder itself may hold
        // other things, of other programs.
        files::make(dir).map_err(unusable)?;
        for folder in [dir.join(ACCOUNTS), dir.join("speakers")] {
            files::make_private(&folder).map_err(unusable)?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                dir: dir.to_owned(),
                key,
                writing: Mutex::default(),
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse {
                dir: dir.to_owned(),
            }),
            Err(error) => Err(unusable(error.into())),
        }
    }

    /// Opens the directory if siskin ever kept anything there. `None`: it did not, and it is left as
    /// it is.
    ///
    /// # Errors
    /// As [`Store::open_with`].
    pub fn find(dir: &Path, key: AccountKey) -> Result<Option<Self>, StoreError> {
        if !dir.join(ACCOUNTS).is_dir() {
            return Ok(None);
        }
        Self::open_with(dir, key).map(Some)
    }

    /// Everybody who is remembered, the one used last first, and what could not be read.
    pub fn accounts(&self) -> (Vec<Account>, Vec<Damage>) {
        let mut damage = Vec::new();
        let mut accounts: Vec<_> = files::listed(&self.dir.join(ACCOUNTS))
            .iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
            .filter_map(|path| record::read(path, &self.key, &mut damage))
            .map(|record| record.account())
            .collect();
        accounts.sort_by(|a, b| (b.last_used_ms, &a.user).cmp(&(a.last_used_ms, &b.user)));
        (accounts, damage)
    }

    /// One account, if it is remembered and can be read.
    pub fn account(&self, user: &str) -> Option<Account> {
        let record = record::read(&self.account_file(user), &self.key, &mut Vec::new());
        record.map(|record| record.account())
    }

    /// Whether the account ever signed in here, also when its file cannot be opened or was set aside:
    /// who signs in again mends that, and no house may be closed to him for it.
    pub fn remembers(&self, user: &str) -> bool {
        let path = self.account_file(user);
        KINDS.iter().any(|kind| path.with_extension(kind).exists())
    }

    /// Whether nobody is remembered at all.
    pub fn is_empty(&self) -> bool {
        files::listed(&self.dir.join(ACCOUNTS)).is_empty()
    }

    /// The lasting credential of a remembered account.
    pub fn login_of(&self, user: &str) -> (Option<Login>, Vec<Damage>) {
        let mut damage = Vec::new();
        let record = record::read(&self.account_file(user), &self.key, &mut damage);
        (record.map(|record| record.login), damage)
    }

    /// Keeps what a sign-in brought.
    ///
    /// # Errors
    /// When the disk does not take it, or it is to be encrypted and there is no key.
    pub fn signed_in(&self, new: SignedIn) -> io::Result<()> {
        let _writing = self.writing();
        let path = self.account_file(&new.login.user);
        let old = record::read(&path, &self.key, &mut Vec::new());
        let mut record = old.unwrap_or_else(|| Record::new(new.login.clone()));
        record.login = new.login;
        record.country = new.country.or(record.country);
        record.premium = Some(true);
        record.came_by = new.came_by.unwrap_or(record.came_by);
        record.last_used_ms = new.at_ms;
        record::write(&path, &self.key, &record)
    }

    /// Remembers that the account is not Premium any more.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn premium_lapsed(&self, user: &str) -> io::Result<()> {
        self.edit(user, |record| record.premium = Some(false))?;
        Ok(())
    }

    /// What Spotify calls the account.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn shown_as(&self, user: &str, name: &str) -> io::Result<()> {
        self.edit(user, |record| record.shown = Some(name.to_owned()))?;
        Ok(())
    }

    /// Gives an account a name of the household's own; an empty one takes that away again. False
    /// when the account is not remembered.
    ///
    /// # Errors
    /// For a name longer than 64 bytes or with control characters, and when the disk does not take it.
    pub fn rename(&self, user: &str, name: &str) -> io::Result<bool> {
        let name = name.trim();
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            let what = "a name has at most 64 bytes and no control characters";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        self.edit(user, |record| record.renamed = name)
    }

    /// What Spotify said at `now_ms` (Unix time) when the account asked for an audio key.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keys(&self, user: &str, answer: KeyAnswer, now_ms: i64) -> io::Result<()> {
        self.edit(user, |record| {
            let since_ms = match record.keys {
                Keys::Refused { since_ms, .. } => since_ms,
                Keys::Unknown | Keys::Granted => now_ms,
            };
            record.keys = match answer {
                KeyAnswer::Given => Keys::Granted,
                KeyAnswer::Refused { code } => Keys::Refused {
                    since_ms,
                    asked_ms: now_ms,
                    code,
                },
            };
        })?;
        Ok(())
    }

    /// Unix time in ms before which no audio key is to be asked for: a day after Spotify refused
    /// one. `None` when that is over at `now_ms`, or never was.
    pub fn ask_keys_from(&self, user: &str, now_ms: i64) -> Option<i64> {
        let record = record::read(&self.account_file(user), &self.key, &mut Vec::new())?;
        match record.keys {
            // A clock that was set back since must not lock the account out for longer.
            Keys::Refused { asked_ms, .. } if (0..ASK_AGAIN_MS).contains(&(now_ms - asked_ms)) => {
                Some(asked_ms + ASK_AGAIN_MS)
            }
            _ => None,
        }
    }

    /// Whether the account was ever given an audio key.
    pub fn had_keys(&self, user: &str) -> bool {
        let record = record::read(&self.account_file(user), &self.key, &mut Vec::new());
        record.is_some_and(|record| record.keys == Keys::Granted)
    }

    /// Removes an account from this machine and from every speaker. False when it was not remembered.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn forget_account(&self, user: &str) -> io::Result<bool> {
        let _writing = self.writing();
        let path = self.account_file(user);
        let known = self.remembers(user);
        for kind in KINDS {
            files::remove(&path.with_extension(kind))?;
        }
        let gone = hashed(user);
        self.clear_seats(|_, name| name == gone)?;
        Ok(known)
    }

    /// Removes everybody, also whom we cannot read. Returns how many.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn forget_all(&self) -> io::Result<usize> {
        let _writing = self.writing();
        let mut count = 0;
        for path in files::listed(&self.dir.join(ACCOUNTS)) {
            count += usize::from(path.extension().is_some_and(|kind| kind == "json"));
            files::remove(&path)?;
        }
        self.clear_seats(|_, _| true)?;
        Ok(count)
    }

    /// Takes `user`, or everybody, off a speaker, and off the machine who neither sits on one of the
    /// `others` (ids) nor owns it: what the house remembers is of use to all its speakers, so it goes
    /// with any of them, unless somebody's music would stop elsewhere.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn reset(&self, speaker: &str, others: &[String], user: Option<&str>) -> io::Result<()> {
        let _writing = self.writing();
        let only = user.map(hashed);
        let is_meant = |name: &str| only.as_deref().is_none_or(|only| only == name);
        let elsewhere = self.seated_on(others);
        for path in files::listed(&self.dir.join(ACCOUNTS)) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if is_meant(&name) && !elsewhere.contains(&*name) {
                files::remove(&path)?;
            }
        }
        let own = self.speaker_folder(speaker);
        self.clear_seats(|folder, name| {
            is_meant(name) && (folder == own || !elsewhere.contains(name))
        })
    }

    /// Changes what is kept of an account. False when it is not remembered, or cannot be opened.
    fn edit(&self, user: &str, change: impl FnOnce(&mut Record)) -> io::Result<bool> {
        let _writing = self.writing();
        let path = self.account_file(user);
        let Some(old) = record::read(&path, &self.key, &mut Vec::new()) else {
            return Ok(false);
        };
        let mut new = old.clone();
        change(&mut new);
        if new != old {
            record::write(&path, &self.key, &new)?;
        }
        Ok(true)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn account_file(&self, user: &str) -> PathBuf {
        let name = format!("{}.json", hashed(user));
        self.dir.join(ACCOUNTS).join(name)
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        // It guards no data of its own that a panic could have spoilt.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names come from outside; a hash is a safe file name for all of them, and tells no user names.
pub(super) fn hashed(name: &str) -> String {
    Sha1::digest(name.as_bytes())
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

//! What the file of an account says, in all its versions.
//!
//! Version 1 knew the login and the country. Version 2 knows the facts of [`Account`] as well, and
//! may be encrypted: then it is `{version, sealed}`, and the rest lies inside.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    files,
    key::AccountKey,
    seal::{self, Sealed},
    words::Damage,
};
use crate::model::{Account, CameBy, Login};

/// Of the files that this siskin writes.
pub const VERSION: u32 = 2;

/// What is known of an account when Spotify has let it in: Premium, therefore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The lasting credential.
    pub login: Login,
    pub country: Option<String>,
    /// `None`: as it came the last time.
    pub came_by: Option<CameBy>,
    /// Unix time in ms.
    pub at_ms: i64,
}

/// One account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub login: Login,
    #[serde(default)]
    pub country: Option<String>,
    /// What people call it here.
    #[serde(default)]
    pub renamed: Option<String>,
    /// What Spotify shows.
    #[serde(default)]
    pub shown: Option<String>,
    #[serde(default)]
    pub premium: Option<bool>,
    #[serde(default)]
    pub came_by: CameBy,
    #[serde(default)]
    pub last_used_ms: i64,
    #[serde(default)]
    pub keys: Keys,
}

/// What Spotify said when this account asked for audio keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Never asked for.
    #[default]
    Unknown,
    Granted,
    /// Unix times in ms.
    Refused {
        since_ms: i64,
        asked_ms: i64,
        /// Spotify's own number for the reason.
        #[serde(default)]
        code: Option<u16>,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    sealed: Sealed,
}

#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// What reading came to. Only `Senseless` may be set aside.
#[derive(Debug, PartialEq, Eq)]
enum Opened {
    Record(Box<Record>),
    Locked(String),
    Newer(u32),
    Senseless(String),
}

impl Record {
    pub fn new(login: Login) -> Self {
        Self {
            version: VERSION,
            login,
            country: None,
            renamed: None,
            shown: None,
            premium: None,
            came_by: CameBy::default(),
            last_used_ms: 0,
            keys: Keys::Unknown,
        }
    }

    /// Without the secret.
    pub fn account(&self) -> Account {
        let name = self.renamed.as_ref().or(self.shown.as_ref());
        let (keys_refused_ms, keys_refused_code) = match self.keys {
            Keys::Refused { since_ms, code, .. } => (Some(since_ms), code),
            Keys::Unknown | Keys::Granted => (None, None),
        };
        Account {
            user: self.login.user.clone(),
            name: name.unwrap_or(&self.login.user).clone(),
            premium: self.premium,
            country: self.country.clone(),
            came_by: self.came_by,
            last_used_ms: self.last_used_ms,
            keys_refused_ms,
            keys_refused_code,
        }
    }
}

/// Reads the file of an account. What makes no sense is set aside; what is merely closed to us stays.
pub fn read(path: &Path, key: &AccountKey, damage: &mut Vec<Damage>) -> Option<Record> {
    let bytes = match files::bytes(path, damage) {
        Ok(bytes) => bytes?,
        Err(error) => {
            damage.push(files::disk(path, &error));
            return None;
        }
    };
    match open(&bytes, &place(path), key) {
        Opened::Record(record) => return Some(*record),
        Opened::Locked(why) => damage.push(Damage::locked(path, &why)),
        Opened::Newer(version) => damage.push(Damage::newer(path, version)),
        Opened::Senseless(why) => files::set_aside(path, &why, damage),
    }
    None
}

/// Writes the file of an account: encrypted when there is a key, plain when none was asked for.
///
/// # Errors
/// When the disk does not take it, or a key was asked for and is not there.
pub fn write(path: &Path, key: &AccountKey, record: &Record) -> std::io::Result<()> {
    let record = Record {
        version: VERSION,
        ..record.clone()
    };
    // Somebody may have cleared the state directory under us: what comes from now on is kept.
    path.parent().map_or(Ok(()), files::make_private)?;
    // An old file that does not open is the only copy of something: never written over.
    if let Ok(Some(old)) = files::bytes(path, &mut Vec::new())
        && matches!(
            open(&old, &place(path), key),
            Opened::Locked(_) | Opened::Newer(_)
        )
    {
        std::fs::rename(path, path.with_extension("locked"))?;
    }
    match key {
        AccountKey::Off => files::write(path, &record),
        AccountKey::Missing(why) => Err(std::io::Error::other(format!(
            "it is to be encrypted, and {why}"
        ))),
        AccountKey::Ready(key) => {
            let text = serde_json::to_vec(&record)?;
            let sealed = seal::seal(key, &place(path), &text)
                .ok_or_else(|| std::io::Error::other("it could not be encrypted"))?;
            let version = VERSION;
            files::write(path, &Envelope { version, sealed })
        }
    }
}

fn open(bytes: &[u8], place: &str, key: &AccountKey) -> Opened {
    let senseless = |error: serde_json::Error| Opened::Senseless(error.to_string());
    match serde_json::from_slice(bytes) {
        Ok(AnyVersion { version }) if version > VERSION => return Opened::Newer(version),
        Ok(_) => {}
        Err(error) => return senseless(error),
    }
    let Ok(Envelope { sealed, .. }) = serde_json::from_slice(bytes) else {
        return match serde_json::from_slice(bytes) {
            Ok(record) => Opened::Record(Box::new(record)),
            Err(error) => senseless(error),
        };
    };
    let key = match key {
        AccountKey::Ready(key) => key,
        AccountKey::Off => return Opened::Locked("no key is configured".to_owned()),
        AccountKey::Missing(why) => return Opened::Locked(why.to_string()),
    };
    let Some(text) = seal::open(key, place, &sealed) else {
        return Opened::Locked("the key that is configured does not fit".to_owned());
    };
    match serde_json::from_slice(&text) {
        Ok(record) => Opened::Record(Box::new(record)),
        // Whoever had the key wrote this: a later siskin, whose work is not ours to move.
        Err(error) => Opened::Locked(format!("what is inside cannot be read ({error})")),
    }
}

/// For the fuzz targets: as it stands in a file, and as it stands in an envelope that opens.
///
/// # Panics
/// When what was read cannot be kept.
#[cfg(any(test, fuzzing))]
pub(super) fn read_any(bytes: &[u8]) {
    let ready = AccountKey::Ready([7; super::key::LENGTH].into());
    let sealed = seal::seal(&[7; super::key::LENGTH], "kim", bytes).expect("short");
    let version = VERSION;
    let envelope = serde_json::to_vec(&Envelope { version, sealed }).expect("plain values");
    assert!(!matches!(
        open(&envelope, "kim", &ready),
        Opened::Senseless(_)
    ));
    for key in [&AccountKey::Off, &ready] {
        if let Opened::Record(record) = open(bytes, "kim", key) {
            record.account();
            let text = serde_json::to_vec(&record).expect("plain values");
            assert_eq!(open(&text, "kim", key), Opened::Record(record));
        }
    }
}

/// Binds an envelope to its file, so that one account's cannot be put in another's place.
fn place(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("siskin account {name}")
}

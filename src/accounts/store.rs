//! The state directory: `lock`, `accounts/<id>.json`, `speakers/<id>/{device,seat,volume}.json`.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rand::RngCore;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha1::{Digest, Sha1};

use super::files::{self, Found};
use crate::model::{DeviceId, Login, Volume};

const VERSION: u32 = 1;

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

/// Something that was kept and is not readable any more, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

/// The open state directory. The lock is held as long as this lives.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct AccountFile {
    version: u32,
    login: Login,
    country: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct DeviceFile {
    version: u32,
    device: DeviceId,
}

/// Who sat here last.
#[derive(Serialize, Deserialize)]
struct SeatFile {
    version: u32,
    user: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct VolumeFile {
    version: u32,
    volume: Volume,
}

impl Store {
    /// Opens the directory, makes it if need be, and locks it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another daemon has it; [`StoreError::Unusable`] when it cannot be
    /// made or written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable {
            dir: dir.to_owned(),
            source,
        };
        for folder in [dir.to_owned(), dir.join("accounts"), dir.join("speakers")] {
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
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse {
                dir: dir.to_owned(),
            }),
            Err(error) => Err(unusable(error.into())),
        }
    }

    /// The speaker's id: kept from the first start on, random then.
    pub fn device(&self, speaker: &str) -> (DeviceId, Vec<Damage>) {
        let mut damage = Vec::new();
        let path = self.speaker(speaker, "device.json");
        if let Some(file) = kept::<DeviceFile>(&path, &mut damage) {
            return (file.device, damage);
        }
        let mut bytes = [0; 20];
        rand::rng().fill_bytes(&mut bytes);
        let device = DeviceId::from_bytes(bytes);
        let file = DeviceFile {
            version: VERSION,
            device: device.clone(),
        };
        note(
            self.write_speaker(speaker, "device.json", &file),
            "the speaker's id",
            &mut damage,
        );
        (device, damage)
    }

    /// The account that was signed in last on this speaker.
    pub fn last_login(&self, speaker: &str) -> (Option<Login>, Vec<Damage>) {
        let mut damage = Vec::new();
        let login = kept::<SeatFile>(&self.speaker(speaker, "seat.json"), &mut damage)
            .and_then(|seat| seat.user)
            .and_then(|user| kept::<AccountFile>(&self.account(&user), &mut damage))
            .map(|account| account.login);
        (login, damage)
    }

    /// Keeps the lasting credential and remembers who sits here.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn signed_in(
        &self,
        speaker: &str,
        login: &Login,
        country: Option<String>,
    ) -> io::Result<()> {
        let account = AccountFile {
            version: VERSION,
            login: login.clone(),
            country,
        };
        files::write(&self.account(&login.user), &account)?;
        let seat = SeatFile {
            version: VERSION,
            user: Some(login.user.clone()),
        };
        self.write_speaker(speaker, "seat.json", &seat)
    }

    /// Removes an account from this machine, and from the speaker.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn forget(&self, speaker: &str, user: &str) -> io::Result<()> {
        self.write_speaker(
            speaker,
            "seat.json",
            &SeatFile {
                version: VERSION,
                user: None,
            },
        )?;
        match fs::remove_file(self.account(user)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub fn volume(&self, speaker: &str) -> (Option<Volume>, Vec<Damage>) {
        let mut damage = Vec::new();
        let file = kept::<VolumeFile>(&self.speaker(speaker, "volume.json"), &mut damage);
        (file.map(|file| file.volume), damage)
    }

    /// # Errors
    /// When the disk does not take it.
    pub fn keep_volume(&self, speaker: &str, volume: Volume) -> io::Result<()> {
        self.write_speaker(
            speaker,
            "volume.json",
            &VolumeFile {
                version: VERSION,
                volume,
            },
        )
    }

    fn speaker(&self, speaker: &str, file: &str) -> PathBuf {
        self.dir.join("speakers").join(hashed(speaker)).join(file)
    }

    fn write_speaker(&self, speaker: &str, file: &str, value: &impl Serialize) -> io::Result<()> {
        let path = self.speaker(speaker, file);
        path.parent().map_or(Ok(()), files::make_private)?;
        files::write(&path, value)
    }

    fn account(&self, user: &str) -> PathBuf {
        self.dir
            .join("accounts")
            .join(format!("{}.json", hashed(user)))
    }
}

/// Names come from outside; a hash is a safe file name for all of them, and tells no user names.
fn hashed(name: &str) -> String {
    Sha1::digest(name.as_bytes())
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn kept<T: DeserializeOwned>(path: &Path, damage: &mut Vec<Damage>) -> Option<T> {
    match files::read(path) {
        Ok(Found::Good(value)) => Some(value),
        Ok(Found::Absent) => None,
        Ok(Found::Damaged { aside, why }) => {
            let what = format!(
                "{} was not readable ({why}); set aside as {}",
                path.display(),
                aside.display()
            );
            damage.push(Damage(what));
            None
        }
        Err(error) => {
            damage.push(Damage(format!(
                "{} cannot be read: {error}",
                path.display()
            )));
            None
        }
    }
}

fn note(done: io::Result<()>, what: &str, damage: &mut Vec<Damage>) {
    if let Err(error) = done {
        damage.push(Damage(format!("{what} could not be kept: {error}")));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::Secret;

    fn login(user: &str) -> Login {
        Login {
            user: user.into(),
            kind: 1,
            secret: Secret::new(b"lasting".to_vec()),
        }
    }

    fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).expect("an empty folder will do");
        (dir, store)
    }

    #[test]
    fn a_second_daemon_on_the_same_state_is_refused() {
        let (dir, store) = open();
        assert!(matches!(
            Store::open(dir.path()),
            Err(StoreError::InUse { .. })
        ));
        drop(store);
        assert!(Store::open(dir.path()).is_ok());
    }

    #[test]
    fn the_device_id_stays_and_differs_between_speakers() {
        let (_dir, store) = open();
        let (kitchen, damage) = store.device("kitchen");
        assert_eq!(damage, []);
        assert_eq!(store.device("kitchen").0, kitchen);
        assert_ne!(store.device("../../etc").0, kitchen);
    }

    #[test]
    fn an_account_is_kept_for_its_owner_only_and_forgotten_on_demand() {
        let (dir, store) = open();
        store
            .signed_in("main", &login("kim"), Some("DE".into()))
            .expect("written");
        assert_eq!(store.last_login("main").0, Some(login("kim")));
        let files: Vec<_> = fs::read_dir(dir.path().join("accounts"))
            .expect("a folder")
            .collect();
        let mode = files[0]
            .as_ref()
            .expect("a file")
            .metadata()
            .expect("its mode")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        store.forget("main", "kim").expect("removed");
        assert_eq!(store.last_login("main").0, None);
    }

    #[test]
    fn a_damaged_account_is_set_aside_and_said_so() {
        let (dir, store) = open();
        store
            .signed_in("main", &login("kim"), None)
            .expect("written");
        let path = store.account("kim");
        fs::write(&path, b"{\"version\": 1, \"lo").expect("halved");
        let (found, damage) = store.last_login("main");
        assert_eq!(found, None);
        assert_eq!(damage.len(), 1);
        assert!(path.with_extension("damaged").exists());
        assert_eq!(store.last_login("main"), (None, vec![]), "said once");
        drop(dir);
    }
}

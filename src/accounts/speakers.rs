//! What is kept of each speaker: its id, who sits on it, and how loud it was for whom.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    files, machine,
    store::{Store, hashed},
    words::Damage,
};
use crate::model::{DeviceId, Login, Volume};

const VERSION: u32 = 1;
/// Before the name of an account, in the name of the file with its volume.
const LEVEL: &str = "level-";

#[derive(Serialize, Deserialize)]
struct DeviceFile {
    version: u32,
    device: DeviceId,
}

#[derive(Default, Serialize, Deserialize)]
struct SeatFile {
    version: u32,
    /// Who sits here.
    user: Option<String>,
    /// To whom the speaker goes back when `user` leaves: set while that is a guest.
    #[serde(default)]
    owner: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct VolumeFile {
    version: u32,
    volume: Volume,
}

/// What was chosen for a speaker while it ran; `None`: as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    #[serde(default)]
    pub name: Option<String>,
    /// A sound card, by name.
    #[serde(default)]
    pub output: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ChoiceFile {
    version: u32,
    #[serde(flatten)]
    choice: Choice,
}

/// Who sat on a speaker at its last end, as far as they are still remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seat {
    pub login: Option<Login>,
    /// To whom the speaker goes back when the first one, a guest, leaves.
    pub owner: Option<Login>,
}

impl Store {
    /// The speaker's id: kept from the first start on, made from the machine then, and again when what
    /// was kept cannot be read.
    pub fn device(&self, speaker: &str) -> (DeviceId, Vec<Damage>) {
        let mut damage = Vec::new();
        let path = self.speaker_file(speaker, "device");
        if let Some(file) = files::read::<DeviceFile>(&path, &mut damage) {
            return (file.device, damage);
        }
        let device = machine::device(self.dir(), speaker);
        let file = DeviceFile {
            version: VERSION,
            device: device.clone(),
        };
        if let Err(error) = self.write_speaker(speaker, "device", &file) {
            damage.push(Damage::disk("the speaker's id could not be kept", &error));
        }
        (device, damage)
    }

    /// Who sat on this speaker last.
    pub fn seat(&self, speaker: &str) -> (Seat, Vec<Damage>) {
        let mut damage = Vec::new();
        let path = self.speaker_file(speaker, "seat");
        let file: SeatFile = files::read(&path, &mut damage).unwrap_or_default();
        let mut login_of = |user: Option<String>| {
            let (login, more) = self.login_of(&user?);
            damage.extend(more);
            login
        };
        let (login, owner) = (login_of(file.user), login_of(file.owner));
        let seat = match login {
            Some(_) => Seat { login, owner },
            // The guest was forgotten meanwhile.
            None => Seat {
                login: owner,
                owner: None,
            },
        };
        (seat, damage)
    }

    /// Remembers who sits on a speaker; `owner` while that is a guest.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn take_seat(
        &self,
        speaker: &str,
        user: Option<&str>,
        owner: Option<&str>,
    ) -> io::Result<()> {
        let file = SeatFile {
            version: VERSION,
            user: user.map(str::to_owned),
            owner: owner.map(str::to_owned),
        };
        self.write_speaker(speaker, "seat", &file)
    }

    /// How loud this speaker was last: for `user` if he was here before, else for anybody.
    pub fn level(&self, speaker: &str, user: Option<&str>) -> (Option<Volume>, Vec<Damage>) {
        let mut damage = Vec::new();
        let mut read = |name: String| {
            let path = self.speaker_file(speaker, &name);
            files::read::<VolumeFile>(&path, &mut damage)
        };
        let own = user.and_then(|user| read(level_of(user)));
        let file = own.or_else(|| read("volume".to_owned()));
        (file.map(|file| file.volume), damage)
    }

    /// Keeps how loud this speaker is, for `user` and for whoever comes new.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_level(&self, speaker: &str, user: Option<&str>, volume: Volume) -> io::Result<()> {
        let version = VERSION;
        let file = VolumeFile { version, volume };
        if let Some(user) = user {
            self.write_speaker(speaker, &level_of(user), &file)?;
        }
        self.write_speaker(speaker, "volume", &file)
    }

    /// What was chosen for this speaker.
    pub fn choice(&self, speaker: &str) -> (Choice, Vec<Damage>) {
        let mut damage = Vec::new();
        let path = self.speaker_file(speaker, "choice");
        let file = files::read::<ChoiceFile>(&path, &mut damage);
        (file.map(|file| file.choice).unwrap_or_default(), damage)
    }

    /// Changes what is kept of that.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn choose(&self, speaker: &str, change: impl FnOnce(&mut Choice)) -> io::Result<()> {
        let _writing = self.writing();
        let (mut choice, _) = self.choice(speaker);
        change(&mut choice);
        let version = VERSION;
        self.write_speaker(speaker, "choice", &ChoiceFile { version, choice })
    }

    /// Takes every trace of whoever is gone off all speakers. `is_gone` is asked with the folder of a
    /// speaker and an account's name as it is [`hashed`].
    pub(super) fn clear_seats(&self, is_gone: impl Fn(&Path, &str) -> bool) -> io::Result<()> {
        for folder in files::listed(&self.dir().join("speakers")) {
            for file in files::listed(&folder) {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let level = stem.strip_prefix(LEVEL);
                // What an engine left behind may be about anybody.
                let theirs = level.is_some_and(|name| is_gone(&folder, name)) || stem == "left";
                if theirs {
                    files::remove(&file)?;
                }
            }
            let path = folder.join("seat.json");
            let Some(mut seat) = files::read::<SeatFile>(&path, &mut Vec::new()) else {
                continue;
            };
            let is_gone = |user: &mut String| is_gone(&folder, &hashed(user));
            let left = (seat.user.take_if(is_gone), seat.owner.take_if(is_gone));
            if left != (None, None) {
                files::write(&path, &seat)?;
            }
        }
        Ok(())
    }

    /// Who sits on these speakers or owns them, each name as it is [`hashed`].
    pub(super) fn seated_on(&self, speakers: &[String]) -> HashSet<String> {
        let seat = |speaker: &String| {
            let path = self.speaker_file(speaker, "seat");
            files::read::<SeatFile>(&path, &mut Vec::new())
        };
        let users = speakers.iter().filter_map(seat);
        let users = users.flat_map(|seat| [seat.user, seat.owner]);
        users.flatten().map(|user| hashed(&user)).collect()
    }

    /// Where an engine whose daemon dies leaves word for the next one.
    pub fn note_file(&self, speaker: &str) -> PathBuf {
        self.speaker_file(speaker, "left")
    }

    pub(super) fn speaker_folder(&self, speaker: &str) -> PathBuf {
        self.dir().join("speakers").join(hashed(speaker))
    }

    fn speaker_file(&self, speaker: &str, name: &str) -> PathBuf {
        self.speaker_folder(speaker).join(format!("{name}.json"))
    }

    fn write_speaker(&self, speaker: &str, name: &str, value: &impl Serialize) -> io::Result<()> {
        let path = self.speaker_file(speaker, name);
        path.parent().map_or(Ok(()), files::make_private)?;
        files::write(&path, value)
    }
}

/// For the fuzz targets: what is in a file of a speaker's folder.
#[cfg(any(test, fuzzing))]
pub(super) fn read_any(bytes: &[u8]) {
    let _ = serde_json::from_slice::<DeviceFile>(bytes);
    let _ = serde_json::from_slice::<SeatFile>(bytes);
    let _ = serde_json::from_slice::<VolumeFile>(bytes);
    let _ = serde_json::from_slice::<ChoiceFile>(bytes);
}

fn level_of(user: &str) -> String {
    format!("{LEVEL}{}", hashed(user))
}

//! A speaker's id where none is kept: the same at every start, made from the machine it runs on.
//!
//! Phones know a speaker by its id, which must never change: not where nothing can be written, and
//! not when the file with it was damaged.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use hmac::{Hmac, Mac};
use rand::RngCore;
use sha1::Sha1;

use crate::model::DeviceId;

/// Where the id of the machine is read (machine-id(5)), the first one first.
const PLACES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// So that it tells nothing of any other program's id that is made the same way.
const PURPOSE: &[u8] = b"siskin: the device id of a speaker";

/// The id of `speaker` with its state in `dir`, whether or not anything can be written there. Random
/// where the machine has no id of its own.
pub fn device(dir: &Path, speaker: &str) -> DeviceId {
    let machine = PLACES.iter().find_map(|place| machine_id(place.as_ref()));
    device_on(machine.as_deref(), dir, speaker)
}

/// The same on the machine of this id.
pub(super) fn device_on(machine: Option<&str>, dir: &Path, speaker: &str) -> DeviceId {
    let host = rustix::system::uname();
    let host = OsStr::from_bytes(host.nodename().to_bytes());
    match machine {
        Some(machine) => made(machine, host, dir, speaker),
        None => {
            let mut bytes = [0; 20];
            rand::rng().fill_bytes(&mut bytes);
            DeviceId::from_bytes(bytes)
        }
    }
}

/// Keyed by the machine's id, which cannot be found out from the result. Two daemons of one machine
/// keep their state in two folders, and the containers of one image, which may share an id, run on
/// hosts with different names.
fn made(machine: &str, host: &OsStr, dir: &Path, speaker: &str) -> DeviceId {
    let keyed = <Hmac<Sha1> as Mac>::new_from_slice(machine.as_bytes());
    let mut mac = keyed.expect("HMAC takes keys of any length");
    let parts = [
        PURPOSE,
        host.as_bytes(),
        dir.as_os_str().as_bytes(),
        speaker.as_bytes(),
    ];
    for part in parts {
        mac.update(part);
        // No path, and no name of a host, has it inside: the parts stay apart.
        mac.update(&[0]);
    }
    DeviceId::from_bytes(mac.finalize().into_bytes().into())
}

/// What is in the file, if that is an id: 32 hexadecimal digits, not all of them 0.
fn machine_id(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let id = text.trim();
    let is_id = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "0123456789abcdef0123456789abcdee";

    #[test]
    fn the_id_is_the_same_for_the_same_machine_folder_and_speaker_only() {
        let made = |machine, host: &str, dir: &str, speaker| {
            made(machine, host.as_ref(), dir.as_ref(), speaker)
        };
        let id = made(ONE, "pi", "/var/lib/siskin", "kitchen");
        assert_eq!(id, made(ONE, "pi", "/var/lib/siskin", "kitchen"));
        let others = [
            made(OTHER, "pi", "/var/lib/siskin", "kitchen"),
            made(ONE, "attic", "/var/lib/siskin", "kitchen"),
            made(ONE, "pi", "/srv/siskin", "kitchen"),
            made(ONE, "pi", "/var/lib/siskin", "bath"),
        ];
        assert!(!others.contains(&id));
        assert!(!id.as_str().contains(&ONE[..8]), "the machine's id shows");
    }

    #[test]
    fn without_an_id_of_the_machine_each_is_another() {
        let random = || device_on(None, "/var/lib/siskin".as_ref(), "kitchen");
        assert_ne!(random(), random());
    }

    #[test]
    fn what_is_no_id_of_a_machine_is_not_taken_for_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("machine-id");
        assert_eq!(machine_id(&path), None);
        let zero = "0".repeat(32);
        for wrong in [
            "",
            "uninitialized\n",
            &zero,
            &ONE[1..],
            "not hexadecimal, yet 32 letters.",
        ] {
            fs::write(&path, wrong).expect("written");
            assert_eq!(machine_id(&path), None, "{wrong:?}");
        }
        fs::write(&path, format!("{ONE}\n")).expect("written");
        assert_eq!(machine_id(&path).as_deref(), Some(ONE));
    }
}

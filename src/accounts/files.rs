//! Small files, written so that a power cut cannot halve them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::words::Damage;

/// No file of ours is longer; a longer one is not ours.
const MAX_FILE: u64 = 256 * 1024;

/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// Makes a folder that only we can enter. One that is there stays as it is: what was named may be no
/// folder of ours.
pub fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Makes a folder that only we can enter, and closes one that others can: it must be one of ours.
pub fn make_private(dir: &Path) -> io::Result<()> {
    make(dir)?;
    let found = fs::metadata(dir)?;
    if found.mode() & OTHERS != 0 && found.uid() == us() {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes beside the file, flushes to the disk, and renames. Mode 0600. When the disk does not take
/// it, the old file is untouched and nothing lies beside it.
pub fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let written = write_new(&beside, &bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The rename itself must survive the power cut as well.
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The bytes of a file, `None` when there is none. Repairs its mode; tells of that and of a foreign
/// owner.
pub fn bytes(path: &Path, damage: &mut Vec<Damage>) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if found.uid() != us() {
        damage.push(Damage::owner(path, found.uid(), us()));
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0
        && file
            .set_permissions(PermissionsExt::from_mode(0o600))
            .is_ok()
    {
        damage.push(Damage::mode(path, mode));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Moves a file that makes no sense out of the way, and says so.
pub fn set_aside(path: &Path, why: &str, damage: &mut Vec<Damage>) {
    let aside = path.with_extension("damaged");
    match fs::rename(path, &aside) {
        Ok(()) => damage.push(Damage::unreadable(path, &aside, why)),
        Err(error) => damage.push(disk(path, &error)),
    }
}

/// Reads a file that is plain JSON; what makes no sense is set aside.
pub fn read<T: DeserializeOwned>(path: &Path, damage: &mut Vec<Damage>) -> Option<T> {
    let bytes = match bytes(path, damage) {
        Ok(bytes) => bytes?,
        Err(error) => {
            damage.push(disk(path, &error));
            return None;
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| set_aside(path, &error.to_string(), damage))
        .ok()
}

/// Removes a file; it is no mistake when there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Everything in a folder; nothing when it cannot be read.
pub fn listed(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

pub fn disk(path: &Path, error: &io::Error) -> Damage {
    Damage::disk(&format!("{} cannot be read", path.display()), error)
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

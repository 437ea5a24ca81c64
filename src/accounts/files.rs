//! Small files, written so that a power cut cannot halve them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// No file of ours is longer; a longer one is not ours.
const MAX_FILE: u64 = 256 * 1024;

/// Makes a folder that only we can enter.
pub fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Writes beside the file, flushes to the disk, and renames. Mode 0600.
pub fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename itself must survive the power cut as well.
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// What reading a file came to.
pub enum Found<T> {
    Good(T),
    Absent,
    /// Not what we wrote; it now lies at the path given.
    Damaged {
        aside: PathBuf,
        why: String,
    },
}

/// Reads a file, and moves it out of the way when it makes no sense.
pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Found<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Found::Good(value)),
        Err(error) => {
            let aside = path.with_extension("damaged");
            fs::rename(path, &aside)?;
            Ok(Found::Damaged {
                aside,
                why: error.to_string(),
            })
        }
    }
}

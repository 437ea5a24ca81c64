//! The token that whoever asks over TCP must know: made once, and for the daemon's user only.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::model::Secret;

const BYTES: usize = 32;
/// As hexadecimal digits.
const DIGITS: usize = 2 * BYTES;

/// Where it is kept.
pub fn file(dir: &Path) -> PathBuf {
    dir.join("http-token")
}

/// The one that is kept in `dir`; a file that holds none is no token.
///
/// # Errors
/// When it cannot be read, or makes no sense.
pub fn read(dir: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    let file = fs::File::open(file(dir))?;
    file.take(2 * DIGITS as u64).read_to_string(&mut text)?;
    let digits = text.trim();
    if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(Secret::new(digits.as_bytes().to_vec()))
    } else {
        let what = "it does not hold 64 hexadecimal digits";
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}

/// The same, made where there is none.
///
/// # Errors
/// When it can neither be read nor written. One that makes no sense is left to whoever wrote it.
pub fn read_or_make(dir: &Path) -> io::Result<Secret> {
    let path = file(dir);
    match read(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => {
            if found.is_ok() {
                // Whoever could read it before is not told anything new by that.
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            }
            return found;
        }
    }
    let bytes: [u8; BYTES] = rand::random();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whole or not at all: half a token would stay for ever.
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(format!("{digits}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    Ok(Secret::new(digits.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_for_its_owner_only_and_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let missing = read(dir.path()).map_err(|error| error.kind());
        assert_eq!(missing, Err(io::ErrorKind::NotFound));
        let made = read_or_make(dir.path()).expect("made");
        assert_eq!(made.expose().len(), DIGITS);
        let mode = fs::metadata(file(dir.path())).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(read_or_make(dir.path()).expect("kept"), made);
        assert_eq!(read(dir.path()).expect("kept"), made);
        fs::write(file(dir.path()), "short").expect("written");
        assert!(read_or_make(dir.path()).is_err(), "nothing weak is taken");
    }
}

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

/// The token of this house.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    pub secret: Secret,
    /// Where the file lies now that stood in its place and made no sense, and why it did not.
    pub aside: Option<(PathBuf, String)>,
}

/// The one that is kept, made where there is none. A file that makes no sense is set aside: nobody
/// could get in with it, and whoever wrote it finds it again.
///
/// # Errors
/// When it can neither be read nor written.
pub fn read_or_make(dir: &Path) -> io::Result<Token> {
    let path = file(dir);
    let mut aside = None;
    match read(dir) {
        Ok(secret) => {
            // Whoever could read it before is not told anything new by that.
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            return Ok(Token { secret, aside });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let damaged = path.with_extension("damaged");
            fs::rename(&path, &damaged)?;
            aside = Some((damaged, error.to_string()));
        }
        Err(error) => return Err(error),
    }
    let secret = make(&path)?;
    Ok(Token { secret, aside })
}

fn make(path: &Path) -> io::Result<Secret> {
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
    fs::rename(&beside, path)?;
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
        assert_eq!((made.secret.expose().len(), &made.aside), (DIGITS, &None));
        let mode = fs::metadata(file(dir.path())).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(read_or_make(dir.path()).expect("kept"), made);
        assert_eq!(read(dir.path()).expect("kept"), made.secret);
    }

    #[test]
    fn one_that_makes_no_sense_is_set_aside_and_another_is_made() {
        let dir = tempfile::tempdir().expect("a folder");
        for weak in [b"short".as_slice(), b"", &[0xff; 64], &[b'x'; 64]] {
            fs::write(file(dir.path()), weak).expect("written");
            let made = read_or_make(dir.path()).expect("made");
            assert_eq!(made.secret.expose().len(), DIGITS);
            let (aside, why) = made.aside.expect("set aside");
            assert_eq!(fs::read(aside).expect("there"), weak);
            assert!(!why.contains("short"), "{why}");
            assert_eq!(read(dir.path()).expect("kept"), made.secret);
        }
        fs::remove_file(file(dir.path())).expect("there");
        fs::create_dir(file(dir.path())).expect("a folder in its place");
        assert!(read_or_make(dir.path()).is_err(), "that is no file of ours");
    }
}

//! The key that the files of accounts are encrypted with, and where it comes from.
//!
//! 32 random bytes, as they are or as 64 hexadecimal digits. `account_key_file` names the file; else
//! it is the systemd credential `account-key`, which the unit hands over in a folder of its own.

use std::{
    env, fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Name of the systemd credential.
pub const CREDENTIAL: &str = "account-key";

/// Length of the key in bytes.
pub(super) const LENGTH: usize = 32;

/// What there is to open and close the files of accounts with. `Debug` does not show it.
#[derive(Clone, Default)]
pub enum AccountKey {
    /// None was asked for: files are plain, for their owner only.
    #[default]
    Off,
    Ready(Arc<[u8; LENGTH]>),
    /// One was asked for and cannot be had; why, to follow “and”. Nothing is written in the clear then.
    Missing(Arc<str>),
}

impl AccountKey {
    /// The key that `file` (the setting `account_key_file`) names, else the credential that systemd
    /// handed over.
    pub fn find(file: Option<&Path>) -> Self {
        let handed = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::find_in(file, handed.as_deref())
    }

    pub(super) fn find_in(file: Option<&Path>, credentials: Option<&Path>) -> Self {
        if let Some(file) = file {
            return Self::read(file);
        }
        match credentials.map(|folder| folder.join(CREDENTIAL)) {
            Some(credential) if credential.exists() => Self::read(&credential),
            _ => Self::Off,
        }
    }

    /// Why there is none although one is asked for.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Missing(why) => Some(why.to_string()),
            Self::Off | Self::Ready(_) => None,
        }
    }

    fn read(path: &Path) -> Self {
        let missing = |why: String| Self::Missing(why.into());
        let mut bytes = Vec::new();
        // Twice as many digits as bytes, and the end of a line.
        let limit = 2 * LENGTH as u64 + 3;
        let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        if let Err(error) = read {
            return missing(format!(
                "the key {} cannot be read ({error})",
                path.display()
            ));
        }
        match parse(&bytes) {
            Some(key) => Self::Ready(Arc::new(key)),
            None => missing(format!(
                "{} holds no key: 32 random bytes, or 64 hexadecimal digits",
                path.display()
            )),
        }
    }
}

pub(super) fn parse(bytes: &[u8]) -> Option<[u8; LENGTH]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let digits = std::str::from_utf8(bytes).ok()?.trim();
    if digits.len() != 2 * LENGTH || !digits.is_ascii() {
        return None;
    }
    let mut key = [0; LENGTH];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(key)
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => out.write_str("no key"),
            Self::Ready(_) => out.write_str("***"),
            Self::Missing(why) => write!(out, "no key: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_read_as_bytes_or_as_digits_and_nothing_else_is_one() {
        assert_eq!(parse(&[7; 32]), Some([7; 32]));
        assert_eq!(
            parse(format!("{}\n", "0A".repeat(32)).as_bytes()),
            Some([10; 32])
        );
        for wrong in [
            &b""[..],
            &[7; 31],
            &[7; 33],
            "zz".repeat(32).as_bytes(),
            "ü".repeat(32).as_bytes(),
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_that_was_named_comes_before_the_credential_and_its_absence_is_no_leave_to_do_without()
    {
        let folder = tempfile::tempdir().expect("a folder");
        let (handed, file) = (folder.path(), folder.path().join("file"));
        let find = |file| AccountKey::find_in(file, Some(handed));
        assert!(matches!(find(None), AccountKey::Off));
        assert!(matches!(find(Some(&file)), AccountKey::Missing(_)));
        fs::write(folder.path().join(CREDENTIAL), [1; 32]).expect("written");
        assert!(matches!(find(None), AccountKey::Ready(key) if *key == [1; 32]));
        fs::write(&file, [2; 32]).expect("written");
        assert!(matches!(find(Some(&file)), AccountKey::Ready(key) if *key == [2; 32]));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(
            format!("{:?}", AccountKey::Ready(Arc::new([42; 32]))),
            "***"
        );
    }
}

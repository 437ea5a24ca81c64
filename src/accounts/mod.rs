//! What is kept between starts: the household's accounts, and each speaker's id, seat and levels.
//!
//! Owns the state directory and the lock on it. A file is written whole and then renamed, so a power
//! cut or a full disk leaves the old or the new one; a damaged file is set aside, said so, and never
//! fatal. The files of accounts are encrypted when there is an [`AccountKey`].
//!
//! The *household* is who is remembered here: every account that ever signed in on this machine and
//! was not forgotten since. What follows from that is decided in the speaker, not here.
//!
//! Start at [`Store`]; [`record`] is what a file of an account says, [`seal`] how it is encrypted.

mod files;
mod key;
mod machine;
mod record;
mod seal;
mod speakers;
mod store;
#[cfg(test)]
mod tests;
mod words;

/// Reads a file of the state directory as each kind of them, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(bytes: &[u8]) {
    key::parse(bytes);
    record::read_any(bytes);
    speakers::read_any(bytes);
}

pub use key::{AccountKey, CREDENTIAL};
pub use machine::device;
pub use record::SignedIn;
pub use speakers::{Choice, Seat};
pub use store::{Store, StoreError};
pub use words::Damage;

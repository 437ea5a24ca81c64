//! What is kept between starts: the logins of the household, and each speaker's id and level.
//!
//! Owns the state directory and the lock on it. A file is written whole and then renamed, so a power
//! cut leaves the old or the new one; a damaged file is set aside, said so, and never fatal.

mod files;
mod store;

pub use store::{Damage, Store, StoreError};

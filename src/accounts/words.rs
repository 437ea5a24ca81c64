//! What can be wrong with kept files, in the listener's words.

use std::path::Path;

use crate::model::{Condition, ConditionCode};

/// Something that was kept and is not as it should be. Never fatal: it is said, and siskin goes on
/// with what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub Condition);

impl Damage {
    /// No sense in it; it lies at `aside` now.
    pub(super) fn unreadable(path: &Path, aside: &Path, why: &str) -> Self {
        Self(Condition::new(
            ConditionCode::StateDamaged,
            "something kept on disk is damaged",
            format!(
                "{} was not readable ({why}); set aside as {}",
                path.display(),
                aside.display()
            ),
            "check the disk; if nobody is signed in now, pick the speaker in the app again",
        ))
    }

    /// The disk or its permissions said no. `what` begins a sentence that `why` ends.
    pub(super) fn disk(what: &str, why: &std::io::Error) -> Self {
        Self(Condition::new(
            ConditionCode::StateDamaged,
            "something kept on disk could not be read or written",
            format!("{what}: {why}"),
            "check the disk and who owns the state directory; if nobody is signed in now, pick the \
             speaker in the app again",
        ))
    }

    /// Encrypted, and not to be opened with what is at hand. The file stays as it is.
    pub(super) fn locked(path: &Path, why: &str) -> Self {
        Self(Condition::new(
            ConditionCode::AccountsLocked,
            "an account that is kept here cannot be opened",
            format!("{} is encrypted, and {why}", path.display()),
            "give siskin the key it was written with (account_key_file, or the systemd credential \
             account-key) and restart it; or pick the speaker in the app again",
        ))
    }

    /// Written by a later siskin. The file stays as it is.
    pub(super) fn newer(path: &Path, version: u32) -> Self {
        Self(Condition::new(
            ConditionCode::AccountsLocked,
            "an account that is kept here cannot be read",
            format!(
                "{} was written by a newer siskin (version {version} of the file)",
                path.display()
            ),
            "update siskin, or pick the speaker in the app again",
        ))
    }

    /// Others could read it; that is over.
    pub(super) fn mode(path: &Path, mode: u32) -> Self {
        Self(Condition::new(
            ConditionCode::StateRepaired,
            "kept logins could be read by other users of this machine",
            format!("{} had mode {mode:04o}; that is repaired", path.display()),
            "if you do not trust them, use “Sign out everywhere” at spotify.com/account",
        ))
    }

    pub(super) fn owner(path: &Path, owner: u32, us: u32) -> Self {
        let folder = path.parent().unwrap_or(path);
        Self(Condition::new(
            ConditionCode::StateDamaged,
            "a file that is kept here belongs to another user",
            format!(
                "{} belongs to user {owner}, and siskin runs as user {us}",
                path.display()
            ),
            format!("chown -R {us} {}", folder.display()),
        ))
    }
}

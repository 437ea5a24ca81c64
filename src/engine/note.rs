//! What an engine leaves behind when its daemon died under it: what played, and where, for the daemon
//! that a supervisor starts next.
//!
//! Nothing is written while all is well, so that no memory card wears out by it. A daemon that is told
//! to stop says so to its engine, which then leaves nothing: what somebody has ended does not begin
//! again by itself. Nor does anything after a power cut, for nobody was left to write.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::model::Playback;

/// A daemon that was started later than this after the note is not the one it was left for.
const FRESH: Duration = Duration::from_secs(60);
/// No note of ours is longer.
const LONGEST: u64 = 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Note {
    user: String,
    playback: Playback,
}

/// Writes down what played for `user`. Whole or not at all, and not waited for: whoever ended the
/// daemon may be about to end us.
///
/// # Errors
/// When the disk does not take it.
pub fn leave(path: &Path, user: &str, playback: Playback) -> io::Result<()> {
    let note = Note {
        user: user.to_owned(),
        playback,
    };
    let text = serde_json::to_vec(&note)?;
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside);
    let written = file
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// What was left for `user` and for a daemon that began at this time. The note is gone after that,
/// whomever it was for.
pub fn take(path: &Path, user: &str, began: SystemTime) -> Option<Box<Playback>> {
    let about = fs::symlink_metadata(path).ok()?;
    let text = (about.is_file() && about.len() <= LONGEST).then(|| fs::read(path));
    let _ = fs::remove_file(path);
    let note: Note = serde_json::from_slice(&text?.ok()?).ok()?;
    // One that was left after the daemon began is of no age.
    let age = began.duration_since(about.modified().ok()?);
    let is_fresh = age.unwrap_or_default() <= FRESH;
    (is_fresh && note.user == user).then(|| Box::new(note.playback))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Volume;

    #[test]
    fn a_note_is_for_one_person_and_for_the_daemon_that_comes_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("left.json");
        let now = SystemTime::now();
        let left = || {
            let playback = Playback {
                position_ms: 7_000,
                ..Playback::silent(Volume::FULL)
            };
            leave(&path, "kim", playback).expect("written");
        };
        let found = |user: &str, began| take(&path, user, began).map(|then| then.position_ms);
        left();
        assert_eq!(found("kim", now), Some(7_000));
        assert_eq!(found("kim", now), None, "once");
        left();
        assert_eq!(found("alex", now), None);
        assert_eq!(found("kim", now), None, "it was not for him");
        left();
        assert_eq!(found("kim", now + Duration::from_secs(30)), Some(7_000));
        left();
        assert_eq!(
            found("kim", now + Duration::from_secs(90)),
            None,
            "too late"
        );
        fs::write(&path, b"{ half").expect("written");
        assert_eq!(found("kim", now), None);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}

//! Text and JSON that others may have written: the seam, the configuration, the state directory.

use serde::{Serialize, de::DeserializeOwned};

use super::chosen;
use crate::{
    accounts, config,
    engine::messages::{Command, Event},
    librespot,
};

/// Lines between the daemon and its engine.
pub(super) fn seam(bytes: &[u8]) {
    match chosen(bytes, 3) {
        Some((0, line)) => comes_back::<Command>(line),
        Some((1, line)) => comes_back::<Event>(line),
        Some((_, mut lines)) => while let Ok(Some(_)) = librespot::read_command(&mut lines) {},
        None => {}
    }
}

/// What was understood is understood again, and says the same.
fn comes_back<T: Serialize + DeserializeOwned>(line: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(line) else {
        return;
    };
    let written = serde_json::to_string(&read).expect("plain values");
    assert!(!written.contains('\n'), "two lines");
    let again: T = serde_json::from_str(&written).expect("our own words");
    let written_again = serde_json::to_string(&again).expect("plain values");
    assert_eq!(written, written_again);
}

/// A file of settings: either it holds, or every problem is told with its cure.
pub(super) fn config(bytes: &[u8]) {
    match config::load_bytes(bytes) {
        Ok(loaded) => {
            assert!(!loaded.config.speakers.is_empty());
            assert_eq!(config::diff(&loaded.config, &loaded.config), []);
            if let Ok(bare) = config::load_bytes(b"") {
                config::diff(&bare.config, &loaded.config);
            }
            assert!(!loaded.explained.to_string().is_empty());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems.iter() {
                assert!(
                    !problem.what.is_empty() && !problem.help.is_empty(),
                    "{problem}"
                );
            }
        }
    }
}

/// Files of the state directory.
pub(super) fn state(bytes: &[u8]) {
    accounts::read_any(bytes);
}

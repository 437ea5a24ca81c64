//! Audio files that nobody will use any more are removed: those of a cache that is switched off, or
//! was moved elsewhere.
//!
//! Whoever switches it off wants the room back. Where it was is known by the settings, also by those
//! before a reload; a folder that no file names any more is found where it is by default. Only files
//! that are ours are touched.

use std::{path::Path, time::Duration};

use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tracing::{debug, info};

use super::places;
use crate::{config::Config, fetch::cache};

/// Before a folder is cleared at a reload: the engines that write there are being replaced.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// The folders that are being cleared. Ends with its owner.
#[derive(Default)]
pub struct Clearing(JoinSet<()>);

impl Clearing {
    /// Clears what `now` does not use, beside everything else. `before`: what held until now.
    pub fn begin(&mut self, before: Option<&Config>, now: &Config) {
        self.0.abort_all();
        let after = if before.is_some() {
            LEFT_ALONE
        } else {
            Duration::ZERO
        };
        let used = places::cache(now).and_then(|cache| cache.path);
        let old = before.and_then(places::cache).and_then(|cache| cache.path);
        let mut unused: Vec<_> = old.into_iter().chain(places::unused_cache(now)).collect();
        unused.retain(|folder| used.as_ref() != Some(folder));
        unused.dedup();
        for folder in unused {
            self.0.spawn(async move {
                sleep(after).await;
                let _ = spawn_blocking(move || clear(&folder)).await;
            });
        }
    }
}

fn clear(folder: &Path) {
    match cache::clear(folder) {
        Ok(removed) if removed.files > 0 => info!(
            "audio files are not kept in {} any more: {} removed, {} MB",
            folder.display(),
            removed.files,
            removed.bytes / 1_000_000
        ),
        Ok(_) => {}
        Err(why) => debug!("{} cannot be cleared: {why}", folder.display()),
    }
}

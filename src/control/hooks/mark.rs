//! One small file that says which speakers are in use, so that a life that follows a crash can say
//! that they are not.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use tokio::fs;
use tracing::debug;

/// No honest one is longer.
const LONGEST: usize = 64 * 1024;

#[derive(Debug)]
pub struct Mark {
    /// `None`: nothing can be kept.
    path: Option<PathBuf>,
    /// As it was written last; `None`: nobody knows.
    written: Option<BTreeSet<String>>,
}

impl Mark {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            written: None,
        }
    }

    /// The speakers that the last life left in use.
    pub async fn read(&mut self) -> BTreeSet<String> {
        let Some(path) = &self.path else {
            return BTreeSet::new();
        };
        let found = match fs::read(path).await {
            Ok(bytes) if bytes.len() <= LONGEST => bytes,
            _ => return BTreeSet::new(),
        };
        // Whatever stands there: it is there, so something was in use.
        let found: BTreeSet<String> = serde_json::from_slice(&found).unwrap_or_default();
        self.written = Some(found.clone());
        found
    }

    /// Writes it down, if that is not what it says already.
    pub async fn write(&mut self, in_use: BTreeSet<String>) {
        let known = self.written.as_ref().is_some_and(|known| *known == in_use);
        let Some(path) = self.path.as_deref().filter(|_| !known) else {
            return;
        };
        match put(path, &in_use).await {
            Ok(()) => self.written = Some(in_use),
            // Where nothing can be kept, a condition says so already.
            Err(error) => debug!("which speakers are in use cannot be kept: {error}"),
        }
    }
}

/// Whole or not at all. Not flushed to the disk: after a power cut the amplifier is off anyway.
async fn put(path: &Path, in_use: &BTreeSet<String>) -> io::Result<()> {
    if in_use.is_empty() {
        return match fs::remove_file(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_vec(in_use)?).await?;
    fs::rename(&beside, path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_there_while_somebody_uses_a_speaker_and_outlives_us() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("in-use.json");
        let mut mark = Mark::new(Some(path.clone()));
        assert!(mark.read().await.is_empty());
        let both: BTreeSet<_> = ["a".to_owned(), "b".to_owned()].into();
        mark.write(both.clone()).await;
        assert_eq!(Mark::new(Some(path.clone())).read().await, both);
        mark.write(BTreeSet::new()).await;
        assert!(!path.exists());
        std::fs::write(&path, "[[").expect("written");
        assert!(Mark::new(Some(path)).read().await.is_empty());
        Mark::new(None).write(both).await;
    }
}

//! What a receiver holds of the machine, and whether that grows.

use std::{fmt, fs, time::Duration};

use super::watch::Scene;
use crate::bench::{Result, process::anonymous_mb};

/// What a receiver may hold more than before (MB).
const MORE_MB: f64 = 2.0;
/// So long after the last sound nothing is left that goes by itself: threads that wait for work,
/// connections that may be wanted again.
const REST: Duration = Duration::from_secs(12);
/// Looks after that, of which the least counts.
const LOOKS: u32 = 10;

/// Files and threads that may be more after a round or ten: what the first of a kind takes.
pub const A_HANDFUL: (usize, usize) = (12, 6);
/// The same after fifty: a leak would be fifty.
pub const HARDLY_ANY: (usize, usize) = (3, 2);

/// What a receiver holds, all its processes together.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    pub files: usize,
    pub threads: usize,
    pub processes: usize,
    /// Memory that no file backs.
    pub megabytes: f64,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} processes, {} files, {} threads, {:.1} MB",
            self.processes, self.files, self.threads, self.megabytes
        )
    }
}

impl Holds {
    /// What is more now, if that is more than may be.
    pub fn leaked(self, now: Self, (files, threads): (usize, usize)) -> Option<String> {
        let grown = |what: &str, before: usize, now: usize, may: usize| {
            (now > before + may).then(|| format!("{now} {what} instead of {before}"))
        };
        grown("processes", self.processes, now.processes, 0)
            .or_else(|| grown("files", self.files, now.files, files))
            .or_else(|| grown("threads", self.threads, now.threads, threads))
            .or_else(|| {
                let more = now.megabytes - self.megabytes;
                (more > MORE_MB).then(|| format!("{more:.1} MB more than before"))
            })
    }

    fn least(self, other: Self) -> Self {
        Self {
            files: self.files.min(other.files),
            threads: self.threads.min(other.threads),
            processes: self.processes.min(other.processes),
            megabytes: self.megabytes.min(other.megabytes),
        }
    }
}

impl Scene<'_> {
    pub fn holds(&self) -> Result<Holds> {
        let pids = self.guest.receiver.pids();
        let count = |what: &str| -> usize {
            let of =
                |pid: &u32| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
            pids.iter().map(of).sum()
        };
        Ok(Holds {
            files: count("fd"),
            threads: count("task"),
            processes: pids.len(),
            megabytes: anonymous_mb(&pids)?,
        })
    }

    /// What it holds in a pause, when it has come to rest.
    pub async fn holds_at_rest(&self) -> Result<Holds> {
        // A refusal means that nothing plays.
        let _ = self.app.within(Duration::from_secs(2)).pause().await;
        tokio::time::sleep(REST).await;
        let mut least = self.holds()?;
        for _ in 0..LOOKS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            least = least.least(self.holds()?);
        }
        Ok(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_by_more_than_may_be_is_named() {
        let before = Holds {
            files: 40,
            threads: 12,
            processes: 2,
            megabytes: 8.0,
        };
        assert_eq!(before.leaked(before, HARDLY_ANY), None);
        let files = Holds {
            files: 90,
            ..before
        };
        let said = before.leaked(files, A_HANDFUL).expect("a leak");
        assert_eq!(said, "90 files instead of 40");
        let memory = Holds {
            megabytes: 10.5,
            ..before
        };
        let said = before.leaked(memory, A_HANDFUL).expect("a leak");
        assert_eq!(said, "2.5 MB more than before");
    }
}

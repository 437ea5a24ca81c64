//! What was measured, a line of JSON each, in a file: an interrupted run goes on where it was.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::{Job, Life};
use crate::{bench::Result, receiver::Kind};

/// What became of one fault in one mood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub fault: String,
    pub mood: String,
    /// Of the published librespot, not of ours.
    pub peer: bool,
    /// The binary, in twelve digits.
    pub binary: String,
    /// It was a build for those who look for faults.
    pub debug: bool,
    /// How many were wanted.
    pub rounds: usize,
    /// Of each round that ended well: how long it took, and the silence in it (ms).
    pub costs: Vec<(u64, u64)>,
    /// Why the others did not.
    pub failures: Vec<String>,
    pub leak: Option<String>,
}

impl Outcome {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            fault: job.fault.name.to_owned(),
            mood: job.mood.name().to_owned(),
            peer: job.binary.kind == Kind::Peer,
            binary: job.from.mark.clone(),
            debug: is_debug(&job.from.path),
            rounds: job.rounds,
            costs: Vec::new(),
            failures: Vec::new(),
            leak: None,
        }
    }

    pub(super) fn tries(&self) -> usize {
        self.costs.len() + self.failures.len()
    }

    pub(super) fn add(&mut self, life: Life) {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let costs = life.costs.iter();
        self.costs
            .extend(costs.map(|cost| (ms(cost.recovery), ms(cost.silence))));
        self.failures.extend(life.failure);
        self.leak = self.leak.take().or(life.leak);
    }

    /// In one line, for who waits.
    pub(super) fn told(&self) -> String {
        let costs = self.costs.iter();
        let back: Vec<_> = costs
            .map(|(back, silent)| match silent {
                0 => back.to_string(),
                silent => format!("{back} (silent {silent})"),
            })
            .collect();
        let mut told = format!("back after {} ms", back.join(", "));
        for why in self.failures.iter().chain(&self.leak) {
            told += "; ";
            told += why;
        }
        told
    }
}

/// The file of results.
pub struct Kept {
    file: File,
    outcomes: Vec<Outcome>,
}

impl Kept {
    /// Opens it; empty, unless what is there is wanted.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let old = match resume {
            true => fs::read_to_string(path).unwrap_or_default(),
            false => String::new(),
        };
        // Whoever else writes into it adds lines, too.
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if !resume {
            file.set_len(0)?;
        }
        // A line that was cut short is measured again.
        let read = |line: &str| serde_json::from_str(line).ok();
        let outcomes = old.lines().filter_map(read).collect();
        Ok(Self { file, outcomes })
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.clone()
    }

    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let mut line = serde_json::to_string(outcome)?;
        line.push('\n');
        Ok(self.file.write_all(line.as_bytes())?)
    }
}

/// Which binary it was, so that results of different ones are told apart.
pub(super) fn mark(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    hex::encode(&Sha1::digest(bytes)[..6])
}

fn is_debug(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "debug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_there_after_an_interruption_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/results");
        let outcome = Outcome {
            fault: "line frozen".into(),
            mood: "idle".into(),
            peer: false,
            binary: "00".into(),
            debug: false,
            rounds: 2,
            costs: vec![(120, 0), (80, 10)],
            failures: vec!["not well".into()],
            leak: None,
        };
        let mut kept = Kept::open(&path, true).expect("a file");
        kept.add(&outcome).expect("a line");
        fs::write(
            &path,
            format!("{}{{\"fault", fs::read_to_string(&path).expect("lines")),
        )
        .expect("half a line");
        let again = Kept::open(&path, true).expect("the file").outcomes();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].costs, outcome.costs);
        assert_eq!(
            again[0].told(),
            "back after 120, 80 (silent 10) ms; not well"
        );
        let new = Kept::open(&path, false).expect("a file");
        assert!(new.outcomes().is_empty());
    }
}

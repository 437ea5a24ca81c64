//! What was measured, as a page.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use super::{
    Job, Options,
    kept::Outcome,
    list::{FAULTS, Fault},
    watch::{ENDED, Mood},
};
use crate::{
    bench::{Result, process::machine, table::between_markers},
    receiver::Kind,
};

const FAULTS_HERE: (&str, &str) = ("<!-- faults: begin -->", "<!-- faults: end -->");
pub const LEAKS_HERE: (&str, &str) = ("<!-- leaks: begin -->", "<!-- leaks: end -->");

const DEBUG: &str = "a debug build";

/// What there is so far, in no order.
pub struct Table(Vec<Outcome>);

impl Table {
    pub fn of(outcomes: Vec<Outcome>) -> Self {
        Self(outcomes)
    }

    /// Whether that was measured already, with the same binary and as often.
    pub(super) fn has(&self, job: &Job) -> bool {
        let is_peer = job.binary.kind == Kind::Peer;
        let known = self.find(job.fault, job.mood, is_peer);
        known.is_some_and(|known| known.rounds >= job.rounds && known.binary == job.from.mark)
    }

    /// The newest counts.
    fn find(&self, fault: &Fault, mood: Mood, peer: bool) -> Option<&Outcome> {
        let fits = |outcome: &&Outcome| {
            (&*outcome.fault, &*outcome.mood, outcome.peer) == (fault.name, mood.name(), peer)
        };
        self.0.iter().rev().find(fits)
    }

    pub fn add(&mut self, outcome: Outcome) {
        self.0.push(outcome);
    }

    /// Puts it into the page, if it is to go there.
    ///
    /// # Errors
    /// When the page cannot be read or written.
    pub fn write(&self, options: &Options) -> Result<()> {
        match &options.write {
            Some(file) => put(file, FAULTS_HERE, &self.page(options)),
            None => Ok(()),
        }
    }

    pub fn page(&self, options: &Options) -> String {
        let ours = || self.0.iter().filter(|outcome| !outcome.peer);
        let mut text = format!(
            "Measured with {} on {}, {} rounds of each fault (median, worst), {} speakers at the same \
             time, each in a network of its own. librespot suffered each once.\n\n\
             | fault | while | back after | silence | librespot 0.8.0 | |\n\
             | --- | --- | ---: | ---: | --- | --- |\n",
            built(ours()),
            machine(),
            options.rounds,
            options.jobs,
        );
        let all_debug = built(ours()) == DEBUG;
        for fault in FAULTS {
            for mood in fault.moods {
                if let Some(ours) = self.find(fault, *mood, false) {
                    let theirs = self.find(fault, *mood, true);
                    let mut row = row(fault, *mood, ours, theirs);
                    if ours.debug && !all_debug {
                        row.notes.push(DEBUG.to_owned());
                    }
                    // Writing into a String cannot fail.
                    let _ = writeln!(text, "{row}");
                }
            }
        }
        text
    }
}

/// # Errors
/// When the page cannot be read or written, or has no such place.
pub fn put(file: &Path, here: (&str, &str), text: &str) -> Result<()> {
    let old = fs::read_to_string(file)?;
    let new = between_markers(&old, here, text);
    let new = new.ok_or_else(|| format!("{} has no {}", file.display(), here.0))?;
    Ok(fs::write(file, new)?)
}

struct Row {
    fault: &'static str,
    mood: Mood,
    back: String,
    silence: String,
    theirs: String,
    notes: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fault, mood, notes) = (self.fault, self.mood.name(), self.notes.join("; "));
        let notes = notes.replace('|', "/");
        let (back, silence, theirs) = (&self.back, &self.silence, &self.theirs);
        write!(
            f,
            "| {fault} | {mood} | {back} | {silence} | {theirs} | {notes} |"
        )
    }
}

fn row(fault: &Fault, mood: Mood, ours: &Outcome, theirs: Option<&Outcome>) -> Row {
    let mut back = spread(ours.costs.iter().map(|(back, _)| *back));
    let mut notes = ours.failures.clone();
    notes.dedup();
    if !ours.failures.is_empty() {
        back = format!("{} of {}: {back}", ours.costs.len(), ours.tries());
    }
    notes.extend(ours.leak.clone());
    Row {
        fault: fault.name,
        mood,
        back,
        silence: match mood {
            Mood::Playing => spread(ours.costs.iter().map(|(_, silent)| *silent)),
            _ => "–".to_owned(),
        },
        theirs: match theirs {
            Some(theirs) => fate(theirs, fault.bound.as_secs()),
            None => "–".to_owned(),
        },
        notes,
    }
}

/// What the other receiver did.
fn fate(theirs: &Outcome, bound: u64) -> String {
    let Some(why) = theirs.failures.first() else {
        let (back, silent) = theirs.costs.first().copied().unwrap_or_default();
        return match silent {
            0 => format!("{back} ms"),
            silent => format!("{back} ms, silent for {silent} ms"),
        };
    };
    if why.starts_with(ENDED) {
        return why.replace(ENDED, "process ended");
    }
    let ail = why.split_once("after it: ").map_or(&**why, |(_, ail)| ail);
    let ail = match ail {
        "it is not in the app's list" => "gone from the app's list",
        "it is not signed in" => "not signed in",
        "it has not signed in again" => "deaf, and does not notice",
        "it is not the active device" => "music stopped",
        "nothing is heard" | "it does not say that it plays" => "music stopped",
        "it does not say that it is paused" => "what was paused is gone",
        other if other.starts_with("it plays ") => "not the track that was wanted",
        other => other.strip_prefix("it ").unwrap_or(other),
    };
    format!("not within {bound} s: {}", ail.replace('|', "/"))
}

/// Which builds these were.
fn built<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> &'static str {
    // A few faults need symbols, which only a debug build has; the rows say so.
    let (mut debug, mut release) = (0, 0);
    for outcome in outcomes {
        match outcome.debug {
            true => debug += 1,
            false => release += 1,
        }
    }
    match release > debug {
        true => "the release build",
        false => DEBUG,
    }
}

fn spread(values: impl Iterator<Item = u64>) -> String {
    let mut all: Vec<_> = values.collect();
    all.sort_unstable();
    match (all.get(all.len() / 2), all.last()) {
        (Some(0), Some(0)) => "0".to_owned(),
        (Some(median), Some(worst)) => format!("{median} ms, {worst} ms"),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(costs: &[(u64, u64)], failures: &[&str]) -> Outcome {
        Outcome {
            fault: FAULTS[0].name.into(),
            mood: "playing".into(),
            peer: false,
            binary: String::new(),
            debug: false,
            rounds: costs.len(),
            costs: costs.to_vec(),
            failures: failures.iter().map(|&why| why.to_owned()).collect(),
            leak: None,
        }
    }

    #[test]
    fn a_row_holds_median_and_worst_and_what_the_other_did() {
        let ours = outcome(&[(10, 0), (30, 0), (20, 0)], &[]);
        let theirs = outcome(&[], &["its process has ended (exit status: 1)"]);
        let row = row(&FAULTS[0], Mood::Playing, &ours, Some(&theirs));
        assert_eq!(
            row.to_string(),
            "| access point closed | playing | 20 ms, 30 ms | 0 | process ended (exit status: 1) |  |"
        );
    }

    #[test]
    fn what_did_not_come_back_is_counted_and_named() {
        let ours = outcome(&[(10, 0)], &["not well 20 s after it: nothing is heard"]);
        let row = row(&FAULTS[0], Mood::Playing, &ours, None).to_string();
        assert!(row.contains("| 1 of 2: 10 ms, 10 ms |"), "{row}");
        assert!(row.contains("nothing is heard |"), "{row}");
        let theirs = outcome(&[], &["not well 20 s after it: nothing is heard"]);
        assert_eq!(fate(&theirs, 20), "not within 20 s: music stopped");
    }
}

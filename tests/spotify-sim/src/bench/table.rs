//! The figures of a run, and the table they are shown in.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use super::Result;
use crate::receiver::Kind;

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    Announced,
    Info,
    Answered,
    Registered,
    FirstSample,
    FirstRequests,
    FirstBytes,
    Silence,
    OrderSilence,
    OrderEcho,
    Skip,
    Seek,
    SlowRegistered,
    SlowFirstSample,
    SlowSeek,
    SeekRequests,
    SlowerFirstSample,
    MemoryBefore,
    MemoryFaces,
    MemoryAsked,
    MemorySignedIn,
    MemoryPlaying,
    MemoryLater,
    Processor,
    WakeUpsBefore,
    WakeUpsSignedIn,
    Size,
}

/// All figures of a run: each row several times, for each receiver.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<(Row, &'static str), Vec<f64>>);

impl Row {
    const ALL: [Row; 27] = [
        Row::Announced,
        Row::Info,
        Row::Answered,
        Row::Registered,
        Row::FirstSample,
        Row::FirstRequests,
        Row::FirstBytes,
        Row::Silence,
        Row::OrderSilence,
        Row::OrderEcho,
        Row::Skip,
        Row::Seek,
        Row::SlowRegistered,
        Row::SlowFirstSample,
        Row::SlowSeek,
        Row::SeekRequests,
        Row::SlowerFirstSample,
        Row::MemoryBefore,
        Row::MemoryFaces,
        Row::MemoryAsked,
        Row::MemorySignedIn,
        Row::MemoryPlaying,
        Row::MemoryLater,
        Row::Processor,
        Row::WakeUpsBefore,
        Row::WakeUpsSignedIn,
        Row::Size,
    ];

    /// What it says, its unit, and how many digits after the point are worth showing.
    fn label(self) -> (&'static str, &'static str, usize) {
        match self {
            Row::Announced => ("start → announced", "ms", 0),
            Row::Info => ("start → `getInfo` answered", "ms", 0),
            Row::Answered => ("`addUser` → answered (1)", "ms", 0),
            Row::Registered => ("`addUser` → in the app's list", "ms", 0),
            Row::FirstSample => ("play → first sample", "ms", 0),
            Row::FirstRequests => ("– audio requests before it", "", 0),
            Row::FirstBytes => ("– audio fetched before it", "kB", 0),
            Row::Skip => ("next (prefetched) → heard (3)", "ms", 0),
            Row::Seek => ("seek (buffered) → heard (3)", "ms", 0),
            Row::SlowSeek => ("slow line (2): seek to what is not there → heard", "ms", 0),
            Row::SeekRequests => ("– audio requests for it", "", 0),
            Row::SlowerFirstSample => ("60 kB/s (2): play → first sample", "ms", 0),
            Row::SlowRegistered => ("slow line (2): `addUser` → in the list", "ms", 0),
            Row::SlowFirstSample => ("slow line (2): play → first sample", "ms", 0),
            Row::Silence => ("pause → silence (3)", "ms", 0),
            Row::OrderSilence => ("pause by the API → silence (3)", "ms", 0),
            Row::OrderEcho => ("order by the API → told to readers of events", "ms", 1),
            Row::MemoryBefore => ("memory (4) before a handoff", "MB", 1),
            Row::MemoryFaces => ("– with every face on (6)", "MB", 1),
            Row::MemoryAsked => ("memory, a phone has asked `getInfo`", "MB", 1),
            Row::MemorySignedIn => ("memory, signed in", "MB", 1),
            Row::MemoryPlaying => ("memory, playing", "MB", 1),
            Row::MemoryLater => ("memory, at the end of the music (5)", "MB", 1),
            Row::Processor => ("processor per minute of 320 kbit/s music", "s", 3),
            Row::WakeUpsBefore => ("wake-ups a second before a handoff", "", 2),
            Row::WakeUpsSignedIn => ("wake-ups a second, signed in, idle", "", 2),
            Row::Size => ("binary, stripped", "MB", 1),
        }
    }
}

impl Figures {
    pub fn add(&mut self, row: Row, kind: Kind, value: f64) {
        self.0.entry((row, kind.name())).or_default().push(value);
    }

    pub fn merge(&mut self, other: Figures) {
        for (key, values) in other.0 {
            self.0.entry(key).or_default().extend(values);
        }
    }

    /// As Markdown: median, and lowest to highest where there is more than one.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| | siskin | librespot 0.8.0 | siskin / librespot |\n| --- | ---: | ---: | ---: |\n",
        );
        for row in Row::ALL {
            let (label, unit, digits) = row.label();
            let ours = self.spread(row, Kind::Siskin);
            let theirs = self.spread(row, Kind::Peer);
            let ratio = match (&ours, &theirs) {
                (Some(ours), Some(theirs)) if theirs.median > 0.0 => {
                    format!("{:.2}", ours.median / theirs.median)
                }
                _ => "–".to_owned(),
            };
            let shown = |spread: Option<Spread>| {
                spread.map_or_else(|| "–".to_owned(), |spread| spread.shown(unit, digits))
            };
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "| {label} | {} | {} | {ratio} |",
                shown(ours),
                shown(theirs)
            );
        }
        text
    }

    fn spread(&self, row: Row, kind: Kind) -> Option<Spread> {
        let mut values = self.0.get(&(row, kind.name()))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Spread {
            least: *values.first()?,
            median,
            most: *values.last()?,
            one: values.len() == 1,
        })
    }
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
    one: bool,
}

impl Spread {
    fn shown(&self, unit: &str, digits: usize) -> String {
        let mut text = format!("{:.digits$}", self.median);
        if !unit.is_empty() {
            text += &format!(" {unit}");
        }
        if !self.one {
            text += &format!(" ({:.digits$}–{:.digits$})", self.least, self.most);
        }
        text
    }
}

/// Puts `text` between the markers of a README.
///
/// # Errors
/// When it cannot be read or written, or has no markers.
pub fn write_readme(readme: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(readme)?;
    let new = between_markers(&old, (BEGIN, END), text)
        .ok_or_else(|| format!("{} has no bench markers", readme.display()))?;
    Ok(fs::write(readme, new)?)
}

/// The page with `text` between these two lines, which stay.
pub fn between_markers(old: &str, (first, last): (&str, &str), text: &str) -> Option<String> {
    let begin = old.find(first)? + first.len();
    let end = begin + old[begin..].find(last)?;
    Some(format!(
        "{}\n{}\n{}",
        &old[..begin],
        text.trim(),
        &old[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_median_spread_and_ratio() {
        let mut figures = Figures::default();
        for value in [30.0, 10.0, 20.0] {
            figures.add(Row::Announced, Kind::Siskin, value);
        }
        figures.add(Row::Announced, Kind::Peer, 40.0);
        let table = figures.table();
        assert!(
            table.contains("| start → announced | 20 ms (10–30) | 40 ms | 0.50 |"),
            "{table}"
        );
    }

    #[test]
    fn the_readme_keeps_everything_around_its_markers() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = between_markers(&old, (BEGIN, END), "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(between_markers("no markers", (BEGIN, END), "new"), None);
    }
}

//! What was measured, as a page.

use std::{fmt::Write as _, time::Duration};

use super::{
    Options,
    list::Fault,
    watch::{Cost, Mood},
};
use crate::{bench::process::machine, receiver::Kind};

#[derive(Default)]
pub struct Table(Vec<Row>);

struct Row {
    fault: &'static str,
    mood: Mood,
    ours: Option<String>,
    silence: String,
    theirs: Option<String>,
    note: String,
}

impl Table {
    pub fn add(
        &mut self,
        fault: &'static Fault,
        mood: Mood,
        kind: Kind,
        costs: Vec<Cost>,
        trouble: Option<String>,
        leak: Option<String>,
    ) {
        let known = |row: &Row| row.fault == fault.name && row.mood == mood;
        let at = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(Row {
                fault: fault.name,
                mood,
                ours: None,
                silence: String::new(),
                theirs: None,
                note: String::new(),
            });
            self.0.len() - 1
        });
        let row = &mut self.0[at];
        let first = |text: &str| text.lines().next().unwrap_or_default().replace('|', "/");
        let shown = match &trouble {
            Some(_) => "not back".to_owned(),
            None => spread(costs.iter().map(|cost| cost.recovery)),
        };
        match kind {
            Kind::Peer => row.theirs = Some(shown),
            Kind::Siskin => {
                row.ours = Some(shown);
                let silent = costs.iter().map(|cost| cost.silence);
                row.silence = if mood == Mood::Playing {
                    spread(silent)
                } else {
                    "–".into()
                };
                row.note = trouble.iter().chain(&leak).map(|why| first(why)).collect();
            }
        }
    }

    pub fn page(&self, options: &Options) -> String {
        let mut text = format!(
            "# What goes wrong, and how long until it is right again\n\n\
             Written by `make chaos`: the real binary against the simulated Spotify, {} rounds of each fault \
             (two of those that take long by their nature), median and worst. The time runs from the \
             end of the cause until the speaker is in the app's list, signed in, and does what it did before: the same \
             track, within a second of the same place, heard at the far end of the pipe where music played. \
             Silence is the longest one heard meanwhile.\n\n\
             Measured with `{}` on {}.\n\n\
             | fault | while | back after | silence | librespot 0.8.0 | |\n\
             | --- | --- | ---: | ---: | ---: | --- |\n",
            options.rounds,
            built(options),
            machine(),
        );
        for row in &self.0 {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "–".to_owned());
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                row.fault,
                row.mood.name(),
                cell(&row.ours),
                row.silence,
                cell(&row.theirs),
                row.note
            );
        }
        text
    }
}

/// Which build it was.
fn built(options: &Options) -> &'static str {
    let debug = options
        .siskin
        .components()
        .any(|part| part.as_os_str() == "debug");
    if debug {
        "a debug build"
    } else {
        "the release build"
    }
}

fn spread(values: impl Iterator<Item = Duration>) -> String {
    let mut all: Vec<_> = values.map(|value| value.as_millis()).collect();
    all.sort_unstable();
    match (all.get(all.len() / 2), all.last()) {
        (Some(0), Some(0)) => "0".to_owned(),
        (Some(median), Some(worst)) => format!("{median} ms, {worst} ms"),
        _ => "–".to_owned(),
    }
}

//! What is wrong with the configuration, where, and what to do about it.

use std::{fmt, path::Path};

use super::value::Origin;

/// One mistake. Prints as `place: what`, then `  help: cure`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub(super) place: Origin,
    pub what: String,
    pub help: String,
}

impl Problem {
    pub(super) fn new(place: Origin, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            place,
            what: what.into(),
            help: help.into(),
        }
    }

    /// About a file as a whole.
    pub(super) fn with_file(file: &Path, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Origin::WholeFile(file.into()), what, help)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.place();
        if !place.is_empty() {
            write!(out, "{place}: ")?;
        }
        write!(out, "{}\n  help: {}", self.what, self.help)
    }
}

/// Every mistake there is, in the order of the file. Never empty where it stands in an `Err`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorted by place. The same mistake is told once, however many speakers inherit it.
    pub(super) fn from_all(all: Vec<Problem>) -> Self {
        let mut told: Vec<Problem> = Vec::new();
        for problem in all {
            if !told.contains(&problem) {
                told.push(problem);
            }
        }
        told.sort_by_key(|problem| problem.place.order());
        Self(told)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str("\n")?;
            }
            problem.fmt(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

//! What the doctor found, for people and for programs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use crate::{
    cli::status::plain,
    model::{Condition, Examination, Finding, Severity},
};

impl Finding {
    pub fn trouble(
        code: &str,
        what: impl Into<String>,
        why: impl Into<String>,
        cure: &str,
    ) -> Self {
        Self {
            code: code.into(),
            severity: Severity::Trouble,
            what: what.into(),
            why: why.into(),
            cure: cure.into(),
        }
    }

    pub fn notice(code: &str, what: impl Into<String>, why: impl Into<String>, cure: &str) -> Self {
        Self {
            severity: Severity::Notice,
            ..Self::trouble(code, what, why, cure)
        }
    }
}

impl From<&Condition> for Finding {
    fn from(condition: &Condition) -> Self {
        Self {
            code: condition.code.key().into(),
            severity: condition.code.severity(),
            what: condition.what.clone(),
            why: condition.why.clone(),
            cure: condition.cure.clone(),
        }
    }
}

/// Everything found so far. Says on standard error where it is, unless it is to be quiet.
#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What is as it is, line by line.
    pub facts: Vec<String>,
    pub quiet: bool,
}

impl Report {
    /// What is looked at next.
    pub fn looks_at(&self, what: &str) {
        if !self.quiet {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "looking at {what} …");
        }
    }

    pub fn fact(&mut self, text: impl Into<String>) {
        self.facts.push(text.into());
    }

    /// Adds a finding; the same code for the same thing is told once.
    pub fn found(&mut self, finding: Finding) {
        let same = |known: &Finding| known.code == finding.code && known.what == finding.what;
        if !self.findings.iter().any(same) {
            self.findings.push(finding);
        }
    }

    pub fn has(&self, code: &str) -> bool {
        self.findings.iter().any(|known| known.code == code)
    }

    pub fn is_healthy(&self) -> bool {
        let mut all = self.findings.iter();
        all.all(|found| found.severity == Severity::Notice)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for fact in &self.facts {
            let _ = writeln!(text, "  {}", plain(fact));
        }
        let mut sorted: Vec<_> = self.findings.iter().collect();
        sorted.sort_by_key(|found| std::cmp::Reverse(found.severity));
        for found in sorted {
            let mark = match found.severity {
                Severity::Trouble => '!',
                Severity::Notice => '-',
            };
            let _ = writeln!(text, "\n{mark} {} [{}]", plain(&found.what), found.code);
            let _ = writeln!(text, "    why:  {}", plain(&found.why));
            let _ = writeln!(text, "    help: {}", plain(&found.cure));
        }
        let troubles = self.findings.iter();
        let troubles = troubles.filter(|found| found.severity == Severity::Trouble);
        text += match troubles.count() {
            0 => "\nNothing is wrong.\n",
            1 => "\nOne thing is wrong.\n",
            _ => "\nSeveral things are wrong; the first is often the cause of the others.\n",
        };
        text
    }

    pub fn json(&self) -> String {
        let examination = Examination {
            healthy: self.is_healthy(),
            findings: self.findings.clone(),
            facts: self.facts.clone(),
        };
        let text = serde_json::to_string_pretty(&examination);
        // Plain values are always written.
        text.unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_comes_first_and_decides_and_nothing_is_told_twice() {
        let mut report = Report::default();
        report.found(Finding::notice(
            "port_5353_shared",
            "shared",
            "avahi",
            "nothing to do",
        ));
        assert!(report.is_healthy());
        for _ in 0..2 {
            report.found(Finding::trouble("no_daemon", "none", "gone", "start it"));
        }
        assert!(!report.is_healthy() && report.has("no_daemon"));
        let text = report.text();
        assert!(
            text.find("no_daemon") < text.find("port_5353_shared"),
            "{text}"
        );
        assert_eq!(text.matches("no_daemon").count(), 1);
        let value: serde_json::Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(value["healthy"], false);
        assert_eq!(value["findings"][0]["severity"], "notice");
    }
}

//! OpenMetrics 1.0 as text, the part of it that is needed here. Pure.

use std::fmt::{Display, Write as _};

use crate::model::Histogram;

/// Names and values of the labels of a sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A whole answer, family by family.
#[derive(Debug, Default)]
pub struct Page(String);

/// What a family counts or shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
    Histogram,
    Info,
}

/// The samples of one name. They stand together, as they must.
pub struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Page {
    /// `name` is without `_total` and the like; a name with a unit ends with it. `help` is one line.
    pub fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        unit: Option<&str>,
        help: &str,
    ) -> Family<'_> {
        let word = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        put(&mut self.0, format_args!("# TYPE {name} {word}\n"));
        if let Some(unit) = unit {
            put(&mut self.0, format_args!("# UNIT {name} {unit}\n"));
        }
        put(&mut self.0, format_args!("# HELP {name} {help}\n"));
        Family {
            page: &mut self.0,
            name,
            kind,
        }
    }

    pub fn end(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

impl Family<'_> {
    /// One sample of a gauge, a counter or an info.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.line(suffix, labels, None, value);
    }

    pub fn histogram(&mut self, labels: Labels<'_>, of: &Histogram) {
        for (bound, count) in of.cumulated() {
            // With a point in it, as the format wants whole numbers here.
            let bound = format!("{bound:?}");
            self.line("_bucket", labels, Some(("le", &bound)), count);
        }
        self.line("_bucket", labels, Some(("le", "+Inf")), of.count());
        self.line("_count", labels, None, of.count());
        self.line("_sum", labels, None, of.sum());
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        more: Option<(&str, &str)>,
        value: impl Display,
    ) {
        put(self.page, format_args!("{}{suffix}", self.name));
        let mut opens = '{';
        for (name, value) in labels.iter().copied().chain(more) {
            put(self.page, format_args!("{opens}{name}=\""));
            escaped(self.page, value);
            self.page.push('"');
            opens = ',';
        }
        if opens == ',' {
            self.page.push('}');
        }
        put(self.page, format_args!(" {value}\n"));
    }
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    let _ = page.write_fmt(text);
}

fn escaped(page: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_written_as_the_standard_wants_it() {
        let mut page = Page::default();
        page.family("a", Kind::Info, None, "What.")
            .sample(&[("x", "say \"hi\"\\\n")], 1);
        let mut took = Histogram::new();
        took.note(Duration::from_millis(700));
        page.family("b_seconds", Kind::Histogram, Some("seconds"), "How long.")
            .histogram(&[("order", "play")], &took);
        page.family("c", Kind::Counter, None, "How often.")
            .sample(&[], 3);
        let text = page.end();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "# TYPE a info",
                "# HELP a What.",
                r#"a_info{x="say \"hi\"\\\n"} 1"#
            ]
        );
        assert_eq!(
            lines[3..6],
            [
                "# TYPE b_seconds histogram",
                "# UNIT b_seconds seconds",
                "# HELP b_seconds How long."
            ]
        );
        assert!(
            lines.contains(&r#"b_seconds_bucket{order="play",le="0.5"} 0"#),
            "{text}"
        );
        assert!(
            lines.contains(&r#"b_seconds_bucket{order="play",le="1.0"} 1"#),
            "{text}"
        );
        assert!(
            lines.contains(&r#"b_seconds_bucket{order="play",le="+Inf"} 1"#),
            "{text}"
        );
        assert!(
            lines.contains(&r#"b_seconds_sum{order="play"} 0.7"#),
            "{text}"
        );
        assert_eq!(lines[lines.len() - 2..], ["c_total 3", "# EOF"]);
    }
}

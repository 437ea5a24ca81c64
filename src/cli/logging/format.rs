//! One line of plain text an event.

use std::{
    fmt::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// `2026-11-21T20:15:00Z INFO  [Kitchen] what happened key=value`.
pub(super) struct Line {
    /// Put in front where one process speaks for one speaker.
    pub speaker: Option<String>,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        write!(out, "{} ", Utc(now))?;
        let (colour, word) = shown(metadata.level());
        if out.has_ansi_escapes() {
            write!(out, "\x1b[{colour}m{word}\x1b[0m ")?;
        } else {
            write!(out, "{word} ")?;
        }
        if let Some(speaker) = &self.speaker {
            write!(out, "[{speaker}] ")?;
        }
        if !metadata.target().starts_with("siskin") {
            write!(out, "{}: ", metadata.target())?;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        write!(out, "{}{}", fields.message, fields.rest)?;
        writeln!(out)
    }
}

/// Colour code and word of a level, all words of one width.
fn shown(level: &Level) -> (u8, &'static str) {
    match *level {
        Level::ERROR => (31, "ERROR"),
        Level::WARN => (33, "WARN "),
        Level::INFO => (32, "INFO "),
        Level::DEBUG => (34, "DEBUG"),
        Level::TRACE => (35, "TRACE"),
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{error}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(OneLine(&mut self.message), "{value:?}"),
            // Where a bridged line came from; its target is shown already.
            name if name.starts_with("log.") => Ok(()),
            name => write!(OneLine(&mut self.rest), " {name}={value:?}"),
        };
    }
}

/// Names come from the network: nothing in them may break the line or steer the terminal.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                c if c.is_control() => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Seconds since 1970, shown as a date and time of day.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Years are counted from March, so that the leap day is the last of its year, and in eras
        // of 400 years, which are all 146 097 days long.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        let year = era * 400 + year + next;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_as_the_date_they_are() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Utc(951_782_399).to_string(), "2000-02-28T23:59:59Z");
        assert_eq!(Utc(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Utc(1_735_689_599).to_string(), "2024-12-31T23:59:59Z");
    }

    #[test]
    fn a_name_from_the_network_cannot_break_the_line() {
        let mut text = String::new();
        let _ = write!(OneLine(&mut text), "Kitchen\n\x1b[2Jfake");
        assert_eq!(text, "Kitchen\\n\\u{1b}[2Jfake");
    }
}

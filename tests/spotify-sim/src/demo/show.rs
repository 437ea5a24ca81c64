//! What a person sees: one line a step, and a bar that moves.

use std::io::{self, IsTerminal, Write};

use crate::AppState;

/// Cells of the bar.
const CELLS: i64 = 40;
/// Of the words in front.
const WIDTH: usize = 18;

/// Says what has happened.
pub fn step(what: &str, detail: &str) {
    println!("{what:<WIDTH$} {detail}");
}

/// The position in the tune: a line that is drawn over on a terminal, a line a second elsewhere.
#[derive(Debug, Default)]
pub struct Bar {
    /// The second shown last.
    second: Option<i64>,
    is_open: bool,
}

impl Bar {
    pub fn show(&mut self, state: &AppState) {
        self.draw(&state.title, state.position_ms, state.duration_ms);
    }

    /// Full, and the line left behind.
    pub fn end(&mut self, duration_ms: i64) {
        self.second = None;
        self.draw("", duration_ms, duration_ms);
        self.leave();
    }

    /// Further steps begin on a line of their own.
    pub fn leave(&mut self) {
        if std::mem::take(&mut self.is_open) {
            println!();
        }
    }

    fn draw(&mut self, title: &str, position_ms: i64, duration_ms: i64) {
        let what = if title.is_empty() {
            "played"
        } else {
            "playing"
        };
        let line = format!(
            "{what:<WIDTH$} {} {} / {} {title}",
            cells(position_ms, duration_ms),
            clock(position_ms),
            clock(duration_ms)
        );
        if io::stdout().is_terminal() {
            // The end of a longer line is wiped out.
            print!("\r{line}\x1b[K");
            self.is_open = true;
            // A terminal that has gone away misses a line.
            let _ = io::stdout().flush();
        } else if self.second != Some(position_ms / 1000) {
            self.second = Some(position_ms / 1000);
            println!("{}", line.trim_end());
        }
    }
}

fn cells(position_ms: i64, duration_ms: i64) -> String {
    let full = (position_ms.clamp(0, duration_ms) * CELLS / duration_ms.max(1)) as usize;
    format!(
        "[{}{}]",
        "#".repeat(full),
        "-".repeat(CELLS as usize - full)
    )
}

fn clock(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_tune_is_far() {
        assert_eq!(cells(0, 8_000), format!("[{}]", "-".repeat(40)));
        assert_eq!(
            cells(4_000, 8_000),
            format!("[{}{}]", "#".repeat(20), "-".repeat(20))
        );
        assert_eq!(cells(9_000, 8_000), format!("[{}]", "#".repeat(40)));
        assert_eq!(cells(0, 0), format!("[{}]", "-".repeat(40)));
        assert_eq!(clock(61_500), "1:01");
    }
}

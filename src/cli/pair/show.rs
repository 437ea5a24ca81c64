//! How a sign-in looks: on a terminal with the code in large letters, a QR code and a countdown;
//! elsewhere as plain lines. Pure text; [`super`] puts it out.

use qrcode::{QrCode, render::unicode::Dense1x2};

use super::letters;
use crate::model::Pairing;

/// Where the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Lines may be written over and coloured.
    pub is_terminal: bool,
    pub columns: usize,
}

/// Shows one sign-in, state after state.
#[derive(Debug)]
pub struct Show {
    screen: Screen,
    /// The state shown last, its trouble and its time aside.
    last: Option<String>,
    trouble: Option<String>,
    /// A line without an end stands on the terminal.
    line: bool,
}

impl Show {
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            last: None,
            trouble: None,
            line: false,
        }
    }

    /// What to write when `state` holds at `now_ms` (Unix ms). On a terminal this is to be called
    /// every second as well, for the countdown.
    pub fn next(&mut self, state: &Pairing, now_ms: i64) -> String {
        let mut text = String::new();
        let body = self.body(state);
        if self.last.as_ref() != Some(&body) {
            self.end_line(&mut text);
            text.push_str(&body);
            self.last = Some(body);
            self.trouble = None;
        }
        let (status, trouble) = status(state, now_ms);
        if self.screen.is_terminal {
            if let Some(status) = status {
                let trouble =
                    trouble.map_or(String::new(), |why| format!(" ({why}; trying again)"));
                let line: String = format!("{status}{trouble}")
                    .chars()
                    .take(self.screen.columns.saturating_sub(1))
                    .collect();
                text.push_str(&format!("\r\x1b[2K{line}"));
                self.line = true;
            }
        } else if trouble != self.trouble.as_deref() {
            if let Some(why) = trouble {
                text.push_str(&format!("trouble: {why}; trying again\n"));
            }
            self.trouble = trouble.map(str::to_owned);
        }
        if state.is_over() {
            self.end_line(&mut text);
        }
        text
    }

    fn end_line(&mut self, text: &mut String) {
        if std::mem::take(&mut self.line) {
            text.push_str("\r\x1b[2K");
        }
    }

    /// What is said once a state.
    fn body(&self, state: &Pairing) -> String {
        match state {
            Pairing::Asking { .. } if self.screen.is_terminal => String::new(),
            Pairing::Asking { .. } => "asking Spotify for a code\n".to_owned(),
            Pairing::Waiting {
                code,
                address,
                complete_address,
                ..
            } if self.screen.is_terminal => {
                let qr = qr(complete_address, self.screen.columns);
                let qr = qr.map_or(String::new(), |qr| format!("\n{qr}"));
                let large = letters::large(code, self.screen.columns);
                let large = large.unwrap_or_else(|| format!("    {code}\n"));
                format!(
                    "{qr}\nScan this, or open {address} on any device, sign in, and type\n\n{large}\n"
                )
            }
            Pairing::Waiting {
                code,
                address,
                complete_address,
                ..
            } => {
                format!(
                    "address: {address}\ncode: {code}\nor open: {complete_address}\n\
                     waiting until somebody has signed in there\n"
                )
            }
            Pairing::Browser { address, .. } => {
                format!("open this address in a browser and sign in:\n{address}\n")
            }
            Pairing::SigningIn { .. } => "approved\n".to_owned(),
            Pairing::Ready { name } => format!("ready as {name}\n"),
            Pairing::Failed { .. } => String::new(),
            Pairing::Cancelled => "cancelled; nothing was kept\n".to_owned(),
        }
    }
}

/// The line that lives, and what is in the way.
fn status(state: &Pairing, now_ms: i64) -> (Option<String>, Option<&str>) {
    match state {
        Pairing::Asking { trouble } => (
            Some("asking Spotify for a code".to_owned()),
            trouble.as_deref(),
        ),
        Pairing::Waiting {
            expires_at_ms,
            trouble,
            ..
        } => {
            let left = left(*expires_at_ms, now_ms);
            let line = format!("waiting, {left} left (Ctrl-C cancels)");
            (Some(line), trouble.as_deref())
        }
        Pairing::Browser {
            expires_at_ms,
            trouble,
            ..
        } => {
            let left = left(*expires_at_ms, now_ms);
            let line = format!("waiting for the browser, {left} left (Ctrl-C cancels)");
            (Some(line), trouble.as_deref())
        }
        Pairing::SigningIn { trouble } => (Some("signing in".to_owned()), trouble.as_deref()),
        Pairing::Ready { .. } | Pairing::Failed { .. } | Pairing::Cancelled => (None, None),
    }
}

/// Minutes and seconds.
fn left(until_ms: i64, now_ms: i64) -> String {
    let seconds = until_ms.saturating_sub(now_ms).max(0) / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Two rows of modules a line, dark on light whatever the terminal's colours are: scanners want it
/// so. `None` when it does not fit.
fn qr(address: &str, columns: usize) -> Option<String> {
    let code = QrCode::new(address).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    let fits = drawn.lines().all(|line| line.chars().count() < columns);
    fits.then(|| {
        let lines = drawn.lines();
        lines
            .map(|line| format!("\x1b[97;40m{line}\x1b[0m\n"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Screen = Screen {
        is_terminal: false,
        columns: 80,
    };
    const TERMINAL: Screen = Screen {
        is_terminal: true,
        columns: 80,
    };

    fn waiting(code: &str, trouble: Option<&str>) -> Pairing {
        Pairing::Waiting {
            code: code.into(),
            address: "https://spotify.com/pair".into(),
            complete_address: format!("https://spotify.com/pair?code={code}"),
            expires_at_ms: 125_000,
            trouble: trouble.map(str::to_owned),
        }
    }

    #[test]
    fn where_nobody_looks_every_state_is_a_line_and_said_once() {
        let mut show = Show::new(PLAIN);
        let text = show.next(&waiting("AB12", None), 0);
        assert!(
            text.contains("code: AB12\n") && text.contains("pair?code=AB12\n"),
            "{text}"
        );
        assert!(!text.contains('\x1b'), "{text:?}");
        assert_eq!(show.next(&waiting("AB12", None), 1_000), "");
        let trouble = show.next(&waiting("AB12", Some("no answer")), 2_000);
        assert_eq!(trouble, "trouble: no answer; trying again\n");
        assert_eq!(show.next(&waiting("AB12", Some("no answer")), 3_000), "");
        assert!(
            show.next(&waiting("CD34", None), 4_000)
                .contains("code: CD34")
        );
        let ready = Pairing::Ready { name: "kim".into() };
        assert_eq!(show.next(&ready, 5_000), "ready as kim\n");
    }

    #[test]
    fn on_a_terminal_there_are_large_letters_a_qr_code_and_a_countdown_in_place() {
        let mut show = Show::new(TERMINAL);
        let text = show.next(&waiting("AB12", None), 0);
        assert!(
            text.contains('▀') && text.contains("https://spotify.com/pair "),
            "{text}"
        );
        assert!(text.contains(&letters::large("AB12", 80).expect("it fits")));
        assert!(
            text.ends_with("waiting, 2:05 left (Ctrl-C cancels)"),
            "{text}"
        );
        let tick = show.next(&waiting("AB12", None), 1_500);
        assert_eq!(tick, "\r\x1b[2Kwaiting, 2:03 left (Ctrl-C cancels)");
        let tick = show.next(&waiting("AB12", Some("no answer")), 200_000);
        assert!(tick.contains("0:00 left") && tick.contains("(no answer; trying again)"));
        assert_eq!(
            show.next(&Pairing::Cancelled, 0),
            "\r\x1b[2Kcancelled; nothing was kept\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_plain_letters_and_no_line_is_too_long() {
        let narrow = Screen {
            is_terminal: true,
            columns: 20,
        };
        let text = Show::new(narrow).next(&waiting("ABCD12", None), 0);
        assert!(text.contains("    ABCD12\n"), "{text}");
        let status = text.rsplit("\x1b[2K").next().expect("a status");
        assert_eq!(status.chars().count(), 19);
    }
}

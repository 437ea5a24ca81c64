//! What the service manager is told. Without one, all of this is silence.

use std::time::Duration;

use sd_notify::NotifyState;

/// The link to systemd, with the last status, so that each is said once.
#[derive(Debug, Default)]
pub struct Service {
    said: String,
}

impl Service {
    pub fn ready(&self) {
        tell(NotifyState::Ready);
    }

    pub fn stopping(&self) {
        tell(NotifyState::Stopping);
    }

    pub fn status(&mut self, status: &str) {
        let status = one_line(status);
        if status != self.said {
            tell(NotifyState::Status(&status));
            self.said = status;
        }
    }

    /// How often [`Service::alive`] is expected; `None` when nobody watches.
    pub fn watchdog(&self) -> Option<Duration> {
        // Half the limit, so that one late turn of the loop is no death sentence.
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    pub fn alive(&self) {
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    // Nobody listens, or the socket is gone: neither is a reason to do anything else.
    let _ = sd_notify::notify(&[state]);
}

/// A second line would be another message.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_several_lines_is_told_in_one() {
        let told = one_line("no sound\n  help: plug it in\nREADY=1");
        assert_eq!(told, "no sound help: plug it in READY=1");
    }
}

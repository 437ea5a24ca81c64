//! What the librespot crates tell in their log and nowhere else.
//!
//! Some facts have no event in librespot 0.8: that an account is not Premium (the library ends the
//! process right after the line), that the session is lost, and that an
//! audio key was refused.
//! The version is pinned, and the behaviour tests of the real binary fail when a line changes.

use log::{Log, Metadata, Record};
use tokio::sync::mpsc::UnboundedSender;
use tracing_log::LogTracer;

use super::{tracks::keys, wire::Reporter};
use crate::{engine::messages::Event, model::Refusal};

/// One fact read off the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    NotPremium {
        product: String,
    },
    /// The link to the access point is gone, and the session with it.
    Lost,
    /// Nobody reads an access-point link any more. That goes with the end of every session; where the
    /// session believes that it lives, the task that read it has panicked. `task`: which one that was,
    /// see [`next_task`].
    Unread {
        task: u64,
    },
    /// With Spotify's own number for the reason.
    KeyRefused {
        code: Option<u16>,
    },
    /// A dealer's connection is gone. `task`: which task says so, see [`next_task`].
    DealerFell {
        task: u64,
    },
    /// It could not be made again.
    DealerRefused {
        task: u64,
    },
}

/// Tasks that are made from now on have this number or a higher one. The log does not say which link
/// or dealer it speaks of, but those of a session that was replaced have older tasks than the next.
pub fn next_task() -> u64 {
    number(tokio::spawn(async {}).id())
}

/// Of the task that runs now; higher than any where none does.
fn this_task() -> u64 {
    tokio::task::try_id().map_or(u64::MAX, number)
}

/// tokio counts its tasks, and shows the number only.
fn number(id: tokio::task::Id) -> u64 {
    id.to_string().parse().unwrap_or(u64::MAX)
}

/// The process-wide logger of an engine: reads, then passes on to tracing.
pub struct Telltale {
    reporter: Reporter,
    /// Unbounded: a handful a minute, and a logger must neither block nor lose them.
    tells: UnboundedSender<Tell>,
    onward: LogTracer,
}

impl Telltale {
    /// Makes this the logger of the process.
    pub fn install(reporter: Reporter, tells: UnboundedSender<Tell>) {
        let telltale = Self {
            reporter,
            tells,
            onward: LogTracer::new(),
        };
        if log::set_boxed_logger(Box::new(telltale)).is_ok() {
            log::set_max_level(log::LevelFilter::Debug);
        }
    }
}

impl Log for Telltale {
    fn enabled(&self, metadata: &Metadata) -> bool {
        watched(metadata.target()) || self.onward.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if watched(record.target())
            && let Some(tell) = read(record.target(), &record.args().to_string())
        {
            if let Tell::NotPremium { product } = &tell {
                // Said here and now: the library calls exit() when this returns.
                let refusal = Refusal::NotPremium {
                    product: product.clone(),
                };
                self.reporter.report(&Event::Refused { refusal });
            }
            let _ = self.tells.send(tell);
        }
        // What is told in our own words is for whoever looks closer.
        let told = told_otherwise(record.target(), &record.args().to_string());
        let wanted = !told || tracing::enabled!(tracing::Level::DEBUG);
        if wanted && self.onward.enabled(record.metadata()) {
            self.onward.log(record);
        }
    }

    fn flush(&self) {}
}

fn watched(target: &str) -> bool {
    matches!(
        target,
        "librespot_core::session" | "librespot_core::audio_key" | "librespot_core::dealer"
    )
}

/// How a dealer's end begins in the log.
const DEALER_FELL: [&str; 3] = [
    "Websocket connection failed",
    "Websocket peer does not respond",
    "Dealer finished with an error",
];
const DEALER_REFUSED: &str = "Error while connecting";

/// Lines that say in the library's words what the daemon says in ours: that a link is gone, that
/// Spotify is not to be found, that an account or a track is refused. And the answer to "are you alive", which is that there is nothing by that name.
fn told_otherwise(target: &str, line: &str) -> bool {
    let begins = |with: &[&str]| with.iter().any(|with| line.starts_with(with));
    match target {
        "librespot_core::dealer" => {
            begins(&DEALER_FELL) || begins(&[DEALER_REFUSED, "Error while closing websocket"])
        }
        "librespot_core::session" => {
            begins(&["Connection to server closed.", "librespot does not support"])
        }
        // An attempt a minute for as long as the line is dead: what it comes to is a condition.
        "librespot_core::apresolve" => begins(&[
            "Failed to resolve all access points",
            "Resolve access points error",
        ]),
        "librespot_core::audio_key" => begins(&[KEY_REFUSED]),
        "librespot_core::mercury" => begins(&["error 404 for uri"]),
        _ => false,
    }
}

/// Spotify said no, in so many words.
const KEY_REFUSED: &str = "error audio key";

fn read(target: &str, line: &str) -> Option<Tell> {
    match target {
        "librespot_core::session" => {
            if line == "Shutdown: Invalidating session" {
                return Some(Tell::Lost);
            }
            if line == "drop Dispatch" {
                return Some(Tell::Unread { task: this_task() });
            }
            let rest = line.strip_prefix("librespot does not support \"")?;
            let (product, _) = rest.split_once('"')?;
            Some(Tell::NotPremium {
                product: product.to_owned(),
            })
        }
        "librespot_core::dealer" if line.starts_with(DEALER_REFUSED) => {
            Some(Tell::DealerRefused { task: this_task() })
        }
        "librespot_core::dealer" => DEALER_FELL
            .iter()
            .any(|begin| line.starts_with(begin))
            .then(|| Tell::DealerFell { task: this_task() }),
        // A time-out is nobody's refusal; only this is about the account.
        "librespot_core::audio_key" => line.starts_with(KEY_REFUSED).then(|| Tell::KeyRefused {
            code: keys::refusal(line),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_tasks_of_a_later_dealer_have_higher_numbers() {
        let says = || async { this_task() };
        let before = tokio::spawn(says()).await.expect("a number");
        let mark = next_task();
        let after = tokio::spawn(says()).await.expect("a number");
        assert!(before < mark && mark < after, "{before}, {mark}, {after}");
        assert!(after < u64::MAX);
    }

    #[test]
    fn the_lines_that_matter_are_read_and_no_others() {
        let product = "librespot does not support \"free\" accounts.";
        assert_eq!(
            read("librespot_core::session", product),
            Some(Tell::NotPremium {
                product: "free".into()
            })
        );
        assert_eq!(
            read("librespot_core::audio_key", "error audio key 0 1"),
            Some(Tell::KeyRefused { code: Some(1) })
        );
        assert_eq!(
            read("librespot_core::session", "Shutdown: Invalidating session"),
            Some(Tell::Lost)
        );
        assert_eq!(
            read("librespot_core::session", "drop Dispatch"),
            Some(Tell::Unread { task: u64::MAX })
        );
        let fell = "Websocket connection failed: IO error: peer closed";
        let by_nobody = Some(Tell::DealerFell { task: u64::MAX });
        assert_eq!(read("librespot_core::dealer", fell), by_nobody);
        for (target, line) in [
            (
                "apresolve",
                "Resolve access points error: Service unavailable",
            ),
            ("session", "librespot does not support \"free\" accounts."),
            ("audio_key", "error audio key 0 1"),
        ] {
            assert!(told_otherwise(&format!("librespot_core::{target}"), line));
        }
        assert!(told_otherwise("librespot_core::dealer", fell));
        assert!(told_otherwise(
            "librespot_core::mercury",
            "error 404 for uri "
        ));
        assert!(!told_otherwise(
            "librespot_core::mercury",
            "error 500 for uri x"
        ));
        assert_eq!(read("librespot_core::session", "Country: \"DE\""), None);
        assert_eq!(read("elsewhere", product), None);
    }
}

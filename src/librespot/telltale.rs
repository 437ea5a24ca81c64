//! What the librespot crates tell in their log and nowhere else.
//!
//! Some facts have no event in librespot 0.8: that an account is not Premium (the library ends the
//! process right after the line), that connect-state lists us, that the session is lost, that an
//! audio key was refused, and what is played from.
//! The version is pinned, and the behaviour tests of the real binary fail when a line changes.

use log::{Log, Metadata, Record};
use tokio::sync::mpsc::UnboundedSender;
use tracing_log::LogTracer;

use super::wire::Reporter;
use crate::{engine::messages::Event, model::Refusal};

/// One fact read off the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    NotPremium {
        product: String,
    },
    Listed,
    /// The link to the access point is gone, and the session with it.
    Lost,
    KeyRefused,
    /// A context is being resolved: what is played from, as a Spotify URI.
    Context {
        uri: String,
    },
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
            // A time-out is nobody's refusal; only this is about the account.
            if tell == Tell::KeyRefused && record.args().to_string().starts_with(KEY_REFUSED) {
                self.reporter.report(&Event::Keys { refused: true });
            }
            let _ = self.tells.send(tell);
        }
        if !is_noise(record) && self.onward.enabled(record.metadata()) {
            self.onward.log(record);
        }
    }

    fn flush(&self) {}
}

/// Said as a warning at every play, before the context is known. A healthy day needs no such lines.
fn is_noise(record: &Record) -> bool {
    record.target() == "librespot_connect::state::context"
        && record
            .args()
            .to_string()
            .starts_with("couldn't load context info")
}

fn watched(target: &str) -> bool {
    matches!(
        target,
        "librespot_core::session"
            | "librespot_core::audio_key"
            | "librespot_core::http_client"
            | "librespot_connect::spirc"
    )
}

/// Spotify said no, in so many words.
const KEY_REFUSED: &str = "error audio key";

fn read(target: &str, line: &str) -> Option<Tell> {
    match target {
        "librespot_core::session" => {
            if line == "Shutdown: Invalidating session" {
                return Some(Tell::Lost);
            }
            let rest = line.strip_prefix("librespot does not support \"")?;
            let (product, _) = rest.split_once('"')?;
            Some(Tell::NotPremium {
                product: product.to_owned(),
            })
        }
        "librespot_core::audio_key" => {
            let refused =
                line.starts_with(KEY_REFUSED) || line.starts_with("Audio key response timeout");
            refused.then_some(Tell::KeyRefused)
        }
        "librespot_connect::spirc" => line
            .starts_with("successfully put connect state")
            .then_some(Tell::Listed),
        "librespot_core::http_client" => {
            let (_, rest) = line.split_once("/context-resolve/v1/")?;
            let uri = rest.split(['?', '/']).next()?;
            let context = uri.starts_with("spotify:") && !uri.contains(":station:");
            context.then(|| Tell::Context {
                uri: uri.to_owned(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_matter_are_read_and_no_others() {
        let product = "librespot does not support \"free\" accounts.";
        let url = "Requesting https://x/context-resolve/v1/spotify:album:0a1b?product=0";
        assert_eq!(
            read("librespot_core::session", product),
            Some(Tell::NotPremium {
                product: "free".into()
            })
        );
        assert_eq!(
            read(
                "librespot_connect::spirc",
                "successfully put connect state for ab with"
            ),
            Some(Tell::Listed)
        );
        assert_eq!(
            read("librespot_core::audio_key", "error audio key 0 1"),
            Some(Tell::KeyRefused)
        );
        assert_eq!(
            read("librespot_core::http_client", url),
            Some(Tell::Context {
                uri: "spotify:album:0a1b".into()
            })
        );
        assert_eq!(
            read("librespot_core::session", "Shutdown: Invalidating session"),
            Some(Tell::Lost)
        );
        assert_eq!(read("librespot_core::session", "Country: \"DE\""), None);
        assert_eq!(read("elsewhere", product), None);
    }
}

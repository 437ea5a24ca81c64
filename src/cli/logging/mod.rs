//! What the house says aloud: plain text on standard error, fields in the journal under systemd.
//!
//! Owns the subscriber, the level (which a reload may change) and the limits that keep a bad day
//! from filling the disk. What is worth a line is decided where it happens.

mod filter;
mod format;
mod limit;
mod spanless;

use std::{
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hash as _, Hasher},
    io::{self, IsTerminal as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Instant,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    info,
    subscriber::Interest,
};
use tracing_log::{LogTracer, NormalizeEvent};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::config::LogLevel;
use limit::{Limiter, Verdict};
use spanless::Spanless;

/// The level in force. One for the process, as the subscriber is.
static WANTED: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);

/// Starts telling, once for the process. `speaker` is put on every line of an engine.
pub fn start(level: LogLevel, speaker: Option<&str>) {
    WANTED.store(level as u8, Relaxed);
    // Each fails only where a subscriber is there already; then that one does the telling.
    let _ = LogTracer::init_with_filter(filter::most_for_bridge(level));
    let _ = tracing::subscriber::set_global_default(subscriber(speaker));
}

/// The same in an engine. What librespot says of itself is read there whether it is told or not, so
/// the bridge stays open.
pub fn set_engine_level(level: LogLevel) {
    WANTED.store(level as u8, Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

/// Changes the level from now on.
pub fn set_level(level: LogLevel) {
    WANTED.store(level as u8, Relaxed);
    log::set_max_level(filter::most_for_bridge(level));
    tracing::callsite::rebuild_interest_cache();
}

fn wanted() -> LogLevel {
    let wanted = WANTED.load(Relaxed);
    let all = [
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
    ];
    all.into_iter()
        .find(|level| *level as u8 == wanted)
        .unwrap_or(LogLevel::Trace)
}

fn subscriber(speaker: Option<&str>) -> Box<dyn Subscriber + Send + Sync> {
    let gate = Gate::default();
    if is_the_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        let fields = speaker.map(|name| ("SISKIN_SPEAKER", name));
        let journal = journal
            .with_field_prefix(Some("SISKIN".to_owned()))
            .with_syslog_identifier("siskin".to_owned())
            .with_custom_fields(fields);
        return Box::new(Spanless.with(gate).with(journal));
    }
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = tracing_subscriber::fmt::layer()
        .with_ansi(colour)
        .with_writer(io::stderr)
        .event_format(format::Line {
            speaker: speaker.map(str::to_owned),
        });
    Box::new(Spanless.with(gate).with(text))
}

/// systemd names the journal's socket by device and inode; standard error may have been led
/// elsewhere since.
fn is_the_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| stream.to_string_lossy() == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Decides for all layers below it whether a line is told.
#[derive(Default)]
struct Gate {
    limiter: Mutex<Limiter>,
}

impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() {
            return Interest::never();
        }
        // All bridged lines of a level share one callsite: only the line itself knows its target.
        if metadata.target() == "log" {
            return Interest::sometimes();
        }
        match filter::is_told(wanted(), metadata.target(), *metadata.level()) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let told = metadata.target() == "log"
            || filter::is_told(wanted(), metadata.target(), *metadata.level());
        told && !metadata.is_span()
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        // Who asked for more wants to see everything, in order.
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let (line, place) = hashes(event);
        let verdict = {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.judge(line, place, Instant::now())
        };
        match verdict {
            Verdict::Tell => true,
            Verdict::LeaveOut => false,
            Verdict::TellAfter(count) => {
                // The lock is free again: this line comes through here, too.
                info!("{count} lines like the next one were left out");
                true
            }
        }
    }
}

/// Of what a line says, and of where it stands in the code.
fn hashes(event: &Event<'_>) -> (u64, u64) {
    let normal = event.normalized_metadata();
    let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
    let mut place = DefaultHasher::new();
    (metadata.target(), metadata.line(), "place").hash(&mut place);
    let mut line = Hashing(place.clone());
    event.record(&mut line);
    (line.0.finish(), place.finish())
}

/// Hashes what a line would print, without printing it.
struct Hashing(DefaultHasher);

impl Visit for Hashing {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        field.name().hash(&mut self.0);
        // The hasher takes everything.
        let _ = write!(self, "{value:?}");
    }
}

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, error};

    use super::*;

    /// What `body` leads to on standard error at the default level.
    fn told(body: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Page(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Page {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("alone").write(text)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let page = Page::default();
        let writer = page.clone();
        let text = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(format::Line {
                speaker: Some("Kitchen".into()),
            });
        let subscriber = Spanless.with(Gate::default()).with(text);
        tracing::subscriber::with_default(subscriber, body);
        let bytes = page.0.lock().expect("alone").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_says_level_speaker_what_and_with_what() {
        let text = told(|| error!(card = "hw:0", "the card is gone"));
        assert!(
            text.ends_with("Z ERROR [Kitchen] the card is gone card=hw:0\n"),
            "{text}"
        );
    }

    #[test]
    fn a_flood_of_one_line_is_five_lines() {
        let text = told(|| {
            for _ in 0..100_000 {
                error!("the sound server is gone");
            }
        });
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn lines_below_the_level_are_not_told() {
        assert_eq!(told(|| debug!("a detail")), "");
    }

    #[test]
    fn lines_of_the_log_crate_are_judged_by_their_own_target() {
        let text = told(|| {
            let warn = |target| {
                log::Record::builder()
                    .level(log::Level::Warn)
                    .target(target)
                    .args(format_args!("late"))
                    .build()
            };
            // What the bridge does with a record.
            tracing_log::format_trace(&warn("librespot_core::mercury")).expect("told");
            tracing_log::format_trace(&warn("mdns_sd::daemon")).expect("left out");
        });
        assert!(
            text.contains("WARN  [Kitchen] librespot_core::mercury: late"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

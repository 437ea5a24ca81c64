//! Whose lines are told at which level.

use tracing::Level;

use crate::config::LogLevel;

/// Whether a line of `target` is told when the configuration says `wanted`.
///
/// The crates below us speak to their own developers: at `info` they are heard when something is
/// wrong, and they never reach `trace`, where librespot prints access tokens.
pub(super) fn is_told(wanted: LogLevel, target: &str, level: Level) -> bool {
    let most = if belongs_to(target, "siskin") {
        level_of(wanted)
    } else {
        others(wanted, target)
    };
    level <= most
}

/// The most that any line can be, for the bridge from the `log` crate.
pub(super) fn most_for_bridge(wanted: LogLevel) -> log::LevelFilter {
    match wanted {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn | LogLevel::Info => log::LevelFilter::Warn,
        LogLevel::Debug => log::LevelFilter::Info,
        LogLevel::Trace => log::LevelFilter::Debug,
    }
}

fn others(wanted: LogLevel, target: &str) -> Level {
    // Each skipped interface and each late answer is an error to the one, and each jump within an
    // MP3 to the other; ours tells what matters.
    let is_noisy = belongs_to(target, "mdns_sd") || target.starts_with("symphonia_");
    // It names the user who signed in, at `info`.
    let is_indiscreet = belongs_to(target, "librespot_core::session");
    match wanted {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn | LogLevel::Info if is_noisy => Level::ERROR,
        LogLevel::Warn | LogLevel::Info => Level::WARN,
        _ if is_indiscreet => Level::WARN,
        LogLevel::Trace if target.starts_with("librespot_") => Level::DEBUG,
        LogLevel::Debug | LogLevel::Trace => Level::INFO,
    }
}

fn level_of(wanted: LogLevel) -> Level {
    match wanted {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

/// `siskin` and `siskin::daemon` belong to `siskin`; `siskin_x` does not.
fn belongs_to(target: &str, root: &str) -> bool {
    target
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_lines_follow_the_configuration() {
        assert!(is_told(LogLevel::Info, "siskin::daemon", Level::INFO));
        assert!(!is_told(LogLevel::Info, "siskin::daemon", Level::DEBUG));
        assert!(is_told(LogLevel::Trace, "siskin", Level::TRACE));
        assert!(!is_told(LogLevel::Trace, "siskinny", Level::DEBUG));
    }

    #[test]
    fn other_peoples_lines_are_heard_only_when_something_is_wrong() {
        assert!(is_told(LogLevel::Info, "librespot_core", Level::WARN));
        assert!(!is_told(LogLevel::Info, "librespot_core", Level::INFO));
        assert!(!is_told(LogLevel::Info, "mdns_sd::daemon", Level::WARN));
    }

    #[test]
    fn no_level_lets_tokens_or_user_names_through() {
        for wanted in [LogLevel::Debug, LogLevel::Trace] {
            assert!(!is_told(wanted, "librespot_core::token", Level::TRACE));
            assert!(!is_told(wanted, "librespot_core::session", Level::INFO));
            assert!(!is_told(wanted, "tungstenite::client", Level::DEBUG));
        }
    }
}

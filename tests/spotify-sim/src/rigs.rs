//! The world around the daemon, made to order: networks, sound cards that
//! break, a sound server, a slow reader at the end of a pipe.
//!
//! Owns what it makes and takes it away on drop: processes, namespaces,
//! folders. Judges nothing; for what was played see [`crate::listen`].
//! Needs Linux, and for each rig a tool that its error names if it is missing.

mod fakedac;
mod fifo;
mod namespace;
mod pulse;

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub use fakedac::{Card, CardEvent, FakeDac, HastyDac, State, monotonic};
pub use fifo::{Fifo, FifoFormat, Intake, Pace};
pub use namespace::{Namespace, Network};
pub use pulse::{PulseServer, Recording};

/// Why a rig could not be set up, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    #[error("{tool} is not installed; install the package {package}")]
    Missing {
        tool: &'static str,
        package: &'static str,
    },
    #[error("the kernel forbids {what} ({source}); {cure}")]
    Forbidden {
        what: &'static str,
        cure: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed: {output}")]
    Failed { command: String, output: String },
    #[error("cannot {what}: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("{what} did not happen within {limit:?}")]
    Slow { what: String, limit: Duration },
}

impl RigError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> RigError {
        let what = what.into();
        move |source| RigError::Io { what, source }
    }
}

/// Runs to the end and returns what was printed.
fn run(
    command: &mut Command,
    tool: &'static str,
    package: &'static str,
) -> Result<String, RigError> {
    let output = command.output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => RigError::Missing { tool, package },
        _ => RigError::Io {
            what: format!("run {tool}"),
            source,
        },
    })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(RigError::Failed {
        command: format!("{command:?}"),
        output: format!("{said}{complaint}").trim().into(),
    })
}

/// Looks again every few milliseconds until `ready` gives something.
fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, RigError> {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        if begun.elapsed() > limit {
            return Err(RigError::Slow {
                what: what.into(),
                limit,
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Value of `ALSA_CONFIG_PATH` that adds a file to the system's own
/// configuration, without touching anything of the system.
fn alsa_config_path(file: &Path) -> String {
    format!("/usr/share/alsa/alsa.conf:{}", file.display())
}

#[cfg(test)]
mod tests;

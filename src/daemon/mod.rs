//! (to be written)

use crate::config::{Config, Problems};

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
#[error("the daemon is not built yet")]
pub struct StartError;

impl StartError {
    /// What the listener can do; shown after `help:`.
    pub fn help(&self) -> &'static str {
        "wait for it"
    }
}

/// Runs until told to stop. `reload` reads the configuration again.
pub async fn run(
    _config: Config,
    _reload: impl Fn() -> Result<Config, Problems>,
) -> Result<(), StartError> {
    Err(StartError)
}

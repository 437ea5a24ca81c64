//! From file, environment and flags to one checked [`Config`].
//!
//! Owns every key, its default, its limits and its cure. What leaves here cannot be wrong any
//! more: [`load`] gives a whole [`Config`] or every [`Problem`] there is. [`diff()`] tells a reload
//! what to do; doing it is the daemon's.
//!
//! The way through: [`layers`] gathers what was said, [`file`] reads TOML, [`build`] looks each
//! key of the [`schema`] up, has [`check`] turn it into a value, and [`clash`] compares speakers.

mod build;
mod check;
mod clash;
mod diff;
mod env;
mod file;
mod foreign;
mod hooks;
mod household;
mod layers;
mod mqtt;
mod problem;
mod schema;
mod settings;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use build::Explained;
pub use check::speaker_name;
pub use clash::{is_same_name, shared};
pub use diff::{Change, Effort, diff};
pub use foreign::instead_of_flag;
pub use hooks::{HOOK_VARIABLES, Hook, Occasion};
pub use household::{ForAccount, Guests, Household, QuietHours};
pub use layers::{Flag, Request, Surroundings};
pub use mqtt::{Broker, Mqtt, MqttVersion};
pub use problem::{Problem, Problems};
pub use schema::secret_variables;
pub use settings::{
    Audio, Autoplay, BUFFER_MS, Bitrate, Cache, Config, Curve, Http, LogLevel, Metadata, Mpris,
    Network, Normalisation, NormalisationMethod, Offer, Output, Pairing, SampleFormat, Socket,
    Speaker, Tls, VolumeSettings,
};
pub use value::Origin;

/// A configuration that holds, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub explained: Explained,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Variables that begin like settings and were set by a container orchestrator for itself.
    pub passed_over: Vec<String>,
}

/// Reads and checks everything. An error holds every problem, not the first.
pub fn load(request: &Request, around: &Surroundings) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let (layers, file) = layers::gather(request, around, &mut problems);
    judge(&layers, file, &around.default_name(), problems)
}

/// [`load`] of these bytes as the file and nothing else, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) fn load_bytes(bytes: &[u8]) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let layers = layers::Layers {
        document: file::parse("config.toml".as_ref(), bytes, &mut problems),
        ..layers::Layers::default()
    };
    judge(&layers, None, "kitchen", problems)
}

/// The settings of these layers, unless there are problems with them or were before.
fn judge(
    layers: &layers::Layers,
    file: Option<PathBuf>,
    name: &str,
    mut problems: Vec<Problem>,
) -> Result<Loaded, Problems> {
    let (config, explained) = build::build(layers, name, &mut problems);
    let problems = Problems::from_all(problems);
    if problems.is_empty() {
        Ok(Loaded {
            config,
            explained,
            file,
            passed_over: layers.passed_over.clone(),
        })
    } else {
        Err(problems)
    }
}

/// `text` in quotes, as the file wants it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

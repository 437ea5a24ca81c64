//! What the doctor found, as every surface may show it.

use serde::{Deserialize, Serialize};

use super::Severity;

/// One look at everything that stands between a phone and the music.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Examination {
    /// Nothing is wrong; there may be something that is worth knowing.
    pub healthy: bool,
    pub findings: Vec<Finding>,
    /// What is as it is, line by line.
    pub facts: Vec<String>,
}

/// One thing that is wrong or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Finding {
    /// Stable, `snake_case`; those of conditions are the conditions' own.
    pub code: String,
    pub severity: Severity,
    pub what: String,
    pub why: String,
    pub cure: String,
}

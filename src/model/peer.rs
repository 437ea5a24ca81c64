//! The other Connect devices of the account that is signed in.

use serde::{Deserialize, Serialize};

/// Devices that are told of; an account has a handful.
pub const MAX_PEERS: usize = 32;

/// A device that playback can be sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Peer {
    /// Its id in the cluster.
    pub id: String,
    pub name: String,
    /// `speaker`, `smartphone`, `computer`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// It is the one that plays.
    pub active: bool,
}

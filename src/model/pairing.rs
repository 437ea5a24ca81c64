//! Where a sign-in by a code stands, as every surface may show it.

use serde::{Deserialize, Serialize};

/// One flow; `Ready`, `Failed` and `Cancelled` are its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Pairing {
    /// A code is being fetched. `trouble` says why that takes longer than usual.
    Asking {
        trouble: Option<String>,
    },
    /// The listener types `code` at `address`, or opens `complete_address`, before `expires_at_ms`
    /// (Unix ms). A later code replaces this one by itself.
    Waiting {
        code: String,
        address: String,
        complete_address: String,
        expires_at_ms: i64,
        trouble: Option<String>,
    },
    /// Approved; Spotify is being asked for the lasting credential.
    SigningIn,
    /// Signed in, as this account.
    Ready {
        name: String,
    },
    Failed {
        why: String,
        cure: String,
    },
    Cancelled,
}

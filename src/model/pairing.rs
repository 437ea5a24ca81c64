//! Where a sign-in by a code stands, as every surface may show it.

use serde::{Deserialize, Serialize};

/// How the listener says yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By a code typed at an address, on any device (RFC 8628).
    #[default]
    Code,
    /// In a browser on this machine, which is led back to a port of ours.
    Browser,
    /// In a browser anywhere; the address that it was led to is pasted.
    Paste,
}

/// One flow; `Ready`, `Failed` and `Cancelled` are its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
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
    /// The listener opens `address` in a browser before `expires_at_ms` (Unix ms). Where it leads
    /// after that comes back by itself, or is pasted.
    Browser {
        address: String,
        expires_at_ms: i64,
        trouble: Option<String>,
    },
    /// Approved; Spotify is being asked for the lasting credential.
    SigningIn {
        trouble: Option<String>,
    },
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

impl Pairing {
    /// Nothing follows any more.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Ready { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }

    pub fn failed(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Failed {
            why: why.into(),
            cure: cure.into(),
        }
    }
}

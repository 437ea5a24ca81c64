//! A person of the house, as every surface may show it: never a secret.

use serde::{Deserialize, Serialize};

/// An account that signed in at least once and was not forgotten since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Account {
    /// Spotify's own name of the account.
    pub user: String,
    /// What people call it: their own wording, else what Spotify shows, else `user`.
    pub name: String,
    /// What Spotify said at the last sign-in; `None` before it said anything.
    pub premium: Option<bool>,
    /// Two letters.
    pub country: Option<String>,
    pub came_by: CameBy,
    /// Unix time in ms of the last sign-in.
    pub last_used_ms: i64,
    /// Unix time in ms since when Spotify refuses audio keys to this account; `None` while it does not.
    pub keys_refused_ms: Option<i64>,
    /// Spotify's own number for the reason, where it gave one.
    pub keys_refused_code: Option<u16>,
}

/// What Spotify answers when audio keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAnswer {
    Given,
    /// With Spotify's own number for the reason *(the error packet of the access point)*.
    Refused {
        code: Option<u16>,
    },
}

impl Account {
    /// An account of which nothing but its user is known.
    pub fn of(user: String) -> Self {
        Self {
            name: user.clone(),
            user,
            premium: None,
            country: None,
            came_by: CameBy::default(),
            last_used_ms: 0,
            keys_refused_ms: None,
            keys_refused_code: None,
        }
    }

    /// Whether people may mean this account by `said`: its user name, or what it is called here.
    pub fn answers_to(&self, said: &str) -> bool {
        let said = said.trim();
        self.user == said || self.name.to_lowercase() == said.to_lowercase()
    }
}

/// The way an account came to this speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CameBy {
    /// Handed over by a phone on the local network.
    #[default]
    Phone,
    /// A code typed at spotify.com/pair.
    Code,
    /// A browser on a desktop.
    Browser,
}

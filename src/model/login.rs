//! Who plays here, and what Spotify thinks of it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::ConditionCode;

/// Bytes that must never be printed. `Debug` shows their number only; serde writes base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for the one place that must send them on.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "***({} bytes)", self.0.len())
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        BASE64
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// A usable credential: handed over by a phone, or kept from an earlier sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Canonical Spotify user name.
    pub user: String,
    /// Spotify's `AuthenticationType` (0 user and password, 1 stored credential, 3 token …), passed on as it came.
    pub kind: i32,
    pub secret: Secret,
}

impl fmt::Debug for Login {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Login({}, kind {})", masked(&self.user), self.kind)
    }
}

/// A user name as it may stand in a log: its first two characters.
pub fn masked(user: &str) -> String {
    user.chars().take(2).chain("***".chars()).collect()
}

/// Why Spotify did not let an account in. Only a new login, or time, helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    #[error("Spotify refused the login")]
    BadCredentials,
    #[error(
        "this is a Spotify {product} account; Spotify streams to speakers like this for Premium accounts only"
    )]
    NotPremium { product: String },
    #[error("the account is in another country than the one it belongs to")]
    TravelRestriction,
    /// Spotify says only that something is to be confirmed: a second factor, an address, new terms.
    #[error(
        "Spotify wants the account to confirm something first (a second factor, or new terms of use)"
    )]
    Pending,
    #[error("too many devices use the account")]
    TooManyDevices,
    #[error("the account tried to sign in too often, and Spotify makes it wait")]
    TooOften,
    #[error("Spotify did not let the account in ({what})")]
    Other { what: String },
}

impl Refusal {
    /// What the listener can do.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::BadCredentials => "pick the speaker in the Spotify app again",
            Self::NotPremium { .. } => "pick the speaker with a Premium account",
            Self::TravelRestriction => {
                "set the country at spotify.com/account, then pick the speaker again"
            }
            Self::Pending => {
                "sign in at spotify.com/account and confirm what it asks, then pick the speaker again"
            }
            Self::TooManyDevices => {
                "take a device off the account at spotify.com/account (“Manage devices”), then pick \
                 the speaker again"
            }
            Self::TooOften | Self::Other { .. } => "try again in a few minutes",
        }
    }

    /// Whether the same login will be refused again, so that only a new one helps.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::TooOften | Self::Other { .. })
    }

    /// What it is called where an account that signed in before is refused.
    pub fn code(&self) -> ConditionCode {
        match self {
            Self::BadCredentials | Self::TooOften | Self::Other { .. } => {
                ConditionCode::LoginRefused
            }
            Self::NotPremium { .. } => ConditionCode::NotPremium,
            Self::TravelRestriction => ConditionCode::WrongCountry,
            Self::Pending => ConditionCode::LoginPending,
            Self::TooManyDevices => ConditionCode::TooManyDevices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_never_shows_its_secret_or_the_whole_name() {
        let login = Login {
            user: "kimberley".into(),
            kind: 1,
            secret: Secret::new(b"hush".to_vec()),
        };
        let shown = format!("{login:?} {:?}", login.secret);
        assert!(
            !shown.contains("kimberley") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn a_secret_survives_the_way_through_json() {
        let secret = Secret::new(vec![0, 1, 255]);
        let text = serde_json::to_string(&secret).expect("plain bytes");
        assert_eq!(
            serde_json::from_str::<Secret>(&text).expect("base64"),
            secret
        );
    }
}

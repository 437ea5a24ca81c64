//! What the speaker is to Spotify: an id that never changes, and a kind.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 40 lower-case hexadecimal digits. Stable across restarts and renames, unique per speaker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a device id is 40 hexadecimal digits")]
pub struct DeviceIdError;

impl DeviceId {
    /// From 20 bytes of randomness.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits: enough to tell speakers apart in names.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if valid {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(DeviceIdError)
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = DeviceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The icon beside the name in the Spotify app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    #[default]
    Speaker,
    Avr,
    AudioDongle,
    Computer,
    Tv,
    Stb,
}

impl DeviceType {
    pub const ALL: [Self; 6] = [
        Self::Speaker,
        Self::Avr,
        Self::AudioDongle,
        Self::Computer,
        Self::Tv,
        Self::Stb,
    ];

    /// As written in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Speaker => "speaker",
            Self::Avr => "avr",
            Self::AudioDongle => "audio_dongle",
            Self::Computer => "computer",
            Self::Tv => "tv",
            Self::Stb => "stb",
        }
    }

    /// As `getInfo` writes it (`deviceType`, at most 15 characters).
    pub fn wire(self) -> &'static str {
        match self {
            Self::Speaker => "SPEAKER",
            Self::Avr => "AVR",
            Self::AudioDongle => "AUDIODONGLE",
            Self::Computer => "COMPUTER",
            Self::Tv => "TV",
            Self::Stb => "STB",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_is_forty_hex_digits_and_nothing_else() {
        let id = DeviceId::from_bytes([0xAB; 20]);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.short(), "abababab");
        assert_eq!("zz".parse::<DeviceId>(), Err(DeviceIdError));
        assert_eq!("é".repeat(20).parse::<DeviceId>(), Err(DeviceIdError));
    }
}

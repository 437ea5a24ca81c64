//! How loud: what the phone's slider says, and what a person writes.

use serde::{Deserialize, Serialize};

/// A position of the phone's volume slider, 0 (mute) to 65 535 (full).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Volume(pub u16);

impl Volume {
    pub const MUTE: Self = Self(0);
    pub const FULL: Self = Self(u16::MAX);

    /// The share of the slider's way, 0.0 to 1.0.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }

    pub fn percent(self) -> Percent {
        Percent((self.fraction() * 100.0).round() as u8)
    }
}

/// Whole percent, 0 to 100, as people write it. Values above 100 cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// `None` above 100.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 100 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// For constants: 100 when `value` is above it.
    pub const fn clamped(value: u8) -> Self {
        if value <= 100 { Self(value) } else { Self(100) }
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    pub fn volume(self) -> Volume {
        Volume((u32::from(self.0) * u32::from(u16::MAX) / 100) as u16)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = u8::deserialize(from)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom("a percentage is 0 to 100"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_slider_agree_in_both_directions() {
        for value in 0..=100 {
            let percent = Percent::new(value).expect("in range");
            assert_eq!(percent.volume().percent(), percent);
        }
        assert_eq!(Percent::new(101), None);
        assert_eq!(Percent::clamped(100).volume(), Volume::FULL);
    }
}

//! What only Spotify knows, asked for when somebody wants to look at it: pictures and names.
//!
//! Nothing of this is fetched unless a face asks. Playback never waits for it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::Track;

/// No cover that is worth showing is larger, in bytes.
pub const MAX_PICTURE: usize = 512 * 1024;

/// Names that are asked for at once.
pub const MAX_NAMES: usize = 20;

/// A question of somebody who wants to see something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Query {
    /// The picture at this address, one of [`Track::covers`].
    Picture { address: String },
    /// What these tracks and episodes are called; at most [`MAX_NAMES`] URIs.
    Tracks { uris: Vec<String> },
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    Picture(Picture),
    /// In the order of the question; `None`: there is no such thing, or it was not told in time.
    Tracks {
        tracks: Vec<Option<Track>>,
    },
}

/// An image that a browser can show. Made by [`Picture::read`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Picture(Vec<u8>);

impl Picture {
    /// Looks at the bytes and not at what was said of them: what is handed to browsers is an image
    /// and nothing else. `None`: it is none, or too large.
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let fits = bytes.len() <= MAX_PICTURE && kind(&bytes).is_some();
        fits.then_some(Self(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As `Content-Type` has it.
    pub fn mime(&self) -> &'static str {
        kind(&self.0).unwrap_or("application/octet-stream")
    }
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

impl From<Picture> for String {
    fn from(picture: Picture) -> Self {
        BASE64.encode(&picture.0)
    }
}

impl TryFrom<String> for Picture {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64.decode(text).map_err(|_| "no base64")?;
        Self::read(bytes).ok_or("no picture")
    }
}

impl Known {
    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Picture(picture) => picture.0.len(),
            Self::Tracks { tracks } => tracks.len() * 600,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_as_an_image_does_is_a_picture() {
        let jpeg = [&[0xFF, 0xD8, 0xFF, 0xE0][..], &[7; 100]].concat();
        let picture = Picture::read(jpeg).expect("a picture");
        assert_eq!(picture.mime(), "image/jpeg");
        for other in [
            b"<svg onload=alert(1)>".to_vec(),
            b"<html>".to_vec(),
            Vec::new(),
            [&b"GIF8"[..], &vec![0; MAX_PICTURE]].concat(),
        ] {
            assert_eq!(Picture::read(other), None);
        }
        let known = Known::Picture(picture);
        let line = serde_json::to_string(&known).expect("plain values");
        assert_eq!(serde_json::from_str::<Known>(&line).expect("ours"), known);
        let forged = line.replace("/9j/", "PGh0");
        assert!(serde_json::from_str::<Known>(&forged).is_err(), "{forged}");
    }
}

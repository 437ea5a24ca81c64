//! What a track is called, in little room: a context of 10,000 tracks is kept whole.

use std::fmt;

const TRACK: &str = "spotify:track:";
const EPISODE: &str = "spotify:episode:";
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE62_LEN: usize = 22;

/// The URI of something playable. Written out again exactly as it was read; 24 bytes for tracks and
/// episodes, which are nearly all there is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uri(Name);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Name {
    Track([u8; 16]),
    Episode([u8; 16]),
    Other(Box<str>),
}

impl Uri {
    pub fn new(text: &str) -> Self {
        let packed = |prefix| text.strip_prefix(prefix).and_then(pack);
        Self(if let Some(id) = packed(TRACK) {
            Name::Track(id)
        } else if let Some(id) = packed(EPISODE) {
            Name::Episode(id)
        } else {
            Name::Other(text.into())
        })
    }

    /// The URI of a track of which only the raw id is told (16 bytes), as some contexts do.
    pub fn of_gid(gid: &[u8]) -> Option<Self> {
        gid.try_into().ok().map(|id| Self(Name::Track(id)))
    }

    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Name::Other(text) if text.is_empty())
    }

    /// Whether Spotify can be asked for it at all: local files live on the phone only, and
    /// separators between rounds of a context are no tracks.
    pub fn is_playable(&self) -> bool {
        match &self.0 {
            Name::Track(_) | Name::Episode(_) => true,
            Name::Other(text) => [TRACK, EPISODE]
                .iter()
                .any(|kind| text.strip_prefix(kind).is_some_and(|id| !id.is_empty())),
        }
    }

    /// Spoken word, which is taken up where it was left.
    pub fn is_episode(&self) -> bool {
        match &self.0 {
            Name::Episode(_) => true,
            Name::Track(_) => false,
            Name::Other(text) => text.starts_with(EPISODE),
        }
    }

    pub fn is_local(&self) -> bool {
        matches!(&self.0, Name::Other(text) if text.starts_with("spotify:local:"))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Track(id) => write!(f, "{TRACK}{}", unpack(id)),
            Name::Episode(id) => write!(f, "{EPISODE}{}", unpack(id)),
            Name::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn pack(id: &str) -> Option<[u8; 16]> {
    if id.len() != BASE62_LEN {
        return None;
    }
    let mut value = 0u128;
    for byte in id.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' => byte - b'A' + 36,
            _ => return None,
        };
        value = value.checked_mul(62)?.checked_add(digit.into())?;
    }
    Some(value.to_be_bytes())
}

fn unpack(id: &[u8; 16]) -> String {
    let mut value = u128::from_be_bytes(*id);
    let mut text = [b'0'; BASE62_LEN];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

/// The name of one place in a list, which two equal tracks do not share. Empty when none was told.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uid(Mark);

/// Spotify's uids are mostly short hexadecimal numbers.
const HEX_BYTES: usize = 14;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Mark {
    Hex { len: u8, bytes: [u8; HEX_BYTES] },
    Text(Box<str>),
}

impl Default for Uid {
    fn default() -> Self {
        Self(Mark::Hex {
            len: 0,
            bytes: [0; HEX_BYTES],
        })
    }
}

impl Uid {
    pub fn new(text: &str) -> Self {
        Self(hex(text).unwrap_or_else(|| Mark::Text(text.into())))
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.0, Mark::Hex { len: 0, .. })
    }
}

fn hex(text: &str) -> Option<Mark> {
    let digits = text.as_bytes();
    let is_plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !digits.len().is_multiple_of(2)
        || digits.len() > 2 * HEX_BYTES
        || !digits.iter().all(is_plain)
    {
        return None;
    }
    let value = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        _ => byte - b'a' + 10,
    };
    let mut bytes = [0; HEX_BYTES];
    for (place, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *place = value(pair[0]) << 4 | value(pair[1]);
    }
    let len = u8::try_from(digits.len() / 2).ok()?;
    Some(Mark::Hex { len, bytes })
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mark::Hex { len, bytes } => bytes[..usize::from(*len)]
                .iter()
                .try_for_each(|byte| write!(f, "{byte:02x}")),
            Mark::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One place of a list: what stands there, and the name of the place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub uri: Uri,
    pub uid: Uid,
}

impl Entry {
    pub fn new(uri: &str, uid: &str) -> Self {
        Self {
            uri: Uri::new(uri),
            uid: Uid::new(uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_written_as_it_was_read() {
        for text in [
            "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
            "spotify:track:0000000000000000000001",
            "spotify:episode:7N42dgm5tFLK9N8MT7fHC7",
            "spotify:track:ZZZZZZZZZZZZZZZZZZZZZZ",
            "spotify:track:short",
            "spotify:local:Artist:Album:Title:210",
            "spotify:delimiter",
            "",
        ] {
            assert_eq!(Uri::new(text).to_string(), text);
        }
        assert_eq!(std::mem::size_of::<Entry>(), 48);
    }

    #[test]
    fn what_cannot_be_played_is_told_apart() {
        assert!(Uri::new("spotify:track:4uLU6hMCjMI75M1A2tKUQC").is_playable());
        assert!(Uri::new("spotify:track:odd").is_playable());
        assert!(!Uri::new("spotify:track:").is_playable());
        assert!(!Uri::new("spotify:local:a:b:c:1").is_playable());
        assert!(Uri::new("spotify:local:a:b:c:1").is_local());
        assert!(!Uri::new("spotify:delimiter").is_playable());
    }

    #[test]
    fn a_uid_is_written_as_it_was_read() {
        for text in [
            "",
            "q0",
            "00ff",
            "d39b3ea43b1c1ea7fa50",
            "ABCD",
            "abc",
            "d8b2f0d8b2f0d8b2f0d8b2f0d8b2f0d8",
        ] {
            assert_eq!(Uid::new(text).to_string(), text);
        }
        assert!(Uid::new("").is_empty());
        assert_eq!(Uid::default(), Uid::new(""));
    }
}

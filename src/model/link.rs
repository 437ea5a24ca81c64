//! What people mean by a piece of Spotify: a URI, or a link out of the app or a browser.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Of an id, in base 62.
const ID_BYTES: usize = 22;
/// No honest link is longer.
const LONGEST: usize = 512;

/// The URI of something that can be played. Made by [`Link::parse`] only, so what it holds can be
/// sent to Spotify as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link {
    uri: String,
    kind: LinkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    Track,
    Episode,
    Album,
    Artist,
    Playlist,
    Show,
    /// The tracks that the account has saved.
    Collection,
}

/// Why there is no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("this is neither a Spotify URI nor a link to open.spotify.com")]
    NotSpotify,
    #[error(
        "nothing of this kind can be played: it takes a track, album, artist, playlist, show, episode or collection"
    )]
    Kind,
    #[error("a Spotify id has 22 letters and digits")]
    Id,
    #[error(
        "short links do not say what they stand for: open it in a browser and copy the address that it leads to"
    )]
    Short,
}

impl Link {
    /// Reads `spotify:album:…`, `https://open.spotify.com/intl-de/album/…?si=…`, and the like.
    ///
    /// # Errors
    /// Why it cannot be played.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(LinkError::NotSpotify);
        }
        let parts: Vec<&str> = match text.strip_prefix("spotify:") {
            Some(rest) => plain(rest).split(':').collect(),
            None => path(text)?
                .split('/')
                .filter(|part| !part.is_empty())
                .collect(),
        };
        Self::of(&parts)
    }

    fn of(parts: &[&str]) -> Result<Self, LinkError> {
        let (kind, id) = match parts {
            // Addresses of one country's page, and of the player in other people's pages.
            [first, rest @ ..] if first.starts_with("intl-") || *first == "embed" => {
                return Self::of(rest);
            }
            ["collection"] | ["collection", "tracks"] | ["user", _, "collection"] => {
                return Ok(Self {
                    uri: "spotify:collection".to_owned(),
                    kind: LinkKind::Collection,
                });
            }
            ["user", _, "playlist", id] => (LinkKind::Playlist, *id),
            [word, id] => (LinkKind::of(word).ok_or(LinkError::Kind)?, *id),
            _ => return Err(LinkError::Kind),
        };
        if id.len() != ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(LinkError::Id);
        }
        let uri = format!("spotify:{}:{id}", kind.word());
        Ok(Self { uri, kind })
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// One track or episode, which can be queued.
    pub fn is_single(&self) -> bool {
        matches!(self.kind, LinkKind::Track | LinkKind::Episode)
    }
}

impl LinkKind {
    const ALL: [Self; 6] = [
        Self::Track,
        Self::Episode,
        Self::Album,
        Self::Artist,
        Self::Playlist,
        Self::Show,
    ];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Episode => "episode",
            Self::Album => "album",
            Self::Artist => "artist",
            Self::Playlist => "playlist",
            Self::Show => "show",
            Self::Collection => "collection",
        }
    }
}

/// The path of a link.
fn path(text: &str) -> Result<&str, LinkError> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    let (host, path) = rest.split_once('/').ok_or(LinkError::NotSpotify)?;
    match host.to_ascii_lowercase().as_str() {
        "open.spotify.com" | "play.spotify.com" => Ok(plain(path)),
        "spotify.link" | "spotify.app.link" => Err(LinkError::Short),
        _ => Err(LinkError::NotSpotify),
    }
}

/// Without what only says who shared it.
fn plain(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.uri)
    }
}

impl TryFrom<String> for Link {
    type Error = LinkError;

    fn try_from(text: String) -> Result<Self, LinkError> {
        Self::parse(&text)
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.uri
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "4uLU6hMCjMI75M1A2tKUQC";

    #[test]
    fn uris_and_links_of_every_kind_come_to_the_same() {
        for kind in LinkKind::ALL {
            let word = kind.word();
            let uri = format!("spotify:{word}:{ID}");
            for text in [
                uri.clone(),
                format!("  {uri}?si=abc \n"),
                format!("https://open.spotify.com/{word}/{ID}"),
                format!("http://OPEN.spotify.com/intl-de/{word}/{ID}/?si=x#t"),
                format!("open.spotify.com/embed/{word}/{ID}"),
            ] {
                let link = Link::parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
                assert_eq!((link.uri(), link.kind()), (uri.as_str(), kind));
            }
        }
        let playlist = Link::parse(&format!("spotify:user:kim:playlist:{ID}")).expect("old");
        assert_eq!(playlist.uri(), format!("spotify:playlist:{ID}"));
        for text in [
            "spotify:collection",
            "spotify:user:kim:collection",
            "https://open.spotify.com/collection/tracks",
        ] {
            let link = Link::parse(text).expect("saved tracks");
            assert_eq!(link.kind(), LinkKind::Collection);
        }
    }

    #[test]
    fn what_cannot_be_played_is_told_why() {
        let no = |text: &str| Link::parse(text).expect_err(text);
        assert_eq!(no(""), LinkError::NotSpotify);
        assert_eq!(no("Staircase"), LinkError::NotSpotify);
        assert_eq!(
            no(&format!("https://evil.example/track/{ID}")),
            LinkError::NotSpotify
        );
        assert_eq!(no("https://spotify.link/abc"), LinkError::Short);
        assert_eq!(no("spotify:user:kim"), LinkError::Kind);
        assert_eq!(no(&format!("spotify:genre:{ID}")), LinkError::Kind);
        assert_eq!(no("spotify:track:../../etc/passwd"), LinkError::Id);
        assert_eq!(no("spotify:track:4uLU6hMCjMI75M1A2tKUQé"), LinkError::Id);
        assert_eq!(no("spotify:local:a:b:c:1"), LinkError::Kind);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_a_plain_uri_and_is_read_again_the_same(
            text in "(spotify:|https://open.spotify.com/|)[a-z-]{0,10}[:/]?(track|album|show|x)?[:/]?\\PC{0,30}"
        ) {
            if let Ok(link) = Link::parse(&text) {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':';
                prop_assert!(link.uri().starts_with("spotify:") && link.uri().bytes().all(plain));
                prop_assert_eq!(Link::parse(link.uri()), Ok(link));
            }
        }

        #[test]
        fn every_id_is_taken_as_it_is_written(
            id in "[0-9A-Za-z]{22}", at in 0..LinkKind::ALL.len(), query in "(\\?si=[0-9a-f]{0,16})?"
        ) {
            let word = LinkKind::ALL[at].word();
            let uri = format!("spotify:{word}:{id}");
            let link = format!("https://open.spotify.com/{word}/{id}{query}");
            prop_assert_eq!(Link::parse(&link).map(String::from), Ok(uri.clone()));
            prop_assert_eq!(Link::parse(&uri).map(String::from), Ok(uri));
        }
    }
}

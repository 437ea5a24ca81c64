//! What the service says about a track or an episode: what to show, which files there are, and who
//! may hear it.
//!
//! Read from the messages themselves: the crate that parses them refuses a track for a missing
//! artist id and panics at a country list of odd length.

use librespot_core::{FileId, SpotifyId, date::Date};
use librespot_protocol::{
    extended_metadata::{
        BatchedEntityRequest, BatchedExtensionResponse, EntityRequest, ExtensionQuery,
    },
    extension_kind::ExtensionKind,
    metadata::{self as wire, audio_file::Format},
};
use protobuf::{EnumOrUnknown, Message};

use crate::model::{Track, TrackKind};

/// Where covers lie when the account does not say.
pub const COVERS: &str = "https://i.scdn.co/image/{file_id}";

/// One track or episode, as the service describes it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The id that its files and keys belong to.
    pub id: SpotifyId,
    pub shown: Track,
    pub files: Vec<(Format, FileId)>,
    pub rights: Rights,
    /// The same recording under other ids.
    pub alternatives: Vec<Alternative>,
    /// There is a picture to it, which cannot be shown here.
    pub video: bool,
    /// It lies with somebody else than Spotify.
    pub elsewhere: bool,
}

#[derive(Debug, Clone)]
pub struct Alternative {
    pub id: SpotifyId,
    /// Often left out: then this id has to be asked about.
    pub files: Vec<(Format, FileId)>,
    pub rights: Rights,
}

/// Who may hear it, and from when on.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    restrictions: Vec<wire::Restriction>,
    availability: Vec<wire::Availability>,
    /// Unix time in ms.
    embargo_ms: i64,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Country,
    NotYet,
}

impl Rights {
    /// Whether somebody in `country` (two letters) whose account is of this `catalogue` may hear it.
    ///
    /// # Errors
    /// Why not.
    pub fn allow(&self, country: &str, catalogue: &str, now_ms: i64) -> Result<(), Denied> {
        let started = |availability: &wire::Availability| {
            let start = Date::try_from(availability.start.get_or_default());
            start.is_ok_and(|start| start.as_timestamp_ms() <= now_ms)
        };
        let ahead = !self.availability.is_empty() && !self.availability.iter().any(started);
        if ahead || self.embargo_ms > now_ms {
            return Err(Denied::NotYet);
        }
        let ours = |restriction: &&wire::Restriction| {
            restriction.catalogue_str.iter().any(|of| of == catalogue)
        };
        let forbids = |restriction: &wire::Restriction| {
            let allowed = restriction.has_countries_allowed()
                && !lists(restriction.countries_allowed(), country);
            allowed || lists(restriction.countries_forbidden(), country)
        };
        if self.restrictions.iter().filter(ours).any(forbids) {
            return Err(Denied::Country);
        }
        Ok(())
    }
}

/// Whether a country is on a list of two-letter codes without separators.
fn lists(codes: &str, country: &str) -> bool {
    codes
        .as_bytes()
        .chunks(2)
        .any(|code| code == country.as_bytes())
}

/// The question about one track or episode.
pub fn question(uri: &str, episode: bool) -> Vec<u8> {
    let query = ExtensionQuery {
        extension_kind: EnumOrUnknown::new(kind(episode)),
        ..Default::default()
    };
    let request = BatchedEntityRequest {
        entity_request: vec![EntityRequest {
            entity_uri: uri.to_owned(),
            query: vec![query],
            ..Default::default()
        }],
        ..Default::default()
    };
    // A message without required fields is always written.
    request.write_to_bytes().unwrap_or_default()
}

fn kind(episode: bool) -> ExtensionKind {
    if episode {
        ExtensionKind::EPISODE_V4
    } else {
        ExtensionKind::TRACK_V4
    }
}

/// What an answer holds.
#[derive(Debug)]
pub enum Told {
    Item(Box<Item>),
    /// The service knows of nothing by that name.
    Unknown,
    /// The answer makes no sense.
    Nonsense,
}

/// Reads the answer about `uri`. `covers` is an address with `{file_id}` in it.
pub fn read(answer: &[u8], uri: &str, episode: bool, covers: &str) -> Told {
    let Ok(response) = BatchedExtensionResponse::parse_from_bytes(answer) else {
        return Told::Nonsense;
    };
    let data = response
        .extended_metadata
        .iter()
        .flat_map(|array| &array.extension_data)
        .next();
    let Some(data) = data else {
        return Told::Unknown;
    };
    let Some(message) = data.extension_data.as_ref() else {
        return match data.header.status_code {
            500.. => Told::Nonsense,
            _ => Told::Unknown,
        };
    };
    let item = if episode {
        wire::Episode::parse_from_bytes(&message.value)
            .ok()
            .and_then(|episode| episode_item(&episode, uri, covers))
    } else {
        wire::Track::parse_from_bytes(&message.value)
            .ok()
            .and_then(|track| track_item(&track, uri, covers))
    };
    item.map_or(Told::Nonsense, |item| Told::Item(Box::new(item)))
}

/// For the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(answer: &[u8], uri: &str, episode: bool) {
    if let Told::Item(item) = read(answer, uri, episode, "https://i.example/{file_id}") {
        assert_eq!(item.shown.uri, uri);
    }
}

fn track_item(track: &wire::Track, uri: &str, covers: &str) -> Option<Item> {
    let album = track.album.get_or_default();
    let mut artists: Vec<String> = track
        .artist_with_role
        .iter()
        .map(|artist| artist.artist_name().to_owned())
        .collect();
    if artists.is_empty() {
        artists = names(&track.artist);
    }
    let alternative = |other: &wire::Track| {
        Some(Alternative {
            id: SpotifyId::from_raw(other.gid()).ok()?,
            files: files(&other.file),
            rights: rights(other),
        })
    };
    Some(Item {
        id: SpotifyId::from_raw(track.gid()).ok()?,
        shown: Track {
            uri: uri.to_owned(),
            title: track.name().to_owned(),
            artists,
            album_artists: names(&album.artist),
            album: album.name().to_owned(),
            duration_ms: u32::try_from(track.duration()).unwrap_or_default(),
            explicit: track.explicit(),
            covers: addresses(&album.cover_group.get_or_default().image, covers),
            kind: TrackKind::Track,
            stream: None,
        },
        files: files(&track.file),
        rights: rights(track),
        alternatives: track.alternative.iter().filter_map(alternative).collect(),
        video: !track.original_video.is_empty(),
        elsewhere: false,
    })
}

fn episode_item(episode: &wire::Episode, uri: &str, covers: &str) -> Option<Item> {
    let show = episode.show.get_or_default().name().to_owned();
    Some(Item {
        id: SpotifyId::from_raw(episode.gid()).ok()?,
        shown: Track {
            uri: uri.to_owned(),
            title: episode.name().to_owned(),
            artists: vec![show.clone()],
            album_artists: Vec::new(),
            album: show,
            duration_ms: u32::try_from(episode.duration()).unwrap_or_default(),
            explicit: episode.explicit(),
            covers: addresses(&episode.cover_image.get_or_default().image, covers),
            kind: TrackKind::Episode,
            stream: None,
        },
        files: files(&episode.audio),
        rights: Rights {
            restrictions: episode.restriction.clone(),
            availability: episode.availability.clone(),
            embargo_ms: 0,
        },
        alternatives: Vec::new(),
        video: !episode.video.is_empty(),
        elsewhere: !episode.external_url().is_empty(),
    })
}

fn rights(track: &wire::Track) -> Rights {
    Rights {
        restrictions: track.restriction.clone(),
        availability: track.availability.clone(),
        embargo_ms: track.earliest_live_timestamp(),
    }
}

fn names(artists: &[wire::Artist]) -> Vec<String> {
    artists
        .iter()
        .map(|artist| artist.name().to_owned())
        .collect()
}

fn files(files: &[wire::AudioFile]) -> Vec<(Format, FileId)> {
    let known = |file: &wire::AudioFile| {
        let format = file.format?.enum_value().ok()?;
        let id = file.file_id();
        (!id.is_empty() && id.len() <= 20).then(|| (format, FileId::from_raw(id)))
    };
    files.iter().filter_map(known).collect()
}

/// Largest first.
fn addresses(images: &[wire::Image], covers: &str) -> Vec<String> {
    let mut images: Vec<_> = images
        .iter()
        .filter(|image| image.file_id().len() == 20)
        .collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.width()));
    let address = |image: &&wire::Image| {
        covers.replace("{file_id}", &FileId::from_raw(image.file_id()).to_string())
    };
    images.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restricted(catalogue: &str, allowed: Option<&str>, forbidden: Option<&str>) -> Rights {
        let mut restriction = wire::Restriction::new();
        restriction.catalogue_str = vec![catalogue.to_owned()];
        if let Some(allowed) = allowed {
            restriction.set_countries_allowed(allowed.to_owned());
        }
        if let Some(forbidden) = forbidden {
            restriction.set_countries_forbidden(forbidden.to_owned());
        }
        Rights {
            restrictions: vec![restriction],
            ..Rights::default()
        }
    }

    #[test]
    fn a_track_may_be_for_some_countries_only() {
        let may = |rights: &Rights, country| rights.allow(country, "premium", 0);
        let some = restricted("premium", Some("DEUS"), None);
        assert_eq!(may(&some, "DE"), Ok(()));
        assert_eq!(may(&some, "EU"), Err(Denied::Country));
        let nowhere = restricted("premium", Some(""), None);
        assert_eq!(may(&nowhere, "DE"), Err(Denied::Country));
        let most = restricted("premium", None, Some("US"));
        assert_eq!(
            (may(&most, "DE"), may(&most, "US")),
            (Ok(()), Err(Denied::Country))
        );
        let others = restricted("free", Some(""), None);
        assert_eq!(may(&others, "DE"), Ok(()));
        // Odd lengths and strange letters are no reason to fall over.
        let odd = restricted("premium", Some("DEÜ"), None);
        assert_eq!(
            (may(&odd, "DE"), may(&odd, "US")),
            (Ok(()), Err(Denied::Country))
        );
    }

    #[test]
    fn a_track_may_be_for_later() {
        let rights = Rights {
            embargo_ms: 1000,
            ..Rights::default()
        };
        assert_eq!(rights.allow("DE", "premium", 999), Err(Denied::NotYet));
        assert_eq!(rights.allow("DE", "premium", 1000), Ok(()));
        let mut availability = wire::Availability::new();
        let start = availability.start.mut_or_insert_default();
        start.set_year(2030);
        start.set_month(1);
        start.set_day(1);
        let rights = Rights {
            availability: vec![availability],
            ..Rights::default()
        };
        assert_eq!(
            rights.allow("DE", "premium", 1_700_000_000_000),
            Err(Denied::NotYet)
        );
        assert_eq!(rights.allow("DE", "premium", 1_900_000_000_000), Ok(()));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_no_item() {
        assert!(matches!(
            read(b"\xff\x00<html>", "u", false, COVERS),
            Told::Nonsense
        ));
        assert!(matches!(read(b"", "u", false, COVERS), Told::Unknown));
    }
}

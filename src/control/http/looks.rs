//! What people want to see: the cover of what plays, and what tracks are called. Fetched from Spotify
//! when somebody asks, and not before.

use std::fmt::Write as _;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha1::{Digest as _, Sha1};

use super::{answer::Failed, given::Named};
use crate::{
    bus::{Answer, Bus, Order, Reason, Unable},
    model::{Known, Link, MAX_NAMES, Query, Track},
};

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Names {
    /// In the order of the question; `null` where nothing is known.
    tracks: Vec<Option<Track>>,
}

/// The picture of what plays, as `?size=` says: `large`, `medium`, `small`. With `&of=` a URI, only
/// if that is what plays.
pub async fn cover(
    State(bus): State<Bus>,
    Named(speaker): Named,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let house = bus.now();
    let state = house
        .speaker(&speaker)
        .ok_or_else(|| Unable::unknown_speaker(&speaker))?;
    let size = given(&uri, "size").next().unwrap_or_default();
    let playback = state.playback.as_ref();
    let track = playback.and_then(|now| now.track.as_ref());
    // Whoever asks may know an older state than ours, and would take this cover for that one's.
    let of = given(&uri, "of").next();
    let track = track.filter(|track| of.as_ref().is_none_or(|of| *of == track.uri));
    let address = track.and_then(|track| of_size(&track.covers, &size));
    let Some(address) = address.cloned() else {
        return Err(Failed::new(
            StatusCode::NOT_FOUND,
            "no_cover",
            "there is no cover",
            "play something that has one, or ask for size=large, medium or small",
        ));
    };
    let tag = tag(&address);
    // Each face asks again at each track: what it has already is not sent again.
    let rules = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, rules).into_response());
    }
    let query = Query::Picture { address };
    match bus.order(Order::Ask { speaker, query }).await? {
        Answer::Known(known) => match &*known {
            Known::Picture(picture) => {
                let kind = [
                    (header::CONTENT_TYPE, picture.mime()),
                    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                ];
                Ok((rules, kind, picture.bytes().to_vec()).into_response())
            }
            Known::Tracks { .. } => Err(nothing()),
        },
        _ => Err(nothing()),
    }
}

/// What the tracks and episodes of `?uri=…&uri=…` are called.
pub async fn tracks(
    State(bus): State<Bus>,
    Named(speaker): Named,
    uri: Uri,
) -> Result<Json<Names>, Failed> {
    let mut uris = Vec::new();
    for text in given(&uri, "uri") {
        match Link::parse(&text) {
            Ok(link) if link.is_single() => uris.push(link.uri().to_owned()),
            _ => {
                let what = format!("{text:?} is no track or episode");
                return Err(Unable::new(Reason::Invalid, what, "send spotify:track:…").into());
            }
        }
    }
    if uris.is_empty() || uris.len() > MAX_NAMES {
        let what = format!("it takes 1 to {MAX_NAMES} times uri=");
        return Err(Unable::new(Reason::Invalid, what, "ask more than once").into());
    }
    let query = Query::Tracks { uris };
    match bus.order(Order::Ask { speaker, query }).await? {
        Answer::Known(known) => match &*known {
            Known::Tracks { tracks } => Ok(Json(Names {
                tracks: tracks.clone(),
            })),
            Known::Picture(_) => Err(nothing()),
        },
        _ => Err(nothing()),
    }
}

fn nothing() -> Failed {
    Unable::new(
        Reason::Broken,
        "another question was answered",
        "please report it",
    )
    .into()
}

/// Every value of this name in the query.
fn given<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = String> + 'a {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Of covers in falling size.
fn of_size<'a>(covers: &'a [String], size: &str) -> Option<&'a String> {
    match size {
        "" | "large" => covers.first(),
        "medium" => covers.get(covers.len() / 2),
        "small" => covers.last(),
        _ => None,
    }
}

/// The name of what is sent, as `ETag` has it.
pub fn tag(of: impl AsRef<[u8]>) -> String {
    let digest = Sha1::digest(of.as_ref());
    let mut tag = String::from("\"");
    for byte in &digest[..10] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

/// Whether the asker has it already.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut given = given.filter_map(|value| value.to_str().ok());
    given.any(|tags| tags == "*" || tags.contains(tag))
}

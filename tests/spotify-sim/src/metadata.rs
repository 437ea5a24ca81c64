//! What there is to play: the tracks of a context, and a track's names and
//! files.

use hyper::{Method, StatusCode};
use librespot_protocol::{
    autoplay_context_request::AutoplayContextRequest,
    entity_extension_data::{EntityExtensionData, EntityExtensionDataHeader},
    extended_metadata::{BatchedEntityRequest, BatchedExtensionResponse, EntityExtensionDataArray},
    extension_kind::ExtensionKind,
    metadata as proto,
};
use protobuf::{EnumOrUnknown, Message, MessageField, well_known_types::any::Any};
use serde_json::json;
use sha1::{Digest, Sha1};

use crate::{
    catalogue::{Form, Quality, Track},
    http::{self, Answer, Ask},
    shared::Shared,
};

pub(crate) const CONTEXT: &str = "/context-resolve/v1/";

/// What the service goes on with when a context has ended.
const AUTOPLAY_TRACKS: usize = 10;

pub(crate) fn context(shared: &Shared, ask: &Ask) -> Answer {
    let Some(uri) = ask.rest(CONTEXT) else {
        return http::status(StatusCode::NOT_FOUND);
    };
    if uri == "autoplay" {
        return autoplay(shared, ask);
    }
    let uri = form_urlencoded::parse(format!("uri={uri}").as_bytes())
        .next()
        .map(|(_, uri)| uri.into_owned())
        .unwrap_or_default();
    match shared.catalogue.context_tracks(&uri) {
        Some(tracks) if ask.method == Method::GET => {
            let mut context = context_json(&uri, tracks.iter().map(|track| &**track));
            // As the service says it; only receivers that are lenient live with it.
            let title = tracks.first().map_or("", |track| &track.album_title);
            let forbidden = shared.options.forbidden.iter();
            let reasons = forbidden
                .filter(|(of, _)| of == title)
                .map(|(_, key)| (key.clone(), json!(["license"])));
            let reasons: serde_json::Map<_, _> = reasons.collect();
            if !reasons.is_empty() {
                context["restrictions"] = reasons.into();
                context["metadata"]["context_description"] = json!(title);
            }
            http::ok(context.to_string())
        }
        _ => http::status(StatusCode::NOT_FOUND),
    }
}

/// Continues with tracks that the ended context does not hold.
fn autoplay(shared: &Shared, ask: &Ask) -> Answer {
    let Ok(request) = AutoplayContextRequest::parse_from_bytes(&ask.body) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    let ended = shared
        .catalogue
        .context_tracks(request.context_uri())
        .unwrap_or_default();
    let fresh = shared
        .catalogue
        .tracks()
        .filter(|track| ended.iter().all(|played| played.gid != track.gid))
        .take(AUTOPLAY_TRACKS)
        .map(|track| &**track);
    let uri = request
        .context_uri()
        .replacen("spotify:", "spotify:station:", 1);
    http::ok(context_json(&uri, fresh).to_string())
}

/// The strict JSON of a context: a field too much fails the whole command.
fn context_json<'a>(uri: &str, tracks: impl Iterator<Item = &'a Track>) -> serde_json::Value {
    let tracks: Vec<_> = tracks
        .map(|track| {
            json!({
                "uri": track.uri(),
                "uid": uid(uri, track),
                "metadata": { "title": track.title, "album_title": track.album_title },
            })
        })
        .collect();
    json!({
        "uri": uri,
        "url": format!("context://{uri}"),
        "metadata": { "context_description": "" },
        "pages": [{ "tracks": tracks }],
    })
}

/// The name of a track within a context.
pub(crate) fn uid(context: &str, track: &Track) -> String {
    let digest = Sha1::new()
        .chain_update(context)
        .chain_update(track.gid)
        .finalize();
    hex::encode(&digest[..8])
}

pub(crate) fn extended(shared: &Shared, ask: &Ask) -> Answer {
    let Ok(request) = BatchedEntityRequest::parse_from_bytes(&ask.body) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    let mut response = BatchedExtensionResponse::new();
    for entity in &request.entity_request {
        for query in &entity.query {
            let kind = query.extension_kind.enum_value_or_default();
            let data = describe(shared, &entity.entity_uri, kind);
            response.extended_metadata.push(EntityExtensionDataArray {
                extension_kind: EnumOrUnknown::new(kind),
                extension_data: vec![data],
                ..Default::default()
            });
        }
    }
    http::message(&response)
}

fn describe(shared: &Shared, uri: &str, kind: ExtensionKind) -> EntityExtensionData {
    let (name, body) = match kind {
        ExtensionKind::TRACK_V4 => {
            let track = shared.catalogue.track(uri);
            let body = track.and_then(|track| track_proto(&track).write_to_bytes().ok());
            ("Track", body)
        }
        ExtensionKind::EPISODE_V4 => {
            let episode = shared.catalogue.episode(uri);
            let body = episode.and_then(|episode| episode_proto(&episode).write_to_bytes().ok());
            ("Episode", body)
        }
        _ => ("Nothing", None),
    };
    let header = EntityExtensionDataHeader {
        status_code: if body.is_some() { 200 } else { 404 },
        ..Default::default()
    };
    let extension = body.map(|value| Any {
        type_url: format!("type.googleapis.com/spotify.metadata.{name}"),
        value,
        ..Default::default()
    });
    EntityExtensionData {
        header: MessageField::some(header),
        entity_uri: uri.to_owned(),
        extension_data: extension.into(),
        ..Default::default()
    }
}

fn track_proto(track: &Track) -> proto::Track {
    let mut artist = proto::Artist::new();
    artist.set_gid(track.artist_gid.to_vec());
    artist.set_name(track.artist.clone());

    let mut album = proto::Album::new();
    album.set_gid(track.album_gid.to_vec());
    album.set_name(track.album_title.clone());
    album.artist.push(artist.clone());
    let date = album.date.mut_or_insert_default();
    date.set_year(2026);
    date.set_month(1);
    date.set_day(1);
    album.cover_group.mut_or_insert_default().image = covers(track);

    let mut answer = proto::Track::new();
    answer.set_gid(track.gid.to_vec());
    answer.set_name(track.title.clone());
    answer.set_number(i32::try_from(track.number).unwrap_or_default());
    answer.set_disc_number(1);
    answer.set_duration(i32::try_from(track.duration_ms()).unwrap_or(i32::MAX));
    answer.set_explicit(track.terms.explicit);
    answer.album = MessageField::some(album);
    let mut role = proto::ArtistWithRole::new();
    role.set_artist_gid(track.artist_gid.to_vec());
    role.set_artist_name(track.artist.clone());
    role.set_role(proto::artist_with_role::ArtistRole::ARTIST_ROLE_MAIN_ARTIST);
    answer.artist.push(artist);
    answer.artist_with_role.push(role);
    answer.file = files(track);
    answer.restriction = restrictions(track);
    // Of another id, the service tells no more than the id.
    answer.alternative = track
        .terms
        .moved_to
        .iter()
        .map(|other| {
            let mut alternative = proto::Track::new();
            alternative.set_gid(other.gid.to_vec());
            alternative
        })
        .collect();
    answer
}

fn episode_proto(episode: &Track) -> proto::Episode {
    let mut show = proto::Show::new();
    show.set_name(episode.album_title.clone());
    show.set_gid(episode.album_gid.to_vec());
    let mut answer = proto::Episode::new();
    answer.set_gid(episode.gid.to_vec());
    answer.set_name(episode.title.clone());
    answer.set_duration(i32::try_from(episode.duration_ms()).unwrap_or(i32::MAX));
    answer.set_explicit(episode.terms.explicit);
    answer.set_language("en".to_owned());
    answer.show = MessageField::some(show);
    answer.cover_image.mut_or_insert_default().image = covers(episode);
    answer.audio = files(episode);
    answer.restriction = restrictions(episode);
    answer
}

fn covers(track: &Track) -> Vec<proto::Image> {
    let cover = |size: proto::image::Size, edge: i32| {
        let mut image = proto::Image::new();
        image.set_file_id(cover_id(track).to_vec());
        image.set_size(size);
        image.set_width(edge);
        image.set_height(edge);
        image
    };
    vec![
        cover(proto::image::Size::SMALL, 64),
        cover(proto::image::Size::DEFAULT, 300),
        cover(proto::image::Size::LARGE, 640),
    ]
}

fn restrictions(track: &Track) -> Vec<proto::Restriction> {
    let restriction = |countries: &str| {
        let mut restriction = proto::Restriction::new();
        restriction.catalogue_str = vec!["premium".to_owned(), "free".to_owned()];
        restriction.set_countries_allowed(countries.to_owned());
        restriction
    };
    track.terms.countries.map(restriction).into_iter().collect()
}

fn files(track: &Track) -> Vec<proto::AudioFile> {
    use proto::audio_file::Format;
    let file = |form: Form| {
        let mut file = proto::AudioFile::new();
        file.set_file_id(track.id_of(form).to_vec());
        file.set_format(match form {
            Form::Vorbis(Quality::Kbps96) => Format::OGG_VORBIS_96,
            Form::Vorbis(Quality::Kbps160) => Format::OGG_VORBIS_160,
            Form::Vorbis(Quality::Kbps320) => Format::OGG_VORBIS_320,
            Form::Mp3 => Format::MP3_96,
        });
        file
    };
    track.forms().into_iter().map(file).collect()
}

/// The id of an album's cover.
pub(crate) fn cover_id(track: &Track) -> [u8; 20] {
    Sha1::new()
        .chain_update("cover")
        .chain_update(track.album_gid)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_track_is_described_with_all_its_qualities() {
        let catalogue = Catalogue::standard();
        let track = &catalogue.albums[0].tracks[0];
        let proto = track_proto(track);
        assert_eq!(proto.file.len(), 3);
        assert_eq!(proto.duration(), track.duration_ms() as i32);
        assert_eq!(proto.album.gid(), track.album_gid);
    }

    #[test]
    fn an_episode_is_described_with_its_show_and_its_one_file() {
        let catalogue = Catalogue::standard();
        let episode = &catalogue.shows[0].episodes[1];
        let proto = episode_proto(episode);
        assert_eq!(proto.show.name(), "Talk of the House");
        assert_eq!(proto.audio.len(), 1);
        assert!(episode.uri().starts_with("spotify:episode:"));
    }

    #[test]
    fn every_track_of_a_context_has_a_uid_of_its_own() {
        let catalogue = Catalogue::standard();
        let album = &catalogue.albums[0];
        let json = context_json(&album.uri(), album.tracks.iter().map(|track| &**track));
        let tracks = json["pages"][0]["tracks"].as_array().unwrap();
        assert_eq!(tracks.len(), album.tracks.len());
        let mut uids: Vec<_> = tracks
            .iter()
            .map(|track| track["uid"].to_string())
            .collect();
        uids.sort();
        uids.dedup();
        assert_eq!(uids.len(), tracks.len());
    }
}

//! The audio files: where they lie, and their encrypted bytes.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use aes::Aes128;
use bytes::Bytes;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use futures_util::stream;
use http_body_util::{StreamBody, combinators::BoxBody};
use hyper::{
    Method, Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue},
};
use librespot_protocol::storage_resolve::{
    StorageResolveResponse, storage_resolve_response::Result as Resolved,
};
use protobuf::EnumOrUnknown;

use crate::{
    http::{self, Answer, Ask},
    shared::{Shared, now_ms},
};

pub(crate) const STORAGE: &str = "/storage-resolve/files/audio/interactive/";
/// In the path of every audio file, after the name of the server.
pub(crate) const AUDIO: &str = "/audio/";

/// The same for every file of the service.
const IV: [u8; 16] = [
    0x72, 0xe0, 0x67, 0xfb, 0xdd, 0xcb, 0xcf, 0x77, 0xeb, 0xe8, 0xbc, 0x64, 0x3f, 0x63, 0x0d, 0x93,
];

/// Sent in one go; small enough that a slow line looks even.
const CHUNK: usize = 4 * 1024;

pub(crate) fn storage(shared: &Shared, ask: &Ask) -> Answer {
    let id = ask.rest(STORAGE).and_then(file_id);
    let Some(id) = id.filter(|id| shared.catalogue.file(*id).is_some()) else {
        return http::status(StatusCode::NOT_FOUND);
    };
    let authority = shared.authority();
    let life = i64::try_from(shared.options.link_life.as_secs()).unwrap_or(i64::MAX / 2);
    let until = now_ms() / 1000 + life;
    let hex = ask.rest(STORAGE).unwrap_or_default();
    // Each server writes the end of the link's life in its own way.
    let response = StorageResolveResponse {
        result: EnumOrUnknown::new(Resolved::CDN),
        cdnurl: vec![
            format!("https://{authority}/a{AUDIO}{hex}?verify={until}-siskin%3D"),
            format!("https://{authority}/b{AUDIO}{hex}?__token__=exp={until}~hmac=siskin"),
            format!("https://{authority}/c{AUDIO}{hex}?Expires={until}~FullPath~hmac=siskin"),
            format!("https://{authority}/d{AUDIO}{hex}?{until}_siskin="),
        ],
        fileid: id.to_vec(),
        ..Default::default()
    };
    http::message(&response)
}

pub(crate) async fn audio(shared: &Arc<Shared>, ask: &Ask) -> Answer {
    let id = ask.path.rsplit('/').next().and_then(file_id);
    let Some((track, form)) = id.and_then(|id| shared.catalogue.file(id)) else {
        return http::status(StatusCode::NOT_FOUND);
    };
    if ask.method != Method::GET {
        return http::status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let key = track.key();
    // The first request of a file encodes it, which takes a while.
    let Ok(file) = tokio::task::spawn_blocking(move || track.plain(form)).await else {
        return http::status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let Some((first, end)) = ask
        .header("range")
        .and_then(|range| span(range, file.len()))
    else {
        return http::status(StatusCode::RANGE_NOT_SATISFIABLE);
    };
    let mut part = file[first..end].to_vec();
    encrypt(&key, first, &mut part);
    let length = part.len();
    let mut answer = Response::new(paced(shared.clone(), part.into()));
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {first}-{}/{}", end - 1, file.len());
    let headers = answer.headers_mut();
    if let Ok(range) = HeaderValue::from_str(&range) {
        headers.insert(CONTENT_RANGE, range);
    }
    headers.insert(CONTENT_LENGTH, length.into());
    answer
}

fn file_id(hexadecimal: &str) -> Option<[u8; 20]> {
    let mut id = [0; 20];
    hex::decode_to_slice(hexadecimal, &mut id).ok()?;
    Some(id)
}

/// First byte and end of a range, cut to the file. `None` when it begins
/// after the end or is not of the form `bytes=a-b` or `bytes=a-`.
fn span(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok().filter(|first| *first < length)?;
    let end = match last {
        "" => length,
        last => last.parse::<usize>().ok()?.saturating_add(1).min(length),
    };
    (first < end).then_some((first, end))
}

fn encrypt(key: &[u8; 16], offset: usize, bytes: &mut [u8]) {
    let mut cipher = Ctr128BE::<Aes128>::new(key.into(), &IV.into());
    cipher.seek(offset as u64);
    cipher.apply_keystream(bytes);
}

/// The body at the speed of the line.
fn paced(shared: Arc<Shared>, body: Bytes) -> http::Body {
    let frames = stream::unfold((shared, body), |(shared, mut left)| async move {
        if left.is_empty() {
            return None;
        }
        let chunk = left.split_to(left.len().min(CHUNK));
        shared.pace.send(chunk.len()).await;
        shared.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Some((Ok::<_, io::Error>(Frame::data(chunk)), (shared, left)))
    });
    BoxBody::new(StreamBody::new(Box::pin(frames)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_past_the_end_is_cut_and_one_beyond_it_refused() {
        assert_eq!(span("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(span("bytes=90-200", 100), Some((90, 100)));
        assert_eq!(span("bytes=90-", 100), Some((90, 100)));
        assert_eq!(span("bytes=100-200", 100), None);
        assert_eq!(span("bytes=9-3", 100), None);
        assert_eq!(span("lines=0-9", 100), None);
    }

    #[test]
    fn a_part_encrypted_alone_equals_the_part_of_the_whole() {
        let mut whole: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut part = whole[333..777].to_vec();
        encrypt(&[3; 16], 0, &mut whole);
        encrypt(&[3; 16], 333, &mut part);
        assert_eq!(part, whole[333..777]);
    }
}

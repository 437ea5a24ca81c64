//! The line to Spotify's audio servers.

use std::ops::Range;

use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE,
    },
    http::uri::Scheme,
};
use librespot_core::{FileId, cdn_url::MaybeExpiringUrls, date::Date};
use librespot_protocol::storage_resolve::{
    StorageResolveResponse, storage_resolve_response::Result as Resolved,
};
use protobuf::Message;

use super::{super::current::Current, question};
use crate::{
    fetch::{Body, Line, LineError, Reply, UrlsError},
    librespot::service::{self, Trouble, retry_after},
};

/// So often a request may be sent on to another place.
const REDIRECTS: usize = 3;

/// Where one file lies, asked of storage-resolve, and its parts.
pub struct Cdn {
    current: Current,
    file: FileId,
}

impl Cdn {
    pub fn new(current: Current, file: FileId) -> Self {
        Self { current, file }
    }
}

impl Line for Cdn {
    type Body = CdnBody;

    async fn urls(&self) -> Result<Vec<String>, UrlsError> {
        let endpoint = format!("/storage-resolve/files/audio/interactive/{}", self.file);
        let session = self.current.last();
        let question = question(&session, Method::GET, &endpoint, Vec::new());
        let answer = service::ask(&session, &question).await;
        let answer = answer.map_err(|error| match error {
            Trouble::Status {
                status: status @ (404 | 410),
                ..
            } => UrlsError::Gone(format!("Spotify does not know the file (status {status})")),
            error => UrlsError::Trouble {
                why: error.to_string(),
                retry_after: error.pause(),
            },
        })?;
        let list = StorageResolveResponse::parse_from_bytes(&answer)
            .map_err(|_| trouble("the list of audio servers makes no sense".to_owned()))?;
        match list.result.enum_value() {
            Ok(Resolved::CDN) => Ok(usable(list)),
            Ok(Resolved::RESTRICTED) => Err(UrlsError::Gone("the file is restricted".to_owned())),
            _ => Err(UrlsError::Gone("the file is on no audio server".to_owned())),
        }
    }

    async fn get(&self, url: &str, range: Range<u64>) -> Result<Reply<CdnBody>, LineError> {
        let mut answer = self.ask(url, &range).await?;
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let Some(elsewhere) = elsewhere(answer.status(), answer.headers(), &url) else {
                break;
            };
            answer = self.ask(&elsewhere, &range).await?;
            url = elsewhere;
        }
        if answer.headers().contains_key(CONTENT_ENCODING) {
            // Nobody asked for it, and what is packed cannot be cut into parts.
            return Err(LineError("an audio server packs what it sends".to_owned()));
        }
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        Ok(Reply {
            status: answer.status().as_u16(),
            content_range: header(CONTENT_RANGE),
            content_length: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            content_type: header(CONTENT_TYPE),
            retry_after: retry_after(answer.headers()),
            body: CdnBody(answer.into_body()),
        })
    }
}

impl Cdn {
    async fn ask(&self, url: &str, range: &Range<u64>) -> Result<Response<Incoming>, LineError> {
        let last = range.end.saturating_sub(1);
        let request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .header(RANGE, format!("bytes={}-{last}", range.start))
            .body(Bytes::new())
            .map_err(|_| LineError("the address of an audio server makes no sense".to_owned()))?;
        let session = self.current.last();
        let answering = session.http_client().request_fut(request);
        let answering = answering.map_err(|error| LineError(error.to_string()))?;
        answering.await.map_err(|error| LineError(chain(&error)))
    }
}

/// Where an answer leads that says "elsewhere"; never out of the encryption.
fn elsewhere(status: StatusCode, headers: &HeaderMap, from: &str) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let place = headers.get(LOCATION)?.to_str().ok()?;
    let from: Uri = from.parse().ok()?;
    if place.starts_with('/') && !place.starts_with("//") {
        return Some(format!("{}://{}{place}", from.scheme()?, from.authority()?));
    }
    let to: Uri = place.parse().ok()?;
    let safe = to.scheme() == Some(&Scheme::HTTPS) || to.scheme() == from.scheme();
    (safe && to.authority().is_some()).then(|| place.to_owned())
}

fn trouble(why: String) -> UrlsError {
    UrlsError::Trouble {
        why,
        retry_after: None,
    }
}

/// The error and what caused it: alone, "client error (Connect)" helps nobody.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The links that will live on for a while. All of them when none will: this machine's clock may be
/// wrong, and the server will tell.
fn usable(list: StorageResolveResponse) -> Vec<String> {
    let all = list.cdnurl.clone();
    let Ok(MaybeExpiringUrls(urls)) = MaybeExpiringUrls::try_from(list) else {
        return all;
    };
    let now = Date::now_utc();
    let alive: Vec<String> = urls
        .into_iter()
        .filter(|url| url.1.is_none_or(|until| now < until))
        .map(|url| url.0)
        .collect();
    if alive.is_empty() { all } else { alive }
}

/// For the fuzz targets: a list of places, and each of them as one to be sent on to.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_places(answer: &[u8]) {
    let Ok(list) = StorageResolveResponse::parse_from_bytes(answer) else {
        return;
    };
    for place in usable(list) {
        let mut headers = HeaderMap::new();
        if let Ok(place) = place.parse() {
            headers.insert(LOCATION, place);
        }
        let from = "https://audio.example/file";
        let to = elsewhere(StatusCode::FOUND, &headers, from);
        assert!(to.is_none_or(|to| to.to_ascii_lowercase().starts_with("https:")));
    }
}

pub struct CdnBody(Incoming);

impl Body for CdnBody {
    type Chunk = Bytes;

    async fn chunk(&mut self) -> Option<Result<Bytes, LineError>> {
        loop {
            match self.0.frame().await? {
                Err(error) => return Some(Err(LineError(chain(&error)))),
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn an_address_leads_on_and_never_out_of_the_encryption() {
        let from = "https://a.example/audio/1?token=2";
        let leads = |status: u16, place: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(place));
            elsewhere(StatusCode::from_u16(status).unwrap(), &headers, from)
        };
        for (status, place, to) in [
            (302, "https://b.example/x?y", Some("https://b.example/x?y")),
            (308, "/x?y", Some("https://a.example/x?y")),
            (302, "http://b.example/x", None),
            (302, "//b.example/x", None),
            (302, "x y", None),
            (302, "", None),
            (200, "https://b.example/x", None),
            (304, "https://b.example/x", None),
        ] {
            assert_eq!(leads(status, place).as_deref(), to, "{status} {place}");
        }
        assert_eq!(elsewhere(StatusCode::FOUND, &HeaderMap::new(), from), None);
    }
}

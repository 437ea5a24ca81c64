//! What somebody wants to see: covers and names, fetched beside the music, which never waits for
//! it.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Method, Request, body::Bytes, header::ACCEPT};
use librespot_core::Session;
use tokio::{task::JoinSet, time::timeout};

use super::{tracks, wire::Reporter};
use crate::{
    engine::messages::Event,
    model::{Known, MAX_NAMES, MAX_PICTURE, Picture, Query},
};

/// For one answer, all in all.
const LIMIT: Duration = Duration::from_secs(3);
/// For one name of a list. What is not told by then is left out, so that the others are.
const NAME_LIMIT: Duration = Duration::from_millis(2_500);
/// Questions at once. Faces ask one at a time; the daemon joins those that ask for the same.
const AT_ONCE: usize = 8;
/// Names of one list that are asked for at once.
const NAMES_AT_ONCE: usize = 4;

/// The questions under way. Dropped, it leaves them.
#[derive(Default)]
pub(super) struct Queries(JoinSet<()>);

impl Queries {
    /// Begins with a question; the answer goes to `reporter`.
    pub(super) fn take(&mut self, id: u64, query: Query, session: Session, reporter: Reporter) {
        while self.0.try_join_next().is_some() {}
        if self.0.len() >= AT_ONCE {
            let result = Err("too much is asked at once".to_owned());
            return reporter.report(&Event::Told { id, result });
        }
        self.0.spawn(async move {
            let found = timeout(LIMIT, find(&session, query)).await;
            drop(session);
            let late = || {
                Err(format!(
                    "no answer from Spotify within {} s",
                    LIMIT.as_secs()
                ))
            };
            let result = found.unwrap_or_else(|_| late());
            // A picture fills the pipe several times: the daemon's pace is not to be the player's.
            let told = move || reporter.report(&Event::Told { id, result });
            let _ = tokio::task::spawn_blocking(told).await;
        });
    }
}

async fn find(session: &Session, query: Query) -> Result<Known, String> {
    match query {
        Query::Picture { address } => picture(session, &address).await,
        Query::Tracks { uris } => Ok(names(session, uris).await),
    }
}

/// Nothing of the account goes with the question.
async fn picture(session: &Session, address: &str) -> Result<Known, String> {
    if !address.starts_with("https://") {
        return Err("its address is not one of HTTPS".to_owned());
    }
    let request = Request::builder()
        .method(Method::GET)
        .uri(address)
        .header(ACCEPT, "image/*")
        .body(Bytes::new())
        .map_err(|_| "its address makes no sense".to_owned())?;
    let answering = session.http_client().request_fut(request);
    let answer = answering.map_err(|error| error.to_string())?;
    let answer = answer.await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        let status = answer.status().as_u16();
        return Err(format!("its server answered with status {status}"));
    }
    let body = Limited::new(answer.into_body(), MAX_PICTURE)
        .collect()
        .await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => "it is larger than 512 kB".to_owned(),
        false => "it broke off".to_owned(),
    })?;
    let picture = Picture::read(body.to_bytes().into());
    let picture = picture.ok_or("what its server sent is no picture")?;
    Ok(Known::Picture(picture))
}

async fn names(session: &Session, mut uris: Vec<String>) -> Known {
    uris.truncate(MAX_NAMES);
    let name = async |uri: String| {
        let told = timeout(NAME_LIMIT, tracks::look(session, &uri)).await;
        told.ok()?.ok()
    };
    let tracks = stream::iter(uris).map(name).buffered(NAMES_AT_ONCE);
    Known::Tracks {
        tracks: tracks.collect().await,
    }
}

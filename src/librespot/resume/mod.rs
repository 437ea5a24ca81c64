//! Where a listener left an episode: asked of Spotify before it begins, told to Spotify as it plays.
//!
//! An app that plays an episode names no place in it; the device is expected to know. Spotify keeps
//! the places, for all devices of the account (endpoints and messages as in go-librespot's
//! resumption.proto). Nothing of it is kept here. Who cannot ask begins at the beginning; who cannot
//! tell tries twice and lets it be: music never waits for it.

mod bookmarks;

use std::time::Duration;

use hyper::Method;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::timeout,
};
use tracing::debug;

use super::{
    current::Current,
    fields::{Fields, message},
    service::{self, PROTOBUF, Patience, Question, Trouble},
};
use crate::model::unix_ms;
pub use bookmarks::{Bookmark, Bookmarks, Left};

const CURRENT: &str = "/herodotus/spotify.resumption.v1.CurrentStateService/ListCurrentStates";
const CREATE: &str =
    "/herodotus/spotify.resumption.v1.ResumePointRevisionService/CreateResumePointRevision";

/// The episode is opened meanwhile, which takes about as long.
const ASK_LIMIT: Duration = Duration::from_millis(1_500);
const TELL: Patience = Patience {
    pauses: &[Duration::from_secs(2)],
    limit: Duration::from_secs(10),
};
/// Bookmarks that may wait for the service; newer ones are dropped then.
const WAITING: usize = 8;

/// Where the account left this episode, in ms; `None` for "at the beginning", and for no answer.
pub async fn place(current: &Current, uri: &str) -> Option<u32> {
    let body = message(|fields| {
        // page_size, filter: an expression over each state.
        fields.add_varint(2, 1);
        fields.add_length_delimited(4, format!("cs.uri == \"{uri}\"").into_bytes());
    });
    let mut question = Question::new(Method::POST, CURRENT.into(), body, PROTOBUF);
    question.limit = ASK_LIMIT;
    let answer = service::ask(&current.last(), &question).await;
    match answer {
        Ok(answer) => left_at(&answer, uri),
        Err(trouble) => {
            debug!("where the listener left {uri} is not known: {trouble}");
            None
        }
    }
}

/// The place in the answer. There may be several words about one episode; the newest counts.
pub(crate) fn left_at(answer: &[u8], uri: &str) -> Option<u32> {
    let answer = Fields::read(answer).ok()?;
    let state = answer.messages(1).find(|state| state.text(1) == uri)?;
    let newest = state.messages(2).max_by_key(|revision| {
        let updated = revision.message(4);
        updated.map_or((0, 0), |at| (at.number(1), at.number(2)))
    })?;
    let point = newest.message(2)?;
    // `position`, or `relative_position.start_offset`; the others say begun, over and the like.
    let offset = || point.message(10)?.message(1);
    let at = point.message(2).or_else(offset)?;
    let ms = at.number(1).saturating_mul(1_000) + at.number(2) / 1_000_000;
    u32::try_from(ms).ok().filter(|ms| *ms > 0)
}

/// Tells Spotify, one bookmark after the other, beside everything else.
pub struct Teller {
    to: Sender<Bookmark>,
    task: JoinHandle<()>,
}

impl Teller {
    pub fn start(current: Current) -> Self {
        let (to, from) = channel(WAITING);
        Self {
            to,
            task: tokio::spawn(tell_all(current, from)),
        }
    }

    pub fn tell(&self, bookmark: Bookmark) {
        if self.to.try_send(bookmark).is_err() {
            debug!("a bookmark is dropped: those before it are not told yet");
        }
    }

    /// Tells what still waits, if that is possible within `limit`.
    pub async fn finish(self, limit: Duration) {
        drop(self.to);
        let ending = self.task.abort_handle();
        if timeout(limit, self.task).await.is_err() {
            ending.abort();
        }
    }
}

async fn tell_all(current: Current, mut from: Receiver<Bookmark>) {
    while let Some(bookmark) = from.recv().await {
        if let Err(trouble) = tell(&current, &bookmark).await {
            debug!(
                "Spotify was not told where {} was left: {trouble}",
                bookmark.uri
            );
        }
    }
}

async fn tell(current: &Current, bookmark: &Bookmark) -> Result<(), Trouble> {
    let question = Question::new(Method::POST, CREATE.into(), revision(bookmark), PROTOBUF);
    service::persist(&current.last(), &question, TELL).await?;
    Ok(())
}

/// `CreateResumePointRevisionRequest`; who it is from goes without saying.
fn revision(bookmark: &Bookmark) -> Vec<u8> {
    let seconds = |seconds: u64| message(|fields| fields.add_varint(1, seconds));
    let point = message(|fields| match bookmark.left {
        // In whole seconds, as Spotify's own apps tell it.
        Left::At { ms } => fields.add_length_delimited(2, seconds(u64::from(ms / 1_000))),
        Left::Finished => fields.add_length_delimited(4, Vec::new()),
    });
    let now = u64::try_from(unix_ms() / 1_000).unwrap_or(0);
    let revision = message(|fields| {
        fields.add_length_delimited(2, point);
        fields.add_length_delimited(3, seconds(now));
    });
    message(|fields| {
        fields.add_length_delimited(2, bookmark.uri.clone().into_bytes());
        fields.add_length_delimited(4, revision);
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URI: &str = "spotify:episode:7N42dgm5tFLK9N8MT7fHC7";

    fn answer(points: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let state = message(|fields| {
            fields.add_length_delimited(1, URI.into());
            for (updated, point) in points {
                fields.add_length_delimited(
                    2,
                    message(|fields| {
                        fields.add_length_delimited(2, point.clone());
                        let at = message(|fields| fields.add_varint(1, *updated));
                        fields.add_length_delimited(4, at);
                    }),
                );
            }
        });
        message(|fields| fields.add_length_delimited(1, state))
    }

    fn position(seconds: u64) -> Vec<u8> {
        let at = message(|fields| fields.add_varint(1, seconds));
        message(|fields| fields.add_length_delimited(2, at))
    }

    fn finished() -> Vec<u8> {
        message(|fields| fields.add_length_delimited(4, Vec::new()))
    }

    #[test]
    fn the_newest_word_about_an_episode_counts() {
        let both = [(10, position(90)), (20, position(42))];
        assert_eq!(left_at(&answer(&both), URI), Some(42_000));
        let over = [(10, position(90)), (20, finished())];
        assert_eq!(left_at(&answer(&over), URI), None);
        assert_eq!(left_at(&answer(&both), "spotify:episode:other"), None);
        assert_eq!(left_at(&answer(&[]), URI), None);
    }

    #[test]
    fn a_relative_place_is_one_too() {
        let at = message(|fields| fields.add_varint(1, 7));
        let relative = message(|fields| fields.add_length_delimited(1, at));
        let point = message(|fields| fields.add_length_delimited(10, relative));
        assert_eq!(left_at(&answer(&[(1, point)]), URI), Some(7_000));
    }

    #[test]
    fn what_is_told_is_what_can_be_read() {
        let told = revision(&Bookmark {
            uri: URI.into(),
            left: Left::At { ms: 61_900 },
        });
        let told = Fields::read(&told).unwrap();
        assert_eq!(told.text(2), URI);
        let point = told.message(4).unwrap().message(2).unwrap();
        assert_eq!(point.message(2).unwrap().number(1), 61);
    }

    proptest! {
        #[test]
        fn an_answer_of_any_bytes_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = left_at(&bytes, URI);
        }
    }
}

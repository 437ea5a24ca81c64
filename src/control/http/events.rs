//! What happens, as it happens: server-sent events.
//!
//! A reader gets the whole state first (`event: snapshot`, a [`House`]), then what changed: a speaker
//! (`event: speaker`, a [`crate::model::SpeakerState`]) or the daemon itself (`event: house`, its
//! conditions). State is the truth: a reader that is slow skips what is not true any more, and
//! nothing is kept for it but the last state it read. `id` names the state; sent back as
//! `Last-Event-ID`, it saves the snapshot where nothing has changed since. The header
//! `Siskin-Now-Ms` tells the daemon's clock: times in the state are by that one, and a reader's own
//! may go wrong by minutes.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Extension, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::answer::Failed;
use crate::{
    bus::Bus,
    model::{Conditions, House, unix_ms},
};

/// What time it is here, in Unix ms.
const NOW: HeaderName = HeaderName::from_static("siskin-now-ms");

/// Readers at once, at one door.
const READERS: usize = 64;
/// So often a reader hears something, so that both sides notice when the other is gone.
const STILL_HERE: Duration = Duration::from_secs(15);
/// How long a reader is to wait before it connects again, in ms.
const AGAIN_MS: u32 = 2_000;

/// What the readers at one door share: their places, and the news that were told last.
#[derive(Debug, Clone)]
pub struct Seats {
    free: Arc<Semaphore>,
    last: Arc<Mutex<Told>>,
}

/// What one state has that another has not, in the words of events. Put into words once for all
/// readers who are as far as each other, which is most of them at most times.
#[derive(Debug, Default)]
struct Told {
    /// Versions. The first one there is has no news, so this begins with nothing told.
    from: u64,
    to: u64,
    text: Bytes,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(READERS)),
            last: Arc::default(),
        }
    }
}

impl Seats {
    /// What a reader who knows the one state is told of the other.
    fn news(&self, bus: &Bus, known: &House, new: &House) -> Bytes {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if (last.from, last.to) != (known.version, new.version) {
            *last = Told {
                from: known.version,
                to: new.version,
                text: news(known, new, &name(bus, new)).into(),
            };
        }
        last.text.clone()
    }
}

/// Set on a connection that is being read for as long as its reader likes.
#[derive(Debug, Clone, Default)]
pub struct Lasting(Arc<AtomicBool>);

impl Lasting {
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Serialize)]
struct OfHouse<'a> {
    conditions: &'a Conditions,
}

/// One reader.
struct Reader {
    bus: Bus,
    seats: Seats,
    /// The state that was sent last.
    known: Arc<House>,
    /// What is to be sent before anything is waited for.
    first: Option<String>,
    _seat: OwnedSemaphorePermit,
}

pub async fn events(
    State(mut bus): State<Bus>,
    Extension(seats): Extension<Seats>,
    lasting: Extension<Lasting>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let seat = seats.free.clone().try_acquire_owned().map_err(|_| {
        Failed::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_readers",
            format!("{READERS} others read the events already"),
            "end one of them, or ask for the status now and then",
        )
    })?;
    lasting.0.0.store(true, Ordering::Relaxed);
    let now = bus.seen();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let mut first = format!("retry: {AGAIN_MS}\n\n");
    if last != Some(&name(&bus, &now)) {
        first += &event("snapshot", &name(&bus, &now), &*now);
    }
    let reader = Reader {
        bus,
        seats,
        known: now,
        first: Some(first),
        _seat: seat,
    };
    let body = stream::unfold(reader, async |mut reader| {
        let text = reader.next().await?;
        Some((Ok::<_, Infallible>(text), reader))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (NOW, unix_ms().to_string()),
    ];
    Ok((head, Body::from_stream(Box::pin(body))).into_response())
}

impl Reader {
    /// Called only when there is room for more: what is slow on the other side costs nothing here.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first.into());
        }
        match timeout(STILL_HERE, self.bus.changed()).await {
            Ok(Some(new)) => {
                let text = self.seats.news(&self.bus, &self.known, &new);
                self.known = new;
                Some(text)
            }
            // The daemon stops.
            Ok(None) => None,
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
        }
    }
}

/// The name of a state: of this daemon's life, and in it.
fn name(bus: &Bus, house: &House) -> String {
    format!("{}-{}", bus.born_ms(), house.version)
}

/// What `new` has that `known` has not.
fn news(known: &House, new: &House, id: &str) -> String {
    let same = known.speakers.len() == new.speakers.len()
        && known
            .speakers
            .iter()
            .zip(&new.speakers)
            .all(|(a, b)| a.id == b.id);
    if !same {
        return event("snapshot", id, new);
    }
    let mut text = String::new();
    for (old, new) in known.speakers.iter().zip(&new.speakers) {
        if old != new {
            text += &event("speaker", id, new);
        }
    }
    if known.conditions != new.conditions {
        let conditions = &new.conditions;
        text += &event("house", id, &OfHouse { conditions });
    }
    text
}

fn event(kind: &str, id: &str, data: &impl Serialize) -> String {
    // JSON on one line: nothing in a title can end the event.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {kind}\nid: {id}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Phase, SpeakerState};

    fn house(phase: Phase) -> House {
        let of = |id: &str, phase| SpeakerState {
            id: id.into(),
            name: "a\nb".into(),
            phase,
            ..SpeakerState::default()
        };
        House {
            speakers: vec![of("x", Phase::Nobody), of("y", phase)],
            ..House::default()
        }
    }

    #[test]
    fn readers_who_are_as_far_are_told_the_same_and_others_what_they_lack() {
        let (bus, _desk) = crate::bus::open();
        let seats = Seats::default();
        let at = |version, phase| House {
            version,
            ..house(phase)
        };
        let (first, second) = (at(1, Phase::Nobody), at(2, Phase::SigningIn));
        let third = at(3, Phase::Online);
        let told = seats.news(&bus, &second, &third);
        let again = seats.news(&bus, &second, &third);
        assert_eq!(told.as_ptr(), again.as_ptr(), "put into words once");
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(text(&told).contains(r#""phase":"online""#), "{told:?}");
        let other = seats.news(&bus, &first, &second);
        assert!(
            text(&other).contains(r#""phase":"signing_in""#),
            "{other:?}"
        );
        // What is no news to one who knew it already is to nobody else.
        assert_eq!(seats.news(&bus, &third, &at(4, Phase::Online)), "");
        assert_eq!(seats.news(&bus, &second, &third), told);
    }

    #[test]
    fn only_what_changed_is_told_and_all_of_it_when_speakers_come_or_go() {
        let (before, after) = (house(Phase::Nobody), house(Phase::Online));
        let text = news(&before, &after, "1-2");
        assert!(
            text.starts_with("event: speaker\nid: 1-2\ndata: {\"id\":\"y\""),
            "{text}"
        );
        assert_eq!(text.matches("event:").count(), 1);
        assert_eq!(
            text.lines().count(),
            4,
            "a name cannot begin a line: {text}"
        );
        assert_eq!(news(&after, &after, "1-2"), "");
        let fewer = House::default();
        assert!(news(&after, &fewer, "1-3").starts_with("event: snapshot\n"));
    }
}

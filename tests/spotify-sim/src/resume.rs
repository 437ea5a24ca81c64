//! Where listeners left their episodes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use hyper::StatusCode;
use protobuf::{Message, UnknownFields, UnknownValueRef, well_known_types::empty::Empty};

use crate::{
    http::{self, Answer, Ask},
    shared::Shared,
};

pub(crate) const SERVICE: &str = "/herodotus/spotify.resumption.v1.";

/// The last word about an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAt {
    Second(u64),
    Finished,
}

/// By user and episode.
#[derive(Debug, Default)]
pub(crate) struct Bookmarks(Mutex<HashMap<(String, String), LeftAt>>);

impl Bookmarks {
    pub fn set(&self, user: &str, uri: &str, left: LeftAt) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((user.to_owned(), uri.to_owned()), left);
    }

    pub fn get(&self, user: &str, uri: &str) -> Option<LeftAt> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(user.to_owned(), uri.to_owned())).copied()
    }
}

pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Answer {
    let Some(user) = &ask.user else {
        return http::status(StatusCode::UNAUTHORIZED);
    };
    let Some(asked) = fields(&ask.body) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    match ask.rest(SERVICE) {
        Some("CurrentStateService/ListCurrentStates") => {
            let filter = text(&asked, 4);
            let uri = filter.split('"').nth(1).unwrap_or_default();
            http::ok(states(uri, shared.bookmarks.get(user, uri)))
        }
        Some("ResumePointRevisionService/CreateResumePointRevision") => {
            match left(&asked) {
                Some(left) => shared.bookmarks.set(user, &text(&asked, 2), left),
                None => return http::status(StatusCode::BAD_REQUEST),
            }
            http::ok(Vec::new())
        }
        _ => http::status(StatusCode::NOT_FOUND),
    }
}

/// An old word is always there beside the newest, as the service keeps one of each kind.
fn states(uri: &str, left: Option<LeftAt>) -> Vec<u8> {
    let Some(left) = left else { return Vec::new() };
    let newest = match left {
        LeftAt::Second(second) => message(|it| {
            it.add_length_delimited(2, message(|it| it.add_varint(1, second)));
        }),
        LeftAt::Finished => message(|it| it.add_length_delimited(4, Vec::new())),
    };
    let begun = message(|it| it.add_length_delimited(3, Vec::new()));
    let state = message(|it| {
        it.add_length_delimited(1, uri.into());
        for (updated, point) in [(2_000, newest), (1_000, begun)] {
            let revision = message(|it| {
                it.add_length_delimited(2, point);
                it.add_length_delimited(4, message(|it| it.add_varint(1, updated)));
            });
            it.add_length_delimited(2, revision);
        }
    });
    message(|it| it.add_length_delimited(1, state))
}

fn left(asked: &Empty) -> Option<LeftAt> {
    let point = inner(&inner(asked, 4)?, 2)?;
    if inner(&point, 4).is_some() {
        return Some(LeftAt::Finished);
    }
    let position = inner(&point, 2)?;
    match position.special_fields.unknown_fields().get(1) {
        Some(UnknownValueRef::Varint(second)) => Some(LeftAt::Second(second)),
        _ => Some(LeftAt::Second(0)),
    }
}

fn fields(bytes: &[u8]) -> Option<Empty> {
    Empty::parse_from_bytes(bytes).ok()
}

fn inner(message: &Empty, number: u32) -> Option<Empty> {
    fields(bytes(message, number)?)
}

fn text(message: &Empty, number: u32) -> String {
    let bytes = bytes(message, number).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn bytes(message: &Empty, number: u32) -> Option<&[u8]> {
    match message.special_fields.unknown_fields().get(number) {
        Some(UnknownValueRef::LengthDelimited(bytes)) => Some(bytes),
        _ => None,
    }
}

fn message(fill: impl FnOnce(&mut UnknownFields)) -> Vec<u8> {
    let mut message = Empty::new();
    fill(message.special_fields.mut_unknown_fields());
    message.write_to_bytes().unwrap_or_default()
}

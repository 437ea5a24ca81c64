//! What Spotify's service answers: protobuf, headers and addresses.

use std::ops::Range;

use super::chosen;
use crate::{
    fetch,
    librespot::{
        connect::contexts,
        fields::{Fields, message},
        pair, resume, tracks,
    },
};

const URI: &str = "spotify:episode:7N42dgm5tFLK9N8MT7fHC7";

pub(super) fn service(bytes: &[u8]) {
    match chosen(bytes, 8) {
        Some((0, answer)) => fields(answer),
        Some((1, answer)) => {
            let place = resume::left_at(answer, URI);
            assert_ne!(place, Some(0), "the beginning is no place");
        }
        Some((2, answer)) => tracks::read_facts(answer, URI, true),
        Some((3, answer)) => tracks::read_facts(answer, URI, false),
        Some((4, answer)) => tracks::read_places(answer),
        Some((5, answer)) => {
            if let Ok(answer) = contexts::parse(answer) {
                answer.into_pages();
            }
        }
        Some((6, header)) => promise(&String::from_utf8_lossy(header)),
        Some((_, address)) => pair::read_address(&String::from_utf8_lossy(address)),
        None => {}
    }
}

/// A message by its numbers, and one more level of it; written again, it holds the same.
fn fields(answer: &[u8]) {
    let Ok(read) = Fields::read(answer) else {
        return;
    };
    for number in 1..16 {
        let inner: Vec<Fields> = read.messages(number).collect();
        assert_eq!(inner.is_empty(), read.message(number).is_none());
        for field in inner {
            field.number(number);
        }
        let text = read.text(number).to_owned();
        let copy = message(|fields| {
            fields.add_varint(1, read.number(number));
            fields.add_length_delimited(2, text.clone().into_bytes());
        });
        let copy = Fields::read(&copy).expect("our own");
        assert_eq!(
            (copy.number(1), copy.text(2)),
            (read.number(number), &*text)
        );
    }
}

/// A header that tells which part of a file comes: what is promised lies within what was asked for
/// and within the file.
fn promise(header: &str) {
    let mut lines = header.lines();
    let mut number = || lines.next().and_then(|line| line.parse().ok());
    let (status, start, length) = (number(), number(), number());
    let start = u64::from(start.unwrap_or(0u16));
    let asked = start..start + 4_096;
    let known = length.map(u64::from);
    let range = lines.next().unwrap_or_default();
    let promised = fetch::promised(status.unwrap_or(206), range, &asked, known);
    if let Some(Range { start, end }) = promised {
        assert!(start == asked.start && end <= asked.end && start < end);
    }
}

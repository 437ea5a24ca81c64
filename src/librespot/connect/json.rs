//! Commands and contexts as plain JSON: what is missing has a default, what is unknown is passed
//! over.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::{Value, json};

use crate::{
    connect::{Command, Entry, Listing, Options, Origin, Page, Play, Provided, SkipTo, Uid, Uri},
    model::{Forbidden, Restriction, SleepTimer},
};

use super::translate;

/// A command that librespot-core could not parse.
pub fn command(raw: &Value) -> Command {
    let endpoint = text(raw, "endpoint");
    let malformed = |what: &str| Command::Malformed(format!("{endpoint} without {what}"));
    match endpoint.as_str() {
        "play" => play(raw),
        "transfer" => transfer(raw),
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "skip_prev" => Command::SkipPrev,
        "skip_next" => Command::SkipNext {
            track: raw.get("track").and_then(entry),
        },
        "seek_to" => match seek(raw) {
            Some(command) => command,
            None => malformed("a position"),
        },
        "set_shuffling_context" => match flag(raw, "value") {
            Some(on) => Command::Shuffle(on),
            None => malformed("a value"),
        },
        "set_repeating_context" => match flag(raw, "value") {
            Some(on) => Command::RepeatContext(on),
            None => malformed("a value"),
        },
        "set_repeating_track" => match flag(raw, "value") {
            Some(on) => Command::RepeatTrack(on),
            None => malformed("a value"),
        },
        "set_options" => Command::Options(options(raw)),
        "add_to_queue" => match raw.get("track").and_then(entry) {
            Some(entry) => Command::AddToQueue(entry),
            None => malformed("a track"),
        },
        "set_queue" => match raw.get("next_tracks").and_then(Value::as_array) {
            Some(tracks) => Command::SetQueue {
                next: tracks.iter().map(provided).collect(),
            },
            None => malformed("tracks"),
        },
        "update_context" => match raw.get("context") {
            Some(context) => Command::UpdateContext(listing(context)),
            None => malformed("a context"),
        },
        "set_sleep_timer" => match raw.get("timer_type").and_then(sleep_timer) {
            Some(timer) => Command::Sleep(timer),
            None => malformed("a time"),
        },
        _ => Command::Unknown(endpoint.chars().take(64).collect()),
    }
}

/// A `position` may be one from where the listener is *(go-librespot, daemon/player.go)*.
fn seek(raw: &Value) -> Option<Command> {
    if text(raw, "relative") == "current" {
        let ms = raw.get("position")?.as_i64()?;
        return Some(Command::SeekBy { ms });
    }
    let position_ms = number(raw, "value").or_else(|| number(raw, "position"))?;
    Some(Command::SeekTo { position_ms })
}

fn play(raw: &Value) -> Command {
    let Some(context) = raw.get("context") else {
        return Command::Malformed("play without a context".into());
    };
    let said = raw.get("options").unwrap_or(&Value::Null);
    let skip_to = said.get("skip_to").unwrap_or(&Value::Null);
    let overrides = said.get("player_options_override");
    Command::Play(Box::new(Play {
        context: listing(context),
        origin: raw.get("play_origin").map(origin).unwrap_or_default(),
        skip_to: SkipTo {
            uid: some_text(skip_to, "track_uid").map(|uid| Uid::new(&uid)),
            uri: some_text(skip_to, "track_uri").map(|uri| translate::track_uri(&uri)),
            index: number(skip_to, "track_index"),
        },
        seek_to: number(said, "seek_to"),
        paused: flag(said, "initially_paused").unwrap_or(false),
        options: overrides.map(options).unwrap_or_default(),
    }))
}

fn transfer(raw: &Value) -> Command {
    let Some(data) = some_text(raw, "data") else {
        return Command::Transfer(None);
    };
    match translate::transfer_from_base64(&data) {
        Ok(mut transfer) => {
            let word = raw.pointer("/options/restore_paused");
            translate::restore_paused(&mut transfer, word.and_then(Value::as_str));
            Command::Transfer(Some(Box::new(transfer)))
        }
        Err(why) => Command::Malformed(why),
    }
}

/// As the phone apps send it since 2025 *(go-librespot, issue 366)*.
fn sleep_timer(raw: &Value) -> Option<SleepTimer> {
    match text(raw, "type").as_str() {
        "duration" => number(raw, "duration_s").map(|seconds| SleepTimer::In {
            ms: u64::from(seconds) * 1_000,
        }),
        "end_of_track" => Some(SleepTimer::EndOfTrack),
        "clear" => Some(SleepTimer::Off),
        _ => None,
    }
}

fn options(raw: &Value) -> Options {
    Options {
        shuffle: flag(raw, "shuffling_context"),
        repeat_context: flag(raw, "repeating_context"),
        repeat_track: flag(raw, "repeating_track"),
    }
}

fn origin(raw: &Value) -> Origin {
    let classes = raw.get("feature_classes").and_then(Value::as_array);
    Origin {
        feature_identifier: text(raw, "feature_identifier"),
        feature_version: text(raw, "feature_version"),
        view_uri: text(raw, "view_uri"),
        external_referrer: text(raw, "external_referrer"),
        referrer_identifier: text(raw, "referrer_identifier"),
        device_identifier: text(raw, "device_identifier"),
        feature_classes: classes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

/// A context, as commands and the resolver write it.
pub fn listing(raw: &Value) -> Listing {
    let metadata = raw.get("metadata").and_then(Value::as_object);
    let metadata = metadata
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Listing {
        uri: text(raw, "uri"),
        url: text(raw, "url"),
        metadata: metadata.collect(),
        restrictions: raw
            .get("restrictions")
            .map(restrictions)
            .unwrap_or_default(),
        pages: pages(raw),
    }
}

/// How the service says what may not be done, and what that is here. Everything it says besides
/// is about words that this house does not have.
pub(super) const RESTRICTIONS: [(&str, Forbidden); 9] = [
    ("disallow_pausing_reasons", Forbidden::Pause),
    ("disallow_resuming_reasons", Forbidden::Resume),
    ("disallow_seeking_reasons", Forbidden::Seek),
    ("disallow_skipping_next_reasons", Forbidden::Next),
    ("disallow_skipping_prev_reasons", Forbidden::Previous),
    ("disallow_toggling_shuffle_reasons", Forbidden::Shuffle),
    (
        "disallow_toggling_repeat_context_reasons",
        Forbidden::RepeatContext,
    ),
    (
        "disallow_toggling_repeat_track_reasons",
        Forbidden::RepeatTrack,
    ),
    ("disallow_add_to_queue_reasons", Forbidden::Queue),
];

fn restrictions(raw: &Value) -> Vec<Restriction> {
    let found = RESTRICTIONS.iter().filter_map(|(key, what)| {
        let why = raw.get(key)?.as_array()?.first()?.as_str()?;
        Some(restriction(*what, why))
    });
    found.collect()
}

/// In Spotify's words, as far as they are short.
pub(super) fn restriction(what: Forbidden, why: &str) -> Restriction {
    Restriction {
        what,
        why: why.chars().take(120).collect(),
    }
}

fn pages(raw: &Value) -> Vec<Page> {
    let pages = raw.get("pages").and_then(Value::as_array);
    pages.into_iter().flatten().map(page).collect()
}

/// What the resolver answers: a context, or one page of it. Read track by track, because as a tree
/// of values a list of 10,000 tracks takes twelve megabytes.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Answer {
    uri: Value,
    url: Value,
    metadata: Value,
    restrictions: Value,
    pages: Option<Vec<AnswerPage>>,
    tracks: Tracks,
    page_url: Value,
    next_page_url: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AnswerPage {
    tracks: Tracks,
    page_url: Value,
    next_page_url: Value,
}

impl Answer {
    pub fn into_listing(self) -> Listing {
        let head = json!({ "uri": self.uri, "url": self.url, "metadata": self.metadata,
            "restrictions": self.restrictions });
        Listing {
            pages: self.pages.into_iter().flatten().map(Page::from).collect(),
            ..listing(&head)
        }
    }

    /// What the address of a page leads to: the page, or a context of several.
    pub fn into_pages(self) -> Vec<Page> {
        match self.pages {
            Some(pages) => pages.into_iter().map(Page::from).collect(),
            None => {
                let page = AnswerPage {
                    tracks: self.tracks,
                    page_url: self.page_url,
                    next_page_url: self.next_page_url,
                };
                vec![page.into()]
            }
        }
    }
}

impl From<AnswerPage> for Page {
    fn from(page: AnswerPage) -> Self {
        let url = |value: Value| {
            value
                .as_str()
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
        };
        Self {
            tracks: page.tracks.0,
            url: url(page.page_url),
            next_url: url(page.next_page_url),
        }
    }
}

#[derive(Default)]
struct Tracks(Vec<Entry>);

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneByOne)
    }
}

struct OneByOne;

impl<'de> Visitor<'de> for OneByOne {
    type Value = Tracks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tracks")
    }

    fn visit_unit<E>(self) -> Result<Tracks, E> {
        Ok(Tracks::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tracks: A) -> Result<Tracks, A::Error> {
        let mut entries = Vec::new();
        while let Some(track) = tracks.next_element::<Value>()? {
            entries.extend(entry(&track));
        }
        Ok(Tracks(entries))
    }
}

fn page(raw: &Value) -> Page {
    let tracks = raw.get("tracks").and_then(Value::as_array);
    Page {
        tracks: tracks.into_iter().flatten().filter_map(entry).collect(),
        url: some_text(raw, "page_url"),
        next_url: some_text(raw, "next_page_url"),
    }
}

fn entry(raw: &Value) -> Option<Entry> {
    let uri = match some_text(raw, "uri") {
        Some(uri) => translate::track_uri(&uri),
        None => of_gid(raw)?,
    };
    Some(Entry {
        uri,
        uid: Uid::new(&text(raw, "uid")),
    })
}

fn of_gid(raw: &Value) -> Option<Uri> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let gid = BASE64_STANDARD.decode(some_text(raw, "gid")?).ok()?;
    Uri::of_gid(&gid)
}

fn provided(raw: &Value) -> Provided {
    let flagged = raw
        .get("metadata")
        .map(|metadata| text(metadata, translate::IS_QUEUED));
    Provided {
        entry: Entry {
            uri: translate::track_uri(&text(raw, "uri")),
            uid: Uid::new(&text(raw, "uid")),
        },
        queued: flagged.is_some_and(|is| is == "true") || text(raw, "provider") == "queue",
    }
}

fn text(raw: &Value, key: &str) -> String {
    some_text(raw, key).unwrap_or_default()
}

fn some_text(raw: &Value, key: &str) -> Option<String> {
    let text = raw.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number, also one in quotes, as protobuf writes long ones.
fn number(raw: &Value, key: &str) -> Option<u32> {
    let value = raw.get(key)?;
    let whole = value
        .as_u64()
        .or_else(|| value.as_f64().filter(|it| *it >= 0.0).map(|it| it as u64))
        .or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(whole).ok()
}

fn flag(raw: &Value, key: &str) -> Option<bool> {
    let value = raw.get(key)?;
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_a_command_would_be() {
        let raw = json!({
            "uri": "spotify:album:1", "url": "context://spotify:album:1", "odd": [1, {}],
            "metadata": { "context_description": "A" },
            "restrictions": { "disallow_seeking_reasons": ["radio"], "odd": 1 },
            "pages": [
                { "tracks": [{ "uri": "spotify:track:x", "uid": "1", "metadata": { "a": "b" } }, {}] },
                { "page_url": "hm://next", "tracks": null },
            ],
        });
        let answer: Answer = serde_json::from_str(&raw.to_string()).expect("an answer");
        assert_eq!(answer.into_listing(), listing(&raw));
        let page = json!({ "tracks": [{ "uri": "spotify:track:y" }], "next_page_url": "hm://n" });
        let answer: Answer = serde_json::from_str(&page.to_string()).expect("an answer");
        assert_eq!(answer.into_pages(), vec![super::page(&page)]);
    }
}

//! What plays: each route is one wish, answered when it has come true.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Done, Failed},
    given::{Given, Named},
};
use crate::{
    bus::{Bus, Order, Reason, Unable},
    control::wanted::{Field, SLEEP, Takes, Wanted, may, must},
    model::{Link, Load, Neighbour, Percent, Repeat, Track, Transport},
};

/// ms, or a place in a list.
const FROM_0: Takes = Takes::Whole(0, u32::MAX as i64);

type Answered = Result<Json<Done>, Failed>;

/// A body without anything in it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Wanted for Nothing {
    const FIELDS: &'static [Field] = &[];
}

/// What to play; nothing: what there is.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// A Spotify URI, or a link to open.spotify.com.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    uri: Option<Link>,
    /// A place in it, counted from 0.
    index: Option<u32>,
    /// A track of it.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    track: Option<Link>,
    position_ms: Option<u32>,
    shuffle: Option<bool>,
    paused: Option<bool>,
}

impl Wanted for Play {
    const FIELDS: &'static [Field] = &[
        may("uri", Takes::Link),
        may("index", FROM_0),
        may("track", Takes::Link),
        may("position_ms", FROM_0),
        may("shuffle", Takes::Switch),
        may("paused", Takes::Switch),
    ];
}

/// One of both.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Seek {
    position_ms: Option<u32>,
    by_ms: Option<i64>,
}

impl Wanted for Seek {
    const FIELDS: &'static [Field] = &[
        may("position_ms", FROM_0),
        may("by_ms", Takes::Whole(i64::MIN, i64::MAX)),
    ];
}

/// One of both.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Level100))]
#[serde(deny_unknown_fields)]
pub struct Volume {
    percent: Option<Percent>,
    /// Points of a hundred, -100 to 100.
    by: Option<i8>,
}

impl Wanted for Volume {
    const FIELDS: &'static [Field] = &[
        may("percent", Takes::Whole(0, 100)),
        may("by", Takes::Whole(-100, 100)),
    ];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Mute {
    on: Option<bool>,
}

impl Wanted for Mute {
    const FIELDS: &'static [Field] = &[may("on", Takes::Switch)];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Switch {
    on: bool,
}

impl Wanted for Switch {
    const FIELDS: &'static [Field] = &[must("on", Takes::Switch)];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Mode {
    mode: Repeat,
}

impl Wanted for Mode {
    const FIELDS: &'static [Field] = &[must("mode", Takes::Word(&["off", "context", "track"]))];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Enqueue {
    #[cfg_attr(test, schema(value_type = String))]
    uri: Link,
}

impl Wanted for Enqueue {
    const FIELDS: &'static [Field] = &[must("uri", Takes::Link)];
}

/// One of both; neither takes the timer back.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// 1 to 86 400.
    after_s: Option<u32>,
    end_of_track: Option<bool>,
    /// Grows quieter over the last so many seconds, 0 to 3 600 and no longer than `after_s`. When
    /// left out: as the speaker is configured, and not at the end of a track.
    fade_s: Option<u32>,
}

impl Wanted for Sleep {
    const FIELDS: &'static [Field] = &SLEEP;
}

/// What was, what is and what comes.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Queue {
    previous: Vec<Neighbour>,
    current: Option<Track>,
    next: Vec<Neighbour>,
}

pub async fn play(State(bus): State<Bus>, Named(id): Named, Given(play): Given<Play>) -> Answered {
    let bare = play.index.is_none()
        && play.track.is_none()
        && play.position_ms.is_none()
        && play.shuffle.is_none()
        && play.paused.is_none();
    let wish = match play.uri {
        Some(link) => {
            if play.track.as_ref().is_some_and(|track| !track.is_single()) {
                return Err(invalid(
                    "track is no track or episode",
                    "name one of what uri holds",
                ));
            }
            Transport::Load(Box::new(Load {
                link,
                index: play.index,
                track: play.track,
                position_ms: play.position_ms.unwrap_or(0),
                shuffle: play.shuffle,
                paused: play.paused.unwrap_or(false),
            }))
        }
        None if bare => Transport::Play,
        None => {
            return Err(invalid(
                "uri is missing",
                "say what to play, or send {} to go on",
            ));
        }
    };
    wished(&bus, id, wish).await
}

pub async fn seek(State(bus): State<Bus>, Named(id): Named, Given(seek): Given<Seek>) -> Answered {
    let wish = match (seek.position_ms, seek.by_ms) {
        (Some(position_ms), None) => Transport::Seek { position_ms },
        (None, Some(ms)) => Transport::SeekBy { ms },
        _ => return Err(invalid("it takes position_ms or by_ms", "send one of both")),
    };
    wished(&bus, id, wish).await
}

pub async fn volume(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(volume): Given<Volume>,
) -> Answered {
    let wish = match (volume.percent, volume.by) {
        (Some(percent), None) => Transport::Volume { percent },
        (None, Some(points)) if (-100..=100).contains(&points) => Transport::VolumeBy { points },
        _ => {
            let help = "percent is 0 to 100, by is -100 to 100";
            return Err(invalid("it takes percent or by", help));
        }
    };
    wished(&bus, id, wish).await
}

pub async fn mute(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(Mute { on }): Given<Mute>,
) -> Answered {
    wished(&bus, id, Transport::Mute { on }).await
}

pub async fn shuffle(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(Switch { on }): Given<Switch>,
) -> Answered {
    wished(&bus, id, Transport::Shuffle { on }).await
}

pub async fn repeat(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(Mode { mode }): Given<Mode>,
) -> Answered {
    wished(&bus, id, Transport::Repeat { mode }).await
}

pub async fn enqueue(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(Enqueue { uri: link }): Given<Enqueue>,
) -> Answered {
    if !link.is_single() {
        return Err(invalid(
            "only a track or an episode can be queued",
            "play an album or a playlist instead",
        ));
    }
    wished(&bus, id, Transport::Enqueue { link }).await
}

pub async fn queue(State(bus): State<Bus>, Named(id): Named) -> Result<Json<Queue>, Failed> {
    let house = bus.now();
    let speaker = house
        .speaker(&id)
        .ok_or_else(|| Unable::unknown_speaker(&id))?;
    let playback = speaker.playback.clone();
    Ok(Json(match playback {
        Some(playback) => Queue {
            previous: playback.previous,
            current: playback.track,
            next: playback.next,
        },
        None => Queue {
            previous: Vec::new(),
            current: None,
            next: Vec::new(),
        },
    }))
}

pub async fn sleep(
    State(bus): State<Bus>,
    Named(id): Named,
    Given(sleep): Given<Sleep>,
) -> Answered {
    let end_of_track = sleep.end_of_track == Some(true);
    let wish = Transport::sleep(sleep.after_s, end_of_track, sleep.fade_s)
        .map_err(|(what, help)| invalid(what, help))?;
    wished(&bus, id, wish).await
}

/// A route for a wish that needs no more words.
pub async fn plain(bus: Bus, id: String, wish: Transport) -> Answered {
    wished(&bus, id, wish).await
}

async fn wished(bus: &Bus, speaker: String, wish: Transport) -> Answered {
    bus.order(Order::Transport { speaker, wish }).await?;
    Ok(Done::answer())
}

fn invalid(what: &str, help: &str) -> Failed {
    Unable::new(Reason::Invalid, what, help).into()
}

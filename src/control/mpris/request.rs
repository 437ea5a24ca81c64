//! From what somebody on the bus asks to the orders that bring it about: no bus, no clock, no waiting.
//!
//! Decided when its turn comes, by how things stand then. Where the specification says that a call
//! has no effect, there is no order; where siskin cannot do what is asked, it says so.

use tokio::time::Instant;

use super::{
    fault::Fault,
    view::{Status, View},
};
use crate::model::{Link, Load, Percent, Repeat, Source, Transport};

/// How many tracks are skipped, one after the other, to get to one of them.
const SKIPS: usize = 10;

/// What takes more than looking.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Next,
    Previous,
    Pause,
    PlayPause,
    Stop,
    Play,
    /// From where the music is, in microseconds.
    Seek(i64),
    /// To a place in the track of this name, in microseconds.
    SetPosition(String, i64),
    Open(String),
    Loop(String),
    Shuffle(bool),
    Volume(f64),
    Rate(f64),
    /// A track after those that are queued, and whether it is to play at once.
    Add(String, bool),
    Remove,
    GoTo(String),
    Raise,
    Quit,
}

/// The orders that it takes, in order. None: nothing is to be done.
///
/// # Errors
/// Why it cannot be done at all.
pub fn orders(request: &Request, view: &View, now: Instant) -> Result<Vec<Transport>, Fault> {
    Ok(match request {
        Request::Next => vec![Transport::Next],
        Request::Previous => vec![Transport::Previous],
        Request::Pause => vec![Transport::Pause],
        // Not the engine's own toggle: whoever presses goes by what is shown.
        Request::PlayPause if view.status == Status::Playing => vec![Transport::Pause],
        Request::PlayPause | Request::Play => vec![Transport::Play],
        Request::Stop if view.lines.current.is_none() => Vec::new(),
        Request::Stop => vec![Transport::Stop],
        Request::Seek(us) => vec![seek(*us, view, now)],
        Request::SetPosition(id, us) => set_position(id, *us, view).into_iter().collect(),
        Request::Open(text) => vec![load(Link::parse(text)?, None)],
        Request::Loop(word) => {
            let mode = match word.as_str() {
                "None" => Repeat::Off,
                "Track" => Repeat::Track,
                "Playlist" => Repeat::Context,
                _ => return Err(Fault::invalid("LoopStatus is None, Track or Playlist")),
            };
            vec![Transport::Repeat { mode }]
        }
        Request::Shuffle(on) => vec![Transport::Shuffle { on: *on }],
        Request::Volume(level) => vec![volume(*level)?],
        Request::Rate(rate) if *rate == 1.0 => Vec::new(),
        // The specification: as though Pause was called.
        Request::Rate(rate) if *rate == 0.0 => vec![Transport::Pause],
        Request::Rate(_) => return Err(Fault::invalid("music plays at the rate 1.0 only")),
        Request::Add(text, at_once) => add(Link::parse(text)?, *at_once, view)?,
        Request::Remove => {
            let text = "siskin cannot take tracks out of a queue; the Spotify app can";
            return Err(Fault::unsupported(text));
        }
        Request::GoTo(id) => go_to(id, view)?,
        Request::Raise => {
            let text = "siskin has no window that could be raised";
            return Err(Fault::unsupported(text));
        }
        Request::Quit => {
            let text = "siskin is a service and ends with the machine; Stop silences it";
            return Err(Fault::unsupported(text));
        }
    })
}

/// Past the end is the next track; before the beginning is the beginning.
fn seek(us: i64, view: &View, now: Instant) -> Transport {
    let length = i64::from(view.length_ms());
    let to = i64::from(view.hand.ms(now)).saturating_add(us / 1_000);
    match length > 0 && to > length {
        true => Transport::Next,
        false => Transport::SeekBy { ms: us / 1_000 },
    }
}

/// Nothing where it is about another track, which has ended by now, or beside the track.
fn set_position(id: &str, us: i64, view: &View) -> Option<Transport> {
    let is_current = view
        .lines
        .find(id)
        .is_some_and(|at| Some(at) == view.lines.current);
    let position_ms = u32::try_from(us.div_euclid(1_000)).ok()?;
    let fits = view.length_ms() == 0 || position_ms <= view.length_ms();
    (is_current && fits).then_some(Transport::Seek { position_ms })
}

fn volume(level: f64) -> Result<Transport, Fault> {
    if level.is_nan() {
        return Err(Fault::invalid("Volume is 0.0 to 1.0"));
    }
    // Below nothing is nothing, says the specification; so is above everything everything.
    let percent = (level.clamp(0.0, 1.0) * 100.0).round() as u8;
    Ok(Transport::Volume {
        percent: Percent::clamped(percent),
    })
}

fn load(link: Link, track: Option<Link>) -> Transport {
    Transport::Load(Box::new(Load {
        link,
        index: None,
        track,
        position_ms: 0,
        shuffle: None,
        paused: false,
    }))
}

fn add(link: Link, at_once: bool, view: &View) -> Result<Vec<Transport>, Fault> {
    if !link.is_single() {
        let text = "only a track or an episode can be queued; OpenUri plays an album or a playlist";
        return Err(Fault::invalid(text));
    }
    let queued = |line: &&super::lines::Line| line.source == Some(Source::Queue);
    let ahead = view.lines.current.map_or(0, |at| at + 1);
    let others = view.lines.all.iter().skip(ahead).filter(queued).count();
    let enqueue = Transport::Enqueue { link };
    match at_once {
        false => Ok(vec![enqueue]),
        true if others == 0 => Ok(vec![enqueue, Transport::Next]),
        true => {
            let text = "other tracks are queued before it; OpenUri plays it at once";
            Err(Fault::unsupported(text))
        }
    }
}

/// A track of the context is played from the context, as the app does; what is queued, or has no
/// context, is reached by skipping what comes before it.
fn go_to(id: &str, view: &View) -> Result<Vec<Transport>, Fault> {
    let (Some(to), Some(here)) = (view.lines.find(id), view.lines.current) else {
        return Ok(Vec::new());
    };
    if to == here {
        return Ok(Vec::new());
    }
    let line = &view.lines.all[to];
    let context = view.context.as_deref().map(Link::parse);
    if let (Some(Ok(context)), Ok(track)) = (context, Link::parse(&line.uri))
        && line.source == Some(Source::Context)
        && to != here + 1
    {
        return Ok(vec![load(context, Some(track))]);
    }
    match to.checked_sub(here) {
        Some(skips @ 1..=SKIPS) => Ok(vec![Transport::Next; skips]),
        _ => {
            let text = "this track cannot be reached by itself; play something that holds it";
            Err(Fault::unsupported(text))
        }
    }
}

//! What plays, what follows, and what goes into the ring next.
//!
//! Three tracks at most: the current one, which is being decoded; the next one, opened early; and
//! the tail, decoded to its end or fading, which the listener still hears.

use std::time::Duration;

use super::{
    fade::Mix,
    order::{Event, Order, PlayerSettings, Why},
    track::{Over, Track},
};
use crate::{
    model::{CHANNELS, RATE, frames_of, ms_of},
    output::{Inlet, Look},
};

/// Of the next track so much is decoded early: a second.
const PRIMED: usize = RATE as usize;
/// Early is half a minute before the current one has been decoded. Until then the next one is its
/// first bytes and no more: a decoder and its samples take a megabyte, and are there in milliseconds
/// when somebody skips.
const SOON: u64 = RATE as u64 * 30;
/// Silence between tracks that are not to follow each other without a gap.
const GAP: usize = RATE as usize * 3 / 10;
/// How long a read may wait while the listener does.
const PATIENCE: Duration = Duration::from_millis(20);

/// What there is to be said about the track's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// No sample is ready.
    Awaited,
    /// This frame is the first of this track.
    At {
        index: u64,
        id: u64,
    },
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pausing {
    /// As soon as nothing leaves any more.
    Silence,
    /// As soon as the track is known to be there.
    Ready,
}

/// A track that another one has followed in the ring.
#[derive(Debug)]
pub(super) struct Tail {
    pub track: Track,
    /// The first frame of what follows.
    pub index: u64,
    pub told: bool,
    pub mix: Option<Mix>,
    /// Where the track was when it began to fade, if it does.
    faded_from: Option<u64>,
}

/// What came of an attempt to put more into the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pump {
    Worked,
    /// Nothing to do for now.
    Full,
    /// Bytes are missing.
    Hungry,
}

#[derive(Debug)]
pub(super) struct Deck {
    pub inlet: Inlet,
    pub settings: PlayerSettings,
    pub playing: bool,
    pub current: Option<Track>,
    pub next: Option<Track>,
    pub tail: Option<Tail>,
    pub start: Start,
    /// In which track a place was sought, and which, while none of its samples are ready.
    pub sought: Option<(u64, u32)>,
    pub pausing: Option<Pausing>,
    /// Frames that had left when the music was told to go on.
    pub resumed: Option<u64>,
    /// The end of the current track was noted, and told of when it was heard.
    pub closed: bool,
    pub ended: bool,
    pub hungry: bool,
    /// The ring is half empty: reading may take its time, for nothing else matters.
    pub urgent: bool,
    /// Frames that had left when the listener began to miss some.
    pub starving: Option<u64>,
    pub lost: bool,
    /// The ring is being filled up.
    filling: bool,
    pub news: Vec<Event>,
}

/// What was sought is ready, or there is nothing behind it.
fn found(sought: &mut Option<(u64, u32)>) -> Option<Event> {
    let (id, position_ms) = sought.take()?;
    Some(Event::Sought { id, position_ms })
}

impl Deck {
    pub(super) fn new(inlet: Inlet, settings: PlayerSettings) -> Self {
        Self {
            inlet,
            settings,
            playing: false,
            current: None,
            next: None,
            tail: None,
            start: Start::Told,
            sought: None,
            pausing: None,
            resumed: None,
            closed: false,
            ended: false,
            hungry: false,
            urgent: false,
            starving: None,
            lost: false,
            filling: false,
            news: Vec::new(),
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Load {
                id,
                open,
                position_ms,
                play,
            } => self.load(Track::new(id, open, position_ms, false), play),
            Order::Skip {
                id,
                position_ms,
                play,
            } => self.skip(id, position_ms, play),
            Order::Next {
                id,
                open,
                position_ms,
                consecutive,
            } => {
                self.drop_next();
                self.next = Some(Track::new(id, open, position_ms, consecutive));
            }
            Order::DropNext => self.drop_next(),
            Order::Play => self.play(),
            Order::Pause => self.pause(),
            Order::Seek { ms } => self.seek(ms),
            Order::Stop => self.stop(),
            Order::Settings(settings) => {
                self.settings = settings;
                for track in [&mut self.current, &mut self.next].into_iter().flatten() {
                    track.forget_loudness();
                }
            }
        }
    }

    fn load(&mut self, track: Track, play: bool) {
        self.stop();
        self.inlet.begin(track.id, ms_of(track.position));
        self.current = Some(track);
        self.start = Start::Awaited;
        self.playing = play;
        if play {
            self.inlet.run();
        } else {
            self.pausing = Some(Pausing::Ready);
        }
    }

    /// The track that was to follow may be in the ring already.
    fn skip(&mut self, id: u64, position_ms: u32, play: bool) {
        let known = [self.next.take(), self.current.take()];
        let Some(mut track) = known.into_iter().flatten().find(|track| track.id == id) else {
            self.stop();
            let why = Why::Source("it is not there any more".to_owned());
            self.news.push(Event::Failed { id, why });
            return;
        };
        let frame = frames_of(position_ms);
        if track.position != frame {
            track.seek(frame);
        }
        track.jumped = true;
        self.load(track, play);
    }

    fn stop(&mut self) {
        self.inlet.flush();
        self.inlet.pause();
        (self.current, self.next, self.tail) = (None, None, None);
        self.start = Start::Told;
        (self.sought, self.pausing, self.resumed) = (None, None, None);
        self.playing = false;
        self.renew();
    }

    /// What follows is not what was expected.
    fn renew(&mut self) {
        self.filling = true;
        self.closed = false;
        self.ended = false;
        self.starving = None;
        self.hungry = false;
    }

    fn play(&mut self) {
        if self.playing || self.current.is_none() {
            return;
        }
        self.playing = true;
        self.pausing = None;
        // What has ended ends once more: nothing else is to be heard of it.
        self.ended = false;
        if self.start == Start::Told {
            self.resumed = Some(self.inlet.look().taken);
        }
        self.inlet.run();
    }

    fn pause(&mut self) {
        if self.current.is_none() || (!self.playing && self.pausing.is_none()) {
            return;
        }
        self.playing = false;
        self.resumed = None;
        self.starving = None;
        self.pausing = Some(Pausing::Silence);
        self.inlet.pause();
    }

    /// Within the track that is heard, which need not be the one that is being decoded.
    fn seek(&mut self, ms: u32) {
        let heard = self.inlet.look().heard;
        match self.tail.take() {
            Some(tail) if heard < tail.index && !tail.told => {
                self.next = self.current.replace(tail.track);
                if let Some(next) = &mut self.next {
                    next.seek(next.begin);
                }
            }
            // It was heard a moment ago, and nobody knows yet.
            Some(tail) if !tail.told => {
                let from = tail.track.id;
                let to = self.current.as_ref().map(|track| track.id);
                self.news.extend(to.map(|to| Event::Joined { from, to }));
            }
            _ => {}
        }
        let Some(current) = &mut self.current else {
            return;
        };
        current.seek(frames_of(ms));
        self.inlet.flush();
        self.inlet.begin(current.id, ms);
        self.sought = Some((current.id, ms));
        self.renew();
        if self.playing {
            self.inlet.run();
        }
    }

    /// Also takes back what is in the ring already, unless it has begun to leave.
    fn drop_next(&mut self) {
        self.next = None;
        let taken = self.inlet.look().taken;
        if let Some(tail) = self.tail.take_if(|tail| taken <= tail.index && !tail.told) {
            self.inlet.cut(tail.index);
            let mut track = tail.track;
            self.renew();
            if let Some(frame) = tail.faded_from {
                track.seek(frame);
            }
            self.current = Some(track);
        }
    }

    /// Puts the next piece into the ring.
    pub(super) fn pump(&mut self) -> Pump {
        let look = self.inlet.look();
        let waiting = (look.written - look.taken) as usize;
        self.urgent = waiting <= look.depth / 2;
        self.filling = look.room > 0 && (self.filling || self.urgent);
        // Until the first sample has left, half of it does: one request brings as much, and the second
        // is not in the way of what is to be heard.
        let does = self.start != Start::Told && !self.urgent;
        // An end takes no room; and who waits for more to come would keep the last of it back.
        let ends = self.has_all() && !self.closed;
        if does || !(self.filling || ends) || self.current.is_none() {
            self.hungry = false;
            return Pump::Full;
        }
        let wait = if self.presses() {
            PATIENCE
        } else {
            Duration::ZERO
        };
        let result = self.fill(&look, wait);
        self.hungry = result == Pump::Hungry;
        result
    }

    /// Whether all of the current track is in the ring, and of the one that fades under it.
    pub(super) fn has_all(&self) -> bool {
        let fades = self.tail.as_ref().is_some_and(|tail| tail.mix.is_some());
        !fades && self.current.as_ref().is_some_and(Track::is_done)
    }

    /// Whether somebody who listens is short of music.
    pub(super) fn presses(&self) -> bool {
        self.urgent && self.playing
    }

    fn fill(&mut self, look: &Look, wait: Duration) -> Pump {
        let Some(current) = &mut self.current else {
            return Pump::Full;
        };
        if self.tail.as_ref().is_some_and(|tail| tail.mix.is_some()) {
            return self.mix(look, wait);
        }
        if current.ready().is_empty() && !current.decode(&self.settings, wait) {
            return Pump::Hungry;
        }
        if current.is_done() {
            return self.finish(look);
        }
        match self.fade_begins_in() {
            Some(0) => self.begin_fade(look),
            frames => self.push(look, frames.unwrap_or(usize::MAX)),
        }
    }

    pub(super) fn push(&mut self, look: &Look, most: usize) -> Pump {
        let Some(current) = &mut self.current else {
            return Pump::Full;
        };
        let frames = current.frames().min(most);
        if current.jumped && frames > 0 {
            self.inlet.begin(current.id, ms_of(current.position));
        }
        let pushed = self.inlet.push(&current.ready()[..frames * CHANNELS]);
        current.used(pushed);
        if frames > 0 {
            self.arrived(look.written);
        }
        Pump::Worked
    }

    /// The first samples of something are in the ring, from this frame on.
    pub(super) fn arrived(&mut self, index: u64) {
        let Some(id) = self.current.as_ref().map(|track| track.id) else {
            return;
        };
        if self.start == Start::Awaited {
            self.start = Start::At { index, id };
        }
        self.news.extend(found(&mut self.sought));
    }

    /// All of the current track is in the ring.
    fn finish(&mut self, look: &Look) -> Pump {
        let Some(current) = &mut self.current else {
            return Pump::Full;
        };
        if let Some(Over::Failed(_)) = current.over {
            if !self.closed {
                self.closed = true;
                self.inlet.drain();
            }
            return Pump::Full;
        }
        if !self.closed {
            self.closed = true;
            self.inlet.end();
            if current.over == Some(Over::BrokenOff) {
                self.news.push(Event::BrokenOff {
                    id: current.id,
                    position_ms: ms_of(current.position),
                });
            }
            // A place behind the end is the end.
            self.news.extend(found(&mut self.sought));
        }
        // One joint at a time: the listener is at most a ring's length behind.
        if self.next.is_none() || self.tail.is_some() {
            return Pump::Full;
        }
        if !self.settings.gapless && !current.spaced {
            current.spaced = true;
            current.add_silence(GAP);
            self.closed = false;
            return Pump::Worked;
        }
        self.follow(look, None);
        Pump::Worked
    }

    /// The next track becomes the current one, from the next frame on.
    pub(super) fn follow(&mut self, look: &Look, mix: Option<Mix>) {
        let Some(next) = self.next.take() else { return };
        let Some(track) = self.current.replace(next) else {
            return;
        };
        self.tail = Some(Tail {
            index: look.written,
            told: false,
            faded_from: mix.is_some().then_some(track.position),
            mix,
            track,
        });
        self.renew();
        if self.start == Start::Awaited {
            // There was nothing of the track to be heard.
            self.start = Start::Told;
        }
        if self.playing {
            self.inlet.run();
        }
    }

    /// Whether the current track has been decoded nearly to its end, as far as that is known.
    fn ends_soon(&self) -> bool {
        let Some(current) = &self.current else {
            return true;
        };
        let soon = SOON + frames_of(self.settings.crossfade_ms);
        current
            .total()
            .is_none_or(|total| total.saturating_sub(current.position) <= soon)
    }

    /// Gets the next track ready, a little at a time. True when there may be more to do at once.
    pub(super) fn prime(&mut self) -> bool {
        let soon = self.ends_soon();
        let Some(next) = self.next.as_mut().filter(|_| soon) else {
            return false;
        };
        let why = match &next.over {
            Some(Over::Failed(why)) => Some(why.clone()),
            Some(_) if next.is_done() => Some(Why::NotAudio("there is no sound in it".to_owned())),
            _ => None,
        };
        if let Some(why) = why {
            let id = next.id;
            self.news.push(Event::Failed { id, why });
            self.next = None;
            return false;
        }
        if next.frames() >= PRIMED || next.over.is_some() {
            return false;
        }
        let came = next.decode(&self.settings, Duration::ZERO);
        self.hungry |= !came;
        came
    }
}

//! Between the machine and the player: opens the tracks that are wanted, hands them over when they
//! are there, and puts what the player says into the machine's words.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::AbortHandle,
    time::sleep,
};
use tracing::debug;

use super::{
    connect::Deck,
    current::Current,
    opening::{Outcome, blamed, left, open, why},
    tracks::{Unopened, Wish},
};
use crate::{
    config::Bitrate,
    connect::{Heard, LoadId, Uri, Why},
    decode::Kind,
    fetch::{
        Budget, Failure, Handle,
        cache::{Cache, Name as FileName},
    },
    model::{Codec, Dim, Stream, Track, Volume, unix_ms},
    output::{Clock, Dimmer, Stock, VolumeControl},
    player::{self, Event, Gain, Order, Player},
};

/// One track plays and one is prepared; more answers than these are late ones.
const OUTCOMES: usize = 8;

/// A track that was opened again has to get on by so much before it is opened once more.
const PROGRESS_MS: u32 = 2_000;
/// Tracks asked for within this time are being leafed through.
const LEAFING: Duration = Duration::from_millis(700);

/// From the third of those on, one is fetched when it has stayed wanted for so long...
const STAYS: Duration = Duration::from_millis(200);

/// ...and already from the second on, what follows it.
const NEXT_STAYS: Duration = Duration::from_millis(600);

/// What a loader works with.
pub struct Tools {
    pub current: Current,
    pub player: Player,
    pub clock: Clock,
    pub dimmer: Dimmer,
    pub volume: Arc<VolumeControl>,
    pub bitrate: Bitrate,
    /// Where whole files are kept, if anywhere.
    pub cache: Option<Cache>,
    /// Unix time in ms before which no key is asked for.
    pub keys_from_ms: Option<i64>,
}

pub struct Loader {
    tools: Tools,
    outcomes: Sender<Outcome>,
    current: Option<Slot>,
    next: Option<Slot>,
    /// When tracks were asked for lately: the newest, and the one before.
    asked: [Option<Instant>; 2],
    /// Whether it is to sound, as the machine said last.
    playing: bool,
    /// There is no output.
    lost: bool,
    /// An album plays in its own order: its tracks belong together.
    album_in_order: bool,
}

/// One track on its way or in the player.
struct Slot {
    id: LoadId,
    uri: Uri,
    /// Where it broke off for want of bytes and was opened anew, if it was.
    again_ms: Option<u32>,
    /// Where it begins.
    begin_ms: u32,
    /// Somebody has said that it begins there: where it was left does not matter.
    placed: bool,
    state: State,
}

enum State {
    /// Nothing is asked of Spotify before `begins`.
    Opening { task: AbortHandle, begins: Instant },
    Ready {
        fetch: Handle,
        file: FileName,
        album: String,
        /// As it is shown, until its gain is known.
        shown: Option<Box<Track>>,
        gain: Gain,
    },
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let State::Opening { task, .. } = &self.state {
            task.abort();
        }
    }
}

impl Loader {
    /// The receiver's answers go to [`Self::opened`].
    pub fn new(tools: Tools) -> (Self, Receiver<Outcome>) {
        let (outcomes, from) = mpsc::channel(OUTCOMES);
        let loader = Self {
            tools,
            outcomes,
            current: None,
            next: None,
            asked: [None; 2],
            playing: false,
            lost: false,
            album_in_order: false,
        };
        (loader, from)
    }

    pub fn set_album_in_order(&mut self, it_is: bool) {
        self.album_in_order = it_is;
    }

    /// The place that is heard now, while music flows.
    pub fn place(&self) -> Option<(LoadId, u32)> {
        let heard = self.tools.clock.now();
        let id = heard.track.filter(|_| heard.consuming)?;
        Some((id, heard.position_ms))
    }

    /// The music that waits for the output.
    pub fn stock(&self) -> Stock {
        self.tools.clock.stock()
    }

    /// Whether music is to be heard now.
    pub fn is_to_sound(&self) -> bool {
        self.playing && self.current.is_some()
    }

    /// Whether the output has taken nothing for seconds and answers nobody.
    pub fn output_hangs(&self) -> bool {
        self.tools.clock.hangs()
    }

    /// Whether there is no output, and somebody was told why.
    pub fn output_is_lost(&self) -> bool {
        self.lost
    }

    /// The output hangs, or does not any more. `None` when it is known to be lost: whoever lost it
    /// says when it is back.
    pub fn output_is_stuck(&mut self, hangs: bool) -> Option<Vec<Heard>> {
        if self.tools.clock.is_lost() {
            return None;
        }
        let id = self.current.as_ref().map(|slot| slot.id);
        let event = match hangs {
            true => Event::OutputLost { id },
            false => Event::OutputBack { id },
        };
        Some(self.said(event).into_iter().collect())
    }

    /// Where a track is, or begins.
    fn position(&self, id: LoadId) -> u32 {
        let heard = self.tools.clock.now();
        if heard.track == Some(id) {
            return heard.position_ms;
        }
        let current = self.current.as_ref().filter(|slot| slot.id == id);
        current.map_or(0, |slot| slot.begin_ms)
    }

    fn slot(&mut self, id: LoadId) -> Option<&mut Slot> {
        [&mut self.current, &mut self.next]
            .into_iter()
            .flatten()
            .find(|slot| slot.id == id)
    }

    fn is_current(&self, id: LoadId) -> bool {
        self.current.as_ref().is_some_and(|slot| slot.id == id)
    }

    /// How many tracks were asked for just now.
    fn leafed(&self, now: Instant) -> usize {
        let lately = |it: &&Instant| now.saturating_duration_since(**it) < LEAFING;
        self.asked.iter().flatten().filter(lately).count()
    }

    /// Begins to open a track, when it is still wanted after `rest`.
    fn open(
        &self,
        id: LoadId,
        uri: &Uri,
        position_ms: u32,
        budget: Budget,
        rest: Duration,
    ) -> Slot {
        let current = self.tools.current.clone();
        let clock = self.tools.clock.clone();
        let wish = Wish {
            bitrate: self.tools.bitrate,
            budget,
            cache: self.tools.cache.clone(),
            offset: 0,
            playing: Arc::new(move || clock.now().consuming),
        };
        let asked = uri.to_string();
        let outcomes = self.outcomes.clone();
        let forbidden = self.tools.keys_from_ms.is_some_and(|ms| unix_ms() < ms);
        let anywhere = position_ms == 0 && uri.is_episode();
        let task = tokio::spawn(async move {
            if !rest.is_zero() {
                sleep(rest).await;
            }
            let opening = async {
                if forbidden {
                    return Err(Unopened::Failed(Failure::KeyRefused));
                }
                open(&current, &asked, &wish).await.map(Box::new)
            };
            let (opened, left_ms) = tokio::join!(opening, left(&current, &asked, anywhere));
            let outcome = Outcome {
                id,
                opened,
                left_ms,
            };
            // Whoever asked has gone when this fails.
            let _ = outcomes.send(outcome).await;
        });
        Slot {
            id,
            uri: uri.clone(),
            again_ms: None,
            begin_ms: position_ms,
            placed: false,
            state: State::Opening {
                task: task.abort_handle(),
                begins: Instant::now() + rest,
            },
        }
    }

    /// Takes an opened track, or why it was not; returns what the machine has to hear.
    pub fn opened(&mut self, outcome: Outcome) -> Vec<Heard> {
        let (id, opened) = (outcome.id, outcome.opened);
        let Some(slot) = self.slot(id) else {
            return vec![];
        };
        if !matches!(slot.state, State::Opening { .. }) {
            return vec![];
        }
        if slot.begin_ms == 0 && !slot.placed {
            slot.begin_ms = outcome.left_ms.unwrap_or(0);
        }
        let position_ms = slot.begin_ms;
        let opened = match opened {
            Ok(opened) => *opened,
            Err(unopened) => {
                debug!("a track was not opened: {unopened}");
                let why = why(&unopened);
                if self.is_current(id) {
                    // The next one is not the listener's doing.
                    self.asked = [None; 2];
                }
                return vec![Heard::Failed { id, why }];
            }
        };
        let stream = Stream {
            codec: match opened.kind {
                Kind::Vorbis => Codec::Vorbis,
                Kind::Mp3 => Codec::Mp3,
            },
            kbps: opened.kbps,
            gain_db: None,
        };
        let duration_ms = opened.facts.duration_ms;
        let track = Box::new(Track {
            stream: Some(stream),
            ..opened.facts
        });
        let gain = Gain::default();
        slot.state = State::Ready {
            fetch: opened.fetch,
            file: opened.file,
            album: track.album.clone(),
            shown: Some(track.clone()),
            gain: gain.clone(),
        };
        let open = player::Opened {
            source: Box::new(opened.source),
            kind: opened.kind,
            duration_ms,
            by_album: self.album_in_order,
            gain,
        };
        let mut heard = vec![Heard::Described { id, track }];
        if self.is_current(id) {
            // It may have been opened to follow another.
            if let Some(State::Ready { fetch, .. }) = self.slot(id).map(|slot| &slot.state) {
                fetch.set_budget(Budget::Playing);
            }
            self.tools.player.order(Order::Load {
                id,
                open,
                position_ms,
                play: self.playing,
            });
            heard.extend(self.waits_for_output(id, position_ms));
        } else {
            let consecutive = self.follows_its_album();
            self.tools.player.order(Order::Next {
                id,
                open,
                position_ms,
                consecutive,
            });
        }
        heard
    }

    /// Music that cannot sound now is shown as paused; it begins by itself.
    fn waits_for_output(&self, id: LoadId, position_ms: u32) -> Option<Heard> {
        let waits = self.lost && self.playing;
        waits.then_some(Heard::Held { id, position_ms })
    }

    fn follows_its_album(&self) -> bool {
        let album = |slot: &Option<Slot>| match slot.as_ref().map(|slot| &slot.state) {
            Some(State::Ready { album, .. }) => Some(album.clone()),
            _ => None,
        };
        let current = album(&self.current);
        self.album_in_order && current.is_some() && current == album(&self.next)
    }

    /// Puts the player's news into the machine's words.
    pub fn heard(&mut self, event: Event) -> Vec<Heard> {
        if let Event::Failed { id, why } = &event {
            return self.failed(*id, why);
        }
        let begins = match &event {
            Event::Started { id } | Event::Joined { to: id, .. } => Some(*id),
            _ => None,
        };
        let gained = begins.and_then(|id| self.gained(id));
        let joined = matches!(event, Event::Joined { .. });
        let mut heard: Vec<_> = gained.into_iter().chain(self.said(event)).collect();
        if let Some(slot) = self
            .current
            .as_ref()
            .filter(|slot| joined && slot.begin_ms > 0)
        {
            let (id, position_ms) = (slot.id, slot.begin_ms);
            heard.push(Heard::Seeked { id, position_ms });
        }
        heard
    }

    /// The track as it is shown once its gain is known; once a track.
    fn gained(&mut self, id: LoadId) -> Option<Heard> {
        let State::Ready { shown, gain, .. } = &mut self.slot(id)?.state else {
            return None;
        };
        let gain_db = Some(gain.db()?);
        let mut track = shown.take()?;
        if let Some(stream) = &mut track.stream {
            stream.gain_db = gain_db;
        }
        Some(Heard::Described { id, track })
    }

    fn said(&mut self, event: Event) -> Option<Heard> {
        Some(match event {
            Event::Started { id } | Event::Flowing { id } => Heard::Started {
                id,
                position_ms: self.position(id),
            },
            Event::Resumed { id, position_ms } => Heard::Started { id, position_ms },
            Event::Paused { id, position_ms } => Heard::Paused { id, position_ms },
            Event::Sought { id, position_ms } => Heard::Seeked { id, position_ms },
            Event::Starving { id } => Heard::Stalled {
                id,
                position_ms: self.position(id),
            },
            Event::Joined { to, .. } => self.joined(to),
            Event::Ended { id } => Heard::Ended { id },
            Event::BrokenOff { id, position_ms } => {
                debug!("track {id} broke off at {position_ms} ms");
                self.distrust(id);
                return None;
            }
            // Told by `failed`.
            Event::Failed { .. } => return None,
            Event::OutputLost { id } => {
                self.lost = true;
                let id = id.filter(|_| self.playing)?;
                let position_ms = self.position(id);
                Heard::Held { id, position_ms }
            }
            Event::OutputBack { id } => {
                self.lost = false;
                let id = id.filter(|_| self.playing)?;
                let position_ms = self.position(id);
                Heard::Started { id, position_ms }
            }
        })
    }

    fn joined(&mut self, id: LoadId) -> Heard {
        if let Some(next) = self.next.take_if(|next| next.id == id) {
            if let State::Ready { fetch, .. } = &next.state {
                fetch.set_budget(Budget::Playing);
            }
            self.current = Some(next);
        }
        Heard::Joined { id }
    }

    /// A track that starved is opened again where it stopped, once at each place: the line may have
    /// been away for longer than what was fetched ahead. To open it waits for the line.
    fn failed(&mut self, id: LoadId, why: &player::Why) -> Vec<Heard> {
        let why = self.why_failed(id, why);
        let position_ms = self.position(id);
        let starved = |slot: &&Slot| {
            let stuck = slot
                .again_ms
                .is_some_and(|at| position_ms <= at + PROGRESS_MS);
            slot.id == id && !stuck
        };
        let slot = self.current.as_ref().filter(starved);
        let Some(slot) = slot.filter(|_| why == Why::Network) else {
            return vec![Heard::Failed { id, why }];
        };
        debug!("track {id} ran dry at {position_ms} ms; it is opened again");
        let (uri, placed) = (slot.uri.clone(), slot.placed);
        let mut slot = self.open(id, &uri, position_ms, Budget::Playing, Duration::ZERO);
        slot.again_ms = Some(position_ms);
        slot.placed = placed;
        self.current = Some(slot);
        let mut heard = vec![Heard::Stalled { id, position_ms }];
        // The player lets go of what is next when something is loaded.
        if let Some(next) = self.next.take() {
            self.tools.player.order(Order::DropNext);
            heard.push(Heard::Failed { id: next.id, why });
        }
        heard
    }

    /// A file that is not what it should be is not kept: next time it comes from where it should.
    fn distrust(&mut self, id: LoadId) {
        let cache = self.tools.cache.clone();
        if let Some(State::Ready { file, .. }) = self.slot(id).map(|slot| &slot.state)
            && let Some(cache) = cache
        {
            let file = *file;
            tokio::spawn(async move { cache.forget(file).await });
        }
    }

    fn why_failed(&mut self, id: LoadId, why: &player::Why) -> Why {
        debug!("track {id} failed: {why:?}");
        if matches!(why, player::Why::NotAudio(_)) {
            self.distrust(id);
        }
        self.asked = [None; 2];
        let failure = match self.slot(id).map(|slot| &slot.state) {
            Some(State::Ready { fetch, .. }) => fetch.failure(),
            _ => None,
        };
        match (failure, why) {
            (Some(failure), _) => blamed(&failure),
            (None, player::Why::Source(_)) => Why::Network,
            (None, player::Why::NotAudio(_)) => Why::Broken,
        }
    }
}

impl Deck for Loader {
    fn load(&mut self, id: LoadId, uri: &Uri, position_ms: u32, play: bool) -> Option<Heard> {
        self.playing = play;
        let now = Instant::now();
        let leafed = self.leafed(now);
        self.asked = [Some(now), self.asked[0]];
        let prepared = self.next.take().filter(|next| {
            let rests = matches!(next.state, State::Opening { begins, .. } if begins > now);
            next.id == id && !rests
        });
        if let Some(Slot {
            state: State::Ready { fetch, .. },
            ..
        }) = &prepared
        {
            fetch.set_budget(Budget::Playing);
            // Of an episode the place where it was left is known already.
            let begin_ms = prepared.as_ref().map_or(0, |slot| slot.begin_ms);
            let position_ms = if position_ms == 0 {
                begin_ms
            } else {
                position_ms
            };
            self.tools.player.order(Order::Skip {
                id,
                position_ms,
                play,
            });
            self.current = prepared;
            if let Some(slot) = &mut self.current {
                slot.begin_ms = position_ms;
            }
            return self.waits_for_output(id, position_ms);
        }
        // Silence is the truth until the new one is there.
        self.tools.player.order(Order::Stop);
        let rest = if leafed >= 2 { STAYS } else { Duration::ZERO };
        let mut slot =
            prepared.unwrap_or_else(|| self.open(id, uri, position_ms, Budget::Playing, rest));
        slot.begin_ms = position_ms;
        self.current = Some(slot);
        None
    }

    fn prepare(&mut self, id: LoadId, uri: &Uri) {
        self.drop_next();
        let rest = match self.leafed(Instant::now()) {
            0 | 1 => Duration::ZERO,
            _ => NEXT_STAYS,
        };
        self.next = Some(self.open(id, uri, 0, Budget::Next, rest));
    }

    fn drop_next(&mut self) {
        if let Some(State::Ready { .. }) = self.next.take().as_ref().map(|slot| &slot.state) {
            self.tools.player.order(Order::DropNext);
        }
    }

    fn play(&mut self) -> Option<Heard> {
        self.playing = true;
        self.tools.player.order(Order::Play);
        // One that is still being opened is told of when it is there.
        let opened = |slot: &&Slot| matches!(slot.state, State::Ready { .. });
        let id = self.current.as_ref().filter(opened)?.id;
        self.waits_for_output(id, self.position(id))
    }

    fn pause(&mut self) {
        self.playing = false;
        self.tools.player.order(Order::Pause);
    }

    fn seek(&mut self, position_ms: u32) {
        if let Some(slot) = &mut self.current {
            slot.begin_ms = position_ms;
            slot.placed = true;
            if matches!(slot.state, State::Ready { .. }) {
                self.tools.player.order(Order::Seek { ms: position_ms });
            }
            if self.lost {
                // Somebody has touched it: it does not go on by itself.
                self.pause();
            }
        }
    }

    fn stop(&mut self) {
        self.playing = false;
        self.current = None;
        self.next = None;
        self.tools.player.order(Order::Stop);
    }

    fn dim(&mut self, dim: Option<Dim>) {
        self.tools.dimmer.dim(dim);
    }

    fn set_volume(&mut self, volume: Volume) -> Volume {
        self.tools.volume.set(volume);
        self.tools.volume.get()
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;

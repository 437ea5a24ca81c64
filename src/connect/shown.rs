//! What others see: connect-state, and the daemon.

use super::{
    Action, Connect, Entry, Modes, Origin, Phase, Provider, PutReason, Sender, TRACKS_AHEAD, Why,
    context::BARE_LIST,
    lineup::{Item, Slot},
};
use crate::model::{
    MAX_NEIGHBOURS, MAX_TOLD, Neighbour, Place, PlayState, Playback, Repeat, Restriction,
    SleepTimer, Source, Track, TrackKind, Volume,
};

/// Tracks before the current one that the phone is shown; more overload its web player
/// *(seen in librespot-connect)*.
const PREVIOUS: usize = 10;

/// Tracks before the current one that are told of a long list that only the app knew.
const LIST_BEFORE: usize = 10;

/// The state that is put, in own words.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub name: String,
    pub volume: Volume,
    pub active: bool,
    /// Unix ms; `None` while not active.
    pub active_since_ms: Option<i64>,
    pub last_command: Sender,
    pub session_id: String,
    pub playback_id: String,
    pub origin: Origin,
    pub context_uri: String,
    pub context_url: String,
    pub context_metadata: Vec<(String, String)>,
    /// The index in the context of what plays.
    pub index: Option<u32>,
    pub track: Option<ShownTrack>,
    /// At most [`TRACKS_AHEAD`], with those that are passed over: people look for them.
    pub next: Vec<ShownTrack>,
    pub previous: Vec<ShownTrack>,
    pub position_ms: u32,
    /// Unix ms at which that was so, and at which all this is true.
    pub at_ms: i64,
    /// 0 while unknown.
    pub duration_ms: u32,
    /// There is something that plays, loads or waits.
    pub playing: bool,
    pub paused: bool,
    pub buffering: bool,
    pub modes: Modes,
    pub sleep: SleepTimer,
    pub restrictions: Vec<Restriction>,
    /// Changes whenever what comes does.
    pub queue_revision: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ShownTrack {
    pub uri: String,
    pub uid: String,
    pub provider: Provider,
    pub index: Option<u32>,
    /// Between two rounds: which round ends here. Such a line has no track.
    pub delimiter: Option<u32>,
    /// It is never played, and why.
    pub barred: Option<Why>,
}

impl Connect {
    /// What is to be put now.
    pub fn shown(&self) -> Shown {
        let track = self.lineup.current().map(|item| self.shown_item(item));
        let slots = |slots: Vec<Slot>| slots.iter().map(|slot| self.shown_slot(*slot)).collect();
        let next: Vec<_> = slots(self.lineup.listed_ahead(TRACKS_AHEAD));
        let waits = self.phase == Phase::Waiting;
        let playing = track.is_some() || waits;
        let context = &self.lineup.context;
        let bare = context.uri.is_empty() && track.is_some();
        let uri = if bare { BARE_LIST } else { &context.uri };
        let url = if context.url.is_empty() && !uri.is_empty() {
            format!("context://{uri}")
        } else {
            context.url.clone()
        };
        Shown {
            name: self.name.clone(),
            volume: self.volume,
            active: self.is_active(),
            active_since_ms: self.standing.since_ms(),
            last_command: self.last_command.clone(),
            session_id: self.session_id.clone(),
            playback_id: self.playback_id.clone(),
            origin: self.origin.clone(),
            context_uri: uri.to_owned(),
            context_url: url,
            context_metadata: context.metadata.clone(),
            index: self.index(),
            track,
            queue_revision: revision(&next),
            next,
            previous: slots(self.lineup.listed_behind(PREVIOUS)),
            position_ms: self.position_ms(),
            at_ms: self.now.unix_ms,
            duration_ms: self.described.as_ref().map_or(0, |track| track.duration_ms),
            playing,
            paused: playing && !(self.want_play && self.phase != Phase::Idle),
            buffering: waits || self.phase == Phase::Loading,
            modes: self.lineup.modes(),
            sleep: self.sleep_timer(),
            restrictions: self.restrictions(),
        }
    }

    fn shown_item(&self, item: &Item) -> ShownTrack {
        let uid = match item.index.filter(|_| item.entry.uid.is_empty()) {
            Some(index) => format!("i{index}"),
            None => item.entry.uid.to_string(),
        };
        ShownTrack {
            uri: item.entry.uri.to_string(),
            uid,
            provider: item.provider,
            index: item.index.map(|index| index as u32),
            delimiter: None,
            barred: None,
        }
    }

    fn shown_slot(&self, slot: Slot) -> ShownTrack {
        let (provider, index, delimiter) = match slot {
            Slot::Queue(_) => (Provider::Queue, None, None),
            Slot::Context(at) => (Provider::Context, self.lineup.context.index(at), None),
            Slot::Autoplay(_) => (Provider::Autoplay, None, None),
            Slot::Delimiter(round) => (Provider::Context, None, Some(round)),
        };
        let entry = self.lineup.entry(slot);
        let uri = entry.map_or_else(|| "spotify:delimiter".to_owned(), |e| e.uri.to_string());
        ShownTrack {
            uri,
            uid: self.lineup.uid(slot),
            provider,
            index: index.map(|index| index as u32),
            delimiter,
            barred: entry.and_then(|entry| self.lineup.barred(&entry.uri)),
        }
    }

    /// The place in the context: of the track, or of the one before those of the queue.
    fn index(&self) -> Option<u32> {
        if self.is_autoplay() {
            return None;
        }
        let cursor = self.lineup.cursor();
        let here = cursor.and_then(|at| self.lineup.context.index(at));
        here.map(|index| index as u32)
    }

    /// Tells those who listen, if there is news.
    pub(super) fn tell(&mut self) {
        if !std::mem::take(&mut self.touched) {
            return;
        }
        self.publish();
        if self.is_active() {
            self.put(PutReason::StateChanged);
        }
    }

    pub(super) fn publish(&mut self) {
        let playback = self.playback();
        self.published_tick = self.now.tick_ms;
        if self.published.as_ref() != Some(&playback) {
            self.push(Action::Publish(Box::new(playback.clone())));
            self.published = Some(playback);
        }
    }

    /// What plays, as the house knows it.
    pub fn playback(&self) -> Playback {
        let item = self.lineup.current();
        let modes = self.lineup.modes();
        let context = &self.lineup.context;
        let uris = self.lineup.queue().take(MAX_TOLD);
        let queue: Vec<_> = uris.map(|entry| entry.uri.to_string()).collect();
        let next = self.neighbours(self.lineup.upcoming(MAX_NEIGHBOURS));
        Playback {
            state: match self.phase {
                Phase::Idle if self.halted => PlayState::Paused,
                Phase::Idle => PlayState::Stopped,
                Phase::Playing => PlayState::Playing,
                Phase::Loading | Phase::Waiting if self.want_play => PlayState::Loading,
                Phase::Loading | Phase::Waiting | Phase::Paused => PlayState::Paused,
            },
            track: item.map(|item| match &self.described {
                Some(track) => (**track).clone(),
                None => unknown(&item.entry),
            }),
            context: Some(context.uri.clone()).filter(|uri| !uri.is_empty()),
            context_name: name(&context.metadata),
            index: self.index(),
            position_ms: self.position_ms(),
            at_ms: self.now.unix_ms,
            shuffle: modes.shuffle,
            repeat: match (modes.repeat_context, modes.repeat_track) {
                (_, true) => Repeat::Track,
                (true, false) => Repeat::Context,
                (false, false) => Repeat::Off,
            },
            volume: self.volume,
            active: self.is_active(),
            queue_revision: told_revision(&queue, &next),
            queue,
            next,
            restrictions: self.restrictions(),
            previous: self.neighbours(self.lineup.previous(PREVIOUS)),
            sleep: self.sleep_timer(),
            sleep_fade_ms: self.rest.fade_ms(),
            place: item.map(|item| self.place(item)).unwrap_or_default(),
        }
    }

    fn neighbours(&self, slots: Vec<Slot>) -> Vec<Neighbour> {
        let told = slots.into_iter().filter_map(|slot| {
            let source = match slot {
                Slot::Queue(_) => Source::Queue,
                Slot::Context(_) => Source::Context,
                Slot::Autoplay(_) => Source::Autoplay,
                Slot::Delimiter(_) => return None,
            };
            let uri = self.lineup.entry(slot)?.uri.to_string();
            Some(Neighbour { uri, source })
        });
        told.collect()
    }

    fn place(&self, item: &Item) -> Place {
        let context = &self.lineup.context;
        let from_queue = item.provider == Provider::Queue;
        let uid = match self.lineup.cursor().and_then(|at| context.at(at)) {
            Some(entry) if from_queue => entry.uid.to_string(),
            _ if from_queue => String::new(),
            _ => item.entry.uid.to_string(),
        };
        let (mut list, mut list_from) = (Vec::new(), 0);
        if context.is_told {
            let here = self.index().unwrap_or(0) as usize;
            if context.len() > MAX_TOLD {
                list_from = here.saturating_sub(LIST_BEFORE);
            }
            let around = context.entries().iter().skip(list_from).take(MAX_TOLD);
            list = around.map(|entry| entry.uri.to_string()).collect();
        }
        Place {
            uid,
            from_queue,
            shuffle_seed: context.key().map(|key| key.seed),
            shuffle_first: context.key().and_then(|key| key.first),
            list,
            list_from: list_from as u32,
            held: self.held,
        }
    }
}

/// A track of which only the name is known.
fn unknown(entry: &Entry) -> Track {
    Track {
        uri: entry.uri.to_string(),
        title: String::new(),
        artists: Vec::new(),
        album_artists: Vec::new(),
        album: String::new(),
        duration_ms: 0,
        explicit: false,
        covers: Vec::new(),
        kind: TrackKind::of(&entry.uri.to_string()),
        stream: None,
    }
}

/// What people call a context, as the service says *(seen in answers of context-resolve)*.
fn name(metadata: &[(String, String)]) -> Option<String> {
    let mut metadata = metadata.iter();
    let (_, name) = metadata.find(|(key, _)| key == "context_description")?;
    Some(name.clone()).filter(|name| !name.is_empty())
}

/// Over what remotes are told of the queue.
fn told_revision(queue: &[String], next: &[Neighbour]) -> String {
    let queued = queue.iter().flat_map(|uri| uri.bytes());
    let next = next
        .iter()
        .flat_map(|one| one.uri.bytes().chain([one.source as u8]));
    format!("{:016x}", fnv(queued.chain([0]).chain(next)))
}

fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// FNV-1a over what comes.
fn revision(next: &[ShownTrack]) -> String {
    let bytes = next
        .iter()
        .flat_map(|track| track.uri.bytes().chain(track.uid.bytes()));
    fnv(bytes).to_string()
}

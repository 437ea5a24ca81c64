//! What plays, what comes, and what was: queue, context and what the service adds after it.

mod changes;

use std::collections::{HashMap, VecDeque};

use super::{
    chance::Chance,
    context::{Context, ShuffleKey, TRACKS_AHEAD},
    input::{SkipTo, Why},
    uri::{Entry, Uid, Uri},
};

/// A listener who queues more than this has a playlist.
pub const MAX_QUEUE: usize = 500;

/// Tracks known not to play. More are forgotten; asking again costs one request.
const MAX_BAD: usize = 2_000;

/// Tracks after the end that are kept for going back.
const MAX_AUTOPLAY: usize = 500;

/// Where a track comes from, as connect-state calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Context,
    Queue,
    Autoplay,
}

/// What plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub entry: Entry,
    pub provider: Provider,
    /// Its index in the context, where it has one.
    pub index: Option<usize>,
}

/// A place among what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Queue(usize),
    /// A position of the context.
    Context(usize),
    Autoplay(usize),
    /// Between two rounds of the context: shown, not played.
    Delimiter(u32),
}

/// What moving on came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    To,
    /// More of the context is to come first.
    Wait,
    /// There is nothing more.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    pub shuffle: bool,
    pub repeat_context: bool,
    pub repeat_track: bool,
}

/// Enough of a lineup to come back to where it was.
#[derive(Debug, Clone)]
pub struct Mark {
    current: Option<Item>,
    cursor: Option<usize>,
    auto_at: Option<usize>,
    queue: VecDeque<Entry>,
}

#[derive(Debug, Clone)]
pub struct Lineup {
    pub context: Context,
    /// The position of the context's track that plays, or played before the queue's did.
    cursor: Option<usize>,
    queue: VecDeque<Entry>,
    current: Option<Item>,
    autoplay: Vec<Entry>,
    /// As `cursor`, among the tracks after the end.
    auto_at: Option<usize>,
    modes: Modes,
    bad: HashMap<Uri, Why>,
    queued: u64,
    chance: Chance,
}

impl Lineup {
    pub fn new(chance: Chance) -> Self {
        Self {
            context: Context::default(),
            cursor: None,
            queue: VecDeque::new(),
            current: None,
            autoplay: Vec::new(),
            auto_at: None,
            modes: Modes::default(),
            bad: HashMap::new(),
            queued: 0,
            chance,
        }
    }

    pub fn current(&self) -> Option<&Item> {
        self.current.as_ref()
    }

    pub fn modes(&self) -> Modes {
        self.modes
    }

    pub fn queue(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter()
    }

    /// The position that `Context::wanted_page` goes by.
    pub fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    fn plays(&self, uri: &Uri) -> bool {
        uri.is_playable() && !self.bad.contains_key(uri)
    }

    /// Why a track that stands in a list is never played, as far as that is known. Others find out
    /// when their turn comes.
    pub fn barred(&self, uri: &Uri) -> Option<Why> {
        let local = uri.is_local().then_some(Why::Local);
        self.bad.get(uri).copied().or(local)
    }

    /// Whether people are shown it in a list: grey, if it does not play.
    fn is_listed(&self, uri: &Uri) -> bool {
        uri.is_playable() || uri.is_local()
    }

    fn plays_at(&self, position: usize) -> bool {
        self.context
            .at(position)
            .is_some_and(|entry| self.plays(&entry.uri))
    }

    // What comes.

    /// What comes next, in order, at most so much of it.
    pub fn upcoming(&self, limit: usize) -> Vec<Slot> {
        self.ahead(limit, |uri| self.plays(uri))
    }

    /// The same with what is passed over, as people see it.
    pub fn listed_ahead(&self, limit: usize) -> Vec<Slot> {
        self.ahead(limit, |uri| self.is_listed(uri))
    }

    fn ahead(&self, limit: usize, fits: impl Fn(&Uri) -> bool) -> Vec<Slot> {
        let queue = (0..self.queue.len()).filter(|at| fits(&self.queue[*at].uri));
        let mut slots: Vec<_> = queue.map(Slot::Queue).take(limit).collect();
        if self.is_lost() {
            return slots;
        }
        let autoplay = |from: usize, slots: &mut Vec<Slot>| {
            let rest = (from..self.autoplay.len()).filter(|at| fits(&self.autoplay[*at].uri));
            let room = limit.saturating_sub(slots.len());
            slots.extend(rest.map(Slot::Autoplay).take(room));
        };
        if self.auto_at.is_some() && !self.modes.repeat_context {
            autoplay(self.auto_at.map_or(0, |at| at + 1), &mut slots);
            return slots;
        }
        let mut position = self.cursor.map_or(0, |at| at + 1);
        let (mut round, mut found) = (0, false);
        while slots.len() < limit {
            if let Some(entry) = self.context.at(position) {
                if fits(&entry.uri) {
                    slots.push(Slot::Context(position));
                }
                found |= self.plays(&entry.uri);
                position += 1;
            } else if !self.context.is_complete() {
                break;
            } else if self.modes.repeat_context {
                // A second empty-handed round would go on for ever.
                if self.context.is_empty() || (round > 0 && !found) {
                    break;
                }
                slots.push(Slot::Delimiter(round));
                (round, found, position) = (round + 1, false, 0);
            } else {
                if !self.autoplay.is_empty() {
                    slots.push(Slot::Delimiter(round));
                    autoplay(0, &mut slots);
                }
                break;
            }
        }
        slots
    }

    /// The track that follows, unless the current one is repeated.
    fn following(&self) -> Option<Slot> {
        let is_track = |slot: &Slot| !matches!(slot, Slot::Delimiter(_));
        self.upcoming(3).into_iter().find(is_track)
    }

    /// What plays is of the context, but not of the part that is known: what follows it is not
    /// known either.
    pub fn is_lost(&self) -> bool {
        self.cursor.is_none()
            && self.is_on(Provider::Context)
            && !self.context.is_empty()
            && !self.context.is_complete()
    }

    /// Whether anything is known to follow.
    pub fn has_next(&self) -> bool {
        self.following().is_some()
    }

    /// What plays after the current track ends by itself.
    pub fn next_uri(&self) -> Option<&Uri> {
        if self.modes.repeat_track
            && let Some(current) = &self.current
            && self.plays(&current.entry.uri)
        {
            return Some(&current.entry.uri);
        }
        self.entry(self.following()?).map(|entry| &entry.uri)
    }

    pub fn entry(&self, slot: Slot) -> Option<&Entry> {
        match slot {
            Slot::Queue(at) => self.queue.get(at),
            Slot::Context(position) => self.context.at(position),
            Slot::Autoplay(at) => self.autoplay.get(at),
            Slot::Delimiter(_) => None,
        }
    }

    /// The name of a place as the phone is told it: every place needs one, or lists cannot be
    /// sorted there.
    pub fn uid(&self, slot: Slot) -> String {
        let told = self.entry(slot).map(|entry| entry.uid.to_string());
        match (slot, told) {
            (_, Some(uid)) if !uid.is_empty() => uid,
            (Slot::Context(position), _) => {
                format!("i{}", self.context.index(position).unwrap_or_default())
            }
            (Slot::Autoplay(at), _) => format!("a{at}"),
            (Slot::Queue(at), _) => format!("p{at}"),
            (Slot::Delimiter(round), _) => format!("delimiter{round}"),
        }
    }

    /// What was played before, oldest first.
    pub fn previous(&self, limit: usize) -> Vec<Slot> {
        self.behind(limit, |uri| self.plays(uri))
    }

    /// The same with what was passed over, as people see it.
    pub fn listed_behind(&self, limit: usize) -> Vec<Slot> {
        self.behind(limit, |uri| self.is_listed(uri))
    }

    fn behind(&self, limit: usize, fits: impl Fn(&Uri) -> bool) -> Vec<Slot> {
        let fits = |slot: &Slot| self.entry(*slot).is_some_and(|entry| fits(&entry.uri));
        let here = usize::from(!self.is_on(Provider::Queue));
        let chosen = self.auto_at.map_or(0, |at| (at + 1).saturating_sub(here));
        let here = if self.auto_at.is_some() { 0 } else { here };
        let first = self.cursor.map_or(0, |at| self.context.first_heard(at));
        let own = self.cursor.map_or(0, |at| (at + 1).saturating_sub(here));
        let chosen = (0..chosen).rev().map(Slot::Autoplay);
        let own = (first..own).rev().map(Slot::Context);
        let mut slots: Vec<_> = chosen.chain(own).filter(fits).take(limit).collect();
        slots.reverse();
        slots
    }

    fn is_on(&self, provider: Provider) -> bool {
        self.current
            .as_ref()
            .is_some_and(|item| item.provider == provider)
    }

    // Moving.

    fn take(&mut self, slot: Slot) {
        match slot {
            Slot::Queue(at) => {
                self.queue.drain(..at);
                self.current = self.queue.pop_front().map(|entry| Item {
                    entry,
                    provider: Provider::Queue,
                    index: None,
                });
            }
            Slot::Context(position) => {
                self.auto_at = None;
                self.cursor = Some(position);
                self.current = self.context.at(position).map(|entry| Item {
                    entry: entry.clone(),
                    provider: Provider::Context,
                    index: self.context.index(position),
                });
            }
            Slot::Autoplay(at) => {
                self.auto_at = Some(at);
                self.current = self.autoplay.get(at).map(|entry| Item {
                    entry: entry.clone(),
                    provider: Provider::Autoplay,
                    index: None,
                });
            }
            Slot::Delimiter(_) => {}
        }
    }

    /// To what comes next. `by_itself`: the track is over, so a repeated one begins again.
    pub fn advance(&mut self, by_itself: bool) -> Moved {
        if by_itself
            && self.modes.repeat_track
            && self
                .current
                .as_ref()
                .is_some_and(|item| self.plays(&item.entry.uri))
        {
            return Moved::To;
        }
        match self.following() {
            Some(slot) => {
                self.take(slot);
                Moved::To
            }
            None if !self.context.is_complete() && self.auto_at.is_none() => Moved::Wait,
            None => Moved::End,
        }
    }

    /// To this track among those that come: by its place, by its URI. False when it does not come.
    pub fn jump(&mut self, wanted: &Entry) -> bool {
        let shown = self.upcoming(TRACKS_AHEAD);
        let uid = wanted.uid.to_string();
        let by_place = |slot: &&Slot| {
            let is_track = !matches!(slot, Slot::Delimiter(_));
            is_track && !uid.is_empty() && self.uid(**slot) == uid
        };
        let by_uri = |slot: &&Slot| self.entry(**slot).is_some_and(|e| e.uri == wanted.uri);
        let found = shown
            .iter()
            .find(by_place)
            .or_else(|| shown.iter().find(by_uri))
            .copied()
            .or_else(|| self.find_later(wanted));
        if let Some(slot) = found {
            self.take(slot);
        }
        found.is_some()
    }

    /// In the part of the context that is too far away to be shown.
    fn find_later(&self, wanted: &Entry) -> Option<Slot> {
        let from = self.cursor.map_or(0, |at| at + 1);
        let is_it = |position: &usize| {
            self.plays_at(*position)
                && self.context.at(*position).is_some_and(|entry| {
                    entry.uri == wanted.uri || (!wanted.uid.is_empty() && entry.uid == wanted.uid)
                })
        };
        (from..self.context.len()).find(is_it).map(Slot::Context)
    }

    /// To what was played before. False when there is nothing.
    pub fn back(&mut self) -> bool {
        let found = self.previous(1).pop().or_else(|| {
            let around = self.modes.repeat_context && self.context.is_complete();
            let last = || (0..self.context.len()).rev().find(|at| self.plays_at(*at));
            last().filter(|_| around).map(Slot::Context)
        });
        if let Some(slot) = found {
            self.take(slot);
        }
        found.is_some()
    }

    /// The end was reached: the first track waits, as Spotify has it.
    pub fn rewind(&mut self) {
        self.auto_at = None;
        self.autoplay.clear();
        let first = (0..self.context.len()).find(|at| self.plays_at(*at));
        if let Some(first) = first {
            self.take(Slot::Context(first));
        }
    }

    pub fn mark(&self) -> Mark {
        Mark {
            current: self.current.clone(),
            cursor: self.cursor,
            auto_at: self.auto_at,
            queue: self.queue.clone(),
        }
    }

    pub fn return_to(&mut self, mark: Mark) {
        self.current = mark.current;
        self.cursor = mark.cursor.filter(|at| *at < self.context.len());
        self.auto_at = mark.auto_at.filter(|at| *at < self.autoplay.len());
        self.queue = mark.queue;
    }

    // Beginning.

    /// Another context, nothing of it playing yet. The queue stays: it is the listener's.
    pub fn begin(&mut self, context: Context) {
        self.context = context;
        self.cursor = None;
        self.current = None;
        self.autoplay.clear();
        self.auto_at = None;
        self.bad.clear();
    }

    /// This plays, whatever the context says; its place is found when the context is known.
    pub fn play_named(&mut self, entry: Entry, provider: Provider, index: Option<usize>) {
        let index = index.filter(|_| provider == Provider::Context);
        if provider == Provider::Autoplay {
            self.autoplay = vec![entry.clone()];
            self.auto_at = Some(0);
        }
        self.current = Some(Item {
            entry,
            provider,
            index,
        });
    }

    /// The context is known now, or anew: what plays goes on and finds its place in it.
    /// `anchor` names the place of a track that is not (or not yet) the context's own.
    pub fn adopt(&mut self, context: Context, anchor: Option<&Uid>) {
        let key = self.context.key();
        let before = self.cursor.and_then(|at| {
            let index = self.context.index(at)?;
            Some((index, self.context.at(at)?.clone()))
        });
        let place = |context: &Context| {
            if let Some(index) = anchor.and_then(|uid| context.find(uid, &Uri::new(""), None)) {
                return Some(index);
            }
            let item = self.current.as_ref()?;
            if item.provider == Provider::Context {
                let (uid, uri) = (&item.entry.uid, &item.entry.uri);
                // Of which page that was, is known only where there is one.
                let told = item
                    .index
                    .filter(|index| *index < context.len() && context.is_complete());
                return context.find(uid, uri, item.index).or(match &before {
                    // It was taken out: what came after it stands there now.
                    Some((index, _)) => index.checked_sub(1),
                    None => told,
                });
            }
            let (index, entry) = before.as_ref()?;
            let found = context.find(&entry.uid, &entry.uri, Some(*index));
            found.or(index.checked_sub(1))
        };
        let place = place(&context).map(|index| index.min(context.len().saturating_sub(1)));
        let place = place.filter(|_| !context.is_empty());
        match self.cursor {
            // Nobody wants to hear again what he has heard because the list has grown by one.
            Some(at) if self.modes.shuffle && self.context.is_shuffled() && anchor.is_none() => {
                let old = std::mem::replace(&mut self.context, context);
                self.cursor = self.context.shuffle_as(&old, at, &mut self.chance);
            }
            _ => {
                self.context = context;
                self.settle_at(place, key);
            }
        }
        self.name_place();
    }

    /// What plays is called as its place in the context is.
    fn name_place(&mut self) {
        if self.is_lost() {
            return;
        }
        if let Some(item) = &mut self.current
            && item.provider == Provider::Context
        {
            item.index = self.cursor.and_then(|at| self.context.index(at));
            let here = self.cursor.and_then(|at| self.context.at(at));
            if let Some(entry) = here
                && entry.uri == item.entry.uri
            {
                item.entry.uid = entry.uid.clone();
            }
        }
    }

    /// Looks for the place of what plays in what has come of the context by now.
    fn find_place(&mut self) {
        let item = self.current.as_ref().map(|item| (&item.entry, item.index));
        let found =
            item.and_then(|(entry, index)| self.context.find(&entry.uid, &entry.uri, index));
        if let Some(index) = found {
            self.settle_at(Some(index), self.context.key());
            self.name_place();
        }
    }

    /// Stands at this index, in the order that the modes ask for.
    fn settle_at(&mut self, index: Option<usize>, old: Option<ShuffleKey>) {
        if self.modes.shuffle {
            let seed = old.map_or_else(|| self.chance.next(), |key| key.seed);
            let first = index.map(|index| index as u32);
            self.context.shuffle(ShuffleKey { seed, first });
            self.cursor = index.map(|_| 0);
        } else {
            self.context.unshuffle();
            self.cursor = index;
        }
    }

    /// Whether the place that `skip_to` names is known, or is not going to be.
    pub fn reaches(&self, skip_to: &SkipTo) -> bool {
        let SkipTo { uid, uri, index } = skip_to;
        let names_none = !skip_to.is_named() && index.is_none();
        let is_known = |index: u32| (index as usize) < self.context.len();
        let within = index.is_some_and(is_known) && !skip_to.is_named();
        let find = || {
            let none = (Uid::default(), Uri::new(""));
            let (uid, uri) = (uid.as_ref(), uri.as_ref());
            let (uid, uri) = (uid.unwrap_or(&none.0), uri.unwrap_or(&none.1));
            self.context.find(uid, uri, None).is_some()
        };
        names_none || self.context.is_complete() || within || find()
    }

    /// Begins the context that is known where `skip_to` says: at its beginning if that says
    /// nothing, anywhere while shuffled. False when nothing of it can be played.
    pub fn start(&mut self, skip_to: &SkipTo) -> bool {
        let none = (Uid::default(), Uri::new(""));
        let uid = skip_to.uid.as_ref().unwrap_or(&none.0);
        let uri = skip_to.uri.as_ref().unwrap_or(&none.1);
        let hint = skip_to.index.map(|index| index as usize);
        let within = |index: &usize| *index < self.context.len();
        let told = self.context.find(uid, uri, hint).or(hint.filter(within));
        let index = match told {
            Some(index) => index,
            None if self.modes.shuffle => self.chance.below(self.context.len()),
            None => 0,
        };
        self.auto_at = None;
        self.settle_at((!self.context.is_empty()).then_some(index), None);
        let Some(cursor) = self.cursor else {
            return false;
        };
        if self.plays_at(cursor) {
            self.take(Slot::Context(cursor));
            return true;
        }
        // Grey, or of the phone only: the next one that plays. The queue waits until then.
        let next = (cursor..self.context.len()).find(|at| self.plays_at(*at));
        if let Some(position) = next {
            self.take(Slot::Context(position));
        }
        next.is_some()
    }
}

//! What listeners change of a lineup: modes, the queue, the order of what comes.

use std::collections::{HashSet, VecDeque};

use super::{Lineup, MAX_AUTOPLAY, MAX_BAD, MAX_QUEUE, Provider, Slot};
use crate::connect::{
    context::{Context, ShuffleKey, TRACKS_AHEAD},
    input::{Options, Page, Provided, Why},
    uri::{Entry, Uid, Uri},
};

impl Lineup {
    pub fn set_shuffle(&mut self, on: bool) {
        if self.modes.shuffle == on {
            return;
        }
        self.modes.shuffle = on;
        let index = self.cursor.and_then(|at| self.context.index(at));
        self.settle_at(index, None);
    }

    /// Puts a shuffled context into an order that it had before.
    pub fn reshuffle(&mut self, key: ShuffleKey, index: usize) {
        self.modes.shuffle = true;
        self.context.shuffle(key);
        self.cursor = self.context.position(index);
    }

    /// Nothing more is going to be known of this list: what plays stands at this index, or, from the
    /// queue, came in between behind it.
    pub fn take_up(&mut self, context: Context, index: Option<usize>, key: Option<ShuffleKey>) {
        let index = index.filter(|at| *at < context.len());
        self.context = context;
        match (key, index) {
            (Some(key), Some(index)) => self.reshuffle(key, index),
            _ => self.settle_at(index, None),
        }
        self.name_place();
    }

    pub fn set_repeat(&mut self, context: Option<bool>, track: Option<bool>) {
        self.modes.repeat_context = context.unwrap_or(self.modes.repeat_context);
        self.modes.repeat_track = track.unwrap_or(self.modes.repeat_track);
    }

    pub fn set_options(&mut self, options: Options) {
        self.set_repeat(options.repeat_context, options.repeat_track);
        if let Some(on) = options.shuffle {
            self.set_shuffle(on);
        }
    }

    /// False when the queue is full, or this cannot be played.
    pub fn enqueue(&mut self, uri: Uri) -> bool {
        if self.queue.len() >= MAX_QUEUE || !uri.is_playable() {
            return false;
        }
        let uid = self.queue_uid();
        self.queue.push_back(Entry { uri, uid });
        true
    }

    fn queue_uid(&mut self) -> Uid {
        let uid = Uid::new(&format!("q{}", self.queued));
        self.queued += 1;
        uid
    }

    /// What comes, as an app put it in order. What it does not name of what it was shown is not
    /// played this time.
    pub fn set_queue(&mut self, next: Vec<Provided>) {
        // Apps give back what they were shown: also what is passed over.
        let shown = self.listed_ahead(TRACKS_AHEAD);
        let places: Vec<_> = shown.iter().map(|slot| (self.uid(*slot), *slot)).collect();
        let (mut queue, mut chosen, mut after) = (VecDeque::new(), Vec::new(), Vec::new());
        for Provided { mut entry, queued } in next {
            if entry.uri.is_empty() {
                // Dragging the current track sends an entry without a name.
                let Some(current) = &self.current else {
                    continue;
                };
                entry.uri = current.entry.uri.clone();
            }
            let uid = entry.uid.to_string();
            let place = places.iter().find(|(name, _)| *name == uid && !queued);
            match place {
                Some((_, Slot::Context(at))) => chosen.extend(self.context.index(*at)),
                Some((_, Slot::Autoplay(at))) => after.push(*at),
                _ if !entry.uri.is_playable() || queue.len() >= MAX_QUEUE => {}
                // The app had not heard yet that it plays, or has played.
                None if !queued && self.has_passed(&entry.uid) => {}
                _ => {
                    if !uid.starts_with('q') {
                        entry.uid = self.queue_uid();
                    }
                    queue.push_back(entry);
                }
            }
        }
        self.queue = queue;
        self.order_context(&shown, &chosen);
        let known: Vec<_> = shown
            .iter()
            .filter_map(|slot| match slot {
                Slot::Autoplay(at) => Some(*at),
                _ => None,
            })
            .collect();
        if known != after {
            let kept: Vec<_> = after.iter().map(|at| self.autoplay[*at].clone()).collect();
            let from = known.iter().min().copied().unwrap_or(self.autoplay.len());
            self.autoplay.truncate(from);
            self.autoplay.extend(kept);
        }
    }

    /// Whether the context has a place of this name, and that is not one that comes.
    fn has_passed(&self, uid: &Uid) -> bool {
        let index = self.context.find(uid, &Uri::new(""), None);
        let position = index.and_then(|index| self.context.position(index));
        position.is_some_and(|at| self.cursor.is_some_and(|cursor| at <= cursor))
    }

    fn order_context(&mut self, shown: &[Slot], chosen: &[usize]) {
        let first_round = shown
            .iter()
            .take_while(|slot| !matches!(slot, Slot::Delimiter(_)));
        let positions: Vec<_> = first_round
            .filter_map(|slot| match slot {
                Slot::Context(at) => Some(*at),
                _ => None,
            })
            .collect();
        let mut seen = HashSet::new();
        let chosen: Vec<u32> = chosen
            .iter()
            .map(|index| *index as u32)
            .filter(|index| seen.insert(*index))
            .collect();
        let known: Vec<u32> = positions
            .iter()
            .filter_map(|at| self.context.index(*at).map(|index| index as u32))
            .collect();
        // Behind the delimiter stand tracks that were played in this round: not taken out, only
        // not reached again.
        let same = chosen.len() >= known.len() && chosen[..known.len()] == known[..];
        if same || positions.is_empty() {
            return;
        }
        let chosen: Vec<_> = chosen
            .into_iter()
            .filter(|index| known.contains(index))
            .collect();
        let from = self.cursor.map_or(0, |at| at + 1);
        let window = positions.last().map_or(0, |last| last + 1 - from);
        let here = self.cursor.and_then(|at| self.context.index(at));
        self.context.rearrange(self.cursor, &chosen, window);
        // Without a place to stand at, what was taken out would come first.
        let dropped = window - chosen.len();
        self.cursor = match here {
            Some(index) => self.context.position(index),
            None => dropped.checked_sub(1),
        };
    }

    /// More of the context.
    pub fn append(&mut self, pages: Vec<Page>) {
        let had_none = self.cursor.is_none() && !self.context.is_empty();
        self.context.append(pages, self.cursor);
        if had_none && self.is_on(Provider::Context) {
            self.find_place();
        }
    }

    /// Nothing is to go on after the end any more. Whether there was something.
    pub fn drop_autoplay(&mut self) -> bool {
        let before = self.autoplay.len();
        self.autoplay.truncate(self.auto_at.map_or(0, |at| at + 1));
        self.autoplay.len() < before
    }

    /// Explicit tracks may be played again. Whether there were any.
    pub fn forgive_explicit(&mut self) -> bool {
        let before = self.bad.len();
        self.bad.retain(|_, why| *why != Why::Explicit);
        self.bad.len() < before
    }

    /// What goes on after the end.
    pub fn add_autoplay(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let room = MAX_AUTOPLAY.saturating_sub(self.autoplay.len());
        self.autoplay.extend(entries.into_iter().take(room));
        // What was played long ago makes room for what comes.
        if room == 0
            && let Some(at) = self.auto_at
        {
            let old = at.saturating_sub(MAX_AUTOPLAY / 10);
            self.autoplay.drain(..old);
            self.auto_at = Some(at - old);
        }
    }

    /// Tracks that are left before something has to be added; `None` while that is not the case.
    pub fn left_before_autoplay(&self) -> Option<usize> {
        if self.modes.repeat_context || !self.context.is_complete() || self.current.is_none() {
            return None;
        }
        let is_track = |slot: &&Slot| !matches!(slot, Slot::Delimiter(_));
        Some(self.upcoming(10).iter().filter(is_track).count())
    }

    /// What could not be played may be tried again.
    pub fn forgive(&mut self) {
        self.bad.clear();
    }

    /// This is not to be tried again while this context plays.
    pub fn mark_bad(&mut self, uri: &Uri, why: Why) {
        if self.bad.len() < MAX_BAD {
            self.bad.insert(uri.clone(), why);
        }
    }
}

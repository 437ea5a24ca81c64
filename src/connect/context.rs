//! What is played from: a list in its own order, the order it is played in, and the pages that are
//! not here yet.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::Restriction;

use super::{
    chance::Chance,
    input::{Listing, Page},
    uri::{Entry, Uid, Uri},
};

/// The longest playlist holds 10,000; only somebody's own collection is longer. A track takes
/// 52 bytes here, so this is one megabyte.
pub const MAX_TRACKS: usize = 20_000;

/// Pages that may be waited for.
const MAX_PAGES: usize = 1_000;

/// Things to know about a context that are passed on to the phone.
const MAX_METADATA: usize = 64;
const MAX_METADATA_LEN: usize = 1_024;

/// Pages that are to be known beyond the one that plays.
const PAGES_AHEAD: usize = 2;

/// Tracks that are to be known in any case: as many as the phone shows.
pub const TRACKS_AHEAD: usize = 80;

/// The longest address that is kept.
const MAX_URI: usize = 1_024;

/// Makes the shuffled order again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleKey {
    pub seed: u64,
    /// The index of the track that comes first.
    pub first: Option<u32>,
}

/// Places in the list are called index (in its own order) or position (in the order of playing).
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Empty for none and for a bare list of tracks.
    pub uri: String,
    pub url: String,
    pub metadata: Vec<(String, String)>,
    pub restrictions: Vec<Restriction>,
    /// Nobody but the app knows this list, or this order of it: the service cannot be asked.
    pub is_told: bool,
    entries: Vec<Entry>,
    /// Indices in the order of playing; `None` while that is the list's own.
    order: Option<Vec<u32>>,
    key: Option<ShuffleKey>,
    /// `key` makes the order no more: the list has changed since.
    moved: bool,
    /// So many positions, from the first on, were taken out of this round: nobody has heard them.
    left_out: usize,
    /// The index each page begins at.
    pages: Vec<u32>,
    ahead: VecDeque<String>,
}

impl Context {
    pub fn new(listing: Listing) -> Self {
        let is_list = is_list(&listing.uri);
        let short = |text: &String| text.len() <= MAX_METADATA_LEN;
        let mut context = Self {
            is_told: !can_be_resolved(&listing.uri),
            uri: if is_list || listing.uri.len() > MAX_URI {
                String::new()
            } else {
                listing.uri
            },
            url: listing.url,
            metadata: listing
                .metadata
                .into_iter()
                .filter(|(key, value)| short(key) && short(value))
                .take(MAX_METADATA)
                .collect(),
            restrictions: listing.restrictions,
            ..Self::default()
        };
        context.append(listing.pages, None);
        context
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the end of the list is the end of the context.
    pub fn is_complete(&self) -> bool {
        self.ahead.is_empty()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What makes the order again; `None` while it is the list's own, and for one that grew.
    pub fn key(&self) -> Option<ShuffleKey> {
        self.key.filter(|_| !self.moved)
    }

    pub fn is_shuffled(&self) -> bool {
        self.key.is_some()
    }

    /// The index of what is played at this position.
    pub fn index(&self, position: usize) -> Option<usize> {
        match &self.order {
            Some(order) => order.get(position).map(|index| *index as usize),
            None => (position < self.len()).then_some(position),
        }
    }

    pub fn at(&self, position: usize) -> Option<&Entry> {
        self.entries.get(self.index(position)?)
    }

    pub fn position(&self, index: usize) -> Option<usize> {
        match &self.order {
            Some(order) => order.iter().position(|at| *at as usize == index),
            None => (index < self.len()).then_some(index),
        }
    }

    /// The index of a track: by the name of its place, by the track (at `hint`, if it stands
    /// there, as lists may hold a track twice).
    pub fn find(&self, uid: &Uid, uri: &Uri, hint: Option<usize>) -> Option<usize> {
        if !uid.is_empty()
            && let Some(index) = self.entries.iter().position(|entry| entry.uid == *uid)
        {
            return Some(index);
        }
        let is_it = |index: &usize| self.entries.get(*index).is_some_and(|e| e.uri == *uri);
        if uri.is_empty() {
            return None;
        }
        hint.filter(is_it)
            .or_else(|| self.entries.iter().position(|entry| entry.uri == *uri))
    }

    /// Takes what a page holds, while the position `at` plays; what it only promises is asked for
    /// later.
    pub fn append(&mut self, pages: Vec<Page>, at: Option<usize>) {
        let known = self.len();
        for page in pages {
            let room = MAX_TRACKS - self.len();
            let next = if page.tracks.is_empty() {
                page.url.or(page.next_url)
            } else {
                self.pages.push(self.len() as u32);
                self.entries.extend(page.tracks.into_iter().take(room));
                page.next_url
            };
            let next = next.filter(|url| !url.is_empty() && url.len() <= MAX_URI);
            if self.len() < MAX_TRACKS && self.ahead.len() < MAX_PAGES {
                self.ahead.extend(next);
            }
        }
        if self.len() == MAX_TRACKS {
            self.ahead.clear();
        }
        let new = known as u32..self.len() as u32;
        match (&mut self.order, self.key) {
            (None, _) => {}
            (Some(order), None) => order.extend(new),
            (Some(order), Some(key)) => {
                // What the phone shows already stays as it is shown; the rest is mixed anew.
                let from = (at.unwrap_or(0) + TRACKS_AHEAD + 1).min(order.len());
                order.extend(new);
                Chance::new(key.seed ^ known as u64).shuffle(&mut order[from..]);
            }
        }
    }

    /// The page to be asked for next, when this position is what plays.
    pub fn wanted_page(&self, position: Option<usize>) -> Option<&str> {
        let next = self.ahead.front()?;
        let rest = self.len().saturating_sub(position.map_or(0, |at| at + 1));
        let index = position.and_then(|at| self.index(at)).unwrap_or(0) as u32;
        let later = self.pages.iter().filter(|start| **start > index).count();
        let enough = later >= PAGES_AHEAD && rest >= TRACKS_AHEAD && self.key.is_none();
        (!enough).then_some(next)
    }

    /// The next page there is.
    pub fn next_page(&self) -> Option<&str> {
        self.ahead.front().map(String::as_str)
    }

    /// The page that is being asked for has come, or never will.
    pub fn page_done(&mut self) {
        self.ahead.pop_front();
    }

    /// Mixes the list; `first` begins. The position of `first` is 0 then.
    pub fn shuffle(&mut self, key: ShuffleKey) {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        let first = key.first.filter(|first| (*first as usize) < order.len());
        if let Some(first) = first {
            order.swap(0, first as usize);
        }
        let from = usize::from(first.is_some());
        Chance::new(key.seed).shuffle(&mut order[from..]);
        self.order = Some(order);
        self.key = Some(key);
        self.moved = false;
        self.left_out = 0;
    }

    /// The first position that may have been heard when this one is: what was taken out before it is
    /// only there for the next round.
    pub fn first_heard(&self, position: usize) -> usize {
        match position < self.left_out {
            true => 0,
            false => self.left_out,
        }
    }

    /// Goes on in the shuffled order of `old`, a list that has changed into this one: what both
    /// hold keeps its turn, what is new is mixed into what comes after the position `at`. Returns
    /// the position in the new order.
    pub fn shuffle_as(&mut self, old: &Self, at: usize, chance: &mut Chance) -> Option<usize> {
        let mut by_uid = HashMap::new();
        let mut by_uri: HashMap<&Uri, VecDeque<u32>> = HashMap::new();
        for (index, entry) in (0u32..).zip(&self.entries) {
            if !entry.uid.is_empty() {
                by_uid.entry(&entry.uid).or_insert(index);
            }
            by_uri.entry(&entry.uri).or_default().push_back(index);
        }
        let mut is_new = vec![true; self.len()];
        let mut find = |entry: &Entry| {
            let same = by_uid.get(&entry.uid).copied();
            let free = |index: &u32| is_new[*index as usize];
            let index = same.filter(free).or_else(|| {
                let equal = by_uri.get_mut(&entry.uri)?;
                std::iter::from_fn(|| equal.pop_front()).find(free)
            })?;
            is_new[index as usize] = false;
            Some(index)
        };
        let mut was: Vec<u32> = Vec::with_capacity(self.entries.len());
        let mut here = 0;
        for position in 0..old.len() {
            if position == old.left_out {
                self.left_out = was.len();
            }
            if let Some(entry) = old.at(position) {
                was.extend(find(entry));
            }
            if position == at {
                here = was.len();
            }
        }
        let new = (0..self.len() as u32).filter(|index| is_new[*index as usize]);
        let (mut new, comes) = (new.collect::<Vec<_>>(), was.split_off(here));
        chance.shuffle(&mut new);
        let mut turns = vec![false; comes.len()];
        turns.resize(comes.len() + new.len(), true);
        chance.shuffle(&mut turns);
        let (mut comes, mut new) = (comes.into_iter(), new.into_iter());
        let next = turns.iter().filter_map(|is_new| match is_new {
            true => new.next(),
            false => comes.next(),
        });
        was.extend(next);
        self.order = Some(was);
        self.key = old.key;
        self.moved = true;
        here.checked_sub(1)
    }

    /// Back to the list's own order.
    pub fn unshuffle(&mut self) {
        self.order = None;
        self.key = None;
        self.moved = false;
        self.left_out = 0;
    }

    /// An app put what comes in another order: after `position` come exactly `chosen` (indices),
    /// then what followed behind `window` positions. What is left out comes in the next round only.
    pub fn rearrange(&mut self, position: Option<usize>, chosen: &[u32], window: usize) {
        let order: Vec<u32> = match self.order.take() {
            Some(order) => order,
            None => (0..self.len() as u32).collect(),
        };
        let split = position.map_or(0, |at| at + 1).min(order.len());
        let end = (split + window).min(order.len());
        let taken: HashSet<u32> = chosen.iter().copied().collect();
        let free = |index: &&u32| !taken.contains(index);
        let current = position.and_then(|at| order.get(at).copied());
        let mut new: Vec<u32> = order[split..end].iter().filter(free).copied().collect();
        self.left_out += new.len();
        let past = order[..split].iter();
        new.extend(past.filter(|index| free(index) && Some(**index) != current));
        new.extend(current);
        let mut seen: HashSet<u32> = current.into_iter().collect();
        let valid = |index: &&u32| (**index as usize) < order.len();
        new.extend(
            chosen
                .iter()
                .filter(valid)
                .filter(|index| seen.insert(**index)),
        );
        new.extend(order[end..].iter().filter(free));
        self.order = Some(new);
    }
}

/// Whether `part` stands in `all` in the same order; what is not in it does not count.
pub fn in_order(part: &[Entry], all: &[&Entry]) -> bool {
    let mut places: HashMap<&Uri, Vec<usize>> = HashMap::new();
    for (at, entry) in all.iter().enumerate() {
        places.entry(&entry.uri).or_default().push(at);
    }
    let mut from = 0;
    part.iter().all(|entry| {
        let Some(places) = places.get(&entry.uri) else {
            return true;
        };
        let at = places.iter().find(|at| **at >= from);
        from = at.map_or(from, |at| at + 1);
        at.is_some()
    })
}

/// What a list without a context is called towards connect-state: without any URI the official
/// apps freeze *(seen in librespot-connect)*.
pub const BARE_LIST: &str = "spotify:web-api";

/// Whether this is no more than a list of tracks.
pub fn is_list(uri: &str) -> bool {
    matches!(uri, "" | "-" | BARE_LIST)
}

/// Whether the service can be asked for it: it knows no searches by the name they have here.
pub fn can_be_resolved(uri: &str) -> bool {
    !is_list(uri) && !uri.starts_with("spotify:search") && uri != "spotify:unknown"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks(from: usize, count: usize) -> Vec<Entry> {
        let name = |n| Entry::new(&format!("spotify:track:{n:022}"), &format!("{n:08x}"));
        (from..from + count).map(name).collect()
    }

    fn page(from: usize, count: usize, next: Option<&str>) -> Page {
        Page {
            tracks: tracks(from, count),
            url: None,
            next_url: next.map(str::to_owned),
        }
    }

    fn context(pages: Vec<Page>) -> Context {
        Context::new(Listing {
            uri: "spotify:playlist:x".into(),
            pages,
            ..Listing::default()
        })
    }

    fn played(context: &Context) -> Vec<usize> {
        (0..context.len())
            .filter_map(|at| context.index(at))
            .collect()
    }

    #[test]
    fn a_shuffled_list_holds_every_track_once_and_is_restored_exactly() {
        let mut context = context(vec![page(0, 50, None)]);
        context.shuffle(ShuffleKey {
            seed: 3,
            first: Some(20),
        });
        let mut order = played(&context);
        assert_eq!(order[0], 20);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
        context.unshuffle();
        assert_eq!(played(&context), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn ten_thousand_tracks_come_by_pages_and_take_little_room() {
        let mut context = context(vec![page(0, 100, Some("hm://p/1"))]);
        let mut asked = 0;
        for number in 1..100 {
            // Listening moves on as pages come.
            let at = Some((number - 1) * 100 + 60);
            let Some(url) = context.wanted_page(at).map(str::to_owned) else {
                continue;
            };
            asked += 1;
            assert_eq!(url, format!("hm://p/{number}"));
            context.page_done();
            let next = (number < 99).then(|| format!("hm://p/{}", number + 1));
            context.append(vec![page(number * 100, 100, next.as_deref())], None);
        }
        assert_eq!((asked, context.len()), (99, 10_000));
        assert!(context.is_complete());
        let bytes = context.entries.capacity() * std::mem::size_of::<Entry>();
        assert!(bytes < 1_000_000, "{bytes}");
    }

    #[test]
    fn two_pages_ahead_are_asked_for_and_no_more() {
        let mut context = context(vec![page(0, 100, Some("1"))]);
        for next in ["2", "3"] {
            assert!(context.wanted_page(Some(10)).is_some());
            context.page_done();
            let from = context.len();
            context.append(vec![page(from, 100, Some(next))], None);
        }
        assert_eq!(context.wanted_page(Some(10)), None);
        assert_eq!(context.wanted_page(Some(110)), Some("3"));
    }

    #[test]
    fn pages_that_come_while_shuffled_change_nothing_that_is_shown() {
        let mut context = context(vec![page(0, 200, Some("1"))]);
        context.shuffle(ShuffleKey {
            seed: 5,
            first: Some(0),
        });
        let shown = played(&context)[..=TRACKS_AHEAD].to_vec();
        assert!(context.wanted_page(Some(0)).is_some(), "all of it is mixed");
        context.page_done();
        context.append(vec![page(200, 200, None)], None);
        let mut order = played(&context);
        assert_eq!(order[..=TRACKS_AHEAD], shown);
        assert!(order[TRACKS_AHEAD..200].iter().any(|index| *index >= 200));
        order.sort_unstable();
        assert_eq!(order, (0..400).collect::<Vec<_>>());
    }

    #[test]
    fn a_rearranged_list_plays_the_chosen_first_and_drops_none_for_good() {
        let mut context = context(vec![page(0, 10, None)]);
        context.rearrange(Some(2), &[5, 3], 4);
        let order = played(&context);
        assert_eq!(order, [4, 6, 0, 1, 2, 5, 3, 7, 8, 9]);
        assert_eq!(context.position(2), Some(4));
    }

    #[test]
    fn a_list_without_end_is_cut_off() {
        let pages = (0..30)
            .map(|n| page(n * 1_000, 1_000, Some("more")))
            .collect();
        let context = context(pages);
        assert_eq!(context.len(), MAX_TRACKS);
        assert!(context.is_complete());
    }
}

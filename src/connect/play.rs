//! Beginning to play: by an app's choice, by transfer from another device, and again after a loss.

use super::{
    Beginning, Connect, Entry, Listing, Phase, Play, SkipTo, Then, Transfer, Uid, Uri, Waiting,
    context::{Context, ShuffleKey, can_be_resolved, is_list},
    input::{Options, Page},
    lineup::Provider,
    replies::{Answer, Wants},
};
use crate::model::{MAX_TOLD, PlayState, Playback, Repeat};

/// A position that claims to have moved for longer than this was not a position.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1_000;

const EMPTY: &str = "there is nothing in it that can be played here";

impl Connect {
    pub(super) fn play(&mut self, play: Play) -> Answer {
        let has_tracks = play
            .context
            .pages
            .iter()
            .any(|page| !page.tracks.is_empty());
        let named = named(&play);
        if is_list(&play.context.uri) && !has_tracks && named.is_none() {
            return Answer::No("the command names nothing to play".to_owned());
        }
        if play.context.uri.starts_with("spotify:local-files") {
            return Answer::No("files of the phone cannot be played here".to_owned());
        }
        self.superseded();
        self.activate();
        // Who asks for it anew is not told what was wrong the last time.
        self.lineup.forgive();
        self.want_play = !play.paused;
        self.beginning = None;
        let position_ms = play.seek_to.unwrap_or(0);
        let uri = play.context.uri.clone();
        let known = !uri.is_empty() && uri == self.lineup.context.uri;
        let holds = known && self.holds(named.as_ref(), &play);
        self.origin = play.origin;
        if holds {
            // What is being asked about it is still of use.
            self.resolving
                .take_if(|it| matches!(it.then, Then::Start { .. }));
            self.lineup.set_options(play.options);
            return self.start(&play.skip_to, position_ms);
        }
        self.resolving = None;
        self.another_context(play.options);
        let context = Context::new(play.context);
        let here = context.find(
            play.skip_to.uid.as_ref().unwrap_or(&Uid::default()),
            play.skip_to.uri.as_ref().unwrap_or(&Uri::new("")),
            play.skip_to.index.map(|index| index as usize),
        );
        let index = play.skip_to.index.map(|index| index as usize);
        let by_index = !play.skip_to.is_named() && index.is_some_and(|at| at < context.len());
        let complete = !can_be_resolved(&uri);
        if complete && has_tracks || here.is_some() || by_index {
            // All of it, or enough of it, came with the command.
            self.lineup.begin(context);
            let answer = self.start(&play.skip_to, position_ms);
            if !complete {
                self.resolve(uri, Then::Extend);
            }
            return answer;
        }
        self.lineup.begin(Context::new(Listing {
            uri: uri.clone(),
            url: context.url,
            metadata: context.metadata,
            restrictions: context.restrictions,
            pages: Vec::new(),
        }));
        match named {
            Some(entry) => {
                self.lineup.play_named(entry, Provider::Context, index);
                if !complete {
                    self.resolve(uri, Then::Adopt { anchor: None });
                }
                self.load(position_ms)
            }
            None if complete => self.nothing_to_play(EMPTY),
            None => {
                self.wait_for(Waiting::Begin);
                self.set_position(position_ms);
                let skip_to = play.skip_to;
                self.resolve(
                    uri,
                    Then::Start {
                        skip_to,
                        position_ms,
                    },
                );
                Answer::Later(Wants::Begun)
            }
        }
    }

    /// Whether the context that is known already has what is wanted of it, in the order in which the
    /// app tells it, if it does.
    fn holds(&self, named: Option<&Entry>, play: &Play) -> bool {
        let context = &self.lineup.context;
        let mut told = play.context.pages.iter().flat_map(|page| &page.tracks);
        let mut known = context.entries().iter();
        let as_told = told.all(|entry| known.next().is_some_and(|it| it.uri == entry.uri));
        if context.is_empty() || !as_told {
            return false;
        }
        match (named, play.skip_to.index) {
            (Some(entry), _) => context.find(&entry.uid, &entry.uri, None).is_some(),
            (None, Some(index)) => (index as usize) < context.len(),
            (None, None) => true,
        }
    }

    /// Modes hold from the first track of another context on; what the app does not say stays.
    fn another_context(&mut self, options: Options) {
        self.lineup.begin(Context::default());
        self.lineup.set_options(options);
        self.paging = None;
        self.following = None;
        self.no_following = None;
    }

    /// Begins the context that is known.
    fn start(&mut self, skip_to: &SkipTo, position_ms: u32) -> Answer {
        if !self.lineup.reaches(skip_to) {
            return self.begin_later(skip_to.clone(), position_ms);
        }
        if self.lineup.start(skip_to) {
            self.load(position_ms)
        } else if self.lineup.context.is_complete() {
            self.nothing_to_play(EMPTY)
        } else {
            self.wait_for(Waiting::Next);
            Answer::Later(Wants::Begun)
        }
    }

    /// The place to begin at lies in a part of the context that is to come.
    pub(super) fn begin_later(&mut self, skip_to: SkipTo, position_ms: u32) -> Answer {
        self.wait_for(Waiting::Begin);
        self.set_position(position_ms);
        self.beginning = Some(Beginning {
            skip_to,
            position_ms,
        });
        Answer::Later(Wants::Begun)
    }

    /// A beginning that led to nothing: as if it had not been.
    fn nothing_to_play(&mut self, why: &str) -> Answer {
        self.note(format!("nothing is played: {why}"));
        if self.lineup.current().is_none() {
            self.retire(why);
        }
        Answer::No(why.to_owned())
    }

    pub(super) fn wait_for(&mut self, what: Waiting) {
        self.silence();
        self.phase = Phase::Waiting;
        self.waiting = what;
        self.touched = true;
    }

    /// What waited was obeyed until this came; but for what was to go elsewhere, and stays.
    fn superseded(&mut self) {
        self.settle(|wants| wants != Wants::Sent, Ok(()));
        self.settle(
            |_| true,
            Err("something else was asked for meanwhile".to_owned()),
        );
    }

    pub(super) fn transfer(&mut self, transfer: Option<Transfer>) -> Answer {
        let Some(transfer) = transfer else {
            self.activate();
            self.not_fetched("nothing plays there");
            return Answer::Yes;
        };
        self.settle(|wants| wants != Wants::Pulled, Ok(()));
        // Whoever asked for it waits for what any beginning is waited for.
        self.replies.follow(Wants::Pulled, Wants::Begun);
        self.activate();
        self.origin = transfer.origin;
        self.want_play = !transfer.paused;
        self.resolving = None;
        self.beginning = None;
        let all = Options {
            shuffle: Some(transfer.options.shuffle.unwrap_or(false)),
            repeat_context: Some(transfer.options.repeat_context.unwrap_or(false)),
            repeat_track: Some(transfer.options.repeat_track.unwrap_or(false)),
        };
        self.another_context(all);
        self.lineup.set_queue(Vec::new());
        for entry in transfer.queue {
            self.lineup.enqueue(entry.uri);
        }
        let uri = transfer.context.uri.replace("spotify:station:", "spotify:");
        let is_list = !can_be_resolved(&uri);
        let position_ms = moved_on(
            transfer.position_ms,
            transfer.at_ms,
            transfer.paused,
            self.now.unix_ms,
        );
        let listing = Listing {
            uri: uri.clone(),
            ..transfer.context
        };
        let playable = transfer.track.filter(|entry| entry.uri.is_playable());
        let Some(entry) = playable else {
            return self.transfer_of_context(listing, transfer.current_uid, position_ms);
        };
        let provider = match (transfer.playing_queue, transfer.autoplay) {
            (true, _) => Provider::Queue,
            (_, true) => Provider::Autoplay,
            _ => Provider::Context,
        };
        let named_place = provider == Provider::Context && entry.uid.is_empty();
        let anchor = transfer
            .current_uid
            .filter(|_| named_place || provider == Provider::Queue);
        let (pages, shell) = split(listing);
        self.lineup.begin(Context::new(shell));
        self.lineup.play_named(entry, provider, None);
        if is_list {
            let listing = Listing {
                pages,
                ..Listing::default()
            };
            self.lineup.adopt(Context::new(listing), anchor.as_ref());
        } else {
            self.resolve(uri, Then::Adopt { anchor });
        }
        self.load(position_ms)
    }

    /// A transfer that names no track: the context begins, if there is one.
    fn transfer_of_context(
        &mut self,
        listing: Listing,
        uid: Option<Uid>,
        position_ms: u32,
    ) -> Answer {
        let skip_to = SkipTo {
            uid,
            ..SkipTo::default()
        };
        if can_be_resolved(&listing.uri) {
            let uri = listing.uri.clone();
            self.lineup.begin(Context::new(split(listing).1));
            self.wait_for(Waiting::Begin);
            self.set_position(position_ms);
            self.resolve(
                uri,
                Then::Start {
                    skip_to,
                    position_ms,
                },
            );
            return Answer::Later(Wants::Begun);
        }
        self.lineup.begin(Context::new(listing));
        if self.lineup.start(&skip_to) {
            return self.load(position_ms);
        }
        // Nothing played there either: we are the active device, and that is all.
        self.silence();
        self.touched = true;
        self.replies.follow(Wants::Begun, Wants::Pulled);
        self.not_fetched("nothing plays there");
        Answer::Yes
    }

    /// Takes up what played before a loss.
    pub(super) fn restore(&mut self, then: Playback) {
        let Some(track) = then.track.filter(|_| then.state != PlayState::Stopped) else {
            return;
        };
        self.superseded();
        self.activate();
        // The output may be there by now; if not, that is found out anew.
        self.want_play = then.state != PlayState::Paused || then.place.held;
        self.another_context(Options {
            shuffle: Some(then.shuffle),
            repeat_context: Some(then.repeat == Repeat::Context),
            repeat_track: Some(then.repeat == Repeat::Track),
        });
        self.lineup.set_queue(Vec::new());
        for uri in &then.queue {
            self.lineup.enqueue(Uri::new(uri));
        }
        let place = then.place;
        let index = then.index.map(|index| index as usize);
        let provider = match place.from_queue {
            true => Provider::Queue,
            false => Provider::Context,
        };
        let uid = if place.from_queue { "" } else { &place.uid };
        let entry = Entry::new(&track.uri, uid);
        let first = place.shuffle_first;
        let seed = place.shuffle_seed.filter(|_| then.shuffle);
        let key = seed.map(|seed| ShuffleKey { seed, first });
        let uri = then.context.unwrap_or_default();
        self.lineup.begin(Context::default());
        self.lineup.play_named(entry, provider, index);
        if place.list.is_empty() && !uri.is_empty() {
            self.lineup.context = Context::new(shell(&uri, Vec::new()));
            let anchor = place.from_queue.then(|| Uid::new(&place.uid));
            let then = match key.zip(index) {
                Some((key, index)) => Then::Restore { key, index },
                None => Then::Adopt { anchor },
            };
            self.resolve(uri, then);
        } else {
            let is_whole = place.list_from == 0 && place.list.len() < MAX_TOLD;
            let index = index.and_then(|at| at.checked_sub(place.list_from as usize));
            let mut context = Context::new(shell(&uri, place.list));
            context.is_told = true;
            self.lineup
                .take_up(context, index, key.filter(|_| is_whole));
        }
        self.load(then.position_ms);
        self.sleep_at(then.sleep, Some(then.sleep_fade_ms));
    }
}

/// The track that a command names so well that it needs no context.
fn named(play: &Play) -> Option<Entry> {
    let skip_to = &play.skip_to;
    let uid = skip_to.uid.clone().unwrap_or_default();
    if let Some(uri) = skip_to.uri.clone().filter(Uri::is_playable) {
        return Some(Entry { uri, uid });
    }
    let whole = Uri::new(&play.context.uri);
    whole.is_playable().then_some(Entry { uri: whole, uid })
}

/// A context of this name that holds these tracks, as far as that is known.
fn shell(uri: &str, tracks: Vec<String>) -> Listing {
    let tracks: Vec<_> = tracks.iter().map(|uri| Entry::new(uri, "")).collect();
    let page = Page {
        tracks,
        ..Page::default()
    };
    Listing {
        url: match uri {
            "" => String::new(),
            uri => format!("context://{uri}"),
        },
        uri: uri.to_owned(),
        pages: match page.tracks.is_empty() {
            true => Vec::new(),
            false => vec![page],
        },
        ..Listing::default()
    }
}

/// The pages, and the rest.
fn split(listing: Listing) -> (Vec<Page>, Listing) {
    let Listing {
        uri,
        url,
        metadata,
        restrictions,
        pages,
    } = listing;
    let shell = Listing {
        uri,
        url,
        metadata,
        restrictions,
        pages: Vec::new(),
    };
    (pages, shell)
}

/// Where music is now that was at `position_ms` then. At 0 it waited for its first sample
/// (protocol: a position of 0 is not moved on).
fn moved_on(position_ms: u32, at_ms: i64, paused: bool, now_ms: i64) -> u32 {
    let gone = now_ms - at_ms;
    if paused || position_ms == 0 || at_ms <= 0 || !(0..LONGEST_MS).contains(&gone) {
        return position_ms;
    }
    position_ms.saturating_add(u32::try_from(gone).unwrap_or(0))
}

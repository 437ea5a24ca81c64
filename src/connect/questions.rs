//! What the service is asked about contexts, and what becomes of its answers.
//!
//! The shell tries each question a few times; an outage may last longer. While a track plays there is
//! time: the question is asked again, later and later. As soon as there is nothing else to play, it
//! is asked at once, for the last time.

use super::{
    Action, Beginning, Connect, Listing, Missing, Page, Phase, Then, Ticket, Uid, Uri, Waiting,
    context::{Context, in_order},
    later::Retry,
};

/// What follows the end is asked for when fewer tracks than this are left.
const FEW: usize = 5;

/// Tracks that tell the service what to go on with.
const RECENT: usize = 10;

const EMPTY: &str = "there is nothing in it that can be played here";

/// A context that was asked for.
#[derive(Debug)]
pub(super) struct Resolving {
    ticket: Ticket,
    uri: String,
    pub then: Then,
    retry: Retry,
}

/// A page that was asked for.
#[derive(Debug)]
pub(super) struct Paging {
    ticket: Ticket,
    url: String,
    retry: Retry,
}

/// What follows a context was asked for.
#[derive(Debug)]
pub(super) struct Following {
    ticket: Ticket,
    retry: Retry,
}

impl Connect {
    // Questions.

    /// Asks what a context holds.
    pub(super) fn resolve(&mut self, uri: String, then: Then) {
        self.resolve_again(uri, then, Retry::default());
    }

    fn resolve_again(&mut self, uri: String, then: Then, retry: Retry) {
        let ticket = self.ticket();
        self.resolving = Some(Resolving {
            ticket,
            uri: uri.clone(),
            then,
            retry,
        });
        self.push(Action::ResolveContext { ticket, uri });
    }

    fn page(&mut self, url: String, retry: Retry) {
        let ticket = self.ticket();
        self.paging = Some(Paging {
            ticket,
            url: url.clone(),
            retry,
        });
        self.push(Action::ResolvePage { ticket, url });
    }

    fn follow(&mut self, retry: Retry) {
        let uri = self.lineup.context.uri.clone();
        let before = self.lineup.previous(RECENT).into_iter();
        let entries = before.filter_map(|slot| self.lineup.entry(slot));
        let mut recent: Vec<Uri> = entries.map(|entry| entry.uri.clone()).collect();
        recent.extend(self.lineup.current().map(|item| item.entry.uri.clone()));
        let ticket = self.ticket();
        self.following = Some(Following { ticket, retry });
        self.push(Action::ResolveAutoplay {
            ticket,
            uri,
            recent,
        });
    }

    /// What failed is asked again when its time has come, or nothing else is left to play.
    pub(super) fn ask_again(&mut self) {
        let (tick, at_once) = (self.now.tick_ms, self.phase == Phase::Waiting);
        let is_due = |retry: &Retry| retry.is_due(tick) || at_once && retry.waits();
        if let Some(it) = self.resolving.take_if(|it| is_due(&it.retry)) {
            self.resolve_again(it.uri, it.then, it.retry.begun());
        }
        if let Some(it) = self.paging.take_if(|it| is_due(&it.retry)) {
            self.page(it.url, it.retry.begun());
        }
        if let Some(it) = self.following.take_if(|it| is_due(&it.retry)) {
            self.follow(it.retry.begun());
        }
    }

    /// When the next question is asked again.
    pub(super) fn asks_again_at(&self) -> Option<u64> {
        let resolving = self.resolving.as_ref().and_then(|it| it.retry.due());
        let paging = self.paging.as_ref().and_then(|it| it.retry.due());
        let following = self.following.as_ref().and_then(|it| it.retry.due());
        [resolving, paging, following].into_iter().flatten().min()
    }

    /// Whether a question that failed so is to be asked again later: there is a track to hear.
    fn is_asked_again(&self, missing: &Missing) -> bool {
        let sounds = matches!(self.phase, Phase::Loading | Phase::Playing | Phase::Paused);
        missing.may_pass && sounds
    }

    pub(super) fn ask_for_page(&mut self) {
        let is_open = |it: &Resolving| !it.retry.waits();
        if self.paging.is_some() || self.resolving.as_ref().is_some_and(is_open) {
            return;
        }
        let context = &self.lineup.context;
        // However much of it is known: none of it is of use yet.
        let needs_more =
            self.beginning.is_some() || self.lineup.is_lost() || !self.lineup.has_next();
        let url = match needs_more {
            true => context.next_page(),
            false => context.wanted_page(self.lineup.cursor()),
        };
        if let Some(url) = url.map(str::to_owned) {
            self.page(url, Retry::default());
        }
    }

    pub(super) fn ask_what_follows(&mut self) {
        if !self.settings.autoplay || self.following.is_some() || self.resolving.is_some() {
            return;
        }
        let uri = &self.lineup.context.uri;
        // The service has nothing to follow a podcast.
        let talks = ["spotify:show:", "spotify:episode:"];
        let is_odd = uri.is_empty() || talks.iter().any(|kind| uri.starts_with(kind));
        if is_odd || self.no_following.as_ref() == Some(uri) {
            return;
        }
        let left = self.lineup.left_before_autoplay();
        if left.is_some_and(|left| left < FEW) {
            self.follow(Retry::default());
        }
    }

    // Answers.

    pub(super) fn resolved(&mut self, ticket: Ticket, listing: Result<Listing, Missing>) {
        let Some(mut resolving) = self.resolving.take_if(|it| it.ticket == ticket) else {
            return;
        };
        let listing = match (listing, &resolving.then) {
            (Ok(listing), _) => listing,
            (Err(missing), Then::Start { .. }) => return self.begin_failed(&missing.why),
            (Err(missing), _) => {
                self.note(format!(
                    "the rest of the list is not known: {}",
                    missing.why
                ));
                if self.is_asked_again(&missing) {
                    resolving.retry.failed(self.now.tick_ms);
                    self.resolving = Some(resolving);
                }
                return self.try_next();
            }
        };
        self.touched = true;
        match resolving.then {
            Then::Start {
                skip_to,
                position_ms,
            } => {
                let listing = self.named_as_asked(listing);
                self.lineup.context = Context::new(listing);
                self.paging = None;
                if self.lineup.reaches(&skip_to) {
                    self.begin_at(Beginning {
                        skip_to,
                        position_ms,
                    });
                } else {
                    self.begin_later(skip_to, position_ms);
                }
            }
            Then::Adopt { anchor } => self.adopt(listing, anchor),
            Then::Extend => {
                let known = self.lineup.context.entries();
                let all: Vec<_> = listing.pages.iter().flat_map(|page| &page.tracks).collect();
                // Who sorted the list in the app hears it as he sees it.
                if in_order(known, &all) {
                    self.adopt(listing, None);
                } else {
                    self.lineup.context.is_told = true;
                }
            }
            Then::Restore { key, index } => {
                self.adopt(listing, None);
                if index < self.lineup.context.len() {
                    self.lineup.reshuffle(key, index);
                }
            }
        }
    }

    /// The service may call a context otherwise than the app did; the app's word is the one that
    /// it compares.
    fn named_as_asked(&self, listing: Listing) -> Listing {
        let asked = &self.lineup.context;
        let url = match listing.url.is_empty() {
            true => asked.url.clone(),
            false => listing.url,
        };
        Listing {
            uri: asked.uri.clone(),
            url,
            ..listing
        }
    }

    pub(super) fn adopt(&mut self, listing: Listing, anchor: Option<Uid>) {
        let listing = self.named_as_asked(listing);
        let context = Context::new(listing);
        self.paging = None;
        self.touched = true;
        if context.is_empty() && context.is_complete() {
            self.note("the context turned out to be empty".to_owned());
        } else {
            self.lineup.adopt(context, anchor.as_ref());
        }
        self.try_next();
    }

    /// Goes on if that was what was waited for.
    pub(super) fn try_next(&mut self) {
        if self.phase == Phase::Waiting && self.waiting == Waiting::Next {
            self.move_on(false);
        }
    }

    fn begin_failed(&mut self, why: &str) {
        self.note(format!("nothing is played: {why}"));
        self.settle(|_| true, Err(why.to_owned()));
        self.retire(why);
    }

    pub(super) fn paged(&mut self, ticket: Ticket, pages: Result<Vec<Page>, Missing>) {
        let Some(mut paging) = self.paging.take_if(|it| it.ticket == ticket) else {
            return;
        };
        match pages {
            Ok(pages) => {
                self.lineup.context.page_done();
                self.lineup.append(pages);
            }
            Err(missing) if self.is_asked_again(&missing) => {
                self.note(format!("a part of the list is late: {}", missing.why));
                paging.retry.failed(self.now.tick_ms);
                self.paging = Some(paging);
                return;
            }
            Err(missing) => {
                self.note(format!("a part of the list is left out: {}", missing.why));
                self.lineup.context.page_done();
            }
        }
        self.touched = true;
        let reached = |it: &mut Beginning| self.lineup.reaches(&it.skip_to);
        if let Some(beginning) = self.beginning.take_if(reached) {
            self.begin_at(beginning);
        }
        self.try_next();
    }

    /// Begins where it was to begin, which is known now.
    fn begin_at(&mut self, beginning: Beginning) {
        if self.lineup.start(&beginning.skip_to) {
            self.load(beginning.position_ms);
        } else if self.lineup.context.is_complete() {
            self.begin_failed(EMPTY);
        } else {
            self.waiting = Waiting::Next;
        }
    }

    pub(super) fn autoplay(&mut self, ticket: Ticket, listing: Result<Listing, Missing>) {
        let Some(mut following) = self.following.take_if(|it| it.ticket == ticket) else {
            return;
        };
        let found = listing.map(|listing| {
            let tracks = listing.pages.into_iter().flat_map(|page| page.tracks);
            tracks
                .filter(|entry| entry.uri.is_playable())
                .collect::<Vec<_>>()
        });
        match found {
            Ok(entries) if !entries.is_empty() => {
                self.lineup.add_autoplay(entries);
                self.touched = true;
            }
            Ok(_) => self.no_following = Some(self.lineup.context.uri.clone()),
            Err(missing) => {
                self.note(format!("nothing follows this context: {}", missing.why));
                if self.is_asked_again(&missing) {
                    following.retry.failed(self.now.tick_ms);
                    self.following = Some(following);
                } else {
                    self.no_following = Some(self.lineup.context.uri.clone());
                }
            }
        }
        self.try_next();
    }

    pub(super) fn context_changed(&mut self, uri: &str) {
        let is_ours = !uri.is_empty() && self.lineup.context.uri == uri;
        if self.is_active() && is_ours {
            // An answer that is on its way may know nothing of it.
            let then = self.resolving.take().map(|it| it.then);
            let then = then.unwrap_or(Then::Adopt { anchor: None });
            self.resolve(uri.to_owned(), then);
        }
    }
}

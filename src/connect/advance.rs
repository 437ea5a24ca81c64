//! Going on: the next track, what is to be known before it is needed, and the end.

use super::{
    Action, Beginning, Connect, Listing, Page, Phase, Prepared, Then, Ticket, Uri, Waiting,
    context::Context,
    lineup::{Item, Moved, Provider},
    replies::{Answer, Wants},
};
use crate::model::Track;

/// What follows the end is asked for when fewer tracks than this are left.
const FEW: usize = 5;

/// Tracks that tell the service what to go on with.
const RECENT: usize = 10;

impl Connect {
    /// Loads the current track.
    pub(super) fn load(&mut self, position_ms: u32) -> Answer {
        let Some(uri) = self.lineup.current().map(|item| item.entry.uri.clone()) else {
            return Answer::No("there is nothing to play".to_owned());
        };
        // Whoever waited for the one before got what was asked for, until this was asked for.
        self.settle(|wants| wants != Wants::Begun, Ok(()));
        self.beginning = None;
        let prepared = self
            .prepared
            .take()
            .filter(|it| it.uri == uri && !it.failed);
        let id = match prepared {
            Some(prepared) => {
                self.described = prepared.track;
                prepared.id
            }
            None => {
                self.described = None;
                self.loads += 1;
                self.loads
            }
        };
        self.load = id;
        self.phase = Phase::Loading;
        self.halted = false;
        self.held = false;
        self.playback_id = self.chance.name();
        self.set_position(position_ms);
        self.touched = true;
        self.push(Action::Load {
            id,
            uri,
            position_ms,
            play: self.want_play,
        });
        self.replies.follow(Wants::Begun, Wants::Known(id));
        let answer = self.on_its_way();
        if answer == Answer::Yes {
            self.settle(|wants| wants == Wants::Known(id), Ok(()));
        }
        answer
    }

    /// To the next track. `by_itself`: this one is over.
    pub(super) fn move_on(&mut self, by_itself: bool) -> Answer {
        match self.lineup.advance(by_itself) {
            Moved::To => self.load(0),
            Moved::Wait => self.wait_for_next(),
            Moved::End if self.is_more_to_come() => self.wait_for_next(),
            Moved::End => {
                self.finish();
                Answer::Yes
            }
        }
    }

    fn wait_for_next(&mut self) -> Answer {
        self.wait_for(Waiting::Next);
        self.set_position(0);
        Answer::Later(Wants::Begun)
    }

    /// Whether the end that is known is not the end.
    fn is_more_to_come(&mut self) -> bool {
        self.ask_what_follows();
        self.resolving.is_some() || self.following.is_some()
    }

    /// The end: the first track waits, as Spotify has it.
    fn finish(&mut self) {
        self.silence();
        self.lineup.rewind();
        self.want_play = false;
        self.no_following = None;
        self.set_position(0);
        self.settle(|_| true, Ok(()));
        self.touched = true;
    }

    /// What is to be known, fetched or asked for before it is needed.
    pub(super) fn look_ahead(&mut self) {
        if !self.is_active() {
            return;
        }
        self.ask_for_page();
        self.ask_what_follows();
        self.ask_its_name();
        self.prepare();
    }

    /// A track that waits without being loaded, as after the end of a context, is shown as well.
    fn ask_its_name(&mut self) {
        let waiting = self.lineup.current().filter(|_| self.phase == Phase::Idle);
        let unknown = waiting.filter(|_| self.described.is_none());
        let uri = unknown.map(|item| item.entry.uri.clone());
        if uri == self.asked_about {
            return;
        }
        self.asked_about.clone_from(&uri);
        if let Some(uri) = uri {
            self.push(Action::Describe { uri });
        }
    }

    pub(super) fn told_of(&mut self, track: Box<Track>) {
        let waits = self.phase == Phase::Idle && self.described.is_none();
        let is_it = |item: &Item| item.entry.uri.to_string() == track.uri;
        if waits && self.lineup.current().is_some_and(is_it) {
            self.described = Some(track);
            self.touched = true;
        }
    }

    fn ask_for_page(&mut self) {
        if self.paging.is_some() || self.resolving.is_some() {
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
        let Some(url) = url.map(str::to_owned) else {
            return;
        };
        let ticket = self.ticket();
        self.paging = Some(ticket);
        self.push(Action::ResolvePage { ticket, url });
    }

    fn ask_what_follows(&mut self) {
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
        if self
            .lineup
            .left_before_autoplay()
            .is_none_or(|left| left >= FEW)
        {
            return;
        }
        let uri = uri.clone();
        let before = self.lineup.previous(RECENT).into_iter();
        let entries = before.filter_map(|slot| self.lineup.entry(slot));
        let mut recent: Vec<Uri> = entries.map(|entry| entry.uri.clone()).collect();
        recent.extend(self.lineup.current().map(|item| item.entry.uri.clone()));
        let ticket = self.ticket();
        self.following = Some(ticket);
        self.push(Action::ResolveAutoplay {
            ticket,
            uri,
            recent,
        });
    }

    /// The track after this one is made ready once this one is on its way.
    fn prepare(&mut self) {
        if !matches!(self.phase, Phase::Playing | Phase::Paused) {
            return;
        }
        let wanted = match self.rest.ends_with_the_track() {
            true => None,
            false => self.lineup.next_uri().cloned(),
        };
        let known = self.prepared.as_ref().map(|prepared| &prepared.uri);
        if known == wanted.as_ref() {
            return;
        }
        match wanted {
            Some(uri) => {
                self.loads += 1;
                let id = self.loads;
                self.prepared = Some(Prepared {
                    id,
                    uri: uri.clone(),
                    track: None,
                    failed: false,
                });
                self.push(Action::Prepare { id, uri });
            }
            None => {
                self.prepared = None;
                self.push(Action::DropNext);
            }
        }
    }

    // Answers of the service.

    pub(super) fn resolved(&mut self, ticket: Ticket, listing: Result<Listing, String>) {
        let Some(resolving) = self.resolving.take_if(|it| it.ticket == ticket) else {
            return;
        };
        self.touched = true;
        match (listing, resolving.then) {
            (
                Ok(listing),
                Then::Start {
                    skip_to,
                    position_ms,
                },
            ) => {
                let listing = self.named_as_asked(listing);
                self.lineup.context = Context::new(listing);
                self.paging = None;
                if !self.lineup.reaches(&skip_to) {
                    self.begin_later(skip_to, position_ms);
                } else if self.lineup.start(&skip_to) {
                    self.load(position_ms);
                } else if self.lineup.context.is_complete() {
                    self.begin_failed("there is nothing in it that can be played here");
                } else {
                    self.waiting = Waiting::Next;
                }
            }
            (Ok(listing), Then::Adopt { anchor }) => self.adopt(listing, anchor),
            (Ok(listing), Then::Restore { key, index }) => {
                self.adopt(listing, None);
                if index < self.lineup.context.len() {
                    self.lineup.reshuffle(key, index);
                }
            }
            (Err(why), Then::Start { .. }) => self.begin_failed(&why),
            (Err(why), _) => {
                self.note(format!("the rest of the list is not known: {why}"));
                self.try_next();
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

    pub(super) fn adopt(&mut self, listing: Listing, anchor: Option<super::Uid>) {
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
    fn try_next(&mut self) {
        if self.phase == Phase::Waiting && self.waiting == Waiting::Next {
            self.move_on(false);
        }
    }

    fn begin_failed(&mut self, why: &str) {
        self.note(format!("nothing is played: {why}"));
        self.settle(|_| true, Err(why.to_owned()));
        self.retire(why);
    }

    pub(super) fn paged(&mut self, ticket: Ticket, pages: Result<Vec<Page>, String>) {
        if self.paging.take_if(|it| *it == ticket).is_none() {
            return;
        }
        self.lineup.context.page_done();
        match pages {
            Ok(pages) => self.lineup.append(pages),
            Err(why) => self.note(format!("a part of the list is left out: {why}")),
        }
        self.touched = true;
        self.begin_there();
        self.try_next();
    }

    /// Begins where it was to begin, once that is known.
    fn begin_there(&mut self) {
        let reached = |it: &mut Beginning| self.lineup.reaches(&it.skip_to);
        let Some(Beginning {
            skip_to,
            position_ms,
        }) = self.beginning.take_if(reached)
        else {
            return;
        };
        if self.lineup.start(&skip_to) {
            self.load(position_ms);
        } else if self.lineup.context.is_complete() {
            self.begin_failed("there is nothing in it that can be played here");
        } else {
            self.waiting = Waiting::Next;
        }
    }

    pub(super) fn autoplay(&mut self, ticket: Ticket, listing: Result<Listing, String>) {
        if self.following.take_if(|it| *it == ticket).is_none() {
            return;
        }
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
            other => {
                if let Err(why) = other {
                    self.note(format!("nothing follows this context: {why}"));
                }
                self.no_following = Some(self.lineup.context.uri.clone());
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

    /// Whether the service chose what plays.
    pub(super) fn is_autoplay(&self) -> bool {
        self.lineup
            .current()
            .is_some_and(|item| item.provider == Provider::Autoplay)
    }
}

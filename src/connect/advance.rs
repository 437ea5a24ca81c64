//! Going on: the next track, what is to be known before it is needed, and the end.

use super::{
    Action, Connect, Phase, Prepared, Waiting,
    later::Retry,
    lineup::{Item, Moved, Provider},
    replies::{Answer, Wants},
};
use crate::model::Track;

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
            .filter(|it| it.uri == uri && !it.retry.waits());
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
        self.settle(|wants| wants != Wants::Sent, Ok(()));
        self.touched = true;
    }

    /// What is to be known, fetched or asked for before it is needed.
    pub(super) fn look_ahead(&mut self) {
        if !self.is_active() {
            return;
        }
        self.ask_again();
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

    /// The track after this one is made ready once this one is on its way.
    fn prepare(&mut self) {
        if !matches!(self.phase, Phase::Playing | Phase::Paused) {
            return;
        }
        let wanted = match self.rest.ends_with_the_track() {
            true => None,
            false => self.lineup.next_uri().cloned(),
        };
        let tick = self.now.tick_ms;
        let known = self.prepared.as_ref().map(|prepared| &prepared.uri);
        let same = known == wanted.as_ref();
        let again = self.prepared.as_ref().filter(|_| same).map(|it| it.retry);
        if same && !again.is_some_and(|retry| retry.is_due(tick)) {
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
                    retry: again.map(Retry::begun).unwrap_or_default(),
                });
                self.push(Action::Prepare { id, uri });
            }
            None => {
                self.prepared = None;
                self.push(Action::DropNext);
            }
        }
    }

    /// Whether the service chose what plays.
    pub(super) fn is_autoplay(&self) -> bool {
        self.lineup
            .current()
            .is_some_and(|item| item.provider == Provider::Autoplay)
    }
}

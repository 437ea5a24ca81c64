//! What apps ask for.

use super::{
    Action, Command, Connect, Entry, Listing, MAX_LOGGED, Phase, PutReason, Sender, Ticket,
    replies::{Answer, By, Wants},
};

/// "Previous" begins the track anew from here on, and goes back before.
const BACK_LIMIT_MS: u32 = 3_000;

pub(super) const NOT_ACTIVE: &str = "this is not the active device";
const NOTHING: &str = "there is nothing to play";

impl Connect {
    pub(super) fn command(&mut self, ticket: Ticket, from: Sender, command: Command) {
        if let Some(answer) = self.answered_before(ticket, &from, &command) {
            let now = self.now.tick_ms;
            return self
                .replies
                .take((By::App, ticket), answer, now, &mut self.out);
        }
        self.last_command = from;
        self.failures.asked();
        let answer = match command {
            Command::Play(play) => self.play(*play),
            Command::Transfer(transfer) => self.transfer(transfer.map(|it| *it)),
            Command::Unknown(endpoint) => self.unknown(endpoint),
            Command::Malformed(why) => {
                self.note(format!("a command of the app cannot be understood: {why}"));
                Answer::No(why)
            }
            _ if !self.is_active() => Answer::No(NOT_ACTIVE.to_owned()),
            Command::Pause => self.pause(),
            Command::Resume => self.resume(),
            Command::SeekTo { position_ms } => self.seek(position_ms),
            Command::SeekBy { ms } => self.seek_by(ms),
            Command::SkipNext { track } => self.skip_next(track),
            Command::SkipPrev => self.skip_prev(),
            Command::Shuffle(on) => self.change(|connect| connect.lineup.set_shuffle(on)),
            Command::RepeatContext(on) => {
                self.change(|connect| connect.lineup.set_repeat(Some(on), None))
            }
            Command::RepeatTrack(on) => {
                self.change(|connect| connect.lineup.set_repeat(None, Some(on)))
            }
            Command::Options(options) => self.change(|connect| connect.lineup.set_options(options)),
            Command::AddToQueue(entry) => self.add_to_queue(entry),
            Command::SetQueue { next } => self.change(|connect| {
                connect.lineup.set_queue(next);
                connect.try_next();
            }),
            Command::UpdateContext(listing) => self.update_context(listing),
            Command::Sleep(timer) => self.sleep_at(timer, None),
        };
        let now = self.now.tick_ms;
        self.replies
            .take((By::App, ticket), answer, now, &mut self.out);
    }

    fn unknown(&mut self, endpoint: String) -> Answer {
        let why = format!("\"{endpoint}\" is not known here");
        if self.logged.len() < MAX_LOGGED && self.logged.insert(endpoint) {
            self.note(format!("an app asked for something: {why}"));
        }
        Answer::No(why)
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Answer {
        change(self);
        self.touched = true;
        Answer::Yes
    }

    pub(super) fn pause(&mut self) -> Answer {
        let was_wanted = std::mem::replace(&mut self.want_play, false);
        self.touched |= was_wanted;
        // The player need not tell of music that it hardly began, nor below of a pause.
        self.settle(|wants| wants == Wants::Playing, Ok(()));
        match self.phase {
            Phase::Idle if self.lineup.current().is_none() => Answer::No(NOTHING.to_owned()),
            // On its way to sound, or to go on by itself when there is an output: not any more, which
            // is news to whoever takes it up again.
            Phase::Paused if std::mem::take(&mut self.held) | was_wanted => {
                self.touched = true;
                self.push(Action::Pause);
                Answer::Yes
            }
            Phase::Idle | Phase::Waiting | Phase::Paused => Answer::Yes,
            Phase::Loading => {
                // Nothing sounds, and nothing will: that is certain already.
                self.push(Action::Pause);
                Answer::Yes
            }
            Phase::Playing => {
                self.push(Action::Pause);
                Answer::Later(Wants::Paused)
            }
        }
    }

    pub(super) fn resume(&mut self) -> Answer {
        let was_wanted = std::mem::replace(&mut self.want_play, true);
        self.held = false;
        self.rest.tell_anew();
        self.touched |= !was_wanted;
        self.settle(|wants| wants == Wants::Paused, Ok(()));
        match self.phase {
            // Nothing plays, but somebody has queued something.
            Phase::Idle if self.lineup.current().is_none() && self.lineup.has_next() => {
                self.move_on(false)
            }
            Phase::Idle if self.lineup.current().is_none() => {
                self.want_play = false;
                Answer::No(NOTHING.to_owned())
            }
            Phase::Idle => {
                self.lineup.forgive();
                self.load(self.position.ms)
            }
            Phase::Waiting => Answer::Later(Wants::Begun),
            Phase::Loading if was_wanted => self.on_its_way(),
            Phase::Playing if was_wanted => Answer::Yes,
            Phase::Loading => {
                self.push(Action::Play);
                self.on_its_way()
            }
            Phase::Playing | Phase::Paused => {
                self.push(Action::Play);
                Answer::Later(Wants::Playing)
            }
        }
    }

    /// The track that loads, as an answer.
    pub(super) fn on_its_way(&self) -> Answer {
        if self.described.is_some() {
            Answer::Yes
        } else {
            Answer::Later(Wants::Known(self.load))
        }
    }

    pub(super) fn seek(&mut self, position_ms: u32) -> Answer {
        if self.lineup.current().is_none() && self.phase != Phase::Waiting {
            return Answer::No(NOTHING.to_owned());
        }
        let duration = self.described.as_ref().map_or(0, |track| track.duration_ms);
        if duration > 0 && position_ms >= duration {
            // Past the end is the end.
            return self.ended();
        }
        self.touched = true;
        match self.phase {
            Phase::Idle | Phase::Waiting => {
                self.set_position(position_ms);
                let then = self.resolving.as_mut().map(|it| &mut it.then);
                if let Some(super::Then::Start {
                    position_ms: at, ..
                }) = then
                {
                    *at = position_ms;
                }
                if let Some(beginning) = &mut self.beginning {
                    beginning.position_ms = position_ms;
                }
                Answer::Yes
            }
            Phase::Loading => {
                self.aim_at(position_ms);
                self.on_its_way()
            }
            Phase::Playing | Phase::Paused => {
                // What is touched while it waits for an output does not go on by itself.
                self.held = false;
                self.aim_at(position_ms);
                Answer::Later(Wants::Sought)
            }
        }
    }

    /// From where the listener is.
    pub(super) fn seek_by(&mut self, ms: i64) -> Answer {
        let position = i64::from(self.position_ms()).saturating_add(ms).max(0);
        self.seek(u32::try_from(position).unwrap_or(u32::MAX))
    }

    pub(super) fn skip_next(&mut self, track: Option<Entry>) -> Answer {
        // While a context is awaited, there may be something in the queue.
        if self.lineup.current().is_none() && !self.lineup.has_next() {
            return Answer::No(NOTHING.to_owned());
        }
        let Some(wanted) = track else {
            // Who skips does not want this one again.
            self.lineup.set_repeat(None, Some(false));
            return self.move_on(false);
        };
        let is_current = self
            .lineup
            .current()
            .is_some_and(|item| item.entry.uri == wanted.uri && wanted.uid.is_empty());
        if !is_current && !self.lineup.jump(&wanted) {
            return Answer::No(match self.lineup.barred(&wanted.uri) {
                Some(why) => format!("{} does not play: {}", wanted.uri, why.words()),
                None => format!("{} does not come", wanted.uri),
            });
        }
        self.lineup.set_repeat(None, Some(false));
        self.load(0)
    }

    pub(super) fn skip_prev(&mut self) -> Answer {
        if self.lineup.current().is_none() {
            return Answer::No(NOTHING.to_owned());
        }
        if self.position_ms() >= BACK_LIMIT_MS {
            return self.seek(0);
        }
        self.lineup.set_repeat(None, Some(false));
        if self.lineup.back() {
            self.load(0)
        } else {
            self.seek(0)
        }
    }

    pub(super) fn add_to_queue(&mut self, entry: Entry) -> Answer {
        if !self.lineup.enqueue(entry.uri.clone()) {
            return Answer::No(if entry.uri.is_playable() {
                "the queue is full".to_owned()
            } else {
                format!("{} cannot be played here", entry.uri)
            });
        }
        self.touched = true;
        self.try_next();
        Answer::Yes
    }

    fn update_context(&mut self, listing: Listing) -> Answer {
        let own = &self.lineup.context.uri;
        if !listing.uri.is_empty() && listing.uri != *own {
            return Answer::No("another context plays".to_owned());
        }
        let listing = Listing {
            uri: own.clone(),
            ..listing
        };
        if listing.pages.iter().any(|page| !page.tracks.is_empty()) {
            self.adopt(listing, None);
        } else if !listing.uri.is_empty() {
            self.resolve(listing.uri, super::Then::Adopt { anchor: None });
        }
        Answer::Yes
    }

    /// The state, for whoever has a reason to see it again.
    pub(super) fn show_again(&mut self) {
        self.put(PutReason::StateChanged);
    }
}

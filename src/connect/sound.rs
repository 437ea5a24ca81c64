//! What the player says.

use super::{
    Action, Connect, Heard, LoadId, Phase, Why,
    failures::Verdict,
    lineup::Moved,
    replies::{Answer, Wants},
};
use crate::model::{ConditionCode, Obstacle, Track};

/// The clock may be so far from what was told before anybody hears of it.
const DRIFT_MS: u32 = 100;

/// While music plays its place is told anew this often, so that it can be taken up there.
const TELL_MS: u64 = 5_000;

impl Connect {
    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Described { id, track } => self.described(id, track),
            Heard::Failed { id, why } => self.failed(id, why),
            Heard::Joined { id } => self.joined(id),
            Heard::Started { id, position_ms } if self.is_current(id) => {
                self.is_at(position_ms);
                self.started(id);
            }
            Heard::Paused { id, position_ms } if self.is_current(id) => {
                self.is_at(position_ms);
                self.phase = Phase::Paused;
                self.touched = true;
                self.settle(
                    |wants| wants == Wants::Paused || wants == Wants::Known(id),
                    Ok(()),
                );
            }
            Heard::Held { id, position_ms } if self.is_current(id) => {
                self.is_at(position_ms);
                self.phase = Phase::Paused;
                self.held = true;
                self.want_play = false;
                self.touched = true;
                self.settle(|wants| wants == Wants::Known(id), Ok(()));
                let why = "there is no output; it goes on by itself when there is one";
                let result = Err(why.to_owned());
                let waits = |wants| wants == Wants::Playing;
                let obstacle = Obstacle::NoOutput;
                self.replies.settle(waits, &result, obstacle, &mut self.out);
            }
            Heard::Seeked { id, position_ms } if self.is_current(id) => {
                self.is_at(position_ms);
                self.touched = true;
                self.settle(|wants| wants == Wants::Sought, Ok(()));
            }
            Heard::Stalled { id, position_ms }
                if self.is_current(id) && self.phase == Phase::Playing =>
            {
                self.is_at(position_ms);
                self.phase = Phase::Loading;
                self.touched = true;
            }
            Heard::Ended { id } if self.is_current(id) => {
                self.ended();
            }
            _ => {}
        }
    }

    /// Late words about earlier tracks are not about now.
    fn is_current(&self, id: LoadId) -> bool {
        id == self.load && matches!(self.phase, Phase::Loading | Phase::Playing | Phase::Paused)
    }

    fn described(&mut self, id: LoadId, track: Box<Track>) {
        let unwanted = self.settings.filter_explicit && track.explicit;
        if let Some(prepared) = self.prepared.as_mut().filter(|it| it.id == id) {
            if unwanted {
                self.failed(id, Why::Explicit);
            } else {
                prepared.track = Some(track);
            }
            return;
        }
        if !self.is_current(id) {
            return;
        }
        // What plays already was allowed to.
        if unwanted && self.described.is_none() {
            self.failed(id, Why::Explicit);
            return;
        }
        self.described = Some(track);
        self.touched = true;
        self.settle(|wants| wants == Wants::Known(id), Ok(()));
    }

    fn started(&mut self, id: LoadId) {
        self.touched = true;
        self.rest.tell_anew();
        self.want_play |= std::mem::take(&mut self.held);
        if self.want_play {
            self.phase = Phase::Playing;
        } else {
            // It began a moment before it heard that it is not to; that it pauses was answered, and is
            // shown, already.
            self.push(Action::Pause);
        }
        if self.failures.playing() {
            for code in [ConditionCode::KeysRefused, ConditionCode::TracksFail] {
                self.push(Action::Clear(code));
            }
        }
        self.settle(
            |wants| matches!(wants, Wants::Playing) || wants == Wants::Known(id),
            Ok(()),
        );
    }

    /// The track is over: by itself, or because somebody went past its end.
    pub(super) fn ended(&mut self) -> Answer {
        if self.rest.is_due_at_the_end() {
            self.want_play = false;
        }
        self.move_on(true)
    }

    /// The track that was prepared sounds.
    fn joined(&mut self, id: LoadId) {
        let Some(prepared) = self.prepared.take_if(|it| it.id == id) else {
            // One that was exchanged in the very moment it began: the right one is loaded.
            let is_ours = id > self.load && id <= self.loads;
            if is_ours && matches!(self.phase, Phase::Playing | Phase::Paused) {
                self.move_on(true);
            }
            return;
        };
        let moved = self.lineup.advance(true);
        let fits = moved == Moved::To
            && self
                .lineup
                .current()
                .is_some_and(|item| item.entry.uri == prepared.uri);
        if !fits {
            self.load(0);
            return;
        }
        self.load = id;
        self.described = prepared.track;
        self.playback_id = self.chance.name();
        self.set_position(0);
        // Who waited for the track before to pause or to move got there first.
        self.settle(|wants| wants == Wants::Sought, Ok(()));
        self.started(id);
    }

    pub(super) fn failed(&mut self, id: LoadId, why: Why) {
        if let Some(prepared) = self.prepared.as_mut().filter(|it| it.id == id) {
            let uri = prepared.uri.clone();
            if why.is_common() {
                // There may be minutes until it is needed.
                prepared.retry.failed(self.now.tick_ms);
                self.push(Action::DropNext);
            } else {
                self.prepared = None;
                self.push(Action::DropNext);
                self.note(format!("{uri} is left out: {}", why.words()));
                self.lineup.mark_bad(&uri, why);
                self.touched = true;
            }
            return;
        }
        if !self.is_current(id) {
            return;
        }
        let Some(uri) = self.lineup.current().map(|item| item.entry.uri.clone()) else {
            return;
        };
        self.note(format!("{uri} does not play: {}", why.words()));
        let position = self.position_ms();
        let mark = self.lineup.mark();
        match self.failures.failed(&uri, why, mark) {
            Verdict::GoOn => self.pass_over(id, why),
            Verdict::Stop { condition, back } => {
                if let Some(mark) = back {
                    self.lineup.return_to(*mark);
                }
                let same = self
                    .lineup
                    .current()
                    .is_some_and(|item| item.entry.uri == uri);
                self.halt(if same { position } else { 0 }, condition.what.clone());
                self.push(Action::Raise(condition));
            }
        }
    }

    /// Stops before what does not load; "play" tries it again.
    fn halt(&mut self, position_ms: u32, why: String) {
        self.silence();
        self.halted = true;
        self.want_play = false;
        self.set_position(position_ms);
        self.touched = true;
        self.settle(|_| true, Err(why));
    }

    /// Goes on after a track that does not play; whoever waits for music waits on.
    fn pass_over(&mut self, id: LoadId, why: Why) {
        if !why.is_common()
            && let Some(item) = self.lineup.current()
        {
            let uri = item.entry.uri.clone();
            self.lineup.mark_bad(&uri, why);
        }
        if !self.lineup.has_next() {
            let reason = format!("it cannot be played: {}", why.words());
            // What no server has need not be waited for.
            if why.is_common() && why != Why::Absent {
                let position = self.position_ms();
                self.halt(position, reason);
                return;
            }
            self.settle(|_| true, Err(reason));
        }
        self.replies.follow(Wants::Known(id), Wants::Begun);
        self.move_on(false);
    }

    pub(super) fn clock(&mut self, id: LoadId, position_ms: u32) {
        if !self.is_current(id) || self.phase != Phase::Playing {
            return;
        }
        let drift = self.position_ms().abs_diff(position_ms);
        if !self.is_at(position_ms) {
            return;
        }
        let told = self.now.tick_ms.saturating_sub(self.published_tick);
        if drift > DRIFT_MS {
            self.touched = true;
        } else if told >= TELL_MS {
            self.publish();
        }
    }
}

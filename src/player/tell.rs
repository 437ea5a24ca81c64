//! What there is to tell, and when to look again.

use std::time::Duration;

use super::{
    deck::{Deck, Pausing, Start, Tail},
    order::Event,
    track::{Over, Track},
};
use crate::{
    model::{RATE, duration_of, ms_of},
    output::Look,
};

/// With so few frames waiting, a listener hears the end of them.
const LOW: u64 = 256;
/// How often bytes are looked for that are not urgent.
const LOOK: Duration = Duration::from_millis(50);
/// And in a pause.
const SELDOM: Duration = Duration::from_millis(500);

/// Whether a track has followed of which there is nothing to be heard.
fn is_empty(current: &Track, tail: &Tail, look: &Look) -> bool {
    current.is_done() && look.written == tail.index
}

impl Deck {
    /// Collects the news. True when the way is free for more: another track to follow, or all that
    /// fits behind the first sample.
    pub(super) fn tell(&mut self) -> bool {
        let look = self.inlet.look();
        self.tell_of_the_output(&look);
        let started = self.tell_of_the_start(&look);
        let freed = self.tell_of_the_joint(&look) || started;
        if self.current.is_none() {
            return freed;
        }
        if self.resumed.is_some_and(|taken| look.taken > taken) {
            self.resumed = None;
            let (id, position_ms) = self.place(&look);
            self.news.push(Event::Resumed { id, position_ms });
        }
        self.tell_of_the_pause(&look);
        self.tell_of_hunger(&look);
        self.tell_of_the_end(&look);
        freed
    }

    fn tell_of_the_output(&mut self, look: &Look) {
        if look.lost != self.lost {
            self.lost = look.lost;
            self.starving = None;
            let id = self.current.as_ref().map(|_| self.place(look).0);
            self.news.push(match look.lost {
                true => Event::OutputLost { id },
                // What has not begun goes on when it does.
                false => Event::OutputBack {
                    id: id.filter(|_| self.start == Start::Told),
                },
            });
        }
    }

    /// Another track may have followed it in the ring already.
    fn tell_of_the_start(&mut self, look: &Look) -> bool {
        let Start::At { index, id } = self.start else {
            return false;
        };
        let started = look.taken > index;
        if started {
            self.start = Start::Told;
            self.resumed = None;
            self.news.push(Event::Started { id });
        }
        started
    }

    fn tell_of_the_joint(&mut self, look: &Look) -> bool {
        let (Some(tail), Some(current)) = (&mut self.tail, &self.current) else {
            return false;
        };
        let begun = look.taken > tail.index || is_empty(current, tail, look);
        if !tail.told && look.heard >= tail.index && begun {
            tail.told = true;
            self.news.push(Event::Joined {
                from: tail.track.id,
                to: current.id,
            });
        }
        let past = self.tail.take_if(|tail| tail.told && tail.mix.is_none());
        past.is_some()
    }

    /// Which track is heard, and where.
    fn place(&self, look: &Look) -> (u64, u32) {
        let heard = match (&self.tail, &self.current) {
            (Some(tail), _) if !tail.told => &tail.track,
            (_, Some(current)) => current,
            _ => return look.place.unwrap_or_default(),
        };
        match look.place {
            Some((id, position_ms)) if id == heard.id => (id, position_ms),
            // The device still has the end of what was heard before: this one is where it begins,
            // however much of it waits already.
            _ => {
                let waits = look.written - look.taken;
                (heard.id, ms_of(heard.position.saturating_sub(waits)))
            }
        }
    }

    fn tell_of_the_pause(&mut self, look: &Look) {
        let (id, position_ms) = self.place(look);
        let over = self
            .current
            .as_ref()
            .is_none_or(|track| track.over.is_some());
        let due = match self.pausing {
            None => false,
            Some(Pausing::Silence) => look.silent && (look.heard >= look.taken || look.lost),
            Some(Pausing::Ready) => self.start != Start::Awaited || over,
        };
        if due {
            self.pausing = None;
            self.news.push(Event::Paused { id, position_ms });
        }
    }

    fn tell_of_hunger(&mut self, look: &Look) {
        let (id, _) = self.place(look);
        match self.starving {
            Some(taken) if look.taken > taken + LOW => {
                self.starving = None;
                self.news.push(Event::Flowing { id });
            }
            Some(_) => {}
            None => {
                let expected = self.playing && self.start == Start::Told && self.sought.is_none();
                let low = look.written - look.taken <= LOW;
                let missing = self.current.as_ref().is_some_and(|t| t.over.is_none());
                if expected && self.hungry && low && missing && !look.lost {
                    self.starving = Some(look.taken);
                    self.inlet.starves();
                    self.news.push(Event::Starving { id });
                }
            }
        }
    }

    fn tell_of_the_end(&mut self, look: &Look) {
        let Some(current) = self.current.as_ref().filter(|track| track.is_done()) else {
            return;
        };
        let id = current.id;
        let heard = look.heard >= look.written;
        if let Some(Over::Failed(why)) = &current.over {
            // A short rest that no device would begin with is nothing to wait for.
            let rest = look.silent && look.written - look.taken < u64::from(RATE) / 50;
            if heard || rest || !self.playing || look.lost {
                let why = why.clone();
                self.news.push(Event::Failed { id, why });
                self.current = None;
                self.inlet.pause();
            }
            return;
        }
        let follows = self.next.is_some() || self.tail.is_some();
        if heard && self.closed && self.playing && !follows && !self.ended {
            self.ended = true;
            if self.start != Start::Told {
                // Nothing of it was there to be heard.
                self.start = Start::Told;
            }
            self.news.push(Event::Ended { id });
            self.inlet.pause();
        }
    }

    /// How long to sleep: `None` until something happens. The inlet is told what to wake for.
    pub(super) fn sleep(&self) -> Option<Duration> {
        let look = self.inlet.look();
        let mut by_taken = u64::MAX;
        let mut by_ear = u64::MAX;
        let mut now = false;
        let mut wants = |index: u64, heard: bool| {
            if index > look.taken {
                by_taken = by_taken.min(index);
            } else if heard && index > look.heard {
                by_ear = by_ear.min(index);
            } else {
                // It happened since the last look.
                now = true;
            }
        };
        if let Start::At { index, .. } = self.start {
            wants(index + 1, false);
        }
        if let Some(taken) = self.resumed {
            wants(taken + 1, false);
        }
        if let Some(tail) = self.tail.as_ref().filter(|tail| !tail.told) {
            let empty = self
                .current
                .as_ref()
                .is_some_and(|it| is_empty(it, tail, &look));
            wants(tail.index + u64::from(!empty), true);
        }
        if let Some(taken) = self.starving {
            wants(taken + LOW + 1, false);
        }
        if self.has_all() {
            if self.playing && !self.ended && self.tail.is_none() {
                wants(look.written, true);
            }
        } else if self.current.is_some() && !self.hungry {
            wants(look.written.saturating_sub(look.depth as u64 / 2), false);
        }
        if self.pausing == Some(Pausing::Silence) && look.silent {
            wants(look.taken, true);
        }
        if now || self.inlet.wake_at(by_taken) {
            return Some(Duration::ZERO);
        }
        let ear = (by_ear < u64::MAX).then(|| {
            let frames = by_ear - look.heard;
            duration_of(frames) + Duration::from_micros(500)
        });
        let bytes = match self.playing || self.start == Start::Awaited {
            true => LOOK,
            false => SELDOM,
        };
        let bytes = self.hungry.then_some(bytes);
        [ear, bytes].into_iter().flatten().min()
    }
}

//! What waits for one hook. Pure: newer news take the place of older ones that they make untrue.

use std::collections::VecDeque;

use super::events::Event;
use crate::config::Occasion;

/// Events that wait for one hook; of more, the oldest are left out.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Event>,
    left_out: u64,
}

impl Queue {
    pub fn push(&mut self, event: Event) {
        self.waiting.retain(|old| !replaces(&event, old));
        if self.waiting.len() == MOST {
            self.waiting.pop_front();
            self.left_out += 1;
        }
        self.waiting.push_back(event);
    }

    pub fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many were left out for want of room since the last question.
    pub fn left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

/// Whether nobody needs to hear of `old` once there is `new`.
fn replaces(new: &Event, old: &Event) -> bool {
    let code = |event: &Event| event.condition.as_ref().map(|it| it.code);
    new.speaker == old.speaker && topic(new.on) == topic(old.on) && code(new) == code(old)
}

/// What an event is about: the last word on it is the one that counts.
fn topic(on: Occasion) -> u8 {
    match on {
        Occasion::BeforePlay => 0,
        Occasion::Playing | Occasion::Paused | Occasion::Stopped => 1,
        Occasion::Active | Occasion::Inactive => 2,
        Occasion::Track => 3,
        Occasion::Volume => 4,
        Occasion::Condition | Occasion::ConditionCleared => 5,
        Occasion::OutputLost | Occasion::OutputBack => 6,
        Occasion::SignedIn | Occasion::SignedOut => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::control::hooks::events::{Now, Watcher};

    fn event(speaker: &str, on: Occasion, at: i64) -> Event {
        let now = Now {
            steady: Instant::now(),
            unix_ms: at,
        };
        Watcher::default().event(speaker, on, now)
    }

    fn all(queue: &mut Queue) -> Vec<(String, &'static str, i64)> {
        std::iter::from_fn(|| queue.pop())
            .map(|event| (event.speaker, event.on.key(), event.at_ms))
            .collect()
    }

    #[test]
    fn the_last_word_on_each_thing_is_kept_in_its_place() {
        let mut queue = Queue::default();
        for at in 0..200 {
            queue.push(event("a", Occasion::Volume, at));
            queue.push(event("b", Occasion::Volume, at));
        }
        queue.push(event("a", Occasion::Playing, 200));
        queue.push(event("a", Occasion::Track, 201));
        queue.push(event("a", Occasion::Paused, 202));
        let expected = [
            ("a".to_owned(), "volume", 199),
            ("b".to_owned(), "volume", 199),
            ("a".to_owned(), "track", 201),
            ("a".to_owned(), "paused", 202),
        ];
        assert_eq!(all(&mut queue), expected);
        assert_eq!(queue.left_out(), 0);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_oldest_give_way() {
        let mut queue = Queue::default();
        for at in 0..70 {
            queue.push(event(&at.to_string(), Occasion::Volume, at));
        }
        assert_eq!((queue.left_out(), queue.left_out()), (6, 0));
        let all = all(&mut queue);
        assert_eq!((all.len(), all[0].2), (MOST, 6));
    }
}

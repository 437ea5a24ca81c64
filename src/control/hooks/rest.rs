//! When a speaker counts as in use for one hook. Pure.

use std::time::{Duration, Instant};

use super::events::{Seen, Sound};

/// Whether somebody uses a speaker, with a delay after the last music where one is wanted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rest {
    in_use: bool,
    /// When it is not any more.
    ends: Option<Instant>,
}

/// What is different now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Begins,
    Ends,
}

impl Rest {
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// When to look again.
    pub fn due(&self) -> Option<Instant> {
        self.ends
    }

    /// Without a delay, a speaker is in use while a listener plays on it, also when he pauses. With
    /// one, while there is music, and for so long after it.
    pub fn look(&mut self, seen: &Seen, delay: Option<Duration>, now: Instant) -> Option<Turn> {
        let used = match delay {
            Some(_) => seen.sound == Sound::Playing,
            None => seen.active,
        };
        if used {
            self.ends = None;
            return (!std::mem::replace(&mut self.in_use, true)).then_some(Turn::Begins);
        }
        if !self.in_use {
            return None;
        }
        let ends = *self.ends.get_or_insert(now + delay.unwrap_or_default());
        if now < ends {
            return None;
        }
        *self = Self::default();
        Some(Turn::Ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_delay_it_is_what_the_listener_sees() {
        let mut rest = Rest::default();
        let now = Instant::now();
        let paused = Seen::of(true, Sound::Paused);
        assert_eq!(rest.look(&paused, None, now), Some(Turn::Begins));
        assert_eq!(rest.look(&paused, None, now), None);
        let away = Seen::of(false, Sound::Stopped);
        assert_eq!(rest.look(&away, None, now), Some(Turn::Ends));
        assert_eq!(rest.look(&away, None, now), None);
    }

    #[test]
    fn with_a_delay_music_counts_and_a_short_silence_does_not() {
        let delay = Some(Duration::from_secs(60));
        let mut rest = Rest::default();
        let now = Instant::now();
        let (plays, paused) = (
            Seen::of(true, Sound::Playing),
            Seen::of(true, Sound::Paused),
        );
        assert_eq!(rest.look(&paused, delay, now), None, "picked is not played");
        assert_eq!(rest.look(&plays, delay, now), Some(Turn::Begins));
        assert_eq!(rest.look(&paused, delay, now), None);
        assert_eq!(rest.due(), Some(now + Duration::from_secs(60)));
        assert_eq!(
            rest.look(&plays, delay, now + Duration::from_secs(59)),
            None
        );
        assert_eq!(rest.due(), None);
        let again = now + Duration::from_secs(100);
        assert_eq!(rest.look(&paused, delay, again), None);
        assert_eq!(
            rest.look(&paused, delay, again + Duration::from_secs(59)),
            None
        );
        let late = again + Duration::from_secs(60);
        assert_eq!(rest.look(&paused, delay, late), Some(Turn::Ends));
        assert!(!rest.is_in_use());
    }
}

//! When a speaker counts as in use for one hook. Pure.

use std::time::{Duration, Instant};

use super::events::{Seen, Sound};

/// Whether somebody uses a speaker, with a delay after the last music where one is wanted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rest {
    in_use: bool,
    /// The hook was told of music that waits for it, and there was none since.
    prepared: bool,
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
        self.in_use || self.prepared
    }

    /// When to look again.
    pub fn due(&self) -> Option<Instant> {
        self.ends
    }

    /// Without a delay, a speaker is in use while a listener plays on it, also when he pauses. With
    /// one, while there is music, and for so long after it. `prepares`: the hook wants to hear of music
    /// before it sounds; whatever it switches on then is in use, also where the music never comes.
    pub fn look(
        &mut self,
        seen: &Seen,
        prepares: bool,
        delay: Option<Duration>,
        now: Instant,
    ) -> Option<Turn> {
        let used = match delay {
            Some(_) => seen.sound == Sound::Playing,
            None => seen.active,
        };
        if used {
            self.ends = None;
            self.prepared = false;
            return (!std::mem::replace(&mut self.in_use, true)).then_some(Turn::Begins);
        }
        if prepares && seen.holding {
            self.ends = None;
            self.prepared = true;
            return None;
        }
        if !self.is_in_use() {
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
        assert_eq!(rest.look(&paused, false, None, now), Some(Turn::Begins));
        assert_eq!(rest.look(&paused, false, None, now), None);
        let away = Seen::of(false, Sound::Stopped);
        assert_eq!(rest.look(&away, false, None, now), Some(Turn::Ends));
        assert_eq!(rest.look(&away, false, None, now), None);
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
        assert_eq!(
            rest.look(&paused, false, delay, now),
            None,
            "picked is not played"
        );
        assert_eq!(rest.look(&plays, false, delay, now), Some(Turn::Begins));
        assert_eq!(rest.look(&paused, false, delay, now), None);
        assert_eq!(rest.due(), Some(now + Duration::from_secs(60)));
        assert_eq!(
            rest.look(&plays, false, delay, now + Duration::from_secs(59)),
            None
        );
        assert_eq!(rest.due(), None);
        let again = now + Duration::from_secs(100);
        assert_eq!(rest.look(&paused, false, delay, again), None);
        assert_eq!(
            rest.look(&paused, false, delay, again + Duration::from_secs(59)),
            None
        );
        let late = again + Duration::from_secs(60);
        assert_eq!(rest.look(&paused, false, delay, late), Some(Turn::Ends));
        assert!(!rest.is_in_use());
    }

    #[test]
    fn music_that_was_waited_for_and_never_came_ends_like_any() {
        let delay = Some(Duration::from_secs(60));
        let mut rest = Rest::default();
        let now = Instant::now();
        let paused = Seen::of(true, Sound::Paused);
        let mut held = paused.clone();
        held.holding = true;
        assert_eq!(rest.look(&held, false, delay, now), None);
        assert!(!rest.is_in_use(), "it was told nothing");
        assert_eq!(rest.look(&held, true, delay, now), None);
        assert!(rest.is_in_use());
        let later = now + Duration::from_secs(90);
        assert_eq!(rest.look(&held, true, delay, later), None, "still waiting");
        assert_eq!(rest.look(&paused, true, delay, later), None);
        assert_eq!(rest.due(), Some(later + Duration::from_secs(60)));
        let end = later + Duration::from_secs(60);
        assert_eq!(rest.look(&paused, true, delay, end), Some(Turn::Ends));
        assert!(!rest.is_in_use());
        // Where it comes, that is told as ever.
        assert_eq!(rest.look(&held, true, delay, end), None);
        let plays = Seen::of(true, Sound::Playing);
        assert_eq!(rest.look(&plays, true, delay, end), Some(Turn::Begins));
    }
}

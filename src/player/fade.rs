//! One track fades into the next: when, how, and that nobody hears what the one lacks in the other.

use std::time::Duration;

use super::{
    deck::{Deck, Pump},
    track::{Over, Track},
};
use crate::{
    model::{CHANNELS, RATE, frames_of, ms_of},
    output::Look,
};

/// A crossfade shorter than this is none.
const SHORTEST: u64 = RATE as u64 / 4;
/// Frames mixed at once.
const MIXED: usize = 4096;
/// With no more than this in the ring one track is heard alone when the other has nothing.
const ALONE: u64 = RATE as u64 / 8;
/// How long one fades that has nothing more, or comes back: as in the output.
const EDGE: usize = 220;

/// Frames whose loudness is looked at as one: 0.7 ms.
const STEP: usize = 32;
/// By how much the gain comes back in a step: all of it in a tenth of a second.
const RELEASE: f32 = STEP as f32 * 10.0 / RATE as f32;
/// By how much it falls in one, at most, where there is time for it: all of it in 6 ms.
const ATTACK: f32 = 1.0 / 8.0;
/// Frames behind those that are mixed at which the gain is looked up in time.
const AHEAD: usize = 8 * STEP;

#[derive(Debug)]
pub(super) struct Mix {
    len: u64,
    done: u64,
    /// The gain of the last frame.
    gain: f32,
    /// The last samples were without the track that rises, or that falls.
    without: [bool; 2],
}

impl Mix {
    fn new(len: u64) -> Self {
        Self {
            len,
            done: 0,
            gain: 1.0,
            without: [false; 2],
        }
    }

    /// Both together, both of the same loudness on the whole: for music that has nothing to do with
    /// the other that is the sum of squares. Only `frames` of it are to be heard; what is behind
    /// tells how loud it will be.
    fn blend(&mut self, rising: &[f32], falling: &[f32], frames: usize) -> Vec<f32> {
        let all = rising.len().max(falling.len()) / CHANNELS;
        let mut mixed = Vec::with_capacity(all * CHANNELS);
        let mut ceilings = Vec::with_capacity(all.div_ceil(STEP));
        for from in (0..all).step_by(STEP) {
            let (mut alone, mut both) = (1f32, 0f32);
            for index in from..all.min(from + STEP) {
                let way = (self.done + index as u64) as f32 / self.len as f32;
                let way = way.min(1.0);
                let (rise, fall) = (way.sqrt(), (1.0 - way).sqrt());
                for at in index * CHANNELS..(index + 1) * CHANNELS {
                    let new = rising.get(at).copied().unwrap_or(0.0);
                    let old = falling.get(at).copied().unwrap_or(0.0);
                    let sample = new * rise + old * fall;
                    alone = alone.max(new.abs()).max(old.abs());
                    both = both.max(sample.abs());
                    mixed.push(sample);
                }
            }
            // What is too loud alone is not for a fade to mend.
            ceilings.push(if both > alone { alone / both } else { 1.0 });
        }
        mixed.truncate(frames * CHANNELS);
        self.limit(&mut mixed, ceilings);
        mixed
    }

    /// Two tracks at full scale are more than that together. The gain goes down before it is needed,
    /// and comes back slowly.
    fn limit(&mut self, mixed: &mut [f32], mut gains: Vec<f32>) {
        let mut most = self.gain;
        for gain in &mut gains {
            most = gain.min(most + RELEASE);
            *gain = most;
        }
        for at in (1..gains.len()).rev() {
            gains[at - 1] = gains[at - 1].min(gains[at] + ATTACK);
        }
        let mut from = self.gain;
        for (at, piece) in mixed.chunks_mut(STEP * CHANNELS).enumerate() {
            let here = gains[at];
            let to = gains.get(at + 1).map_or(here, |next| here.min(*next));
            let start = from.min(here);
            if start < 1.0 || to < 1.0 {
                let frames = piece.len() / CHANNELS;
                for (index, frame) in piece.chunks_exact_mut(CHANNELS).enumerate() {
                    let gain = start + (to - start) * (index + 1) as f32 / frames as f32;
                    frame.iter_mut().for_each(|sample| *sample *= gain);
                }
            }
            from = to;
        }
        self.gain = from;
    }
}

/// Falls to silence at the end of these frames, and rises from it at their beginning.
fn soften(samples: &mut [f32], begins: bool, ends: bool) {
    let frames = samples.len() / CHANNELS;
    let edge = EDGE.min(frames);
    for (index, frame) in samples.chunks_exact_mut(CHANNELS).enumerate() {
        let rise = if begins {
            index as f32 / edge as f32
        } else {
            1.0
        };
        let left = (frames - 1 - index) as f32;
        let fall = if ends { left / edge as f32 } else { 1.0 };
        let gain = rise.min(fall).min(1.0);
        frame.iter_mut().for_each(|sample| *sample *= gain);
    }
}

/// The next frames of a track and some behind them, with edges where it begins or ends to be heard.
fn part(track: &Track, frames: usize, begins: bool, ends: bool) -> Vec<f32> {
    let there = if ends {
        frames
    } else {
        track.frames().min(frames + AHEAD)
    };
    let mut samples = track.ready()[..there * CHANNELS].to_vec();
    if begins || ends {
        soften(&mut samples, begins, ends);
    }
    samples
}

impl Deck {
    /// Frames until the current track begins to fade into the next one; `None` if it does not.
    pub(super) fn fade_begins_in(&self) -> Option<usize> {
        let (current, next) = (self.current.as_ref()?, self.next.as_ref()?);
        if self.settings.crossfade_ms == 0 || next.consecutive || self.tail.is_some() {
            return None;
        }
        let total = current.total()?;
        let half = next.total().map_or(u64::MAX, |total| total / 2);
        let len = frames_of(self.settings.crossfade_ms)
            .min(total / 2)
            .min(half);
        let begins = total - len;
        let left = total.saturating_sub(current.position);
        (len >= SHORTEST && left >= SHORTEST)
            .then(|| usize::try_from(begins.saturating_sub(current.position)).unwrap_or(usize::MAX))
    }

    pub(super) fn begin_fade(&mut self, look: &Look) -> Pump {
        let (Some(current), Some(next)) = (&self.current, &mut self.next) else {
            return Pump::Full;
        };
        let there = next.frames() > 0 || next.decode(&self.settings, Duration::ZERO);
        if !there || next.is_done() || matches!(next.over, Some(Over::Failed(_))) {
            // It is late, or there is nothing of it. The current track goes on, and fades for less long.
            return self.push(look, MIXED);
        }
        let left = current.total().unwrap_or(0) - current.position;
        if next.frames() > 0 {
            self.follow(look, Some(Mix::new(left)));
        }
        Pump::Worked
    }

    /// Puts both tracks into the ring, one rising and one falling. One that has nothing is waited for
    /// while the ring lasts; then the other one is heard alone, as loud as it would have been.
    pub(super) fn mix(&mut self, look: &Look, wait: Duration) -> Pump {
        let low = look.written - look.taken <= ALONE;
        let (Some(current), Some(tail)) = (&mut self.current, &mut self.tail) else {
            return Pump::Full;
        };
        let Some(mix) = &mut tail.mix else {
            return Pump::Full;
        };
        let left = usize::try_from(mix.len - mix.done).unwrap_or(usize::MAX);
        let most = left.min(look.room).min(MIXED);
        let mut late = false;
        // Not every step brings samples.
        while !late && current.ready().is_empty() && current.over.is_none() {
            late = !current.decode(&self.settings, wait);
        }
        if late && !low {
            return Pump::Hungry;
        }
        let rising = current.frames().min(most);
        // When what rises is late, or shorter than it claimed, what falls is heard alone.
        let wanted = if late || current.is_done() {
            most
        } else {
            rising
        };
        let mut short = false;
        while !short && tail.track.frames() < wanted && tail.track.over.is_none() {
            short = !tail.track.decode(&self.settings, wait);
        }
        if short && !low {
            return Pump::Hungry;
        }
        let falling = tail.track.frames().min(wanted);
        let frames = match (rising, falling) {
            (0, falling) => falling,
            (rising, 0) => rising,
            // The rest of what rises waits for the rest of what falls, which may come.
            (rising, falling) if short => rising.min(falling),
            (rising, falling) => rising.max(falling),
        };
        if frames == 0 {
            if late || short {
                return Pump::Hungry;
            }
            tail.mix = None;
            return Pump::Worked;
        }
        let (rising, falling) = (rising.min(frames), falling.min(frames));
        let [no_new, no_old] = mix.without;
        let new = part(current, rising, no_new && rising > 0, false);
        let old = part(
            &tail.track,
            falling,
            no_old && falling > 0,
            short && falling > 0,
        );
        mix.without = [late && rising == 0, short];
        let mixed = mix.blend(&new, &old, frames);
        if current.jumped && rising > 0 {
            self.inlet.begin(current.id, ms_of(current.position));
        }
        self.inlet.push(&mixed);
        current.used(rising);
        tail.track.used(falling);
        mix.done += frames as u64;
        if mix.done >= mix.len {
            tail.mix = None;
        }
        self.arrived(look.written);
        Pump::Worked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(frames: usize, period: usize) -> Vec<f32> {
        let level = |n: usize| if n % period < period / 2 { 1.0 } else { -1.0 };
        (0..frames).flat_map(|n| [level(n); CHANNELS]).collect()
    }

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0f32, |peak, x| peak.max(x.abs()))
    }

    #[test]
    fn two_masters_at_full_scale_never_clip_together_and_no_step_is_heard() {
        let len = 44_100;
        let (new, old) = (square(len, 100), square(len, 140));
        let mut mix = Mix::new(len as u64);
        let mut gains = Vec::new();
        for from in (0..len).step_by(MIXED) {
            let frames = MIXED.min(len - from);
            let end = len.min(from + frames + AHEAD) * CHANNELS;
            let from = from * CHANNELS;
            let mixed = mix.blend(&new[from..end], &old[from..end], frames);
            assert_eq!(mixed.len(), frames * CHANNELS);
            assert!(peak(&mixed) <= 1.0 + 1e-5, "{}", peak(&mixed));
            for (index, sample) in mixed.iter().step_by(CHANNELS).enumerate() {
                let at = mix.done as usize + index;
                let way = at as f32 / len as f32;
                let at = at * CHANNELS;
                let plain = new[at] * way.sqrt() + old[at] * (1.0 - way).sqrt();
                if plain.abs() > 0.1 {
                    gains.push(sample / plain);
                }
            }
            mix.done += frames as u64;
        }
        let steepest = gains.windows(2).map(|two| (two[0] - two[1]).abs());
        let steepest = steepest.fold(0f32, f32::max);
        assert!(steepest < 0.02, "{steepest}");
        assert!((gains[gains.len() - 1] - 1.0).abs() < 0.03);
        // In the middle both are 3 dB down, and together no quieter than one of them.
        assert!(gains[gains.len() / 2] > 0.7);
    }

    #[test]
    fn music_that_leaves_room_is_mixed_as_it_is() {
        let half = |samples: Vec<f32>| -> Vec<f32> { samples.iter().map(|x| x * 0.6).collect() };
        let (new, old) = (half(square(9_000, 90)), half(square(9_000, 130)));
        let mut mix = Mix::new(9_000);
        let mixed = mix.blend(&new, &old, 9_000);
        let way = 4_500f32 / 9_000.0;
        let plain = (new[9_000] + old[9_000]) * way.sqrt();
        assert!((mixed[9_000] - plain).abs() < 1e-5);
        assert_eq!(mix.gain, 1.0);
    }

    #[test]
    fn what_begins_or_ends_in_a_fade_does_so_softly() {
        let mut samples = vec![1.0; 1000 * CHANNELS];
        soften(&mut samples, true, true);
        assert_eq!((samples[0], samples[1999], samples[1000]), (0.0, 0.0, 1.0));
        let mut few = vec![1.0; 3 * CHANNELS];
        soften(&mut few, false, true);
        assert!(few[0] < 1.0 && few[5] == 0.0);
    }
}

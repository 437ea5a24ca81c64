//! The samples on their way: a bounded queue that knows which track each of them belongs to.
//!
//! Pure: no lock, no clock, no thread. Here it is decided where a fade is needed. The rule: music
//! that stops or starts in the middle of a track fades for 5 ms; the joint between two tracks and
//! the beginning of a track are left exactly as they are.

use std::{collections::VecDeque, ops::Range};

use super::dim::{self, Shade};
use crate::model::{CHANNELS, Dim, RATE, frames_of};

/// Length of a fade: 5 ms. Shorter ones click, longer ones are heard as a delay.
pub(super) const FADE: usize = 220;
/// Stretches remembered; more within the music that waits are the oldest ones' loss.
const MAX_SEGMENTS: usize = 64;

/// Where a stretch of one track begins. Indexes count frames since the beginning of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    start: u64,
    track: u64,
    position_ms: u32,
}

/// How the taker behaves when the queue runs low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// A card: what is not there now is silence, so the music must fade out before.
    Now,
    /// A pipe or file: waits for more, and keeps the last 5 ms back until it is known what follows.
    Patient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Silence; opens when enough is waiting.
    Shut,
    Open,
}

#[derive(Debug)]
pub(super) struct Reel {
    samples: VecDeque<f32>,
    /// In frames. Pushing stops here.
    capacity: usize,
    /// Frames with which music begins.
    start_at: usize,
    /// The music broke off for want of samples: it goes on when there are some in store.
    recovering: bool,
    /// Nothing leaves, whatever waits.
    paused: bool,
    /// Index of the next frame to leave.
    taken: u64,
    segments: VecDeque<Segment>,
    /// Index after the last frame of a track that was decoded to its end.
    ended_at: Option<u64>,
    fade_in_at: Option<u64>,
    /// Frames that fade to silence; the gate shuts behind them.
    fade_out: Range<u64>,
    /// What waits before this index is only there to fade out: what follows it was dropped.
    rest_to: u64,
    gate: Gate,
    draining: bool,
    shade: Shade,
    /// Who takes is patient.
    patient: bool,
    /// Times the music broke off because nothing was waiting.
    pub(super) gaps: u64,
    /// Times music was cut off while it was heard.
    pub(super) cuts: u64,
    /// Times that what waited was dropped.
    pub(super) flushes: u64,
}

impl Reel {
    /// `capacity` in frames.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            samples: VecDeque::with_capacity((capacity + FADE) * CHANNELS),
            capacity: capacity.max(4 * FADE),
            start_at: 4 * FADE,
            recovering: false,
            paused: false,
            taken: 0,
            segments: VecDeque::new(),
            ended_at: None,
            fade_in_at: None,
            fade_out: 0..0,
            rest_to: 0,
            gate: Gate::Shut,
            draining: false,
            shade: Shade::default(),
            patient: false,
            gaps: 0,
            cuts: 0,
            flushes: 0,
        }
    }

    /// Frames waiting.
    pub(super) fn len(&self) -> usize {
        self.samples.len() / CHANNELS
    }

    /// Frames that have left since the beginning.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Index of the next frame to be written.
    pub(super) fn written(&self) -> u64 {
        self.taken + self.len() as u64
    }

    /// Music begins when a device that holds `frames` will not run dry at once.
    pub(super) fn begin_with(&mut self, frames: usize) {
        self.start_at = (frames * 3 / 4).max(4 * FADE).min(self.capacity / 2);
    }

    /// From now on so many frames can wait, if that is more than before.
    pub(super) fn deepen(&mut self, capacity: usize) {
        if capacity > self.capacity {
            self.capacity = capacity;
            let room = (capacity + FADE) * CHANNELS;
            self.samples
                .reserve(room.saturating_sub(self.samples.len()));
        }
    }

    /// Falls silent within a fade and keeps what waits behind it.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        if self.gate == Gate::Open && !self.fade_out.contains(&self.taken) {
            self.fade_out = self.taken..self.taken + self.len().min(FADE) as u64;
            if self.samples.is_empty() {
                self.gate = Gate::Shut;
            }
        }
    }

    /// Grows quieter like that from here on.
    pub(super) fn dim(&mut self, dim: Option<Dim>) {
        self.shade.set(dim, self.taken);
    }

    /// Where the dimmed music is silent, if it is what leaves next.
    fn silent_at(&self) -> Option<u64> {
        match self.shade.goal()? {
            dim::Goal::Frame(at) => Some(at),
            dim::Goal::Place { track, ms } => {
                let mut segments = self.segments.iter().rev();
                let here = segments.find(|segment| segment.start <= self.taken)?;
                let left = frames_of(ms.saturating_sub(here.position_ms));
                (here.track == track).then_some(here.start + left)
            }
        }
    }

    /// Goes on with the next sample.
    pub(super) fn resume(&mut self) {
        self.paused = false;
        if self.draining {
            // A pause on the way may have taken the fade at the end for its own.
            self.drain();
        }
    }

    /// Whether silence leaves, and will until something else happens.
    pub(super) fn is_shut(&self) -> bool {
        self.gate == Gate::Shut
    }

    /// Whether a listener misses samples.
    pub(super) fn is_dry(&self) -> bool {
        let whole = self.ended_at == Some(self.written());
        !self.paused && !whole && (self.len() <= FADE || self.recovering)
    }

    /// The listener begins to miss what has not come. A patient taker notices nothing of that, and
    /// whoever listens behind it does.
    pub(super) fn starves(&mut self) {
        self.gaps += u64::from(self.patient);
    }

    /// Drops what waits from this index on; what was before is as if nothing had followed.
    pub(super) fn cut(&mut self, index: u64) {
        let keep = index.saturating_sub(self.taken).min(self.len() as u64);
        self.samples.truncate(keep as usize * CHANNELS);
        let end = self.written();
        self.segments.retain(|segment| segment.start < end);
        self.ended_at = self.ended_at.filter(|&at| at <= end);
    }

    /// Every sample of a track has been pushed: its end is left as it is.
    pub(super) fn end(&mut self) {
        self.ended_at = Some(self.written());
    }

    /// Frames that fit now.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    /// Appends as many whole frames as fit; returns how many frames it took.
    pub(super) fn push(&mut self, samples: &[f32]) -> usize {
        let frames = (samples.len() / CHANNELS).min(self.room());
        if frames > 0 {
            self.draining = false;
            self.samples.extend(&samples[..frames * CHANNELS]);
        }
        frames
    }

    /// No more is coming for now: let everything out, with a fade on the tail.
    pub(super) fn drain(&mut self) {
        let end = self.written();
        self.draining = true;
        if self.ended_at != Some(end) && self.fade_out.end < end {
            self.fade_out = end - (self.len().min(FADE) as u64)..end;
        }
    }

    /// The taker is gone: what waits stays, and fades in when there is one again.
    pub(super) fn hold(&mut self) {
        self.gate = Gate::Shut;
        self.draining = false;
        self.fade_out = 0..0;
        self.skip_to(self.rest_to);
    }

    /// Leaves out what waits before this index.
    fn skip_to(&mut self, index: u64) {
        let left = index.saturating_sub(self.taken).min(self.len() as u64);
        self.samples.drain(..left as usize * CHANNELS);
        self.taken += left;
    }

    #[cfg(test)]
    pub(super) fn is_drained(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether a taker would get something now.
    pub(super) fn is_ready(&self, pace: Pace) -> bool {
        match (self.gate, pace) {
            (Gate::Shut, _) => self.may_open(),
            (Gate::Open, Pace::Now) => true,
            (Gate::Open, Pace::Patient) => self.deliverable(usize::MAX, pace) > 0,
        }
    }

    /// Fills `out` with faded, interleaved frames; returns how many frames there were.
    pub(super) fn pull(&mut self, out: &mut [f32], pace: Pace) -> usize {
        let want = out.len() / CHANNELS;
        let mut done = 0;
        self.patient = pace == Pace::Patient;
        while done < want {
            if self.gate == Gate::Shut {
                if !self.may_open() {
                    break;
                }
                self.open();
            }
            if pace == Pace::Now {
                self.fade_before_running_dry(want - done);
            }
            let count = self.deliverable(want - done, pace);
            if count == 0 {
                if pace == Pace::Now || self.samples.is_empty() {
                    self.gate = Gate::Shut;
                }
                break;
            }
            self.deliver(&mut out[done * CHANNELS..(done + count) * CHANNELS]);
            done += count;
            if self.fade_out.end == self.taken {
                self.gate = Gate::Shut;
            }
        }
        self.forget_old_segments();
        done
    }

    fn may_open(&self) -> bool {
        let complete = self.draining || self.ended_at.is_some_and(|end| end > self.taken);
        let enough = match self.recovering {
            true => self.capacity / 3,
            false => self.start_at,
        };
        !self.paused && !self.samples.is_empty() && (complete || self.len() >= enough)
    }

    fn open(&mut self) {
        self.gate = Gate::Open;
        self.recovering = false;
        // Nobody has heard how loud it was before.
        self.shade.settle(self.taken, self.silent_at());
        let at_a_beginning = self
            .segments
            .iter()
            .rev()
            .find(|s| s.start <= self.taken)
            .is_some_and(|s| s.start == self.taken && s.position_ms == 0);
        self.fade_in_at = (!at_a_beginning).then_some(self.taken);
    }

    /// How many frames may leave now, at most `want`.
    fn deliverable(&self, want: usize, pace: Pace) -> usize {
        let fading = self.fade_out.end.saturating_sub(self.taken) as usize;
        if fading > 0 {
            return want.min(fading);
        }
        let whole = self.ended_at == Some(self.written());
        match pace {
            Pace::Patient if !whole => want.min(self.len().saturating_sub(FADE)),
            _ => want.min(self.len()),
        }
    }

    /// With less than a fade left behind this block, and more to be expected, nobody knows whether
    /// it comes in time: fade now, rather than break off in the next block.
    fn fade_before_running_dry(&mut self, want: usize) {
        let fading = self.fade_out.end > self.taken;
        let whole = self.ended_at == Some(self.written());
        if !fading && !whole && self.len() < want + FADE && !self.samples.is_empty() {
            let end = self.taken + self.len().min(want) as u64;
            self.fade_out = end.saturating_sub(FADE as u64).max(self.taken)..end;
            self.gaps += 1;
            self.recovering = true;
        }
    }

    fn deliver(&mut self, out: &mut [f32]) {
        let end = self.taken + (out.len() / CHANNELS) as u64;
        let (first, second) = self.samples.as_slices();
        let (front, back) = out.split_at_mut(first.len().min(out.len()));
        front.copy_from_slice(&first[..front.len()]);
        back.copy_from_slice(&second[..back.len()]);
        self.samples.drain(..out.len());
        if !self.shade.is_away() {
            let silent_at = self.silent_at();
            self.shade.apply(out, self.taken, silent_at);
        }
        if self.fades_in(self.taken..end) {
            for (frame, index) in out.chunks_exact_mut(CHANNELS).zip(self.taken..) {
                let gain = self.gain_at(index);
                frame.iter_mut().for_each(|sample| *sample *= gain);
            }
        }
        self.taken = end;
    }

    /// Whether any of these frames is louder or quieter than it was written.
    fn fades_in(&self, frames: Range<u64>) -> bool {
        let rising = self
            .fade_in_at
            .is_some_and(|at| frames.start < at + FADE as u64);
        rising || (self.fade_out.start < frames.end && frames.start < self.fade_out.end)
    }

    fn gain_at(&self, index: u64) -> f32 {
        let rise = match self.fade_in_at {
            Some(at) if index < at + FADE as u64 => (index - at) as f32 / FADE as f32,
            _ => 1.0,
        };
        let fall = if self.fade_out.contains(&index) {
            let length = self.fade_out.end - self.fade_out.start;
            (self.fade_out.end - index) as f32 / (length + 1) as f32
        } else {
            1.0
        };
        rise * fall
    }

    /// Drops what waits. If it is being heard, the next 5 ms remain, to fade out.
    pub(super) fn flush(&mut self) {
        self.recovering = false;
        let keep = match self.gate {
            Gate::Shut => 0,
            Gate::Open if self.fade_out.end > self.taken => {
                (self.fade_out.end - self.taken).min(FADE as u64) as usize
            }
            Gate::Open => self.len().min(FADE),
        };
        let end = self.taken + keep as u64;
        if keep > 0 && self.fade_out.end != end {
            self.fade_out = self.taken..end;
        }
        self.rest_to = end;
        self.cuts += u64::from(self.gate == Gate::Open);
        self.flushes += 1;
        self.samples.truncate(keep * CHANNELS);
        self.segments.retain(|segment| segment.start < end);
        self.ended_at = self.ended_at.filter(|&at| at < end);
    }

    /// What was taken before has faded already: the tail that a flush has left is not needed.
    pub(super) fn skip_fade(&mut self) {
        self.skip_to(self.fade_out.end);
        self.gate = Gate::Shut;
    }

    /// What is written next is this place of this track.
    pub(super) fn anchor(&mut self, track: u64, position_ms: u32) {
        let start = self.written();
        self.segments.retain(|segment| segment.start < start);
        if self.segments.len() == MAX_SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(Segment {
            start,
            track,
            position_ms,
        });
    }

    /// Which track frame `index` belongs to, and its position in it.
    pub(super) fn position_of(&self, index: u64) -> Option<(u64, u32)> {
        let segment = self
            .segments
            .iter()
            .rev()
            .find(|segment| segment.start <= index)
            .or(self.segments.front())?;
        let gone_ms = index.saturating_sub(segment.start) * 1000 / u64::from(RATE);
        let position = u64::from(segment.position_ms) + gone_ms;
        Some((segment.track, u32::try_from(position).unwrap_or(u32::MAX)))
    }

    /// A clock looks back by the device's delay, never by more than a second.
    fn forget_old_segments(&mut self) {
        while self
            .segments
            .get(1)
            .is_some_and(|next| next.start + u64::from(RATE) <= self.taken)
        {
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "reel_tests.rs"]
mod tests;

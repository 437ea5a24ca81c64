//! One track of the player: its decoder, and what has been decoded but does not fit yet.

use std::time::Duration;

use super::{
    loudness::Loudness,
    order::{Gain, Opened, PlayerSettings, Why},
};
use crate::{
    decode::{DecodeError, Decoder, Ending, Progress},
    model::{CHANNELS, frames_of},
};

/// How a track's decoding has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    Whole,
    BrokenOff,
    Failed(Why),
}

#[derive(Debug)]
pub(super) struct Track {
    pub id: u64,
    /// The next of the album of the one before.
    pub consecutive: bool,
    /// The silence behind it has been added, where one is wished for.
    pub spaced: bool,
    pub duration_ms: u32,
    pub over: Option<Over>,
    /// Where it was to begin, in frames.
    pub begin: u64,
    /// Frame of the track with which `ready` begins.
    pub position: u64,
    /// What is ready does not follow on what was taken out before: a place has to be named.
    pub jumped: bool,
    decoder: Decoder,
    by_album: bool,
    gain: Gain,
    loudness: Option<Loudness>,
    ready: Vec<f32>,
    /// Samples of it that have been taken out.
    used: usize,
}

impl Track {
    pub(super) fn new(id: u64, open: Opened, position_ms: u32, consecutive: bool) -> Self {
        let Opened {
            source,
            kind,
            duration_ms,
            by_album,
            gain,
        } = open;
        let decoder = Decoder::open(source, kind, duration_ms, position_ms);
        Self {
            id,
            consecutive,
            spaced: false,
            duration_ms,
            over: None,
            begin: decoder.position(),
            position: decoder.position(),
            jumped: true,
            decoder,
            by_album,
            gain,
            loudness: None,
            ready: Vec::new(),
            used: 0,
        }
    }

    /// Goes elsewhere, to a frame.
    pub(super) fn seek(&mut self, frame: u64) {
        self.decoder.seek_frame(frame);
        self.ready.clear();
        self.used = 0;
        self.over = None;
        self.position = frame;
        self.jumped = true;
    }

    /// Other settings hold for what is decoded from now on.
    pub(super) fn forget_loudness(&mut self) {
        self.loudness = None;
    }

    /// Interleaved samples that are decoded and not taken out.
    pub(super) fn ready(&self) -> &[f32] {
        &self.ready[self.used..]
    }

    pub(super) fn frames(&self) -> usize {
        self.ready().len() / CHANNELS
    }

    pub(super) fn used(&mut self, frames: usize) {
        self.used += frames * CHANNELS;
        self.position += frames as u64;
        self.jumped &= frames == 0;
        if self.used == self.ready.len() {
            self.ready.clear();
            self.used = 0;
        }
    }

    /// Silence behind the end.
    pub(super) fn add_silence(&mut self, frames: usize) {
        let len = self.ready.len() + frames * CHANNELS;
        self.ready.resize(len, 0.0);
    }

    /// Whether nothing more comes out.
    pub(super) fn is_done(&self) -> bool {
        self.over.is_some() && self.ready().is_empty()
    }

    /// Frames of the whole track, as well as they are known.
    pub(super) fn total(&self) -> Option<u64> {
        let told = frames_of(self.duration_ms);
        self.decoder.total().or((told > 0).then_some(told))
    }

    /// Decodes the next piece behind what is ready. False when bytes are missing.
    pub(super) fn decode(&mut self, settings: &PlayerSettings, wait: Duration) -> bool {
        if self.over.is_some() {
            return true;
        }
        if self.used > 0 {
            self.ready.drain(..self.used);
            self.used = 0;
        }
        let begin = self.ready.len();
        let progress = self.decoder.decode(&mut self.ready, wait);
        let frames = ((self.ready.len() - begin) / CHANNELS) as u64;
        if frames > 0 {
            let (by_album, gains) = (self.by_album, self.decoder.gains());
            let loudness = self
                .loudness
                .get_or_insert_with(|| Loudness::new(settings, by_album, gains));
            self.gain.is(loudness.factor());
            loudness.apply(&mut self.ready[begin..]);
            if begin == 0 {
                let position = self.decoder.position().saturating_sub(frames);
                self.jumped |= position != self.position;
                self.position = position;
            }
        }
        self.over = match progress {
            Ok(Progress::More) => None,
            Ok(Progress::End(Ending::Whole)) => Some(Over::Whole),
            Ok(Progress::End(Ending::BrokenOff)) => Some(Over::BrokenOff),
            Err(DecodeError::NotYet) => return false,
            Err(DecodeError::Source(why)) => Some(Over::Failed(Why::Source(why))),
            Err(DecodeError::NotAudio(why)) => Some(Over::Failed(Why::NotAudio(why))),
        };
        true
    }
}

//! MP3: podcast episodes.
//!
//! The frames carry no position: it is counted, from a place whose number is known. At a constant
//! bitrate every place is. Otherwise a place is exact that was played before or is in memory, and
//! any other is as exact as the encoder's table, until the frames can be counted back from the end.
//! Steps from there are exact among themselves.

mod frame;
mod marks;

use siskin_sound::pcm;
use symphonia_bundle_mp3::MpaDecoder;
use symphonia_core::{
    audio::{Audio, AudioBuffer, GenericAudioBufferRef},
    codecs::audio::{
        AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_MP3,
    },
    packet::PacketRef,
    units::{Duration, Timestamp},
};

use super::{DecodeError, Ending, Format, Gains, LOUDEST, Progress, RATE, scaled, window::Window};
use frame::{Frame, HEAD, Info};
use marks::Marks;

/// Frames decoded ahead of a target and thrown away: the bit reservoir reaches back.
const PREROLL: u64 = 10;
/// Music that is looked for so far behind the tags is none.
const SEARCHED: u64 = 256 * 1024;
/// Frames decoded in one step: 0.2 s.
const STEP: usize = 8;
/// So many bytes before the end the frames that are left are counted.
const COUNTED: u64 = 16 * 1024;
/// How far the length of a file of one bitrate may be from what the catalogue says: tags and
/// pictures are no music.
const CONSTANT: std::ops::RangeInclusive<f64> = 0.9..=1.1;
/// A remembered place so near before the target is read on from.
const READ_ON: u64 = 128 * 1024;

pub(super) struct Mp3 {
    window: Window,
    duration_ms: u32,
    /// Where to go once it is open; frames at [`RATE`].
    wish: u64,
    stream: Option<Box<Stream>>,
}

impl Mp3 {
    pub(super) fn new(window: Window, duration_ms: u32, start: u64) -> Self {
        Self {
            window,
            duration_ms,
            wish: start,
            stream: None,
        }
    }

    fn open(&mut self) -> Result<Stream, DecodeError> {
        let window = &mut self.window;
        while window.has(10)? && window.ahead().starts_with(b"ID3") {
            let tag = &window.ahead()[..10];
            let size = tag[6..10]
                .iter()
                .fold(0u64, |size, &byte| size << 7 | u64::from(byte & 0x7f));
            let footer = if tag[5] & 0x10 != 0 { 10 } else { 0 };
            window.go(window.offset() + 10 + size + footer);
        }
        let limit = window.offset() + SEARCHED;
        let first = sync(window, None, limit)?
            .ok_or_else(|| DecodeError::NotAudio("there are no frames of MP3".into()))?;
        let begin = window.offset();
        let info = match window.has(first.len)? {
            true => Info::parse(&first, &window.ahead()[..first.len]),
            false => None,
        };
        if info.is_some() {
            window.pass(first.len);
        }
        Stream::new(first, info, begin, window, self.duration_ms)
    }
}

impl Format for Mp3 {
    fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    fn advance(&mut self, out: &mut Vec<f32>) -> Result<Progress, DecodeError> {
        if let Some(stream) = &mut self.stream {
            return stream.advance(&mut self.window, out);
        }
        let mut stream = self.open()?;
        if self.wish > 0 {
            stream.seek(self.wish, &mut self.window);
        }
        self.stream = Some(Box::new(stream));
        Ok(Progress::More)
    }

    fn seek(&mut self, frame: u64) {
        match &mut self.stream {
            None => self.wish = frame,
            Some(stream) => stream.seek(frame, &mut self.window),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.first.rate)
    }

    fn gains(&self) -> Option<Gains> {
        None
    }

    fn position(&self) -> u64 {
        self.stream.as_ref().map_or(self.wish, |stream| {
            stream.begins(stream.number).max(stream.skip_to)
        })
    }

    fn total(&self) -> Option<u64> {
        self.stream.as_ref().and_then(|stream| stream.total)
    }
}

/// Goes to the next frame that another one follows (or the end), and that is like `like`. `None`
/// when there is none before `limit` or the end of the file.
fn sync(
    window: &mut Window,
    like: Option<&Frame>,
    limit: u64,
) -> Result<Option<Frame>, DecodeError> {
    while window.offset() < limit && window.has(HEAD)? {
        let fits = |bytes: &[u8], like: Option<&Frame>| {
            Frame::parse(bytes).filter(|frame| like.is_none_or(|like| frame.is_like(like)))
        };
        if let Some(frame) = fits(window.ahead(), like) {
            let followed = match window.has(frame.len + HEAD)? {
                true => fits(&window.ahead()[frame.len..], Some(&frame)).is_some(),
                false => window.has(frame.len)?,
            };
            if followed {
                return Ok(Some(frame));
            }
        }
        window.pass(1);
    }
    Ok(None)
}

struct Stream {
    codec: MpaDecoder,
    first: Frame,
    info: Info,
    /// Offset of the first frame, with the encoder's information or without.
    begin: u64,
    /// Offset of the first frame with music.
    audio: u64,
    /// Bytes of a frame, where all have the same bitrate.
    constant: Option<f64>,
    len: Option<u64>,
    /// Samples of the whole file, without delay and padding.
    total: Option<u64>,
    /// Number of the next frame.
    number: u64,
    /// The number is certain.
    exact: bool,
    /// It was tried to count back from the end.
    counted: bool,
    skip_to: u64,
    /// From this number on frames are decoded, not only counted.
    decode_from: u64,
    /// Places whose number is certain.
    marks: Marks,
    /// Places since the last one that was not: their numbers are right among themselves.
    loosely: Marks,
    /// The place was guessed: it has to be found where the next frame begins.
    loose: bool,
    over: Option<Ending>,
}

impl Stream {
    fn new(
        first: Frame,
        info: Option<Info>,
        begin: u64,
        window: &mut Window,
        duration_ms: u32,
    ) -> Result<Self, DecodeError> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_MP3);
        let codec = MpaDecoder::try_new(&params, &AudioDecoderOptions::default())
            .map_err(|error| DecodeError::NotAudio(error.to_string()))?;
        let audio = window.offset();
        let bytes = first.samples as f64 / 8.0 * f64::from(first.bitrate) / f64::from(first.rate);
        let told = u64::from(duration_ms) * u64::from(first.rate) / 1000;
        let constant = match &info {
            Some(info) => info.constant,
            None => is_constant(window, &first)? && fits(window, bytes, told / first.samples),
        };
        let constant = constant.then_some(bytes);
        let len = window.len();
        let info = info.unwrap_or_default();
        let counted = info
            .frames
            .map(|frames| (frames * first.samples).saturating_sub(info.delay + info.padding));
        let measured = constant
            .zip(len)
            .map(|(bytes, len)| (len.saturating_sub(audio) as f64 / bytes) as u64 * first.samples);
        let told = (told > 0).then_some(told);
        Ok(Self {
            codec,
            first,
            begin,
            audio,
            constant,
            len,
            total: counted.or(told).or(measured),
            info,
            number: 0,
            exact: true,
            counted: false,
            skip_to: 0,
            decode_from: 0,
            marks: Marks::beginning(audio),
            loosely: Marks::default(),
            loose: false,
            over: None,
        })
    }

    /// The first sample of a frame, as the listener counts.
    fn begins(&self, number: u64) -> u64 {
        (number * self.first.samples).saturating_sub(self.info.delay)
    }

    /// `frame` counts at [`RATE`].
    fn seek(&mut self, frame: u64, window: &mut Window) {
        let target = scaled(frame, RATE, self.first.rate);
        let number = (target + self.info.delay) / self.first.samples;
        let early = number.saturating_sub(PREROLL);
        self.over = None;
        self.loose = false;
        self.counted = false;
        self.skip_to = target;
        self.decode_from = early;
        self.codec.reset();
        if early == 0 {
            (self.number, self.exact) = (0, true);
            return window.go(self.audio);
        }
        let guess = self.guess(early);
        for (marks, exact) in [(&self.marks, true), (&self.loosely, false)] {
            if let Some(mark) = marks.before(early)
                && (mark.is_followed || is_near(window, mark.offset, guess))
            {
                (self.number, self.exact) = (mark.number, exact);
                return window.go(mark.offset);
            }
        }
        self.loose = true;
        self.number = early;
        self.exact = self.constant.is_some();
        self.loosely.clear();
        let offset = match self.constant {
            // A byte of padding more or less: the frame begins at most so much before.
            Some(bytes) => self.audio + ((early as f64 * bytes) as u64).saturating_sub(8),
            None => guess,
        };
        window.go(offset);
    }

    /// By the encoder's table, else by the average. The table's entries are cut off to 1/256 of the
    /// file, which is a quarter of a minute in an episode: within that the average knows better.
    fn guess(&self, number: u64) -> u64 {
        let total = self.total.unwrap_or(0) + self.info.delay + self.info.padding;
        let frames = self
            .info
            .frames
            .unwrap_or(total / self.first.samples)
            .max(1);
        let gone = (number as f64 / frames as f64).min(1.0);
        let end = self
            .end_of_music()
            .unwrap_or(self.audio + number * self.first.len as u64);
        let bytes = end.saturating_sub(self.begin) as f64;
        let share = match &self.info.table {
            Some(table) => {
                let at = ((gone * 100.0) as usize).min(99);
                let from = f64::from(table[at]);
                let to = table.get(at + 1).map_or(256.0, |&to| f64::from(to));
                let least = from + (to - from) * (gone * 100.0 - at as f64);
                (gone * 256.0).clamp(least, least + 1.0) / 256.0
            }
            None => gone,
        };
        (self.begin + (bytes * share) as u64).max(self.audio)
    }

    fn end_of_music(&self) -> Option<u64> {
        let told = self.info.bytes.map(|bytes| self.begin + bytes);
        told.or(self.len)
    }

    /// Near the end the place is certain again: so many frames are left.
    fn count_back(&mut self, window: &mut Window) -> Result<(), DecodeError> {
        let (Some(end), Some(frames)) = (self.end_of_music(), self.info.frames) else {
            return Ok(());
        };
        let left = end.saturating_sub(window.offset());
        if self.counted || left > COUNTED || !window.has(left as usize)? {
            return Ok(());
        }
        self.counted = true;
        let bytes = &window.ahead()[..left as usize];
        let (mut at, mut count) = (0, 0);
        while let Some(frame) = Frame::parse(&bytes[at..])
            && frame.is_like(&self.first)
            && at + frame.len <= bytes.len()
        {
            (at, count) = (at + frame.len, count + 1);
        }
        if bytes.len() - at > self.first.len {
            // There is something else than frames.
            return Ok(());
        }
        let heard = self.begins(self.number) > self.skip_to;
        self.number = frames.saturating_sub(count);
        self.exact = true;
        self.loosely.clear();
        if heard {
            // Nothing is left out in the middle of music.
            self.skip_to = self.skip_to.min(self.begins(self.number));
            self.decode_from = self.decode_from.min(self.number);
        }
        Ok(())
    }

    fn advance(
        &mut self,
        window: &mut Window,
        out: &mut Vec<f32>,
    ) -> Result<Progress, DecodeError> {
        for step in 0..STEP {
            if let Some(ending) = self.over {
                return Ok(Progress::End(ending));
            }
            match self.frame(window, out) {
                Ok(()) => {}
                // What is there is worth handing out.
                Err(DecodeError::NotYet) if step > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::More)
    }

    fn frame(&mut self, window: &mut Window, out: &mut Vec<f32>) -> Result<(), DecodeError> {
        let Some(frame) = self.find(window)? else {
            self.end();
            return Ok(());
        };
        if !self.exact {
            self.count_back(window)?;
        }
        let marks = match self.exact {
            true => &mut self.marks,
            false => &mut self.loosely,
        };
        marks.note(self.number, window.offset());
        if self.number >= self.decode_from {
            let begin = out.len();
            self.decode(&window.ahead()[..frame.len], out);
            self.trim(out, begin);
        }
        window.pass(frame.len);
        self.number += 1;
        Ok(())
    }

    /// Goes to the next frame; `None` at the end of the file.
    fn find(&mut self, window: &mut Window) -> Result<Option<Frame>, DecodeError> {
        if !self.loose {
            if !window.has(HEAD)? {
                return Ok(None);
            }
            let here = Frame::parse(window.ahead()).filter(|frame| frame.is_like(&self.first));
            if let Some(frame) = here {
                return Ok(window.has(frame.len)?.then_some(frame));
            }
            self.loose = true;
        }
        let found = sync(window, Some(&self.first), u64::MAX)?;
        self.loose = false;
        match self.constant {
            Some(bytes) => {
                let gone = window.offset().saturating_sub(self.audio) as f64 / bytes;
                self.number = gone.round() as u64;
            }
            None => {
                if self.exact {
                    self.loosely.clear();
                }
                self.exact = false;
            }
        }
        Ok(found)
    }

    fn end(&mut self) {
        let whole = self.info.frames.is_none_or(|frames| self.number >= frames);
        self.over = Some(if whole || !self.exact {
            Ending::Whole
        } else {
            Ending::BrokenOff
        });
    }

    /// A damaged frame is as long as another one, and silent.
    fn decode(&mut self, bytes: &[u8], out: &mut Vec<f32>) {
        let begin = out.len();
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, bytes);
        if let Ok(GenericAudioBufferRef::F32(buffer)) = self.codec.decode_ref(&packet) {
            interleave(buffer, out);
        }
        out.resize(begin + self.first.samples as usize * 2, 0.0);
    }

    /// Leaves out delay, padding and what lies before the target. The frame began at `begin`.
    fn trim(&self, out: &mut Vec<f32>, begin: usize) {
        let first = (self.number * self.first.samples) as i64 - self.info.delay as i64;
        let frames = (out.len() - begin) as i64 / 2;
        if let Some(number) = self.info.frames
            && self.exact
        {
            let end = number * self.first.samples;
            let end = end.saturating_sub(self.info.delay + self.info.padding) as i64;
            let keep = (end - first).clamp(0, frames);
            out.truncate(begin + keep as usize * 2);
        }
        let frames = (out.len() - begin) as i64 / 2;
        let early = (self.skip_to as i64 - first).clamp(0, frames);
        out.drain(begin..begin + early as usize * 2);
    }
}

/// Whether reading on from `offset` to `target` costs less than going there.
fn is_near(window: &Window, offset: u64, target: u64) -> bool {
    target <= window.at_hand(offset).max(offset + READ_ON)
}

/// Mono is heard on both sides.
fn interleave(buffer: &AudioBuffer<f32>, out: &mut Vec<f32>) {
    if let Some(left) = buffer.plane(0) {
        let right = buffer.plane(1).unwrap_or(left);
        pcm::interleave([left, right], LOUDEST, out);
    }
}

/// Whether the first frames have one bitrate, as they do in most files without information.
fn is_constant(window: &mut Window, first: &Frame) -> Result<bool, DecodeError> {
    let mut at = 0;
    for _ in 0..STEP {
        if !window.has(at + HEAD)? {
            break;
        }
        match Frame::parse(&window.ahead()[at..]) {
            Some(frame) if frame.is_like(first) && frame.bitrate == first.bitrate => {
                at += frame.len;
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether a file of frames of so many bytes is about as long as it should be: one of many bitrates
/// may begin with silence, which is of one.
fn fits(window: &Window, bytes: f64, frames: u64) -> bool {
    let Some(len) = window.len().filter(|_| frames > 0) else {
        return true;
    };
    let there = len.saturating_sub(window.offset()) as f64 / bytes;
    CONSTANT.contains(&(there / frames as f64))
}

#[cfg(test)]
mod tests;

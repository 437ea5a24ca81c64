//! Ogg Vorbis: pages to packets to samples, and back to any place.
//!
//! A page is decoded as a whole: only when all of it is counted does its granule say where its
//! samples belong.

mod open;
mod place;
mod search;

use siskin_sound::{pcm, vorbis::Codec};

use super::{
    DecodeError, Ending, Format, Gains, LOUDEST, Progress, RATE,
    ogg::{Joiner, Page},
    window::Window,
};
use open::{Head, Opening};
use place::{At, Decoded, Edit, place};
use search::{Map, Mark, Search, Step};

/// Longest packet of audio; real ones have some hundred bytes.
const PACKET: usize = 256 * 1024;
/// Samples before a target with which decoding has to begin, to be exact there.
const PREROLL: u64 = 3072;

pub(super) struct Vorbis {
    window: Window,
    duration_ms: u32,
    /// Where to go once the headers are read; frames at [`RATE`].
    wish: u64,
    stage: Stage,
}

enum Stage {
    Opening(Opening),
    Open(Box<Stream>),
}

impl Vorbis {
    pub(super) fn new(window: Window, duration_ms: u32, start: u64) -> Self {
        Self {
            window,
            duration_ms,
            wish: start,
            stage: Stage::Opening(Opening::default()),
        }
    }

    fn stream(&self) -> Option<&Stream> {
        match &self.stage {
            Stage::Opening(_) => None,
            Stage::Open(stream) => Some(stream),
        }
    }
}

impl Format for Vorbis {
    fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    fn advance(&mut self, out: &mut Vec<f32>) -> Result<Progress, DecodeError> {
        match &mut self.stage {
            Stage::Opening(opening) => {
                if let Some(head) = opening.advance(&mut self.window)? {
                    let len = self.window.len();
                    let mut stream = Box::new(Stream::new(head, self.duration_ms, len));
                    if self.wish > 0 {
                        stream.seek(self.wish, &mut self.window);
                    }
                    self.stage = Stage::Open(stream);
                }
                Ok(Progress::More)
            }
            Stage::Open(stream) => stream.advance(&mut self.window, out),
        }
    }

    fn seek(&mut self, frame: u64) {
        match &mut self.stage {
            Stage::Opening(_) => self.wish = frame,
            Stage::Open(stream) => stream.seek(frame, &mut self.window),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.stream().map(|stream| stream.rate)
    }

    fn gains(&self) -> Option<Gains> {
        self.stream().and_then(|stream| stream.gains)
    }

    fn position(&self) -> u64 {
        self.stream().map_or(self.wish, |stream| match stream.at {
            At::Sample(sample) => sample.max(stream.skip_to),
            At::Beginning | At::Unknown => stream.skip_to,
        })
    }

    fn total(&self) -> Option<u64> {
        self.stream().and_then(|stream| stream.map.total)
    }
}

/// A stream whose headers are known.
struct Stream {
    codec: Codec,
    serial: u32,
    rate: u32,
    gains: Option<Gains>,
    map: Map,
    preroll: u64,
    joiner: Joiner,
    /// Numbers of the first page of audio, and of the page that should come next.
    first: u32,
    sequence: Option<u32>,
    at: At,
    /// Samples before this one are not handed out.
    skip_to: u64,
    search: Option<Search>,
    over: Option<Ending>,
}

impl Stream {
    fn new(head: Head, duration_ms: u32, len: Option<u64>) -> Self {
        let samples = u64::from(duration_ms) * u64::from(head.rate) / 1000;
        let told = (samples > 0).then_some(samples);
        let bytes = len.map(|len| len.saturating_sub(head.base));
        let table = head.table.filter(|table| table.is_plausible(told, bytes));
        let total = table.as_ref().map(|table| table.samples).or(told);
        let average = total
            .zip(len)
            .map(|(total, len)| len as f64 / total.max(1) as f64);
        let nominal = head.nominal.or(average).unwrap_or(0.9);
        Self {
            codec: Codec::new(head.setup),
            serial: head.serial,
            rate: head.rate,
            gains: head.gains,
            map: Map {
                audio: head.audio,
                base: head.base,
                table,
                nominal,
                total,
                len,
                marks: Vec::new(),
            },
            preroll: PREROLL.max(head.block * 3 / 2),
            joiner: Joiner::default(),
            first: head.sequence,
            sequence: Some(head.sequence),
            at: At::Beginning,
            skip_to: 0,
            search: None,
            over: None,
        }
    }

    /// `frame` at [`RATE`].
    fn seek(&mut self, frame: u64, window: &mut Window) {
        let target = super::scaled(frame, RATE, self.rate);
        self.over = None;
        self.skip_to = target;
        if target <= self.preroll {
            self.search = None;
            return self.land(self.map.audio, At::Beginning, window);
        }
        let search = Search::new(target - self.preroll, &self.map);
        self.at = At::Unknown;
        window.go(search.from());
        self.search = Some(search);
    }

    /// Decodes from a page on.
    fn land(&mut self, offset: u64, at: At, window: &mut Window) {
        self.search = None;
        self.codec.reset();
        self.joiner.forget();
        self.sequence = (at == At::Beginning).then_some(self.first);
        self.at = at;
        window.go(offset);
    }

    fn advance(
        &mut self,
        window: &mut Window,
        out: &mut Vec<f32>,
    ) -> Result<Progress, DecodeError> {
        if let Some(ending) = self.over {
            return Ok(Progress::End(ending));
        }
        while self.search.is_some() {
            self.look(window)?;
            if let Some(ending) = self.over {
                return Ok(Progress::End(ending));
            }
        }
        let Some(page) = Page::next(window, u64::MAX)? else {
            let ending = self.ending();
            self.over = Some(ending);
            return Ok(Progress::End(ending));
        };
        if page.serial == self.serial {
            self.decode(page, window, out);
        }
        window.pass(page.len);
        if page.last && page.serial == self.serial {
            self.over = Some(Ending::Whole);
            return Ok(Progress::End(Ending::Whole));
        }
        Ok(Progress::More)
    }

    /// The file has ended without saying that the track has.
    fn ending(&self) -> Ending {
        match (self.at, self.map.total) {
            (At::Sample(sample), Some(total)) if sample >= total => Ending::Whole,
            _ => Ending::BrokenOff,
        }
    }

    /// Takes the search one page further.
    fn look(&mut self, window: &mut Window) -> Result<(), DecodeError> {
        let found = Page::next(window, u64::MAX)?;
        let Some(search) = &mut self.search else {
            return Ok(());
        };
        let step = match found {
            None => search.end(&self.map),
            Some(page) => {
                let granule = page.granule.filter(|_| page.serial == self.serial);
                window.pass(page.len);
                match granule {
                    None => return Ok(()),
                    Some(granule) => {
                        let offset = page.offset;
                        let mark = Mark { granule, offset };
                        if !page.last {
                            self.map.mark(mark);
                        }
                        Some(search.page(mark, &self.map))
                    }
                }
            }
        };
        match step {
            Some(Step::On { keep }) => window.keep(Some(keep)),
            Some(Step::Jump(offset)) => window.go(offset),
            Some(Step::Land { offset, beginning }) => {
                let at = if beginning {
                    At::Beginning
                } else {
                    At::Unknown
                };
                self.land(offset, at, window);
            }
            None => {
                self.search = None;
                self.over = Some(Ending::Whole);
            }
        }
        Ok(())
    }

    fn decode(&mut self, page: Page, window: &Window, out: &mut Vec<f32>) {
        let begin = out.len();
        let lost = self.sequence.is_some_and(|wanted| wanted != page.sequence);
        self.sequence = Some(page.sequence.wrapping_add(1));
        if lost {
            self.codec.reset();
            self.joiner.forget();
        }
        self.joiner.page(page.continued);
        let mut damaged = None;
        for (piece, ends) in page.pieces(&window.ahead()[..page.len]) {
            let Some(packet) = self.joiner.add(piece, ends, PACKET) else {
                continue;
            };
            if !packet.is_empty() && !packet_into(&mut self.codec, packet, out) {
                // What it would overlap with is gone; the next one begins anew.
                self.codec.reset();
                damaged.get_or_insert((out.len() - begin) as u64 / 2);
            }
        }
        let decoded = Decoded {
            frames: (out.len() - begin) as u64 / 2,
            granule: page.granule,
            last: page.last,
            lost,
            damaged,
        };
        let (first, edit) = place(self.at, decoded, self.map.total);
        self.settle(first, edit, out, begin);
        if let (Some(granule), false) = (page.granule, page.last) {
            let offset = page.offset;
            self.map.mark(Mark { granule, offset });
        }
    }

    /// Edits the samples from `begin` on, and keeps those that were asked for.
    fn settle(&mut self, first: Option<u64>, edit: Edit, out: &mut Vec<f32>, begin: usize) {
        match edit {
            Edit::Keep => {}
            Edit::Drop(frames) => {
                let at = |frame: u64| begin + frame as usize * 2;
                out.drain(at(frames.start)..at(frames.end));
            }
            Edit::Silence { before, frames } => {
                let at = begin + before as usize * 2;
                out.splice(at..at, std::iter::repeat_n(0.0, frames as usize * 2));
            }
        }
        let Some(first) = first else {
            return;
        };
        let frames = (out.len() - begin) as u64 / 2;
        let early = self.skip_to.saturating_sub(first).min(frames) as usize;
        out.drain(begin..begin + early * 2);
        self.at = At::Sample(first + frames);
    }
}

/// Appends the samples of a packet. False when it is damaged.
fn packet_into(codec: &mut Codec, packet: &[u8], out: &mut Vec<f32>) -> bool {
    codec
        .decode(packet)
        .map(|planes| pcm::interleave(planes, LOUDEST, out))
        .is_some()
}

#[cfg(test)]
mod tests;

//! Whole files of audio: played, sought in, by way of a line that hesitates.
//!
//! An input is eight bytes that say how it is listened to ([`Ride`]), and the file.

use std::time::Duration;

use crate::decode::{DecodeError, Decoder, Kind, LOUDEST, Progress, Source, SourceError, checksum};

/// The pages of a file may claim more than it holds: what is made of it is no longer than this.
const LONGEST: usize = 1024 * 1024;
/// No more is listened to at a stretch, two minutes: pages of silence cost nothing to write.
const ENOUGH: usize = 2 * 60 * 44_100 * 2;
/// No page and no frame is shorter, and each call takes one at least.
const SHORTEST: usize = 20;

/// Ogg Vorbis. Unless the first bit says otherwise, the pages are made whole and get checksums that
/// are right: nobody comes across a checksum by chance.
pub(super) fn vorbis(bytes: &[u8]) {
    if let Some((ride, file)) = Ride::of(bytes) {
        let file = if ride.is_raw {
            file.to_vec()
        } else {
            mended(file)
        };
        ride.take(Kind::Vorbis, file);
    }
}

pub(super) fn mp3(bytes: &[u8]) {
    if let Some((ride, file)) = Ride::of(bytes) {
        ride.take(Kind::Mp3, file.to_vec());
    }
}

/// Each page as long as its table says, with zeros where bytes are missing, and its checksum.
fn mended(file: &[u8]) -> Vec<u8> {
    let windows = file.windows(4).enumerate();
    let begins = windows.filter_map(|(at, four)| (four == b"OggS").then_some(at));
    let begins: Vec<usize> = begins.chain([file.len()]).collect();
    let mut whole = file[..begins[0]].to_vec();
    for pair in begins.windows(2) {
        let page = &file[pair[0]..pair[1]];
        let begin = whole.len();
        whole.extend(page);
        let Some((head, rest)) = page.split_at_checked(27) else {
            continue;
        };
        let Some(lacing) = rest.get(..usize::from(head[26])) else {
            continue;
        };
        let body: usize = lacing.iter().map(|&size| usize::from(size)).sum();
        let end = begin + 27 + lacing.len() + body;
        if end > LONGEST {
            break;
        }
        whole.resize(end, 0);
        whole[begin + 22..begin + 26].fill(0);
        let sum = checksum(&whole[begin..]);
        whole[begin + 22..begin + 26].copy_from_slice(&sum.to_le_bytes());
    }
    whole
}

/// How a file is listened to.
pub(crate) struct Ride {
    pub is_raw: bool,
    /// As the catalogue has it; 0 for unknown.
    pub duration_ms: u32,
    pub start_ms: u32,
    /// Where to, after a few calls each.
    pub seeks_ms: Vec<u32>,
    /// Longest read of the source.
    pub most: usize,
    /// Every so many reads there is nothing yet; 0 for never.
    pub not_yet: u32,
}

impl Ride {
    /// Flags, start, four seeks, duration, line.
    fn of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (how, file) = bytes.split_first_chunk::<8>()?;
        let place = |byte: u8| match byte {
            u8::MAX => u32::MAX,
            _ => u32::from(byte) * 17,
        };
        let ride = Self {
            is_raw: how[0] & 1 != 0,
            start_ms: place(how[1]),
            seeks_ms: how[2..6]
                .iter()
                .filter(|&&byte| byte > 0)
                .map(|&byte| place(byte - 1))
                .collect(),
            duration_ms: u32::from(how[6]) * 50,
            most: 64 << (how[7] & 15),
            not_yet: u32::from(how[7] >> 4),
        };
        Some((ride, file))
    }

    /// Listens to all of it.
    ///
    /// # Panics
    /// When a sample is none that may come out, when the place goes back by itself, or when there is
    /// no end.
    pub(crate) fn take(&self, kind: Kind, file: Vec<u8>) {
        let calls = file.len() / SHORTEST + 64;
        let line = Line {
            file,
            most: self.most,
            not_yet: self.not_yet,
            reads: 0,
        };
        let mut decoder = Decoder::open(Box::new(line), kind, self.duration_ms, self.start_ms);
        for &to_ms in &self.seeks_ms {
            listen(&mut decoder, 6);
            decoder.seek(to_ms);
        }
        assert!(listen(&mut decoder, calls), "it never ends");
        // Whoever asks once more does no harm.
        listen(&mut decoder, 2);
        decoder.total();
        decoder.gains();
    }
}

/// Decodes with so many calls that bring it forward. True when that was all there is.
fn listen(decoder: &mut Decoder, calls: usize) -> bool {
    let (mut heard, mut out) = (0, Vec::new());
    let (mut steps, mut waits) = (0, 0);
    while steps < calls {
        out.clear();
        let before = decoder.position();
        let came = decoder.decode(&mut out, Duration::ZERO);
        check(&out);
        heard += out.len();
        match came {
            Ok(Progress::End(_)) => return true,
            Err(DecodeError::NotYet) => {
                // The line brings something at least every other time.
                waits += 1;
                assert!(waits < (calls + 64) * 4096, "it never comes");
                continue;
            }
            Err(_) => return true,
            Ok(Progress::More) => steps += 1,
        }
        let at = decoder.position();
        assert!(
            at.saturating_add(ROUNDED) >= before,
            "back from {before} to {at}"
        );
        if heard > ENOUGH {
            return true;
        }
    }
    false
}

/// Frames of two samples, none of them louder than a decoder promises.
pub(crate) fn check(out: &[f32]) {
    assert!(out.len().is_multiple_of(2));
    // What is no number lies in no range.
    let wrong = out
        .iter()
        .find(|sample| !(-LOUDEST..=LOUDEST).contains(*sample));
    assert_eq!(wrong, None, "noise");
}

/// What a place may go back by when the rate of the file becomes known: half a frame at 8000 a second,
/// twice rounded.
const ROUNDED: u64 = 6;

/// A file in memory at the end of a line.
struct Line {
    file: Vec<u8>,
    most: usize,
    not_yet: u32,
    reads: u32,
}

impl Source for Line {
    fn read_at(&mut self, offset: u64, buf: &mut [u8], _: Duration) -> Result<usize, SourceError> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.file.get(at..).unwrap_or_default();
        self.reads += 1;
        // The end is known when it is reached.
        if self.not_yet > 1 && self.reads.is_multiple_of(self.not_yet) && !rest.is_empty() {
            return Err(SourceError::NotYet);
        }
        let count = rest.len().min(buf.len()).min(self.most);
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&self) -> Option<u64> {
        Some(self.file.len() as u64)
    }
}

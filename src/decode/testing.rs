//! Files and sources for tests, here and in the player.

use std::{
    collections::HashMap,
    num::{NonZeroU8, NonZeroU32},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use spotify_sim::catalogue::{Catalogue, Quality, SERVICE_PAGE_LEN, Track};
use vorbis_rs::{VorbisDecoder, VorbisEncoderBuilder};

use super::{DecodeError, Decoder, Ending, Kind, Progress, Source, SourceError};

pub(crate) type Bytes = Arc<Vec<u8>>;

/// The first track with this name of the simulated catalogue.
pub(crate) fn track(title: &str) -> Arc<Track> {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    let catalogue = CATALOGUE.get_or_init(Catalogue::standard);
    let mut tracks = catalogue.tracks();
    tracks.find(|t| t.title == title).expect("known").clone()
}

/// Its file as the service keeps it, decrypted; kept in memory, since many tests ask.
pub(crate) fn file(title: &str, quality: Quality) -> Bytes {
    static FILES: Mutex<Option<HashMap<String, Bytes>>> = Mutex::new(None);
    let mut files = FILES.lock().unwrap_or_else(|error| error.into_inner());
    let files = files.get_or_insert_default();
    let name = format!("{title} {quality:?}");
    Arc::clone(
        files
            .entry(name)
            .or_insert_with(|| track(title).plain_file(quality)),
    )
}

/// Ogg Vorbis of these channels, without a service page.
pub(crate) fn encode(rate: u32, channels: &[Vec<f32>]) -> Vec<u8> {
    let mut file = Vec::new();
    let count = NonZeroU8::new(channels.len() as u8).expect("some");
    let rate = NonZeroU32::new(rate).expect("some");
    let mut encoder = VorbisEncoderBuilder::new_with_serial(rate, count, &mut file, 7)
        .build()
        .expect("an encoder");
    let frames = channels[0].len();
    for at in (0..frames).step_by(4096) {
        let end = frames.min(at + 4096);
        let block: Vec<&[f32]> = channels.iter().map(|c| &c[at..end]).collect();
        encoder.encode_audio_block(block).expect("encoded");
    }
    encoder.finish().expect("finished");
    file
}

/// What another decoder makes of an Ogg Vorbis file: interleaved.
pub(crate) fn reference(file: &[u8]) -> Vec<f32> {
    let mut decoder = VorbisDecoder::<&[u8]>::new(file).expect("Ogg Vorbis");
    let mut out = Vec::new();
    while let Some(block) = decoder.decode_audio_block().expect("decoded") {
        let planes = block.samples();
        let (left, right) = (planes[0], planes[planes.len() - 1]);
        for (&l, &r) in left.iter().zip(right) {
            out.extend([l, r]);
        }
    }
    out
}

pub(crate) fn without_service_page(file: &[u8]) -> &[u8] {
    &file[SERVICE_PAGE_LEN..]
}

/// What a source was asked.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Ranges fetched; each is a request.
    pub(crate) requests: Vec<(u64, u64)>,
}

/// A file in memory, with the moods of a network.
pub(crate) struct Memory {
    pub(crate) bytes: Bytes,
    pub(crate) log: Arc<Mutex<Log>>,
    /// Longest read.
    pub(crate) most: usize,
    /// Every so many reads there is nothing yet; 0 for never.
    pub(crate) not_yet: u32,
    /// From this offset on, there is nothing yet, as long as it stands here.
    pub(crate) until: Option<Arc<Mutex<u64>>>,
    /// So much of it is there without waiting.
    pub(crate) at_hand: u64,
    /// At this offset the source fails.
    pub(crate) fails_at: Option<u64>,
    pub(crate) reads: u32,
}

impl Memory {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            log: Arc::default(),
            most: usize::MAX,
            not_yet: 0,
            until: None,
            at_hand: 0,
            fails_at: None,
            reads: 0,
        }
    }
}

impl Source for Memory {
    fn read_at(
        &mut self,
        offset: u64,
        buf: &mut [u8],
        wait: Duration,
    ) -> Result<usize, SourceError> {
        self.reads += 1;
        if self.not_yet > 0 && self.reads.is_multiple_of(self.not_yet) {
            return Err(SourceError::NotYet);
        }
        let mut end = self.bytes.len() as u64;
        if let Some(fails) = self.fails_at {
            if offset >= fails {
                return Err(SourceError::Failed("the line is cut".into()));
            }
            end = end.min(fails);
        }
        if let Some(until) = &self.until {
            let until = *until.lock().expect("no panic");
            if offset >= until {
                std::thread::sleep(wait);
                return Err(SourceError::NotYet);
            }
            end = end.min(until);
        }
        let rest = &self.bytes[offset.min(end) as usize..end as usize];
        let count = rest.len().min(buf.len()).min(self.most);
        buf[..count].copy_from_slice(&rest[..count]);
        let mut log = self.log.lock().expect("no panic");
        let reach = offset + count as u64;
        let range = log
            .requests
            .iter_mut()
            .find(|range| (range.0..=range.1).contains(&offset));
        match range {
            Some(range) => range.1 = range.1.max(reach),
            None => log.requests.push((offset, reach)),
        }
        Ok(count)
    }

    fn at_hand(&self, offset: u64) -> u64 {
        offset.max(self.at_hand)
    }

    fn len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }
}

pub(crate) fn open(bytes: &Bytes, kind: Kind, duration_ms: u32, start_ms: u32) -> Decoder {
    let source = Box::new(Memory::new(Arc::clone(bytes)));
    Decoder::open(source, kind, duration_ms, start_ms)
}

/// Decodes at least so many frames, or to the end.
pub(crate) fn some(decoder: &mut Decoder, frames: usize) -> (Vec<f32>, Option<Ending>) {
    let mut out = Vec::new();
    while out.len() < frames * 2 {
        match decoder.decode(&mut out, Duration::from_millis(1)) {
            Ok(Progress::More) | Err(DecodeError::NotYet) => {}
            Ok(Progress::End(ending)) => return (out, Some(ending)),
            Err(error) => panic!("{error}"),
        }
    }
    (out, None)
}

pub(crate) fn all(decoder: &mut Decoder) -> (Vec<f32>, Ending) {
    let (out, ending) = some(decoder, usize::MAX / 4);
    (out, ending.expect("it ended"))
}

//! The pages before the music: the service's own and the three headers.

use symphonia_codec_vorbis::VorbisDecoder;
use symphonia_core::codecs::audio::{
    AudioCodecParameters, AudioDecoderOptions, well_known::CODEC_ID_VORBIS,
};

use super::super::{
    DecodeError, Gains,
    ogg::{Joiner, Page},
    service::{MARK, Service, Table},
    window::Window,
};
use super::setup;

/// The first page begins at the first byte. Where none is found so far into the file, none is.
const SEARCHED: u64 = 64 * 1024;
/// Headers are some 4 kB; pictures in the comments would make them longer.
const LONGEST: u64 = 16 * 1024 * 1024;
/// Bytes kept of one header.
const HEADER: usize = 512 * 1024;

/// Bytes of the first header.
const IDENT: usize = 30;

/// Reads headers, over as many calls as it takes.
#[derive(Default)]
pub(super) struct Opening {
    service: Service,
    base: u64,
    joiner: Joiner,
    serial: Option<u32>,
    ident: Vec<u8>,
    comments: bool,
}

/// What the headers say.
pub(super) struct Head {
    pub codec: Box<VorbisDecoder>,
    pub serial: u32,
    pub rate: u32,
    /// Bytes for each sample at the bitrate that the encoder meant.
    pub nominal: Option<f64>,
    /// Samples of the longest block.
    pub block: u64,
    pub gains: Option<Gains>,
    pub table: Option<Table>,
    /// Offset to which the table's places are relative.
    pub base: u64,
    /// Offset of the first page of audio, and its number.
    pub audio: u64,
    pub sequence: u32,
}

impl Opening {
    /// Reads on; `None` when it takes another call.
    pub(super) fn advance(&mut self, window: &mut Window) -> Result<Option<Head>, DecodeError> {
        let limit = match self.serial {
            None => self.base + SEARCHED,
            Some(_) => LONGEST,
        };
        let Some(page) = Page::next(window, limit)? else {
            return Err(not_audio("there are no headers of Ogg Vorbis"));
        };
        let bytes = &window.ahead()[..page.len];
        let mut head = None;
        if self.serial.is_none_or(|serial| serial == page.serial) {
            self.joiner.page(page.continued);
            for (piece, ends) in page.pieces(bytes) {
                let Some(packet) = self.joiner.add(piece, ends, HEADER) else {
                    continue;
                };
                match packet.split_first() {
                    Some((&MARK, _)) if self.serial.is_none() => {
                        self.service = Service::parse(packet);
                        self.base = page.offset + page.len as u64;
                        break;
                    }
                    Some((1, rest)) if self.serial.is_none() && rest.starts_with(b"vorbis") => {
                        self.serial = Some(page.serial);
                        self.ident = packet.to_vec();
                    }
                    Some((3, _)) if self.serial.is_some() => self.comments = true,
                    Some((5, _)) if self.comments => {
                        head = Some(packet.to_vec());
                        break;
                    }
                    _ => return Err(not_audio("its headers are not those of Ogg Vorbis")),
                }
            }
        }
        window.pass(page.len);
        let sequence = page.sequence.wrapping_add(1);
        head.map(|setup| self.finish(&setup, window, sequence))
            .transpose()
    }

    fn finish(
        &mut self,
        setup: &[u8],
        window: &Window,
        sequence: u32,
    ) -> Result<Head, DecodeError> {
        let Ident {
            rate,
            nominal,
            block,
        } = Ident::parse(&self.ident)
            .ok_or_else(|| not_audio("its first header makes no sense"))?;
        if let Some(fault) = setup::fault(setup) {
            return Err(not_audio(fault));
        }
        // The codec reads both as one: it must find no other setup behind the first header.
        self.ident.truncate(IDENT);
        let mut params = AudioCodecParameters::new();
        let extra = [&self.ident, setup].concat();
        params
            .for_codec(CODEC_ID_VORBIS)
            .with_extra_data(extra.into_boxed_slice());
        let codec = VorbisDecoder::try_new(&params, &AudioDecoderOptions::default())
            .map_err(|error| not_audio(&error.to_string()))?;
        let service = std::mem::take(&mut self.service);
        Ok(Head {
            codec: Box::new(codec),
            serial: self.serial.unwrap_or_default(),
            rate,
            nominal,
            block,
            gains: service.gains,
            table: service.table,
            base: self.base,
            audio: window.offset(),
            sequence,
        })
    }
}

struct Ident {
    rate: u32,
    nominal: Option<f64>,
    block: u64,
}

impl Ident {
    /// `\x01vorbis`, u32 version, u8 channels, u32 rate, 3 × i32 bitrate, u8 block sizes.
    fn parse(packet: &[u8]) -> Option<Self> {
        let body = packet.get(7..)?;
        let number = |at: usize| {
            let four = body.get(at..at + 4)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*four))
        };
        let channels = *body.get(4)?;
        let rate = number(5)?;
        let nominal = number(13)? as i32;
        let blocks = *body.get(21)?;
        // Music is mono or stereo; with more, the codec mistakes channels for each other.
        let sane = (1..=2).contains(&channels) && (8_000..=192_000).contains(&rate);
        sane.then(|| Self {
            rate,
            nominal: (8_000..=1_000_000)
                .contains(&nominal)
                .then(|| f64::from(nominal) / 8.0 / f64::from(rate)),
            block: 1 << (blocks >> 4).min(13),
        })
    }
}

fn not_audio(why: &str) -> DecodeError {
    DecodeError::NotAudio(why.to_owned())
}

//! The pages before the music: the service's own and the three headers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use siskin_sound::vorbis::{Fault, Ident, Setup};

use super::super::{
    DecodeError, Gains,
    ogg::{Joiner, Page},
    service::{MARK, Service, Table},
    window::Window,
};

/// The first page begins at the first byte. Where none is found so far into the file, none is.
const SEARCHED: u64 = 64 * 1024;
/// Headers are some 4 kB; pictures in the comments would make them longer.
const LONGEST: u64 = 16 * 1024 * 1024;
/// Bytes kept of one header.
const HEADER: usize = 512 * 1024;

/// Reads headers, over as many calls as it takes.
#[derive(Default)]
pub(super) struct Opening {
    service: Service,
    base: u64,
    joiner: Joiner,
    serial: Option<u32>,
    ident: Option<Ident>,
    comments: bool,
}

/// What the headers say.
pub(super) struct Head {
    pub setup: Arc<Setup>,
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
                        self.ident = Some(Ident::read(packet).map_err(refused)?);
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
        let ident = self
            .ident
            .take()
            .ok_or_else(|| not_audio("it has no first header"))?;
        let setup = shared(ident, setup).map_err(refused)?;
        let service = std::mem::take(&mut self.service);
        Ok(Head {
            setup,
            serial: self.serial.unwrap_or_default(),
            rate: ident.rate,
            nominal: bytes_a_sample(&ident),
            block: ident.blocks[1] as u64,
            gains: service.gains,
            table: service.table,
            base: self.base,
            audio: window.offset(),
            sequence,
        })
    }
}

/// Tables that a track before has made: one encoder made all of them, and has made them alike.
fn shared(ident: Ident, packet: &[u8]) -> Result<Arc<Setup>, Fault> {
    static LAST: Mutex<Weak<Setup>> = Mutex::new(Weak::new());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(setup) = last.upgrade().filter(|setup| setup.is_of(&ident, packet)) {
        return Ok(setup);
    }
    let setup = Arc::new(Setup::read(&ident, packet)?);
    *last = Arc::downgrade(&setup);
    Ok(setup)
}

/// At the bitrate that the encoder meant, if it meant any.
fn bytes_a_sample(ident: &Ident) -> Option<f64> {
    let is_sane = (8_000..=1_000_000).contains(&ident.nominal);
    is_sane.then(|| f64::from(ident.nominal) / 8.0 / f64::from(ident.rate))
}

fn refused(fault: Fault) -> DecodeError {
    not_audio(&fault.to_string())
}

fn not_audio(why: &str) -> DecodeError {
    DecodeError::NotAudio(why.to_owned())
}

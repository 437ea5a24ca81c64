//! What the headers say (Vorbis I, 4.2).

use super::{
    Fault,
    bits::{Bits, width_of},
    block::Shape,
    book::{self, Book},
    floor::{Floor, Levels},
    residue::Residue,
};

/// Before what a header says: its number and a name.
const HEAD: usize = 7;

/// The first header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ident {
    /// 1 or 2.
    pub channels: usize,
    /// Frames a second, 8 000 to 192 000.
    pub rate: u32,
    /// What the encoder meant, bits a second; often nothing sensible.
    pub nominal: i32,
    /// Frames of short and of long blocks: powers of two from 64 to 8192.
    pub blocks: [usize; 2],
}

impl Ident {
    /// Reads it: `\x01vorbis`, u32 version, u8 channels, u32 rate, 3 × i32 bitrate, u8 block sizes.
    ///
    /// # Errors
    /// When it is not Vorbis, or of a kind that music has not.
    pub fn read(packet: &[u8]) -> Result<Self, Fault> {
        let read = || {
            let body = packet.strip_prefix(b"\x01vorbis")?;
            let mut bits = Bits::new(body);
            let version = bits.take(32)?;
            let channels = bits.index(8)?;
            let rate = bits.take(32)?;
            let [_, nominal, _] = [bits.take(32)?, bits.take(32)?, bits.take(32)?];
            let widths = [bits.take(4)?, bits.take(4)?];
            let sane = version == 0
                && (1..=2).contains(&channels)
                && (8_000..=192_000).contains(&rate)
                && widths.iter().all(|width| (6..=13).contains(width))
                && widths.is_sorted();
            sane.then_some(Self {
                channels,
                rate,
                nominal: nominal as i32,
                blocks: widths.map(|width| 1 << width),
            })
        };
        read().ok_or(Fault("its first header makes no sense"))
    }
}

/// All that it takes to decode the packets of a stream. It is the same for many streams.
pub struct Setup {
    /// What it was made of.
    ident: Ident,
    packet: Box<[u8]>,
    pub(super) shapes: [Shape; 2],
    pub(super) books: Box<[Book]>,
    pub(super) floors: Box<[Floor]>,
    pub(super) residues: Box<[Residue]>,
    pub(super) mappings: Box<[Mapping]>,
    pub(super) modes: Box<[Mode]>,
    pub(super) levels: Levels,
}

/// How the channels of a packet are told.
pub(super) struct Mapping {
    /// Whether two channels are told as a sum and a difference, the sum being this one.
    pub(super) coupled: Option<usize>,
    /// The part of each channel.
    pub(super) parts: [usize; 2],
    pub(super) floors: Box<[usize]>,
    pub(super) residues: Box<[usize]>,
}

pub(super) struct Mode {
    /// 0 for short blocks, 1 for long ones.
    pub(super) long: usize,
    pub(super) mapping: usize,
}

impl Setup {
    /// Reads the third header.
    ///
    /// # Errors
    /// When it makes no sense, or claims tables of a size that music has not.
    pub fn read(ident: &Ident, packet: &[u8]) -> Result<Self, Fault> {
        let body = packet.get(HEAD..).unwrap_or_default();
        let bits = &mut Bits::new(body);
        let books = book::read_all(bits).ok_or(Fault("its codebooks make no sense"))?;
        times(bits).ok_or(Fault("its setup makes no sense"))?;
        let floors = list(bits, |bits| Floor::read(bits, books.len())).ok_or(Fault(
            "its floors make no sense, or are of a kind that is not used",
        ))?;
        let residues = list(bits, |bits| Residue::read(bits, &books))
            .ok_or(Fault("its residues make no sense"))?;
        let known = [floors.len(), residues.len()];
        let mappings = list(bits, |bits| Mapping::read(bits, ident.channels, known))
            .ok_or(Fault("its mappings make no sense"))?;
        let modes = list(bits, |bits| Mode::read(bits, mappings.len()))
            .ok_or(Fault("its modes make no sense"))?;
        if bits.flag() != Some(true) {
            return Err(Fault("its setup stops in the middle"));
        }
        Ok(Self {
            ident: *ident,
            packet: packet.into(),
            shapes: ident.blocks.map(Shape::new),
            books,
            floors,
            residues,
            mappings,
            modes,
            levels: Levels::new(),
        })
    }

    /// Whether it was made of the same headers.
    pub fn is_of(&self, ident: &Ident, packet: &[u8]) -> bool {
        self.ident == *ident && *self.packet == *packet
    }

    pub(super) fn channels(&self) -> usize {
        self.ident.channels
    }
}

/// Up to 64 of a kind.
fn list<T>(
    bits: &mut Bits<'_>,
    mut one: impl FnMut(&mut Bits<'_>) -> Option<T>,
) -> Option<Box<[T]>> {
    let count = bits.take(6)? + 1;
    (0..count).map(|_| one(bits)).collect()
}

/// Stands where there was to be something, and is always 0.
fn times(bits: &mut Bits<'_>) -> Option<()> {
    let zeros = list(bits, |bits| bits.take(16))?;
    zeros.iter().all(|zero| *zero == 0).then_some(())
}

impl Mapping {
    fn read(bits: &mut Bits<'_>, channels: usize, known: [usize; 2]) -> Option<Self> {
        if bits.take(16)? != 0 {
            return None;
        }
        let parts = if bits.flag()? { bits.index(4)? + 1 } else { 1 };
        let steps = if bits.flag()? { bits.take(8)? + 1 } else { 0 };
        let mut coupled = None;
        for _ in 0..steps {
            let width = width_of(channels as u32 - 1);
            let (sum, difference) = (bits.index(width)?, bits.index(width)?);
            // With two channels, once is all that makes sense.
            if coupled.is_some() || sum == difference || sum.max(difference) >= channels {
                return None;
            }
            coupled = Some(sum);
        }
        if bits.take(2)? != 0 {
            return None;
        }
        let mut of_channels = [0; 2];
        if parts > 1 {
            for part in &mut of_channels[..channels] {
                *part = bits.index(4).filter(|part| *part < parts)?;
            }
        }
        let (mut floors, mut residues) = (Vec::new(), Vec::new());
        for _ in 0..parts {
            bits.take(8)?;
            floors.push(bits.index(8).filter(|floor| *floor < known[0])?);
            residues.push(bits.index(8).filter(|residue| *residue < known[1])?);
        }
        Some(Self {
            coupled,
            parts: of_channels,
            floors: floors.into(),
            residues: residues.into(),
        })
    }
}

impl Mode {
    fn read(bits: &mut Bits<'_>, mappings: usize) -> Option<Self> {
        let long = bits.index(1)?;
        let kinds = [bits.take(16)?, bits.take(16)?];
        let mapping = bits.index(8).filter(|mapping| *mapping < mappings)?;
        (kinds == [0, 0]).then_some(Self { long, mapping })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Writer, *};

    const IDENT: Ident = Ident {
        channels: 2,
        rate: 44_100,
        nominal: 0,
        blocks: [256, 2048],
    };

    #[test]
    fn a_first_header_is_read_and_one_that_makes_no_sense_refused() {
        let header = |version: u32, channels: u8, rate: u32, blocks: u8| {
            let mut packet = b"\x01vorbis".to_vec();
            packet.extend(version.to_le_bytes());
            packet.push(channels);
            for number in [rate, 0, 320_000, 0] {
                packet.extend(number.to_le_bytes());
            }
            packet.extend([blocks, 1]);
            Ident::read(&packet)
        };
        let expected = Ident {
            nominal: 320_000,
            ..IDENT
        };
        assert_eq!(header(0, 2, 44_100, 0xb8), Ok(expected));
        for (version, channels, rate, blocks) in [
            (1, 2, 44_100, 0xb8),
            (0, 0, 44_100, 0xb8),
            (0, 3, 44_100, 0xb8),
            (0, 2, 0, 0xb8),
            (0, 2, 44_100, 0x8b),
            (0, 2, 44_100, 0xb5),
            (0, 2, 44_100, 0xe8),
        ] {
            assert!(header(version, channels, rate, blocks).is_err());
        }
        assert!(Ident::read(b"\x01vorbis").is_err());
    }

    #[test]
    fn a_header_cut_anywhere_is_refused() {
        let mut writer = Writer::default();
        writer.setup(3, 4, 6, true);
        let whole = [b"\x05vorbis", &writer.bytes[..]].concat();
        assert!(Setup::read(&IDENT, &whole).is_ok());
        for length in 0..whole.len() {
            assert!(Setup::read(&IDENT, &whole[..length]).is_err(), "{length}");
        }
    }
}

//! Frames of MPEG audio, layer III, and what the first of them may say about all.

/// What the four bytes at the head of a frame say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Bytes, the head included.
    pub len: usize,
    /// Frames of samples in it: 1152, or 576 at the lower rates.
    pub samples: u64,
    pub rate: u32,
    /// Bits a second.
    pub bitrate: u32,
    mono: bool,
    version: u8,
    /// Bytes of the head, checksum included.
    head: usize,
}

pub(super) const HEAD: usize = 4;

#[rustfmt::skip]
const KBPS_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
#[rustfmt::skip]
const KBPS_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

impl Frame {
    /// None when these are not the first bytes of a frame, or those of one without a bitrate.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let [0xff, b, c, d] = *bytes.first_chunk::<HEAD>()? else {
            return None;
        };
        let version = b >> 3 & 3;
        let (divisor, full) = match version {
            3 => (1, true),
            2 => (2, false),
            0 => (4, false),
            _ => return None,
        };
        if b & 0xe0 != 0xe0 || b >> 1 & 3 != 1 {
            return None;
        }
        let kbps = *if full { KBPS_1 } else { KBPS_2 }.get(usize::from(c >> 4))?;
        let rate = RATES.get(usize::from(c >> 2 & 3))? / divisor;
        if kbps == 0 {
            return None;
        }
        let samples = if full { 1152 } else { 576 };
        let padding = usize::from(c >> 1 & 1);
        Some(Self {
            len: (samples / 8 * kbps * 1000 / rate) as usize + padding,
            samples: u64::from(samples),
            rate,
            bitrate: kbps * 1000,
            mono: d >> 6 == 3,
            version,
            head: if b & 1 == 0 { HEAD + 2 } else { HEAD },
        })
    }

    /// Whether both can belong to one stream.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.version, self.rate, self.mono) == (other.version, other.rate, other.mono)
    }

    /// Bytes of the side information behind the head.
    fn side(&self) -> usize {
        match (self.samples, self.mono) {
            (1152, false) => 32,
            (1152, true) | (_, false) => 17,
            (_, true) => 9,
        }
    }
}

/// What an encoder wrote into a first frame that holds no music.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// Frames of the file, without this one.
    pub frames: Option<u64>,
    /// Bytes of the file, from this frame on.
    pub bytes: Option<u64>,
    /// All frames are of one bitrate.
    pub constant: bool,
    /// Entry k: where k % of the time have gone by, in 1/256 of the bytes.
    pub table: Option<Vec<u8>>,
    /// Samples to leave out at the beginning (the decoder's own 529 included) and at the end.
    pub delay: u64,
    pub padding: u64,
}

/// The decoder's own delay, which the encoder does not count.
const DECODER_DELAY: u64 = 529;

impl Info {
    /// `bytes`: the whole first frame.
    pub(super) fn parse(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        Self::xing(frame, bytes).or_else(|| Self::vbri(bytes))
    }

    fn xing(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        // The checksum is not counted by those who write this.
        let tag = bytes.get(HEAD + frame.side()..)?;
        let (id, mut rest) = tag.split_first_chunk::<4>()?;
        if id != b"Xing" && id != b"Info" {
            return None;
        }
        // A real frame of silence would have zeros there as well, but not this name behind them.
        if bytes
            .get(frame.head..HEAD + frame.side())?
            .iter()
            .any(|&b| b != 0)
        {
            return None;
        }
        let mut number = || {
            let (four, behind) = rest.split_first_chunk::<4>()?;
            rest = behind;
            Some(u32::from_be_bytes(*four))
        };
        let flags = number()?;
        let frames = if flags & 1 != 0 {
            Some(number()?)
        } else {
            None
        };
        let size = if flags & 2 != 0 {
            Some(number()?)
        } else {
            None
        };
        let mut table = None;
        if flags & 4 != 0 {
            let (entries, behind) = rest.split_at_checked(100)?;
            table = Some(entries.to_vec());
            rest = behind;
        }
        if flags & 8 != 0 {
            rest = rest.get(4..)?;
        }
        let (delay, padding) = lame(rest).unwrap_or_default();
        Some(Self {
            frames: frames.filter(|&frames| frames > 0).map(u64::from),
            bytes: size.filter(|&size| size > 0).map(u64::from),
            constant: id == b"Info",
            table: table.filter(|table| table.is_sorted() && table.last() > Some(&0)),
            delay,
            padding,
        })
    }

    fn vbri(bytes: &[u8]) -> Option<Self> {
        let tag = bytes.get(HEAD + 32..)?.strip_prefix(b"VBRI")?;
        let number = |at: usize| {
            let four = tag.get(at..)?.first_chunk::<4>()?;
            Some(u64::from(u32::from_be_bytes(*four)))
        };
        Some(Self {
            frames: Some(number(10)?).filter(|&frames| frames > 0),
            bytes: Some(number(6)?).filter(|&bytes| bytes > 0),
            ..Self::default()
        })
    }
}

/// LAME's own addition: 9 bytes name, 12 of other things, 3 with delay and padding.
fn lame(bytes: &[u8]) -> Option<(u64, u64)> {
    let known = [b"LAME", b"Lavf", b"Lavc"];
    let name = bytes.first_chunk::<4>()?;
    let trim = bytes.get(21..24)?;
    let both = u64::from(trim[0]) << 16 | u64::from(trim[1]) << 8 | u64::from(trim[2]);
    known.contains(&name).then(|| {
        let delay = (both >> 12) + DECODER_DELAY;
        (delay, (both & 0xfff).saturating_sub(DECODER_DELAY))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_how_long_a_frame_is() {
        let frame = Frame::parse(&[0xff, 0xfb, 0x90, 0x64]).expect("a head");
        assert_eq!((frame.len, frame.rate, frame.samples), (417, 44_100, 1152));
        let padded = Frame::parse(&[0xff, 0xfb, 0x92, 0x64]).expect("a head");
        assert_eq!(padded.len, 418);
        let low = Frame::parse(&[0xff, 0xf3, 0x40, 0xc0]).expect("a head");
        assert_eq!((low.len, low.rate, low.samples), (104, 22_050, 576));
        assert!(!low.is_like(&frame) && padded.is_like(&frame));
    }

    #[test]
    fn what_is_no_head_of_layer_three_is_none() {
        for bytes in [
            [0xff, 0xfd, 0x90, 0x64],
            [0xff, 0xfb, 0xf0, 0x64],
            [0xff, 0xfb, 0x00, 0x64],
            [0xff, 0xfb, 0x9c, 0x64],
            [0xff, 0xeb, 0x90, 0x64],
            [0xfe, 0xfb, 0x90, 0x64],
        ] {
            assert_eq!(Frame::parse(&bytes), None, "{bytes:x?}");
        }
    }
}

//! Pages of an Ogg stream: found, checked, cut into packets.

use super::{DecodeError, window::Window};

const HEAD: usize = 27;
const MAGIC: &[u8] = b"OggS";
/// The first packet of the page began on an earlier one.
const CONTINUED: u8 = 1;
const LAST: u8 = 4;

/// What stands at the head of a page. The page itself lies ahead in the window, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes from head to end.
    pub len: usize,
    /// Samples of the stream when the last packet that ends on this page is decoded. `None` where
    /// none ends.
    pub granule: Option<u64>,
    pub serial: u32,
    pub sequence: u32,
    pub continued: bool,
    pub last: bool,
    segments: usize,
}

impl Page {
    /// Goes to the next page that is whole and undamaged, and stops at its beginning. `None` when
    /// none begins before `limit` (an offset in the file) or the end.
    pub(super) fn next(window: &mut Window, limit: u64) -> Result<Option<Self>, DecodeError> {
        loop {
            if window.offset() >= limit || !window.has(HEAD)? {
                return Ok(None);
            }
            if !window.ahead().starts_with(MAGIC) {
                let ahead = window.ahead();
                let found = ahead.windows(4).position(|four| four == MAGIC);
                // The last three bytes may be the beginning of one.
                window.pass(found.unwrap_or(ahead.len() - 3));
                continue;
            }
            match Self::here(window)? {
                Some(page) => return Ok(Some(page)),
                None => window.pass(MAGIC.len()),
            }
        }
    }

    /// The page that begins here, if one does.
    fn here(window: &mut Window) -> Result<Option<Self>, DecodeError> {
        let head = window.ahead();
        let (version, flags) = (head[4], head[5]);
        let segments = usize::from(head[26]);
        if version != 0 || !window.has(HEAD + segments)? {
            return Ok(None);
        }
        let lacing = &window.ahead()[HEAD..HEAD + segments];
        let body: usize = lacing.iter().map(|&l| usize::from(l)).sum();
        let len = HEAD + segments + body;
        if !window.has(len)? {
            return Ok(None);
        }
        let bytes = &window.ahead()[..len];
        let u32_at = |at: usize| {
            let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_le_bytes(four)
        };
        if checksum(bytes) != u32_at(22) {
            return Ok(None);
        }
        let granule = u64::from(u32_at(10)) << 32 | u64::from(u32_at(6));
        Ok(Some(Self {
            offset: window.offset(),
            len,
            // Minus one says that no packet ends here. Above 2^48, which is 46 years, it can only be
            // nonsense.
            granule: (granule < 1 << 48).then_some(granule),
            serial: u32_at(14),
            sequence: u32_at(18),
            continued: flags & CONTINUED != 0,
            last: flags & LAST != 0,
            segments,
        }))
    }

    /// The pieces of packets on this page, and whether the packet ends with the piece. `bytes` is
    /// the page, as it lies ahead in the window.
    pub(super) fn pieces<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], bool)> {
        let (head, body) = bytes.split_at(HEAD + self.segments);
        let mut lacing = head[HEAD..].iter().peekable();
        let mut rest = body;
        std::iter::from_fn(move || {
            lacing.peek()?;
            let mut len = 0;
            let mut ends = false;
            for &value in lacing.by_ref() {
                len += usize::from(value);
                if value < 255 {
                    ends = true;
                    break;
                }
            }
            let (piece, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some((piece, ends))
        })
    }
}

/// Puts packets together that lie on several pages.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    begun: Vec<u8>,
    /// What was begun has been handed out.
    done: bool,
    /// Something of the packet is missing: it is skipped to its end.
    broken: bool,
}

impl Joiner {
    /// Forgets what was begun: what follows does not belong to it.
    pub(super) fn forget(&mut self) {
        self.begun.clear();
        self.done = false;
        self.broken = false;
    }

    /// To be called for each page before its pieces.
    pub(super) fn page(&mut self, continued: bool) {
        if !continued {
            self.forget();
        } else if self.begun.is_empty() || self.done {
            self.broken = true;
        }
    }

    /// Takes a piece and hands out the packet when it is whole. What goes beyond `limit` bytes is
    /// not kept.
    pub(super) fn add<'a>(
        &'a mut self,
        piece: &'a [u8],
        ends: bool,
        limit: usize,
    ) -> Option<&'a [u8]> {
        if std::mem::take(&mut self.done) {
            self.begun.clear();
        }
        if self.broken {
            self.broken = !ends;
            return None;
        }
        if ends && self.begun.is_empty() {
            return Some(piece);
        }
        let room = limit.saturating_sub(self.begun.len());
        self.begun.extend(&piece[..piece.len().min(room)]);
        self.done = ends;
        ends.then_some(&self.begun)
    }
}

/// Ogg's CRC-32 (polynomial 04C11DB7, most significant bit first, from zero) over a page, whose
/// own checksum counts as zero.
fn checksum(page: &[u8]) -> u32 {
    let (before, after) = page.split_at(22);
    let sum = crc(crc(0, before), &[0; 4]);
    crc(sum, &after[4..])
}

/// Eight bytes at a time: this is run over every byte that is played.
pub(super) fn crc(start: u32, bytes: &[u8]) -> u32 {
    let mut sum = start;
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        let high = sum ^ u32::from_be_bytes([eight[0], eight[1], eight[2], eight[3]]);
        let [a, b, c, d] = high.to_be_bytes();
        let of = |table: usize, byte: u8| TABLES[table][usize::from(byte)];
        sum = of(7, a) ^ of(6, b) ^ of(5, c) ^ of(4, d);
        sum ^= of(3, eight[4]) ^ of(2, eight[5]) ^ of(1, eight[6]) ^ of(0, eight[7]);
    }
    for &byte in rest {
        sum = sum << 8 ^ TABLES[0][usize::from((sum >> 24) as u8 ^ byte)];
    }
    sum
}

/// `TABLES[n][b]`: what byte `b` does to the checksum with `n` bytes behind it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x8000_0000 == 0 {
                sum << 1
            } else {
                sum << 1 ^ 0x04c1_1db7
            };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[behind - 1][byte];
            tables[behind][byte] = sum << 8 ^ tables[0][(sum >> 24) as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_sum_up_as_one_by_one() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| ((n * n) >> 3) as u8).collect();
        for len in [0, 1, 7, 8, 9, 63, 1000] {
            let slow = bytes[..len].iter().fold(0u32, |sum, &byte| {
                (0..8).fold(sum ^ u32::from(byte) << 24, |s, _| match s >> 31 {
                    0 => s << 1,
                    _ => s << 1 ^ 0x04c1_1db7,
                })
            });
            assert_eq!(crc(0, &bytes[..len]), slow);
        }
    }

    #[test]
    fn a_packet_over_three_pages_is_joined_and_one_without_its_beginning_is_dropped() {
        let mut joiner = Joiner::default();
        joiner.page(true);
        assert!(joiner.add(b"lost", true, 100).is_none());
        assert!(joiner.add(b"be", false, 100).is_none());
        joiner.page(true);
        assert!(joiner.add(b"gin", false, 100).is_none());
        joiner.page(true);
        let packet = joiner.add(b"ning", true, 100).expect("it is whole");
        assert_eq!(packet, b"beginning");
        let packet = joiner.add(b"next", true, 100).expect("it is whole");
        assert_eq!(packet, b"next");
    }

    #[test]
    fn a_packet_that_never_ends_stays_within_its_limit() {
        let mut joiner = Joiner::default();
        for _ in 0..100 {
            joiner.page(true);
            joiner.broken = false;
            assert!(joiner.add(&[0; 255], false, 1000).is_none());
        }
        assert_eq!(joiner.begun.len(), 1000);
    }
}

//! What the codec is not shown of setup headers, because it would end badly (Vorbis I, 4.2.4).
//!
//! Codebooks are described in so few bits that 5 kB may claim 4 GB of tables. And floors of type 0,
//! which no encoder has made for twenty years, let a packet choose a book that there is not; in one of
//! type 1 that has two points at the same place it divides by zero. Only as much is read here as finds
//! these; whether the rest makes sense is the codec's business.

/// Entries of all codebooks together. Those of the usual encoder have up to 12 000.
const ENTRIES: u64 = 1 << 16;
/// Numbers in all vectors together; usual are up to 62 000.
const VALUES: u64 = 1 << 20;

/// Before the codebooks: `\x05vorbis`.
const HEAD: usize = 7;
const SYNC: u64 = 0x56_4342;

/// Why the codec must not see this setup header, if so.
pub(super) fn fault(setup: &[u8]) -> Option<&'static str> {
    let bytes = setup.get(HEAD..).unwrap_or_default();
    let mut bits = Bits { bytes, at: 0 };
    match books(&mut bits) {
        None => Some("its codebooks cannot be read"),
        Some((entries, values)) if entries > ENTRIES || values > VALUES => {
            Some("its codebooks are of no size that music has")
        }
        Some(_) if floors(&mut bits).is_none() => Some("its floors are of a kind that is not used"),
        Some(_) => None,
    }
}

/// Reads the codebooks: their entries and values, up to the first that is beyond the limits.
fn books(bits: &mut Bits<'_>) -> Option<(u64, u64)> {
    let books = bits.take(8)? + 1;
    let (mut entries, mut values) = (0, 0);
    for _ in 0..books {
        let (more, dimensions) = entries_of(bits)?;
        entries += more;
        if entries > ENTRIES {
            break;
        }
        let kind = bits.take(4)?;
        if kind == 0 {
            continue;
        }
        values += more * dimensions;
        if values > VALUES {
            break;
        }
        bits.pass(64)?;
        let width = bits.take(4)? + 1;
        bits.pass(1)?;
        let count = match kind {
            1 => root(more, dimensions),
            2 => more * dimensions,
            _ => return None,
        };
        bits.pass(count * width)?;
    }
    Some((entries, values))
}

/// Reads one codebook up to its vectors.
fn entries_of(bits: &mut Bits<'_>) -> Option<(u64, u64)> {
    if bits.take(24)? != SYNC {
        return None;
    }
    let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
    if entries > ENTRIES {
        return Some((entries, dimensions));
    }
    if bits.take(1)? == 1 {
        bits.take(5)?;
        let mut known = 0;
        // Runs of one length each, which may be empty; none is longer than 32.
        for _ in 0..=32 {
            if known >= entries {
                break;
            }
            known += bits.take(64 - (entries - known).leading_zeros())?;
        }
    } else if bits.take(1)? == 0 {
        bits.pass(entries * 5)?;
    } else {
        for _ in 0..entries {
            if bits.take(1)? == 1 {
                bits.pass(5)?;
            }
        }
    }
    Some((entries, dimensions))
}

/// The greatest number whose power is not above `entries`.
fn root(entries: u64, dimensions: u64) -> u64 {
    let power = |base: u64| base.checked_pow(u32::try_from(dimensions).ok()?);
    let fits = |base: &u64| power(*base).is_some_and(|power| power <= entries);
    match dimensions {
        0 => 0,
        1 => entries,
        // At most 256, for two dimensions.
        _ => (1..=entries).take_while(fits).last().unwrap_or(0),
    }
}

/// Reads what follows the codebooks up to the end of the floors; `None` when one is not of type 1, or
/// has two points at 0.
fn floors(bits: &mut Bits<'_>) -> Option<()> {
    let times = bits.take(6)? + 1;
    bits.pass(times * 16)?;
    for _ in 0..=bits.take(6)? {
        if bits.take(16)? != 1 {
            return None;
        }
        let mut classes = Vec::new();
        for _ in 0..bits.take(5)? {
            classes.push(bits.take(4)? as usize);
        }
        let mut dimensions = Vec::new();
        for _ in 0..classes.iter().max().map_or(0, |last| last + 1) {
            dimensions.push(bits.take(3)? + 1);
            let subclasses = bits.take(2)?;
            let master = if subclasses > 0 { 8 } else { 0 };
            bits.pass(master + (8 << subclasses))?;
        }
        bits.pass(2)?;
        let width = bits.take(4)? as u32;
        let points: u64 = classes
            .iter()
            .filter_map(|&class| dimensions.get(class))
            .sum();
        for _ in 0..points {
            // The first point, at 0, goes without saying.
            if bits.take(width)? == 0 {
                return None;
            }
        }
    }
    Some(())
}

/// Bits from the lowest of each byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    /// Up to 32.
    fn take(&mut self, count: u32) -> Option<u64> {
        let end = self.at + u64::from(count);
        let (first, last) = (self.at / 8, end.div_ceil(8));
        let bytes = self.bytes.get(first as usize..last as usize)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let value = value >> (self.at % 8) & ((1 << count) - 1);
        self.at = end;
        Some(value)
    }

    fn pass(&mut self, count: u64) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len() as u64 * 8).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes bits as [`Bits`] reads them.
    fn header(fields: &[(u64, u32)]) -> Vec<u8> {
        let (mut bytes, mut at) = (b"\x05vorbis".to_vec(), 0);
        for (value, count) in fields {
            for bit in 0..*count {
                if at % 8 == 0 {
                    bytes.push(0);
                }
                if let Some(last) = bytes.last_mut() {
                    *last |= ((value >> bit & 1) as u8) << (at % 8);
                }
                at += 1;
            }
        }
        bytes
    }

    /// Codebooks, all of one length, with one value each, and a floor of this type with a point here.
    fn with_floor(count: u64, dimensions: u64, width: u32, (floor, point): (u64, u64)) -> Vec<u8> {
        let mut fields = vec![(count - 1, 8)];
        for _ in 0..count {
            fields.extend([(SYNC, 24), (dimensions, 16), (1 << width, 24), (1, 1)]);
            fields.extend([(u64::from(width) - 1, 5), (1 << width, width + 1)]);
            fields.extend([(1, 4), (0, 32), (0, 32), (0, 4), (0, 1)]);
            fields.push((0, root(1 << width, dimensions) as u32));
        }
        // One time, one floor: a partition of class 1, which has two points and two subclasses.
        fields.extend([(0, 6), (0, 16), (0, 6), (floor, 16), (1, 5), (1, 4)]);
        fields.extend([(0, 3), (0, 2), (0, 8), (1, 3), (1, 2), (0, 8), (0, 16)]);
        fields.extend([(0, 2), (7, 4), (9, 7), (point, 7)]);
        header(&fields)
    }

    fn books(count: u64, dimensions: u64, width: u32) -> Vec<u8> {
        with_floor(count, dimensions, width, (1, 5))
    }

    #[test]
    fn tables_are_as_large_as_music_needs_them_and_no_larger() {
        let fits = |count, dimensions, width| fault(&books(count, dimensions, width)).is_none();
        assert!(fits(40, 8, 8));
        assert!(fits(16, 16, 12));
        assert!(!fits(17, 16, 12), "too many entries");
        assert!(!fits(1, 32, 16), "too many values");
        assert!(!fits(200, 32, 17), "gigabytes");
    }

    #[test]
    fn only_floors_that_are_in_use_are_let_through() {
        assert_eq!(fault(&with_floor(1, 2, 4, (1, 5))), None);
        assert!(fault(&with_floor(1, 2, 4, (0, 5))).is_some());
        assert!(fault(&with_floor(1, 2, 4, (1, 0))).is_some(), "two at 0");
    }

    #[test]
    fn a_header_cut_anywhere_is_not_shown() {
        let whole = books(3, 4, 6);
        assert_eq!(fault(&whole), None);
        for length in 0..whole.len() {
            assert!(fault(&whole[..length]).is_some(), "{length}");
        }
    }

    #[test]
    fn a_root_is_the_greatest_number_whose_power_fits() {
        for (entries, dimensions, expected) in [(0, 3, 0), (1, 9, 1), (6561, 8, 3), (6560, 8, 2)] {
            assert_eq!(root(entries, dimensions), expected);
        }
        assert_eq!(
            (root(81, 1), root(65_536, 2), root(7, 65_535)),
            (81, 256, 1)
        );
    }
}

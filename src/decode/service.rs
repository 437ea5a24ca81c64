//! The page of its own that the service puts before a Vorbis stream: a coarse seek table and the
//! loudness figures.
//!
//! One packet that begins with `0x81`, then segments: `u16 LE` length that counts the type, `u8`
//! type, data. All of it is a hint: a landing is proved by the granule found there.

use super::Gains;

pub(super) const MARK: u8 = 0x81;
const ENTRIES: usize = 100;
/// Samples by which the page and the catalogue may differ.
const SLACK: u64 = 2 * super::RATE as u64;

/// Widths of the steps that the bytes of the table stand for, in 1/65 536 of the file. Fixed by the
/// format.
#[rustfmt::skip]
const STEPS: [u16; 256] = [
    0, 112, 197, 327, 374, 394, 407, 417, 425, 433, 439, 444, 449, 454, 458, 462,
    466, 470, 473, 477, 480, 483, 486, 489, 491, 494, 497, 499, 502, 504, 506, 509,
    511, 513, 515, 517, 519, 521, 523, 525, 527, 529, 531, 533, 535, 537, 538, 540,
    542, 544, 545, 547, 549, 550, 552, 554, 555, 557, 558, 560, 562, 563, 565, 566,
    568, 569, 571, 572, 574, 575, 577, 578, 580, 581, 583, 584, 585, 587, 588, 590,
    591, 593, 594, 595, 597, 598, 599, 601, 602, 604, 605, 606, 608, 609, 610, 612,
    613, 615, 616, 617, 619, 620, 621, 623, 624, 625, 627, 628, 629, 631, 632, 634,
    635, 636, 638, 639, 640, 642, 643, 644, 646, 647, 649, 650, 651, 653, 654, 655,
    657, 658, 660, 661, 662, 664, 665, 667, 668, 669, 671, 672, 674, 675, 677, 678,
    679, 681, 682, 684, 685, 687, 688, 690, 691, 693, 694, 696, 697, 699, 700, 702,
    704, 705, 707, 708, 710, 712, 713, 715, 716, 718, 720, 721, 723, 725, 727, 728,
    730, 732, 734, 735, 737, 739, 741, 743, 745, 747, 748, 750, 752, 754, 756, 758,
    760, 763, 765, 767, 769, 771, 773, 776, 778, 780, 782, 785, 787, 790, 792, 795,
    797, 800, 803, 805, 808, 811, 814, 817, 820, 823, 826, 829, 833, 836, 840, 843,
    847, 851, 855, 859, 863, 868, 872, 877, 882, 887, 893, 898, 904, 911, 918, 925,
    933, 941, 951, 961, 972, 985, 1000, 1017, 1039, 1067, 1108, 1183, 1520, 2658, 4666, 8191,
];

/// What the page says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Service {
    pub table: Option<Table>,
    pub gains: Option<Gains>,
}

/// Where in the file the hundredths of the track are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Samples of the whole track.
    pub samples: u64,
    /// Bytes of the file, without this page.
    size: u64,
    /// Entry k: where (k+1) % of the samples have gone by, in 1/65 536 of the size.
    entries: Vec<i32>,
}

impl Service {
    /// Reads the packet by its structure; what it does not know it skips.
    pub(super) fn parse(packet: &[u8]) -> Self {
        let mut service = Self::default();
        let Some((&MARK, mut rest)) = packet.split_first() else {
            return service;
        };
        while let Some((len, behind)) = rest.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len));
            let Some((segment, behind)) = behind.split_at_checked(len) else {
                break;
            };
            match segment.split_first() {
                Some((0, data)) => service.table = Table::parse(data),
                Some((1, data)) => service.gains = gains(data),
                Some(_) => {}
                None => break,
            }
            rest = behind;
        }
        service
    }
}

fn gains(data: &[u8]) -> Option<Gains> {
    let (figures, _) = data.as_chunks::<4>();
    let [track_db, track_peak, album_db, album_peak] = figures else {
        return None;
    };
    let figure = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    // All bits set is absent (and no number); below −40 dB no music is.
    let db = |bytes| Some(figure(bytes)).filter(|db| (-40.0..=40.0).contains(db));
    let peak = |bytes| Some(figure(bytes)).filter(|peak| *peak > 0.0 && *peak <= 16.0);
    Some(Gains {
        track_db: db(track_db).unwrap_or(0.0),
        track_peak: peak(track_peak).unwrap_or(1.0),
        album_db: db(album_db).or(db(track_db)).unwrap_or(0.0),
        album_peak: peak(album_peak).or(peak(track_peak)).unwrap_or(1.0),
    })
}

impl Table {
    fn parse(data: &[u8]) -> Option<Self> {
        let (samples, data) = data.split_first_chunk::<4>()?;
        let (size, data) = data.split_first_chunk::<4>()?;
        let (&shift, steps) = data.split_first()?;
        let steps = steps.get(..ENTRIES)?;
        let mut at = -i32::from(STEPS[usize::from(shift)]);
        let entries = steps.iter().map(|&step| {
            at += i32::from(STEPS[usize::from(step)]);
            at
        });
        Some(Self {
            samples: u32::from_le_bytes(*samples).into(),
            size: u32::from_le_bytes(*size).into(),
            entries: entries.collect(),
        })
    }

    /// Whether the table can be about this file: `samples` as the catalogue says and `bytes` as the
    /// server does, either as far as it is known.
    pub(super) fn is_plausible(&self, samples: Option<u64>, bytes: Option<u64>) -> bool {
        let long = samples.is_none_or(|samples| samples.abs_diff(self.samples) <= SLACK);
        let large = bytes.is_none_or(|bytes| bytes.abs_diff(self.size) <= bytes / 100 + 256);
        let full = self
            .entries
            .last()
            .is_some_and(|last| (60_000..=67_000).contains(last));
        long && large && full && self.samples > 0 && self.size > 0
    }

    /// Bytes after this page at which `sample` should be found, or a little after.
    pub(super) fn place(&self, sample: u64) -> u64 {
        let hundredths = sample.min(self.samples) as f64 * ENTRIES as f64 / self.samples as f64;
        let whole = (hundredths as usize).min(ENTRIES - 1);
        let entry = |after: usize| match after.checked_sub(1) {
            None => 0.0,
            Some(index) => f64::from(self.entries[index]),
        };
        let (from, to) = (entry(whole), entry(whole + 1));
        let share = from + (to - from) * (hundredths - whole as f64);
        (share.max(0.0) / 65_536.0 * self.size as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(step: u8, samples: u32, size: u32) -> Vec<u8> {
        let mut packet = vec![MARK];
        let mut segment = |kind: u8, data: &[u8]| {
            packet.extend((data.len() as u16 + 1).to_le_bytes());
            packet.push(kind);
            packet.extend(data);
        };
        let mut table = samples.to_le_bytes().to_vec();
        table.extend(size.to_le_bytes());
        table.push(0);
        table.extend([step; ENTRIES]);
        segment(9, b"something new");
        segment(0, &table);
        let figures = [-6.5f32, 0.9, f32::from_bits(u32::MAX), 1.1];
        segment(1, &figures.map(f32::to_le_bytes).concat());
        segment(2, &[0xff; 4]);
        packet
    }

    #[test]
    fn the_page_is_read_by_its_structure() {
        let service = Service::parse(&packet(128, 4_410_000, 1_000_000));
        let gains = service.gains.expect("gains");
        assert_eq!((gains.track_db, gains.track_peak), (-6.5, 0.9));
        assert_eq!((gains.album_db, gains.album_peak), (-6.5, 1.1));
        let table = service.table.expect("a table");
        assert!(table.is_plausible(Some(4_400_000), Some(1_000_167)));
        let half = table.place(2_205_000);
        assert!(half.abs_diff(501_300) < 1000, "{half}");
        assert_eq!(table.place(0), 0);
    }

    #[test]
    fn an_empty_or_lying_table_is_none() {
        let believed = |step, samples, size| {
            let table = Service::parse(&packet(step, samples, size)).table;
            table.is_some_and(|t| t.is_plausible(Some(4_410_000), Some(1_000_000)))
        };
        assert!(believed(128, 4_410_000, 1_000_000));
        assert!(!believed(0, 4_410_000, 1_000_000), "all zero");
        assert!(!believed(255, 4_410_000, 1_000_000), "beyond the file");
        assert!(!believed(128, 4_700_000, 1_000_000), "of a longer track");
        assert!(!believed(128, 4_410_000, 1_100_000), "of a larger file");
        assert!(!believed(128, 0, 0));
    }

    #[test]
    fn a_page_cut_anywhere_is_read_as_far_as_it_goes() {
        let whole = packet(128, 4_410_000, 1_000_000);
        for len in 0..whole.len() {
            let service = Service::parse(&whole[..len]);
            assert!(service.gains.is_none() || len >= whole.len() - 7);
        }
    }
}

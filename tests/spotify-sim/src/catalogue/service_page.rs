//! The page of its own that the service puts in front of each Vorbis stream:
//! a coarse seek table and the loudness figures.

use super::Gains;

/// 27 bytes of Ogg header, one lacing value, 139 bytes of packet.
pub(super) const LEN: usize = 167;

const ENTRIES: usize = 100;
/// Entries of the service's fixed table of step widths that we use, as
/// (index, width in 1/65536 of the file). The real encoder picks from all 256;
/// these few are enough for a table that is right to about 1.5 %.
const STEPS: [(u8, u32); 9] = [
    (0, 0),
    (1, 112),
    (2, 197),
    (3, 327),
    (251, 1183),
    (252, 1520),
    (253, 2658),
    (254, 4666),
    (255, 8191),
];

/// Builds the page for an Ogg Vorbis stream.
pub(super) fn build(vorbis: &[u8], gains: &Gains) -> Vec<u8> {
    let pages = granules(vorbis);
    let samples = pages.last().map_or(0, |(_, granule)| *granule);
    let mut packet = vec![0x81];
    segment(&mut packet, 0, &seek_table(&pages, samples, vorbis.len()));
    let figures = [
        gains.track_db,
        gains.track_peak,
        gains.album_db,
        gains.album_peak,
    ];
    segment(&mut packet, 1, &figures.map(f32::to_le_bytes).concat());
    segment(&mut packet, 2, &[0xff; 4]);
    ogg_page(&packet)
}

fn segment(packet: &mut Vec<u8>, kind: u8, data: &[u8]) {
    packet.extend((data.len() as u16 + 1).to_le_bytes());
    packet.push(kind);
    packet.extend(data);
}

/// Entry k tells where in the file (k+1) % of the samples have gone by. Each
/// is rounded down: a reader must land before its target, never after it.
fn seek_table(pages: &[(usize, u64)], samples: u64, size: usize) -> Vec<u8> {
    let mut table = Vec::new();
    table.extend((samples as u32).to_le_bytes());
    table.extend((size as u32).to_le_bytes());
    table.push(0);
    let mut at = 0;
    for k in 1..=ENTRIES as u64 {
        let wanted = samples * k / ENTRIES as u64;
        let byte = pages
            .iter()
            .rfind(|(_, granule)| *granule <= wanted)
            .map_or(0, |(end, _)| *end);
        let share = (byte as u64 * 65_536 / size.max(1) as u64) as u32;
        let fits = |(_, width): &&(u8, u32)| at + width <= share;
        let (index, width) = STEPS.iter().rfind(fits).copied().unwrap_or((0, 0));
        at += width;
        table.push(index);
    }
    table
}

/// For each page: the byte after it, and the samples finished by then.
pub(super) fn granules(ogg: &[u8]) -> Vec<(usize, u64)> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(header) = ogg.get(at..at + 27) {
        let segments = usize::from(header[26]);
        let Some(lacing) = ogg.get(at + 27..at + 27 + segments) else {
            break;
        };
        at += 27 + segments + lacing.iter().map(|l| usize::from(*l)).sum::<usize>();
        let mut granule = [0; 8];
        granule.copy_from_slice(&header[6..14]);
        let granule = i64::from_le_bytes(granule);
        // −1: no packet ends on this page.
        if granule >= 0 {
            pages.push((at, granule as u64));
        }
    }
    pages
}

fn ogg_page(packet: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(LEN);
    page.extend(b"OggS");
    // Version 0; first and last page of its own stream; granule 0.
    page.extend([0, 0x06]);
    page.extend([0; 8]);
    page.extend(0u32.to_le_bytes()); // serial
    page.extend(0u32.to_le_bytes()); // sequence
    page.extend([0; 4]); // checksum, below
    page.extend([1, packet.len() as u8]);
    page.extend(packet);
    let sum = checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

/// Ogg's CRC-32: polynomial 04C11DB7, most significant bit first, from zero.
pub(super) fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |s, _| {
            if s & 0x8000_0000 == 0 {
                s << 1
            } else {
                s << 1 ^ 0x04c1_1db7
            }
        })
    })
}

#[cfg(test)]
pub(super) fn steps() -> std::collections::HashMap<u8, u32> {
    STEPS.into_iter().collect()
}

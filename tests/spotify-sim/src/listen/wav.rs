//! WAV files, as far as recorders write them: PCM and float, any channel
//! count of which the first two are kept (mono is doubled).

use std::fs;
use std::path::Path;

use super::{Frame, ListenError};

/// Frames and sample rate of a WAV file.
pub fn read_wav(path: &Path) -> Result<(Vec<Frame>, u32), ListenError> {
    let bytes = fs::read(path).map_err(|source| ListenError::Io {
        path: path.display().to_string(),
        source,
    })?;
    parse_wav(&bytes)
}

/// The same from memory. A recorder that was killed leaves wrong lengths in
/// the headers: whatever data there is counts.
pub fn parse_wav(bytes: &[u8]) -> Result<(Vec<Frame>, u32), ListenError> {
    let bad = |what: &str| ListenError::NotWav(what.to_string());
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(bad("it does not begin with RIFF and WAVE"));
    }
    let u16_at = |b: &[u8], at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
    let mut format = None;
    let mut at = 12;
    while let Some(header) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let rest = &bytes[at + 8..];
        let body = &rest[..size.min(rest.len())];
        match &header[..4] {
            b"fmt " if body.len() >= 16 => {
                let rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
                // The extensible form keeps the real kind further back.
                let kind = match u16_at(body, 0) {
                    0xfffe if body.len() >= 26 => u16_at(body, 24),
                    kind => kind,
                };
                format = Some((kind, u16_at(body, 2), rate, u16_at(body, 14)));
            }
            b"data" => {
                let (kind, channels, rate, bits) =
                    format.ok_or_else(|| bad("data before format"))?;
                let body = if size == 0 || size > rest.len() {
                    rest
                } else {
                    body
                };
                return Ok((samples(body, kind, usize::from(channels), bits)?, rate));
            }
            _ => {}
        }
        at = at
            .saturating_add(8)
            .saturating_add(size)
            .saturating_add(size % 2);
    }
    Err(bad("it has no data"))
}

fn samples(body: &[u8], kind: u16, channels: usize, bits: u16) -> Result<Vec<Frame>, ListenError> {
    let width = usize::from(bits / 8);
    let sample = |b: &[u8]| match (kind, bits) {
        (1, 16) => Some(f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0),
        (1, 24) => Some(i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2_147_483_648.0),
        (1, 32) => Some(i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0),
        (3, 32) => Some(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        _ => None,
    };
    let strange = || {
        ListenError::NotWav(format!(
            "{channels} channels of kind {kind} with {bits} bits"
        ))
    };
    if channels == 0 || width == 0 {
        return Err(strange());
    }
    let frame = |f: &[u8]| {
        let left = sample(&f[..width])?;
        let right = if channels > 1 {
            sample(&f[width..2 * width])?
        } else {
            left
        };
        Some([left, right])
    };
    body.chunks_exact(channels * width)
        .map(frame)
        .collect::<Option<_>>()
        .ok_or_else(strange)
}

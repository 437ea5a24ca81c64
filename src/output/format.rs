//! Samples as bytes: little-endian, rounded to the nearest step, never wrapping.

use crate::config::SampleFormat;

/// Bytes of one sample.
pub(super) fn width(format: SampleFormat) -> usize {
    match format {
        SampleFormat::S16 => 2,
        SampleFormat::S24In3 => 3,
        SampleFormat::S24 | SampleFormat::S32 | SampleFormat::F32 => 4,
    }
}

/// As ALSA names it, for the log and for whoever sets up the reader.
pub(super) fn name(format: SampleFormat) -> &'static str {
    match format {
        SampleFormat::S16 => "S16_LE",
        SampleFormat::S24 => "S24_LE",
        SampleFormat::S24In3 => "S24_3LE",
        SampleFormat::S32 => "S32_LE",
        SampleFormat::F32 => "FLOAT_LE",
    }
}

/// Appends `samples` to `out`. Samples of a 16-bit source come out as they went in.
pub(super) fn encode(samples: &[f32], format: SampleFormat, out: &mut Vec<u8>) {
    out.reserve(samples.len() * width(format));
    for &sample in samples {
        match format {
            SampleFormat::S16 => out.extend((step(sample, 15) as i16).to_le_bytes()),
            SampleFormat::S24 => out.extend((step(sample, 23) as i32).to_le_bytes()),
            SampleFormat::S24In3 => {
                let [a, b, c, _] = (step(sample, 23) as i32).to_le_bytes();
                out.extend([a, b, c]);
            }
            SampleFormat::S32 => out.extend((step(sample, 31) as i32).to_le_bytes()),
            SampleFormat::F32 => out.extend(sample.clamp(-1.0, 1.0).to_le_bytes()),
        }
    }
}

/// The nearest step of a format with `bits` bits below the sign.
fn step(sample: f32, bits: u32) -> f64 {
    let scale = f64::from(bits).exp2();
    (f64::from(sample) * scale)
        .round()
        .clamp(-scale, scale - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(samples: &[f32], format: SampleFormat) -> Vec<u8> {
        let mut out = Vec::new();
        encode(samples, format, &mut out);
        out
    }

    #[test]
    fn every_sixteen_bit_sample_survives_every_format() {
        for value in i16::MIN..=i16::MAX {
            let sample = f32::from(value) / 32_768.0;
            let wide = i32::from(value);
            assert_eq!(bytes(&[sample], SampleFormat::S16), value.to_le_bytes());
            assert_eq!(
                bytes(&[sample], SampleFormat::S24),
                (wide << 8).to_le_bytes()
            );
            assert_eq!(
                bytes(&[sample], SampleFormat::S32),
                (wide << 16).to_le_bytes()
            );
            assert_eq!(bytes(&[sample], SampleFormat::F32), sample.to_le_bytes());
            let packed = &(wide << 8).to_le_bytes()[..3];
            assert_eq!(bytes(&[sample], SampleFormat::S24In3), packed);
        }
    }

    #[test]
    fn what_is_too_loud_is_clamped_and_never_wraps() {
        assert_eq!(
            bytes(&[7.0, -7.0], SampleFormat::S16),
            [0xFF, 0x7F, 0x00, 0x80]
        );
        assert_eq!(bytes(&[1.0], SampleFormat::S32), i32::MAX.to_le_bytes());
        assert_eq!(bytes(&[-1.5], SampleFormat::S24In3), [0, 0, 0x80]);
        assert_eq!(bytes(&[1.5], SampleFormat::F32), 1f32.to_le_bytes());
        assert_eq!(bytes(&[f32::NAN], SampleFormat::S16), [0, 0]);
    }
}

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
    match format {
        SampleFormat::S16 => append(samples, out, |s| (step::<15>(s) as i16).to_le_bytes()),
        SampleFormat::S24 => append(samples, out, |s| step::<23>(s).to_le_bytes()),
        SampleFormat::S24In3 => append(samples, out, |s| {
            let [a, b, c, _] = step::<23>(s).to_le_bytes();
            [a, b, c]
        }),
        SampleFormat::S32 => append(samples, out, |s| step::<31>(s).to_le_bytes()),
        SampleFormat::F32 => append(samples, out, |s| s.clamp(-1.0, 1.0).to_le_bytes()),
    }
}

fn append<const N: usize>(samples: &[f32], out: &mut Vec<u8>, bytes: impl Fn(f32) -> [u8; N]) {
    let start = out.len();
    out.resize(start + samples.len() * N, 0);
    for (to, &sample) in out[start..].chunks_exact_mut(N).zip(samples) {
        to.copy_from_slice(&bytes(sample));
    }
}

/// The nearest step of a format with `BITS` bits below the sign. Rounds by hand: without SSE 4.1,
/// which not every processor has, `round` is a call into the C library for each sample.
fn step<const BITS: u32>(sample: f32) -> i32 {
    let scale = f64::from(1_u32 << BITS);
    let exact = f64::from(sample) * scale;
    let nearest = exact + 0.5_f64.copysign(exact);
    nearest.clamp(-scale, scale - 1.0) as i32
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

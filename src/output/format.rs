//! Samples as bytes: little-endian, rounded to the nearest step, never wrapping.

use siskin_sound::pcm;

use crate::{config::SampleFormat, model::CHANNELS};

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
        SampleFormat::S16 => pcm::append_s16(samples, out),
        SampleFormat::S24 => append(samples, out, |s| step::<23>(s).to_le_bytes()),
        SampleFormat::S24In3 => append(samples, out, |s| {
            let [a, b, c, _] = step::<23>(s).to_le_bytes();
            [a, b, c]
        }),
        SampleFormat::S32 => append(samples, out, |s| step::<31>(s).to_le_bytes()),
        SampleFormat::F32 => append(samples, out, |s| s.clamp(-1.0, 1.0).to_le_bytes()),
    }
}

/// Whole frames of bytes fall to silence.
pub(super) fn fade(bytes: &mut [u8], format: SampleFormat) {
    let frame = CHANNELS * width(format);
    let count = bytes.len() / frame;
    for (at, frame) in bytes.chunks_exact_mut(frame).enumerate() {
        let gain = (count - at) as f32 / (count + 1) as f32;
        let quieter: Vec<f32> = decode(frame, format).map(|sample| sample * gain).collect();
        let mut out = Vec::with_capacity(frame.len());
        encode(&quieter, format, &mut out);
        frame.copy_from_slice(&out);
    }
}

fn decode(bytes: &[u8], format: SampleFormat) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(width(format)).map(move |sample| {
        // What is narrower lies in the upper bytes.
        let mut wide = [0; 4];
        wide[4 - sample.len()..].copy_from_slice(sample);
        let whole = i32::from_le_bytes(wide);
        match format {
            SampleFormat::F32 => f32::from_le_bytes(wide),
            SampleFormat::S24 => whole as f32 / (1 << 23) as f32,
            _ => whole as f32 / (1_u32 << 31) as f32,
        }
    })
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
    fn bytes_fade_as_their_samples_would_in_every_format() {
        for format in [
            SampleFormat::S16,
            SampleFormat::S24,
            SampleFormat::S24In3,
            SampleFormat::S32,
            SampleFormat::F32,
        ] {
            let mut faded = bytes(&[0.5; 3 * CHANNELS], format);
            fade(&mut faded, format);
            let expected: Vec<f32> = [0.375, 0.25, 0.125]
                .into_iter()
                .flat_map(|sample| [sample; CHANNELS])
                .collect();
            assert_eq!(faded, bytes(&expected, format), "{}", name(format));
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

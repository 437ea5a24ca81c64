//! From the channels of a packet to interleaved stereo.

use symphonia_core::audio::{Audio, AudioBuffer};

use super::{CHANNELS, LOUDEST};

/// Appends the frames of a packet, in stereo. One that can only be noise becomes silence, of the
/// same length.
pub(super) fn interleave(buffer: &AudioBuffer<f32>, out: &mut Vec<f32>) {
    let frames = buffer.frames();
    let begin = out.len();
    out.resize(begin + frames * CHANNELS, 0.0);
    let Some(left) = buffer.plane(0) else { return };
    let right = buffer.plane(1).unwrap_or(left);
    if is_absurd(left) || is_absurd(right) {
        return;
    }
    let (pairs, _) = out[begin..].as_chunks_mut::<CHANNELS>();
    for ((pair, &left), &right) in pairs.iter_mut().zip(left).zip(right) {
        *pair = [left, right];
    }
}

/// Compares as integers: the bits of positive floats are in the same order, no number at all is
/// above them, and a processor does several at once.
fn is_absurd(samples: &[f32]) -> bool {
    let peak = samples
        .iter()
        .map(|sample| (sample.to_bits() & 0x7fff_ffff) as i32)
        .fold(0, i32::max);
    peak > LOUDEST.to_bits() as i32
}

#[cfg(test)]
mod tests {
    use symphonia_core::audio::{AudioMut, AudioSpec, Channels, Position};

    use super::*;

    fn buffer(channels: Channels, planes: &[&[f32]]) -> AudioBuffer<f32> {
        let mut buffer = AudioBuffer::new(AudioSpec::new(44_100, channels), planes[0].len());
        buffer.render_silence(None);
        for (index, plane) in planes.iter().enumerate() {
            buffer
                .plane_mut(index)
                .expect("as many")
                .copy_from_slice(plane);
        }
        buffer
    }

    #[test]
    fn stereo_is_interleaved_and_mono_is_heard_on_both_sides() {
        let stereo = Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT);
        let mono = Channels::Positioned(Position::FRONT_CENTER);
        let mut out = vec![9.0];
        interleave(&buffer(stereo, &[&[0.1, 0.2], &[0.3, 0.4]]), &mut out);
        interleave(&buffer(mono, &[&[0.5]]), &mut out);
        assert_eq!(out, [9.0, 0.1, 0.3, 0.2, 0.4, 0.5, 0.5]);
    }

    #[test]
    fn what_can_only_be_noise_is_silence() {
        assert!(!is_absurd(&[1.7, -2.5, 0.0, -0.0]));
        assert!(is_absurd(&[0.0, -830.0]));
        assert!(is_absurd(&[f32::NAN]));
        assert!(is_absurd(&[f32::NEG_INFINITY]));
    }
}

//! Streams that nobody encoded. Those that somebody did are decoded where files are: in `decode`.

use proptest::prelude::*;

use super::{testing::Writer, *};

#[test]
fn two_channels_are_made_of_the_larger_and_the_difference() {
    for (larger, apart, expected) in [
        (3.0, 1.0, (3.0, 2.0)),
        (3.0, -1.0, (2.0, 3.0)),
        (-3.0, 1.0, (-3.0, -2.0)),
        (-3.0, -1.0, (-2.0, -3.0)),
        (0.0, 0.0, (0.0, 0.0)),
    ] {
        let (mut sum, mut difference) = ([larger; 4], [apart; 4]);
        uncouple(&mut sum, &mut difference);
        assert_eq!((sum[0], difference[3]), expected);
    }
}

/// The headers of a stream, with these bits of the third one turned over.
fn headers(channels: usize, flips: &[(prop::sample::Index, u8)]) -> (Ident, Vec<u8>) {
    let ident = Ident {
        channels,
        rate: 44_100,
        nominal: 0,
        blocks: [64, 256],
    };
    let mut writer = Writer::default();
    writer.setup(3, 4, 6, channels == 2);
    for (at, bit) in flips {
        *at.get_mut(&mut writer.bytes) ^= 1 << bit;
    }
    (ident, [b"\x05vorbis", &writer.bytes[..]].concat())
}

/// Decodes whatever it is, and says how many frames came of each packet.
fn survive(setup: Setup, packets: &[Vec<u8>]) -> Vec<Option<usize>> {
    let mut codec = Codec::new(Arc::new(setup));
    let mut frames = Vec::new();
    for packet in packets {
        let came = codec.decode(packet);
        frames.push(came.map(|[left, right]| {
            assert_eq!(left.len(), right.len());
            left.len()
        }));
        if came.is_none() {
            codec.reset();
        }
    }
    frames
}

proptest! {
    #[test]
    fn packets_of_any_bytes_are_as_long_as_their_blocks_say(
        channels in 1usize..=2,
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let (ident, packet) = headers(channels, &[]);
        let setup = Setup::read(&ident, &packet).expect("well-formed");
        let frames = survive(setup, &packets);
        let mut before = false;
        for (packet, frames) in packets.iter().zip(frames) {
            // All blocks are short: the one mode there is says so.
            let is_audio = packet.first().is_some_and(|byte| byte & 1 == 0);
            let expected = if before { 32 } else { 0 };
            prop_assert_eq!(frames, is_audio.then_some(expected));
            before = is_audio;
        }
    }

    #[test]
    fn headers_with_any_bit_turned_over_are_refused_or_of_use(
        channels in 1usize..=2,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..8),
    ) {
        let (ident, packet) = headers(channels, &flips);
        if let Ok(setup) = Setup::read(&ident, &packet) {
            survive(setup, &packets);
        }
    }

    #[test]
    fn headers_of_any_bytes_are_refused_or_of_use(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let (ident, _) = headers(2, &[]);
        let _ = Setup::read(&ident, &bytes);
        let _ = Ident::read(&bytes);
    }
}

//! The lock on a file's bytes.

use aes::Aes128;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};

/// The same for every file of the service.
const IV: [u8; 16] = [
    0x72, 0xe0, 0x67, 0xfb, 0xdd, 0xcb, 0xcf, 0x77, 0xeb, 0xe8, 0xbc, 0x64, 0x3f, 0x63, 0x0d, 0x93,
];

/// What opens a file. Shows nothing of itself in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// AES-128 in counter mode.
    Aes([u8; 16]),
    /// The file is not encrypted.
    None,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes(_) => "Aes(***)",
            Self::None => "None",
        })
    }
}

/// Whether and how bytes can be read.
pub(super) enum Lock {
    /// The key has not come yet.
    Closed,
    Open(Option<Box<Ctr128BE<Aes128>>>),
}

impl Lock {
    pub fn opened_by(key: Key) -> Self {
        Self::Open(match key {
            Key::Aes(key) => Some(Box::new(Ctr128BE::new(&key.into(), &IV.into()))),
            Key::None => None,
        })
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Decrypts `bytes`, which stand at `offset` in the file. Nothing happens while closed.
    pub fn decrypt(&mut self, offset: u64, bytes: &mut [u8]) {
        if let Self::Open(Some(cipher)) = self {
            cipher.seek(offset);
            cipher.apply_keystream(bytes);
        }
    }
}

/// Whether these first bytes of a file are audio as they stand. Some podcasts lie unencrypted at
/// the service, and there is no key for them.
pub(super) fn looks_plain(head: &[u8]) -> bool {
    head.starts_with(b"OggS\0") || head.starts_with(b"ID3") || {
        // Two MPEG frames in a row: one alone is met in one of a few thousand random files.
        let next = mpeg_frame(head).and_then(|length| head.get(length..));
        next.is_some_and(|next| mpeg_frame(next).is_some())
    }
}

/// The length of the MPEG layer III frame that begins here.
fn mpeg_frame(bytes: &[u8]) -> Option<usize> {
    const RATES_1: [usize; 14] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const RATES_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let [sync, kind, rates, ..] = *bytes else {
        return None;
    };
    let (version, layer) = (kind >> 3 & 3, kind >> 1 & 3);
    let sampling = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
    if sync != 0xff || kind & 0xe0 != 0xe0 || layer != 1 || version == 1 {
        return None;
    }
    let index = usize::from(rates >> 4).checked_sub(1)?;
    let padding = usize::from(rates >> 1 & 1);
    let (rates, halving, frame) = match version {
        3 => (RATES_1, 1, 144),
        2 => (RATES_2, 2, 72),
        _ => (RATES_2, 4, 72),
    };
    Some(frame * rates.get(index)? * 1000 * halving / sampling + padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_encrypted_is_known_by_its_beginning() {
        assert!(looks_plain(b"OggS\0\x06"));
        assert!(looks_plain(b"ID3\x04"));
        // 128 kbit/s at 44.1 kHz: 417 bytes a frame.
        let mut mp3 = vec![0; 900];
        for at in [0, 417] {
            mp3[at..at + 3].copy_from_slice(&[0xff, 0xfb, 0x90]);
        }
        assert!(looks_plain(&mp3));
        mp3[417] = 0;
        assert!(!looks_plain(&mp3));
        assert!(!looks_plain(b"something else"));
        assert!(!looks_plain(b""));
    }

    #[test]
    fn a_part_decrypts_as_it_would_in_the_whole() {
        let mut whole: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut part = whole[333..777].to_vec();
        let mut lock = Lock::opened_by(Key::Aes([3; 16]));
        lock.decrypt(333, &mut part);
        lock.decrypt(0, &mut whole);
        assert_eq!(part, whole[333..777]);
    }
}

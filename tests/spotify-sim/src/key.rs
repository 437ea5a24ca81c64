//! The key swap: makes a copy of a receiver that trusts the simulation's
//! access point.
//!
//! Receivers pin the public key of Spotify's access points and check its
//! signature before they log in. A release binary can be tested as it is,
//! with only these 256 bytes exchanged. Compilers store them in one piece, or
//! cut into pieces with each piece reversed.

use std::{fmt, fs, io, path::Path};

use crate::accesspoint;

/// The modulus of Spotify's own key, as every client has it.
const PINNED: [u8; 256] = [
    0xac, 0xe0, 0x46, 0x0b, 0xff, 0xc2, 0x30, 0xaf, 0xf4, 0x6b, 0xfe, 0xc3, 0xbf, 0xbf, 0x86, 0x3d,
    0xa1, 0x91, 0xc6, 0xcc, 0x33, 0x6c, 0x93, 0xa1, 0x4f, 0xb3, 0xb0, 0x16, 0x12, 0xac, 0xac, 0x6a,
    0xf1, 0x80, 0xe7, 0xf6, 0x14, 0xd9, 0x42, 0x9d, 0xbe, 0x2e, 0x34, 0x66, 0x43, 0xe3, 0x62, 0xd2,
    0x32, 0x7a, 0x1a, 0x0d, 0x92, 0x3b, 0xae, 0xdd, 0x14, 0x02, 0xb1, 0x81, 0x55, 0x05, 0x61, 0x04,
    0xd5, 0x2c, 0x96, 0xa4, 0x4c, 0x1e, 0xcc, 0x02, 0x4a, 0xd4, 0xb2, 0x0c, 0x00, 0x1f, 0x17, 0xed,
    0xc2, 0x2f, 0xc4, 0x35, 0x21, 0xc8, 0xf0, 0xcb, 0xae, 0xd2, 0xad, 0xd7, 0x2b, 0x0f, 0x9d, 0xb3,
    0xc5, 0x32, 0x1a, 0x2a, 0xfe, 0x59, 0xf3, 0x5a, 0x0d, 0xac, 0x68, 0xf1, 0xfa, 0x62, 0x1e, 0xfb,
    0x2c, 0x8d, 0x0c, 0xb7, 0x39, 0x2d, 0x92, 0x47, 0xe3, 0xd7, 0x35, 0x1a, 0x6d, 0xbd, 0x24, 0xc2,
    0xae, 0x25, 0x5b, 0x88, 0xff, 0xab, 0x73, 0x29, 0x8a, 0x0b, 0xcc, 0xcd, 0x0c, 0x58, 0x67, 0x31,
    0x89, 0xe8, 0xbd, 0x34, 0x80, 0x78, 0x4a, 0x5f, 0xc9, 0x6b, 0x89, 0x9d, 0x95, 0x6b, 0xfc, 0x86,
    0xd7, 0x4f, 0x33, 0xa6, 0x78, 0x17, 0x96, 0xc9, 0xc3, 0x2d, 0x0d, 0x32, 0xa5, 0xab, 0xcd, 0x05,
    0x27, 0xe2, 0xf7, 0x10, 0xa3, 0x96, 0x13, 0xc4, 0x2f, 0x99, 0xc0, 0x27, 0xbf, 0xed, 0x04, 0x9c,
    0x3c, 0x27, 0x58, 0x04, 0xb6, 0xb2, 0x19, 0xf9, 0xc1, 0x2f, 0x02, 0xe9, 0x48, 0x63, 0xec, 0xa1,
    0xb6, 0x42, 0xa0, 0x9d, 0x48, 0x25, 0xf8, 0xb3, 0x9d, 0xd0, 0xe8, 0x6a, 0xf9, 0x48, 0x4d, 0xa1,
    0xc2, 0xba, 0x86, 0x30, 0x42, 0xea, 0x9d, 0xb3, 0x08, 0x6c, 0x19, 0x0e, 0x48, 0xb3, 0x9d, 0x66,
    0xeb, 0x00, 0x06, 0xa2, 0x5a, 0xee, 0xa1, 0x1b, 0x13, 0x87, 0x3c, 0xd7, 0x19, 0xe6, 0x55, 0xbd,
];

/// In this order: the larger the piece, the surer the find.
const PIECES: [usize; 4] = [256, 32, 16, 8];

/// How the key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// Bytes per piece.
    pub piece: usize,
    /// Whether the bytes of each piece stood in reverse.
    pub reversed: bool,
    /// How many pieces were exchanged, repetitions included.
    pub places: usize,
}

impl fmt::Display for Swapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.reversed { " in reverse" } else { "" };
        write!(
            f,
            "{} places, in pieces of {} bytes{order}",
            self.places, self.piece
        )
    }
}

/// Copies `from` to `to` with the simulation's key in place of Spotify's.
///
/// # Errors
/// When a file cannot be read or written, or when the key is not found.
pub fn swap_key(from: &Path, to: &Path) -> io::Result<Swapped> {
    let mut bytes = fs::read(from)?;
    let swapped = replace(&mut bytes, &PINNED, &accesspoint::modulus()).map_err(|why| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{}: {why}", from.display()),
        )
    })?;
    // Under another name first: somebody may be waiting for the file to appear.
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes)?;
    fs::set_permissions(&partial, fs::metadata(from)?.permissions())?;
    fs::rename(&partial, to)?;
    Ok(swapped)
}

fn replace(bytes: &mut [u8], old: &[u8; 256], new: &[u8; 256]) -> Result<Swapped, String> {
    let mut nearly = String::new();
    for piece in PIECES {
        for reversed in [false, true] {
            let cut = |key: &[u8; 256]| -> Vec<Vec<u8>> {
                key.chunks(piece)
                    .map(|part| turned(part, reversed))
                    .collect()
            };
            let found: Vec<Vec<usize>> = cut(old)
                .iter()
                .map(|part| memchr::memmem::find_iter(bytes, part).collect())
                .collect();
            let missing = found.iter().filter(|places| places.is_empty()).count();
            if missing > 0 {
                if missing < found.len() {
                    let there = found.len() - missing;
                    nearly = format!(
                        " ({there} of {} pieces of {piece} bytes were there)",
                        found.len()
                    );
                }
                continue;
            }
            for (places, part) in found.iter().zip(cut(new)) {
                for place in places {
                    bytes[*place..*place + piece].copy_from_slice(&part);
                }
            }
            let places = found.iter().map(Vec::len).sum();
            return Ok(Swapped {
                piece,
                reversed,
                places,
            });
        }
    }
    Err(format!(
        "Spotify's access point key is not in this file, whole or in pieces{nearly}; \
         is it a receiver, not yet swapped and not compressed?"
    ))
}

fn turned(part: &[u8], reversed: bool) -> Vec<u8> {
    let mut part = part.to_vec();
    if reversed {
        part.reverse();
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_key_in_one_piece_is_exchanged_wherever_it_stands() {
        let new = [0x11; 256];
        let mut file = [noise(1000), PINNED.to_vec(), noise(77), PINNED.to_vec()].concat();
        let swapped = replace(&mut file, &PINNED, &new).unwrap();
        assert_eq!(
            swapped,
            Swapped {
                piece: 256,
                reversed: false,
                places: 2
            }
        );
        assert_eq!(file[1000..1256], new);
        assert!(replace(&mut file, &PINNED, &new).is_err());
    }

    #[test]
    fn a_key_cut_into_reversed_pieces_is_exchanged_piece_by_piece() {
        let new = accesspoint::modulus();
        let mut file = noise(500);
        for part in PINNED.chunks(16).rev() {
            file.extend(turned(part, true));
            file.extend(noise(33));
        }
        let swapped = replace(&mut file, &PINNED, &new).unwrap();
        assert_eq!(
            swapped,
            Swapped {
                piece: 16,
                reversed: true,
                places: 16
            }
        );
        let last = turned(&new[240..], true);
        assert_eq!(file[500..516], last);
    }

    #[test]
    fn a_file_with_half_a_key_is_left_alone_and_the_error_says_so() {
        let mut file = [noise(100), PINNED[..128].to_vec()].concat();
        let before = file.clone();
        let why = replace(&mut file, &PINNED, &[0; 256]).unwrap_err();
        assert!(why.contains("16 of 32 pieces of 8 bytes"), "{why}");
        assert_eq!(file, before);
    }
}

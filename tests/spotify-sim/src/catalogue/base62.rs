//! The 22 characters by which Spotify writes a 16 byte id.

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LENGTH: usize = 22;

/// Most significant digit first, padded with zeros.
pub fn encode(gid: [u8; 16]) -> String {
    let mut rest = u128::from_be_bytes(gid);
    let mut text = [0u8; LENGTH];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    text.iter().map(|b| char::from(*b)).collect()
}

/// `None` for a wrong length, a foreign character or a number over 128 bits.
pub fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != LENGTH {
        return None;
    }
    let mut id: u128 = 0;
    for byte in text.bytes() {
        let digit = DIGITS.iter().position(|d| *d == byte)?;
        id = id.checked_mul(62)?.checked_add(digit as u128)?;
    }
    Some(id.to_be_bytes())
}

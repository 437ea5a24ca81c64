//! A text in an envelope that only the key opens: XChaCha20-Poly1305, a random nonce each time.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use serde::{Deserialize, Serialize};

use super::key::LENGTH;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    cipher: Cipher,
    /// 24 bytes in base64.
    nonce: String,
    /// The text, encrypted and authenticated, in base64.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Cipher {
    #[serde(rename = "xchacha20-poly1305")]
    XChaCha20Poly1305,
}

/// Encrypts. `place` says which file it is for: an envelope in another's place does not open.
/// `None` only for a text beyond all sizes.
pub fn seal(key: &[u8; LENGTH], place: &str, text: &[u8]) -> Option<Sealed> {
    let nonce: [u8; 24] = rand::random();
    let payload = Payload {
        msg: text,
        aad: place.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(XNonce::from_slice(&nonce), payload)
        .ok()?;
    Some(Sealed {
        cipher: Cipher::XChaCha20Poly1305,
        nonce: BASE64.encode(nonce),
        text: BASE64.encode(sealed),
    })
}

/// `None`: another key, another place, or not a bit as it was written.
pub fn open(key: &[u8; LENGTH], place: &str, sealed: &Sealed) -> Option<Vec<u8>> {
    let nonce: [u8; 24] = BASE64.decode(&sealed.nonce).ok()?.try_into().ok()?;
    let text = BASE64.decode(&sealed.text).ok()?;
    let payload = Payload {
        msg: &text,
        aad: place.as_bytes(),
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(XNonce::from_slice(&nonce), payload)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_with_its_key_in_its_place_and_no_two_are_alike() {
        let sealed = seal(&[1; 32], "kim", b"hush").expect("short");
        assert_eq!(
            open(&[1; 32], "kim", &sealed).as_deref(),
            Some(&b"hush"[..])
        );
        assert_eq!(open(&[2; 32], "kim", &sealed), None);
        assert_eq!(open(&[1; 32], "alex", &sealed), None);
        assert_ne!(seal(&[1; 32], "kim", b"hush"), Some(sealed));
    }
}

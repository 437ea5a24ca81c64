//! The cryptography of a login that a phone hands over (`addUser`).
//!
//! Owns the Diffie-Hellman key pair and both layers of the blob. Takes values and returns values;
//! whatever a stranger sends, it answers with a [`BlobError`] and never panics.

use aes::{
    Aes128, Aes192,
    cipher::{BlockDecrypt, KeyInit, KeyIvInit, StreamCipher, generic_array::GenericArray},
};
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::STANDARD as BASE64,
    },
};
use ctr::Ctr128BE;
use hmac::{Hmac, Mac};
use librespot_core::diffie_hellman::DhLocalKeys;
use sha1::{Digest, Sha1};

use crate::model::{DeviceId, Login, Secret};

/// The initial counter block in front of the ciphertext, in bytes.
const IV: usize = 16;
/// The checksum behind the ciphertext, in bytes.
const MAC: usize = 20;
const BLOCK: usize = 16;
/// Of PBKDF2, as every phone uses them.
const ROUNDS: u32 = 256;

/// Before the user's name, the kind of login, and the secret.
const TAGS: [u8; 3] = [0x49, 0x50, 0x51];

/// Padding or none: phones write both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a blob was not understood. Says nothing about what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error("the {field} is not base64")]
    Base64 { field: &'static str },
    #[error("the blob is too short to be one")]
    Short,
    /// Made for another key of ours, as after a restart. A fresh `getInfo` helps.
    #[error("the blob was made for another public key")]
    OtherKey,
    #[error("what is inside the blob is not a login for this device")]
    Inner,
}

/// What came out of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    Login(Login),
    /// Well made for this device and this user, but with nothing inside: he is to be forgotten.
    Empty,
}

/// Our half of the key exchange. Lives as long as the endpoint, since phones keep the public
/// part from `getInfo` until the blob is made.
pub struct Keys {
    pair: DhLocalKeys,
    public: String,
}

impl Keys {
    pub fn generate() -> Self {
        let pair = DhLocalKeys::random(&mut rand::rng());
        let public = BASE64.encode(pair.public_key());
        Self { pair, public }
    }

    /// base64, at most 128 characters.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Opens `blob` (base64), which the owner of `client_key` (base64) made for `user` on `device`.
    pub fn open(
        &self,
        device: &DeviceId,
        user: &str,
        blob: &str,
        client_key: &str,
    ) -> Result<Opened, BlobError> {
        let blob = decode(blob, "blob")?;
        let client_key = decode(client_key, "client key")?;
        let shared = self.pair.shared_secret(&client_key);
        let inner = open_outer(&shared, blob)?;
        open_inner(device, user, &inner)
    }
}

fn decode(text: &str, field: &'static str) -> Result<Vec<u8>, BlobError> {
    LENIENT
        .decode(text)
        .map_err(|_| BlobError::Base64 { field })
}

/// The layer between the phone's key and ours: IV, AES-128-CTR, HMAC-SHA1.
fn open_outer(shared: &[u8], mut blob: Vec<u8>) -> Result<Vec<u8>, BlobError> {
    let end = blob
        .len()
        .checked_sub(MAC)
        .filter(|end| *end >= IV)
        .ok_or(BlobError::Short)?;
    let base = Sha1::digest(shared);
    let base = &base[..16];
    let mac_key = hmac(base, b"checksum").finalize().into_bytes();
    // Compared in constant time, so that the answer's delay says nothing about the checksum.
    hmac(&mac_key, &blob[IV..end])
        .verify_slice(&blob[end..])
        .map_err(|_| BlobError::OtherKey)?;

    let key = hmac(base, b"encryption").finalize().into_bytes();
    let mut cipher = Ctr128BE::<Aes128>::new(
        GenericArray::from_slice(&key[..16]),
        GenericArray::from_slice(&blob[..IV]),
    );
    cipher.apply_keystream(&mut blob[IV..end]);
    Ok(blob[IV..end].to_vec())
}

fn hmac(key: &[u8], data: &[u8]) -> Hmac<Sha1> {
    let mac = <Hmac<Sha1> as Mac>::new_from_slice(key);
    mac.expect("HMAC takes keys of any length")
        .chain_update(data)
}

/// The layer between the account and this device: base64, AES-192-ECB, chained blocks.
fn open_inner(device: &DeviceId, user: &str, inner: &[u8]) -> Result<Opened, BlobError> {
    let mut data = LENIENT.decode(inner).map_err(|_| BlobError::Inner)?;
    if data.is_empty() || !data.len().is_multiple_of(BLOCK) {
        return Err(BlobError::Inner);
    }
    let cipher = Aes192::new(&GenericArray::from(inner_key(device, user)));
    for block in data.chunks_exact_mut(BLOCK) {
        cipher.decrypt_block(GenericArray::from_mut_slice(block));
    }
    // Each block was mixed with the plain one before it, so it is undone from the back.
    for at in (BLOCK..data.len()).rev() {
        data[at] ^= data[at - BLOCK];
    }
    let (kind, secret) = Record(&data).login(user).ok_or(BlobError::Inner)?;
    if secret.is_empty() {
        return Ok(Opened::Empty);
    }
    Ok(Opened::Login(Login {
        user: user.to_owned(),
        kind,
        secret: Secret::new(secret.to_vec()),
    }))
}

fn inner_key(device: &DeviceId, user: &str) -> [u8; 24] {
    let mut derived = [0; 20];
    let secret = Sha1::digest(device.as_str());
    pbkdf2::pbkdf2_hmac::<Sha1>(&secret, user.as_bytes(), ROUNDS, &mut derived);
    let mut key = [0; 24];
    key[..20].copy_from_slice(&Sha1::digest(derived));
    key[20..].copy_from_slice(&20_u32.to_be_bytes());
    key
}

/// `tag, user, tag, kind, tag, secret`; texts have their length in front. Every read is checked.
struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// What was made for another device, or is noise, would often pass for a record by its lengths
    /// alone. So either the tags must be the known ones, or the account the one that was named:
    /// a phone that writes other tags is let in, noise is not.
    fn login(mut self, user: &str) -> Option<(i32, &'a [u8])> {
        let mut tags = [self.byte()?, 0, 0];
        let named = self.text()?;
        tags[1] = self.byte()?;
        let kind = self.number()?;
        tags[2] = self.byte()?;
        let secret = self.text()?;
        let meant = tags == TAGS || named == user.as_bytes();
        Some((i32::try_from(kind).ok()?, secret)).filter(|_| meant)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One byte, or two when the first has its highest bit set. At most 32 767.
    fn number(&mut self) -> Option<u32> {
        let low = u32::from(self.byte()?);
        if low & 0x80 == 0 {
            return Some(low);
        }
        let high = u32::from(self.byte()?);
        Some((low & 0x7f) | (high << 7))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

/// The innermost part of a blob that names `user`, for the fuzz targets: the kind and the secret.
#[cfg(any(test, fuzzing))]
pub(crate) fn record<'a>(inner: &'a [u8], user: &str) -> Option<(i32, &'a [u8])> {
    Record(inner).login(user)
}

#[cfg(test)]
pub(super) mod phone {
    //! The other side: what a phone does, for the tests of this room.

    use aes::cipher::BlockEncrypt;

    use super::*;

    /// The form fields `blob` and `clientKey` for a login.
    pub fn seal(
        receiver_key: &str,
        device: &DeviceId,
        user: &str,
        kind: u8,
        secret: &[u8],
    ) -> (String, String) {
        seal_inner(receiver_key, &inner(device, user, kind, secret))
    }

    /// A right checksum around anything.
    pub fn seal_inner(receiver_key: &str, inner: &[u8]) -> (String, String) {
        let keys = DhLocalKeys::random(&mut rand::rng());
        let receiver_key = BASE64.decode(receiver_key).expect("our own key");
        let base = Sha1::digest(keys.shared_secret(&receiver_key));
        let key = hmac(&base[..16], b"encryption").finalize().into_bytes();
        let mac_key = hmac(&base[..16], b"checksum").finalize().into_bytes();
        let iv = [7; IV];
        let mut sealed = inner.to_vec();
        Ctr128BE::<Aes128>::new(
            GenericArray::from_slice(&key[..16]),
            GenericArray::from_slice(&iv),
        )
        .apply_keystream(&mut sealed);
        let mac = hmac(&mac_key, &sealed).finalize().into_bytes();
        let blob = [&iv[..], &sealed, &mac].concat();
        (BASE64.encode(blob), BASE64.encode(keys.public_key()))
    }

    pub fn inner(device: &DeviceId, user: &str, kind: u8, secret: &[u8]) -> Vec<u8> {
        let mut data = vec![0x49];
        put(&mut data, user.as_bytes());
        data.extend([0x50, kind, 0x51]);
        put(&mut data, secret);
        data.resize(data.len().next_multiple_of(BLOCK), 0);
        for at in BLOCK..data.len() {
            data[at] ^= data[at - BLOCK];
        }
        let cipher = Aes192::new(&GenericArray::from(inner_key(device, user)));
        for block in data.chunks_exact_mut(BLOCK) {
            cipher.encrypt_block(GenericArray::from_mut_slice(block));
        }
        BASE64.encode(data).into_bytes()
    }

    fn put(data: &mut Vec<u8>, text: &[u8]) {
        if text.len() < 0x80 {
            data.push(text.len() as u8);
        } else {
            data.extend([(text.len() & 0x7f) as u8 | 0x80, (text.len() >> 7) as u8]);
        }
        data.extend(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device() -> DeviceId {
        DeviceId::from_bytes([0x5a; 20])
    }

    #[test]
    fn a_blob_for_another_key_is_told_apart_from_a_broken_one() {
        let (ours, before) = (Keys::generate(), Keys::generate());
        let (blob, key) = phone::seal(before.public(), &device(), "kim", 1, b"secret");
        let open = |blob: &str, key: &str| ours.open(&device(), "kim", blob, key);
        assert_eq!(open(&blob, &key), Err(BlobError::OtherKey));
        assert_eq!(open("", &key), Err(BlobError::Short));
        assert_eq!(open("%%", &key), Err(BlobError::Base64 { field: "blob" }));
        assert_eq!(
            open(&blob, "%%"),
            Err(BlobError::Base64 {
                field: "client key"
            })
        );
    }

    #[test]
    fn a_login_without_a_secret_is_a_wish_to_be_forgotten() {
        let keys = Keys::generate();
        let (blob, key) = phone::seal(keys.public(), &device(), "kim", 1, b"");
        assert_eq!(keys.open(&device(), "kim", &blob, &key), Ok(Opened::Empty));
    }

    #[test]
    fn a_blob_for_another_device_is_never_taken_for_a_login() {
        let keys = Keys::generate();
        for other in 1..=255 {
            let inner = phone::inner(&DeviceId::from_bytes([other; 20]), "kim", 1, b"secret");
            let (blob, key) = phone::seal_inner(keys.public(), &inner);
            let opened = keys.open(&DeviceId::from_bytes([0; 20]), "kim", &blob, &key);
            assert_eq!(opened, Err(BlobError::Inner), "device {other}");
        }
    }

    #[test]
    fn a_public_key_fits_the_field() {
        assert!(Keys::generate().public().len() <= 149);
    }

    proptest! {
        // An exchange of keys takes a while in a debug build.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_a_phone_seals_is_what_we_open(
            user in "\\PC{1,40}",
            kind in 0_u8..0x80,
            secret in prop::collection::vec(any::<u8>(), 1..700),
        ) {
            let keys = Keys::generate();
            let (blob, key) = phone::seal(keys.public(), &device(), &user, kind, &secret);
            let login = Login { user: user.clone(), kind: kind.into(), secret: Secret::new(secret) };
            prop_assert_eq!(
                keys.open(&device(), &user, &blob, &key),
                Ok(Opened::Login(login))
            );
        }

        #[test]
        fn garbage_with_a_right_checksum_is_refused_without_a_panic(
            inner in prop::collection::vec(any::<u8>(), 0..1400),
            encode: bool,
        ) {
            let keys = Keys::generate();
            let inner = if encode { BASE64.encode(&inner).into_bytes() } else { inner };
            let (blob, key) = phone::seal_inner(keys.public(), &inner);
            let opened = keys.open(&device(), "kim", &blob, &key);
            prop_assert!(!matches!(opened, Err(BlobError::OtherKey | BlobError::Short)));
        }

        #[test]
        fn anything_at_all_is_refused_without_a_panic(
            blob in prop::collection::vec(any::<u8>(), 0..2048),
            key in prop::collection::vec(any::<u8>(), 0..384),
        ) {
            let keys = Keys::generate();
            let (blob, key) = (BASE64.encode(blob), BASE64.encode(key));
            prop_assert!(keys.open(&device(), "kim", &blob, &key).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_within_its_bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some((_, secret)) = Record(&data).login("kim") {
                prop_assert!(secret.len() < data.len());
            }
        }
    }
}

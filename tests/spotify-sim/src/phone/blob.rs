//! The sealed login a phone hands over: two layers of encryption around user
//! name and credential.

use std::sync::LazyLock;

use aes::Aes192;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit, KeyIvInit, StreamCipher};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use num_bigint::BigUint;
use rand::RngCore;
use sha1::{Digest, Sha1};

/// Oakley group 1, 768 bits; the generator is 2.
static PRIME: LazyLock<BigUint> = LazyLock::new(|| {
    let digits = concat!(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22",
        "514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6",
        "F44C42E9A63A3620FFFFFFFFFFFFFFFF"
    );
    BigUint::parse_bytes(digits.as_bytes(), 16).expect("hexadecimal digits")
});

/// Rounds and secret of the inner key.
const ROUNDS: u32 = 256;
const BLOCK: usize = 16;

/// What the phone knows about a person: the kind of proof, and the proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// 0 password, 1 stored credential, 3 access token, 4 Facebook.
    pub auth_type: u32,
    pub auth_data: Vec<u8>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Login {{ auth_type: {}, auth_data: *** }}",
            self.auth_type
        )
    }
}

impl Login {
    /// What the official app hands over.
    pub fn stored(credential: &[u8]) -> Login {
        Login {
            auth_type: 1,
            auth_data: credential.to_vec(),
        }
    }

    pub fn password(password: &str) -> Login {
        Login {
            auth_type: 0,
            auth_data: password.as_bytes().to_vec(),
        }
    }
}

/// The two form fields that carry a login, base64.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub blob: String,
    pub client_key: String,
}

impl Parcel {
    /// The same with one bit of the sealed part turned: the check must fail.
    pub fn tampered(&self) -> Parcel {
        let mut bytes = BASE64.decode(&self.blob).expect("we encoded it");
        bytes[20] ^= 1;
        Parcel {
            blob: BASE64.encode(bytes),
            client_key: self.client_key.clone(),
        }
    }
}

/// Seals a login for the receiver with that public key and device id.
pub fn seal(receiver_key: &[u8], device_id: &str, user: &str, login: &Login) -> Parcel {
    seal_inner(receiver_key, inner(device_id, user, login).as_bytes())
}

/// The outer layer around any bytes, for receivers that trust a right MAC.
pub fn seal_inner(receiver_key: &[u8], inner: &[u8]) -> Parcel {
    let mut rng = rand::rng();
    let mut private = [0u8; 95];
    rng.fill_bytes(&mut private);
    let private = BigUint::from_bytes_be(&private);
    let public = BigUint::from(2u8).modpow(&private, &PRIME);
    let shared = BigUint::from_bytes_be(receiver_key).modpow(&private, &PRIME);

    let base = &Sha1::digest(shared.to_bytes_be())[..16];
    let mac_key = hmac(base, b"checksum");
    let cipher_key = &hmac(base, b"encryption")[..16];

    let mut iv = [0u8; 16];
    rng.fill_bytes(&mut iv);
    let mut sealed = inner.to_vec();
    ctr::Ctr128BE::<aes::Aes128>::new(GenericArray::from_slice(cipher_key), &iv.into())
        .apply_keystream(&mut sealed);
    let mac = hmac(&mac_key, &sealed);
    Parcel {
        blob: BASE64.encode([&iv[..], &sealed, &mac].concat()),
        client_key: BASE64.encode(public.to_bytes_be()),
    }
}

/// The inner layer: the record, chained and encrypted, as base64 text.
fn inner(device_id: &str, user: &str, login: &Login) -> String {
    let mut record = vec![0x49];
    bytes(&mut record, user.as_bytes());
    record.push(0x50);
    number(&mut record, login.auth_type);
    record.push(0x51);
    bytes(&mut record, &login.auth_data);
    record.resize(record.len().next_multiple_of(BLOCK), 0);

    // Each block takes in the one before it, as it already left the XOR.
    for at in BLOCK..record.len() {
        record[at] ^= record[at - BLOCK];
    }
    let cipher = Aes192::new(&inner_key(device_id, user).into());
    for block in record.chunks_exact_mut(BLOCK) {
        cipher.encrypt_block(GenericArray::from_mut_slice(block));
    }
    BASE64.encode(record)
}

fn inner_key(device_id: &str, user: &str) -> [u8; 24] {
    let secret = Sha1::digest(device_id);
    let mut long = [0u8; 20];
    pbkdf2::pbkdf2_hmac::<Sha1>(&secret, user.as_bytes(), ROUNDS, &mut long);
    let mut key = [0u8; 24];
    key[..20].copy_from_slice(&Sha1::digest(long));
    key[20..].copy_from_slice(&20u32.to_be_bytes());
    key
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 20] {
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn bytes(record: &mut Vec<u8>, data: &[u8]) {
    number(record, data.len() as u32);
    record.extend(data);
}

/// One byte, or two with the low seven bits first. Holds up to 32 767.
fn number(record: &mut Vec<u8>, value: u32) {
    if value < 0x80 {
        record.push(value as u8);
    } else {
        record.extend([(value & 0x7f) as u8 | 0x80, (value >> 7) as u8]);
    }
}

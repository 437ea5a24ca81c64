//! The access point's half of the key exchange, signed with the
//! simulation's own key.
//!
//! The key is fixed, so that a receiver's binary whose pinned key was swapped
//! once works with every simulation. It protects nothing.

use std::sync::OnceLock;

use num_bigint::BigUint;
use rand::RngCore;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, pkcs8::DecodePrivateKey, traits::PublicKeyParts};
use sha1::{Digest, Sha1};

const KEY: &str = include_str!("../test-key.pem");

/// Oakley group 1, 768 bits, as every client uses it.
const PRIME: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
                     020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
                     4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff";

/// A key pair for the exchange and the signature of its public half. Made
/// once per process: signing takes long in a debug build.
pub(super) struct Signed {
    private: BigUint,
    prime: BigUint,
    pub public: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Signed {
    pub fn get() -> &'static Self {
        static SIGNED: OnceLock<Signed> = OnceLock::new();
        SIGNED.get_or_init(Self::make)
    }

    fn make() -> Self {
        let prime = BigUint::parse_bytes(PRIME.as_bytes(), 16).expect("the prime is written above");
        let generator = BigUint::from(2_u8);
        // The hello has room for exactly 96 bytes: take a key without leading zeros.
        let (private, public) = loop {
            let mut bytes = [0; 95];
            rand::rng().fill_bytes(&mut bytes);
            let private = BigUint::from_bytes_be(&bytes);
            let public = generator.modpow(&private, &prime).to_bytes_be();
            if public.len() == 96 {
                break (private, public);
            }
        };
        let key = RsaPrivateKey::from_pkcs8_pem(KEY).expect("the key is part of the crate");
        let signature = key
            .sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(&public))
            .expect("a 2048-bit key can sign a hash");
        Self {
            private,
            prime,
            public,
            signature,
        }
    }

    pub fn shared_secret(&self, theirs: &[u8]) -> Vec<u8> {
        BigUint::from_bytes_be(theirs)
            .modpow(&self.private, &self.prime)
            .to_bytes_be()
    }
}

/// The public modulus of the simulation's key, as a receiver must pin it.
pub(crate) fn modulus() -> [u8; 256] {
    let key = RsaPrivateKey::from_pkcs8_pem(KEY).expect("the key is part of the crate");
    key.n()
        .to_bytes_be()
        .try_into()
        .expect("the key has 2048 bits")
}

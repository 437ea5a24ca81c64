//! The key exchange that opens a link.

use std::{future::pending, io, sync::Arc, time::Duration};

use hmac::{Hmac, Mac};
use librespot_protocol::keyexchange::{APResponseMessage, ClientHello, ClientResponsePlaintext};
use protobuf::{Message, MessageField};
use rand::RngCore;
use sha1::Sha1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{cipher::Half, signature::Signed};
use crate::{
    faults::{Place, Then},
    shared::Shared,
};

/// Hellos are a few hundred bytes.
const MAX_HELLO: u32 = 64 * 1024;

pub(super) struct Ciphers {
    pub from_client: Half,
    pub to_client: Half,
}

/// Agrees on keys with a client. `None` when a fault wanted it to fail.
pub(super) async fn exchange(
    shared: &Arc<Shared>,
    stream: &mut TcpStream,
) -> io::Result<Option<Ciphers>> {
    let mut said = vec![0; 2];
    stream.read_exact(&mut said).await?;
    if said != [0, 4] {
        return Err(io::Error::other(
            "this is not the hello of an access point link",
        ));
    }
    let hello: ClientHello = read(stream, &mut said, 6).await?;
    shared.record.add(Place::ApConnect, None, None, "hello");

    let signed = Signed::get();
    let mut signature = signed.signature.clone();
    let mut truncate = None;
    match shared.faults.take(Place::ApConnect, None) {
        None => {}
        Some(Then::Delay(time)) => tokio::time::sleep(time).await,
        Some(Then::Stall) => pending().await,
        Some(Then::BadSignature) => signature[0] ^= 1,
        Some(Then::Truncate(keep)) => truncate = Some(keep),
        Some(Then::Garbage) => {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await?;
            return Ok(None);
        }
        Some(
            Then::Drop | Then::Refuse | Then::Status(..) | Then::LoginError(_) | Then::Body(_),
        ) => {
            return Ok(None);
        }
    }

    let answer = challenge(signed, signature).write_to_bytes()?;
    let start = said.len();
    said.extend(
        u32::try_from(answer.len() + 4)
            .map_err(io::Error::other)?
            .to_be_bytes(),
    );
    said.extend(answer);
    let reply = &said[start..];
    if let Some(keep) = truncate {
        stream.write_all(&reply[..keep.min(reply.len())]).await?;
        return Ok(None);
    }
    stream.write_all(reply).await?;

    let theirs = hello.login_crypto_hello.diffie_hellman.gc();
    let keys = Keys::of(&signed.shared_secret(theirs), &said);
    let proof: ClientResponsePlaintext = read(stream, &mut Vec::new(), 4).await?;
    if proof.login_crypto_response.diffie_hellman.hmac() != keys.proof {
        shared.record.add(
            Place::ApConnect,
            None,
            None,
            "wrong proof of the shared key",
        );
        return Err(io::Error::other(
            "the client's proof of the shared key is wrong",
        ));
    }
    Ok(Some(Ciphers {
        from_client: Half::new(&keys.from_client),
        to_client: Half::new(&keys.to_client),
    }))
}

/// Reads a message that follows `before` bytes of framing, its own length
/// included, and keeps what was read: it goes into the keys.
async fn read<M: Message>(
    stream: &mut TcpStream,
    said: &mut Vec<u8>,
    before: u32,
) -> io::Result<M> {
    let size = tokio::time::timeout(Duration::from_secs(30), stream.read_u32()).await??;
    if size < before || size > MAX_HELLO {
        return Err(io::Error::other(format!("a hello of {size} bytes")));
    }
    let mut message = vec![0; (size - before) as usize];
    stream.read_exact(&mut message).await?;
    said.extend(size.to_be_bytes());
    said.extend(&message);
    Ok(M::parse_from_bytes(&message)?)
}

fn challenge(signed: &Signed, signature: Vec<u8>) -> APResponseMessage {
    let mut nonce = vec![0; 16];
    rand::rng().fill_bytes(&mut nonce);
    let mut answer = APResponseMessage::new();
    let challenge = answer.challenge.mut_or_insert_default();
    let exchange = challenge
        .login_crypto_challenge
        .mut_or_insert_default()
        .diffie_hellman
        .mut_or_insert_default();
    exchange.set_gs(signed.public.clone());
    exchange.set_server_signature_key(0);
    exchange.set_gs_signature(signature);
    // Empty, but clients insist that they are there.
    challenge.fingerprint_challenge = MessageField::some(Default::default());
    challenge.pow_challenge = MessageField::some(Default::default());
    challenge.crypto_challenge.mut_or_insert_default().shannon =
        MessageField::some(Default::default());
    challenge.set_server_nonce(nonce);
    answer
}

struct Keys {
    proof: Vec<u8>,
    from_client: Vec<u8>,
    to_client: Vec<u8>,
}

impl Keys {
    /// From the shared secret and all that was said so far, framing included.
    fn of(secret: &[u8], said: &[u8]) -> Self {
        let data: Vec<u8> = (1..=5_u8)
            .flat_map(|round| hmac(secret, &[said, &[round]]))
            .collect();
        Self {
            proof: hmac(&data[..0x14], &[said]),
            from_client: data[0x14..0x34].to_vec(),
            to_client: data[0x34..0x54].to_vec(),
        }
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

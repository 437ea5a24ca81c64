//! The access point: sign-in, product packet, keep-alive and audio keys, on
//! one encrypted link per receiver.

mod cipher;
mod hello;
mod link;
mod signature;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::shared::{Shared, lock};

pub(crate) use link::PING_PAUSE;
pub(crate) use signature::modulus;

/// Packets that may wait for a link that does not read.
const OUTBOX: usize = 64;

/// A packet: its command and its payload.
pub(crate) type Packet = (u8, Vec<u8>);

struct Open {
    user: String,
    device: String,
    packets: mpsc::Sender<Packet>,
    hang_up: CancellationToken,
    mute: CancellationToken,
}

/// The links that are signed in.
#[derive(Default)]
pub(crate) struct Links {
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
}

/// What a signed-in link is served with; it is open until this is dropped.
struct Registered<'a> {
    links: &'a Links,
    id: u64,
    packets: mpsc::Receiver<Packet>,
    hang_up: CancellationToken,
    mute: CancellationToken,
}

impl Links {
    fn register(&self, user: &str, device: &str) -> Registered<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, packets) = mpsc::channel(OUTBOX);
        let (hang_up, mute) = (CancellationToken::new(), CancellationToken::new());
        let open = Open {
            user: user.to_owned(),
            device: device.to_owned(),
            packets: sender,
            hang_up: hang_up.clone(),
            mute: mute.clone(),
        };
        lock(&self.open).insert(id, open);
        Registered {
            links: self,
            id,
            packets,
            hang_up,
            mute,
        }
    }

    /// Ends the links of this user, or of all. Returns how many.
    pub fn drop_of(&self, user: Option<&str>) -> usize {
        let open = lock(&self.open);
        let ended = open
            .values()
            .filter(|link| user.is_none_or(|user| user == link.user));
        ended.map(|link| link.hang_up.cancel()).count()
    }

    /// Makes the links there are half-open: nothing is read or written on
    /// them any more. Returns how many.
    pub fn mute_all(&self) -> usize {
        lock(&self.open)
            .values()
            .map(|link| link.mute.cancel())
            .count()
    }

    /// Sends a packet on the links of a user.
    pub fn send(&self, user: &str, packet: &Packet) {
        for link in lock(&self.open).values().filter(|link| link.user == user) {
            // A link that reads nothing loses it, as it would in the end.
            let _ = link.packets.try_send(packet.clone());
        }
    }

    /// The devices that are signed in, as (user, device id).
    pub fn devices(&self) -> Vec<(String, String)> {
        let open = lock(&self.open);
        open.values()
            .map(|link| (link.user.clone(), link.device.clone()))
            .collect()
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.links.open).remove(&self.id);
    }
}

/// Serves one connection from its first byte to its end.
pub(crate) async fn serve(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    let Some(ciphers) = hello::exchange(shared, &mut stream).await? else {
        return Ok(());
    };
    link::serve(shared, stream, ciphers).await
}

/// Makes ready what takes long, before the first receiver waits for it.
pub(crate) fn prepare() {
    signature::Signed::get();
}

/// An event that breaks off within the length of its first field.
pub(crate) fn cut_packet() -> Packet {
    (link::MERCURY_EVENT, vec![0])
}

/// The packet that tells a receiver what its account is worth.
pub(crate) fn product_packet(user: &crate::users::User) -> Packet {
    (link::PRODUCT_INFO, user.product_xml().into_bytes())
}

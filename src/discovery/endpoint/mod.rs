//! The zeroconf endpoint: `getInfo`, `addUser` and `resetUsers` over HTTP/1.1, one per speaker.
//!
//! Listens on the addresses it is given and on no other. Owns its sockets and connections, and
//! what strangers may cost; decides nothing about accounts: a login goes to the daemon, and the
//! phone gets its answer when the daemon has one.

mod answer;
mod connection;
pub(crate) mod form;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub use connection::{Limits, Shared};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::{Gate, Place};

/// Ports tried until one is free on every address.
const TRIES: usize = 8;
/// Between two tries to accept when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// How long the listeners may take to end. Their connections have had their farewell by then.
const CLOSING: Duration = Duration::from_millis(400);

/// An address that could not be listened on.
#[derive(Debug)]
pub struct Unbound {
    pub address: SocketAddr,
    pub source: io::Error,
}

/// A bound address. Dropping it ends its connections too: their address is gone, or we are.
struct Listening {
    task: JoinHandle<()>,
    stop: DropGuard,
}

/// The HTTP server of one speaker.
pub struct Endpoint {
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    /// The port of all listeners; 0 until the first one chose it.
    port: u16,
    listening: HashMap<IpAddr, Listening>,
}

impl Endpoint {
    pub fn new(shared: Shared, gate: Arc<Gate>) -> Self {
        let port = shared.identity.port;
        Self {
            shared: Arc::new(shared),
            gate,
            port,
            listening: HashMap::new(),
        }
    }

    pub fn identity(&self) -> &crate::discovery::Identity {
        &self.shared.identity
    }

    /// The port of every listener; 0 while there has been none.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn listens_on(&self, address: IpAddr) -> bool {
        self.listening.contains_key(&address)
    }

    /// Listens on exactly these addresses: new ones are bound, those that are gone are closed,
    /// and the others go on undisturbed. Says which could not be bound; ask again later.
    pub async fn listen_on(&mut self, addresses: &[IpAddr]) -> Vec<Unbound> {
        // A task that ended by itself (it does not, short of a panic) is started again.
        self.listening
            .retain(|address, held| addresses.contains(address) && !held.task.is_finished());
        // A free port of our own choosing is chosen again when nobody relies on it yet.
        let free_choice = self.shared.identity.port == 0 && self.listening.is_empty();
        for last in (0..TRIES).map(|round| round + 1 == TRIES) {
            let unbound = self.bind_missing(addresses).await;
            let taken = unbound
                .iter()
                .any(|unbound| unbound.source.kind() == io::ErrorKind::AddrInUse);
            if !(free_choice && taken) || last {
                return unbound;
            }
            self.listening.clear();
            self.port = 0;
        }
        Vec::new()
    }

    async fn bind_missing(&mut self, addresses: &[IpAddr]) -> Vec<Unbound> {
        let mut unbound = Vec::new();
        for ip in addresses {
            if self.listening.contains_key(ip) {
                continue;
            }
            let address = SocketAddr::new(*ip, self.port);
            let bound = async {
                let listener = TcpListener::bind(address).await?;
                Ok((listener.local_addr()?.port(), listener))
            };
            match bound.await {
                Ok((port, listener)) => {
                    self.port = port;
                    self.listening.insert(*ip, self.listen(listener));
                }
                Err(source) => unbound.push(Unbound { address, source }),
            }
        }
        unbound
    }

    fn listen(&self, listener: TcpListener) -> Listening {
        let stop = CancellationToken::new();
        let accepting = accept(
            listener,
            self.shared.clone(),
            self.gate.clone(),
            stop.clone(),
        );
        Listening {
            task: tokio::spawn(accepting),
            stop: stop.drop_guard(),
        }
    }

    /// Ends every listener and its connections now; the next [`Endpoint::listen_on`] opens them anew,
    /// at the same port.
    pub async fn hang_up(&mut self) {
        for (_, held) in self.listening.drain() {
            held.task.abort();
            // The port must be free when it is bound again.
            let _ = held.task.await;
        }
    }

    /// Closes every listener and connection, within half a second.
    pub async fn close(mut self) {
        let mut tasks = JoinSet::new();
        for (_, Listening { task, stop }) in self.listening.drain() {
            drop(stop);
            tasks.spawn(task);
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(CLOSING, ended).await.is_err() {
            tracing::warn!("the zeroconf endpoint did not close in time; leaving it");
        }
    }
}

/// Takes connections until `stop`, then waits for those it has.
async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = gate.enter(peer.ip()) {
                    connections.spawn(admit(stream, place, shared.clone(), stop.clone()));
                    // Who left for this one closes his connection before the next is taken.
                    tokio::task::yield_now().await;
                }
            }
            // The stranger left before it was let in, or we are out of file descriptors. The
            // latter would come back at once, for as long as it lasts.
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn admit(stream: TcpStream, place: Arc<Place>, shared: Arc<Shared>, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = place.is_needed() => {}
        () = connection::serve(stream, &place, shared, stop) => {}
    }
}

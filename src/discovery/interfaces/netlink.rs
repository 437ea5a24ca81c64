//! Asking the kernel, by netlink: what interfaces there are, and when they change.
//!
//! Owns the sockets. What is said on them is read in [`super::kernel`].

use std::{io, time::Duration};

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::SocketAddrNetlink,
    },
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    Interface,
    kernel::{GET_ADDRESS, GET_LINK, GROUPS, Told, messages, request},
};

/// A change seldom comes alone: a link comes up, then its addresses, one message each.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look where the kernel does not tell.
const POLL: Duration = Duration::from_secs(5);

/// For all the kernel has to tell. It answers at once, or something is very wrong.
const LIMIT: Duration = Duration::from_secs(5);
/// What the kernel puts into one piece at most.
const PIECE: usize = 32 * 1024;
/// Of a change only the beginning is looked at.
const CHANGE: usize = 4 * 1024;
/// How often a list is asked for again that changed while it was told.
const AGAIN: u32 = 3;

/// Every interface there is now, in the kernel's order.
///
/// # Errors
/// When the kernel refuses to tell: no netlink socket is allowed, or none is left.
pub async fn list() -> io::Result<Vec<Interface>> {
    let asked = async {
        let mut left = AGAIN;
        loop {
            let (interfaces, mixed) = look().await?;
            if !mixed || left == 0 {
                return Ok(interfaces);
            }
            left -= 1;
        }
    };
    timeout(LIMIT, asked)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Once; and whether something changed meanwhile.
async fn look() -> io::Result<(Vec<Interface>, bool)> {
    let socket = Socket::open(0)?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut changed = false;
    for what in [GET_LINK, GET_ADDRESS] {
        changed |= socket
            .ask(what, |told| match told {
                Told::Link(interface) => interfaces.push(interface),
                Told::Address(index, address) => {
                    let mut known = interfaces.iter_mut();
                    if let Some(owner) = known.find(|interface| interface.index == index) {
                        owner.addresses.push(address);
                    }
                }
                _ => {}
            })
            .await?;
    }
    Ok((interfaces, changed))
}

struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    /// One that hears of what these groups are told.
    fn open(groups: u32) -> io::Result<Self> {
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            // Routing is protocol 0, the one that is meant by none.
            None,
        )?;
        net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        // The new way is `unsafe`: who registers must not close what is registered. An owned
        // descriptor keeps that promise by itself.
        #[allow(deprecated)]
        let socket = AsyncFd::new(socket)?;
        Ok(Self(socket))
    }

    /// The next piece, as far as it fits, and its length.
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            let received = ready.try_io(|socket| {
                let received = net::recv(socket.get_ref(), &mut *buffer, RecvFlags::empty());
                received.map(|(length, _)| length).map_err(io::Error::from)
            });
            if let Ok(received) = received {
                return received;
            }
        }
    }

    /// Asks for all links or all addresses. True when something changed while they were told.
    async fn ask(&self, what: u16, mut hear: impl FnMut(Told)) -> io::Result<bool> {
        net::send(self.0.get_ref(), &request(what), SendFlags::empty())?;
        let mut buffer = vec![0; PIECE];
        loop {
            let length = self.receive(&mut buffer).await?;
            for message in messages(&buffer[..length]) {
                match message.told() {
                    Told::Done { mixed } => return Ok(mixed),
                    Told::Refused(why) => return Err(why),
                    told => hear(told),
                }
            }
        }
    }

    /// Waits for a change that is somebody's business. Cancel safe.
    async fn change(&self) -> io::Result<Changed> {
        loop {
            // Not held while nothing happens, which is nearly always.
            self.0.readable().await?.retain_ready();
            let mut buffer = vec![0; CHANGE];
            let length = match self.receive(&mut buffer).await {
                // So much has changed that the kernel could not keep it for us.
                Err(why) if why.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    return Ok(Changed { way_out: true });
                }
                received => received?,
            };
            let (mut told, mut way_out) = (false, false);
            for message in messages(&buffer[..length]) {
                told |= message.is_of_interfaces();
                way_out |= message.is_of_the_way_out();
            }
            if told || way_out {
                return Ok(Changed { way_out });
            }
        }
    }
}

/// What has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// The way out of this network has come, gone, or is another one. (Not told where the kernel does
    /// not.)
    pub way_out: bool,
}

/// Tells when interfaces, addresses or the default route changed. Sleeps until the kernel says so; where the kernel
/// will not, it says so itself every five seconds.
pub struct Watch {
    socket: Option<Socket>,
    /// When the burst that has begun is over, or when to look next without being told. Kept here,
    /// so that a caller may drop [`Watch::changed`] half-way and call it again.
    due: Option<Instant>,
    /// What the burst is about so far.
    burst: Changed,
}

impl Watch {
    /// Subscribes at once, so that no change after this call is missed.
    pub fn start() -> Self {
        Self {
            socket: subscribe(),
            due: None,
            burst: Changed::default(),
        }
    }

    /// Waits for the next change, and for the burst it belongs to. Cancel safe.
    pub async fn changed(&mut self) -> Changed {
        loop {
            let Some(socket) = &self.socket else {
                let due = *self.due.get_or_insert_with(|| Instant::now() + POLL);
                sleep_until(due).await;
                self.due = None;
                self.socket = subscribe();
                return std::mem::take(&mut self.burst);
            };
            let message = match self.due {
                None => socket.change().await,
                Some(due) => match timeout_at(due, socket.change()).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.due = None;
                        return std::mem::take(&mut self.burst);
                    }
                },
            };
            match message {
                Ok(change) => {
                    self.burst.way_out |= change.way_out;
                    self.due.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                // The subscription broke: what is missed meanwhile is seen at the next look.
                Err(_) => self.socket = None,
            }
        }
    }
}

fn subscribe() -> Option<Socket> {
    Socket::open(GROUPS)
        .inspect_err(|error| tracing::debug!(%error, "no netlink subscription; polling"))
        .ok()
}

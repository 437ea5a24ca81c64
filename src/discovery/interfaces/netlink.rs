//! Asking the kernel, by netlink: what interfaces there are, and when they change.

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt};
use rtnetlink::{
    MulticastGroup,
    packet_route::{
        address::{AddressAttribute, AddressFlags, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    },
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until, timeout_at},
};

use super::{Address, Interface, Kind};

/// A change seldom comes alone: a link comes up, then its addresses, one message each.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look where the kernel does not tell.
const POLL: Duration = Duration::from_secs(5);

/// A task that ends with its owner.
struct Owned(AbortHandle);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Every interface there is now, in the kernel's order.
///
/// # Errors
/// When the kernel refuses to tell: no netlink socket is allowed, or none is left.
pub async fn list() -> io::Result<Vec<Interface>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let _connection = Owned(tokio::spawn(connection).abort_handle());
    let links: Vec<LinkMessage> = handle
        .link()
        .get()
        .execute()
        .try_collect()
        .await
        .map_err(io::Error::other)?;
    let addresses: Vec<AddressMessage> = handle
        .address()
        .get()
        .execute()
        .try_collect()
        .await
        .map_err(io::Error::other)?;

    let mut interfaces: Vec<Interface> = links.iter().filter_map(interface).collect();
    for message in &addresses {
        let owner = interfaces
            .iter_mut()
            .find(|interface| interface.index == message.header.index);
        if let (Some(owner), Some(address)) = (owner, address(message)) {
            owner.addresses.push(address);
        }
    }
    Ok(interfaces)
}

fn interface(link: &LinkMessage) -> Option<Interface> {
    let flags = link.header.flags;
    let mut name = None;
    let mut port_of = None;
    let mut kind = None;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Controller(index) => port_of = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(Interface {
        name: name?,
        index: link.header.index,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        multicast: flags.contains(LinkFlags::Multicast),
        kind: classify(flags, kind),
        port_of,
        addresses: Vec::new(),
    })
}

fn classify(flags: LinkFlags, kind: Option<&InfoKind>) -> Kind {
    if flags.contains(LinkFlags::Loopback) {
        return Kind::Loopback;
    }
    match kind {
        Some(InfoKind::Bridge) => Kind::Bridge,
        Some(InfoKind::Veth | InfoKind::Netkit | InfoKind::Vxcan) => Kind::Veth,
        Some(InfoKind::Dummy | InfoKind::Ifb | InfoKind::Nlmon) => Kind::Dummy,
        Some(
            kind @ (InfoKind::Tun
            | InfoKind::Wireguard
            | InfoKind::Vxlan
            | InfoKind::Geneve
            | InfoKind::GreTap
            | InfoKind::GreTap6
            | InfoKind::GreTun
            | InfoKind::GreTun6
            | InfoKind::IpIp
            | InfoKind::Ip6Tnl
            | InfoKind::SitTun
            | InfoKind::Vti
            | InfoKind::Xfrm
            | InfoKind::Gtp
            | InfoKind::Vrf),
        ) => Kind::Tunnel(kind.to_string()),
        _ if flags.contains(LinkFlags::Pointopoint) => Kind::PointToPoint,
        _ => Kind::Card,
    }
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut peer = None;
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => peer = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        // On a point-to-point link "address" is the other end and "local" ours; elsewhere they
        // are the same, and IPv6 sends the first only.
        ip: local.or(peer)?,
        ready: !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>;

/// Tells when interfaces or addresses changed. Sleeps until the kernel says so; where the kernel
/// will not, it says so itself every five seconds.
pub struct Watch {
    /// Unbounded by the netlink crate's choice. It is drained whenever something is in it.
    messages: Option<(Messages, Owned)>,
    /// When the burst that has begun is over, or when to look next without being told. Kept here,
    /// so that a caller may drop [`Watch::changed`] half-way and call it again.
    due: Option<Instant>,
}

impl Watch {
    /// Subscribes at once, so that no change after this call is missed.
    pub fn start() -> Self {
        Self {
            messages: subscribe(),
            due: None,
        }
    }

    /// Waits for the next change, and for the burst it belongs to. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            let Some((messages, _)) = &mut self.messages else {
                let due = *self.due.get_or_insert_with(|| Instant::now() + POLL);
                sleep_until(due).await;
                self.due = None;
                self.messages = subscribe();
                return;
            };
            let message = match self.due {
                None => messages.next().await,
                Some(due) => match timeout_at(due, messages.next()).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.due = None;
                        return;
                    }
                },
            };
            match message {
                Some(()) => {
                    self.due.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                // The subscription broke: what is missed meanwhile is seen at the next look.
                None => self.messages = None,
            }
        }
    }
}

fn subscribe() -> Option<(Messages, Owned)> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ];
    let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)
        .inspect_err(|error| tracing::debug!(%error, "no netlink subscription; polling"))
        .ok()?;
    let owned = Owned(tokio::spawn(connection).abort_handle());
    Some((Box::pin(messages.map(|_| ())), owned))
}

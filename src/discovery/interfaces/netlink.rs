//! Asking the kernel, by netlink: what interfaces there are, and when they change.

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
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

/// What a message of the kernel is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// A link or an address.
    Interfaces,
    /// The way out.
    DefaultRoute,
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = About> + Send>>;

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
    /// Unbounded by the netlink crate's choice. It is drained whenever something is in it.
    messages: Option<(Messages, Owned)>,
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
            messages: subscribe(),
            due: None,
            burst: Changed::default(),
        }
    }

    /// Waits for the next change, and for the burst it belongs to. Cancel safe.
    pub async fn changed(&mut self) -> Changed {
        loop {
            let Some((messages, _)) = &mut self.messages else {
                let due = *self.due.get_or_insert_with(|| Instant::now() + POLL);
                sleep_until(due).await;
                self.due = None;
                self.messages = subscribe();
                return std::mem::take(&mut self.burst);
            };
            let message = match self.due {
                None => messages.next().await,
                Some(due) => match timeout_at(due, messages.next()).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.due = None;
                        return std::mem::take(&mut self.burst);
                    }
                },
            };
            match message {
                Some(about) => {
                    self.burst.way_out |= about == About::DefaultRoute;
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
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
    ];
    let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)
        .inspect_err(|error| tracing::debug!(%error, "no netlink subscription; polling"))
        .ok()?;
    let owned = Owned(tokio::spawn(connection).abort_handle());
    let told = messages.filter_map(|(message, _)| std::future::ready(about(&message)));
    Some((Box::pin(told), owned))
}

/// `None` for what is nobody's business: other routes change by the dozen on a busy machine.
fn about(message: &NetlinkMessage<RouteNetlinkMessage>) -> Option<About> {
    match &message.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
        ) => (route.header.destination_prefix_length == 0).then_some(About::DefaultRoute),
        NetlinkPayload::InnerMessage(_) => Some(About::Interfaces),
        _ => None,
    }
}

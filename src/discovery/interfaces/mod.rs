//! The machine's network interfaces: which there are, which to use, and when that changes.
//!
//! [`list`] and [`Watch`] ask the kernel; [`select`] decides and is pure. Nothing here opens a
//! socket towards the network.

mod kernel;
mod netlink;
mod select;

use std::net::IpAddr;

pub use netlink::{Watch, list};
pub use select::{RENAME, Selection, Skipped, Wanted, select, unfound};

/// One interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    /// Switched on.
    pub up: bool,
    /// Has a carrier: a cable, an access point.
    pub running: bool,
    pub multicast: bool,
    pub kind: Kind,
    /// Index of the bridge or bond this interface is a port of.
    pub port_of: Option<u32>,
    pub addresses: Vec<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub ip: IpAddr,
    /// False while the kernel still asks around whether somebody else has it (IPv6), or when somebody has.
    pub ready: bool,
}

/// What an interface is made of, as far as it matters for reaching phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A network card, or what behaves like one (VLAN, bond, macvlan).
    Card,
    Loopback,
    Bridge,
    Veth,
    Dummy,
    PointToPoint,
    /// A tunnel, VPN or tap, by the kernel's word for it.
    Tunnel(String),
}

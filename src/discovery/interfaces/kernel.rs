//! The kernel's own words about interfaces: netlink messages, as far as they matter here.
//!
//! Pure: bytes in, values out. (`linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`; numbers
//! are in the machine's own order of bytes.) What is too short or not known is passed over.

use std::net::IpAddr;

use super::{Address, Interface, Kind};

/// Of a message: length, kind, flags, number, sender.
const HEADER: usize = 16;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
pub(super) const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
pub(super) const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DEL_ROUTE: u16 = 25;

/// The groups that are told of links, addresses and routes, of IPv4 and IPv6 each.
pub(super) const GROUPS: u32 = 0x1 | 0x10 | 0x100 | 0x40 | 0x400;

const REQUEST: u16 = 0x1;
/// All there are, not one.
const DUMP: u16 = 0x300;
/// Something changed while the kernel was telling.
const INTERRUPTED: u16 = 0x10;

/// Of a link.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const POINT_TO_POINT: u32 = 0x10;
const RUNNING: u32 = 0x40;
const MULTICAST: u32 = 0x1000;
/// Of an address that is not to be used, or not yet.
const DAD_FAILED: u32 = 0x08;
const TENTATIVE: u32 = 0x40;

/// Asks for all links or all addresses.
pub(super) fn request(what: u16) -> Vec<u8> {
    // What follows the header says "of every family"; the longer of both forms suits both.
    const BODY: usize = 16;
    let mut bytes = Vec::with_capacity(HEADER + BODY);
    bytes.extend(((HEADER + BODY) as u32).to_ne_bytes());
    bytes.extend(what.to_ne_bytes());
    bytes.extend((REQUEST | DUMP).to_ne_bytes());
    bytes.resize(HEADER + BODY, 0);
    bytes
}

/// One message of several that came in one piece.
pub(super) struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

/// The messages in what was received. One that was cut off is given as far as it came.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = u32_at(bytes, 0)? as usize;
        let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        let end = len.max(HEADER).min(bytes.len());
        let body = bytes.get(HEADER..end)?;
        bytes = bytes.get(padded(end)..).unwrap_or_default();
        Some(Message { kind, flags, body })
    })
}

/// What a message of an answer says.
pub(super) enum Told {
    Link(Interface),
    /// With the index of its interface.
    Address(u32, Address),
    /// All has been told; it is a mixture of before and after when the flag is set.
    Done {
        mixed: bool,
    },
    Refused(std::io::Error),
    Nothing,
}

impl Message<'_> {
    pub fn told(&self) -> Told {
        let mixed = self.flags & INTERRUPTED != 0;
        let told = match self.kind {
            NEW_LINK => self.link().map(Told::Link),
            NEW_ADDRESS => self.address(),
            DONE => Some(Told::Done { mixed }),
            ERROR => i32_at(self.body, 0)
                .map(|code| Told::Refused(std::io::Error::from_raw_os_error(-code))),
            _ => None,
        };
        told.unwrap_or(Told::Nothing)
    }

    /// Whether it was told of a link or an address.
    pub fn is_of_interfaces(&self) -> bool {
        matches!(self.kind, NEW_LINK | DEL_LINK | NEW_ADDRESS | DEL_ADDRESS)
    }

    /// Whether it was told of a way out. Other routes change by the dozen on a busy machine.
    pub fn is_of_the_way_out(&self) -> bool {
        // The second byte of a route is the length of its destination.
        matches!(self.kind, NEW_ROUTE | DEL_ROUTE) && self.body.get(1) == Some(&0)
    }

    fn link(&self) -> Option<Interface> {
        const NAME: u16 = 3;
        const PORT_OF: u16 = 10;
        const INFO: u16 = 18;
        const INFO_KIND: u16 = 1;
        let (index, flags) = (u32_at(self.body, 4)?, u32_at(self.body, 8)?);
        let (mut name, mut port_of, mut kind) = (None, None, None);
        for (what, value) in attributes(self.body.get(16..)?) {
            match what {
                NAME => name = text(value),
                PORT_OF => port_of = u32_at(value, 0),
                INFO => {
                    let mut infos = attributes(value);
                    kind = infos.find_map(|(what, value)| (what == INFO_KIND).then_some(value));
                }
                _ => {}
            }
        }
        Some(Interface {
            name: name?,
            index,
            up: flags & UP != 0,
            running: flags & RUNNING != 0,
            multicast: flags & MULTICAST != 0,
            kind: classify(flags, kind.and_then(text).as_deref()),
            port_of,
            addresses: Vec::new(),
        })
    }

    fn address(&self) -> Option<Told> {
        const ADDRESS: u16 = 1;
        const LOCAL: u16 = 2;
        const FLAGS: u16 = 8;
        let mut flags = u32::from(*self.body.get(2)?);
        let index = u32_at(self.body, 4)?;
        let (mut local, mut peer) = (None, None);
        for (what, value) in attributes(self.body.get(8..)?) {
            match what {
                LOCAL => local = ip(value),
                ADDRESS => peer = ip(value),
                FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
                _ => {}
            }
        }
        let address = Address {
            // On a point-to-point link "address" is the other end and "local" ours; elsewhere they
            // are the same, and IPv6 sends the first only.
            ip: local.or(peer)?,
            ready: flags & (TENTATIVE | DAD_FAILED) == 0,
        };
        Some(Told::Address(index, address))
    }
}

fn classify(flags: u32, kind: Option<&str>) -> Kind {
    if flags & LOOPBACK != 0 {
        return Kind::Loopback;
    }
    match kind {
        Some("bridge") => Kind::Bridge,
        Some("veth" | "netkit" | "vxcan") => Kind::Veth,
        Some("dummy" | "ifb" | "nlmon") => Kind::Dummy,
        Some(
            kind @ ("tun" | "wireguard" | "vxlan" | "geneve" | "gretap" | "ip6gretap" | "gre"
            | "ip6gre" | "ipip" | "ip6tnl" | "sit" | "vti" | "vti6" | "xfrm" | "gtp"
            | "vrf"),
        ) => Kind::Tunnel(kind.to_owned()),
        _ if flags & POINT_TO_POINT != 0 => Kind::PointToPoint,
        _ => Kind::Card,
    }
}

/// Pairs of a number and a value, one after the other.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// The upper two bits say how the value is written.
    const NUMBER: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let what = u16_at(bytes, 2)? & NUMBER;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(padded(len)..).unwrap_or_default();
        Some((what, value))
    })
}

/// Everything begins at a multiple of four.
fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// It ends with a zero.
fn text(value: &[u8]) -> Option<String> {
    let text = value.split(|byte| *byte == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    u32_at(bytes, at).map(u32::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(what: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(what.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(padded(bytes.len()), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        bytes
    }

    fn link(flags: u32, kind: &str) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(7u32.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend([0; 4]);
        body.extend(attribute(3, b"net0\0"));
        body.extend(attribute(10, &3u32.to_ne_bytes()));
        let info = attribute(1, format!("{kind}\0").as_bytes());
        body.extend(attribute(0x8000 | 18, &info));
        message(NEW_LINK, &body)
    }

    #[test]
    fn links_and_addresses_are_read_from_one_piece() {
        let mut bytes = link(UP | RUNNING | MULTICAST, "bridge");
        let mut body = vec![2, 24, 0x80, 0];
        body.extend(7u32.to_ne_bytes());
        body.extend(attribute(1, &[10, 0, 0, 2]));
        body.extend(attribute(2, &[10, 0, 0, 1]));
        body.extend(attribute(8, &TENTATIVE.to_ne_bytes()));
        bytes.extend(message(NEW_ADDRESS, &body));
        bytes.extend(message(DONE, &[0; 4]));
        let told: Vec<_> = messages(&bytes).map(|message| message.told()).collect();
        let [
            Told::Link(link),
            Told::Address(7, address),
            Told::Done { mixed: false },
        ] = &told[..]
        else {
            panic!("{} messages", told.len());
        };
        assert_eq!((link.name.as_str(), link.index), ("net0", 7));
        assert!(link.up && link.running && link.multicast);
        assert_eq!((&link.kind, link.port_of), (&Kind::Bridge, Some(3)));
        assert_eq!(address.ip, IpAddr::from([10, 0, 0, 1]));
        assert!(!address.ready);
    }

    #[test]
    fn what_an_interface_is_made_of_is_told_apart() {
        for (flags, kind, meant) in [
            (LOOPBACK, "", Kind::Loopback),
            (0, "veth", Kind::Veth),
            (0, "dummy", Kind::Dummy),
            (
                POINT_TO_POINT,
                "wireguard",
                Kind::Tunnel("wireguard".into()),
            ),
            (POINT_TO_POINT, "", Kind::PointToPoint),
            (0, "vlan", Kind::Card),
        ] {
            let bytes = link(flags, kind);
            let Some(Told::Link(link)) = messages(&bytes).next().map(|message| message.told())
            else {
                panic!("{kind}");
            };
            assert_eq!(link.kind, meant);
        }
    }

    #[test]
    fn only_the_way_out_counts_among_routes() {
        let about = |kind, body: &[u8]| {
            let bytes = message(kind, body);
            let message = messages(&bytes).next().expect("one");
            (message.is_of_interfaces(), message.is_of_the_way_out())
        };
        assert_eq!(about(NEW_ROUTE, &[2, 0, 0, 0]), (false, true));
        assert_eq!(about(DEL_ROUTE, &[2, 24, 0, 0]), (false, false));
        assert_eq!(about(DEL_LINK, &[0; 16]), (true, false));
        assert_eq!(about(DONE, &[0; 4]), (false, false));
    }

    #[test]
    fn whatever_comes_is_survived_and_comes_to_an_end() {
        let whole = link(UP, "bridge");
        for end in 0..whole.len() {
            for message in messages(&whole[..end]) {
                message.told();
            }
        }
        for at in 0..whole.len() {
            for wrong in [0, 1, 3, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                let told: Vec<_> = messages(&bytes).map(|message| message.told()).collect();
                assert!(told.len() <= bytes.len() / HEADER);
            }
        }
    }
}

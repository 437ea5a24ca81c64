//! Which interfaces to use, and why not the others.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Interface, Kind};
use crate::config::Network;

/// An interface to announce and listen on, with the addresses to do it with. Never without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub index: u32,
    /// IPv4 first.
    pub addresses: Vec<IpAddr>,
}

/// An interface that is left alone, and why, in words that follow "skipped:".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub name: String,
    pub reason: String,
    /// An inner end of a container or bridge. These come and go with every container.
    pub minor: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub wanted: Vec<Wanted>,
    pub skipped: Vec<Skipped>,
}

impl Selection {
    /// Every address of every wanted interface.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let all = self.wanted.iter().flat_map(|wanted| &wanted.addresses);
        all.copied().collect()
    }
}

/// The entries of `network.allow` that no interface goes by, in words that end with those that there
/// are; `None` where each is somebody's. Networks are left out: an address comes and goes.
pub fn unfound(selection: &Selection, network: &Network) -> Option<String> {
    let wanted = selection.wanted.iter().map(|one| one.name.as_str());
    let skipped = selection.skipped.iter().map(|one| one.name.as_str());
    let there: Vec<&str> = wanted.chain(skipped).collect();
    let allow = network.allow.iter().map(|text| Pattern::of(text));
    let unfound: Vec<String> = allow
        .filter(|one| matches!(one, Pattern::Glob(_)))
        .filter(|one| !there.iter().any(|name| one.names(name)))
        .map(|one| one.to_string())
        .collect();
    (!unfound.is_empty()).then(|| {
        format!(
            "there is no interface {}; there is {}",
            unfound.join(", "),
            match there.is_empty() {
                true => "none at all".to_owned(),
                false => there.join(", "),
            }
        )
    })
}

/// What to do about that.
pub const RENAME: &str = "name one that there is in network.allow (or behind siskin run --interface), or plug \
                          that one in";

/// Sorts every interface into wanted or skipped. `deny` wins over `allow`; an interface that
/// `allow` matches is used whatever it is made of, as long as it is up.
pub fn select(interfaces: &[Interface], network: &Network) -> Selection {
    let mut selection = Selection::default();
    for interface in interfaces {
        match judge(interface, interfaces, network) {
            Ok(addresses) => selection.wanted.push(Wanted {
                name: interface.name.clone(),
                index: interface.index,
                addresses,
            }),
            Err(reason) => selection.skipped.push(Skipped {
                name: interface.name.clone(),
                reason,
                minor: interface.kind == Kind::Veth || interface.port_of.is_some(),
            }),
        }
    }
    selection
}

fn judge(
    interface: &Interface,
    all: &[Interface],
    network: &Network,
) -> Result<Vec<IpAddr>, String> {
    let allow: Vec<Pattern> = network.allow.iter().map(|text| Pattern::of(text)).collect();
    let deny: Vec<Pattern> = network.deny.iter().map(|text| Pattern::of(text)).collect();

    if let Some(by) = deny.iter().find(|pattern| pattern.names(&interface.name)) {
        return Err(format!("network.deny names it ({by})"));
    }
    let named = allow.iter().any(|pattern| pattern.names(&interface.name));
    let by_address = |ip: &IpAddr| allow.iter().any(|pattern| pattern.holds(*ip));
    let allowed = named || interface.addresses.iter().any(|held| by_address(&held.ip));
    if !allow.is_empty() && !allowed {
        return Err("network.allow does not name it".into());
    }
    // What it is comes before how it is: a container bridge gains and loses its carrier all day.
    if !allowed && let Some(reason) = unfit(interface, all) {
        return Err(reason);
    }
    if !interface.up {
        return Err("it is down".into());
    }
    if !interface.running {
        return Err("it is not connected (no carrier)".into());
    }

    let usable = usable(interface, network);
    if usable.is_empty() {
        let family = if network.ipv6 { "IP" } else { "IPv4" };
        return Err(format!("it has no {family} address"));
    }
    let kept: Vec<IpAddr> = usable
        .into_iter()
        .filter(|ip| allow.is_empty() || named || by_address(ip))
        .filter(|ip| !deny.iter().any(|pattern| pattern.holds(*ip)))
        .collect();
    if kept.is_empty() {
        return Err("network.deny and network.allow leave it no address".into());
    }
    Ok(kept)
}

/// The addresses that a phone could use, IPv4 first.
fn usable(interface: &Interface, network: &Network) -> Vec<IpAddr> {
    let ready = interface.addresses.iter().filter(|address| address.ready);
    let mut usable: Vec<IpAddr> = ready
        .map(|address| address.ip)
        .filter(|ip| match ip {
            IpAddr::V4(_) => true,
            // A link-local address means nothing without the name of the asker's own interface,
            // which neither an address record nor a URL can carry to a phone.
            IpAddr::V6(v6) => network.ipv6 && !v6.is_unicast_link_local(),
        })
        .collect();
    usable.sort_by_key(IpAddr::is_ipv6);
    usable
}

/// Why an interface is no way to a phone, unless `network.allow` says that it is.
fn unfit(interface: &Interface, all: &[Interface]) -> Option<String> {
    let port_of = interface
        .port_of
        .and_then(|index| all.iter().find(|other| other.index == index));
    if let Some(owner) = port_of {
        return Some(format!("it is a port of {}", owner.name));
    }
    match &interface.kind {
        Kind::Loopback => Some("it reaches this machine only (loopback)".into()),
        // A bridge that a network card is plugged into is the way to the local network, and holds
        // the machine's own address: br0 of a home server, vmbr0 of Proxmox. One without is an
        // inner network of containers or virtual machines: docker0, br-…, virbr0, lxcbr0.
        Kind::Bridge if has_card(interface, all) => None,
        Kind::Bridge => Some("it is a bridge for containers or virtual machines".into()),
        // Seen from inside a container, its network card is a veth as well: the name tells, or that
        // there is nothing else.
        Kind::Veth if looks_like_a_card(&interface.name) || is_in_a_container(all) => None,
        Kind::Veth => Some("it leads into a container (veth)".into()),
        Kind::Dummy => Some("it leads nowhere (dummy)".into()),
        Kind::Tunnel(kind) => Some(format!("it is a tunnel or VPN ({kind})")),
        Kind::PointToPoint => Some("it is a point-to-point link".into()),
        Kind::Card if !interface.multicast => Some("it cannot multicast".into()),
        Kind::Card => None,
    }
}

fn has_card(bridge: &Interface, all: &[Interface]) -> bool {
    all.iter()
        .any(|port| port.port_of == Some(bridge.index) && port.kind == Kind::Card)
}

/// A machine that has containers has a card, if only one without a cable, or a bridge that leads
/// to them.
fn is_in_a_container(all: &[Interface]) -> bool {
    let mut kinds = all.iter().map(|interface| &interface.kind);
    !kinds.any(|kind| matches!(kind, Kind::Card | Kind::Bridge))
}

fn looks_like_a_card(name: &str) -> bool {
    ["eth", "en", "wl", "host"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// One entry of `network.allow` or `network.deny`. Every text is one; configuration has checked more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Net(IpNet),
    Glob(String),
}

impl Pattern {
    fn of(text: &str) -> Self {
        let net = text.parse::<IpNet>();
        let net = net.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map_or_else(|_| Self::Glob(text.to_owned()), Self::Net)
    }

    fn names(&self, name: &str) -> bool {
        matches!(self, Self::Glob(glob) if matches_glob(glob.as_bytes(), name.as_bytes()))
    }

    fn holds(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&ip))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Net(net) => net.fmt(out),
            Self::Glob(glob) => out.write_str(glob),
        }
    }
}

/// `*` stands for any run of characters, `?` for one. Goes back to the last star only, so that a
/// pattern of many stars costs no more than length times length.
fn matches_glob(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::{super::Address, *};

    #[test]
    fn a_name_that_no_interface_has_is_told_with_those_that_there_are() {
        let all = [
            interface("lo", Kind::Loopback, &["127.0.0.1"]),
            interface("eth0", Kind::Card, &["192.168.1.4"]),
        ];
        let told = |allow: &[&str]| {
            let allow = allow.iter().map(|text| (*text).to_owned()).collect();
            let network = Network {
                allow,
                ..Network::default()
            };
            unfound(&select(&all, &network), &network)
        };
        let words = told(&["eth7", "wl*"]).expect("neither is there");
        assert_eq!(words, "there is no interface eth7, wl*; there is lo, eth0");
        assert_eq!(told(&["eth*"]), None);
        assert_eq!(told(&["10.0.0.0/8"]), None, "an address may come");
        assert_eq!(told(&[]), None);
    }

    fn interface(name: &str, kind: Kind, addresses: &[&str]) -> Interface {
        let address = |text: &&str| Address {
            ip: text.parse().expect("an address"),
            ready: true,
        };
        Interface {
            name: name.into(),
            index: name.bytes().map(u32::from).sum(),
            up: true,
            running: true,
            multicast: true,
            kind,
            port_of: None,
            addresses: addresses.iter().map(address).collect(),
        }
    }

    fn network(allow: &[&str], deny: &[&str]) -> Network {
        Network {
            allow: allow.iter().map(ToString::to_string).collect(),
            deny: deny.iter().map(ToString::to_string).collect(),
            ..Network::default()
        }
    }

    fn names(selection: &Selection) -> Vec<&str> {
        selection.wanted.iter().map(|w| w.name.as_str()).collect()
    }

    fn home_server() -> Vec<Interface> {
        let tunnel = |kind: &str| Kind::Tunnel(kind.into());
        vec![
            interface("lo", Kind::Loopback, &["127.0.0.1", "::1"]),
            interface("eth0", Kind::Card, &["192.168.1.5", "fe80::1", "fd00::5"]),
            interface("wlan0", Kind::Card, &["192.168.1.6"]),
            interface("docker0", Kind::Bridge, &["172.17.0.1"]),
            interface("veth12ab", Kind::Veth, &["169.254.3.4"]),
            interface("tailscale0", tunnel("tun"), &["100.64.0.7"]),
            interface("wg0", tunnel("wireguard"), &["10.8.0.2"]),
            interface("ppp0", Kind::PointToPoint, &["10.64.64.64"]),
        ]
    }

    #[test]
    fn by_default_only_the_cards_are_used_and_every_other_has_its_reason() {
        let selection = select(&home_server(), &Network::default());
        assert_eq!(names(&selection), ["eth0", "wlan0"]);
        assert_eq!(
            selection.addresses(),
            ["192.168.1.5", "192.168.1.6"].map(|ip| ip.parse::<IpAddr>().expect("an address"))
        );
        let reasons: Vec<_> = selection
            .skipped
            .iter()
            .map(|s| s.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "it reaches this machine only (loopback)",
                "it is a bridge for containers or virtual machines",
                "it leads into a container (veth)",
                "it is a tunnel or VPN (tun)",
                "it is a tunnel or VPN (wireguard)",
                "it is a point-to-point link",
            ]
        );
    }

    #[test]
    fn ipv6_is_used_when_asked_for_but_never_link_local() {
        let network = Network {
            ipv6: true,
            ..network(&["eth0"], &[])
        };
        let wanted = select(&home_server(), &network).addresses();
        assert_eq!(wanted.len(), 2, "{wanted:?}");
        assert!(wanted.contains(&"fd00::5".parse().expect("an address")));
    }

    #[test]
    fn a_bridge_with_a_card_in_it_is_the_way_to_the_network() {
        let bridge = interface("br0", Kind::Bridge, &["192.168.1.5"]);
        let port = Interface {
            port_of: Some(bridge.index),
            ..interface("eth0", Kind::Card, &[])
        };
        let selection = select(&[port, bridge], &Network::default());
        assert_eq!(names(&selection), ["br0"]);
        assert_eq!(selection.skipped[0].reason, "it is a port of br0");
    }

    #[test]
    fn inside_a_container_the_card_is_a_veth() {
        let card = interface("eth0", Kind::Veth, &["192.168.1.5"]);
        assert_eq!(names(&select(&[card], &Network::default())), ["eth0"]);
    }

    #[test]
    fn where_there_are_but_veths_one_of_any_name_is_the_card() {
        let lo = interface("lo", Kind::Loopback, &["127.0.0.1"]);
        let veth = interface("ve-siskin", Kind::Veth, &["192.168.1.5"]);
        let alone = [lo.clone(), veth.clone()];
        assert_eq!(names(&select(&alone, &Network::default())), ["ve-siskin"]);
        for other in [
            interface("docker0", Kind::Bridge, &["172.17.0.1"]),
            // Its cable is out: the containers do not become the way to the phones by that.
            Interface {
                running: false,
                ..interface("eth0", Kind::Card, &[])
            },
        ] {
            let all = [lo.clone(), veth.clone(), other];
            assert_eq!(names(&select(&all, &Network::default())), [""; 0]);
        }
    }

    #[test]
    fn allow_names_what_would_be_skipped_and_deny_wins() {
        let all = home_server();
        let used = |allow: &[&str], deny: &[&str]| -> Vec<String> {
            let selection = select(&all, &network(allow, deny));
            names(&selection).into_iter().map(Into::into).collect()
        };
        assert_eq!(used(&["lo"], &[]), ["lo"]);
        assert_eq!(used(&["172.16.0.0/12", "w?an*"], &[]), ["wlan0", "docker0"]);
        assert_eq!(used(&["*"], &["*0", "10.0.0.0/8"]), ["lo", "veth12ab"]);
        assert_eq!(used(&[], &["192.168.1.5"]), ["wlan0"]);
    }

    #[test]
    fn only_the_addresses_in_an_allowed_network_are_used() {
        let two = interface("eth0", Kind::Card, &["192.168.1.5", "10.0.0.5"]);
        let selection = select(&[two], &network(&["10.0.0.0/8"], &[]));
        assert_eq!(
            selection.addresses(),
            ["10.0.0.5".parse::<IpAddr>().expect("an address")]
        );
    }

    #[test]
    fn an_interface_without_carrier_or_address_waits_even_if_allowed() {
        let mut card = interface("eth0", Kind::Card, &[]);
        let reason = |card: &Interface| {
            let selection = select(std::slice::from_ref(card), &network(&["eth0"], &[]));
            selection.skipped[0].reason.clone()
        };
        assert_eq!(reason(&card), "it has no IPv4 address");
        card.running = false;
        assert_eq!(reason(&card), "it is not connected (no carrier)");
        card.up = false;
        assert_eq!(reason(&card), "it is down");
    }

    #[test]
    fn globs_match_whole_names() {
        let cases = [
            ("eth*", "eth0", true),
            ("eth*", "veth0", false),
            ("*eth*", "veth0", true),
            ("e?h0", "eth0", true),
            ("eth", "eth0", false),
            ("***", "", true),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
        ];
        for (glob, name, expected) in cases {
            let matched = matches_glob(glob.as_bytes(), name.as_bytes());
            assert_eq!(matched, expected, "{glob} {name}");
        }
    }
}

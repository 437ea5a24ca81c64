//! Asks by multicast DNS, from a socket of its own at a port of its own. Such a question is answered
//! to whoever asked, and to nobody else (RFC 6762 6.7), so it costs the network no multicast.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::dns::{self, Kind, MAX_PACKET, Name, Record};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// Waits for an answer, one a question: a responder that is busy may lose the first.
const WAITS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1000),
];
/// Stays on this machine: the own responder hears it, the network does not.
const HERE: u32 = 0;
/// What mDNS is sent with.
const FAR: u32 = 255;
/// Strangers' packets that are looked at during one wait.
const MAX_HEARD: usize = 64;

/// Why an announcement of ours was not heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The question came back from the network, and nobody answered it.
    Silence,
    /// Not even the question came back: multicast does not work here. No doing of the responder.
    NotBack,
    /// Somebody answered something else.
    Wrong(String),
    /// It could not be asked at all.
    Deaf(String),
}

impl std::fmt::Display for Unheard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => out.write_str("a question for the speaker is not answered"),
            Self::NotBack => out.write_str(
                "multicast does not come back: a firewall drops UDP port 5353, or the interface \
                 cannot multicast",
            ),
            Self::Wrong(what) => out.write_str(what),
            Self::Deaf(why) => write!(out, "it cannot be asked: {why}"),
        }
    }
}

/// Asks on the interface that has `from` where the service `instance` (all labels) is, and compares.
///
/// # Errors
/// How what was heard differs from `port` at one of `addresses`. Takes two seconds at most, twice
/// that when nobody answers.
pub async fn announced(
    from: Ipv4Addr,
    instance: &Name,
    port: u16,
    addresses: &[IpAddr],
) -> Result<(), Unheard> {
    let deaf = |error: io::Error| Unheard::Deaf(error.to_string());
    let socket = socket(from, HERE).map_err(deaf)?;
    for wait in WAITS {
        let id = rand::random();
        let Some(question) = dns::question(id, instance, Kind::Service) else {
            return Err(Unheard::Deaf("its name is no name".into()));
        };
        socket
            .send_to(&question, (GROUP, PORT))
            .await
            .map_err(deaf)?;
        let until = Instant::now() + wait;
        let mut buffer = vec![0; MAX_PACKET];
        for _ in 0..MAX_HEARD {
            let Ok(heard) = timeout_at(until, socket.recv_from(&mut buffer)).await else {
                break;
            };
            let (length, _) = heard.map_err(deaf)?;
            // A packet that is not ours, or that nobody can read, is no answer.
            if let Ok(records) = dns::answer(id, &buffer[..length])
                && let Some(found) = place_of(instance, &records)
            {
                return compare(&found, port, addresses);
            }
        }
    }
    match comes_back(from).await {
        Ok(true) => Err(Unheard::Silence),
        Ok(false) => Err(Unheard::NotBack),
        Err(error) => Err(deaf(error)),
    }
}

/// Port and addresses of `instance`, as told.
fn place_of(instance: &Name, records: &[Record]) -> Option<(u16, Vec<IpAddr>)> {
    let (port, host) = records.iter().find_map(|record| match record {
        Record::Service { owner, port, host } if owner.is(instance) => Some((*port, host)),
        _ => None,
    })?;
    let addresses = records.iter().filter_map(|record| match record {
        Record::Address { owner, ip } if owner.is(host) => Some(*ip),
        _ => None,
    });
    Some((port, addresses.collect()))
}

fn compare(found: &(u16, Vec<IpAddr>), port: u16, addresses: &[IpAddr]) -> Result<(), Unheard> {
    let (told, at) = found;
    if *told != port {
        return Err(Unheard::Wrong(format!(
            "it is announced at port {told}, but listens on {port}"
        )));
    }
    match at.iter().find(|ip| !addresses.contains(ip)) {
        _ if at.is_empty() => Err(Unheard::Wrong("it is announced without an address".into())),
        Some(stranger) => Err(Unheard::Wrong(format!(
            "it is announced at {stranger}, which is not one of its addresses"
        ))),
        None => Ok(()),
    }
}

/// Whether what is sent to the group on the interface that has `from` is heard there again.
///
/// # Errors
/// When no socket can be had for it.
pub async fn comes_back(from: Ipv4Addr) -> io::Result<bool> {
    let ear = raw()?;
    // Bound to the group, not to the port of the machine: it takes nobody else's post away.
    ear.bind(&SocketAddrV4::new(GROUP, PORT).into())?;
    ear.join_multicast_v4(&GROUP, &from)?;
    let ear = UdpSocket::from_std(ear.into())?;
    let mouth = socket(from, HERE)?;
    let mut buffer = vec![0; MAX_PACKET];
    for wait in WAITS {
        let id: u16 = rand::random();
        // A question that nobody has an answer to.
        let nobody = Name::of(&["_siskin-echo", "_udp", "local"]);
        let Some(question) = dns::question(id, &nobody, Kind::Pointer) else {
            return Ok(false);
        };
        mouth.send_to(&question, (GROUP, PORT)).await?;
        let until = Instant::now() + wait;
        for _ in 0..MAX_HEARD {
            match timeout_at(until, ear.recv_from(&mut buffer)).await {
                Ok(Ok((length, _))) if buffer[..length] == question => return Ok(true),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
    }
    Ok(false)
}

/// One announcement that a question to the whole network found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// As it is announced.
    pub name: String,
    /// Who answered.
    pub by: IpAddr,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

/// Asks everybody on the interface that has `from` for Spotify Connect speakers. Takes `wait`.
///
/// # Errors
/// When it cannot be asked.
pub async fn around(from: Ipv4Addr, wait: Duration) -> io::Result<Vec<Answered>> {
    let socket = socket(from, FAR)?;
    let service = Name::of(&["_spotify-connect", "_tcp", "local"]);
    let id = rand::random();
    let question = dns::question(id, &service, Kind::Pointer)
        .ok_or_else(|| io::Error::other("no question"))?;
    socket.send_to(&question, (GROUP, PORT)).await?;
    let mut found: Vec<Answered> = Vec::new();
    let until = Instant::now() + wait;
    let mut buffer = vec![0; MAX_PACKET];
    for _ in 0..MAX_HEARD {
        let Ok(heard) = timeout_at(until, socket.recv_from(&mut buffer)).await else {
            break;
        };
        let (length, by) = heard?;
        let Ok(records) = dns::answer(id, &buffer[..length]) else {
            continue;
        };
        for record in &records {
            let Record::Pointer { owner, target } = record else {
                continue;
            };
            let known = |one: &Answered| one.name == target.first() && one.by == by.ip();
            if owner.is(&service) && !found.iter().any(known) {
                let (port, addresses) = place_of(target, &records).unwrap_or_default();
                found.push(Answered {
                    name: target.first(),
                    by: by.ip(),
                    port,
                    addresses,
                });
            }
        }
    }
    Ok(found)
}

fn socket(from: Ipv4Addr, ttl: u32) -> io::Result<UdpSocket> {
    let socket = raw()?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.set_multicast_if_v4(&from)?;
    socket.set_multicast_ttl_v4(ttl)?;
    socket.set_multicast_loop_v4(true)?;
    UdpSocket::from_std(socket.into())
}

fn raw() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_name_the_right_port_and_none_but_our_addresses() {
        let ours: IpAddr = [192, 168, 1, 5].into();
        let other: IpAddr = [172, 17, 0, 1].into();
        assert_eq!(compare(&(4070, vec![ours]), 4070, &[ours]), Ok(()));
        let wrong = [
            (4071, vec![ours]),
            (4070, vec![]),
            (4070, vec![ours, other]),
        ];
        for found in wrong {
            let compared = compare(&found, 4070, &[ours]);
            assert!(matches!(compared, Err(Unheard::Wrong(_))), "{found:?}");
        }
    }
}

//! Looking for speakers on the local network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, timeout_at};

use super::PhoneError;

pub const SERVICE_TYPE: &str = "_spotify-connect._tcp.local.";

/// A speaker as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name people see in a list.
    pub instance: String,
    pub host: String,
    pub port: u16,
    /// Sorted; IPv4 first.
    pub addresses: Vec<IpAddr>,
    pub txt: BTreeMap<String, String>,
}

/// What a [`Watch`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// New, or announced again with other data.
    Appeared(Found),
    /// Said goodbye or expired; the instance name.
    Gone(String),
}

/// A phone screen that stays open.
pub struct Watch {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

impl Found {
    /// A receiver that is known without being announced.
    pub fn at(address: SocketAddr, cpath: &str) -> Found {
        Found {
            instance: address.to_string(),
            host: address.ip().to_string(),
            port: address.port(),
            addresses: vec![address.ip()],
            txt: BTreeMap::from([("CPath".into(), cpath.into())]),
        }
    }

    /// Where to connect: IPv4 before IPv6, as the app does, and no link-local
    /// IPv6 address, which would need a scope.
    pub fn address(&self) -> Result<SocketAddr, PhoneError> {
        let usable = |ip: &&IpAddr| match ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        };
        let ip = self.addresses.iter().find(usable);
        let ip = ip.ok_or_else(|| PhoneError::NoAddress(self.instance.clone()))?;
        Ok(SocketAddr::new(*ip, self.port))
    }

    /// Path of the zeroconf endpoint; always begins with a slash.
    pub fn cpath(&self) -> String {
        let named = self
            .txt
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case("CPath"));
        let path = named.map_or("/", |(_, path)| path.as_str());
        if path.starts_with('/') {
            path.into()
        } else {
            format!("/{path}")
        }
    }

    pub(super) fn host_header(&self) -> Result<String, PhoneError> {
        Ok(self.address()?.to_string())
    }

    fn read(service: &ResolvedService) -> Found {
        let mut addresses: Vec<_> = service.addresses.iter().map(|a| a.to_ip_addr()).collect();
        addresses.sort_by_key(|a| (a.is_ipv6(), *a));
        addresses.dedup();
        let txt = service.txt_properties.iter();
        Found {
            instance: instance(&service.fullname),
            host: service.host.clone(),
            port: service.port,
            addresses,
            txt: txt
                .map(|p| (p.key().to_string(), p.val_str().to_string()))
                .collect(),
        }
    }
}

impl Watch {
    pub(super) fn start() -> Result<Watch, PhoneError> {
        let mdns = |e: mdns_sd::Error| PhoneError::Mdns(e.to_string());
        let daemon = ServiceDaemon::new().map_err(mdns)?;
        let events = daemon.browse(SERVICE_TYPE).map_err(mdns)?;
        Ok(Watch { daemon, events })
    }

    /// The next thing seen, or `None` at the limit.
    pub async fn next(&mut self, limit: Duration) -> Option<Sighting> {
        self.next_before(Instant::now() + limit).await
    }

    /// The first speaker that fits.
    pub async fn until(
        &mut self,
        fits: impl Fn(&Found) -> bool,
        limit: Duration,
    ) -> Result<Found, PhoneError> {
        let end = Instant::now() + limit;
        let mut seen = Vec::new();
        while let Some(sighting) = self.next_before(end).await {
            match sighting {
                Sighting::Appeared(found) if fits(&found) => return Ok(found),
                other => seen.push(format!("{other:?}")),
            }
        }
        Err(PhoneError::NotFound { limit, seen })
    }

    /// Waits until that speaker has gone.
    pub async fn until_gone(&mut self, instance: &str, limit: Duration) -> Result<(), PhoneError> {
        let end = Instant::now() + limit;
        while let Some(sighting) = self.next_before(end).await {
            if sighting == Sighting::Gone(instance.into()) {
                return Ok(());
            }
        }
        Err(PhoneError::Slow {
            step: "the goodbye",
            limit,
        })
    }

    /// What is on the list after `limit`.
    pub async fn gather(&mut self, limit: Duration) -> Vec<Found> {
        let end = Instant::now() + limit;
        let mut list = BTreeMap::new();
        while let Some(sighting) = self.next_before(end).await {
            match sighting {
                Sighting::Appeared(found) => list.insert(found.instance.clone(), found),
                Sighting::Gone(name) => list.remove(&name),
            };
        }
        list.into_values().collect()
    }

    async fn next_before(&mut self, end: Instant) -> Option<Sighting> {
        loop {
            match timeout_at(end, self.events.recv_async()).await.ok()?.ok()? {
                ServiceEvent::ServiceResolved(service) => {
                    return Some(Sighting::Appeared(Found::read(&service)));
                }
                ServiceEvent::ServiceRemoved(_, fullname) => {
                    return Some(Sighting::Gone(instance(&fullname)));
                }
                _ => {}
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Ends the responder's thread; there is nobody left to tell if not.
        let _ = self.daemon.shutdown();
    }
}

/// The name in front of the service type, with dots and backslashes as people
/// write them.
fn instance(fullname: &str) -> String {
    let name = fullname.strip_suffix(SERVICE_TYPE).unwrap_or(fullname);
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut plain = String::new();
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}

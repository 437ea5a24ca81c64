//! The mDNS announcement of all speakers, on chosen addresses and no others.
//!
//! An [`Advert`] does not change: when addresses do, a new one takes the place of the old. The
//! responder underneath keeps an address that is gone until it polls, and may then send from it;
//! a new one knows only what is there. (So it never polls either; [`super::interfaces::Watch`]
//! tells us.)

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use mdns_sd::{
    DaemonEvent, Error, IfKind, IfPredicate, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo,
};
use tokio::time::{sleep, timeout};

use super::{
    Identity,
    interfaces::Wanted,
    names::{self, SERVICE, Seen},
};

/// The goodbye is sent twice, 120 ms apart, because Wi-Fi loses multicast. Ending the responder
/// any sooner loses the second.
const GOODBYES: Duration = Duration::from_millis(150);
/// For each answer of the responder's thread.
const PATIENCE: Duration = Duration::from_millis(300);
/// What a responder may hold, in records: it keeps most of what anybody says for good, asked or not.
/// A network of some hundred devices stays below that.
const HOLDS: i64 = 2000;
/// So many of its timers, which last as long as what they are for, take the room of a record.
const TIMERS: i64 = 16;

/// One speaker as it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub identity: Identity,
    /// Of its endpoint.
    pub port: u16,
    /// Never empty.
    pub addresses: Vec<IpAddr>,
}

impl Service {
    /// Whether both are the same speaker, wherever it is.
    pub fn is_of(&self, other: &Self) -> bool {
        self.identity.device == other.identity.device
    }
}

/// What the network said.
#[derive(Debug)]
pub enum Heard {
    /// This one of our announcements went out.
    Announced(Service),
    /// Somebody (we too) announces this.
    Seen(Seen),
    Gone {
        fullname: String,
    },
}

pub struct Advert {
    responder: ServiceDaemon,
    services: Vec<(ServiceInfo, Service)>,
    /// Full names of what the responder has not said to have sent yet.
    unsent: BTreeSet<String>,
    /// Listened to until everything was sent once.
    progress: Option<Receiver<DaemonEvent>>,
    others: Option<Receiver<ServiceEvent>>,
    /// Pointers that were there at each look: it lets them go, but not their names, and counts those
    /// no more.
    pointers: i64,
}

impl Advert {
    /// Announces `services` on the `wanted` interfaces, and starts to listen for others.
    ///
    /// # Errors
    /// When no responder can be started: no thread, no file descriptor.
    pub fn publish(wanted: &[Wanted], services: Vec<Service>) -> Result<Self, Error> {
        let responder = ServiceDaemon::new()?;
        let mut advert = Self {
            responder,
            services: Vec::with_capacity(services.len()),
            unsent: BTreeSet::new(),
            progress: None,
            others: None,
            pointers: 0,
        };
        advert.set_up(wanted, services)?;
        Ok(advert)
    }

    fn set_up(&mut self, wanted: &[Wanted], services: Vec<Service>) -> Result<(), Error> {
        let allowed: BTreeSet<(String, IpAddr)> = wanted
            .iter()
            .flat_map(|interface| {
                let name = &interface.name;
                interface.addresses.iter().map(|ip| (name.clone(), *ip))
            })
            .collect();
        let allowed = IfPredicate::new(move |interface| {
            allowed.contains(&(interface.name.clone(), interface.ip()))
        });
        self.responder.set_ip_check_interval(0)?;
        self.responder.disable_interface(IfKind::All)?;
        self.responder
            .enable_interface(IfKind::Predicate(allowed))?;
        self.progress = Some(self.responder.monitor()?);
        for service in services {
            let info = info(&service)?;
            self.unsent.insert(info.get_fullname().to_owned());
            self.responder.register(info.clone())?;
            self.services.push((info, service));
        }
        self.others = Some(self.responder.browse(SERVICE)?);
        Ok(())
    }

    /// Whether every announcement went out once.
    pub fn sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Announces everything again. The responder leaves out what it sent less than a second ago.
    pub fn repeat(&self) -> Result<(), Error> {
        let mut all = self.services.iter();
        all.try_for_each(|(info, _)| self.responder.register(info.clone()))
    }

    /// Asks the network who else is there, from now on.
    pub fn look_around(&mut self) -> Result<(), Error> {
        if self.others.is_none() {
            self.others = Some(self.responder.browse(SERVICE)?);
        }
        Ok(())
    }

    /// Asks no more: a look that never ends costs every device on the network an answer every
    /// minute and a half.
    pub fn look_away(&mut self) {
        if self.others.take().is_some() {
            let _ = self.responder.stop_browse(SERVICE);
        }
    }

    /// Whether the responder holds more than it should of what others say. `None` when it has no
    /// time to answer.
    pub async fn is_overfull(&mut self) -> Option<bool> {
        let asked = self.responder.get_metrics().ok()?;
        let found = timeout(PATIENCE, asked.recv_async()).await.ok()?.ok()?;
        let count = |what: &str| found.get(what).copied().unwrap_or(0);
        self.pointers += count("cached-ptr");
        let kinds = ["srv", "txt", "addr", "nsec", "subtype"];
        let records = kinds.map(|kind| count(&format!("cached-{kind}")));
        let timers = count("timer") / TIMERS;
        Some(records.iter().sum::<i64>() + self.pointers + timers > HOLDS)
    }

    /// Waits for news. Cancel safe.
    pub async fn heard(&mut self) -> Heard {
        loop {
            let heard = tokio::select! {
                event = next(self.progress.as_ref()) => self.on_progress(event),
                event = next(self.others.as_ref()) => self.on_other(event),
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    fn on_progress(&mut self, event: Option<DaemonEvent>) -> Option<Heard> {
        let Some(event) = event else {
            self.progress = None;
            return None;
        };
        let DaemonEvent::Announce(fullname, _) = event else {
            return None;
        };
        if !self.unsent.remove(&fullname) {
            return None;
        }
        if self.unsent.is_empty() {
            self.progress = None;
        }
        let mut all = self.services.iter();
        let sent = all.find(|(info, _)| info.get_fullname() == fullname)?;
        Some(Heard::Announced(sent.1.clone()))
    }

    fn on_other(&mut self, event: Option<ServiceEvent>) -> Option<Heard> {
        match event {
            // The responder hangs up on a listener that is too slow. The next look will do.
            None => {
                self.look_away();
                None
            }
            Some(ServiceEvent::ServiceFound(_, fullname)) => Some(Heard::Seen(Seen {
                fullname,
                addresses: Vec::new(),
            })),
            Some(ServiceEvent::ServiceResolved(found)) => Some(Heard::Seen(Seen {
                fullname: found.get_fullname().to_owned(),
                addresses: found
                    .get_addresses()
                    .iter()
                    .map(mdns_sd::ScopedIp::to_ip_addr)
                    .collect(),
            })),
            Some(ServiceEvent::ServiceRemoved(_, fullname)) => Some(Heard::Gone { fullname }),
            Some(_) => None,
        }
    }

    /// Says goodbye, so that phones drop the speakers now and not in 75 minutes. Takes well
    /// under a second.
    pub async fn withdraw(mut self) {
        self.look_away();
        self.say_goodbye(&[]).await;
        self.end().await;
    }

    /// Ends because another advert says everything anew, with a goodbye only for those who are not
    /// in `new`.
    pub async fn replace(self, new: &[Service]) {
        self.say_goodbye(new).await;
        // Without interfaces, the goodbye of the shutdown has no way out.
        let _ = self.responder.disable_interface(IfKind::All);
        self.end().await;
    }

    async fn say_goodbye(&self, staying: &[Service]) {
        let stays = |service: &Service| staying.iter().any(|other| other.is_of(service));
        let leaving = self.services.iter().filter(|(_, service)| !stays(service));
        let mut said = false;
        for (info, _) in leaving {
            if let Ok(done) = self.responder.unregister(info.get_fullname()) {
                let _ = timeout(PATIENCE, done.recv_async()).await;
                said = true;
            }
        }
        if said {
            sleep(GOODBYES).await;
        }
    }

    async fn end(self) {
        if let Ok(done) = self.responder.shutdown() {
            let _ = timeout(PATIENCE, done.recv_async()).await;
        }
    }
}

impl Drop for Advert {
    /// The responder's thread would outlive us. (After [`Advert::end`] there is none left to tell.)
    fn drop(&mut self) {
        let _ = self.responder.shutdown();
    }
}

/// The next event; `None` when there will be none; never, without a receiver.
async fn next<T>(receiver: Option<&Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.recv_async().await.ok(),
        None => std::future::pending().await,
    }
}

fn info(service: &Service) -> Result<ServiceInfo, Error> {
    let Identity { device, name, .. } = &service.identity;
    let txt = [("VERSION", "1.0"), ("CPath", "/"), ("Stack", "SP")];
    let mut info = ServiceInfo::new(
        SERVICE,
        &names::instance(name, device),
        &names::host(device),
        service.addresses.as_slice(),
        service.port,
        &txt[..],
    )?;
    // Both names carry the device id: nobody else has them, and the three probes that would ask
    // around first cost the better part of a second.
    info.set_requires_probe(false);
    Ok(info)
}

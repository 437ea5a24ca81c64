//! Announces the speakers on the local network and receives logins.
//!
//! Owns the mDNS announcement of all speakers and the zeroconf endpoint of each, on the interfaces
//! that the settings allow, and follows them as they come and go. Knows nothing of sessions: a
//! login goes to the daemon, which decides. Start at [`Discovery::run`].
//!
//! A change of name or of the network settings is a new [`Discovery`]: ending the old one says
//! goodbye, starting the new one announces, both in well under a second.

mod advert;
pub mod blob;
pub mod endpoint;
pub mod interfaces;
pub mod names;
pub mod probe;
#[cfg(test)]
mod tests;
mod told;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use advert::{Advert, Heard, Service};
use endpoint::{Endpoint, Limits, Shared};
use interfaces::{Selection, Wanted, Watch};
use names::Clash;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use told::{Told, name_taken, no_network, not_bound, not_fitting, not_sent};

use crate::{
    config::Network,
    gate::Gate,
    model::{Condition, ConditionCode, DeviceId, DeviceType, Login},
};

/// Multicast gets lost on Wi-Fi, so everything is said twice. A little over the second that the
/// standard demands between two announcements of the same record.
const REPEAT: Duration = Duration::from_millis(1100);
/// Between two tries of what did not work: a port that is taken, an announcement that was not sent.
const RETRY: Duration = Duration::from_secs(3);
/// An announcement that is never sent is tried less and less often, down to this.
const RETRY_AT_LEAST: Duration = Duration::from_secs(60);
/// How long to look for others with our names, and how long to leave it after that.
const LOOK: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// Between two looks at a responder while strangers fill it.
const RELIEVE: Duration = Duration::from_secs(1);
/// Announcements remembered for clashing with ours. One is enough to say so.
const CLASHES: usize = 16;

/// What a speaker is on the network. Fixed while it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub device: DeviceId,
    /// 1 to 64 bytes.
    pub name: String,
    pub device_type: DeviceType,
    /// Of the endpoint; 0 takes any free one.
    pub port: u16,
}

/// One speaker, and its two ways to the daemon.
pub struct Speaker {
    pub identity: Identity,
    /// What phones want of it.
    pub requests: mpsc::Sender<Request>,
    /// The account that is signed in, as `getInfo` shows it.
    pub active_user: watch::Receiver<Option<String>>,
    /// Told when somebody asks what the speaker is: he may be about to hand an account over.
    pub asked: Arc<Notify>,
}

/// What a phone asked for. Its HTTP request is answered when `answer` is, or after ten seconds
/// with a failure.
#[derive(Debug)]
pub enum Request {
    AddUser {
        login: Login,
        /// What the phone calls itself.
        device_name: Option<String>,
        answer: oneshot::Sender<Verdict>,
    },
    /// Sign out and forget this user; when `None`, everybody.
    ResetUsers {
        user: Option<String>,
        answer: oneshot::Sender<Verdict>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    LoginFailed,
    /// The house does not do this for the network.
    Forbidden,
}

/// What the daemon should know, log or show. Each is sent when it becomes true, not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A speaker's announcement went out.
    Announced {
        name: String,
        port: u16,
        addresses: Vec<IpAddr>,
    },
    /// It is announced no more; why is told as a condition.
    Unannounced {
        name: String,
    },
    /// An interface is not used; `reason` follows a colon. Inner ends of containers are told at
    /// the start only.
    Skipped {
        interface: String,
        reason: String,
    },
    Raised(Condition),
    Cleared(ConditionCode),
}

/// One speaker as phones are to find it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub device: DeviceId,
    /// Every label of its announcement.
    pub instance: probe::dns::Name,
    pub port: u16,
    /// What phones are told.
    pub addresses: Vec<IpAddr>,
    /// Where it listens: the same, unless `network.advertise` says something else.
    pub listens_on: Vec<IpAddr>,
}

/// What is on the network now, for whoever looks from outside whether it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnAir {
    /// Without one, there is nothing to be seen on.
    pub interfaces: Vec<Wanted>,
    /// Counts how often the way out of the network became another one.
    pub ways_out: u32,
    /// Without those that could not be announced yet; that is a condition of its own.
    pub speakers: Vec<Published>,
}

/// What may be done for a speaker that is not found, the cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Should strangers have filled the responder with what they say, renew it.
    Relieve,
    /// Say everything again.
    Announce,
    /// Close and open the endpoints.
    Listen,
    /// Another responder with sockets of its own takes the place of this one.
    Renew,
}

/// Repairs that may wait; one of each kind is all that makes sense.
const REPAIRS: usize = 4;

/// The speakers on the network.
pub struct Discovery {
    network: Network,
    endpoints: Vec<Endpoint>,
    watch: Watch,
    advert: Option<Advert>,
    /// What `advert` was made from.
    announced: (Selection, Vec<Service>),
    told: Told,
    /// By full name.
    clashes: BTreeMap<String, Clash>,
    looking_anew: bool,
    /// The pause before the next try to announce.
    patience: Duration,
    repeat_at: Option<Instant>,
    retry_at: Option<Instant>,
    look_at: Option<Instant>,
    look_away_at: Option<Instant>,
    relieve_at: Option<Instant>,
    ways_out: u32,
    on_air: watch::Sender<OnAir>,
    repairs: (mpsc::Sender<Repair>, mpsc::Receiver<Repair>),
}

impl Discovery {
    /// Binds the endpoints and sends the first announcements. Without a network there is nothing
    /// to bind or send yet; that, and whatever else goes wrong, is a notice and tried again in
    /// [`Discovery::run`].
    pub async fn start(
        network: &Network,
        speakers: Vec<Speaker>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let limits = Limits::default();
        let gate = Gate::new(limits.connections, limits.per_peer);
        let endpoints = speakers.into_iter().map(|speaker| {
            let shown = (!network.hide_active_user).then_some(speaker.active_user);
            let shared = Shared::new(speaker.identity, speaker.requests, shown, limits);
            let shared = shared.telling(speaker.asked);
            Endpoint::new(shared, gate.clone())
        });
        let mut discovery = Self {
            network: network.clone(),
            endpoints: endpoints.collect(),
            // Before the first look, so that nothing can change unseen in between.
            watch: Watch::start(),
            advert: None,
            announced: Default::default(),
            told: Told::new(notices),
            clashes: BTreeMap::new(),
            looking_anew: true,
            patience: RETRY,
            repeat_at: None,
            retry_at: None,
            look_at: None,
            look_away_at: None,
            relieve_at: None,
            ways_out: 0,
            on_air: watch::Sender::default(),
            repairs: mpsc::channel(REPAIRS),
        };
        discovery.refresh().await;
        discovery
    }

    /// What is on the network, as it changes.
    pub fn on_air(&self) -> watch::Receiver<OnAir> {
        self.on_air.subscribe()
    }

    /// Where repairs are ordered.
    pub fn repairs(&self) -> mpsc::Sender<Repair> {
        self.repairs.0.clone()
    }

    /// Serves until `stop` fires; then says goodbye before the endpoints close, so that no phone
    /// is offered a speaker that does not answer. Takes less than a second to end.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let due = [
                self.repeat_at,
                self.retry_at,
                self.look_at,
                self.look_away_at,
                self.relieve_at,
            ];
            let due = due.into_iter().flatten().min();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.watch.changed() => {
                    self.ways_out = self.ways_out.wrapping_add(changed.way_out.into());
                    self.refresh().await;
                }
                heard = heard(self.advert.as_mut()) => self.on_heard(heard),
                () = at(due) => self.on_time().await,
                () = self.told.flush() => {}
                Some(repair) = self.repairs.1.recv() => self.repair(repair).await,
            }
        }
        self.told.gone(&[]);
        if let Some(advert) = self.advert.take() {
            advert.withdraw().await;
        }
        let closing = self.endpoints.into_iter().map(Endpoint::close);
        futures_util::future::join_all(closing).await;
    }

    /// Looks at the interfaces and makes everything fit what is there.
    async fn refresh(&mut self) {
        self.retry_at = None;
        let selection = match interfaces::list().await {
            Ok(all) => interfaces::select(&all, &self.network),
            Err(error) => {
                // Not being told is no reason to take down what stands: it may be file
                // descriptors that are short for a moment.
                self.retry_at = Some(Instant::now() + RETRY);
                if self.advert.is_none() {
                    let condition = Some(told::not_listed(&error));
                    self.told.condition(ConditionCode::NoNetwork, condition);
                }
                return;
            }
        };
        self.told.skipped(&selection);
        self.told.condition(
            ConditionCode::NoNetwork,
            no_network(&selection, &self.network),
        );

        let addresses = selection.addresses();
        let mut services = Vec::new();
        let mut unbound = Vec::new();
        for endpoint in &mut self.endpoints {
            unbound.extend(endpoint.listen_on(&addresses).await);
            services.extend(service(endpoint, &addresses, &self.network.advertise));
        }
        if !unbound.is_empty() {
            self.retry_at = Some(Instant::now() + RETRY);
        }
        self.told.unbound = not_bound(&unbound);
        self.announce(selection, services).await;
        self.told.not_announced();
        self.show();
    }

    async fn repair(&mut self, repair: Repair) {
        let say = |how: &str| tracing::info!("repairing the announcement: {how}");
        match repair {
            Repair::Relieve => self.relieve().await,
            Repair::Announce => {
                say("said again");
                if let Some(advert) = &self.advert {
                    let _ = advert.repeat();
                }
            }
            Repair::Listen => {
                say("the endpoints are opened anew");
                for endpoint in &mut self.endpoints {
                    endpoint.hang_up().await;
                }
                self.refresh().await;
            }
            Repair::Renew => {
                say("another responder takes over");
                self.renew().await;
            }
        }
    }

    /// Has another responder take over from one that strangers have filled. They may go on with it, so
    /// it is looked at again soon, until there is nothing to do.
    async fn relieve(&mut self) {
        let Some(advert) = &mut self.advert else {
            return;
        };
        let overfull = advert.is_overfull().await;
        let before = self.relieve_at.take();
        if overfull == Some(false) {
            return;
        }
        self.relieve_at = Some(Instant::now() + RELIEVE);
        if overfull == Some(true) {
            if before.is_none() {
                tracing::warn!("somebody floods the network with mDNS records; they are not kept");
            }
            self.renew().await;
        }
    }

    async fn renew(&mut self) {
        if let Some(old) = self.advert.take() {
            old.replace(&self.announced.1).await;
        }
        self.refresh().await;
    }

    /// Tells whoever looks from outside what there is to be seen.
    fn show(&self) {
        let (selection, services) = &self.announced;
        let announced = services.iter().filter(|_| self.advert.is_some());
        let published = announced.map(|service| {
            let Identity { device, name, .. } = &service.identity;
            let instance = names::instance(name, device);
            let own = self.endpoints.iter();
            let own = own.filter(|endpoint| endpoint.identity().device == *device);
            let addresses = selection.addresses();
            Published {
                device: device.clone(),
                instance: probe::dns::Name::of(&[&instance, "_spotify-connect", "_tcp", "local"]),
                port: service.port,
                addresses: service.addresses.clone(),
                listens_on: own
                    .flat_map(|endpoint| addresses.iter().filter(|ip| endpoint.listens_on(**ip)))
                    .copied()
                    .collect(),
            }
        });
        let now = OnAir {
            interfaces: selection.wanted.clone(),
            ways_out: self.ways_out,
            speakers: published.collect(),
        };
        self.on_air.send_if_modified(|known| {
            let news = *known != now;
            *known = now;
            news
        });
    }

    /// Replaces the announcement, unless it says the same already.
    async fn announce(&mut self, selection: Selection, services: Vec<Service>) {
        let unchanged = self.announced.0.wanted == selection.wanted && self.announced.1 == services;
        if unchanged && (self.advert.is_some() || services.is_empty()) {
            return;
        }
        if !unchanged {
            self.patience = RETRY;
        }
        self.told.gone(&services);
        let old = self.advert.take();
        (self.repeat_at, self.look_at, self.look_away_at) = (None, None, None);
        self.clashes.clear();
        self.looking_anew = true;
        if services.is_empty() {
            self.told.unsent = None;
        } else {
            match Advert::publish(&selection.wanted, services.clone()) {
                Ok(advert) => {
                    self.advert = Some(advert);
                    self.repeat_at = Some(Instant::now() + REPEAT);
                    self.look_away_at = Some(Instant::now() + LOOK);
                }
                Err(error) => {
                    self.told.unsent = Some(not_sent(&format!("the responder failed: {error}")));
                    self.told.gone(&[]);
                    self.retry_at = Some(Instant::now() + RETRY);
                }
            }
        }
        self.announced = (selection, services);
        // The new one speaks first: nobody should find nothing in between.
        if let Some(old) = old {
            old.replace(&self.announced.1).await;
        }
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if is_due(&mut self.repeat_at) {
            self.on_repeat().await;
        }
        if is_due(&mut self.look_away_at) {
            if let Some(advert) = &mut self.advert {
                advert.look_away();
            }
            self.looking_anew = false;
            self.look_at = Some(now + LOOK_AGAIN);
        }
        if is_due(&mut self.look_at) {
            // Who is still there is seen again; who has left is forgotten.
            self.clashes.clear();
            self.looking_anew = true;
            if let Some(advert) = &mut self.advert {
                let _ = advert.look_around();
            }
            self.look_away_at = Some(now + LOOK);
        }
        if is_due(&mut self.retry_at) {
            self.refresh().await;
        }
        if self.relieve_at.is_some_and(|at| at <= now) {
            self.relieve().await;
        }
        self.tell_clashes();
    }

    /// Says everything a second time; or starts over, when it was not said the first time.
    async fn on_repeat(&mut self) {
        let Some(advert) = &self.advert else { return };
        if advert.sent() && advert.repeat().is_ok() {
            return;
        }
        self.told.unsent = Some(if self.network.advertise.is_empty() {
            not_sent(
                "nothing could be sent from UDP port 5353: another program holds it for itself, \
                 or the interfaces in use cannot multicast",
            )
        } else {
            not_fitting()
        });
        self.told.not_announced();
        self.told.gone(&[]);
        if let Some(advert) = self.advert.take() {
            advert.replace(&self.announced.1).await;
        }
        self.retry_at = Some(Instant::now() + self.patience);
        self.patience = (self.patience * 2).min(RETRY_AT_LEAST);
        self.show();
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Announced(service) => {
                self.patience = RETRY;
                self.told.unsent = None;
                self.told.not_announced();
                self.told.announced(service);
            }
            Heard::Seen(seen) => {
                let ours: Vec<Identity> = self
                    .endpoints
                    .iter()
                    .map(|endpoint| endpoint.identity().clone())
                    .collect();
                let here = self.announced.1.iter();
                let here: Vec<IpAddr> = here.flat_map(|own| own.addresses.clone()).collect();
                match names::clash(&ours, &here, &seen) {
                    Some(clash) if self.clashes.len() < CLASHES => {
                        self.clashes.insert(seen.fullname, clash);
                    }
                    Some(_) => {}
                    None => {
                        self.clashes.remove(&seen.fullname);
                    }
                }
                self.tell_clashes();
            }
            Heard::Gone { fullname } => {
                if self.clashes.remove(&fullname).is_some() {
                    self.looking_anew = false;
                }
                self.tell_clashes();
            }
        }
    }

    fn tell_clashes(&mut self) {
        // While a look has only begun, what the last one saw still stands.
        if self.looking_anew && self.clashes.is_empty() {
            return;
        }
        let clash = self.clashes.values().max_by_key(|clash| match clash {
            Clash::Name(_) => 0,
            Clash::Identity { .. } => 1,
        });
        let condition = clash.map(name_taken);
        self.told.condition(ConditionCode::NameTaken, condition);
    }
}

/// What to announce of an endpoint, if it can be reached at all.
fn service(endpoint: &Endpoint, addresses: &[IpAddr], advertise: &[IpAddr]) -> Option<Service> {
    let bound: Vec<IpAddr> = addresses
        .iter()
        .copied()
        .filter(|ip| endpoint.listens_on(*ip))
        .collect();
    if bound.is_empty() {
        return None;
    }
    let addresses = if advertise.is_empty() {
        bound
    } else {
        advertise.to_vec()
    };
    Some(Service {
        identity: endpoint.identity().clone(),
        port: endpoint.port(),
        addresses,
    })
}

async fn heard(advert: Option<&mut Advert>) -> Heard {
    match advert {
        Some(advert) => advert.heard().await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

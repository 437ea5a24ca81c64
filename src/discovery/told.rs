//! What the daemon has been told, so that it hears of each thing once, and the words for it.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

use super::{
    Notice,
    advert::Service,
    endpoint::Unbound,
    interfaces::{RENAME, Selection, Skipped, unfound},
    names::Clash,
};
use crate::{
    config::Network,
    model::{Condition, ConditionCode},
};

/// Notices that wait for a daemon that is busy; beyond, the oldest are dropped.
const BACKLOG: usize = 256;

pub struct Told {
    notices: mpsc::Sender<Notice>,
    backlog: VecDeque<Notice>,
    raised: BTreeMap<ConditionCode, Condition>,
    /// Reasons by interface; `None` before the first look.
    skipped: Option<BTreeMap<String, String>>,
    announced: Vec<Service>,
    /// Why an endpoint is not published, as it stands.
    pub unbound: Option<Condition>,
    /// Why an announcement is not, as it stands.
    pub unsent: Option<Condition>,
}

impl Told {
    pub fn new(notices: mpsc::Sender<Notice>) -> Self {
        Self {
            notices,
            backlog: VecDeque::new(),
            raised: BTreeMap::new(),
            skipped: None,
            announced: Vec::new(),
            unbound: None,
            unsent: None,
        }
    }

    /// Never waits: the phones' side must not stand still because the daemon does.
    fn tell(&mut self, notice: Notice) {
        if self.backlog.is_empty() {
            let Err(mpsc::error::TrySendError::Full(notice)) = self.notices.try_send(notice) else {
                return;
            };
            self.backlog.push_back(notice);
            return;
        }
        if self.backlog.len() == BACKLOG {
            self.backlog.pop_front();
        }
        self.backlog.push_back(notice);
    }

    /// Hands over one notice of the backlog; waits for ever when there is none. Cancel safe.
    pub async fn flush(&mut self) {
        if self.backlog.is_empty() {
            return std::future::pending().await;
        }
        match self.notices.reserve().await {
            Ok(place) => {
                if let Some(notice) = self.backlog.pop_front() {
                    place.send(notice);
                }
            }
            // Nobody listens any more.
            Err(_) => self.backlog.clear(),
        }
    }

    /// Raises or clears a condition, if that is news.
    pub fn condition(&mut self, code: ConditionCode, now: Option<Condition>) {
        match now {
            Some(condition) if self.raised.get(&code) != Some(&condition) => {
                self.raised.insert(code, condition.clone());
                self.tell(Notice::Raised(condition));
            }
            Some(_) => {}
            None => {
                if self.raised.remove(&code).is_some() {
                    self.tell(Notice::Cleared(code));
                }
            }
        }
    }

    /// Two causes, one condition: what cannot be bound cannot be announced either.
    pub fn not_announced(&mut self) {
        let now = self.unbound.clone().or_else(|| self.unsent.clone());
        self.condition(ConditionCode::NotAnnounced, now);
    }

    /// One notice for each interface whose reason is new. Those that come and go with containers
    /// are told at the first look only, or they would fill the log.
    pub fn skipped(&mut self, selection: &Selection) {
        let before = self.skipped.take();
        let mut now = BTreeMap::new();
        for skipped in &selection.skipped {
            let Skipped {
                name,
                reason,
                minor,
            } = skipped;
            let news = match &before {
                Some(before) => before.get(name) != Some(reason) && !minor,
                None => true,
            };
            if news {
                self.tell(Notice::Skipped {
                    interface: name.clone(),
                    reason: reason.clone(),
                });
            }
            now.insert(name.clone(), reason.clone());
        }
        self.skipped = Some(now);
    }

    /// One notice for each speaker, until something about it changes.
    pub fn announced(&mut self, service: Service) {
        if self.announced.contains(&service) {
            return;
        }
        let device = &service.identity.device;
        self.announced
            .retain(|known| known.identity.device != *device);
        self.tell(Notice::Announced {
            name: service.identity.name.clone(),
            port: service.port,
            addresses: service.addresses.clone(),
        });
        self.announced.push(service);
    }

    /// Who is announced no more is told as that, and told again when it comes back.
    pub fn gone(&mut self, services: &[Service]) {
        let stays = |known: &Service| services.iter().any(|service| service.is_of(known));
        let all = std::mem::take(&mut self.announced).into_iter();
        let (staying, gone): (Vec<_>, Vec<_>) = all.partition(stays);
        self.announced = staying;
        for service in gone {
            let name = service.identity.name;
            self.tell(Notice::Unannounced { name });
        }
    }
}

pub fn no_network(selection: &Selection, network: &Network) -> Option<Condition> {
    if !selection.wanted.is_empty() {
        return None;
    }
    if let Some(why) = unfound(selection, network) {
        let cure = format!("{RENAME}; siskin announces itself as soon as there is an address");
        let what = "no phone can reach this machine";
        return Some(Condition::new(ConditionCode::NoNetwork, what, why, cure));
    }
    let reasons = selection.skipped.iter();
    let reasons: Vec<String> = reasons
        .map(|skipped| format!("{}: {}", skipped.name, skipped.reason))
        .collect();
    let why = if reasons.is_empty() {
        "there is no network interface".to_owned()
    } else {
        reasons.join("; ")
    };
    Some(Condition::new(
        ConditionCode::NoNetwork,
        "no phone can reach this machine",
        why,
        "connect it to the network, or name the interface to use in network.allow; \
         siskin announces itself as soon as there is an address",
    ))
}

pub fn not_listed(error: &std::io::Error) -> Condition {
    Condition::new(
        ConditionCode::NoNetwork,
        "the network interfaces of this machine cannot be read",
        error.to_string(),
        "allow the service the address family AF_NETLINK; siskin keeps trying",
    )
}

pub fn not_bound(unbound: &[Unbound]) -> Option<Condition> {
    let first = unbound.first()?;
    let (what, why) = (
        format!("cannot listen on {}", first.address),
        first.source.to_string(),
    );
    let cure = match first.source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "stop the program that has the port, or choose another with port; siskin keeps trying"
        }
        std::io::ErrorKind::PermissionDenied => {
            "choose a port above 1023 with port: those below are for root; siskin keeps trying"
        }
        _ => "siskin keeps trying",
    };
    Some(Condition::new(ConditionCode::NotAnnounced, what, why, cure))
}

pub fn not_sent(why: &str) -> Condition {
    cannot_announce(
        why,
        "look at the network settings and at other mDNS programs; siskin keeps trying",
    )
}

/// None of `network.advertise` can be announced.
pub fn not_fitting() -> Condition {
    cannot_announce(
        "no address in network.advertise lies in the network of an interface that is used",
        "write an address of a network that this machine is in; in a container, use the host's \
         network instead",
    )
}

fn cannot_announce(why: &str, cure: &str) -> Condition {
    let what = "the speaker could not be announced on the network";
    Condition::new(ConditionCode::NotAnnounced, what, why, cure)
}

pub fn name_taken(clash: &Clash) -> Condition {
    let (what, why, cure) = match clash {
        Clash::Name(name) => (
            format!("another device on the network is called {name} too"),
            "phones show both by the same name".to_owned(),
            "give one of them another name",
        ),
        Clash::Identity { name, address } => (
            format!("another device claims to be {name}"),
            format!("the device at {address} announces the same device id"),
            "was this machine's disk copied? stop siskin on one of them, delete its state \
             directory, and start it again",
        ),
    };
    Condition::new(ConditionCode::NameTaken, what, why, cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        discovery::Identity,
        model::{DeviceId, DeviceType},
    };

    fn skipped(reason: &str) -> Selection {
        Selection {
            wanted: Vec::new(),
            skipped: vec![Skipped {
                name: "docker0".into(),
                reason: reason.into(),
                minor: false,
            }],
        }
    }

    #[test]
    fn a_port_that_cannot_be_had_is_told_with_what_would_help() {
        use std::io::{Error, ErrorKind};

        for (kind, cure) in [
            (ErrorKind::AddrInUse, "stop the program"),
            (ErrorKind::PermissionDenied, "above 1023"),
            (ErrorKind::AddrNotAvailable, "siskin keeps trying"),
        ] {
            let unbound = Unbound {
                address: ([10, 0, 0, 1], 80).into(),
                source: Error::from(kind),
            };
            let told = not_bound(&[unbound]).expect("a condition");
            assert!(told.cure.contains(cure), "{}", told.cure);
        }
    }

    #[test]
    fn each_thing_is_told_once_until_it_changes() {
        let (sender, mut notices) = mpsc::channel(16);
        let mut told = Told::new(sender);
        let network = Network::default();
        for selection in [skipped("down"), skipped("down"), skipped("bridge")] {
            told.skipped(&selection);
            told.condition(ConditionCode::NoNetwork, no_network(&selection, &network));
        }
        told.condition(ConditionCode::NoNetwork, None);
        told.condition(ConditionCode::NoNetwork, None);
        let mut kinds = Vec::new();
        while let Ok(notice) = notices.try_recv() {
            kinds.push(match notice {
                Notice::Skipped { reason, .. } => reason,
                Notice::Raised(condition) => condition.why,
                Notice::Cleared(code) => code.key().to_owned(),
                Notice::Announced { name, .. } | Notice::Unannounced { name } => name,
            });
        }
        assert_eq!(
            kinds,
            [
                "down",
                "docker0: down",
                "bridge",
                "docker0: bridge",
                "no_network"
            ]
        );
    }

    #[test]
    fn who_is_announced_no_more_is_told_once_and_again_when_it_is_back() {
        let (sender, mut notices) = mpsc::channel(16);
        let mut told = Told::new(sender);
        let service = |id: u8, port: u16| Service {
            identity: Identity {
                device: DeviceId::from_bytes([id; 20]),
                name: format!("Room {id}"),
                device_type: DeviceType::Speaker,
                port: 0,
            },
            port,
            addresses: vec![[10, 0, 0, 1].into()],
        };
        let mut heard = || notices.try_recv().ok();
        told.announced(service(1, 4070));
        told.announced(service(2, 4071));
        assert!(heard().is_some() && heard().is_some());
        // At another port, as is told when that has gone out.
        told.gone(&[service(1, 5000)]);
        let name = "Room 2".to_owned();
        assert_eq!(heard(), Some(Notice::Unannounced { name }));
        told.gone(&[]);
        let name = "Room 1".to_owned();
        assert_eq!(heard(), Some(Notice::Unannounced { name }));
        told.gone(&[]);
        assert_eq!(heard(), None);
        told.announced(service(1, 4070));
        assert!(matches!(heard(), Some(Notice::Announced { .. })));
    }

    #[test]
    fn containers_that_come_and_go_are_not_told_one_by_one() {
        let (sender, mut notices) = mpsc::channel(16);
        let mut told = Told::new(sender);
        let veth = |name: &str| Selection {
            wanted: Vec::new(),
            skipped: vec![Skipped {
                name: name.into(),
                reason: "it leads into a container".into(),
                minor: true,
            }],
        };
        told.skipped(&veth("veth1"));
        assert!(notices.try_recv().is_ok());
        told.skipped(&veth("veth2"));
        assert!(notices.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_busy_daemon_holds_nothing_up_and_hears_everything_in_order() {
        let (sender, mut notices) = mpsc::channel(1);
        let mut told = Told::new(sender);
        for reason in ["one", "two", "three"] {
            told.skipped(&skipped(reason));
        }
        for expected in ["one", "two", "three"] {
            let heard = tokio::select! {
                Some(notice) = notices.recv() => notice,
                () = async { loop { told.flush().await } } => unreachable!("a loop without an end"),
            };
            let Notice::Skipped { reason, .. } = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(reason, expected);
        }
    }
}

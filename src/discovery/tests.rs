//! The whole room in network namespaces of its own: real packets, no real network.
//!
//! Each test runs itself again under `unshare` (as root, or with user namespaces) and does there
//! what the outer one only waits for.

use std::{net::Ipv4Addr, process::Command};

use tokio::{task::JoinHandle, time::timeout};

use super::{interfaces::Wanted, *};

/// For whatever should happen soon.
const SOON: Duration = Duration::from_secs(15);
const INSIDE: &str = "SISKIN_TEST_NAMESPACE";

fn in_namespace(test: &str, body: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.expect("a runtime").block_on(body);
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let inner = unshare
        .arg("--")
        .arg(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            &format!("discovery::tests::{test}"),
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (of util-linux) is installed");
    let output = String::from_utf8_lossy(&inner.stdout);
    assert!(
        // A name that is not found would pass as well.
        inner.status.success() && output.contains("1 passed"),
        "in a network namespace (which needs root, or sysctl kernel.unprivileged_userns_clone=1 \
         and, where there is such a key, kernel.apparmor_restrict_unprivileged_userns=0):\n{}{}",
        output,
        String::from_utf8_lossy(&inner.stderr)
    );
}

/// `ip` commands, one a line.
fn ip(commands: &str) {
    for command in commands.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let done = Command::new("ip").args(command.split(' ')).output();
        let done = done.expect("iproute2 is installed");
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "ip {command}: {error}");
    }
}

/// A card, and the inner network of a container engine.
const HOME: &str = "
    link set lo up
    link add eth0 type veth peer name far0
    link set far0 up
    addr add 10.1.0.2/24 dev eth0
    link set eth0 up
    link add docker0 type bridge
    link add veth12ab type veth peer name inside0
    link set inside0 up
    link set veth12ab master docker0
    link set veth12ab up
    addr add 172.17.0.1/16 dev docker0
    link set docker0 up";

struct Rig {
    notices: mpsc::Receiver<Notice>,
    running: JoinHandle<()>,
    stop: CancellationToken,
    _requests: mpsc::Receiver<Request>,
    _user: watch::Sender<Option<String>>,
}

fn identity() -> Identity {
    Identity {
        device: DeviceId::from_bytes([0xab; 20]),
        name: "Dr. Küche".into(),
        device_type: DeviceType::Speaker,
        port: 0,
    }
}

async fn start(network: &Network) -> Rig {
    Idle::start(network, identity()).await.run()
}

/// Discovery that has begun, and does nothing by itself yet.
struct Idle {
    discovery: Discovery,
    notices: mpsc::Receiver<Notice>,
    requests: mpsc::Receiver<Request>,
    user: watch::Sender<Option<String>>,
}

impl Idle {
    async fn start(network: &Network, identity: Identity) -> Self {
        let (asked, requests) = mpsc::channel(4);
        let (user, active_user) = watch::channel(None);
        let (sender, notices) = mpsc::channel(32);
        let speaker = Speaker {
            identity,
            requests: asked,
            active_user,
            asked: Default::default(),
        };
        Self {
            discovery: Discovery::start(network, vec![speaker], sender).await,
            notices,
            requests,
            user,
        }
    }

    fn run(self) -> Rig {
        let stop = CancellationToken::new();
        Rig {
            notices: self.notices,
            running: tokio::spawn(self.discovery.run(stop.clone())),
            stop,
            _requests: self.requests,
            _user: self.user,
        }
    }
}

impl Rig {
    async fn told<T>(&mut self, mut wanted: impl FnMut(&Notice) -> Option<T>) -> T {
        let listening = async {
            loop {
                let notice = self.notices.recv().await.expect("discovery runs");
                println!("{notice:?}");
                if let Some(found) = wanted(&notice) {
                    return found;
                }
            }
        };
        timeout(SOON, listening).await.expect("the notice")
    }

    async fn announced(&mut self) -> (u16, Vec<IpAddr>) {
        self.told(|notice| match notice {
            Notice::Announced {
                port, addresses, ..
            } => Some((*port, addresses.clone())),
            _ => None,
        })
        .await
    }

    async fn raised(&mut self, code: ConditionCode) -> Condition {
        self.told(|notice| match notice {
            Notice::Raised(condition) if condition.code == code => Some(condition.clone()),
            _ => None,
        })
        .await
    }

    async fn end(self) -> Duration {
        let started = Instant::now();
        self.stop.cancel();
        timeout(SOON, self.running)
            .await
            .expect("ends")
            .expect("no panic");
        started.elapsed()
    }
}

/// Somebody else on an interface of this namespace, who only listens.
struct Ear(Advert);

impl Ear {
    fn on(name: &str, address: Ipv4Addr) -> Self {
        Self::and_say(name, address, Vec::new())
    }

    fn and_say(name: &str, address: Ipv4Addr, services: Vec<Service>) -> Self {
        let wanted = Wanted {
            name: name.into(),
            index: 0,
            addresses: vec![address.into()],
        };
        Self(Advert::publish(&[wanted], services).expect("a responder"))
    }

    async fn sees(&mut self, address: &str) {
        let address: IpAddr = address.parse().expect("an address");
        let listening = async {
            loop {
                let heard = self.0.heard().await;
                println!("heard {heard:?}");
                if let Heard::Seen(seen) = heard
                    && seen.addresses == [address]
                {
                    assert_eq!(
                        seen.fullname,
                        "Dr Küche abababab._spotify-connect._tcp.local."
                    );
                    return;
                }
            }
        };
        timeout(SOON, listening).await.expect("an announcement");
    }

    async fn sees_it_go(&mut self) {
        let listening = async { while !matches!(self.0.heard().await, Heard::Gone { .. }) {} };
        timeout(SOON, listening).await.expect("a goodbye");
    }

    /// True when nothing at all was announced here for a while.
    async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(1500), self.0.heard())
            .await
            .is_err()
    }
}

fn v4(address: &str) -> Ipv4Addr {
    address.parse().expect("an address")
}

#[test]
fn the_card_is_announced_the_bridge_is_not_and_stopping_says_goodbye() {
    let test = "the_card_is_announced_the_bridge_is_not_and_stopping_says_goodbye";
    in_namespace(test, async {
        ip(HOME);
        let mut phone = Ear::on("eth0", v4("10.1.0.2"));
        let mut container = Ear::on("docker0", v4("172.17.0.1"));
        let started = Instant::now();
        let mut rig = start(&Network::default()).await;
        let (port, addresses) = rig.announced().await;
        println!("announced after {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_millis(1500));
        assert_eq!(addresses, [v4("10.1.0.2")]);
        phone.sees("10.1.0.2").await;
        assert!(container.hears_nothing().await);

        let connect = async |ip: &str| tokio::net::TcpStream::connect((v4(ip), port)).await;
        assert!(connect("10.1.0.2").await.is_ok());
        assert!(connect("172.17.0.1").await.is_err());
        assert!(connect("127.0.0.1").await.is_err());

        let took = rig.end().await;
        println!("ended after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
        phone.sees_it_go().await;
    });
}

#[test]
fn every_skipped_interface_is_told_once_with_its_reason() {
    let test = "every_skipped_interface_is_told_once_with_its_reason";
    in_namespace(test, async {
        ip(HOME);
        let mut rig = start(&Network::default()).await;
        assert_eq!(
            skipped_until_announced_on(1, &mut rig).await,
            [
                "docker0: it is a bridge for containers or virtual machines",
                "far0: it leads into a container (veth)",
                "inside0: it leads into a container (veth)",
                "lo: it reaches this machine only (loopback)",
                "veth12ab: it is a port of docker0",
            ]
        );
        // A change of something else must not tell it all again.
        ip("addr add 10.1.0.3/24 dev eth0");
        let again = skipped_until_announced_on(2, &mut rig).await;
        assert_eq!(again, Vec::<String>::new());
        rig.end().await;
    });
}

async fn skipped_until_announced_on(addresses: usize, rig: &mut Rig) -> Vec<String> {
    let mut skipped = Vec::new();
    rig.told(|notice| match notice {
        Notice::Skipped { interface, reason } => {
            skipped.push(format!("{interface}: {reason}"));
            None
        }
        Notice::Announced { addresses: all, .. } => (all.len() == addresses).then_some(()),
        _ => None,
    })
    .await;
    skipped.sort();
    skipped
}

#[test]
fn an_address_that_appears_is_announced_within_a_second_and_one_that_goes_is_not_any_more() {
    let test =
        "an_address_that_appears_is_announced_within_a_second_and_one_that_goes_is_not_any_more";
    in_namespace(test, async {
        let network = Network {
            allow: vec!["lo".into()],
            ..Network::default()
        };
        // Nothing is up yet, as at boot.
        let mut rig = start(&network).await;
        let condition = rig.raised(ConditionCode::NoNetwork).await;
        assert_eq!(condition.why, "lo: it is down");

        ip("link set lo up");
        let since = Instant::now();
        let (port, addresses) = rig.announced().await;
        println!("announced {:?} after the link", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(1));
        assert_eq!(addresses, [v4("127.0.0.1")]);

        ip("addr add 10.77.0.1/24 dev lo");
        let since = Instant::now();
        let (same_port, addresses) = rig.announced().await;
        println!("announced {:?} after the address", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(1));
        assert_eq!(addresses, [v4("127.0.0.1"), v4("10.77.0.1")]);
        assert_eq!(port, same_port);

        ip("addr del 127.0.0.1/8 dev lo");
        assert_eq!(rig.announced().await.1, [v4("10.77.0.1")]);
        let mut phone = Ear::on("lo", v4("10.77.0.1"));
        phone.sees("10.77.0.1").await;

        ip("link set lo down");
        rig.raised(ConditionCode::NoNetwork).await;
        ip("link set lo up");
        assert_eq!(rig.announced().await.0, port);
        rig.end().await;
    });
}

#[test]
fn a_copy_of_this_machine_and_a_namesake_are_noticed() {
    in_namespace("a_copy_of_this_machine_and_a_namesake_are_noticed", async {
        ip(HOME);
        ip("addr add 10.1.0.9/24 dev eth0");
        let network = Network {
            allow: vec!["10.1.0.2".into()],
            ..Network::default()
        };
        let mut rig = start(&network).await;
        rig.announced().await;
        let service = |id: u8| Service {
            identity: Identity {
                device: DeviceId::from_bytes([id; 20]),
                ..identity()
            },
            port: 4444,
            addresses: vec![v4("10.1.0.9").into()],
        };
        let namesake = Ear::and_say("eth0", v4("10.1.0.9"), vec![service(0xcd)]);
        let condition = rig.raised(ConditionCode::NameTaken).await;
        assert!(condition.what.contains("Dr. Küche too"), "{condition:?}");
        namesake.0.withdraw().await;
        rig.told(|notice| (*notice == Notice::Cleared(ConditionCode::NameTaken)).then_some(()))
            .await;

        let copy = Ear::and_say("eth0", v4("10.1.0.9"), vec![service(0xab)]);
        let condition = rig.raised(ConditionCode::NameTaken).await;
        assert!(condition.why.contains("10.1.0.9"), "{condition:?}");
        copy.0.withdraw().await;
        rig.end().await;
    });
}

#[test]
fn a_port_that_is_taken_is_a_condition_until_it_is_free() {
    in_namespace(
        "a_port_that_is_taken_is_a_condition_until_it_is_free",
        async {
            ip(HOME);
            let holder = std::net::TcpListener::bind("10.1.0.2:4070").expect("free here");
            let identity = Identity {
                port: 4070,
                ..identity()
            };
            let mut rig = Idle::start(&Network::default(), identity).await.run();
            let condition = rig.raised(ConditionCode::NotAnnounced).await;
            assert_eq!(condition.what, "cannot listen on 10.1.0.2:4070");
            drop(holder);
            assert_eq!(rig.announced().await.0, 4070);
            rig.end().await;
        },
    );
}

#[test]
fn an_mdns_port_held_by_another_program_is_a_condition_until_it_is_free() {
    let test = "an_mdns_port_held_by_another_program_is_a_condition_until_it_is_free";
    in_namespace(test, async {
        ip(HOME);
        let holder = std::net::UdpSocket::bind("0.0.0.0:5353").expect("free here");
        let mut rig = start(&Network::default()).await;
        let condition = rig.raised(ConditionCode::NotAnnounced).await;
        assert!(condition.why.contains("5353"), "{condition:?}");
        drop(holder);
        let cleared = Notice::Cleared(ConditionCode::NotAnnounced);
        rig.told(|notice| (*notice == cleared).then_some(())).await;
        rig.announced().await;
        rig.end().await;
    });
}

#[test]
fn other_addresses_are_advertised_when_told_to_and_impossible_ones_are_a_condition() {
    let test = "other_addresses_are_advertised_when_told_to_and_impossible_ones_are_a_condition";
    in_namespace(test, async {
        ip(HOME);
        let advertise = |address: &str| Network {
            advertise: vec![v4(address).into()],
            ..Network::default()
        };
        let mut phone = Ear::on("eth0", v4("10.1.0.2"));
        let mut rig = start(&advertise("10.1.0.77")).await;
        assert_eq!(rig.announced().await.1, [v4("10.1.0.77")]);
        phone.sees("10.1.0.77").await;
        rig.end().await;

        let mut rig = start(&advertise("203.0.113.5")).await;
        let condition = rig.raised(ConditionCode::NotAnnounced).await;
        assert!(condition.why.contains("network.advertise"), "{condition:?}");
        rig.end().await;
    });
}

#[test]
fn a_speaker_with_a_dot_in_its_name_is_known_by_its_name() {
    let test = "a_speaker_with_a_dot_in_its_name_is_known_by_its_name";
    in_namespace(test, async {
        ip(HOME);
        let mut rig = start(&Network::default()).await;
        let (port, addresses) = rig.announced().await;
        let name = names::instance(&identity().name, &identity().device);
        let name = probe::dns::Name::of(&[&name, "_spotify-connect", "_tcp", "local"]);
        let heard = probe::announced(v4("10.1.0.2"), &name, port, &addresses).await;
        assert_eq!(heard, Ok(()));
        rig.end().await;
    });
}

#[test]
fn a_speaker_whose_port_is_lost_is_announced_no_more_until_it_is_back() {
    let test = "a_speaker_whose_port_is_lost_is_announced_no_more_until_it_is_back";
    in_namespace(test, async {
        ip(HOME);
        let mut phone = Ear::on("eth0", v4("10.1.0.2"));
        let identity = Identity {
            port: 4070,
            ..identity()
        };
        let mut idle = Idle::start(&Network::default(), identity).await;
        let mut out = false;
        while !out {
            let heard = heard(idle.discovery.advert.as_mut()).await;
            out = matches!(heard, Heard::Announced(_));
            idle.discovery.on_heard(heard);
        }
        phone.sees("10.1.0.2").await;

        for endpoint in &mut idle.discovery.endpoints {
            endpoint.hang_up().await;
        }
        let holder = std::net::TcpListener::bind("10.1.0.2:4070").expect("free here");
        idle.discovery.refresh().await;
        phone.sees_it_go().await;
        let mut rig = idle.run();
        assert_eq!(rig.announced().await.0, 4070);
        let name = "Dr. Küche".to_owned();
        let gone = Notice::Unannounced { name };
        rig.told(|notice| (*notice == gone).then_some(())).await;
        drop(holder);
        assert_eq!(rig.announced().await.0, 4070);
        rig.end().await;
    });
}

/// A packet full of addresses of hosts that nobody asked for, each with a name of its own.
fn gossip(packet: u32) -> Vec<u8> {
    const RECORDS: u16 = 100;
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0];
    bytes.extend(RECORDS.to_be_bytes());
    bytes.extend([0; 4]);
    for record in 0..RECORDS {
        let label = format!("{packet:08x}{record:08x}");
        bytes.push(16);
        bytes.extend(label.as_bytes());
        bytes.extend(*b"\x05local\0");
        // An address, on the internet, for an hour.
        bytes.extend([0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 10, 1, 0, 9]);
    }
    bytes
}

#[test]
fn what_strangers_fill_the_responder_with_is_let_go_of_and_the_speaker_stays() {
    let test = "what_strangers_fill_the_responder_with_is_let_go_of_and_the_speaker_stays";
    in_namespace(test, async {
        ip(HOME);
        let mut rig = Idle::start(&Network::default(), identity()).await;
        let discovery = &mut rig.discovery;
        // Changes with each announcement.
        let first = discovery.look_away_at;
        discovery.repair(Repair::Relieve).await;
        assert_eq!(discovery.look_away_at, first, "nobody said anything");

        let mouth = std::net::UdpSocket::bind("10.1.0.2:0").expect("a socket");
        let flooded = async {
            for packet in 0.. {
                let records = gossip(packet);
                mouth.send_to(&records, "224.0.0.251:5353").expect("sent");
                discovery.repair(Repair::Relieve).await;
                if discovery.look_away_at != first {
                    break;
                }
            }
        };
        timeout(SOON, flooded).await.expect("a limit");

        let second = discovery.look_away_at;
        let calm = async {
            while discovery.relieve_at.is_some() {
                discovery.repair(Repair::Relieve).await;
            }
        };
        timeout(SOON, calm).await.expect("an end of it");
        assert_eq!(
            discovery.look_away_at, second,
            "this one knows nothing of it"
        );
        let published = discovery.on_air().borrow().speakers[0].clone();
        let Published {
            instance,
            port,
            addresses,
            ..
        } = published;
        let heard = probe::announced(v4("10.1.0.2"), &instance, port, &addresses).await;
        assert_eq!(heard, Ok(()));
    });
}

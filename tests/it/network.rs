//! The network settings, networks that come and go, and the way to Spotify.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use spotify_sim::{
    phone::Found,
    rigs::{Fifo, Network},
};

use crate::{
    lan::{NULL, count, inside, listeners, sees, settings_on, until, watch_in},
    world::{PATIENCE, World, scenario},
};

/// The house's network with the simulation's machine in it: `eth0`, and phones at the far end.
fn plugged_in(world: &World) -> Network {
    let lan = Network::bare().expect("a network");
    let here = ("eth0", "192.168.7.1/24");
    let there = ("eth0", "192.168.7.2/24");
    let network = world.namespace.network();
    network.cable(here, &lan, there).expect("a cable");
    lan
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn the_port_of_the_endpoint_can_be_fixed() {
    scenario(async |world| {
        // Somebody has it, and leaves.
        let taken = TcpListener::bind("10.77.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("its address").port();
        let settings = world.settings(NULL) + &format!("port = {port}\n");
        let daemon = world.start(&settings);
        let told = daemon.says("not_announced").await;
        assert!(told.contains(&format!("10.77.0.1:{port}")), "{told}");
        drop(taken);
        let announced = |found: &Found| found.addresses.contains(&ip("10.77.0.1"));
        let mut watch = world.phone.watch().expect("a phone that looks");
        let found = sees(&mut watch, announced).await;
        assert_eq!(found.port, port);
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        daemon.says("over: not announced").await;
    });
}

#[test]
fn everything_goes_through_the_proxy_and_to_the_port_that_are_set() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        let port = world.sim.port();
        let tunnels = tunnels(&world);
        // The access point and connect-state at the port; what has one fixed address at that.
        let chosen = format!("localhost:{port}");
        assert!(tunnels.contains(&chosen), "{tunnels:?}");
        for host in ["apresolve", "clienttoken", "login5"] {
            let fixed = format!("{host}.spotify.com:443");
            assert!(tunnels.contains(&fixed), "{fixed} is not in {tunnels:?}");
        }
        let other = |target: &&String| **target != chosen && !target.ends_with(":443");
        assert_eq!(tunnels.iter().find(other), None);
        daemon.stop().await;
    });
}

#[test]
fn an_access_point_on_another_port_than_the_set_one_is_never_asked() {
    scenario(async |world| {
        let port = format!("ap_port = {}", world.sim.port());
        let settings = world.settings(NULL).replace(&port, "ap_port = 4070");
        let daemon = world.start(&settings);
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 202);
        daemon.says("spotify_unreachable").await;
        let tunnels = tunnels(&world);
        let fixed = |target: &String| target.ends_with(".spotify.com:443");
        assert!(
            !tunnels.is_empty() && tunnels.iter().all(fixed),
            "{tunnels:?}"
        );
        assert_eq!(world.sim.record().count(spotify_sim::Place::ApConnect), 0);
    });
}

#[test]
fn a_proxy_that_is_not_there_is_a_condition() {
    scenario(async |world| {
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let proxy = format!("http://{}", nobody.expect("a free port"));
        let settings = world.settings(NULL).replace(&world.sim.proxy_url(), &proxy);
        let daemon = world.start(&settings);
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 202);
        daemon.says("spotify_unreachable").await;
        assert_eq!(world.sim.record().all().len(), 0);
        assert_eq!(world.info(&found).await.active_user, "");
    });
}

/// Where the receiver asked the proxy to lead it, each once.
fn tunnels(world: &World) -> Vec<String> {
    let entries = world.sim.record().all();
    let asked = entries
        .iter()
        .filter_map(|entry| entry.text.strip_prefix("proxy to "));
    let mut asked: Vec<_> = asked.map(str::to_owned).collect();
    asked.sort();
    asked.dedup();
    asked
}

#[test]
fn by_default_only_the_network_card_is_used_and_the_log_says_why_not_the_others() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        network
            .add_bridge("docker0", "172.17.0.1/16")
            .expect("a bridge");
        let container = Network::bare().expect("a network");
        let inner = ("veth1a2b", "172.18.0.1/16");
        network
            .cable(inner, &container, ("eth0", "172.18.0.2/16"))
            .expect("a cable");
        network
            .ip("link add eth1 type veth peer name unplugged")
            .expect("a card");
        network
            .set_link("eth1", true)
            .expect("a card without a cable");

        let mut watch = watch_in(&lan);
        let started = Instant::now();
        let daemon = world.start(&settings_on(&world, NULL, ""));
        let found = sees(&mut watch, |_| true).await;
        println!("announced {:?} after its start", started.elapsed());
        assert_eq!(found.addresses, [ip("192.168.7.1")]);
        let wanted: [Ipv4Addr; 1] = [[192, 168, 7, 1].into()];
        assert_eq!(listeners(daemon.pid(), found.port), wanted);
        assert_eq!(world.hand_over(&found, "kim").await, 101);

        for (interface, reason) in [
            ("lo", "it reaches this machine only (loopback)"),
            (
                "docker0",
                "it is a bridge for containers or virtual machines",
            ),
            ("veth1a2b", "it leads into a container (veth)"),
            ("eth1", "it is not connected (no carrier)"),
            ("unplugged", "it leads into a container (veth)"),
        ] {
            assert_eq!(count(&daemon, &format!("not on {interface}: {reason}")), 1);
            assert_eq!(count(&daemon, &format!("not on {interface}:")), 1);
        }
        assert_eq!(count(&daemon, "not on "), 5);
        let announced = daemon.says("is announced at").await;
        let at = format!("“Kitchen” is announced at 192.168.7.1:{}", found.port);
        assert!(announced.ends_with(&at), "{announced}");

        // Goodbye, so that nobody is offered a speaker that is gone.
        let instance = found.instance;
        let (gone, (status, _)) = tokio::join!(
            watch.until_gone(&instance, Duration::from_secs(3)),
            daemon.stop(),
        );
        gone.unwrap_or_else(|error| panic!("{error}"));
        assert!(status.success());
    });
}

#[test]
fn interfaces_are_allowed_and_denied_by_name_glob_and_network() {
    scenario(async |world| {
        let _lan = plugged_in(&world);
        let network = world.namespace.network();
        let attic = Network::bare().expect("a network");
        let here = ("wlan0", "10.9.0.1/24");
        network
            .cable(here, &attic, ("wlan0", "10.9.0.2/24"))
            .expect("a cable");
        network
            .add_address("wlan0", "10.8.0.1/24")
            .expect("a second address");
        let card = [192, 168, 7, 1];
        let (wlan, second) = ([10, 9, 0, 1], [10, 8, 0, 1]);
        let cases: [(&str, &[[u8; 4]]); 8] = [
            ("", &[second, wlan, card]),
            ("allow = [\"eth0\"]", &[card]),
            ("allow = [\"w*\"]", &[second, wlan]),
            ("allow = [\"10.9.0.0/16\"]", &[wlan]),
            (
                "allow = [\"lo\", \"192.168.0.0/16\"]",
                &[[10, 77, 0, 1], [127, 0, 0, 1], card],
            ),
            ("deny = [\"wlan?\"]", &[card]),
            ("deny = [\"10.8.0.1\", \"eth0\"]", &[wlan]),
            (
                "allow = [\"eth0\", \"wlan0\"]\ndeny = [\"10.0.0.0/8\"]",
                &[card],
            ),
        ];
        for (lines, wanted) in cases {
            let settings = settings_on(&world, NULL, &format!("{lines}\n"));
            let daemon = world.start(&settings);
            let told = daemon.says("is announced at").await;
            let port = told
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            let port = port.unwrap_or_else(|| panic!("no port in {told}"));
            let wanted: Vec<Ipv4Addr> = wanted.iter().map(|ip| Ipv4Addr::from(*ip)).collect();
            assert_eq!(listeners(daemon.pid(), port), wanted, "{lines}");
            for ip in &wanted {
                assert!(told.contains(&format!("{ip}:{port}")), "{lines}: {told}");
            }
            let announced = told.matches(&format!(":{port}")).count();
            assert_eq!(announced, wanted.len(), "{lines}: {told}");
        }
    });
}

#[test]
fn a_denied_network_hears_nothing_of_the_speaker() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        let guests = Network::bare().expect("a network");
        let here = ("eth1", "10.9.0.1/24");
        network
            .cable(here, &guests, ("eth1", "10.9.0.2/24"))
            .expect("a cable");
        let mut at_home = watch_in(&lan);
        let mut visiting = watch_in(&guests);
        let _daemon = world.start(&settings_on(&world, NULL, "deny = [\"eth1\"]\n"));
        let found = sees(&mut at_home, |_| true).await;
        assert_eq!(found.addresses, [ip("192.168.7.1")]);
        // Said twice a second apart, and asked for by the phones all the time.
        assert_eq!(visiting.next(Duration::from_millis(1500)).await, None);
        let gate = std::net::SocketAddr::new(ip("10.9.0.1"), found.port);
        let knock = |at| std::net::TcpStream::connect_timeout(&at, Duration::from_secs(1));
        let refused = inside(&guests, || knock(gate)).expect_err("nobody listens here");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn without_a_network_it_waits_and_appears_as_soon_as_there_is_an_address() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        network
            .remove_address("eth0", "192.168.7.1/24")
            .expect("no address");
        let fifo = crate::lan::fifo();
        let daemon = world.start(&settings_on(&world, &on(&fifo), ""));
        let told = daemon.says("no_network").await;
        assert!(told.contains("eth0: it has no IPv4 address"), "{told}");
        let mut watch = watch_in(&lan);

        let appears = async |watch: &mut _, address: &str| {
            let begun = Instant::now();
            network
                .add_address("eth0", &format!("{address}/24"))
                .expect("an address");
            let here = |found: &Found| found.addresses.contains(&ip(address));
            let found = sees(watch, here).await;
            let took = begun.elapsed();
            println!("announced {took:?} after {address} appeared");
            assert!(took < Duration::from_secs(3), "{took:?}");
            found
        };
        let found = appears(&mut watch, "192.168.7.1").await;
        daemon.says("over: no network").await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        let app = world.listed("kim").await;
        crate::lan::play(&world, &app, "Staircase").await;

        // The address goes and another comes: the speaker follows, and the music does not care.
        network
            .remove_address("eth0", "192.168.7.1/24")
            .expect("no address");
        until("the second notice", PATIENCE, || {
            count(&daemon, "no_network") == 2
        })
        .await;
        until("nobody listens", PATIENCE, || {
            listeners(daemon.pid(), found.port).is_empty()
        })
        .await;
        let heard = fifo.capture().len();
        appears(&mut watch, "192.168.7.77").await;
        crate::world::hears(&fifo, heard + 22_050).await;
        assert!(app.state().playing);
        assert_eq!(daemon.engines().len(), 1);
    });
}

#[test]
fn a_second_network_that_goes_away_leaves_the_first_alone() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        let daemon = world.start(&settings_on(&world, NULL, ""));
        let mut watch = watch_in(&lan);
        let found = sees(&mut watch, |_| true).await;
        let attic = Network::bare().expect("a network");
        let here = ("eth1", "10.9.0.1/24");
        network
            .cable(here, &attic, ("eth1", "10.9.0.2/24"))
            .expect("a cable");
        let mut above = watch_in(&attic);
        let there = sees(&mut above, |found| {
            found.addresses.contains(&ip("10.9.0.1"))
        })
        .await;
        assert_eq!((&there.instance, there.port), (&found.instance, found.port));
        network.remove_link("eth1").expect("unplugged");
        let only = || listeners(daemon.pid(), found.port) == [Ipv4Addr::new(192, 168, 7, 1)];
        until("only the first is left", PATIENCE, only).await;
        let gone = watch
            .until_gone(&found.instance, Duration::from_secs(2))
            .await;
        assert!(
            gone.is_err(),
            "phones on the first network lost the speaker"
        );
        assert_eq!(world.hand_over(&found, "kim").await, 101);
    });
}

fn on(fifo: &Fifo) -> String {
    crate::world::pipe_to(fifo.path())
}

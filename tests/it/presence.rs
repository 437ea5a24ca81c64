//! Whether a phone could pick the speaker is asked from the outside, and what fails is mended.

use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use spotify_sim::{phone::Found, rigs::Network};
use tokio::time::timeout;

use crate::{
    ask::{ask, siskin},
    lan::{NULL, fifo, inside, one_engine, plays, sees, settings_on, until, watch_in},
    service::Told,
    world::{Daemon, PATIENCE, World, hears, scenario, shows},
};

/// A heartbeat, an answer that does not come, and another engine.
const HUNG: Duration = Duration::from_secs(45);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The house's network with the simulation's machine in it: `eth0`, and phones at the far end.
fn plugged_in(world: &World) -> Network {
    let lan = Network::bare().expect("a network");
    let network = world.namespace.network();
    let (here, there) = (("eth0", "192.168.7.1/24"), ("eth0", "192.168.7.2/24"));
    network.cable(here, &lan, there).expect("a cable");
    lan
}

/// How a part of the way to the speaker stands, as `siskin status --json` has it.
async fn stands(world: &World, part: &str) -> String {
    let said = siskin(world, &["status", "--json"]).await;
    let house: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let state = &house["speakers"][0]["presence"][part]["state"];
    state.as_str().unwrap_or_default().to_owned()
}

async fn comes_to(world: &World, part: &str, state: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = stands(world, part).await;
        if now == state {
            return;
        }
        assert!(Instant::now() < end, "{part} is {now}, never {state}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits for a line in the log for longer than usual.
async fn says_in(daemon: &Daemon, words: &str, limit: Duration) {
    let said = || daemon.log().iter().any(|line| line.contains(words));
    until(words, limit, said).await;
}

#[test]
fn every_part_of_the_way_from_a_phone_to_the_music_is_seen_to_be_fine() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        for part in ["announced", "endpoint"] {
            comes_to(&world, part, "ok").await;
            assert_eq!(stands(&world, "session").await, "unknown");
        }
        world.sign_in("kim").await;
        for part in [
            "engine",
            "session",
            "dealer",
            "listed",
            "announced",
            "endpoint",
        ] {
            comes_to(&world, part, "ok").await;
        }
        let (status, log) = daemon.stop().await;
        assert!(status.success());
        let repaired = log.iter().find(|line| line.contains("repairing"));
        assert_eq!(repaired, None, "nothing was wrong");
    });
}

#[test]
fn a_name_with_dots_and_umlauts_is_found_like_any_other() {
    scenario(async |world| {
        let settings = world.settings(NULL).replace("Kitchen", "Küche Nr. 5.1");
        let daemon = world.start(&settings);
        comes_to(&world, "announced", "ok").await;
        assert_eq!(stands(&world, "endpoint").await, "ok");
        let (_, log) = daemon.stop().await;
        assert!(
            !log.iter().any(|line| line.contains("repairing")),
            "{log:#?}"
        );
    });
}

#[test]
fn multicast_that_is_blocked_is_told_and_no_reason_to_be_killed_and_over_when_it_is_let_through() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        let socket = world.dir().join("notify");
        let told = Told::at(&socket);
        let block = "xfrm policy add src 0.0.0.0/0 dst 224.0.0.251/32 dir in action block";
        network.ip(block).expect("a wall");
        let daemon = world.start_with(&settings_on(&world, NULL, ""), |command| {
            command
                .env("NOTIFY_SOCKET", &socket)
                .env("WATCHDOG_USEC", "400000");
        });
        let said = daemon.says("announcement_unheard").await;
        assert!(
            said.contains("on eth0, multicast does not come back"),
            "{said}"
        );
        comes_to(&world, "announced", "failed").await;
        let before = told.count("WATCHDOG=1");
        let alive = || told.count("WATCHDOG=1") > before + 2;
        until("signs of life", PATIENCE, alive).await;
        network.ip("xfrm policy flush").expect("no wall");
        says_in(
            &daemon,
            "over: announcement unheard",
            Duration::from_secs(30),
        )
        .await;
        comes_to(&world, "announced", "ok").await;
        let mut watch = watch_in(&lan);
        let found = sees(&mut watch, |_| true).await;
        assert_eq!(found.addresses, [ip("192.168.7.1")]);
    });
}

#[test]
fn an_endpoint_that_does_not_answer_is_opened_anew() {
    scenario(async |world| {
        let _lan = plugged_in(&world);
        let network = world.namespace.network();
        // What the machine says to itself passes the walls otherwise.
        inside(network, || {
            fs::write("/proc/sys/net/ipv4/conf/lo/disable_policy", "0").expect("a setting");
        });
        let daemon = world.start(&settings_on(&world, NULL, ""));
        let announced = daemon.says("is announced at").await;
        let port = announced.rsplit(':').next().expect("a port").to_owned();
        network
            .ip(&format!(
                "xfrm policy add dir in proto tcp dport {port} action block"
            ))
            .expect("a wall");
        // A change of the network is looked at at once, not in twenty seconds.
        network
            .add_address("eth0", "192.168.7.9/24")
            .expect("an address");
        daemon.says("endpoint_dead").await;
        daemon
            .says("repairing the announcement: the endpoints")
            .await;
        network.ip("xfrm policy flush").expect("no wall");
        says_in(&daemon, "over: endpoint dead", Duration::from_secs(30)).await;
        let found = world.namespace.network();
        let at = std::net::SocketAddr::new(ip("192.168.7.1"), port.parse().expect("a port"));
        let knocked = inside(found, || std::net::TcpStream::connect(at).map(drop));
        knocked.expect("somebody listens at the same port");
    });
}

#[test]
fn an_engine_that_hangs_is_replaced_and_the_music_comes_back_by_itself() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let hung = one_engine(&daemon).await;
        kill(Pid::from_raw(hung as i32), Signal::SIGSTOP).expect("it lives");
        let begun = Instant::now();
        let replaced = || !daemon.engines().is_empty() && !daemon.engines().contains(&hung);
        until("another engine", HUNG, replaced).await;
        println!("replaced after {:?}", begun.elapsed());
        daemon.says("it hung: no answer within 7 s").await;
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
        shows(&app, "a playing track", |state| state.playing).await;
        comes_to(&world, "engine", "ok").await;
    });
}

#[test]
fn who_presses_while_the_engine_hangs_is_answered_and_takes_nobody_elses_place() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        let hung = one_engine(&daemon).await;
        kill(Pid::from_raw(hung as i32), Signal::SIGSTOP).expect("it lives");
        let pause = || ask(&world, "POST", "/api/v1/speakers/main/pause", None);
        // More than may be under way at once.
        let answers = join_all((0..40).map(|_| pause())).await;
        assert!(answers.iter().all(|answer| answer.status != 200));
        let begun = Instant::now();
        loop {
            let answer = pause().await;
            if answer.json.to_string().contains("lost meanwhile") {
                break;
            }
            assert!(begun.elapsed() < HUNG, "{:?}", answer.json);
            assert_eq!(answer.code(), "timed_out", "{:?}", answer.json);
        }
        let obeys = async || {
            while pause().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, obeys()).await.expect("obeyed again");
    });
}

#[test]
fn without_a_network_the_daemon_is_not_killed_and_a_second_interface_is_announced_on_at_once() {
    scenario(async |world| {
        let lan = plugged_in(&world);
        let network = world.namespace.network();
        network.set_link("eth0", false).expect("unplugged");
        let socket = world.dir().join("notify");
        let told = Told::at(&socket);
        let daemon = world.start_with(&settings_on(&world, NULL, ""), |command| {
            command
                .env("NOTIFY_SOCKET", &socket)
                .env("WATCHDOG_USEC", "400000");
        });
        daemon.says("no_network").await;
        let alive = || told.count("WATCHDOG=1") > 3;
        until("signs of life", PATIENCE, alive).await;
        network.set_link("eth0", true).expect("plugged in");
        let mut watch = watch_in(&lan);
        sees(&mut watch, |_| true).await;
        comes_to(&world, "announced", "ok").await;
        // Another network appears.
        let attic = Network::bare().expect("a network");
        let (here, there) = (("eth1", "10.9.0.1/24"), ("eth1", "10.9.0.2/24"));
        network.cable(here, &attic, there).expect("a cable");
        let mut above = watch_in(&attic);
        let is_new = |found: &Found| found.addresses.contains(&ip("10.9.0.1"));
        let found = sees(&mut above, is_new).await;
        comes_to(&world, "endpoint", "ok").await;
        comes_to(&world, "announced", "ok").await;
        // And its address changes.
        network.remove_address("eth1", "10.9.0.1/24").expect("gone");
        network
            .add_address("eth1", "10.9.0.77/24")
            .expect("another");
        let moved = |found: &Found| found.addresses.contains(&ip("10.9.0.77"));
        let again = sees(&mut above, moved).await;
        assert_eq!(again.port, found.port);
        comes_to(&world, "announced", "ok").await;
        let repaired = daemon
            .log()
            .into_iter()
            .find(|line| line.contains("repairing"));
        assert_eq!(repaired, None, "nothing was broken");
    });
}

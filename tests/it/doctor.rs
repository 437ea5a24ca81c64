//! `siskin doctor`: what it finds, beside a daemon and without one.

use std::{
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use crate::{
    ask::{Answer, ask, status_says},
    http::answers,
    lan::{NULL, fifo, one_engine, plays},
    world::{World, binary, hears, scenario},
};

/// Its findings by code, with their severity; its facts; and its exit code.
struct Found {
    value: Value,
    code: Option<i32>,
}

impl Found {
    fn severity(&self, code: &str) -> Option<&str> {
        let all = self.value["findings"].as_array()?;
        let one = all.iter().find(|one| one["code"] == code)?;
        for part in ["what", "why", "cure"] {
            assert!(
                one[part].as_str().is_some_and(|text| !text.is_empty()),
                "{one}"
            );
        }
        one["severity"].as_str()
    }

    fn has_fact(&self, words: &str) -> bool {
        let facts = self.value["facts"].as_array().expect("facts");
        facts
            .iter()
            .any(|fact| fact.as_str().is_some_and(|text| text.contains(words)))
    }
}

async fn doctor(world: &World, certificates: Option<&str>) -> Found {
    let mut command = Command::new(binary());
    command
        .args(["doctor", "--json", "--config"])
        .arg(world.dir().join("config.toml"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.dir())
        .envs(world.sim.env());
    if let Some(file) = certificates {
        command.env("SSL_CERT_FILE", file);
    }
    let done = command.output().await.expect("siskin runs");
    let value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&done.stdout));
    });
    Found {
        value,
        code: done.status.code(),
    }
}

fn configured(world: &World, settings: &str) {
    fs::write(world.dir().join("config.toml"), settings).expect("written");
}

#[test]
fn beside_a_healthy_daemon_it_finds_nothing_wrong_and_says_what_is_so() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        let found = doctor(&world, None).await;
        assert_eq!(found.value["healthy"], true, "{:#}", found.value);
        assert_eq!(found.code, Some(0));
        for fact in [
            "used: lo (127.0.0.1, 10.77.0.1)",
            "lo: “Kitchen",
            "is announced by this machine",
            "the speaker Kitchen runs, announced at",
            "login5.spotify.com is reached, and proves who it is",
        ] {
            assert!(found.has_fact(fact), "{fact}: {:#}", found.value);
        }
        assert_eq!(found.severity("output_null"), Some("notice"));
        assert_eq!(found.severity("port_5353_shared"), None, "it is siskin");
        daemon.stop().await;
    });
}

#[test]
fn beside_a_daemon_its_own_settings_count_and_not_those_that_are_found() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        let named = json!({"name": "Den"});
        let route = "/api/v1/speakers/main/name";
        assert_eq!(ask(&world, "POST", route, Some(named)).await.status, 200);
        // What somebody finds who knows nothing of the flags that the daemon was started with.
        let state = world.dir().join("state");
        let other = format!(
            "name = \"Elsewhere\"\nstate_dir = {state:?}\n[output]\ndevice = \"hw:CARD=NoSuchCard\"\n\
             [network]\nallow = [\"eth7\"]\n"
        );
        configured(&world, &other);
        let found = doctor(&world, None).await;
        assert_eq!(found.value["healthy"], true, "{:#}", found.value);
        assert_eq!(found.code, Some(0));
        for fact in [
            "seen by the siskin that runs",
            "used: lo (127.0.0.1, 10.77.0.1)",
            "the speaker Den runs, announced at",
            "login5.spotify.com is reached, and proves who it is",
        ] {
            assert!(found.has_fact(fact), "{fact}: {:#}", found.value);
        }
        let text = found.value.to_string();
        assert!(text.contains("Den makes no sound at all"), "{text}");
        for elsewhere in ["NoSuchCard", "Elsewhere", "eth7"] {
            assert!(!text.contains(elsewhere), "{text}");
        }
        daemon.stop().await;
        let found = doctor(&world, None).await;
        assert!(found.has_fact("seen from here"), "{:#}", found.value);
        assert_eq!(found.severity("output_lost"), Some("trouble"));
    });
}

/// Asks a daemon to have the doctor look.
async fn asked(world: &World) -> Answer {
    ask(world, "POST", "/api/v1/doctor", Some(json!({}))).await
}

#[test]
fn a_daemon_has_it_look_one_at_a_time_while_the_music_goes_on() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        let mark = fifo.capture().len();
        let (one, other) = tokio::join!(asked(&world), asked(&world));
        let (done, refused) = match one.status {
            200 => (one, other),
            _ => (other, one),
        };
        assert_eq!((refused.status, refused.code()), (409, "conflict"));
        assert_eq!(done.status, 200, "{done:?}");
        let found = Found {
            value: done.json.clone(),
            code: None,
        };
        assert_eq!(found.value["healthy"], true, "{:#}", found.value);
        for fact in [
            "is announced by this machine",
            "the speaker Kitchen runs, announced at",
            "Kitchen plays at this moment; its output is left alone",
            "login5.spotify.com is reached, and proves who it is",
        ] {
            assert!(found.has_fact(fact), "{fact}: {:#}", found.value);
        }
        // Whoever asks again at once is told the same, and costs nothing.
        let again = Instant::now();
        assert_eq!(asked(&world).await.json, done.json);
        assert!(again.elapsed() < Duration::from_millis(500));
        assert_eq!(one_engine(&daemon).await, engine, "nothing is left of it");
        assert!(app.state().playing);
        let heard = fifo.capture().split_off(mark);
        assert_eq!(
            spotify_sim::listen::playing(&heard).len(),
            1,
            "without a gap"
        );
    });
}

#[test]
fn a_daemon_without_a_socket_can_have_it_look_too() {
    scenario(async |world| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let settings = format!("socket = \"none\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{NULL}");
        let daemon = world.start(&world.settings(&settings));
        answers(port).await;
        daemon.says("is announced at").await;
        let token = fs::read_to_string(world.dir().join("state/http-token")).expect("a token");
        let request = format!(
            "POST /api/v1/doctor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{{}}",
            token.trim()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let found = Found {
            value: serde_json::from_str(body).expect("JSON"),
            code: None,
        };
        assert_eq!(found.severity("no_daemon"), None, "{:#}", found.value);
        assert_eq!(found.severity("output_null"), Some("notice"));
        assert!(
            found.has_fact("the speaker Kitchen runs"),
            "{:#}",
            found.value
        );
    });
}

#[test]
fn without_a_daemon_that_is_what_is_wrong() {
    scenario(async |world| {
        configured(&world, &world.settings(NULL));
        let found = doctor(&world, None).await;
        assert_eq!(found.severity("no_daemon"), Some("trouble"));
        assert_eq!(found.code, Some(1));
        assert!(found.has_fact("used: lo"), "{:#}", found.value);
    });
}

#[test]
fn an_interface_that_is_not_there_is_told_with_those_that_there_are() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let settings = settings.replace("allow = [\"lo\"]", "allow = [\"eth7\"]");
        let daemon = world.start(&settings);
        let words = "there is no interface eth7; there is lo";
        let told = daemon.says("no_network").await;
        assert!(told.contains(words), "{told}");
        status_says(&world, "Kitchen").await;
        let found = doctor(&world, None).await;
        assert_eq!(found.severity("no_network"), Some("trouble"));
        assert!(found.value.to_string().contains(words), "{}", found.value);
        daemon.stop().await;
        let found = doctor(&world, None).await;
        assert_eq!(found.severity("no_network"), Some("trouble"));
        assert!(found.value.to_string().contains(words), "{}", found.value);
    });
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_the_rest_is_looked_at_anyway() {
    scenario(async |world| {
        configured(&world, &world.settings("volume = 3\n"));
        let found = doctor(&world, None).await;
        assert_eq!(found.severity("config_invalid"), Some("trouble"));
        let text = found.value.to_string();
        assert!(text.contains("config.toml:3"), "{text}");
        assert_eq!(found.severity("no_daemon"), Some("trouble"));
        assert_eq!(found.code, Some(1));
    });
}

#[test]
fn a_card_that_is_not_there_a_proxy_that_is_gone_and_no_certificates_are_found() {
    scenario(async |world| {
        let output = "[output]\ndevice = \"hw:CARD=NoSuchCard,DEV=0\"\n";
        let settings = world.settings(output);
        configured(&world, &settings);
        let found = doctor(&world, Some("/dev/null")).await;
        assert_eq!(
            found.severity("output_lost"),
            Some("trouble"),
            "{:#}",
            found.value
        );
        assert_eq!(found.severity("no_certificates"), Some("trouble"));
        assert_eq!(
            found.severity("tls_failed"),
            Some("trouble"),
            "{:#}",
            found.value
        );
        let gone = settings.replace(&world.sim.proxy_url(), "http://127.0.0.1:9");
        configured(&world, &gone);
        assert_eq!(
            doctor(&world, None).await.severity("proxy_failed"),
            Some("trouble")
        );
        // Without a proxy, a machine without a name server.
        let proxy = format!("proxy = \"{}\"\n", world.sim.proxy_url());
        configured(&world, &settings.replace(&proxy, ""));
        assert_eq!(
            doctor(&world, None).await.severity("dns_failed"),
            Some("trouble")
        );
    });
}

#[test]
fn whoever_shares_the_port_of_mdns_is_named() {
    scenario(async |world| {
        let other = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        other.set_reuse_address(true).expect("shared");
        other.set_reuse_port(true).expect("shared");
        let at = std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5353));
        other.bind(&at.into()).expect("bound");
        let _daemon = world.start(&world.settings(NULL));
        world.find().await;
        let found = doctor(&world, None).await;
        assert_eq!(
            found.severity("port_5353_shared"),
            Some("notice"),
            "{:#}",
            found.value
        );
        // This program itself.
        let own = fs::read_to_string("/proc/self/comm").expect("a name");
        let text = found.value.to_string();
        assert!(
            text.contains(&format!("\"why\":\"{}\"", own.trim())),
            "{text}"
        );
        assert_eq!(found.code, Some(0), "{:#}", found.value);
    });
}

#[test]
fn a_guest_who_was_refused_is_told_in_the_daemons_own_words() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "fred").await, 202);
        let found = doctor(&world, None).await;
        assert_eq!(found.severity("guest_refused"), Some("notice"));
        assert_eq!(found.code, Some(0), "{:#}", found.value);
    });
}

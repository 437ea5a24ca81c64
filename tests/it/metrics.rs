//! Numbers about the speaker: read by a parser that is not ours, and compared with what happened.

use std::{collections::BTreeMap, process::Stdio, time::Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    process::Command,
};

use crate::{
    ask::{ask, socket, status_says},
    http,
    lan::{NULL, one_engine, plays, resident_kb},
    world::{Daemon, PATIENCE, World, scenario},
};

/// The parser of Prometheus' own client library, which takes nothing that is not OpenMetrics.
const PARSER: &str = "
import sys, json
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in parse(sys.stdin.read())]))
";

/// Asks over the socket; head and body.
async fn get(world: &World) -> (String, String) {
    let mut stream = UnixStream::connect(socket(world))
        .await
        .expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: siskin\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_lowercase(), body.to_owned())
}

/// All samples by their names and labels.
struct Scrape(BTreeMap<String, Vec<(Value, f64)>>);

impl Scrape {
    async fn of(world: &World) -> Self {
        let (head, body) = get(world).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(
            head.contains("application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        let mut parser = Command::new("/usr/bin/python3")
            .args(["-c", PARSER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed by scripts/setup.sh test");
        let mut stdin = parser.stdin.take().expect("its input");
        stdin.write_all(body.as_bytes()).await.expect("taken");
        drop(stdin);
        let parsed = parser.wait_with_output().await.expect("it ends");
        let said = String::from_utf8_lossy(&parsed.stderr);
        assert!(parsed.status.success(), "{said}\n{body}");
        let families: Value = serde_json::from_slice(&parsed.stdout).expect("JSON");
        let mut samples = BTreeMap::<_, Vec<_>>::new();
        for family in families.as_array().expect("families") {
            for sample in family[3].as_array().expect("samples") {
                let name = sample[0].as_str().expect("a name").to_owned();
                let value = sample[2].as_f64().expect("a value");
                samples
                    .entry(name)
                    .or_default()
                    .push((sample[1].clone(), value));
            }
        }
        Self(samples)
    }

    /// The one sample of this name with these labels among its own.
    fn get(&self, name: &str, labels: &Value) -> Option<f64> {
        let wanted = labels.as_object().expect("labels");
        let fits = |known: &Value| wanted.iter().all(|(name, value)| known[name] == *value);
        let all = self.0.get(name)?;
        let mut found = all.iter().filter(|(known, _)| fits(known));
        let value = found.next()?.1;
        assert!(found.next().is_none(), "{name} {labels} more than once");
        Some(value)
    }

    fn of_main(&self, name: &str) -> f64 {
        let value = self.get(name, &json!({"speaker": "main"}));
        value.unwrap_or_else(|| panic!("no {name}: {:?}", self.0.get(name)))
    }
}

/// Scrapes until it fits.
async fn shows(world: &World, what: &str, fits: impl Fn(&Scrape) -> bool) -> Scrape {
    let end = Instant::now() + PATIENCE;
    loop {
        let scrape = Scrape::of(world).await;
        if fits(&scrape) {
            return scrape;
        }
        assert!(Instant::now() < end, "never {what}: {:?}", scrape.0);
    }
}

async fn order(world: &World, what: &str, body: Value) -> u16 {
    let route = format!("/api/v1/speakers/main/{what}");
    ask(world, "POST", &route, Some(body)).await.status
}

#[test]
fn a_scrape_says_what_happened() {
    scenario(async |world| {
        let hook = "[[hook]]\non = [\"paused\"]\nrun = [\"/bin/true\"]\n\
                    [[hook]]\non = [\"paused\"]\nrun = [\"/bin/false\"]\n";
        let daemon = world.start(&(world.settings(NULL) + hook));
        status_says(&world, "Kitchen").await;
        let bare = Scrape::of(&world).await;
        assert_eq!(bare.of_main("siskin_playing"), 0.0);
        assert_eq!(
            bare.get("siskin_buffer_seconds", &json!({})),
            None,
            "no engine"
        );
        assert_eq!(order(&world, "pause", json!({})).await, 409);

        plays(&world, "kim", "Dozen").await;
        let main = |more: Value| {
            let mut labels = json!({"speaker": "main"});
            for (name, value) in more.as_object().expect("labels") {
                labels[name] = value.clone();
            }
            labels
        };
        let playing = shows(&world, "music", |scrape| {
            scrape.of_main("siskin_playing") == 1.0
                && scrape.0.contains_key("siskin_position_drift_seconds")
                && scrape.of_main("siskin_buffer_seconds") > 0.5
        })
        .await;
        assert_eq!(playing.of_main("siskin_active"), 1.0);
        for layer in ["session", "dealer", "listing"] {
            let labels = main(json!({"layer": layer}));
            assert_eq!(
                playing.get("siskin_layer_up", &labels),
                Some(1.0),
                "{layer}"
            );
        }
        assert!(playing.of_main("siskin_buffer_depth_seconds") >= 1.0);
        assert!(playing.of_main("siskin_buffer_seconds") <= 2.1);
        assert!(playing.of_main("siskin_position_drift_seconds").abs() < 0.5);
        assert!(playing.of_main("siskin_cdn_latency_seconds_count") >= 1.0);
        assert_eq!(playing.of_main("siskin_output_gaps_total"), 0.0);
        let engine = one_engine(&daemon).await;
        for (process, pid) in [("daemon", daemon.pid()), ("engine", engine)] {
            let labels = json!({"process": process});
            let told = playing.get("siskin_resident_memory_bytes", &labels);
            let (told, real) = (told.expect(process), resident_kb(pid) as f64 * 1024.0);
            assert!(
                (0.5..2.0).contains(&(told / real)),
                "{process}: {told} of {real}"
            );
        }
        // The kernel counts in hundredths, and so much is soon spent on being asked.
        shows(&world, "processor time", |scrape| {
            ["daemon", "engine"].iter().all(|process| {
                let labels = json!({"process": process});
                let spent = scrape.get("siskin_cpu_seconds_total", &labels);
                spent.is_some_and(|spent| spent > 0.0)
            })
        })
        .await;

        for _ in 0..3 {
            assert_eq!(order(&world, "volume", json!({"percent": 20})).await, 200);
        }
        assert_eq!(order(&world, "pause", json!({})).await, 200);
        let pause = json!({"order": "pause"});
        let hooks = |scrape: &Scrape, hook: &str, outcome: &str| {
            let labels = json!({"hook": hook, "outcome": outcome});
            scrape.get("siskin_hook_runs_total", &labels)
        };
        let failing = json!({"code": "hook_fails", "severity": "notice"});
        let paused = shows(&world, "both hooks, and that one fails", |scrape| {
            hooks(scrape, "true", "done").is_some()
                && hooks(scrape, "false", "failed").is_some()
                && scrape.get("siskin_condition", &failing) == Some(1.0)
        })
        .await;
        assert_eq!(hooks(&paused, "true", "done"), Some(1.0));
        assert_eq!(hooks(&paused, "true", "failed"), None);
        assert_eq!(paused.of_main("siskin_playing"), 0.0);
        assert_eq!(paused.of_main("siskin_volume_ratio"), 0.2);
        let count = "siskin_order_latency_seconds_count";
        assert_eq!(paused.get(count, &pause), Some(1.0));
        assert_eq!(paused.get(count, &json!({"order": "volume"})), Some(3.0));
        let beyond = json!({"order": "pause", "le": "30.0"});
        let bucket = "siskin_order_latency_seconds_bucket";
        assert_eq!(paused.get(bucket, &beyond), Some(1.0));
        let refused = json!({"code": "not_active"});
        let nobody = json!({"code": "nobody_signed_in"});
        let name = "siskin_orders_refused_total";
        let refused = [paused.get(name, &refused), paused.get(name, &nobody)];
        assert_eq!(refused.iter().flatten().sum::<f64>(), 1.0);
        kill(Pid::from_raw(engine as i32), Signal::SIGKILL).expect("it lives");
        let lost = main(json!({"cause": "engine"}));
        let again = shows(&world, "another engine", |scrape| {
            scrape.get("siskin_reconnects_total", &lost).is_some()
                && scrape.get("siskin_layer_up", &main(json!({"layer": "listing"}))) == Some(1.0)
        })
        .await;
        assert_eq!(again.get("siskin_reconnects_total", &lost), Some(1.0));
    });
}

#[test]
fn strangers_on_the_network_are_told_nothing() {
    scenario(async |world| {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let _daemon: Daemon = world.start(&world.settings(&(http + NULL)));
        status_says(&world, "Kitchen").await;
        http::answers(port).await;
        let token = http::token(&world).await;
        for (token, status) in [("x", "401"), (token.as_str(), "200")] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
            let request = format!(
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Authorization: Bearer {token}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.expect("taken");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("text");
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
            assert_eq!(answer.contains("# EOF"), status == "200");
        }
    });
}

#[test]
fn how_much_music_lies_ready_is_told_to_whoever_asks_for_the_state_and_not_all_the_time() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let route = "/api/v1/speakers/main";
        status_says(&world, "Kitchen").await;
        let idle = ask(&world, "GET", route, None).await.json;
        assert!(idle["buffered_ms"].is_null(), "{idle}");
        let app = plays(&world, "kim", "Staircase").await;
        let end = Instant::now() + PATIENCE;
        let ready = loop {
            let told = ask(&world, "GET", route, None).await.json;
            match told["buffered_ms"].as_u64() {
                Some(ms) if ms > 100 => break ms,
                _ => assert!(Instant::now() < end, "{told}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert!(ready < 5_000, "{ready} ms");
        let house = ask(&world, "GET", "/api/v1/status", None).await.json;
        assert!(house["speakers"][0]["buffered_ms"].is_u64(), "{house}");
        // It is no news: the state has the same version however often it is asked for.
        let version =
            async || ask(&world, "GET", "/api/v1/status", None).await.json["version"].take();
        app.pause().await.expect("an answer");
        // Other news may come in between; if asking were news, no row of questions would be without.
        let mut unmoved = false;
        for _ in 0..20 {
            let before = version().await;
            unmoved = true;
            for _ in 0..20 {
                unmoved &= version().await == before;
            }
            if unmoved {
                break;
            }
        }
        assert!(unmoved, "each question is news");
    });
}

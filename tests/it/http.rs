//! The door over TCP: who is let in, and what is told there as it happens.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    ask::{ask, siskin, socket, status_says},
    lan::{NULL, plays, resident_kb, until},
    world::{Daemon, PATIENCE, World, scenario},
};

/// A daemon that listens on a port that was free.
pub async fn listening(world: &World) -> (Daemon, u16) {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = free.local_addr().expect("its number").port();
    drop(free);
    let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\nnames = [\"box.example\"]\n");
    let daemon = world.start(&world.settings(&(http + NULL)));
    answers(port).await;
    status_says(world, "Kitchen").await;
    (daemon, port)
}

/// Waits until somebody listens; the socket is there before.
pub async fn answers(port: u16) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < end, "nobody listens on port {port}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn token(world: &World) -> String {
    let said = siskin(world, &["token"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out.trim().to_owned()
}

/// Sends these bytes; the status, and the body as JSON.
pub async fn send(port: u16, bytes: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("somebody listens");
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection is still open");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.unwrap_or(0),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

pub async fn get(port: u16, route: &str, headers: &str) -> (u16, Value) {
    let request = format!("GET {route} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    send(port, request.as_bytes()).await
}

pub async fn post(port: u16, route: &str, token: &str, body: &[u8]) -> (u16, Value) {
    let head = format!(
        "POST {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    send(port, &[head.as_bytes(), body].concat()).await
}

#[test]
fn it_takes_the_token_a_host_of_ours_and_no_page_of_strangers() {
    scenario(async |world| {
        let (daemon, port) = listening(&world).await;
        let token = token(&world).await;
        let file = world.dir().join("state/http-token");
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let known = format!("Authorization: Bearer {token}\r\n");
        let status = "/api/v1/status";
        for (route, headers, expected) in [
            (status, format!("Host: localhost\r\n{known}"), 200),
            (status, format!("Host: 127.0.0.1:{port}\r\n{known}"), 200),
            (status, format!("Host: BOX.example\r\n{known}"), 200),
            (status, format!("Host: evil.example\r\n{known}"), 421),
            (status, format!("Host: 10.0.0.1\r\n{known}"), 421),
            (status, known.clone(), 400),
            (status, "Host: localhost\r\n".into(), 401),
            (
                status,
                "Host: localhost\r\nAuthorization: Bearer x\r\n".into(),
                401,
            ),
            (
                status,
                format!("Host: localhost\r\nOrigin: https://evil.example\r\n{known}"),
                403,
            ),
            (
                status,
                format!("Host: localhost\r\nOrigin: null\r\n{known}"),
                403,
            ),
            (
                status,
                format!("Host: localhost\r\nOrigin: http://localhost\r\n{known}"),
                200,
            ),
            ("/healthz", "Host: localhost\r\n".into(), 200),
            ("/healthz", "Host: evil.example\r\n".into(), 421),
            ("/readyz", "Host: localhost\r\n".into(), 200),
            ("/nothing", "Host: localhost\r\n".into(), 401),
            (
                "/api/v1/../../etc/passwd",
                format!("Host: localhost\r\n{known}"),
                404,
            ),
            (
                "/api/v1/speakers/%2e%2e%2fmain",
                format!("Host: localhost\r\n{known}"),
                404,
            ),
            (
                "/api/v1/speakers/%ff",
                format!("Host: localhost\r\n{known}"),
                400,
            ),
        ] {
            let (status, body) = get(port, route, &headers).await;
            assert_eq!(status, expected, "{route} {headers:?} {body}");
        }
        // A form of a page can be sent by anybody's browser: not without saying that it is JSON.
        let form = format!(
            "POST /api/v1/speakers/main/pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             {known}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        assert_eq!(send(port, form.as_bytes()).await.0, 415);
        // Without a body there is nothing to say about it: nobody is signed in, which is the answer.
        for length in ["", "Content-Length: 0\r\n"] {
            let bare = format!(
                "POST /api/v1/speakers/main/pause HTTP/1.1\r\nHost: localhost\r\n\
                 Connection: close\r\n{known}{length}\r\n"
            );
            assert_eq!(send(port, bare.as_bytes()).await.0, 409);
        }
        assert!(
            daemon.log().iter().all(|line| !line.contains(&token)),
            "no token in the log"
        );
        // It stays the same over a restart.
        daemon.stop().await;
        let again =
            world.start(&fs::read_to_string(world.dir().join("config.toml")).expect("there"));
        answers(port).await;
        let (status, _) = get(port, status, &format!("Host: localhost\r\n{known}")).await;
        assert_eq!(status, 200);
        again.stop().await;
    });
}

#[test]
fn a_port_that_is_taken_is_a_condition_and_taken_as_soon_as_it_can() {
    scenario(async |world| {
        let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = other.local_addr().expect("its number").port();
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let mut daemon = world.start(&world.settings(&(http + NULL)));
        let told = daemon.says("no_http").await;
        assert!(told.contains("another program has the port"), "{told}");
        world.sign_in("kim").await;
        assert!(daemon.is_running());
        drop(other);
        daemon.says("over: no http").await;
        assert_eq!(get(port, "/healthz", "Host: localhost\r\n").await.0, 200);
    });
}

#[test]
fn a_token_that_makes_no_sense_opens_nothing_and_is_set_aside_for_a_new_one() {
    scenario(async |world| {
        let file = world.dir().join("state/http-token");
        fs::create_dir_all(world.dir().join("state")).expect("a folder");
        fs::write(&file, "let me in\n").expect("written");
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let daemon = world.start(&world.settings(&(http + NULL)));
        let told = daemon.says("state_repaired").await;
        assert!(
            told.contains("http-token.damaged") && !told.contains("let me in"),
            "{told}"
        );
        let aside = fs::read_to_string(file.with_extension("damaged"));
        assert_eq!(aside.expect("kept"), "let me in\n");
        status_says(&world, "siskin token --link").await;
        answers(port).await;
        let known = format!(
            "Host: localhost\r\nAuthorization: Bearer {}\r\n",
            token(&world).await
        );
        assert_eq!(get(port, "/api/v1/status", &known).await.0, 200);
        let old = "Host: localhost\r\nAuthorization: Bearer let me in\r\n";
        assert_eq!(get(port, "/api/v1/status", old).await.0, 401);
    });
}

#[test]
fn whatever_is_sent_is_answered_with_a_no_and_changes_nothing() {
    scenario(async |world| {
        let (_daemon, port) = listening(&world).await;
        let app = plays(&world, "kim", "Staircase").await;
        let token = token(&world).await;
        let before = app.state();
        let values = [
            "",
            "{",
            "[]",
            "null",
            "7",
            "\"x\"",
            "{\"uri\": 7}",
            "{\"uri\": \"\\u0000\"}",
            "{\"position_ms\": 1e400}",
            "{\"position_ms\": -9223372036854775808}",
            "{\"on\": \"yes\"}",
            "{\"mode\": null}",
            "{\"percent\": 256}",
            "{\"a\": {\"a\": {}}}",
            "{\"on\": true, \"on\": false, \"x\": 1}",
        ];
        let routes = ["seek", "volume", "shuffle", "repeat", "queue", "nothing"];
        for route in routes {
            for body in values
                .iter()
                .map(|text| text.as_bytes())
                .chain([b"\xff\xfe{".as_slice()])
            {
                let route = format!("/api/v1/speakers/main/{route}");
                let (status, answer) = post(port, &route, &token, body).await;
                let shown = String::from_utf8_lossy(body);
                assert!(
                    (400..500).contains(&status),
                    "{status} {route} {shown}: {answer}"
                );
                assert!(
                    answer["error"]["code"].is_string(),
                    "{route} {shown}: {answer}"
                );
            }
        }
        let after = app.state();
        assert_eq!(
            (after.track_uri, after.shuffle),
            (before.track_uri, before.shuffle)
        );
        assert!(after.playing);
    });
}

/// Reads events of the socket until one of this kind fits.
async fn event(
    stream: &mut UnixStream,
    text: &mut String,
    kind: &str,
    fits: impl Fn(&Value) -> bool,
) -> (String, Value) {
    let until = Instant::now() + PATIENCE;
    loop {
        while let Some((one, rest)) = text.split_once("\n\n") {
            let field = |name: &str| one.lines().find_map(|line| line.strip_prefix(name));
            let found = (field("event: "), field("id: "), field("data: "));
            let owned = (
                found.0.unwrap_or_default().to_owned(),
                found.1.unwrap_or_default().to_owned(),
                serde_json::from_str::<Value>(found.2.unwrap_or("null")).unwrap_or(Value::Null),
            );
            *text = rest.to_owned();
            if owned.0 == kind && fits(&owned.2) {
                return (owned.1, owned.2);
            }
        }
        assert!(Instant::now() < until, "no {kind} like that: {text}");
        let mut more = [0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut more))
            .await
            .expect("something");
        let read = read.expect("readable");
        assert!(read > 0, "the events ended: {text}");
        // Lines about chunks stand between; no event of ours is cut by one.
        let piece = String::from_utf8_lossy(&more[..read]).replace("\r\n", "\u{1}");
        text.push_str(&unchunked(&piece));
    }
}

/// Without the head and the sizes of chunks.
fn unchunked(piece: &str) -> String {
    let lines = piece.split('\u{1}');
    let size = |line: &&str| !(line.len() <= 6 && u32::from_str_radix(line, 16).is_ok());
    lines
        .filter(|line| size(line) && !line.is_empty())
        .collect()
}

#[test]
fn events_are_a_snapshot_and_then_what_changes() {
    scenario(async |world| {
        let (daemon, _) = listening(&world).await;
        let app = plays(&world, "kim", "Staircase").await;
        let mut stream = UnixStream::connect(socket(&world))
            .await
            .expect("it listens");
        let request = b"GET /api/v1/events HTTP/1.1\r\nHost: siskin\r\n\r\n";
        stream.write_all(request).await.expect("taken");
        let mut text = String::new();
        let (_, house) = event(&mut stream, &mut text, "snapshot", |_| true).await;
        assert_eq!(house["speakers"][0]["name"], "Kitchen");
        app.pause().await.expect("an answer");
        let paused = |speaker: &Value| speaker["playback"]["state"] == "paused";
        let (id, _) = event(&mut stream, &mut text, "speaker", paused).await;
        let asked = ask(
            &world,
            "POST",
            "/api/v1/speakers/main/volume",
            Some(json!({"percent": 7})),
        );
        assert_eq!(asked.await.status, 200);
        let soft = |speaker: &Value| speaker["volume_percent"] == 7;
        let (newer, _) = event(&mut stream, &mut text, "speaker", soft).await;
        assert_ne!(id, newer);
        drop(stream);

        // Whoever knows the state is not told it again; whoever knows an older one is.
        for (last, word) in [
            (newer.as_str(), "retry: "),
            (id.as_str(), "event: snapshot"),
        ] {
            let mut stream = UnixStream::connect(socket(&world))
                .await
                .expect("it listens");
            let request = format!(
                "GET /api/v1/events HTTP/1.1\r\nHost: siskin\r\nLast-Event-ID: {last}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.expect("taken");
            let mut first = vec![0; 65_536];
            let read = timeout(PATIENCE, stream.read(&mut first))
                .await
                .expect("something");
            let mut told = String::from_utf8_lossy(&first[..read.expect("readable")]).into_owned();
            if !told.contains("retry: ") {
                let read = timeout(PATIENCE, stream.read(&mut first))
                    .await
                    .expect("more");
                told += &String::from_utf8_lossy(&first[..read.expect("readable")]);
            }
            assert!(told.contains(word), "{last}: {told}");
            assert_eq!(told.contains("event: snapshot"), last == id, "{told}");
        }
        // A stop does not wait for readers.
        let stopped = Instant::now();
        daemon.stop().await;
        assert!(stopped.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn readers_that_never_read_cost_nothing() {
    scenario(async |world| {
        let (daemon, _) = listening(&world).await;
        plays(&world, "kim", "Staircase").await;
        let before = resident_kb(daemon.pid());
        let mut readers = Vec::new();
        for _ in 0..40 {
            let mut stream = UnixStream::connect(socket(&world)).await.expect("room");
            let request = b"GET /api/v1/events HTTP/1.1\r\nHost: siskin\r\n\r\n";
            stream.write_all(request).await.expect("taken");
            readers.push(stream);
        }
        for turn in 0..200_u32 {
            let body = json!({"percent": turn % 50});
            let answer = ask(&world, "POST", "/api/v1/speakers/main/volume", Some(body)).await;
            assert_eq!(answer.status, 200);
        }
        let grown = resident_kb(daemon.pid()) - before;
        println!("40 readers that never read cost {grown} kB");
        assert!(grown < 8_000, "{grown} kB");
        status_says(&world, "volume 49 %").await;
        drop(readers);
    });
}

#[test]
fn the_command_line_follows_what_happens() {
    scenario(async |world| {
        let (_daemon, _) = listening(&world).await;
        let app = plays(&world, "kim", "Staircase").await;
        let out = world.dir().join("events");
        let start = |words: &[&str]| {
            let file = fs::File::create(&out).expect("a file");
            std::process::Command::new(crate::world::binary())
                .args(words)
                .env_clear()
                .env("HOME", world.dir())
                .arg("--config")
                .arg(world.dir().join("config.toml"))
                .stdout(file)
                .spawn()
                .expect("siskin runs")
        };
        let has = |words: &str| fs::read_to_string(&out).is_ok_and(|text| text.contains(words));
        let mut events = start(&["events"]);
        until("a snapshot", PATIENCE, || has("\"event\":\"snapshot\"")).await;
        app.volume(65_535).await.expect("an answer");
        until("a change", PATIENCE, || has("\"volume_percent\":100")).await;
        let _ = events.kill();
        let _ = events.wait();
        let mut watch = start(&["status", "--watch"]);
        until("a line", PATIENCE, || has("100 %")).await;
        app.pause().await.expect("an answer");
        until("a pause", PATIENCE, || has("= [")).await;
        let _ = watch.kill();
        let _ = watch.wait();
    });
}

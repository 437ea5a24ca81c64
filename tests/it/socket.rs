//! The socket: where it stands, who may open it, and what it takes.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::UnixStream};

use crate::{
    ask::{ask, read, send, siskin, socket, status_says},
    lan::{NULL, fifo, one_engine, plays, resident_kb, until},
    world::{PATIENCE, hears, scenario},
};

#[test]
fn it_is_for_user_and_group_only_replaced_when_stale_and_removed_at_the_end() {
    scenario(async |world| {
        let path = socket(&world);
        let mut daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE).await;
        assert!(path.exists(), "a killed daemon leaves it");
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        let (status, log) = daemon.stop().await;
        assert!(status.success());
        assert!(!path.exists(), "it stays behind");
        assert!(
            log.iter().all(|line| !line.contains("no_socket")),
            "{log:?}"
        );
    });
}

#[test]
fn it_stands_where_the_service_manager_or_the_settings_say_or_nowhere() {
    scenario(async |world| {
        let runtime = world.dir().join("run");
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command.env("RUNTIME_DIRECTORY", &runtime);
        });
        let given = runtime.join("siskin.sock");
        until("the socket", PATIENCE, || given.exists()).await;
        assert!(!socket(&world).exists());
        daemon.stop().await;
        assert!(!given.exists());
        // A reload moves it, and the music hears nothing of that.
        let elsewhere = world.dir().join("deep/down/ask");
        let at = |path: &str| world.settings(&format!("socket = \"{path}\"\n{NULL}"));
        let daemon = world.start(&at(&elsewhere.to_string_lossy()));
        plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        status_says(&world, "playing").await;
        let reload = |settings: String| {
            fs::write(world.dir().join("config.toml"), settings).expect("written");
            daemon.signal(Signal::SIGHUP);
        };
        reload(world.settings(NULL));
        until("the socket moves", PATIENCE, || {
            socket(&world).exists() && !elsewhere.exists()
        })
        .await;
        status_says(&world, "playing").await;
        reload(at("none"));
        until("the socket goes", PATIENCE, || !socket(&world).exists()).await;
        assert_eq!(one_engine(&daemon).await, engine);
        let said = siskin(&world, &["status"]).await;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("socket is \"none\""), "{said:?}");
    });
}

#[test]
fn a_place_that_cannot_be_had_is_a_condition_and_taken_as_soon_as_it_can() {
    scenario(async |world| {
        let path = world.dir().join("ask");
        let other = UnixListener::bind(&path).expect("another one");
        let settings = world.settings(&format!("socket = \"{}\"\n{NULL}", path.display()));
        let mut daemon = world.start(&settings);
        let told = daemon.says("no_socket").await;
        assert!(told.contains("another siskin answers there"), "{told}");
        world.sign_in("kim").await;
        assert!(daemon.is_running());
        drop(other);
        daemon.says("over: no socket").await;
        status_says(&world, "Kim is signed in").await;
    });
}

#[test]
fn whatever_is_sent_gets_a_clear_answer_and_changes_nothing() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        let path = socket(&world);
        let before = ask(&world, "GET", "/api/v1/status", None).await;

        let refused = [
            ("GET", "/", 404, "no_such_route"),
            ("GET", "/api/v1/../../etc/passwd", 404, "no_such_route"),
            ("GET", "/api/v2/status", 404, "no_such_route"),
            ("GET", "/api/v1/speakers/attic", 404, "unknown_speaker"),
            ("GET", "/api/v1/speakers/%00%2f..", 404, "unknown_speaker"),
            ("GET", "/api/v1/speakers/%ff%fe", 400, "bad_path"),
            ("POST", "/api/v1/status", 405, "wrong_method"),
            ("DELETE", "/api/v1/speakers/main", 405, "wrong_method"),
            ("BREW", "/api/v1/status", 405, "wrong_method"),
        ];
        for (method, route, status, code) in refused {
            let answer = ask(&world, method, route, None).await;
            assert_eq!(
                (answer.status, answer.code()),
                (status, code),
                "{method} {route}"
            );
        }
        let account = "/api/v1/speakers/main/account";
        let bodies = [
            (json!({"user": 7}), 422, "invalid"),
            (json!({"user": "kim", "more": 1}), 422, "invalid"),
            (json!([]), 422, "invalid"),
            (json!({"user": "x".repeat(70_000)}), 413, "too_large"),
        ];
        for (body, status, code) in bodies {
            let answer = ask(&world, "POST", account, Some(body)).await;
            assert_eq!((answer.status, answer.code()), (status, code));
        }
        let post = format!("POST {account} HTTP/1.1\r\nHost: x\r\n");
        let raw = [
            (format!("{post}Content-Length: 2\r\n\r\n{{}}"), 415),
            (
                format!("{post}Content-Type: application/json\r\nContent-Length: 4\r\n\r\n{{\"us"),
                400,
            ),
            ("\u{1}\u{2}garbage\r\n\r\n".to_owned(), 400),
            (
                format!(
                    "GET /api/v1/status HTTP/1.1\r\nA: {}\r\n\r\n",
                    "x".repeat(40_000)
                ),
                431,
            ),
            (
                format!(
                    "GET /api/v1/status HTTP/1.1\r\n{}\r\n",
                    "A: b\r\n".repeat(100)
                ),
                431,
            ),
        ];
        for (bytes, status) in raw {
            let begins: String = bytes.chars().take(60).collect();
            let bytes = bytes.replacen("Host: x\r\n", "Host: x\r\nConnection: close\r\n", 1);
            let answer = send(&path, bytes.as_bytes()).await;
            assert_eq!(answer.map(|answer| answer.status), Some(status), "{begins}");
        }
        // A body that never comes to its end is given up on.
        let mut slow = UnixStream::connect(&path).await.expect("somebody listens");
        let begun = format!("{post}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{");
        slow.write_all(begun.as_bytes()).await.expect("taken");
        let asked = Instant::now();
        let answer = read(slow).await.expect("an answer");
        assert_eq!((answer.status, answer.code()), (408, "too_slow"));
        assert!(asked.elapsed() < Duration::from_secs(8));

        let after = ask(&world, "GET", "/api/v1/status", None).await;
        let of = |answer: &crate::ask::Answer| answer.json["speakers"][0]["account"].clone();
        assert_eq!((after.status, of(&after)), (200, of(&before)));
        assert_eq!(one_engine(&daemon).await, engine);
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
        assert!(spotify_sim::listen::clicks(&fifo.capture()[44_100..heard], 0.5).is_empty());
    });
}

#[test]
fn two_hundred_at_once_are_all_answered_and_cost_little() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        plays(&world, "kim", "Staircase").await;
        status_says(&world, "playing").await;
        let path = socket(&world);
        let before = resident_kb(daemon.pid());
        let heard = fifo.capture().len();
        // Some who never say anything, and two hundred with a question.
        let mut silent = Vec::new();
        for _ in 0..16 {
            silent.push(UnixStream::connect(&path).await.expect("room in the queue"));
        }
        let request = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let asking = (0..200).map(|_| send(&path, request));
        let answers = futures_util::future::join_all(asking).await;
        for answer in answers {
            assert_eq!(answer.expect("an answer").status, 200);
        }
        let grown = resident_kb(daemon.pid()) - before;
        println!("200 questions at once cost {grown} kB");
        assert!(grown < 4_000, "{grown} kB");
        hears(&fifo, heard + 44_100).await;
        drop(silent);
        // A stop does not wait for those who hang on.
        let _hanging = UnixStream::connect(&path).await.expect("somebody listens");
        let (status, _) = daemon.stop().await;
        assert!(status.success());
    });
}

//! Everybody at once: many who read what happens, some of whom never do, and orders without a pause.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use spotify_sim::listen::playing;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

use crate::{
    ask::{ask, siskin, socket, status_says},
    lan::{fifo, plays, resident_kb},
    world::{PATIENCE, hears, pipe_to, scenario},
};

const READERS: usize = 50;
const DEAF: usize = 10;
/// Each gives an order every 40 ms: 200 a second.
const HANDS: usize = 8;
const EVERY: Duration = Duration::from_millis(40);
/// `SISKIN_LOAD_S` has it last longer.
const LASTS_S: u64 = 10;

#[test]
fn orders_without_a_pause_before_many_readers_leave_no_gap_and_none_is_lost() {
    scenario(async |world| {
        let given = std::env::var("SISKIN_LOAD_S").ok();
        let lasts = Duration::from_secs(given.and_then(|s| s.parse().ok()).unwrap_or(LASTS_S));
        let fifo = fifo();
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let daemon = world.start(&world.settings(&(http + &pipe_to(fifo.path()))));
        status_says(&world, "Kitchen").await;
        let token = siskin(&world, &["token"]).await.out.trim().to_owned();
        plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;

        let mut deaf = Vec::new();
        let mut readers = JoinSet::new();
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        for number in 0..READERS {
            if number % 2 == 0 {
                let mut stream = UnixStream::connect(socket(&world)).await.expect("open");
                stream.write_all(head.as_bytes()).await.expect("sent");
                match number < 2 * DEAF {
                    true => deaf.push(stream),
                    false => drop(readers.spawn(last_volume(stream))),
                }
            } else {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
                stream.write_all(head.as_bytes()).await.expect("sent");
                readers.spawn(last_volume(stream));
            }
        }
        let before = resident_kb(daemon.pid());
        let begun = fifo.capture().len();
        let since = Instant::now();
        let mut hands = JoinSet::new();
        for hand in 0..HANDS {
            let stream = UnixStream::connect(socket(&world)).await.expect("open");
            hands.spawn(orders(stream, hand, lasts));
        }
        let mut answers = BTreeMap::new();
        let (mut count, mut slowest) = (0, Duration::ZERO);
        while let Some(done) = hands.join_next().await {
            let (told, slow) = done.expect("no panic");
            slowest = slowest.max(slow);
            for status in told {
                *answers.entry(status).or_insert(0) += 1;
                count += 1;
            }
        }
        let took = since.elapsed();
        let grown = resident_kb(daemon.pid()) - before;
        println!(
            "{count} orders in {took:?}, answers {answers:?}, the slowest after {slowest:?}; the \
             daemon has grown by {grown} kB"
        );
        assert_eq!(
            answers.keys().collect::<Vec<_>>(),
            [&200],
            "every order was obeyed"
        );
        assert!(grown < 16 * 1024, "the daemon has grown by {grown} kB");

        // Who reads is told of the last one.
        let done = ask(
            &world,
            "POST",
            "/api/v1/speakers/main/volume",
            Some(json!({"percent": 77})),
        );
        assert_eq!(done.await.status, 200);
        let told = async { while readers.join_next().await.is_some_and(|told| told.is_ok()) {} };
        let told = tokio::time::timeout(PATIENCE, told).await;
        assert!(
            told.is_ok() && readers.is_empty(),
            "not every reader was told"
        );
        let heard = fifo.capture().split_off(begun);
        let runs = playing(&heard);
        assert_eq!(runs.len(), 1, "music without a gap: {runs:?}");
        drop(deaf);
    });
}

/// Gives orders over one connection; the status of each answer, and how long the slowest took.
async fn orders(mut stream: UnixStream, hand: usize, lasts: Duration) -> (Vec<u16>, Duration) {
    let end = Instant::now() + lasts;
    let mut ticks = tokio::time::interval(EVERY);
    let (mut answers, mut slowest) = (Vec::new(), Duration::ZERO);
    while Instant::now() < end {
        ticks.tick().await;
        let (route, body) = match (answers.len() + hand) % 4 {
            0 => ("volume", json!({"percent": 40 + answers.len() % 30})),
            1 => {
                let mode = ["off", "context"][answers.len() / 4 % 2];
                ("repeat", json!({ "mode": mode }))
            }
            2 => ("sleep", json!({"after_s": 3_600 + answers.len()})),
            _ => {
                let by = if answers.len() % 8 < 4 { 1 } else { -1 };
                ("volume", json!({ "by": by }))
            }
        };
        let body = body.to_string();
        let request = format!(
            "POST /api/v1/speakers/main/{route} HTTP/1.1\r\nHost: siskin\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let given = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        answers.push(answered(&mut stream).await);
        slowest = slowest.max(given.elapsed());
    }
    (answers, slowest)
}

/// Reads one answer; its status.
async fn answered(stream: &mut UnixStream) -> u16 {
    let mut answer = Vec::new();
    loop {
        let byte = stream.read_u8().await.expect("an answer");
        answer.push(byte);
        if answer.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body).await.expect("a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.expect("a status")
}

/// Reads what happens until the volume is 77.
async fn last_volume(stream: impl tokio::io::AsyncRead + Unpin) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.expect("events") {
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        let told: Value = serde_json::from_str(data).expect("JSON");
        if told["volume_percent"] == 77 || told["speakers"][0]["volume_percent"] == 77 {
            return;
        }
    }
    panic!("the events ended");
}

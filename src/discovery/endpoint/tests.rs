//! The endpoint over real connections on loopback.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
};

use super::*;
use crate::{
    discovery::{Identity, Request, Verdict, blob},
    model::{DeviceId, DeviceType},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// For whatever should happen soon.
const SOON: Duration = Duration::from_secs(20);

struct Rig {
    endpoint: Endpoint,
    requests: mpsc::Receiver<Request>,
    user: watch::Sender<Option<String>>,
}

fn device() -> DeviceId {
    DeviceId::from_bytes([3; 20])
}

async fn rig(limits: Limits) -> Rig {
    let (asked, requests) = mpsc::channel(4);
    let (user, shown) = watch::channel(None);
    let identity = Identity {
        device: device(),
        name: "Kitchen".into(),
        device_type: DeviceType::Speaker,
        port: 0,
    };
    let shared = Shared::new(identity, asked, Some(shown), limits);
    let mut endpoint = Endpoint::new(shared, Gate::new(limits.connections, limits.per_peer));
    let unbound = endpoint.listen_on(&[HERE]).await;
    assert!(unbound.is_empty(), "{unbound:?}");
    Rig {
        endpoint,
        requests,
        user,
    }
}

impl Rig {
    async fn connect(&self) -> TcpStream {
        let address = (HERE, self.endpoint.port());
        TcpStream::connect(address).await.expect("it listens")
    }

    /// HTTP status and answer; `None` when the connection was closed instead.
    async fn send(&self, request: &[u8]) -> Option<(u16, Value)> {
        let mut stream = self.connect().await;
        let _ = stream.write_all(request).await;
        read_answer(&mut stream).await
    }

    async fn get(&self, query: &str) -> (u16, Value) {
        let request = format!("GET /?{query} HTTP/1.1\r\nHost: x\r\n\r\n");
        self.send(request.as_bytes()).await.expect("an answer")
    }

    async fn post(&self, body: &str) -> (u16, Value) {
        self.send(&post(body)).await.expect("an answer")
    }

    fn handover(&self) -> String {
        let key = self.endpoint.shared.keys.public();
        let (blob, client_key) = blob::phone::seal(key, &device(), "kim", 1, b"secret");
        form(&[
            ("action", "addUser"),
            ("userName", "kim"),
            ("blob", &blob),
            ("clientKey", &client_key),
            ("tokenType", "default"),
        ])
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

fn post(body: &str) -> Vec<u8> {
    let head = "POST /any/path HTTP/1.1\r\nHost: x\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn read_answer(stream: &mut TcpStream) -> Option<(u16, Value)> {
    let mut got = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&got).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let lower = head.to_lowercase();
                let length = lower.split("content-length: ").nth(1)?;
                let length: usize = length.lines().next()?.parse().ok()?;
                if body.len() >= length {
                    assert!(lower.contains("content-type: application/json"), "{head}");
                    let status = head.split(' ').nth(1)?.parse().ok()?;
                    return Some((status, serde_json::from_str(body).expect("JSON")));
                }
            }
            let read = stream.read_buf(&mut got).await.ok()?;
            if read == 0 {
                return None;
            }
        }
    };
    timeout(SOON, reading).await.expect("an answer or an end")
}

#[tokio::test]
async fn who_asks_for_the_head_of_an_answer_gets_that() {
    let rig = rig(Limits::default()).await;
    let mut stream = rig.connect().await;
    let asked = b"HEAD /?action=getInfo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.expect("sent");
    let mut got = String::new();
    let read = timeout(SOON, stream.read_to_string(&mut got)).await;
    read.expect("an answer").expect("text");
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert!(got.ends_with("\r\n\r\n"), "{got}");
    assert!(!got.contains("content-length: 0"), "{got}");
}

#[tokio::test]
async fn getinfo_shows_who_is_signed_in_as_it_changes() {
    let rig = rig(Limits::default()).await;
    let (status, info) = rig.get("action=getInfo&version=2.10.0").await;
    assert_eq!((status, &info["status"]), (200, &101.into()));
    assert_eq!(info["activeUser"], "");
    assert_eq!(info["deviceID"], device().as_str());
    rig.user.send_replace(Some("kim".into()));
    assert_eq!(rig.post("action=getInfo").await.1["activeUser"], "kim");
}

#[tokio::test]
async fn an_active_user_that_is_hidden_is_an_empty_text() {
    let (asked, _requests) = mpsc::channel(1);
    let identity = rig(Limits::default()).await.endpoint.identity().clone();
    let shared = Shared::new(identity, asked, None, Limits::default());
    let mut endpoint = Endpoint::new(shared, Gate::new(8, 8));
    assert!(endpoint.listen_on(&[HERE]).await.is_empty());
    let mut stream = TcpStream::connect((HERE, endpoint.port()))
        .await
        .expect("it listens");
    let request = b"GET /?action=getInfo HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let (_, info) = read_answer(&mut stream).await.expect("an answer");
    assert_eq!(info["activeUser"], "");
}

#[tokio::test]
async fn a_handover_is_answered_when_the_daemon_has_its_verdict() {
    let mut rig = rig(Limits::default()).await;
    let cases = [
        (Some(Verdict::Ok), 101),
        (Some(Verdict::LoginFailed), 202),
        (None, 202),
    ];
    for (verdict, expected) in cases {
        let body = rig.handover();
        let mut stream = rig.connect().await;
        stream.write_all(&post(&body)).await.expect("sent");
        let Some(Request::AddUser { login, answer, .. }) = rig.requests.recv().await else {
            panic!("a login");
        };
        assert_eq!((login.user.as_str(), login.kind), ("kim", 1));
        assert_eq!(login.secret.expose(), b"secret");
        match verdict {
            Some(verdict) => answer.send(verdict).expect("somebody waits"),
            None => drop(answer),
        }
        let (status, body) = read_answer(&mut stream).await.expect("an answer");
        assert_eq!((status, &body["status"]), (200, &expected.into()));
        assert_eq!(body["responseSource"], "siskin");
    }
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_in_time_has_failed_the_login() {
    let mut rig = rig(Limits {
        answer: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let (_, body) = rig.post(&rig.handover()).await;
    assert_eq!(body["status"], 202);
    // The daemon sees that nobody waits any more.
    let Some(Request::AddUser { answer, .. }) = rig.requests.recv().await else {
        panic!("a login");
    };
    assert!(answer.is_closed());
}

#[tokio::test]
async fn a_reset_means_everybody_and_a_blob_with_nothing_inside_the_one_it_names() {
    let mut rig = rig(Limits::default()).await;
    let key = rig.endpoint.shared.keys.public();
    let (blob, client_key) = blob::phone::seal(key, &device(), "kim", 1, b"");
    let hollow = form(&[
        ("action", "addUser"),
        ("userName", "kim"),
        ("blob", &blob),
        ("clientKey", &client_key),
    ]);
    for (body, meant) in [("action=resetUsers", None), (&hollow, Some("kim"))] {
        let mut stream = rig.connect().await;
        stream.write_all(&post(body)).await.expect("sent");
        let Some(Request::ResetUsers { user, answer }) = rig.requests.recv().await else {
            panic!("a reset");
        };
        assert_eq!(user.as_deref(), meant);
        answer.send(Verdict::Ok).expect("somebody waits");
        let (_, body) = read_answer(&mut stream).await.expect("an answer");
        assert_eq!(body["status"], 101);
    }
}

#[tokio::test]
async fn every_mistake_has_its_status() {
    let rig = rig(Limits::default()).await;
    let other = blob::Keys::generate();
    let (foreign, key) = blob::phone::seal(other.public(), &device(), "kim", 1, b"secret");
    let own = rig.endpoint.shared.keys.public();
    let (hollow, hollow_key) = blob::phone::seal_inner(own, b"garbage");
    let add = |user: &str, blob: &str, key: &str| {
        form(&[
            ("action", "addUser"),
            ("userName", user),
            ("blob", blob),
            ("clientKey", key),
        ])
    };
    let cases = [
        ("", 301, 400),
        ("action=makeTea", 302, 400),
        ("action=addUser", 303, 400),
        ("action=addUser&userName=%ff%fe", 102, 400),
        (&add("kim", &foreign, &key), 203, 200),
        (&add("kim", "", ""), 303, 400),
        (&add("kim", "???", &key), 303, 400),
        (&add("kim", "AAAA", &key), 303, 400),
        (&add("kim", &hollow, &hollow_key), 303, 400),
        (&add("kim", &foreign, &"A".repeat(512)), 303, 400),
        (&add("kim", &"A".repeat(2048), &key), 303, 400),
        (&"A".repeat(9000), 102, 400),
    ];
    for (body, expected, http) in cases {
        let (status, answer) = rig.post(body).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer["status"], expected, "{shown}");
        assert_eq!(status, http, "{shown}");
    }
    let put = rig.send(b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(put.expect("an answer").0, 501);
    let (status, _) = rig.get("action=resetUsers").await;
    assert_eq!(status, 400, "what changes something is a POST");
    let page = b"POST /?action=resetUsers HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\n\
                 Content-Length: 0\r\n\r\n";
    assert_eq!(rig.send(page).await.expect("an answer").0, 400);
}

#[tokio::test]
async fn what_is_not_http_or_too_much_of_it_ends_the_connection() {
    let rig = rig(Limits::default()).await;
    let huge_head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let huge_body = post(&"a".repeat(1_000_000));
    for request in [
        b"\x16\x03\x01 not http at all\r\n\r\n".as_slice(),
        huge_head.as_bytes(),
        &huge_body,
    ] {
        // An error without JSON is hyper's own; it closes after it.
        let mut stream = rig.connect().await;
        let _ = stream.write_all(request).await;
        let mut got = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut got)).await;
        assert!(ended.is_ok(), "still open");
        assert!(!got.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(rig.get("action=getInfo").await.0, 200);
}

#[tokio::test]
async fn slow_strangers_are_sent_away() {
    let limits = Limits {
        first: Duration::from_millis(100),
        head: Duration::from_millis(100),
        body: Duration::from_millis(100),
        ..Limits::default()
    };
    let rig = rig(limits).await;
    let slow_body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";
    let idle_after = b"GET /?action=getInfo HTTP/1.1\r\nHost: x\r\n\r\n";
    for start in [b"".as_slice(), b"GET / HT", slow_body, idle_after] {
        let mut stream = rig.connect().await;
        stream.write_all(start).await.expect("sent");
        let mut got = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut got)).await;
        assert!(ended.is_ok(), "still open after {start:?}");
    }
}

#[tokio::test]
async fn a_crowd_is_cut_to_size_and_then_served_again() {
    let rig = rig(Limits {
        connections: 6,
        per_peer: 4,
        ..Limits::default()
    })
    .await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(rig.connect().await);
    }
    let mut answered = 0;
    for stream in &mut crowd {
        let request = b"GET /?action=getInfo HTTP/1.1\r\nHost: x\r\n\r\n";
        let _ = stream.write_all(request).await;
        answered += usize::from(read_answer(stream).await.is_some());
    }
    assert_eq!(answered, 4);
    drop(crowd);
    let back = async {
        let request = b"GET /?action=getInfo HTTP/1.1\r\nHost: x\r\n\r\n";
        while rig.send(request).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, back).await.expect("places are given back");
}

/// Whoever says nothing, or not all of it, is not in the way of whoever does: with default limits,
/// from the same address.
#[tokio::test]
async fn a_request_is_answered_at_once_however_many_others_are_silent() {
    let rig = rig(Limits::default()).await;
    let half_body = post(&rig.handover());
    for start in [b"".as_slice(), b"GET / HT", &half_body[..200]] {
        let mut crowd = Vec::new();
        for _ in 0..30 {
            let mut stream = rig.connect().await;
            stream.write_all(start).await.expect("sent");
            crowd.push(stream);
        }
        let asked = timeout(Duration::from_secs(1), rig.get("action=getInfo"));
        assert_eq!(asked.await.expect("in time").0, 200, "{start:?}");
    }
}

#[tokio::test]
async fn handovers_beyond_a_few_are_refused_at_once() {
    let rig = rig(Limits::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut stream = rig.connect().await;
        stream
            .write_all(&post(&rig.handover()))
            .await
            .expect("sent");
        waiting.push(stream);
    }
    let all_wait = async {
        while rig.requests.len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, all_wait).await.expect("four wait");
    assert_eq!(rig.post(&rig.handover()).await.1["status"], 202);
}

#[tokio::test]
async fn handovers_beyond_a_pace_are_refused_unread_and_the_rest_is_answered() {
    let rig = rig(Limits::default()).await;
    let broken = form(&[
        ("action", "addUser"),
        ("userName", "kim"),
        ("blob", "AAAA"),
        ("clientKey", "AAAA"),
    ]);
    let mut refused = 0;
    for _ in 0..300 {
        let (http, answer) = rig.post(&broken).await;
        assert_eq!(answer["responseSource"], "siskin");
        match (http, answer["status"].as_u64()) {
            (400, Some(303)) => {}
            (200, Some(202)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "all of them were opened");
    assert_eq!(rig.get("action=getInfo").await.0, 200);
}

#[tokio::test]
async fn an_address_that_goes_takes_its_connections_along_and_leaves_the_others() {
    let mut rig = rig(Limits::default()).await;
    let second = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let unbound = rig.endpoint.listen_on(&[HERE, second]).await;
    assert!(unbound.is_empty(), "{unbound:?}");
    let port = rig.endpoint.port();
    let mut kept = rig.connect().await;
    let mut lost = TcpStream::connect((second, port)).await.expect("bound");
    rig.endpoint.listen_on(&[HERE]).await;

    let ended = timeout(SOON, lost.read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    let request = b"GET /?action=getInfo HTTP/1.1\r\nHost: x\r\n\r\n";
    kept.write_all(request).await.expect("still open");
    assert!(read_answer(&mut kept).await.is_some());
    assert_eq!(rig.endpoint.port(), port);
}

#[tokio::test]
async fn a_fixed_port_that_is_taken_is_told_and_bound_once_it_is_free() {
    let holder = TcpListener::bind((HERE, 0)).await.expect("a free port");
    let port = holder.local_addr().expect("bound").port();
    let identity = Identity {
        device: device(),
        name: "Kitchen".into(),
        device_type: DeviceType::Speaker,
        port,
    };
    let (asked, _requests) = mpsc::channel(1);
    let shared = Shared::new(identity, asked, None, Limits::default());
    let mut endpoint = Endpoint::new(shared, Gate::new(8, 8));
    let unbound = endpoint.listen_on(&[HERE]).await;
    assert_eq!(unbound[0].source.kind(), io::ErrorKind::AddrInUse);
    drop(holder);
    assert!(endpoint.listen_on(&[HERE]).await.is_empty());
    assert_eq!(endpoint.port(), port);
}

#[tokio::test]
async fn closing_is_quick_even_with_strangers_inside() {
    let mut rig = rig(Limits::default()).await;
    let mut waiting = rig.connect().await;
    waiting
        .write_all(&post(&rig.handover()))
        .await
        .expect("sent");
    // The daemon has it, and never says a word.
    let _unanswered = timeout(SOON, rig.requests.recv()).await.expect("asked");
    let port = rig.endpoint.port();
    timeout(Duration::from_secs(5), rig.endpoint.close())
        .await
        .expect("it closes");
    assert!(TcpStream::connect((HERE, port)).await.is_err());
    let (http, answer) = read_answer(&mut waiting).await.expect("an answer");
    assert_eq!((http, &answer["status"]), (200, &202.into()));
}

//! The routes and the socket's life, with a daemon that only pretends.

use std::path::Path;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::*;
use crate::{
    bus::{self, Answer, Desk, Order, Reason},
    model::ConditionCode,
    model::{Account, CameBy, Pairing, Secret, Way},
};

const PACE: Pace = Pace {
    retry: Duration::from_millis(50),
    look: Duration::from_millis(50),
};

struct Rig {
    http: Option<Http>,
    desk: Desk,
    notices: mpsc::Receiver<Notice>,
    dir: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (bus, desk) = bus::open();
        let (tell, notices) = mpsc::channel(8);
        let http = Http::start_at(
            PACE,
            Place::Socket(dir.path().join("sock")),
            routes(bus),
            tell,
        )
        .await;
        let http = Some(http);
        Self {
            http,
            desk,
            notices,
            dir,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("sock")
    }

    /// Asks while the daemon answers the one order there is with `answer`.
    async fn order(
        &mut self,
        method: &str,
        route: &str,
        body: Value,
        answer: Result<Answer, Unable>,
    ) -> (Order, u16, Value) {
        let path = self.path();
        let desk = async {
            let asked = self.desk.next().await;
            let _ = asked.answer.send(answer);
            asked.order
        };
        let (order, (status, body)) = tokio::join!(desk, ask(&path, method, route, &body));
        (order, status, body)
    }
}

async fn ask(path: &Path, method: &str, route: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let mut stream = UnixStream::connect(path).await.expect("somebody listens");
    let request = format!(
        "{method} /api/v1/{route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = serde_json::from_str(body).expect("JSON");
    (status.expect("a status"), body)
}

fn kim() -> Account {
    Account {
        user: "31xy".into(),
        name: "Kim".into(),
        premium: Some(true),
        country: None,
        came_by: CameBy::Code,
        last_used_ms: 7,
        keys_refused_ms: None,
        keys_refused_code: None,
    }
}

#[tokio::test]
async fn each_route_about_accounts_is_one_order() {
    let mut rig = Rig::start().await;
    let list = Ok(Answer::Accounts(vec![kim()]));
    let (order, status, body) = rig.order("GET", "accounts", json!(null), list).await;
    assert_eq!((order, status), (Order::Accounts, 200));
    assert_eq!(body["accounts"][0]["name"], "Kim");
    assert_eq!(body["accounts"][0]["came_by"], "code");

    let (speaker, user) = ("main".to_owned(), "a/b c".to_owned());
    let orders = [
        (
            "POST",
            "speakers/main/account",
            json!({"user": "a/b c"}),
            Order::UseAccount {
                speaker,
                user: user.clone(),
            },
        ),
        (
            "PATCH",
            "accounts/a%2Fb%20c",
            json!({"name": "B"}),
            Order::RenameAccount {
                user: user.clone(),
                name: "B".into(),
            },
        ),
        (
            "DELETE",
            "accounts/a%2Fb%20c",
            json!(null),
            Order::ForgetAccount { user: Some(user) },
        ),
        (
            "DELETE",
            "accounts",
            json!(null),
            Order::ForgetAccount { user: None },
        ),
    ];
    for (method, route, body, expected) in orders {
        let (order, status, body) = rig.order(method, route, body, Ok(Answer::Done)).await;
        assert_eq!(
            (order, status, body),
            (expected, 200, json!({"done": true}))
        );
    }
}

#[tokio::test]
async fn a_sign_in_is_begun_watched_helped_along_and_cancelled() {
    let mut rig = Rig::start().await;
    let route = "speakers/main/pairing";
    let speaker = || "main".to_owned();
    let waiting = Pairing::Waiting {
        code: "AB12".into(),
        address: "https://spotify.com/pair".into(),
        complete_address: "https://spotify.com/pair?code=AB12".into(),
        expires_at_ms: 7,
        trouble: None,
    };
    for (body, way) in [
        (json!({}), Way::Code),
        (json!({"way": "paste"}), Way::Paste),
    ] {
        let begun = Ok(Answer::Pairing(Pairing::Asking { trouble: None }));
        let (order, status, body) = rig.order("POST", route, body, begun).await;
        let expected = Order::Pair {
            speaker: speaker(),
            way,
        };
        assert_eq!((order, status), (expected, 200));
        assert_eq!(body, json!({"step": "asking", "trouble": null}));
    }
    let now = Ok(Answer::Pairing(waiting));
    let (order, status, body) = rig.order("GET", route, json!(null), now).await;
    let expected = Order::Pairing { speaker: speaker() };
    assert_eq!(
        (order, status, &body["code"]),
        (expected, 200, &json!("AB12"))
    );

    let done = || Ok(Answer::Done);
    let led = json!({"address": "http://127.0.0.1:5588/login?code=x"});
    let (order, status, _) = rig.order("PATCH", route, led, done()).await;
    let address = Secret::new(b"http://127.0.0.1:5588/login?code=x".to_vec());
    let expected = Order::Paste {
        speaker: speaker(),
        address,
    };
    assert_eq!((order, status), (expected, 200));
    let (order, status, _) = rig.order("DELETE", route, json!(null), done()).await;
    let expected = Order::CancelPairing { speaker: speaker() };
    assert_eq!((order, status), (expected, 200));

    let none = Err(Unable::no_pairing());
    let (_, status, body) = rig.order("GET", route, json!(null), none).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("no_pairing"))
    );
}

#[tokio::test]
async fn each_reason_has_a_status_and_keeps_its_words() {
    let mut rig = Rig::start().await;
    let reasons = [
        (Reason::UnknownAccount, 404),
        (Reason::NoPairing, 404),
        (Reason::Invalid, 422),
        (Reason::Conflict, 409),
        (Reason::Refused, 403),
        (Reason::Broken, 500),
        (Reason::Unavailable, 503),
    ];
    for (reason, expected) in reasons {
        let no = Err(Unable::new(reason, "it cannot be", "leave it"));
        let (_, status, body) = rig.order("DELETE", "accounts/x", json!(null), no).await;
        assert_eq!(status, expected);
        // The code is the reason as serde writes it, so that both tables agree.
        let code = serde_json::to_value(reason).expect("a word");
        let error = json!({"code": code, "message": "it cannot be", "help": "leave it"});
        assert_eq!(body, json!({ "error": error }));
    }
}

#[tokio::test]
async fn an_order_that_nobody_carries_out_is_answered_in_time() {
    let mut rig = Rig::start().await;
    let path = rig.path();
    let asking = tokio::spawn(async move { ask(&path, "GET", "accounts", &json!(null)).await });
    let kept = rig.desk.next().await;
    let (status, body) = asking.await.expect("an answer");
    assert_eq!((status, &body["error"]["code"]), (504, &json!("timed_out")));
    assert!(kept.answer.is_closed(), "nobody waits any more");
}

#[tokio::test]
async fn at_the_stop_whoever_waits_is_told_and_the_door_is_gone() {
    let mut rig = Rig::start().await;
    let path = rig.path();
    let asking = tokio::spawn(async move { ask(&path, "GET", "accounts", &json!(null)).await });
    let waiting = rig.desk.next().await;
    drop((waiting, rig.desk));
    let (status, body) = asking.await.expect("an answer");
    assert_eq!(
        (status, &body["error"]["code"]),
        (503, &json!("unavailable"))
    );
    let _silent = UnixStream::connect(rig.dir.path().join("sock")).await;
    let stopping = rig.http.take().expect("it runs").stop();
    timeout(Duration::from_secs(1), stopping)
        .await
        .expect("in time");
    assert!(!rig.dir.path().join("sock").exists());
}

#[tokio::test]
async fn a_socket_that_somebody_removed_is_made_again_and_one_that_cannot_be_is_told_once() {
    let mut rig = Rig::start().await;
    std::fs::remove_file(rig.path()).expect("removed");
    std::fs::create_dir(rig.path()).expect("in the way");
    let Some(Notice::Raised(condition)) = rig.notices.recv().await else {
        panic!("a condition");
    };
    assert_eq!(condition.code, ConditionCode::NoSocket);
    sleep(PACE.retry * 3).await;
    assert!(rig.notices.try_recv().is_err(), "said once");
    std::fs::remove_dir(rig.path()).expect("out of the way");
    let cleared = Notice::Cleared(ConditionCode::NoSocket);
    assert_eq!(rig.notices.recv().await, Some(cleared));
    let (status, _) = ask(&rig.path(), "GET", "status", &json!(null)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn whoever_reloads_waits_for_no_look_at_the_door() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("sock");
    let ((bus, _desk), (tell, mut notices)) = (bus::open(), mpsc::channel(8));
    let http = Http::start(path.clone(), bus, tell).await;
    http.look_again();
    std::fs::remove_file(&path).expect("removed");
    http.look_again();
    let made = async {
        while !path.exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), made)
        .await
        .expect("made anew");
    let (status, _) = ask(&path, "GET", "status", &json!(null)).await;
    assert_eq!(status, 200);
    assert!(notices.try_recv().is_err(), "nothing was wrong");
    http.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_a_daemon_that_waits_for_him_and_it_is_told_later() {
    let (bus, _desk) = bus::open();
    let (tell, mut notices) = mpsc::channel(1);
    let full = || Notice::Cleared(ConditionCode::HookFails);
    tell.try_send(full()).expect("room");
    let start = || {
        let place = Place::Socket("/dev/null/sock".into());
        let starting = Http::start_at(PACE, place, routes(bus.clone()), tell.clone());
        timeout(Duration::from_secs(5), starting)
    };
    let http = start().await.expect("it starts");
    let stopped = timeout(Duration::from_secs(5), http.stop());
    stopped.await.expect("it ends");
    let http = start().await.expect("it starts");
    assert_eq!(notices.recv().await, Some(full()));
    let told = timeout(Duration::from_secs(5), notices.recv()).await;
    let Ok(Some(Notice::Raised(condition))) = told else {
        panic!("a condition, and not {told:?}");
    };
    assert_eq!(condition.code, ConditionCode::NoSocket);
    http.stop().await;
}

/// Two hundred who connect and say nothing: whoever asks is answered, and who is told events stays.
#[cfg(feature = "http")]
#[tokio::test]
async fn who_says_nothing_keeps_nobody_out() {
    let ((bus, desk), (tell, _notices)) = (bus::open(), mpsc::channel(8));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = free.local_addr().expect("a port");
    drop(free);
    let guard = guard::Guard::new(Secret::new(b"hush".to_vec()), &[], &[]);
    let address = tcp::Address { at, tls: None };
    let http = Http::start_tcp(address, guard, false, bus, tell).await;
    let open = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(at).await.expect("a turn");
        let request = format!("{request}Host: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("taken");
        stream
    };
    let hears = async |stream: &mut tokio::net::TcpStream, word: &str| {
        let mut heard = String::new();
        let mut some = [0; 1024];
        let hearing = async {
            while !heard.contains(word) {
                let read = stream.read(&mut some).await.expect("still open");
                assert_ne!(read, 0, "it was ended after {heard:?}");
                heard += &String::from_utf8_lossy(&some[..read]);
            }
        };
        let heard = timeout(Duration::from_secs(5), hearing).await;
        heard.unwrap_or_else(|_| panic!("no {word:?}"));
    };
    let asking = "GET /api/v1/events HTTP/1.1\r\nAuthorization: Bearer hush\r\n";
    let mut reader = open(asking).await;
    hears(&mut reader, "event: snapshot").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let stream = tokio::net::TcpStream::connect(at).await;
        silent.push(stream.expect("a turn"));
    }
    let mut other = open("GET /healthz HTTP/1.1\r\n").await;
    hears(&mut other, "200 OK").await;
    desk.publish(&House {
        speakers: vec![SpeakerState::default()],
        ..House::default()
    });
    hears(&mut reader, "event: snapshot").await;
    http.stop().await;
}

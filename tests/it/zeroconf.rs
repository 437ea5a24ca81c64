//! The zeroconf endpoint: what honest phones are told, and what everybody else gets.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use spotify_sim::{
    Fault, Place, Then, listen,
    phone::{Found, Hostile, Info, Login, Parcel, Phone, seal, seal_inner},
    rigs::Fifo,
};
use tokio::{io::AsyncReadExt, net::TcpSocket};

use crate::{
    lan::{NULL, fifo, one_engine, plays, resident_kb, until},
    world::{Daemon, PATIENCE, World, hears, scenario},
};

#[test]
fn getinfo_tells_what_phones_expect_to_the_letter() {
    scenario(async |world| {
        let name = "Küche \\\"oben\\\"";
        let settings = world.settings(NULL).replace("Kitchen", name).replacen(
            "state_dir",
            "device_type = \"avr\"\nstate_dir",
            1,
        );
        let _daemon = world.start(&settings);
        let found = world.find().await;
        let info = world.info(&found).await;
        assert_eq!(info.faults(), Vec::<String>::new());
        assert_eq!(info.device_id.len(), 40);
        let wanted = json!({
            "status": 101,
            "statusString": "OK",
            "spotifyError": 0,
            "responseSource": "siskin",
            "version": "2.10.0",
            "deviceID": info.device_id,
            "deviceType": "AVR",
            "remoteName": "Küche \"oben\"",
            "publicKey": info.public_key,
            "brandDisplayName": "siskin",
            "modelDisplayName": "siskin",
            "libraryVersion": format!("siskin-{}", env!("CARGO_PKG_VERSION")),
            "resolverVersion": "1",
            "groupStatus": "NONE",
            "tokenType": "default",
            "clientID": "65b708073fc0480ea92a077233ca87bd",
            "productID": 0,
            "scope": "streaming",
            "availability": "",
            "supported_drm_media_formats": [],
            "supported_capabilities": 1,
            "accountReq": "PREMIUM",
            "activeUser": "",
            "aliases": [],
        });
        assert_eq!(info.answer.json, wanted);
        // In the body it is understood as well.
        let fields = [("action".to_owned(), "getInfo".to_owned())];
        let posted = world
            .phone
            .post(&found, "", &fields)
            .await
            .expect("an answer");
        assert_eq!(posted.json, wanted);

        let short = &info.device_id[..8];
        assert!(found.instance.ends_with(short), "{found:?}");
        assert!(found.host.contains(short), "{found:?}");
        let txt: Vec<_> = found.txt.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(txt, ["CPath=/", "Stack=SP", "VERSION=1.0"]);
    });
}

#[test]
fn who_is_signed_in_can_be_kept_from_the_network() {
    scenario(async |world| {
        let settings = world.settings(NULL) + "show_active_user = false\n";
        let _daemon = world.start(&settings);
        world.sign_in("kim").await;
        assert_eq!(world.info(&world.find().await).await.active_user, "");
    });
}

#[test]
fn the_answer_to_a_handover_waits_for_the_sign_in() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let late = Duration::from_secs(2);
        let fault = Fault::on(Place::ApLogin).of("kim").then(Then::Delay(late));
        world.sim.faults().add(fault);
        let asked = Instant::now();
        let answering = world.hand_over(&found, "kim");
        let (status, ()) = tokio::join!(answering, async {
            // Others are served meanwhile, and nobody is signed in yet.
            tokio::time::sleep(late / 2).await;
            assert_eq!(world.info(&found).await.active_user, "");
        });
        assert_eq!(status, 101);
        assert!(asked.elapsed() >= late, "{:?}", asked.elapsed());
        assert_eq!(world.info(&found).await.active_user, "kim");
    });
}

#[test]
fn a_sign_in_that_stalls_is_refused_in_time_and_the_resident_plays_on() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let alex = plays(&world, "alex", "Staircase").await;
        let engine = one_engine(&daemon).await;
        let found = world.find().await;
        let fault = Fault::on(Place::ApLogin)
            .of("kim")
            .forever()
            .then(Then::Stall);
        world.sim.faults().add(fault);
        let asked = Instant::now();
        assert_eq!(world.hand_over(&found, "kim").await, 202);
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(world.info(&found).await.active_user, "alex");
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(alex.state().playing);
        assert_played_on(&world, &fifo, asked);
    });
}

#[test]
fn a_new_handover_ends_one_that_still_waits() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let fault = Fault::on(Place::ApLogin).of("kim").then(Then::Stall);
        world.sim.faults().add(fault);
        let first = async {
            let status = world.hand_over(&found, "kim").await;
            (status, Instant::now())
        };
        let second = async {
            let record = world.sim.record();
            let knocked = record.wait_for(PATIENCE, 0, |entry| entry.place == Place::ApLogin);
            knocked.await.unwrap_or_else(|error| panic!("{error}"));
            let asked = Instant::now();
            let status = world.hand_over(&found, "alex").await;
            (status, asked)
        };
        let ((refused, at), (accepted, asked)) = tokio::join!(first, second);
        assert_eq!((refused, accepted), (202, 101));
        let took = at.saturating_duration_since(asked);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(world.info(&found).await.active_user, "alex");
        one_engine(&daemon).await;
    });
}

#[test]
fn wrong_requests_get_the_answer_of_the_table() {
    scenario(async |world| {
        let mut daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let info = world.info(&found).await;
        let mut wrong = Vec::new();
        for case in table(&world, &info) {
            let answer = match world.phone.ask(&found, case.request(&found)).await {
                Ok(answer) => answer,
                Err(error) => {
                    wrong.push(format!("{}: {error}", case.name));
                    continue;
                }
            };
            let text = answer.status_string().unwrap_or_default().to_owned();
            let got = (answer.http_status, answer.status(), text.as_str());
            let (http, status, words) = case.wanted;
            let complete = answer.json["spotifyError"] == 0
                && answer.json["responseSource"] == "siskin"
                && answer.reply.header("content-type") == Some("application/json");
            if got != (http, Some(status), words) || !complete {
                wrong.push(format!("{}: {got:?} {}", case.name, answer.json));
            }
            if answer.latency > Duration::from_secs(2) {
                wrong.push(format!(
                    "{}: answered after {:?}",
                    case.name, answer.latency
                ));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(daemon.is_running());
        // One may have been made ready for the first that asked; nobody was signed in.
        assert!(daemon.engines().len() <= 1);
        assert_eq!(world.sim.record().count(spotify_sim::Place::ApConnect), 0);
        assert_eq!(world.hand_over(&found, "kim").await, 101);
    });
}

#[test]
fn a_siege_of_the_endpoint_costs_neither_music_nor_memory() {
    scenario(async |world| {
        let fifo = fifo();
        let mut daemon = world.start_on(&fifo);
        let kim = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        let found = world.find().await;
        hears(&fifo, 44_100).await;
        let begun = Instant::now();
        let memory = resident_kb(daemon.pid());

        let info = world.info(&found).await;
        tokio::join!(slow_and_large(&found), async {
            for size in (0..2048).step_by(61).chain(2040..=2048) {
                let fields = any_blob(&world, size);
                let answer = world.phone.add_user_fields(&found, &fields).await;
                let status = answer.expect("an answer").status();
                assert!(
                    matches!(status, Some(203 | 303)),
                    "{size} bytes: {status:?}"
                );
            }
            for size in [0, 1, 15, 16, 17, 160, 1400] {
                let parcel = seal_inner(&info.public_key().expect("a key"), &noise(size));
                let fields = world.phone.fields("kim", &parcel);
                let answer = world.phone.add_user_fields(&found, &fields).await;
                assert_eq!(
                    answer.expect("an answer").status(),
                    Some(303),
                    "{size} bytes"
                );
            }
            crowd(&found, &daemon).await;
        });

        let grown = resident_kb(daemon.pid()) - memory;
        println!("{grown} kB more after the siege than before");
        assert!(grown < 8 * 1024, "{grown} kB more");
        assert!(daemon.is_running());
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(kim.state().playing);
        assert_played_on(&world, &fifo, begun);
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        assert_eq!(world.info(&found).await.active_user, "alex");
        let log = daemon.log();
        assert!(
            log.len() < 20,
            "strangers fill the log:\n{}",
            log.join("\n")
        );
    });
}

/// The music went on since then, and all of it is the staircase, without a gap and without a wrong
/// sample.
#[track_caller]
fn assert_played_on(world: &World, fifo: &Fifo, since: Instant) {
    let mut last = since;
    let mut longest = Duration::ZERO;
    let reads = fifo.intake().into_iter().map(|read| read.at);
    for at in reads.filter(|at| *at > since).chain([Instant::now()]) {
        longest = longest.max(at - last);
        last = at;
    }
    // Far more than is heard as a gap on a machine of its own, far less than a stop.
    assert!(longest < Duration::from_secs(1), "nothing for {longest:?}");

    let capture = &fifo.capture();
    let track = &world.sim.catalogue().titled("Staircase").tracks[0];
    let at = listen::align(capture, &track.samples()).expect("the staircase");
    let begin = usize::try_from(at.lag).unwrap_or(0);
    let runs = listen::playing(&capture[begin..]);
    assert_eq!(runs.len(), 1, "the music broke off: {runs:?}");
    let difference = listen::compare(capture, &track.samples(), at.lag);
    assert!(difference.rms_error < 0.005, "{difference:?}");
}

/// Requests that are too slow, too large, or none at all, all at once. Each has to be over within
/// its limit.
async fn slow_and_large(found: &Found) {
    let to = found.address().expect("an address");
    let stranger = Hostile::new(to, Duration::from_secs(14));
    let second = Duration::from_secs(1);
    let post = |length: usize| {
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    };
    let chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n";
    let head = post(400);
    let slow_body = [&head[..], &[b'a'; 400]].concat();
    let large = async {
        for head in [post(1 << 20), chunked.to_vec()] {
            let taken = stranger.flood(&head, 1 << 20).await.expect("connected");
            assert!(taken.closed && taken.after < 3 * second, "{taken:?}");
            let reply = taken.reply();
            assert!(reply.is_none_or(|reply| reply.status == 400));
        }
        for nonsense in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"\0\0\r\n\r\n",
        ] {
            let taken = stranger.send(nonsense).await.expect("connected");
            assert!(taken.closed, "{taken:?}");
        }
        let endless = [b"GET /".to_vec(), vec![b'a'; 1 << 20]].concat();
        let taken = stranger.send(&endless).await.expect("connected");
        assert!(taken.closed && taken.after < 3 * second, "{taken:?}");
        let crammed = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2000));
        let taken = stranger.send(crammed.as_bytes()).await.expect("connected");
        assert!(taken.closed && taken.after < 3 * second, "{taken:?}");
    };
    let slow = async {
        let ((), body, lie, head, silence) = tokio::join!(
            large,
            // The head at once, then a few bytes of the body a second.
            stranger.drip(&slow_body, head.len(), second),
            stranger.send(&head),
            stranger.drip(b"GET /?action=getInfo HTTP/1.1\r\nHost: x", 1, second),
            stranger.send(b""),
        );
        for (taken, limit) in [(body, 5), (lie, 5), (head, 10), (silence, 3)] {
            let taken = taken.expect("connected");
            let limit = limit * second + second;
            assert!(taken.closed && taken.after < limit, "{taken:?}");
        }
    };
    slow.await;
}

/// Two hundred connections at once, which say nothing: a phone gets through at once, whether they
/// come from its own address, from another, or from everywhere.
async fn crowd(found: &Found, daemon: &Daemon) {
    let to = SocketAddr::new([127, 0, 0, 1].into(), found.port);
    let mut one = Hostile::new(to, PATIENCE).crowd(200).await;
    assert_eq!(one.len(), 200, "the kernel takes them all");
    let quick = Phone::new("Quick phone").with_patience(Duration::from_secs(1));
    let at_the_crowds = Found::at(to, "/");
    for found in [&at_the_crowds, found] {
        let told = quick.get_info(found).await;
        told.unwrap_or_else(|error| panic!("{error}"));
    }
    let mut ended = 0;
    for stream in one.iter_mut().take(192) {
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read_u8()).await;
        ended += usize::from(matches!(read, Ok(Err(_))));
    }
    assert_eq!(ended, 192, "all but the last are sent away");
    drop(one);

    let mut everywhere = Vec::new();
    for number in 0..200_u8 {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = SocketAddr::new([127, 0, 1, number / 8 + 1].into(), 0);
        socket.bind(from).expect("an address of our own");
        everywhere.push(socket.connect(to).await.expect("connected"));
    }
    let files = format!("/proc/{}/fd", daemon.pid());
    let open = || std::fs::read_dir(&files).expect("a process").count();
    let told = quick.get_info(found).await;
    told.unwrap_or_else(|error| panic!("{error}"));
    assert!(open() < 128, "{} files are open", open());
    drop(everywhere);
    until("the strangers' connections end", PATIENCE, || open() < 64).await;
}

struct Case {
    name: String,
    method: &'static str,
    target: String,
    headers: &'static str,
    body: String,
    wanted: (u16, i64, &'static str),
}

impl Case {
    fn request(&self, found: &Found) -> Vec<u8> {
        let Self {
            method,
            target,
            headers,
            body,
            ..
        } = self;
        let host = found.address().expect("an address");
        let length = body.len();
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

const BAD: (u16, i64, &str) = (400, 102, "ERROR-BAD-REQUEST");
const NOT_IMPLEMENTED: (u16, i64, &str) = (501, 104, "ERROR-NOT-IMPLEMENTED");
const OTHER_KEY: (u16, i64, &str) = (200, 203, "ERROR-INVALID-PUBLICKEY");
const MISSING_ACTION: (u16, i64, &str) = (400, 301, "ERROR-MISSING-ACTION");
const INVALID_ACTION: (u16, i64, &str) = (400, 302, "ERROR-INVALID-ACTION");
const ARGUMENTS: (u16, i64, &str) = (400, 303, "ERROR-INVALID-ARGUMENTS");

/// Everything that is wrong in one way, with what it is to be told.
fn table(world: &World, info: &Info) -> Vec<Case> {
    let case = |name: &str, method, target: &str, wanted| Case {
        name: name.to_owned(),
        method,
        target: target.to_owned(),
        headers: "",
        body: String::new(),
        wanted,
    };
    let mut cases = vec![
        case("nothing", "GET", "/", MISSING_ACTION),
        case("an empty action", "GET", "/?action=", MISSING_ACTION),
        case("a POST of nothing", "POST", "/", MISSING_ACTION),
        case(
            "an unknown action",
            "GET",
            "/?action=makeTea",
            INVALID_ACTION,
        ),
        case(
            "addUser by GET",
            "GET",
            "/?action=addUser&userName=kim",
            INVALID_ACTION,
        ),
        case(
            "resetUsers by GET",
            "GET",
            "/?action=resetUsers",
            INVALID_ACTION,
        ),
        case("no UTF-8", "GET", "/?action=%FF%FE", BAD),
        case("no UTF-8 besides", "GET", "/?action=getInfo&x=%C3%28", BAD),
    ];
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "MAKETEA"] {
        cases.push(case(method, method, "/?action=getInfo", NOT_IMPLEMENTED));
    }
    cases.push(Case {
        headers: "Origin: http://evil.example\r\n",
        ..case("a web page", "POST", "/?action=resetUsers", BAD)
    });

    let account = world.sim.users().get("kim").expect("a user");
    let login = Login::stored(&account.stored_credential());
    let key = info.public_key().expect("a key");
    let right = seal(&key, &info.device_id, "kim", &login);
    let mut post = |name: String, fields: Vec<(String, String)>, wanted| {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        cases.push(Case {
            body,
            ..case(&name, "POST", "/", wanted)
        });
    };
    let fields = |parcel: &Parcel| world.phone.fields("kim", parcel);
    let with = |name: &str, value: &str| {
        let mut fields = fields(&right);
        for (key, old) in &mut fields {
            if key == name {
                value.clone_into(old);
            }
        }
        fields
    };
    for field in ["userName", "blob", "clientKey"] {
        let mut missing = fields(&right);
        missing.retain(|(name, _)| name != field);
        post(format!("no {field}"), missing, ARGUMENTS);
        post(format!("an empty {field}"), with(field, ""), ARGUMENTS);
        post(
            format!("a {field} too long"),
            with(field, &"A".repeat(2048)),
            ARGUMENTS,
        );
    }
    for field in ["blob", "clientKey"] {
        post(
            format!("a {field} that is no base64"),
            with(field, "ä!*"),
            ARGUMENTS,
        );
    }
    post("no action".into(), with("action", ""), MISSING_ACTION);
    post("a wrong MAC".into(), fields(&right.tampered()), OTHER_KEY);
    for (name, weak) in [("0", "AA=="), ("1", "AQ=="), ("short", "AAEC")] {
        post(
            format!("the public key {name}"),
            with("clientKey", weak),
            OTHER_KEY,
        );
    }
    post(
        "a key of 382 bytes".into(),
        with("clientKey", &"/".repeat(508)),
        OTHER_KEY,
    );
    let stranger = seal(&key, "another device", "kim", &login);
    post(
        "a blob for another device".into(),
        fields(&stranger),
        ARGUMENTS,
    );
    let stranger = seal(&key, &info.device_id, "alex", &login);
    post(
        "a blob for another user".into(),
        fields(&stranger),
        ARGUMENTS,
    );
    cases
}

/// The fields of a handover with a blob of so many random bytes.
fn any_blob(world: &World, size: usize) -> Vec<(String, String)> {
    let encoded = |bytes: &[u8]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(bytes)
    };
    let parcel = Parcel {
        blob: encoded(&noise(size)),
        client_key: encoded(&noise(95)),
    };
    world.phone.fields("kim", &parcel)
}

/// Bytes without a meaning, the same every time.
fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u32 ^ 0x9e37_79b9;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}
